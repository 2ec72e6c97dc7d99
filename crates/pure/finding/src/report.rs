//! Many findings: counted, sorted, shown.

use serde_json::{Value, json};

use crate::render::render_finding;
use crate::{Finding, Severity};

/// How many findings of each severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// Notes.
    pub notes: usize,
}

/// Findings in the order in which they are shown: errors first, then by file, line and column; what has no place comes first
/// among its severity. Equal places keep the order in which they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// Sorts the findings into a report.
    pub fn new(mut findings: Vec<Finding>) -> Report {
        findings.sort_by(|a, b| key(a).cmp(&key(b)));
        Report { findings }
    }

    /// The findings, sorted.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many of each severity.
    pub fn counts(&self) -> Counts {
        let count = |severity| {
            self.findings
                .iter()
                .filter(|f| f.severity == severity)
                .count()
        };
        Counts {
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
        }
    }

    /// Whether there is an error among them.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(Finding::is_error)
    }

    /// The report as text, no line wider than `width_columns`, with the summary as its last line; empty if nothing was found.
    pub fn render_text(&self, width_columns: usize) -> String {
        let mut out = String::new();
        for finding in &self.findings {
            out.push_str(&render_finding(finding, width_columns));
        }
        if !self.findings.is_empty() {
            out.push_str(&self.summary());
            out.push('\n');
        }
        out
    }

    /// The counts in words: `1 error, 2 warnings`, or `no findings`.
    pub fn summary(&self) -> String {
        let counts = self.counts();
        let parts: Vec<String> = [
            (counts.errors, "error"),
            (counts.warnings, "warning"),
            (counts.notes, "note"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
        .collect();
        if parts.is_empty() {
            "no findings".to_string()
        } else {
            parts.join(", ")
        }
    }

    /// The report as the value of one envelope: `{"steadfast": 1, "kind": kind, "errors": …, "warnings": …, "notes": …, "findings": […]}`.
    pub fn to_json(&self, kind: &str) -> Value {
        let counts = self.counts();
        json!({
            "steadfast": 1,
            "kind": kind,
            "errors": counts.errors,
            "warnings": counts.warnings,
            "notes": counts.notes,
            "findings": self.findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
        })
    }
}

fn key(finding: &Finding) -> (Severity, bool, &str, u32, u32) {
    match &finding.span {
        Some(span) => (finding.severity, true, &span.file, span.line, span.column),
        None => (finding.severity, false, "", 0, 0),
    }
}
