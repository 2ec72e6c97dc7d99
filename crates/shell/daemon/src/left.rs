//! What an error leaves out while the rest runs: which program (or gateway), why, and where that is mended.
//!
//! `status` lists it, `start` says why it cannot be started, `run` counts it: what is missing must not look as if it had
//! never been in the file. Who is left out follows from where an error stands; the guard and the resolver say it themselves.

use std::collections::BTreeSet;

use finding::Finding;
use serde::{Deserialize, Serialize};

/// Errors of one refusal that are named; the rest is a number and `steadfast check`.
const ERRORS_MAX: usize = 3;
/// Kinds of sections that can be left out alone.
const KINDS: [&str; 4] = ["program", "eventlistener", "fcgi-program", "gateway"];

/// Something that is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LeftOut {
    /// The program's name, or the gateway's.
    pub(crate) name: String,
    /// Why, with its place in front: `v.conf:32: development server in production: --reload`.
    pub(crate) why: String,
}

impl LeftOut {
    /// What a finding leaves out.
    pub(crate) fn of(name: &str, finding: &Finding) -> LeftOut {
        LeftOut {
            name: name.to_owned(),
            why: one_line(finding),
        }
    }
}

/// Everything that errors left out, those first that are `known` by name; what is there all the same (`present`) is not.
pub(crate) fn all(
    known: Vec<LeftOut>,
    errors: &[Finding],
    tree: &[conf::SourceFile],
    present: &BTreeSet<&str>,
) -> Vec<LeftOut> {
    let mut out = known;
    for finding in errors.iter().filter(|finding| finding.is_error()) {
        let Some(name) = section_of(finding, tree) else {
            continue;
        };
        if !present.contains(name.as_str()) && out.iter().all(|left| left.name != name) {
            out.push(LeftOut::of(&name, finding));
        }
    }
    out
}

/// The name of the section in which a finding stands, if it can be left out alone.
fn section_of(finding: &Finding, tree: &[conf::SourceFile]) -> Option<String> {
    let span = finding.span.as_ref()?;
    let file = tree.iter().find(|file| file.name() == &*span.file)?;
    let text = String::from_utf8_lossy(file.bytes());
    let above = text.lines().take(span.line as usize);
    let header = above.filter(|line| line.starts_with('[')).last()?;
    let inner = header.strip_prefix('[')?.split(']').next()?;
    let (kind, name) = inner.split_once(':')?;
    // Nearly the name of a section of ours.
    let mistyped = finding.code == "conf.unknown-section";
    (mistyped || KINDS.contains(&kind))
        .then(|| name.trim().to_owned())
        .filter(|name| !name.is_empty())
}

/// An error in one line: `v.conf:32: development server in production: --reload`.
pub(crate) fn one_line(finding: &Finding) -> String {
    let message = finding::escape(&finding::mask_line(&finding.message));
    match &finding.span {
        Some(span) => format!("{}:{}: {message}", span.file, span.line),
        None => message,
    }
}

/// Errors for somebody who has one line only (a fault of XML-RPC).
pub(crate) fn in_short(errors: &[&Finding]) -> String {
    let mut lines: Vec<String> = errors
        .iter()
        .take(ERRORS_MAX)
        .map(|error| one_line(error))
        .collect();
    if errors.len() > ERRORS_MAX {
        let more = errors.len() - ERRORS_MAX;
        lines.push(format!("and {more} more; see: steadfast check"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Machine, environment};

    const TEXT: &str = "[program:good]\ncommand = sleep 1\n[program:bad]\ncommand = sleep \"1\n[program:worse]\n\
                        command = sleep 1\nstopsignal = NO\n";

    #[test]
    fn who_is_left_out_follows_from_where_the_error_stands() {
        let path = "/tmp/x.conf".to_owned();
        let machine = Machine {
            memory: Some((path.clone(), TEXT.into())),
        };
        let loaded = conf::load(&path, &machine, &environment(&Default::default()));
        let present = loaded.model.programs.iter().map(|one| one.name.as_str());
        let left = all(
            Vec::new(),
            &loaded.findings,
            &loaded.tree,
            &present.collect(),
        );
        let names: Vec<&str> = left.iter().map(|left| left.name.as_str()).collect();
        assert_eq!(names, ["bad", "worse"]);
        assert!(
            left[0].why.starts_with("/tmp/x.conf:4: "),
            "{}",
            left[0].why
        );
    }

    #[test]
    fn many_errors_are_three_and_a_number() {
        let error = Finding::error("x", "boom");
        assert_eq!(in_short(&[&error]), "boom");
        assert_eq!(
            in_short(&[&error; 5]),
            "boom\nboom\nboom\nand 2 more; see: steadfast check"
        );
    }
}
