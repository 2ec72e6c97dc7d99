//! Judges a scene: every rule that is wanted, without what is ignored, in the order in which it is told.

use std::collections::BTreeSet;

use finding::{Severity, Span};

use crate::args::Args;
use crate::model::{Evidence, Hit, Repair};
use crate::owner;
use crate::probe::ignore::{ignores, section_of};
use crate::rules::{self, Apply, Probe, Rule};
use crate::scene::Scene;

/// A hit with its rule and its program: what is reported.
#[derive(Debug, Clone)]
pub(crate) struct Diagnosis {
    pub(crate) rule: &'static Rule,
    pub(crate) hit: Hit,
    /// Index into the scene's subjects.
    pub(crate) subject: Option<usize>,
    /// The program's name.
    pub(crate) program: Option<String>,
    /// The owner's command that applies the fix.
    pub(crate) command: Option<String>,
    /// The words that make the doctor look at this again: ` -c FILE`.
    pub(crate) scope: String,
}

impl Diagnosis {
    pub(crate) fn severity(&self) -> Severity {
        self.hit.severity.unwrap_or(self.rule.severity)
    }

    pub(crate) fn span(&self) -> Option<&Span> {
        self.hit.evidence.iter().find_map(|e| match e {
            Evidence::Place(span) => Some(span),
            Evidence::Said(_) => None,
        })
    }

    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    /// The title with what exactly it is about.
    pub(crate) fn title(&self) -> String {
        let mut title = self.rule.title.to_string();
        if !self.hit.what.is_empty() {
            title.push_str(": ");
            // Masked by itself: behind "key:" a name would look like a value.
            title.push_str(&finding::mask_line(&self.hit.what));
        }
        if let Some(program) = &self.program {
            title.push_str(" (");
            title.push_str(program);
            title.push(')');
        }
        title
    }
}

/// What was judged.
pub(crate) struct Judged {
    pub(crate) diagnoses: Vec<Diagnosis>,
    /// Ignored ones: code, reason.
    pub(crate) ignored: Vec<(String, String)>,
}

/// Runs every rule that is wanted.
pub(crate) fn judge(scene: &Scene, args: &Args) -> Judged {
    let mut diagnoses = Vec::new();
    let scope = scope(args);
    for rule in rules::all().filter(|rule| args.wants(rule.code)) {
        for (subject, hit) in hits(rule, scene) {
            diagnoses.push(diagnosis(scene, rule, subject, hit, &scope));
        }
    }
    dedup(&mut diagnoses);
    let (diagnoses, ignored) = without_ignored(scene, diagnoses);
    Judged {
        diagnoses: order(diagnoses),
        ignored,
    }
}

/// The words that name what was looked at.
pub(crate) fn scope(args: &Args) -> String {
    match (&args.config, args.pid) {
        (Some(path), _) => format!(" -c {}", servers::shell_line(&[path.display().to_string()])),
        (None, Some(pid)) => format!(" --pid {pid}"),
        (None, None) if args.supervisord => " --supervisord".to_owned(),
        (None, None) => String::new(),
    }
}

/// The hits of one rule.
pub(crate) fn hits(rule: &Rule, scene: &Scene) -> Vec<(Option<usize>, Hit)> {
    match &rule.probe {
        Probe::All(probe) => probe(scene),
        Probe::Each(probe) => scene
            .subjects
            .iter()
            .enumerate()
            .flat_map(|(i, subject)| {
                probe(scene, subject)
                    .into_iter()
                    .map(move |hit| (Some(i), hit))
            })
            .collect(),
    }
}

fn diagnosis(
    scene: &Scene,
    rule: &'static Rule,
    subject: Option<usize>,
    hit: Hit,
    scope: &str,
) -> Diagnosis {
    let about = subject.and_then(|i| scene.subjects.get(i));
    let apply = match &hit.repair {
        Some(Repair::Key { .. }) => Apply::Restart,
        Some(Repair::Mode { .. }) => Apply::Nothing,
        Some(Repair::Edit { .. } | Repair::Insert { .. }) | None => rule.apply,
    };
    let owners = about.and_then(|s| owner::command(scene, s, apply));
    let all = hit.prepare.iter().cloned().chain(owners);
    let command = all.reduce(|first, then| format!("{first} && {then}"));
    Diagnosis {
        rule,
        hit,
        subject,
        program: about.map(|s| s.name.clone()),
        command,
        scope: scope.to_owned(),
    }
}

/// Several programs of one directory see the same code and the same files: it is said once.
fn dedup(diagnoses: &mut Vec<Diagnosis>) {
    let mut seen = BTreeSet::new();
    diagnoses.retain(|d| {
        let Some(span) = d.span() else { return true };
        seen.insert((
            d.rule.code,
            span.file.to_string(),
            span.line,
            span.column,
            d.hit.what.clone(),
        ))
    });
}

/// Findings that a comment beside them, or in their section, ignores.
fn without_ignored(scene: &Scene, all: Vec<Diagnosis>) -> (Vec<Diagnosis>, Vec<(String, String)>) {
    let mut kept = Vec::new();
    let mut ignored = Vec::new();
    for diagnosis in all {
        match ignored_by(scene, &diagnosis) {
            Some(reason) => ignored.push((diagnosis.rule.code.to_owned(), reason)),
            None => kept.push(diagnosis),
        }
    }
    (kept, ignored)
}

fn ignored_by(scene: &Scene, diagnosis: &Diagnosis) -> Option<String> {
    let is = |code: &str| code == diagnosis.rule.code;
    let spans = diagnosis.hit.evidence.iter().filter_map(|e| match e {
        Evidence::Place(span) => Some(span),
        Evidence::Said(_) => None,
    });
    if let Some(reason) = scene
        .configs
        .iter()
        .find_map(|c| c.ignores(diagnosis.rule.code))
    {
        return Some(reason);
    }
    let subject = diagnosis.subject.and_then(|i| scene.subjects.get(i));
    let header = subject.and_then(|s| s.program.as_ref()).map(|p| &p.header);
    for span in spans.chain(header) {
        for config in &scene.configs {
            let Some(text) = config.text_of(&span.file) else {
                continue;
            };
            let section =
                section_of(config, &span.file, span.line).unwrap_or((span.line, span.line));
            let found = ignores(text)
                .into_iter()
                .find(|(line, code, _)| is(code) && (section.0..=section.1).contains(line));
            if let Some((_, _, reason)) = found {
                return Some(reason);
            }
        }
        let app = subject
            .map(|s| &s.app)
            .iter()
            .flat_map(|a| a.files.iter())
            .find(|f| f.shown() == *span.file);
        if let Some(file) = app {
            let beside = |line: u32| line == span.line || line + 1 == span.line;
            if let Some((_, _, reason)) = ignores(&file.text)
                .into_iter()
                .find(|(line, code, _)| is(code) && beside(*line))
            {
                return Some(reason);
            }
        }
    }
    None
}

/// Errors first, then by code; what follows from another finding of the same program comes right behind it.
fn order(mut all: Vec<Diagnosis>) -> Vec<Diagnosis> {
    all.sort_by_key(|d| (d.severity(), d.rule.code, d.subject));
    let mut out: Vec<Diagnosis> = Vec::new();
    let (followers, roots): (Vec<Diagnosis>, Vec<Diagnosis>) = {
        let causes: Vec<(Option<usize>, &'static str)> =
            all.iter().map(|d| (d.subject, d.rule.code)).collect();
        all.into_iter().partition(|d| cause(d, &causes).is_some())
    };
    let mut left: Vec<Option<Diagnosis>> = followers.into_iter().map(Some).collect();
    for root in roots {
        let key = (root.subject, root.rule.code);
        out.push(root);
        for slot in &mut left {
            if slot
                .as_ref()
                .is_some_and(|d| d.subject == key.0 && d.rule.follows.contains(&key.1))
            {
                out.extend(slot.take());
            }
        }
    }
    out.extend(left.into_iter().flatten());
    out
}

/// The finding that explains another, if it is among these.
pub(crate) fn cause(
    diagnosis: &Diagnosis,
    all: &[(Option<usize>, &'static str)],
) -> Option<&'static str> {
    diagnosis
        .rule
        .follows
        .iter()
        .copied()
        .find(|code| all.contains(&(diagnosis.subject, code)))
}
