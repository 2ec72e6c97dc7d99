//! One finding: what is wrong, where, how sure we are, what it does to users, what to do about it.
//!
//! `conf` (while it reads), the guard, `check` and the doctor all say what they found with this one type, so that a finding
//! looks the same wherever it comes from, can be sorted and counted with others, and is shown as text or JSON by one piece of code.
//!
//! ```text
//! error: development server in production                                         [guard]
//!   supervisord.conf:12  command = uvicorn server:app --workers 1 --reload
//!                                                                 ^^^^^^^^
//!   the server restarts whenever a file changes: connections break and people are signed out
//!   write: command = uvicorn server:app --workers 1
//! ```
//!
//! Two promises are kept here and nowhere else, because every quoted line passes through here:
//!
//! * **No secret is shown.** A quoted line is looked through for values of names that look secret ([`looks_secret`]) and for
//!   passwords in URLs; they are replaced by `****` in text and in JSON alike ([`mask_line`]). Masking too much is a nuisance,
//!   masking too little is a leak, so the rule is broad.
//! * **No terminal is driven.** Control characters, escape sequences and characters that reorder text are shown escaped
//!   ([`escape`]): a configuration file is data, and so are a program's output and another machine's answers.
//!
//! The crate is pure: it formats values and prints nothing.

mod json;
mod mask;
mod render;
mod report;
mod text;

use std::sync::Arc;

pub use mask::{looks_secret, mask_line};
pub use render::{WIDTH_COLUMNS_MAX, render_finding, render_place, render_words};
pub use report::{Counts, Report};
pub use text::escape;

/// How bad it is. The order is the order of a report: errors first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Something that was asked for will not be done.
    Error,
    /// It works, but not as the reader of the file may think.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The word for it in text and JSON: `error`, `warning` or `note`.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// How sure a probe is of what it says. What was read from a file is certain and carries none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certainty {
    /// Seen happening, or it follows from what was seen.
    Proved,
    /// The usual explanation of what was seen.
    Likely,
}

impl Certainty {
    /// The word for it in text and JSON: `proved` or `likely`.
    pub fn word(self) -> &'static str {
        match self {
            Certainty::Proved => "proved",
            Certainty::Likely => "likely",
        }
    }
}

/// A place in a file, with the text of its line, so that a report needs no file to be rendered.
///
/// Cheap to copy: the name and the line are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The file as it is shown to people: relative if the file was named so.
    pub file: Arc<str>,
    /// Line, counted from 1.
    pub line: u32,
    /// First marked character, counted from 1, in characters (not bytes).
    pub column: u32,
    /// Number of marked characters; 0 marks the line as a whole.
    pub length: u32,
    /// The whole line as it stands in the file, without its line end. Not masked, not escaped: only this crate shows it.
    pub text: Arc<str>,
}

impl Span {
    /// A whole line, without a mark in it.
    pub fn line(file: impl Into<Arc<str>>, line: u32, text: impl Into<Arc<str>>) -> Span {
        Span {
            file: file.into(),
            line,
            column: 1,
            length: 0,
            text: text.into(),
        }
    }

    /// The same line with `length` characters marked from `column` (counted from 1) on.
    #[must_use]
    pub fn marked(mut self, column: u32, length: u32) -> Span {
        self.column = column;
        self.length = length;
        self
    }
}

/// Another place that belongs to a finding: where the other definition is, what it contradicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// What is there, as a sentence without a full stop.
    pub message: String,
    /// Where.
    pub span: Span,
}

/// One thing found. Made by [`Finding::error`], [`Finding::warning`] or [`Finding::note`] and filled by the methods that follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of finding this is, for machines and for looking it up: `SF101`, `guard`, `conf.unknown-key`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// How sure we are, for findings of a probe.
    pub certainty: Option<Certainty>,
    /// What is wrong: one sentence, no full stop. Must not contain a secret.
    pub message: String,
    /// Where.
    pub span: Option<Span>,
    /// Other places that belong to it.
    pub related: Vec<Related>,
    /// What it does to users.
    pub effect: Option<String>,
    /// What to write or change: `write: command = …`.
    pub fix: Option<String>,
    /// What helps to go on: a command to run, a name that may have been meant.
    pub hint: Option<String>,
}

impl Finding {
    fn new(severity: Severity, code: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding {
            code: code.into(),
            severity,
            certainty: None,
            message: message.into(),
            span: None,
            related: Vec::new(),
            effect: None,
            fix: None,
            hint: None,
        }
    }

    /// Something that was asked for will not be done.
    pub fn error(code: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding::new(Severity::Error, code, message)
    }

    /// It works, but not as the reader of the file may think.
    pub fn warning(code: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding::new(Severity::Warning, code, message)
    }

    /// Worth knowing.
    pub fn note(code: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding::new(Severity::Note, code, message)
    }

    /// Where it is.
    #[must_use]
    pub fn at(mut self, span: impl Into<Option<Span>>) -> Finding {
        self.span = span.into();
        self
    }

    /// How sure we are.
    #[must_use]
    pub fn certainty(mut self, certainty: Certainty) -> Finding {
        self.certainty = Some(certainty);
        self
    }

    /// What it does to users.
    #[must_use]
    pub fn effect(mut self, effect: impl Into<String>) -> Finding {
        self.effect = Some(effect.into());
        self
    }

    /// What to write or change.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Finding {
        self.fix = Some(fix.into());
        self
    }

    /// What helps to go on.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Finding {
        self.hint = Some(hint.into());
        self
    }

    /// Another place that belongs to it.
    #[must_use]
    pub fn related(mut self, message: impl Into<String>, span: Span) -> Finding {
        self.related.push(Related {
            message: message.into(),
            span,
        });
        self
    }

    /// Whether this is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
