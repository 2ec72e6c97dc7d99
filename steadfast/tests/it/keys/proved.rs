//! `prove`, put to the test: a program that accepts every token has proved nothing, and that is said.

use super::app::{App, start};
use crate::harness::{eventually, seconds, venv};
use rustix::process::Signal;
use storm::procfs;

const NOTHING: &str = "`prove` proves nothing: /api/";

fn app(keys: &str) -> App {
    let uvicorn = venv("uvicorn").display().to_string();
    let command = format!("{uvicorn} backend:app --host 127.0.0.1 --port @PORT@ --workers 1");
    start(&command, keys)
}

fn said(app: &App, args: &[&str]) -> String {
    app.say(args).text()
}

#[test]
fn a_path_that_takes_any_token_is_a_warning_and_the_program_runs() {
    let app = app("prove = /api/health\n");
    eventually("warning in the status", seconds(20), || {
        said(&app, &["status"]).contains(NOTHING).then_some(())
    });
    let json: serde_json::Value =
        serde_json::from_str(&app.say(&["status", "--json"]).stdout).expect("JSON");
    let trouble = json["processes"][0]["trouble"].as_str();
    assert!(
        trouble.is_some_and(|text| text.starts_with(NOTHING)),
        "{json}"
    );
    let times = |text: &str| text.matches(NOTHING).count();
    let log = || std::fs::read_to_string(app.installation.path("supervisord.log")).expect("a log");
    eventually("warning in the log and the history", seconds(20), || {
        (times(&log()) == 1 && times(&said(&app, &["history"])) == 1).then_some(())
    });
    // A daemon that has come knows it too.
    let daemon = app.installation.daemon_pid().expect("a daemon");
    procfs::signal(daemon, Signal::KILL);
    eventually("warning of the next daemon", seconds(20), || {
        let said = app.installation.say(&["status"]).ok()?;
        said.stdout.contains(NOTHING).then_some(())
    });
}

#[test]
fn a_wrong_token_is_tried_once_in_a_generation() {
    let app = app("prove = /api/auth/verify\n");
    let answered = |status: u16| {
        let log = std::fs::read_to_string(app.installation.path("app.log")).expect("a log");
        let line = format!("\"GET /api/auth/verify HTTP/1.1\" {status}");
        log.matches(&line).count()
    };
    eventually("wrong token", seconds(20), || {
        (answered(401) == 1).then_some(())
    });
    let pid = app.installation.pid("app").expect("a pid");
    procfs::signal(pid, Signal::KILL);
    // The same generation proves itself again, and nobody tries anything else.
    eventually("second proof", seconds(30), || {
        (answered(200) == 2).then_some(())
    });
    let up = app.installation.wait_ready("app", storm::wait::PATIENCE);
    assert!(up.is_some(), "{}", app.installation.output());
    app.say(&["restart", "app"]);
    eventually("wrong token of the next generation", seconds(20), || {
        (answered(401) >= 2).then_some(())
    });
    assert_eq!((answered(401), answered(200)), (2, 3));
    let told = said(&app, &["status"]) + &said(&app, &["history"]);
    assert!(!told.contains(NOTHING), "{told}");
}
