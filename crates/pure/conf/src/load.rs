//! From a path to a [`Loaded`]: the main file, its includes, the merged sections, the model, all findings.

use std::sync::Arc;

use finding::{Finding, Span};

use crate::FILE_BYTES_MAX;
use crate::cut;
use crate::expand::{Vars, expand};
use crate::files::{Environment, Files, Kind, ReadError};
use crate::findings::Findings;
use crate::glob::glob;
use crate::ini::Ini;
use crate::mapped::FileText;
use crate::model::Model;
use crate::paths::{abspath, dirname, join};
use crate::read::{Reader, Wrong, read_model};
use crate::tree::{Item, SourceFile, is_space};

/// Files that one configuration may include. Beyond it the pattern matches something that was not meant.
pub const INCLUDED_FILES_MAX: usize = 10_000;
/// Bytes of all files of one configuration: four of the largest.
pub const TOTAL_BYTES_MAX: u64 = 4 * FILE_BYTES_MAX;

/// A configuration read: the files as they are, what they mean, what is wrong with them.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The files in the order in which they were read, the main file first.
    pub tree: Vec<SourceFile>,
    /// What they mean.
    pub model: Model,
    /// Everything that was found, in the order of [`finding::Report`].
    pub findings: Vec<Finding>,
    /// Whether the main file itself could not be read; then the model is empty.
    pub unreadable: bool,
}

/// Reads a configuration. All errors are found at once; what has one is left out of the model, the rest is in it.
///
/// `path` may be relative to `env.cwd`. It is shown in findings as it is given; included files are shown in the same manner if they
/// lie below it, else by their absolute path.
pub fn load(path: &str, files: &dyn Files, env: &Environment) -> Loaded {
    read_all(path, files, env, false)
}

/// The same as Supervisor would go on from it: a command that cannot be split is found when it is started, so its program
/// stays ([`crate::Command::wrong`]) and the finding is a warning.
pub fn load_as_supervisor(path: &str, files: &dyn Files, env: &Environment) -> Loaded {
    read_all(path, files, env, true)
}

fn read_all(path: &str, files: &dyn Files, env: &Environment, keeps_unsplit: bool) -> Loaded {
    let mut loader = Loader::new(path, files, env);
    let main_path = abspath(path, &env.cwd);
    let main = loader.read(&main_path, path);
    let unreadable = match &main {
        Ok(_) => false,
        Err(why) => {
            let message = format!("{path} cannot be read: {}", why.words());
            loader
                .findings
                .push(Finding::error("conf.unreadable", message));
            true
        }
    };
    let mut ctl = Ini::default();
    let mut is_text = false;
    if let Ok((text, items)) = main {
        is_text = loader.is_text;
        // supervisorctl reads the same file by itself and follows no includes.
        let only_ctl = of_section(&items, "supervisorctl");
        ctl.merge(&text, &main_path, only_ctl, &mut Findings::default());
        loader
            .ini
            .merge(&text, &main_path, items, &mut loader.findings);
        loader.include(&main_path);
    }
    let Loader {
        here,
        ini,
        tree,
        mut findings,
        ..
    } = loader;
    let mut model = read_model(Reader {
        path,
        here: &here,
        files,
        env,
        ini: &ini,
        ctl: &ctl,
        is_text,
        findings: &mut findings,
        expanded_bytes: 0,
        keeps_unsplit,
        wrong: Wrong::default(),
        shut: Vec::new(),
    });
    let report = finding::Report::new(findings.into_list());
    model.has_errors = report.has_errors();
    Loaded {
        tree,
        model,
        findings: report.findings().to_vec(),
        unreadable,
    }
}

struct Loader<'a> {
    path: &'a str,
    here: String,
    files: &'a dyn Files,
    env: &'a Environment,
    ini: Ini,
    tree: Vec<SourceFile>,
    findings: Findings,
    bytes: u64,
    /// Whether the last file that was read is text.
    is_text: bool,
}

type Main = (Arc<FileText>, Vec<Item>);

impl<'a> Loader<'a> {
    fn new(path: &'a str, files: &'a dyn Files, env: &'a Environment) -> Loader<'a> {
        // Python: abspath(dirname(path)), which does not follow symbolic links.
        let here = abspath(dirname(path), &env.cwd);
        Loader {
            path,
            here,
            files,
            env,
            ini: Ini::default(),
            tree: Vec::new(),
            findings: Findings::default(),
            bytes: 0,
            is_text: false,
        }
    }

    /// Reads and cuts one file. What is not text has said so and says nothing else.
    fn read(&mut self, path: &str, name: &str) -> Result<Main, ReadError> {
        let left = TOTAL_BYTES_MAX.saturating_sub(self.bytes);
        let bytes = self.files.read(path, FILE_BYTES_MAX.min(left))?;
        self.bytes += bytes.len() as u64;
        let read = cut::read(path, name, bytes);
        self.tree.push(read.file);
        self.findings.extend(read.findings);
        self.is_text = read.text.is_some();
        let text = read
            .text
            .unwrap_or_else(|| Arc::new(FileText::new(name, String::new())));
        Ok((text, read.items))
    }

    /// Follows `[include] files` of the main file, in the order of the patterns, each sorted.
    fn include(&mut self, main_path: &str) {
        if self.ini.section("include").is_none() {
            return;
        }
        let here = self.here.clone();
        self.ini.expand_here(&here);
        let Some((patterns, span)) = self.patterns() else {
            return;
        };
        let mut count = 0;
        for pattern in patterns {
            let found = glob(&join(&here, &pattern), self.files);
            if found.is_empty() {
                let message = format!("no file matches `{pattern}`");
                self.findings
                    .push(Finding::warning("conf.include-empty", message).at(span.clone()));
            }
            for path in found {
                count += 1;
                if count > INCLUDED_FILES_MAX {
                    let message = format!(
                        "more than {INCLUDED_FILES_MAX} files are included; the rest is left out"
                    );
                    self.findings
                        .push(Finding::error("conf.include-too-many", message).at(span));
                    return;
                }
                self.include_file(&path, main_path, &span);
            }
        }
    }

    fn patterns(&mut self) -> Option<(Vec<String>, Span)> {
        let section = self.ini.section("include")?;
        let Some(entry) = self.ini.entry(section, "files") else {
            let finding = Finding::error("conf.include-without-files", "[include] has no `files`")
                .at(section.header.clone())
                .fix("write: files = conf.d/*.conf");
            self.findings.push(finding);
            return None;
        };
        let vars = Vars::new(&self.env.env)
            .with("here", self.here.clone())
            .with("host_node_name", self.env.hostname.clone());
        match expand(&entry.text, &vars) {
            Ok(text) => Some((
                text.as_str()
                    .split(is_space)
                    .filter(|p| !p.is_empty())
                    .map(str::to_string)
                    .collect(),
                entry.span(),
            )),
            Err(error) => {
                let span = entry.text.span(error.range).unwrap_or_else(|| entry.span());
                self.findings.push(
                    Finding::error("conf.expansion", error.message)
                        .at(span)
                        .effect("no file is included"),
                );
                None
            }
        }
    }

    fn include_file(&mut self, path: &str, main_path: &str, span: &Span) {
        let name = self.name_of(path);
        if path == main_path {
            let finding = Finding::warning(
                "conf.include-itself",
                "the pattern matches this file itself, which is then read twice",
            )
            .at(span.clone());
            self.findings.push(finding);
        }
        if self.files.kind(path) == Some(Kind::Dir) {
            let finding = Finding::warning(
                "conf.include-directory",
                format!("`{name}` is a directory; it is skipped"),
            )
            .at(span.clone());
            self.findings.push(finding);
            return;
        }
        match self.read(path, &name) {
            Ok((text, items)) => {
                self.nested(&text, &items, path == main_path);
                self.ini.merge(&text, path, items, &mut self.findings);
                self.ini.expand_here(&abspath(dirname(path), &self.env.cwd));
            }
            Err(why) => {
                let finding = Finding::error(
                    "conf.include-unreadable",
                    format!("{name} cannot be read: {}", why.words()),
                )
                .at(span.clone())
                .effect("its programs are missing (Supervisor skips such a file and says nothing)");
                self.findings.push(finding);
            }
        }
    }

    fn nested(&mut self, text: &FileText, items: &[Item], main: bool) {
        let header = items.iter().find_map(|item| match item {
            Item::Header { name, range } if name == "include" && !main => Some(range.clone()),
            Item::Header { .. } | Item::Option { .. } | Item::Junk => None,
        });
        if let Some(range) = header {
            let finding = Finding::warning(
                "conf.include-nested",
                "an [include] in an included file is not followed",
            )
            .at(text.span(range))
            .hint("put the pattern into the main file");
            self.findings.push(finding);
        }
    }

    /// How an included file is shown.
    fn name_of(&self, path: &str) -> String {
        match path
            .strip_prefix(&self.here)
            .and_then(|rest| rest.strip_prefix('/'))
        {
            Some(rest) => join(dirname(self.path), rest),
            None => path.to_string(),
        }
    }
}

/// The items of one section, and of `[DEFAULT]`.
fn of_section(items: &[Item], wanted: &str) -> Vec<Item> {
    let mut inside = false;
    let mut kept = Vec::new();
    for item in items {
        match item {
            Item::Header { name, range } => {
                inside = name == wanted || name == "DEFAULT";
                if inside {
                    kept.push(Item::Header {
                        name: name.clone(),
                        range: range.clone(),
                    });
                }
            }
            Item::Option {
                key,
                key_range,
                parts,
            } if inside => {
                kept.push(Item::Option {
                    key: key.clone(),
                    key_range: key_range.clone(),
                    parts: parts.clone(),
                });
            }
            Item::Option { .. } | Item::Junk => {}
        }
    }
    kept
}
