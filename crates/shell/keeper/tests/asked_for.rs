//! What Supervisor's users have asked for: readiness by command and by sd_notify, logs with prefix and as JSON.
#![allow(missing_docs)]

mod common;
use common::*;
use wire::{Autorestart, Command, Outcome, Phase, Ready, Spec, State};

fn exec(command: &str) -> Ready {
    Ready::Exec {
        argv: vec!["sh".into(), "-c".into(), command.into()],
    }
}

#[test]
fn ready_by_command_is_running_when_the_command_succeeds() {
    let mut bench = bench();
    let flag = bench.dir.path().join("flag");
    let spec = Spec {
        ready: exec("test -f \"$FLAG\""),
        env: vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("FLAG".into(), flag.to_str().unwrap().into()),
        ],
        ..bench.spec("exec sleep 1000")
    };
    bench.daemon.install(&spec, &[]);
    bench.daemon.say(&Command::Start {
        op: 1,
        cause: operator(),
    });
    bench.daemon.fact("a process", |fact| {
        fact.pid > 0 && fact.state == State::Starting
    });
    assert!(bench.daemon.answers.is_empty());
    std::fs::write(&flag, "").unwrap();
    assert_eq!(bench.daemon.answer(1).0, Outcome::Done);
    bench
        .daemon
        .fact("ready", |fact| fact.phase == Phase::Ready);
}

#[test]
fn a_command_that_fails_or_hangs_says_so_and_leaves_nothing_behind() {
    let mut bench = bench();
    let mark = bench.dir.path().join("hung.pid");
    let spec = Spec {
        ready: exec(&format!(
            "sleep 1000 & echo $! > {}; echo no database; exit 4",
            mark.display()
        )),
        ready_timeout_ms: 8_000,
        start_retries: 0,
        ..bench.spec("exec sleep 1000")
    };
    let (outcome, text) = bench.start(&spec);
    assert_eq!(outcome, Outcome::Abnormal);
    assert!(
        text.contains("`sh` exited with status 4: no database"),
        "{text}"
    );
    bench
        .daemon
        .fact("fatal", |fact| fact.state == State::Fatal);
    let said = |transition: &wire::Transition| transition.note.contains("left");
    assert!(
        !bench.daemon.transitions.iter().any(said),
        "the check's own"
    );
}

#[test]
fn keepalive_runs_the_command_again_and_a_failure_restarts() {
    let mut bench = bench();
    let flag = bench.dir.path().join("healthy");
    std::fs::write(&flag, "").unwrap();
    let spec = Spec {
        ready: exec(&format!("test -f {}", flag.display())),
        keepalive_ms: 500,
        unhealthy_after: 2,
        ..bench.spec("exec sleep 1000")
    };
    assert_eq!(bench.start(&spec).0, Outcome::Done);
    let first = bench
        .daemon
        .fact("ready", |fact| fact.phase == Phase::Ready)
        .pid;
    std::fs::remove_file(&flag).unwrap();
    bench
        .daemon
        .fact("another process", |fact| fact.pid > 0 && fact.pid != first);
    std::fs::write(&flag, "").unwrap();
    bench.daemon.fact("ready again", |fact| {
        fact.phase == Phase::Ready && fact.pid != first
    });
}

const SAY: &str = "import socket,os
s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.connect(os.environ['NOTIFY_SOCKET'])
s.send(b'STATUS=migrating\\nRELOADING=1'); s.send(b'READY=1\\nSTATUS=serving')";

#[test]
fn ready_by_notify_counts_from_the_programs_own_tree_only() {
    let mut bench = bench();
    let go = bench.dir.path().join("go");
    let script = format!(
        "while ! test -f {}; do sleep 0.02; done; python3 -c \"$SAY\"; exec sleep 1000",
        go.display()
    );
    let spec = Spec {
        ready: Ready::Notify {},
        env: vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("SAY".into(), SAY.into()),
        ],
        ..bench.spec(&script)
    };
    bench.daemon.install(&spec, &[]);
    bench.daemon.say(&Command::Start {
        op: 1,
        cause: operator(),
    });
    bench.daemon.fact("a process", |fact| fact.pid > 0);
    let path = bench.dir.path().join("1.notify");
    // This test is no part of the program.
    let stranger = std::os::unix::net::UnixDatagram::unbound().unwrap();
    stranger.send_to(b"READY=1", &path).unwrap();
    while !bench
        .daemon
        .transitions
        .iter()
        .any(|transition| transition.note.contains("not of its tree"))
    {
        bench.daemon.read_one();
    }
    bench
        .daemon
        .fact("still starting", |fact| fact.state == State::Starting);
    std::fs::write(&go, "").unwrap();
    assert_eq!(bench.daemon.answer(1).0, Outcome::Done);
    bench.daemon.say(&Command::Stop {
        op: 2,
        cause: operator(),
        window: false,
    });
    assert_eq!(bench.daemon.answer(2).0, Outcome::Done);
    assert!(!path.exists(), "the socket goes with its generation");
}

#[test]
fn a_oneshot_that_succeeds_answers_its_start_and_one_that_fails_says_why() {
    let mut bench = bench();
    let oneshot = |script: &str, bench: &Bench| Spec {
        oneshot: true,
        autorestart: Autorestart::Never,
        ..bench.spec(script)
    };
    let good = oneshot("echo migrated", &bench);
    let (outcome, text) = bench.start(&good);
    assert_eq!(outcome, Outcome::Done, "{text}");
    let bad = oneshot("echo no such table; exit 3", &bench);
    bench.daemon.answers.clear();
    let (outcome, text) = bench.start(&bad);
    assert_eq!(outcome, Outcome::Abnormal);
    assert!(text.contains("no such table"), "{text}");
}

#[test]
fn logs_have_the_prefix_and_the_format_that_was_asked_for() {
    let mut bench = bench();
    let spec = Spec {
        log_prefix: "p |".into(),
        oneshot: true,
        ..bench.spec("echo one; printf 'two\\nrest'")
    };
    assert_eq!(bench.start(&spec).0, Outcome::Done);
    let log = bench.log();
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    until("the log is whole", || read().contains("rest"));
    assert_eq!(read(), "p | one\np | two\np | rest\n");
    let spec = Spec {
        log_json: true,
        oneshot: true,
        redirect_stderr: false,
        hash: "json".into(),
        stderr: wire::Sink::File {
            path: log.clone(),
            max_bytes: 0,
            backups: 0,
        },
        ..bench.spec("echo out; echo err >&2")
    };
    std::fs::write(&log, "").unwrap();
    bench.daemon.answers.clear();
    assert_eq!(bench.start(&spec).0, Outcome::Done);
    until("both streams", || read().lines().count() == 2);
    let text = read();
    assert!(
        text.contains("\"stream\":\"stdout\",\"message\":\"out\"}"),
        "{text}"
    );
    assert!(
        text.contains("\"stream\":\"stderr\",\"message\":\"err\"}"),
        "{text}"
    );
    assert!(
        text.lines().all(|line| line.starts_with("{\"time\":\"2")),
        "{text}"
    );
}
