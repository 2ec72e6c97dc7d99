//! What Steadfast's ledger tells is evidence beside the logs: ends that nobody asked for, a kill by the kernel, a flag that is back.

mod common;

use std::fs;
use std::path::Path;

use common::{doctor, findings};
use ledger::{Entry, Happened, LINE_VERSION, Ledger, What};

const NOW: fn() -> u64 = sys::clock::wall_ms;

/// A configuration whose ledger is in its directory.
fn config(dir: &Path, command: &str) -> String {
    let here = dir.display();
    fs::create_dir_all(dir.join("app")).expect("made");
    let text = format!(
        "[supervisord]\npidfile = {here}/s.pid\nlogfile = {here}/s.log\n[steadfast]\nstate_dir = {here}\nguard = off\n\
         [program:backend]\ncommand = {command}\ndirectory = {here}/app\n"
    );
    fs::write(dir.join("supervisord.conf"), text).expect("written");
    dir.join("supervisord.conf").display().to_string()
}

/// An entry of some minutes ago.
fn entry(minutes: u64, what: What) -> Entry {
    Entry {
        v: LINE_VERSION,
        at_ms: NOW() - minutes * 60_000,
        noted_ms: 0,
        process: "backend".to_owned(),
        what,
    }
}

/// The end of a process.
fn end(minutes: u64, seq: u64, why: &str, exit: i32) -> Entry {
    entry(
        minutes,
        What::Transition(Happened {
            seq,
            pid: 842,
            from: "RUNNING".to_owned(),
            to: "EXITED".to_owned(),
            why: why.to_owned(),
            exit: Some(exit),
            expected: why == "operator",
            note: "Traceback (most recent call last):\nValueError: no".to_owned(),
            ..Happened::default()
        }),
    )
}

fn written(dir: &Path, entries: &[Entry]) {
    let mut ledger = Ledger::open(dir).expect("a ledger");
    for entry in entries {
        ledger.append(entry, NOW()).expect("written");
    }
}

fn codes(config: &str) -> Vec<String> {
    let found = findings(&["-c", config]);
    found.into_iter().map(|(code, _)| code).collect()
}

#[test]
fn unexpected_ends_are_counted_and_asked_for_ones_are_not() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let config = config(dir.path(), "uvicorn server:app --port 8001");
    let old = end(2 * 24 * 60, 1, "crash", 1);
    let asked = end(50, 2, "operator", -15);
    written(
        dir.path(),
        &[old, asked, end(30, 3, "crash", 1), end(20, 4, "crash", 1)],
    );
    assert!(!codes(&config).contains(&"SF501".to_owned()));
    written(dir.path(), &[end(10, 5, "crash", 1)]);
    let out = doctor(&["-c", &config, "--select", "SF501"]).out;
    assert!(out.contains("3 unexpected exits in 24 h"), "{out}");
    let line = "ledger, 10m 0";
    assert!(out.contains(line), "{out}");
    assert!(
        out.contains("pid 842 ended, status 1 (crash): ValueError: no"),
        "{out}"
    );
}

#[test]
fn a_kill_by_the_kernel_is_proved() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let config = config(dir.path(), "uvicorn server:app --port 8001");
    written(dir.path(), &[end(10, 1, "out of memory", -9)]);
    let out = doctor(&["-c", &config, "--select", "SF508"]).out;
    assert!(out.contains("SF508") && out.contains("proved"), "{out}");
    assert!(out.contains("signal 9 (out of memory)"), "{out}");
}

#[test]
fn a_flag_that_was_removed_and_is_back_is_known_from_the_ledger() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let command = "uvicorn server:app --port 8001 --reload";
    let config = config(dir.path(), command);
    assert!(!codes(&config).contains(&"SF303".to_owned()));
    let without = command.replace(" --reload", "");
    let change = What::Config {
        changes: vec![format!("command {command} -> {without}")],
        by: "update by root (pts/0)".to_owned(),
    };
    written(dir.path(), &[entry(100, change)]);
    let out = doctor(&["-c", &config, "--select", "SF303"]).out;
    let words = "it was removed before: 1h 40m ago, update by root (pts/0) (ledger)";
    assert!(out.contains(words), "{out}");
}
