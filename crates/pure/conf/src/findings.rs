//! Findings as they are collected: of each kind a limited number, so that junk neither fills memory nor buries what matters.

use std::collections::{HashMap, HashSet};

use finding::{Finding, Severity};

/// Findings of one code and severity that are kept; of the others only the number is told.
const SAME_MAX: usize = 100;

/// The longest message, in characters: names in it may be as long as a line.
const MESSAGE_CHARS_MAX: usize = 400;

/// What makes two findings the same: a value of `[DEFAULT]`, or of a program in two groups, is complained about once.
type Identity = (String, Option<(String, u32, u32)>);

#[derive(Debug, Default)]
struct Kind {
    seen: HashSet<Identity>,
    left_out: usize,
}

/// A limited collection of findings.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    kinds: HashMap<(String, Severity), Kind>,
}

impl Findings {
    /// Keeps a finding, unless it is known or there are enough of its kind.
    pub(crate) fn push(&mut self, mut finding: Finding) {
        if let Some((at, _)) = finding.message.char_indices().nth(MESSAGE_CHARS_MAX) {
            finding.message.truncate(at);
            finding.message.push('…');
        }
        let kind = self
            .kinds
            .entry((finding.code.clone(), finding.severity))
            .or_default();
        if kind.seen.len() >= SAME_MAX {
            kind.left_out += 1;
            return;
        }
        let place = finding
            .span
            .as_ref()
            .map(|span| (span.file.to_string(), span.line, span.column));
        if kind.seen.insert((finding.message.clone(), place)) {
            self.list.push(finding);
        }
    }

    /// Keeps each of them.
    pub(crate) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            self.push(finding);
        }
    }

    /// Whether another finding of this kind would only be counted: then it need not be worded.
    pub(crate) fn is_full(&self, code: &str, severity: Severity) -> bool {
        self.kinds
            .get(&(code.to_string(), severity))
            .is_some_and(|kind| kind.seen.len() >= SAME_MAX)
    }

    /// The one that was kept last.
    pub(crate) fn last_mut(&mut self) -> Option<&mut Finding> {
        self.list.last_mut()
    }

    /// All of them, and for each kind the number of those left out.
    pub(crate) fn into_list(mut self) -> Vec<Finding> {
        let mut left_out: Vec<_> = self
            .kinds
            .into_iter()
            .filter(|(_, kind)| kind.left_out > 0)
            .map(|((code, severity), kind)| (code, severity, kind.left_out))
            .collect();
        left_out.sort();
        for (code, severity, count) in left_out {
            let message = format!("{count} more of the kind {code} are not listed");
            let mut finding = Finding::note("conf.more", message);
            finding.severity = severity;
            self.list.push(finding);
        }
        self.list
    }
}
