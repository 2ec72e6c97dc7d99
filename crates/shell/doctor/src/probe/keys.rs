//! SF2xx: keys that sign sessions and tokens. No value leaves this file but for comparing.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use finding::Severity;
use secrets::Weakness;

use crate::disk::span_in;
use crate::model::{Hit, Repair};
use crate::scene::app::{App, AppFile};
use crate::scene::keys::{Home, Key, Value, Without, in_code};
use crate::scene::{Scene, Subject};

/// A value shorter than this stands in too many places by chance to be searched for.
const SEARCHED_BYTES_MIN: usize = 16;
/// Places of a leak that are named.
const LEAKS_MAX: usize = 5;

/// Whether a key has a value that is not empty.
fn has_value(key: &Key) -> bool {
    key.values
        .iter()
        .any(|v| !v.secret.expose().trim().is_empty())
}

pub(crate) fn missing(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let mut hits = Vec::new();
    for key in subject.keys.iter().filter(|k| !has_value(k)) {
        let Some(wanted) = &key.wanted else {
            // Steadfast makes it when it runs; nothing in the code asks for it.
            continue;
        };
        if wanted.without != Without::Nothing || key.is_ours {
            continue;
        }
        let live = subject.processes.first().is_some_and(|p| p.env.is_some());
        let mut hit = if live || subject.env_is_whole {
            Hit::proved(&key.name)
        } else {
            Hit::likely(&key.name).weigh(Severity::Warning)
        };
        hit = hit.at(wanted.span.clone());
        hit = match subject.app.env_files.first() {
            Some(file) if file.is_read => {
                hit.said(format!("{} has no {}", file.path.display(), key.name))
            }
            Some(file) => hit.said(format!(
                "{} is not read by the program, as far as can be seen",
                file.path.display()
            )),
            None => hit.said("there is no env file, and the environment does not set it"),
        };
        hits.push(
            hit.advice(format!(
                "put {} into the environment or an env file that the program reads",
                key.name
            ))
            .repair(new_key(subject, &key.name)),
        );
    }
    hits
}

/// A new key in the env file that the program reads, whether that exists yet or not.
fn new_key(subject: &Subject, name: &str) -> Option<Repair> {
    let ours = subject
        .program
        .as_ref()
        .and_then(|p| p.processes.first())
        .and_then(|p| p.env_file.as_ref());
    let file = match ours {
        Some(file) => PathBuf::from(&file.value),
        None if subject.app.reads_dotenv => subject.app.dir.as_ref()?.join(".env"),
        None => return None,
    };
    Some(Repair::Key {
        file,
        name: name.to_owned(),
    })
}

/// Where a value stands.
fn at(hit: Hit, value: &Value) -> Hit {
    match (&value.span, &value.home) {
        (Some(span), _) => hit.at(span.clone()),
        (None, Home::Environment) => hit.said("it is set in the environment"),
        (None, Home::EnvFile(path)) => hit.said(format!("it is set in {}", path.display())),
        (None, Home::Process(pid)) => hit.said(format!("pid {pid} has it in its environment")),
    }
}

fn weaknesses(subject: &Subject, want: fn(&[Weakness]) -> bool) -> Vec<Hit> {
    let mut hits = Vec::new();
    for key in &subject.keys {
        let Some(value) = key
            .values
            .first()
            .filter(|v| !v.secret.expose().trim().is_empty())
        else {
            continue;
        };
        let weak = secrets::strength(value.secret.expose());
        if want(&weak) {
            let why: Vec<String> = weak.iter().map(ToString::to_string).collect();
            hits.push(at(Hit::proved(&key.name), value).said(why.join("; ")));
        }
    }
    hits
}

pub(crate) fn example(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    weaknesses(subject, |weak| weak.contains(&Weakness::Example))
}

pub(crate) fn weak(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    weaknesses(subject, |weak| {
        !weak.contains(&Weakness::Example)
            && (weak.contains(&Weakness::Short) || weak.contains(&Weakness::Monotonous))
    })
}

pub(crate) fn made(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let mut hits = Vec::new();
    for key in subject.keys.iter().filter(|k| !has_value(k) && !k.is_ours) {
        if let Some(wanted) = key.wanted.as_ref().filter(|w| w.without == Without::Made) {
            let live = subject.processes.first().is_some_and(|p| p.env.is_some());
            let hit = if live || subject.env_is_whole {
                Hit::proved(&key.name)
            } else {
                Hit::likely(&key.name)
            };
            hits.push(
                hit.at(wanted.span.clone())
                    .said(format!("{} is not set, so the code makes one", key.name))
                    .repair(new_key(subject, &key.name)),
            );
        }
    }
    for file in &subject.app.files {
        for found in in_code(file)
            .into_iter()
            .filter(|k| k.without == Without::Made)
        {
            hits.push(Hit::proved("").at(found.span));
        }
    }
    hits
}

pub(crate) fn written(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let mut hits = Vec::new();
    for key in subject.keys.iter().filter(|k| !has_value(k)) {
        if let Some(wanted) = key
            .wanted
            .as_ref()
            .filter(|w| w.without == Without::Written)
        {
            hits.push(
                Hit::likely(&key.name)
                    .at(wanted.span.clone())
                    .said(format!(
                        "{} is not set, so the value in the code is taken",
                        key.name
                    ))
                    .repair(new_key(subject, &key.name)),
            );
        }
    }
    for file in subject
        .app
        .files
        .iter()
        .filter(|f| !f.relative.contains("test") && !f.relative.contains("example"))
    {
        for found in in_code(file)
            .into_iter()
            .filter(|k| k.without == Without::Written)
        {
            hits.push(Hit::proved("").at(found.span));
        }
    }
    hits
}

pub(crate) fn differ(scene: &Scene) -> Vec<(Option<usize>, Hit)> {
    let mut hits = Vec::new();
    for (index, subject) in scene.subjects.iter().enumerate() {
        for key in &subject.keys {
            let mut values = key.values.iter().filter(|v| !v.secret.expose().is_empty());
            let Some(first) = values.next() else { continue };
            if let Some(other) = values.find(|v| v.secret != first.secret) {
                let hit = at(at(Hit::proved(&key.name), first), other);
                hits.push((
                    Some(index),
                    hit.said("the first is what the program gets")
                        .advice("keep it in one place"),
                ));
            }
            // Programs of one directory are one application.
            for later in scene
                .subjects
                .iter()
                .skip(index + 1)
                .filter(|s| s.dir.is_some() && s.dir == subject.dir)
            {
                let other = later
                    .keys
                    .iter()
                    .find(|k| k.name == key.name)
                    .and_then(|k| k.values.first());
                if let Some(other) = other.filter(|o| o.secret != first.secret) {
                    let hit = at(
                        at(
                            Hit::proved(format!(
                                "{} of {} and {}",
                                key.name, subject.name, later.name
                            )),
                            first,
                        ),
                        other,
                    );
                    hits.push((Some(index), hit));
                }
            }
        }
    }
    hits
}

pub(crate) fn shared(scene: &Scene) -> Vec<(Option<usize>, Hit)> {
    let mut hits = Vec::new();
    let user = |s: &Subject| {
        s.program
            .as_ref()
            .and_then(|p| p.user.as_ref())
            .map(|u| u.uid)
    };
    for (index, subject) in scene.subjects.iter().enumerate() {
        for later in scene.subjects.iter().skip(index + 1) {
            let apart = user(subject).is_some()
                && user(later).is_some()
                && user(subject) != user(later)
                && subject.dir != later.dir;
            if !apart {
                continue;
            }
            for key in &subject.keys {
                let same = key.values.first().zip(
                    later
                        .keys
                        .iter()
                        .find(|k| k.name == key.name)
                        .and_then(|k| k.values.first()),
                );
                if let Some((one, other)) =
                    same.filter(|(a, b)| a.secret == b.secret && !a.secret.expose().is_empty())
                {
                    let hit = Hit::proved(format!(
                        "{} of {} and {}",
                        key.name, subject.name, later.name
                    ));
                    hits.push((Some(index), at(at(hit, one), other)));
                }
            }
        }
    }
    hits
}

pub(crate) fn leaked(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let mut hits = Vec::new();
    for file in subject.app.env_files.iter().filter(|f| f.is_read) {
        let name = file
            .path
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        if subject.app.is_tracked(&file.path)
            && subject.keys.iter().any(|k| {
                k.values
                    .iter()
                    .any(|v| v.home == Home::EnvFile(file.path.clone()))
            })
        {
            hits.push(
                Hit::proved(format!("{name} is tracked by git")).said(format!(
                    "{} is in the index of {}",
                    file.path.display(),
                    subject
                        .app
                        .git_root
                        .as_deref()
                        .unwrap_or(Path::new(""))
                        .display()
                )),
            );
        }
    }
    for key in &subject.keys {
        let Some(value) = key
            .values
            .iter()
            .map(|v| v.secret.expose())
            .find(|v| v.len() >= SEARCHED_BYTES_MIN)
        else {
            continue;
        };
        let mut hit = Hit::proved(&key.name);
        let files = subject.app.files.iter();
        for file in files.filter(|file| !is_kept(&subject.app, file)) {
            if let Some(at) = file
                .text
                .find(value)
                .filter(|_| hit.evidence.len() < LEAKS_MAX)
            {
                let mut span = span_in(&file.shown(), &file.text, at..at + value.len());
                span.text = span.text.replace(value, "****").into();
                span.length = 4;
                hit = hit.at(span);
            }
        }
        for log in &subject.logs {
            if let Some(at) = log
                .text
                .find(value)
                .filter(|_| hit.evidence.len() < LEAKS_MAX)
            {
                let line = log.text[..at].rfind('\n').map_or(0, |i| i + 1);
                let line = log.text[line..]
                    .lines()
                    .next()
                    .unwrap_or("")
                    .replace(value, "****");
                hit = hit.said(format!("{}: {line}", log.path.display()));
            }
        }
        for process in subject
            .processes
            .iter()
            .filter(|p| p.argv.iter().any(|w| w.contains(value)))
        {
            hit = hit.said(format!(
                "it stands in the argv of pid {}, which everyone here can read",
                process.pid
            ));
        }
        if subject.processes.is_empty()
            && let Some(layer) = subject
                .layers
                .first()
                .filter(|l| l.argv.iter().any(|w| w.contains(value)))
        {
            let mut span = layer.whole.clone();
            if let Some(span) = &mut span {
                span.text = span.text.replace(value, "****").into();
                span.length = 0;
            }
            hit = hit
                .at(span)
                .said("whoever can list processes here will read it on the command line");
        }
        if !hit.evidence.is_empty() {
            hits.push(hit);
        }
    }
    hits
}

/// The keyring in which Steadfast keeps the key, closed for others: where a key belongs. In a repository it has leaked.
fn is_kept(app: &App, file: &AppFile) -> bool {
    file.path.ends_with("keyring.json")
        && file.text.contains("\"steadfast_keyring\"")
        && !app.is_tracked(&file.path)
        && fs::metadata(&file.path).is_ok_and(|meta| meta.permissions().mode() & 0o077 == 0)
}

/// Env files that hold a key of the program.
fn key_files(subject: &Subject) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = subject
        .keys
        .iter()
        .flat_map(|k| &k.values)
        .filter_map(|v| match &v.home {
            Home::EnvFile(path) => Some(path.clone()),
            Home::Environment | Home::Process(_) => None,
        })
        .collect();
    files.sort();
    files.dedup();
    files
}

pub(crate) fn readable(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let mut hits = Vec::new();
    for file in key_files(subject) {
        let Ok(meta) = std::fs::metadata(&file) else {
            continue;
        };
        let mode = meta.permissions().mode() & 0o7777;
        if mode & 0o007 != 0 {
            let wanted = mode & !0o007;
            let ours = meta.uid() == sys::users::own_uid() || sys::users::own_uid() == 0;
            let shown = file.display();
            let hit = Hit::proved(shown.to_string())
                .said(format!("its mode is {mode:04o}"))
                .advice(format!(
                    "chmod o-rwx {}",
                    servers::shell_line(&[shown.to_string()])
                ));
            hits.push(hit.repair(ours.then_some(Repair::Mode { file, mode: wanted })));
        }
    }
    hits
}

/// Kinds of file systems whose files do not outlive what they belong to (statfs(2)), and what that is.
const FLEETING: &[(i64, &str)] = &[
    (
        0x0102_1994,
        "it lies in memory (tmpfs): it is gone at the next boot",
    ),
    (
        0x8584_58f6,
        "it lies in memory (ramfs): it is gone at the next boot",
    ),
    (
        OVERLAY,
        "it lies in a container's own layer (overlayfs): it is gone when the container is replaced",
    ),
];
/// Also used by some systems that boot from a read-only image, and keep the layer.
const OVERLAY: i64 = 0x794c_7630;

pub(crate) fn volatile(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let mut hits = Vec::new();
    for file in key_files(subject) {
        let kind = rustix::fs::statfs(file.as_path()).map(|s| s.f_type);
        let fleeting = FLEETING.iter().find(|(magic, _)| kind == Ok(*magic));
        if let Some((magic, words)) = fleeting {
            let what = file.display().to_string();
            let hit = match *magic == OVERLAY {
                true => Hit::likely(what),
                false => Hit::proved(what),
            };
            hits.push(hit.said(*words));
        }
    }
    hits
}
