//! docs/compatibility.md: every name that Supervisor has, with what becomes of it here. The names are asked of Supervisor's
//! own code (`apps/names.py`), the verdicts are in `table`, and each names the test that shows it.

mod table;

use crate::harness::{exe, venv, workspace};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use table::rows;

/// What becomes of a name.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    /// As in Supervisor.
    Same,
    /// As in Supervisor, and this besides.
    Better(&'static str),
    /// Not here, for this reason.
    Not(&'static str),
}

impl Verdict {
    fn words(self) -> String {
        match self {
            Verdict::Same => "same".to_owned(),
            Verdict::Better(how) => format!("better: {how}"),
            Verdict::Not(why) => format!("not: {why}"),
        }
    }
}

const KINDS: [&str; 3] = ["program", "eventlistener", "fcgi-program"];

/// Verdict and test by area and name.
fn table() -> BTreeMap<(String, String), (Verdict, &'static str)> {
    let mut table = BTreeMap::new();
    for row in rows() {
        for name in row.names {
            let kinds = if name.contains("{}") {
                &KINDS[..]
            } else {
                &[""]
            };
            for kind in kinds {
                let key = (row.area.to_owned(), name.replace("{}", kind));
                let before = table.insert(key.clone(), (row.verdict, row.test));
                assert!(before.is_none(), "two rows for {key:?}");
            }
        }
    }
    table
}

/// Area and name of everything that Supervisor has.
fn names() -> BTreeSet<(String, String)> {
    let output = Command::new(venv("python"))
        .arg(workspace().join("steadfast/tests/apps/names.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("python runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |line: &str| {
        let (area, name) = line.split_once('\t').expect("two columns");
        (area.to_owned(), name.to_owned())
    };
    text.lines().map(line).collect()
}

fn document() -> String {
    let mut text = String::from(
        "# Compatibility with Supervisor 4.3\n\n\
         Every section, key, option, command, method, fault, event and signal that Supervisor 4.3.0 has, as its own code \
         names them, and what becomes of it. *same*: a test runs the real one and ours beside each other and finds no \
         difference (or, for what cannot be run beside, holds ours to the real one's rule). *better*: the same, and this \
         besides. *not*: it is not here, and why.\n\n\
         This page is generated from the table that the tests use (`steadfast/tests/it/compatibility/table/`); a name \
         of Supervisor's without a row fails the build.\n",
    );
    let table = table();
    let (mut same, mut better, mut not) = (0, 0, 0);
    for (verdict, _) in table.values() {
        match verdict {
            Verdict::Same => same += 1,
            Verdict::Better(_) => better += 1,
            Verdict::Not(_) => not += 1,
        }
    }
    let _ = writeln!(
        text,
        "\n{} names: {same} the same, {better} better, {not} not.",
        table.len()
    );
    let mut last = "";
    for ((area, name), (verdict, test)) in &table {
        if area != last {
            let _ = writeln!(
                text,
                "\n## {}\n\n| name | | shown by |\n|---|---|---|",
                title(area)
            );
            last = area;
        }
        let _ = writeln!(text, "| `{name}` | {} | `{test}` |", verdict.words());
    }
    text
}

fn title(area: &str) -> String {
    match area {
        "key" => "Keys".to_owned(),
        "option of supervisord" => "Options of supervisord".to_owned(),
        "option of supervisorctl" => "Options of supervisorctl".to_owned(),
        other => {
            let (first, rest) = other.split_at(1);
            format!("{}{rest}s", first.to_uppercase())
        }
    }
}

#[test]
fn no_name_of_supervisors_is_missing_and_none_is_made_up() {
    let (names, table) = (names(), table());
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !table.contains_key(name))
        .collect();
    assert!(
        missing.is_empty(),
        "Supervisor has these, and no row does: {missing:#?}"
    );
    let invented: Vec<_> = table.keys().filter(|name| !names.contains(name)).collect();
    assert!(
        invented.is_empty(),
        "rows for what Supervisor does not have: {invented:#?}"
    );
}

#[test]
fn the_document_is_that_of_the_table() {
    let path = workspace().join("docs/compatibility.md");
    let document = document();
    if std::env::var_os("STEADFAST_BLESS").is_some() {
        std::fs::write(&path, &document).expect("written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == document,
        "docs/compatibility.md is not what the table says: run this test with STEADFAST_BLESS=1"
    );
}

#[test]
fn every_row_names_a_test_that_exists() {
    let mut sources = String::new();
    for dir in ["steadfast/tests", "crates/shell/supervisord"] {
        collect(&workspace().join(dir), &mut sources);
    }
    let missing: BTreeSet<_> = rows()
        .map(|row| row.test)
        .filter(|test| !sources.contains(&format!("fn {test}(")))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}

fn collect(dir: &Path, sources: &mut String) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *sources += &std::fs::read_to_string(&path).expect("read");
        }
    }
}

/// A file with every key of Supervisor's in its section: `check` must know all of them, or say what is not done.
#[test]
fn every_section_and_key_is_read_or_answered() {
    let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, name) in names().into_iter().filter(|(area, _)| area == "key") {
        let (section, key) = name
            .trim_start_matches('[')
            .split_once("] ")
            .expect("a key");
        sections
            .entry(section.to_owned())
            .or_default()
            .push(key.to_owned());
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut text = String::new();
    for (section, keys) in &sections {
        let _ = writeln!(text, "[{section}]");
        for key in keys {
            let _ = writeln!(text, "{key} = {}", value(section, key, dir.path()));
        }
    }
    text += "[program:member]\ncommand = true\n[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n[ctlplugin:mine]\nsupervisor.ctl_factory = my.module:factory\n";
    let file = dir.path().join("supervisord.conf");
    std::fs::write(
        &file,
        text.replace(":x]", ":{}]")
            .replace("[program:{}]", "[program:one]")
            .replace("[eventlistener:{}]", "[eventlistener:two]")
            .replace("[fcgi-program:{}]", "[fcgi-program:three]")
            .replace("[group:{}]", "[group:four]"),
    )
    .expect("written");
    let output = Command::new(exe())
        .args(["check", "-c"])
        .arg(&file)
        .output()
        .expect("runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!told.contains("is not a key of"), "{told}");
    assert!(!told.contains("error:"), "{told}");
    assert!(told.contains("ctlplugin:mine"), "{told}");
}

/// A value that each key takes.
fn value(section: &str, key: &str, dir: &Path) -> String {
    let dir = dir.display();
    match key {
        "command" => "true".to_owned(),
        "programs" => "member".to_owned(),
        "events" => "TICK_60".to_owned(),
        "files" => "none*.conf".to_owned(),
        "process_name" => "%(program_name)s_%(process_num)d".to_owned(),
        "socket" => format!("unix://{dir}/fcgi.sock"),
        "socket_mode" | "chmod" => "0700".to_owned(),
        "socket_owner" | "chown" | "user" => "root".to_owned(),
        "file" => format!("{dir}/s.sock"),
        "port" => "127.0.0.1:1".to_owned(),
        "serverurl" if section == "supervisorctl" => format!("unix://{dir}/s.sock"),
        "serverurl" => "AUTO".to_owned(),
        "logfile" | "pidfile" | "history_file" => format!("{dir}/{key}"),
        "stdout_logfile" | "stderr_logfile" => "AUTO".to_owned(),
        "childlogdir" | "directory" => dir.to_string(),
        "environment" => "A=\"b\"".to_owned(),
        "exitcodes" => "0".to_owned(),
        "umask" => "022".to_owned(),
        "loglevel" => "info".to_owned(),
        "stopsignal" => "TERM".to_owned(),
        "autorestart" => "unexpected".to_owned(),
        "result_handler" => "supervisor.dispatchers:default_handler".to_owned(),
        "identifier" | "prompt" | "username" | "password" => "word".to_owned(),
        "redirect_stderr"
        | "stopasgroup"
        | "killasgroup"
        | "autostart"
        | "nodaemon"
        | "silent"
        | "nocleanup"
        | "strip_ansi"
        | "stdout_events_enabled"
        | "stderr_events_enabled"
        | "stdout_syslog"
        | "stderr_syslog" => "false".to_owned(),
        _ => "1".to_owned(),
    }
}
