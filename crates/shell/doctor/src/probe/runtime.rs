//! SF5xx: what runs, and what logs tell of it.

use crate::model::Hit;
use crate::probe::{dev, evidence};
use crate::scene::{Scene, Subject, ports, watches};
use crate::time::duration;
use crate::tools;

/// Fewer exits than this happen to everyone.
const EXITS_MIN: usize = 3;
/// Descriptors in use, in parts of a hundred of the limit.
const FDS_PERCENT_MAX: usize = 80;

/// Bytes of a command line that are shown.
const HOLDER_BYTES_MAX: usize = 200;

/// The names of a subject in Supervisor's log.
fn names(subject: &Subject) -> Vec<String> {
    let processes = subject
        .program
        .iter()
        .flat_map(|p| p.processes.iter().map(|d| d.name.clone()));
    processes.collect()
}

/// Ends that nobody asked for within the last day, by Steadfast's ledger: one line each, oldest first.
fn told_exits(scene: &Scene, subject: &Subject) -> Vec<String> {
    let since_ms = scene.now_unix_s.saturating_sub(evidence::DAY_S) * 1_000;
    let recent = subject.happened.iter().filter(|e| e.at_ms >= since_ms);
    let ends = recent.filter_map(|entry| {
        let happened = entry.happened()?;
        let bad = happened.is_end() && !happened.expected;
        let asked = ["operator", "config change", "shutdown", "removed"];
        (bad && !asked.contains(&happened.why.as_str())).then(|| in_words(scene, entry, happened))
    });
    ends.collect()
}

/// `ledger, 3m 02s ago: pid 842 ended, status 1 (crash): ValueError: no`.
fn in_words(scene: &Scene, entry: &ledger::Entry, happened: &ledger::Happened) -> String {
    let ago = duration(scene.now_unix_s.saturating_sub(entry.at_ms / 1_000));
    let end = match happened.exit {
        Some(status @ 0..) => format!("status {status}"),
        Some(signal) => format!("signal {}", signal.saturating_neg()),
        None => "ended".to_owned(),
    };
    let last = happened.note.lines().rfind(|l| !l.trim().is_empty());
    let last = last.map_or_else(String::new, |line| format!(": {}", line.trim()));
    let (pid, why) = (happened.pid, &happened.why);
    format!("ledger, {ago} ago: pid {pid} ended, {end} ({why}){last}")
}

/// The same by Supervisor's log.
fn logged_exits(scene: &Scene, subject: &Subject) -> Vec<String> {
    let Some(log) = subject.config(scene).and_then(|c| c.log.as_ref()) else {
        return Vec::new();
    };
    let names = names(subject);
    let all = names.iter().filter_map(|n| log.exits.get(n)).flatten();
    // Only the last day of the log.
    let newest = log.newest.unwrap_or(i64::MAX);
    let day = i64::try_from(evidence::DAY_S).unwrap_or(i64::MAX);
    let recent = all.filter(|(at, _)| at.is_none_or(|at| newest - at < day));
    recent
        .map(|(_, line)| format!("{}: {line}", log.path.display()))
        .collect()
}

pub(crate) fn exits(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let mut all = told_exits(scene, subject);
    if all.is_empty() {
        all = logged_exits(scene, subject);
    }
    if all.len() < EXITS_MIN {
        return Vec::new();
    }
    let up = subject
        .processes
        .first()
        .map(|p| scene.now_unix_s.saturating_sub(p.start_unix_s));
    let mut hit = Hit::proved(format!("{} unexpected exits in 24 h", all.len()));
    if let Some(last) = all.pop() {
        hit = hit.said(last);
    }
    if let Some(up) = up {
        hit = hit.said(format!("it is up for {} now", duration(up)));
        if up > 3_600 {
            hit = hit.weigh(finding::Severity::Warning);
        }
    }
    vec![hit]
}

/// Whether the definition itself shows development mode.
fn visible(scene: &Scene, subject: &Subject) -> bool {
    let flags = subject
        .layers
        .iter()
        .any(|l| !l.server.reloads.is_empty() || !tools::hits(l).is_empty());
    flags
        || !dev::file_setting(scene, subject).is_empty()
        || !dev::in_code(scene, subject).is_empty()
}

pub(crate) fn reloads(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    if visible(scene, subject) || subject.logs.iter().all(|l| l.reloads.is_empty()) {
        return Vec::new();
    }
    let mut hit = Hit::likely("").weigh(finding::Severity::Note);
    if let Some(told) = evidence::restarts(scene, subject) {
        hit = hit.said(told.words());
        for line in told.lines() {
            hit = hit.said(line);
        }
    }
    vec![hit.advice("if the reloader is off since, nothing more is to be done")]
}

pub(crate) fn announced(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let reloads = subject.logs.iter().any(|l| !l.reloads.is_empty());
    if visible(scene, subject) || reloads {
        return Vec::new();
    }
    let seen = subject
        .logs
        .iter()
        .find_map(|l| l.watcher.as_ref().map(|w| (l, w)));
    seen.map(|(log, line)| Hit::likely("").said(format!("{}: {line}", log.path.display())))
        .into_iter()
        .collect()
}

pub(crate) fn tracebacks(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let mut hits = Vec::new();
    for log in subject.logs.iter().filter(|l| !l.tracebacks.is_empty()) {
        let mut all: Vec<(&String, &usize)> = log.tracebacks.iter().collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let mut hit = Hit::proved(format!("{} distinct in {}", all.len(), log.path.display()));
        for (line, count) in all.iter().take(3) {
            hit = hit.said(format!("{count} x {}", finding::mask_line(line)));
        }
        hits.push(hit);
    }
    hits
}

pub(crate) fn watching(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    if visible(scene, subject) || subject.app.files.iter().all(|f| f.language.is_none()) {
        return Vec::new();
    }
    let Some(watches) =
        watches::find(&subject.processes, subject.dir.as_deref()).filter(|w| w.whole_dir)
    else {
        return Vec::new();
    };
    let paths: Vec<String> = watches
        .inside
        .iter()
        .take(3)
        .map(|p| p.display().to_string())
        .collect();
    vec![Hit::likely("").said(format!(
        "pid {} watches {} paths, among them {}",
        watches.pid,
        watches.count,
        paths.join(", ")
    ))]
}

pub(crate) fn polling(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let marked = evidence::marked(&subject.processes);
    let hit = marked.map(|(pid, mark)| {
        Hit::proved("").said(format!(
            "pid {pid} has {mark}=true in its environment: a reloader started it"
        ))
    });
    hit.into_iter().collect()
}

pub(crate) fn down(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let Some(config) = subject.config(scene) else {
        return Vec::new();
    };
    let names = names(subject);
    let group = subject.program.as_ref().map(|p| p.group.as_str());
    let told = config
        .told
        .iter()
        .filter(|t| Some(t.group.as_str()) == group && names.contains(&t.name));
    let bad = told.filter(|t| {
        ["FATAL", "BACKOFF"].contains(&t.state.as_str()) || t.state == "EXITED" && subject.serves()
    });
    bad.map(|t| {
        let mut hit = Hit::proved(&t.state);
        if !t.spawn_error.is_empty() {
            hit = hit.said(&t.spawn_error);
        }
        let last = config.log.as_ref().and_then(|l| l.gave_up.get(&t.name));
        if let Some(line) = last {
            hit = hit.said(line);
        }
        for log in &subject.logs {
            if let Some(line) = &log.last {
                hit = hit.said(format!("{}: {line}", log.path.display()));
            }
        }
        hit.at(subject.span())
    })
    .collect()
}

pub(crate) fn port(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    if !subject.processes.is_empty() {
        return Vec::new();
    }
    let taken = subject
        .logs
        .iter()
        .find_map(|l| l.port_taken.as_ref().map(|line| (l, line)));
    let Some((log, line)) = taken else {
        return Vec::new();
    };
    let mut hit = Hit::likely("").said(format!("{}: {line}", log.path.display()));
    let binds = subject.main_layer().map(|l| l.server.binds.as_slice());
    for bind in binds.unwrap_or_default() {
        if let servers::Address::Tcp { port, .. } = &bind.address
            && let Some(pid) = ports::holder(*port)
        {
            let command = sys::proc::command_line(pid, HOLDER_BYTES_MAX);
            let command = finding::mask_line(&command);
            hit = hit.said(format!("pid {pid} holds port {port} now: {command}"));
        }
    }
    vec![hit]
}

pub(crate) fn killed(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let told = subject.happened.iter().rev().find_map(|entry| {
        let happened = entry.happened()?;
        (happened.why == "out of memory").then(|| in_words(scene, entry, happened))
    });
    if let Some(line) = told {
        return vec![Hit::proved("by the kernel, out of memory").said(line)];
    }
    let Some(log) = subject.config(scene).and_then(|c| c.log.as_ref()) else {
        return Vec::new();
    };
    let names = names(subject);
    let line = names.iter().find_map(|n| log.killed.get(n));
    line.map(|line| Hit::likely("").said(format!("{}: {line}", log.path.display())))
        .into_iter()
        .collect()
}

pub(crate) fn no_supervisor(scene: &Scene) -> Vec<(Option<usize>, Hit)> {
    let silent = scene
        .configs
        .iter()
        .filter(|c| c.daemon.is_none() && c.told.is_empty());
    silent
        .map(|c| {
            let pidfile = &c.loaded.model.supervisord.pidfile;
            (
                None,
                Hit::proved("").said(format!(
                    "no supervisord runs from {} (pidfile {pidfile}); only files were looked at",
                    c.shown
                )),
            )
        })
        .collect()
}

pub(crate) fn descriptors(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let mut hits = Vec::new();
    for process in &subject.processes {
        if let (Some(used), Some(max)) = (process.fds, process.fds_max)
            && used * 100 >= max * FDS_PERCENT_MAX
        {
            hits.push(Hit::proved("").said(format!(
                "pid {} has {used} of {max} descriptors open",
                process.pid
            )));
        }
    }
    hits
}
