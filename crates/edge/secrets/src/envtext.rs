//! A program's env file as it lies on disk: read, asked, replaced.

use crate::envfile::{self, EnvFile};
use crate::error::{Error, Step};
use crate::model::{Env, Request, Warning};
use crate::replace;
use crate::secret::{Random, Secret};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The env file's text and what it says.
pub(crate) struct EnvText {
    pub(crate) path: Option<PathBuf>,
    exists: bool,
    is_link: bool,
    pub(crate) text: String,
    parsed: EnvFile,
}

impl EnvText {
    pub(crate) fn read(request: &Request<'_>) -> Result<Self, Error> {
        let Some(path) = request.env_file else {
            return Ok(Self {
                path: None,
                exists: false,
                is_link: false,
                text: String::new(),
                parsed: EnvFile::default(),
            });
        };
        let meta = std::fs::symlink_metadata(path);
        let is_link = meta.is_ok_and(|meta| meta.is_symlink());
        // A link keeps being one: what it leads to is read and replaced, unless root would do that for somebody who may
        // not do it himself.
        let path = match sys::files::real(path) {
            Ok(path) => path,
            Err(error) if error.raw_os_error().is_none() => {
                return Err(Error::io(Step::ReadEnvFile, path, &error));
            }
            Err(_) => path.to_owned(),
        };
        let text = match replace::read(&path) {
            Ok(text) => text,
            Err(error) if error.raw_os_error().is_none() => {
                return Err(Error::NotAnEnvFile {
                    path,
                    why: error.to_string(),
                });
            }
            Err(error) => return Err(Error::io(Step::ReadEnvFile, path, &error)),
        };
        let exists = text.is_some();
        let text = text.unwrap_or_default();
        Ok(Self {
            path: Some(path),
            exists,
            is_link,
            parsed: envfile::parse(&text),
            text,
        })
    }

    pub(crate) fn get(&self, name: &str, environment: &Env) -> Option<String> {
        self.parsed.last(name)?;
        self.parsed
            .values(environment)
            .remove(name)
            .filter(|v| !v.trim().is_empty())
    }

    pub(crate) fn variables(
        &self,
        request: &Request<'_>,
        keys: &[String],
    ) -> BTreeMap<String, Secret> {
        let mut values = self.parsed.values(request.environment);
        values.retain(|name, _| !request.environment.contains_key(name) && !keys.contains(name));
        values
            .into_iter()
            .map(|(name, value)| (name, Secret::new(value)))
            .collect()
    }

    pub(crate) fn report(&self, warnings: &mut Vec<Warning>) {
        let Some(path) = &self.path else { return };
        if !self.exists {
            warnings.push(Warning::NoEnvFile(path.clone()));
        }
        warnings.extend(self.parsed.problems.iter().map(|p| Warning::Line {
            path: path.clone(),
            line: p.line,
            why: p.why,
        }));
        if std::fs::metadata(path)
            .is_ok_and(|meta| std::os::unix::fs::MetadataExt::mode(&meta) & 0o007 != 0)
        {
            warnings.push(Warning::Readable { path: path.clone() });
        }
    }

    /// A key can be put there: where a link leads nowhere, what it leads to is not there yet (a mount), and has a key.
    pub(crate) fn may_be_made(&self) -> Result<(), Error> {
        match &self.path {
            Some(path) if !self.exists && self.is_link => Err(Error::NotAnEnvFile {
                path: path.clone(),
                why: "it is a link that leads nowhere, and a key that is made now is not the one that comes with what it \
                      leads to; make that file, or remove the link"
                    .to_owned(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Replaces the file, by rename where possible.
    pub(crate) fn write(
        &mut self,
        text: &str,
        request: &Request<'_>,
        random: &mut dyn Random,
    ) -> Result<(), Error> {
        let Some(path) = self.path.clone() else {
            return Ok(());
        };
        self.may_be_made()?;
        let fail = |e: std::io::Error| Error::io(Step::WriteEnvFile, &path, &e);
        match replace::by_rename(&path, text, request.owner, random) {
            Ok(()) => {}
            Err(error) if self.exists && replace::only_in_place(&error) => {
                match text.strip_prefix(&self.text) {
                    Some(more) => replace::append_in_place(&path, more).map_err(fail)?,
                    None => replace::rewrite_in_place(&path, text).map_err(fail)?,
                }
            }
            Err(error) => return Err(fail(error)),
        }
        self.exists = true;
        text.clone_into(&mut self.text);
        self.parsed = envfile::parse(text);
        Ok(())
    }
}
