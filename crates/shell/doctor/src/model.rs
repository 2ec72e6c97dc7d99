//! What a probe hands back: a hit, its evidence, and how it could be mended.

use std::collections::BTreeMap;
use std::path::PathBuf;

use finding::{Certainty, Severity, Span};

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// A line of a file, marked.
    Place(Span),
    /// What was seen, in words.
    Said(String),
}

/// What a probe found.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) certainty: Certainty,
    /// Instead of the rule's, where the evidence weighs less.
    pub(crate) severity: Option<Severity>,
    /// What exactly, behind the title of the rule.
    pub(crate) what: String,
    pub(crate) evidence: Vec<Evidence>,
    /// Instead of the rule's effect on users.
    pub(crate) effect: Option<String>,
    /// What to write, in words; shown if there is no repair.
    pub(crate) advice: Option<String>,
    pub(crate) repair: Option<Repair>,
    /// A command that must have run before the repair takes effect: a build.
    pub(crate) prepare: Option<String>,
}

impl Hit {
    pub(crate) fn proved(what: impl Into<String>) -> Hit {
        Hit {
            certainty: Certainty::Proved,
            severity: None,
            what: what.into(),
            evidence: Vec::new(),
            effect: None,
            advice: None,
            repair: None,
            prepare: None,
        }
    }

    pub(crate) fn likely(what: impl Into<String>) -> Hit {
        Hit {
            certainty: Certainty::Likely,
            ..Hit::proved(what)
        }
    }

    pub(crate) fn weigh(mut self, severity: Severity) -> Hit {
        self.severity = Some(severity);
        self
    }

    pub(crate) fn at(mut self, span: impl Into<Option<Span>>) -> Hit {
        self.evidence.extend(span.into().map(Evidence::Place));
        self
    }

    pub(crate) fn said(mut self, words: impl Into<String>) -> Hit {
        self.evidence.push(Evidence::Said(words.into()));
        self
    }

    pub(crate) fn effect(mut self, words: impl Into<String>) -> Hit {
        self.effect = Some(words.into());
        self
    }

    pub(crate) fn advice(mut self, words: impl Into<String>) -> Hit {
        self.advice = Some(words.into());
        self
    }

    pub(crate) fn repair(mut self, repair: impl Into<Option<Repair>>) -> Hit {
        self.repair = repair.into();
        self
    }
}

/// A change of one place of a text file. Columns and lengths count characters, lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextEdit {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) length: u32,
    /// What stands there afterwards; empty takes the blanks before it away as well.
    pub(crate) text: String,
}

/// How a finding is mended by a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Repair {
    /// Changes of a text file. Written only if the configuration still means the same but for this finding.
    Edit { file: PathBuf, edits: Vec<TextEdit> },
    /// Lines added behind a line of a file.
    Insert {
        file: PathBuf,
        after_line: u32,
        lines: Vec<String>,
    },
    /// A new key in an env file.
    Key { file: PathBuf, name: String },
    /// Other permissions.
    Mode { file: PathBuf, mode: u32 },
}

/// An environment: names to values.
pub(crate) type Env = BTreeMap<String, String>;
