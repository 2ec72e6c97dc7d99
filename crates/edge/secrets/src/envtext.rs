//! A program's env file as it lies on disk: read, asked, replaced.

use crate::envfile::{self, EnvFile};
use crate::error::{Error, Step};
use crate::model::{Env, Request, Warning};
use crate::replace::{self, FileId, Staged};
use crate::secret::{Random, Secret};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use sys::named::Named;

/// The env file's text and what it says.
pub(crate) struct EnvText {
    pub(crate) path: Option<PathBuf>,
    /// None: there is no such directory.
    named: Option<Arc<Named>>,
    /// The file that was read; None: there is none.
    read: Option<FileId>,
    is_link: bool,
    pub(crate) text: String,
    parsed: EnvFile,
}

/// A new text of an env file, of which everything is done that can fail but putting it there.
pub(crate) struct Prepared {
    text: String,
    way: Way,
}

enum Way {
    /// The program has no env file.
    Nowhere,
    Rename(Staged),
    InPlace(File),
}

impl EnvText {
    pub(crate) fn read(request: &Request<'_>) -> Result<Self, Error> {
        let mut file = Self {
            path: None,
            named: None,
            read: None,
            is_link: false,
            text: String::new(),
            parsed: EnvFile::default(),
        };
        let Some(path) = request.env_file else {
            return Ok(file);
        };
        let meta = std::fs::symlink_metadata(path);
        file.is_link = meta.is_ok_and(|meta| meta.is_symlink());
        file.path = Some(path.to_owned());
        // A link keeps being one: what it leads to is read and replaced, unless root would do that for somebody who may
        // not do it himself.
        let named = match Named::find(path) {
            Ok(named) => Arc::new(named),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(file),
            Err(error) => return Err(Error::io(Step::ReadEnvFile, path, &error)),
        };
        let path = named.path().to_owned();
        match replace::read(&named) {
            Ok(None) => {}
            Ok(Some((text, id))) => {
                file.parsed = envfile::parse(&text);
                (file.text, file.read) = (text, Some(id));
            }
            Err(error) if error.raw_os_error().is_none() => {
                let why = error.to_string();
                return Err(Error::NotAnEnvFile { path, why });
            }
            Err(error) => return Err(Error::io(Step::ReadEnvFile, path, &error)),
        }
        (file.path, file.named) = (Some(path), Some(named));
        Ok(file)
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
        if self.read.is_none() {
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
            Some(path) if self.read.is_none() && self.is_link => Err(Error::NotAnEnvFile {
                path: path.clone(),
                why: "it is a link that leads nowhere, and a key that is made now is not the one that comes with what it \
                      leads to; make that file, or remove the link"
                    .to_owned(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Makes a new text ready, to be renamed over the file where that is possible.
    pub(crate) fn prepare(
        &self,
        text: String,
        request: &Request<'_>,
        random: &mut dyn Random,
    ) -> Result<Prepared, Error> {
        let Some(path) = &self.path else {
            let way = Way::Nowhere;
            return Ok(Prepared { text, way });
        };
        self.may_be_made()?;
        let fail = |error: std::io::Error| Error::io(Step::WriteEnvFile, path, &error);
        let missing = || fail(ErrorKind::NotFound.into());
        let named = self.named.as_ref().ok_or_else(missing)?;
        let way = match (
            replace::stage(named, &text, request.owner, random),
            self.read,
        ) {
            (Ok(staged), _) => Way::Rename(staged),
            (Err(error), Some(id)) if replace::only_in_place(&error) => {
                Way::InPlace(replace::in_place(named, id).map_err(fail)?)
            }
            (Err(error), _) => return Err(fail(error)),
        };
        Ok(Prepared { text, way })
    }

    /// Puts it there.
    pub(crate) fn commit(&mut self, prepared: Prepared) -> Result<(), Error> {
        let (Some(path), Some(named)) = (&self.path, &self.named) else {
            return Ok(());
        };
        let Prepared { text, way } = prepared;
        let fail = |error: std::io::Error| Error::io(Step::WriteEnvFile, path, &error);
        let in_place = |mut file: File| replace::rewrite(&mut file, &self.text, &text);
        let done = match way {
            Way::Nowhere => return Ok(()),
            Way::InPlace(file) => in_place(file).map(|()| self.read),
            // Somebody may have replaced it since: his text is not this one's.
            Way::Rename(_) if named.stat().map_err(fail)?.map(|it| id_of(&it)) != self.read => Err(
                std::io::Error::other("it was replaced meanwhile; try again"),
            ),
            Way::Rename(staged) => match (staged.commit(), self.read) {
                (Err(error), Some(id)) if replace::only_in_place(&error) => {
                    let opened = replace::in_place(named, id);
                    opened.and_then(in_place).map(|()| self.read)
                }
                (done, _) => done.map(Some),
            },
        };
        self.read = done.map_err(fail)?;
        self.parsed = envfile::parse(&text);
        self.text = text;
        Ok(())
    }
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the numbers have other types elsewhere"
)]
fn id_of(stat: &rustix::fs::Stat) -> FileId {
    (stat.st_dev as u64, stat.st_ino as u64)
}
