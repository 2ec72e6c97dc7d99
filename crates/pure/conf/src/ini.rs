//! The sections of all files, merged as Python merges them: a section that comes again goes on, a key that comes again wins.
//!
//! Supervisor says nothing when two definitions disagree; that is how two files (`supervisord.conf`, `backend.conf`) come to
//! contradict each other for years. Here the one that loses is a warning that names both places.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use finding::{Finding, Severity, Span};

use crate::expand::replace_here;
use crate::findings::Findings;
use crate::mapped::{FileText, Text};
use crate::tree::Item;

/// A key's value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) text: Text,
    file: Arc<FileText>,
    key_range: Range<usize>,
    /// Copied from `[DEFAULT]` by [`Ini::expand_here`].
    pub(crate) inherited: bool,
}

impl Entry {
    /// Where the key stands.
    pub(crate) fn key_span(&self) -> Span {
        self.file.span(self.key_range.clone())
    }

    /// Bytes of the line that [`Entry::span`] carries.
    pub(crate) fn shown_bytes(&self) -> usize {
        self.file
            .line_range(self.file.line_of(self.key_range.start))
            .len()
    }

    /// Where the value stands, or the key if the value is empty.
    pub(crate) fn span(&self) -> Span {
        self.text.whole_span().unwrap_or_else(|| self.key_span())
    }
}

/// A section.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) name: String,
    /// Its headers, first one first.
    pub(crate) header: Span,
    pub(crate) options: BTreeMap<String, Entry>,
    /// A line of it could not be read.
    pub(crate) has_junk: bool,
}

/// Every section in the order in which they first came.
#[derive(Debug, Default)]
pub(crate) struct Ini {
    pub(crate) sections: Vec<Section>,
    by_name: HashMap<String, usize>,
    /// `[DEFAULT]`: values for every section that does not set the key.
    pub(crate) defaults: BTreeMap<String, Entry>,
    /// Lines that cannot be read stand in no section or in `[DEFAULT]`: they may have been for any.
    pub(crate) has_stray: bool,
    /// Options that may contain `%(here)s` because no directory was put in since they were read.
    fresh: Vec<(usize, String)>,
    /// Files merged so far: a file that comes twice is not a contradiction.
    files: HashSet<String>,
    /// Sections and keys so far.
    items: usize,
}

/// Sections and keys that are kept: ten thousand programs have two hundred thousand.
const ITEMS_MAX: usize = 500_000;

/// Python's name for the section of defaults.
const DEFAULT: &str = "DEFAULT";

impl Ini {
    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.by_name
            .get(name)
            .and_then(|index| self.sections.get(*index))
    }

    /// A key's value, from `[DEFAULT]` if the section does not set it.
    pub(crate) fn entry<'a>(&'a self, section: &'a Section, key: &str) -> Option<&'a Entry> {
        section.options.get(key).or_else(|| self.defaults.get(key))
    }

    /// Merges what a file says.
    pub(crate) fn merge(
        &mut self,
        file: &Arc<FileText>,
        path: &str,
        items: Vec<Item>,
        findings: &mut Findings,
    ) {
        let again = !self.files.insert(path.to_string());
        let mut current: Option<usize> = None;
        let mut headers: HashMap<usize, Span> = HashMap::new();
        for item in items {
            self.items += 1;
            if self.items > ITEMS_MAX {
                let message =
                    format!("more than {ITEMS_MAX} sections and keys; the rest is left out");
                findings.push(Finding::error("conf.too-much", message).at(Span::line(
                    Arc::clone(&file.name),
                    1,
                    "",
                )));
                return;
            }
            match item {
                Item::Header { name, range } if name == DEFAULT => {
                    current = None;
                    headers.insert(usize::MAX, file.span(range));
                }
                Item::Header { name, range } => {
                    let span = file.span(range);
                    let index = match self.by_name.get(&name) {
                        Some(index) => {
                            self.said_before(*index, &span, again, findings);
                            *index
                        }
                        None => self.add(name, span.clone()),
                    };
                    current = Some(index);
                }
                Item::Option {
                    key,
                    key_range,
                    parts,
                } => {
                    let entry = Entry {
                        text: joined(file, &parts),
                        file: Arc::clone(file),
                        key_range,
                        inherited: false,
                    };
                    self.set(current, key, entry, again, findings);
                }
                Item::Junk => {
                    let section = current.and_then(|index| self.sections.get_mut(index));
                    match section {
                        Some(section) => section.has_junk = true,
                        None => self.has_stray = true,
                    }
                }
            }
        }
    }

    fn add(&mut self, name: String, header: Span) -> usize {
        let index = self.sections.len();
        self.by_name.insert(name.clone(), index);
        self.sections.push(Section {
            name,
            header,
            options: BTreeMap::new(),
            has_junk: false,
        });
        index
    }

    fn said_before(&self, index: usize, span: &Span, again: bool, findings: &mut Findings) {
        let Some(section) = self.sections.get(index).filter(|_| !again) else {
            return;
        };
        // [include] of an included file has its own warning.
        if section.name == "include" {
            return;
        }
        let message = format!("[{}] comes twice; the two are read as one", section.name);
        findings.push(
            Finding::warning("conf.duplicate-section", message)
                .at(span.clone())
                .related("the first is here", section.header.clone()),
        );
    }

    fn set(
        &mut self,
        section: Option<usize>,
        key: String,
        entry: Entry,
        again: bool,
        findings: &mut Findings,
    ) {
        let (name, options) = match section.and_then(|index| self.sections.get_mut(index)) {
            Some(section) => (section.name.as_str(), &mut section.options),
            None => (DEFAULT, &mut self.defaults),
        };
        if let Some(old) = options.get(&key)
            && !again
            && name != "include"
            && !findings.is_full("conf.duplicate-key", Severity::Warning)
        {
            let message = if old.text.as_str() == entry.text.as_str() {
                format!("`{key}` of [{name}] is set twice")
            } else {
                format!("`{key}` of [{name}] is set twice, to different values; this one counts")
            };
            findings.push(
                Finding::warning("conf.duplicate-key", message)
                    .at(entry.key_span())
                    .related("the other is here", old.key_span()),
            );
        }
        if let Some(index) = section {
            self.fresh.push((index, key.clone()));
        }
        options.insert(key, entry);
    }

    /// Supervisor's `expand_here`: in every section, `%(here)s` that is not replaced yet becomes this directory. Values of
    /// `[DEFAULT]` are copied into each section as they are replaced and stay unreplaced themselves, as in Python.
    pub(crate) fn expand_here(&mut self, here: &str) {
        for (index, key) in std::mem::take(&mut self.fresh) {
            if let Some(section) = self.sections.get_mut(index)
                && let Some(entry) = section.options.get_mut(&key)
                && let Some(text) = replace_here(&entry.text, here)
            {
                entry.text = text;
            }
        }
        let defaults: Vec<(String, Entry)> = self
            .defaults
            .iter()
            .filter_map(|(key, entry)| {
                Some((
                    key.clone(),
                    Entry {
                        text: replace_here(&entry.text, here)?,
                        inherited: true,
                        ..entry.clone()
                    },
                ))
            })
            .collect();
        for (key, entry) in defaults {
            for section in &mut self.sections {
                section
                    .options
                    .entry(key.clone())
                    .or_insert_with(|| entry.clone());
            }
        }
    }
}

/// The parts of a value joined by line breaks, empty ones at the end left out.
fn joined(file: &Arc<FileText>, parts: &[Range<usize>]) -> Text {
    let used = parts
        .iter()
        .rposition(|part| !part.is_empty())
        .map_or(0, |last| last + 1);
    let mut text = Text::empty_in(Arc::clone(file));
    let mut end = 0;
    for (i, part) in parts[..used].iter().enumerate() {
        if i > 0 {
            text.push_for("\n", end..part.start.max(end));
        }
        text.push_source(part.clone());
        end = part.end;
    }
    text
}
