//! SF3xx: the file beside what runs, and beside what it was before.

use std::path::PathBuf;

use finding::Span;
use servers::{Kind, Weight};

use crate::change;
use crate::disk::Disk;
use crate::model::Hit;
use crate::scene::{Config, Scene, Subject};
use crate::time::duration;

/// Words with which Supervisor starts a program, and a process runs: the same but for what an interpreter adds in front.
fn same_words(command: &[String], argv: &[String]) -> bool {
    if argv.ends_with(command) {
        return true;
    }
    let base = |word: &String| word.rsplit('/').next().unwrap_or(word).to_owned();
    // `uvicorn` becomes `/venv/bin/python /venv/bin/uvicorn`.
    let tail = argv.len().checked_sub(command.len()).map(|at| &argv[at..]);
    tail.is_some_and(|tail| {
        tail.first().map(base) == command.first().map(base) && tail[1..] == command[1..]
    })
}

/// Whether a process has written a title over its words: gunicorn with setproctitle, Next.js, whoever sets `process.title`.
fn is_title(argv: &[String], command: &[String]) -> bool {
    let base = |word: &String| word.rsplit('/').next().unwrap_or(word).to_owned();
    argv.len() == 1 && argv.first().map(base) != command.first().map(base)
}

pub(crate) fn not_applied(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let (Some(program), Some(process), Some(config)) = (
        &subject.program,
        subject.processes.first(),
        subject.config(scene),
    ) else {
        return Vec::new();
    };
    let Some(definition) = program.processes.first() else {
        return Vec::new();
    };
    // Ours is handed a socket; and what a shell or a wrapper becomes is not to be foreseen.
    let steadfast = config
        .daemon
        .as_ref()
        .is_some_and(|d| sys::proc::stat(d.pid).is_none_or(|s| s.name.starts_with("steadfast")));
    let wrapped = subject.layers.first().is_none_or(|l| {
        l.server.kind == Kind::Unknown
            || l.server.kind == Kind::PackageScript
            || l.server.through.iter().any(|w| !w.starts_with("python"))
    });
    if steadfast
        || wrapped
        || program.processes.len() > 1
        || same_words(&definition.command.argv(), &process.argv)
    {
        return Vec::new();
    }
    if is_title(&process.argv, &definition.command.argv()) {
        return Vec::new();
    }
    let age = scene.now_unix_s.saturating_sub(process.start_unix_s);
    let hit = Hit::proved("").at(definition.command.span());
    vec![
        hit.said(format!(
            "pid {} was started {} ago as: {}",
            process.pid,
            duration(age),
            finding::mask_line(&servers::shell_line(&process.argv))
        ))
        .advice("apply it"),
    ]
}

pub(crate) fn is_back(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let Some(config) = subject.config(scene) else {
        return Vec::new();
    };
    let mut hits = Vec::new();
    for layer in subject.layers.iter().filter(|l| l.file.is_none()) {
        for flag in servers::guard(&layer.server)
            .into_iter()
            .filter(|f| f.weight == Weight::Refuse)
        {
            let Some(span) = layer.span_of_all(&flag.places) else {
                continue;
            };
            let words = removed(scene, subject, &flag.what).or_else(|| backed_up(config, &span));
            hits.extend(words.map(|words| Hit::proved(&flag.what).at(span).said(words)));
        }
    }
    hits
}

/// The change of the definition, in Steadfast's ledger, that took a flag away.
fn removed(scene: &Scene, subject: &Subject, flag: &str) -> Option<String> {
    let has = |command: &str| command.split(' ').any(|word| word == flag);
    subject.happened.iter().rev().find_map(|entry| {
        let ledger::What::Config { changes, by } = &entry.what else {
            return None;
        };
        let took = changes.iter().any(|change| {
            let command = change.strip_prefix("command ");
            let sides = command.and_then(|c| c.split_once(" -> "));
            sides.is_some_and(|(old, new)| has(old) && !has(new))
        });
        let ago = scene.now_unix_s.saturating_sub(entry.at_ms / 1_000);
        took.then(|| {
            let ago = duration(ago);
            format!("it was removed before: {ago} ago, {by} (ledger)")
        })
    })
}

/// The copy of a fixed file that has the line as it is again.
fn backed_up(config: &Config, span: &Span) -> Option<String> {
    let path = config.path_of(&span.file)?;
    let had = |backup: &PathBuf| {
        let text = Disk::default().text(backup, conf::FILE_BYTES_MAX);
        text.is_some_and(|t| t.lines().any(|l| l == &*span.text))
    };
    let backup = change::backups(&path).into_iter().find(had)?;
    Some(format!(
        "it was removed before: {} is the file of then",
        backup.display()
    ))
}
