//! A real keeper with real programs; this test is its daemon and its gateway.
#![allow(missing_docs)]

mod common;

use common::*;
use rustix::event::{PollFd, PollFlags};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use sys::seq::Conn;
use wire::{Address, Command, Notice, Outcome, Phase, Ready, Replace, Report, Role, Spec, State};

#[test]
fn a_program_is_started_its_output_kept_and_stopped() {
    let mut bench = bench();
    let spec = bench.spec("echo hello; echo oops >&2; exec tail -f /dev/null");
    let (outcome, text) = bench.start(&spec);
    assert_eq!(outcome, Outcome::Done, "{text}");
    let pid = bench
        .daemon
        .fact("running", |fact| fact.state == State::Running)
        .pid;
    let log = bench.log();
    until("output in the log", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text == "hello\noops\n")
    });
    bench.daemon.say(&Command::Stop {
        op: 2,
        cause: operator(),
        window: false,
    });
    assert_eq!(bench.daemon.answer(2).0, Outcome::Done);
    assert!(sys::proc::stat(pid).is_none());
    let states: Vec<State> = bench
        .daemon
        .transitions
        .iter()
        .map(|transition| transition.to)
        .collect();
    assert_eq!(
        states,
        [
            State::Starting,
            State::Running,
            State::Stopping,
            State::Stopped
        ]
    );
    assert_eq!(bench.daemon.transitions[3].exit, Some(-15));
}

#[test]
fn a_crash_is_followed_by_a_new_pid_without_any_daemon() {
    let mut bench = bench();
    let spec = Spec {
        autorestart: wire::Autorestart::Always,
        ..bench.spec("exec tail -f /dev/null")
    };
    bench.start(&spec);
    let mut gateway = bench.gateway();
    let first = gateway
        .fact("running", |fact| fact.phase == Phase::Ready)
        .pid;
    let (daemon, _) = Conn::pair().unwrap();
    bench.daemon.conn = daemon;
    sys::signal::send(first, 9).unwrap();
    // It lived less than a second, so it comes back a second after its start; nobody asked.
    let second = gateway.fact("running again", |fact| {
        fact.phase == Phase::Ready && fact.pid != first
    });
    assert_eq!(second.generation, 1);
    // A new daemon learns what it missed.
    let mut daemon = Peer::connect(&bench.dir.path().join("control"), Role::Daemon, 2);
    daemon.fact("the truth", |fact| fact.pid == second.pid);
    while !daemon
        .transitions
        .iter()
        .any(|transition| transition.to == State::Running && transition.pid == second.pid)
    {
        daemon.read_one();
    }
    let exited = daemon
        .transitions
        .iter()
        .find(|transition| transition.to == State::Exited)
        .unwrap();
    assert_eq!((exited.exit, exited.pid), (Some(-9), first));
}

#[test]
fn a_lower_epoch_is_refused() {
    let bench = bench();
    let path = bench.dir.path().join("control");
    let _newer = Peer::connect(&path, Role::Daemon, 7);
    let mut older = Peer::connect(&path, Role::Daemon, 3);
    let frame = older.frame().unwrap();
    assert_eq!(
        wire::decode::<Report>(&frame).unwrap(),
        Report::StaleEpoch { seen: 7 }
    );
    assert!(older.frame().is_none());
}

#[test]
fn a_missing_command_is_refused_before_anything_happens() {
    let mut bench = bench();
    let spec = Spec {
        argv: vec!["/no/such/thing".into()],
        ..bench.spec("")
    };
    let (outcome, text) = bench.start(&spec);
    assert_eq!(
        (outcome, text.as_str()),
        (Outcome::NoFile, "can't find command '/no/such/thing'")
    );
    assert!(bench.daemon.transitions.is_empty());
}

#[test]
fn a_program_that_dies_at_once_shows_its_last_words() {
    let mut bench = bench();
    let spec = Spec {
        start_secs: 30,
        ..bench.spec("echo no module named x; exit 3")
    };
    let (outcome, text) = bench.start(&spec);
    assert_eq!(outcome, Outcome::Abnormal);
    assert!(
        text.contains("exited with status 3") && text.contains("no module named x"),
        "{text}"
    );
    // Known by then, for whoever asks why.
    let known = bench.daemon.facts.last().expect("a fact");
    assert_eq!(
        (known.state, known.spawn_error.as_str()),
        (
            State::Backoff,
            "Exited too quickly (process log may have details)"
        )
    );
}

#[test]
fn its_last_words_are_shown_also_when_it_is_started_again_at_once() {
    let mut bench = bench();
    let spec = Spec {
        ready: Ready::Connect {},
        autorestart: wire::Autorestart::Always,
        ..bench.spec("sleep 1.5; echo no module named x; exit 3")
    };
    let (outcome, text) = bench.start(&spec);
    assert_eq!(outcome, Outcome::Abnormal);
    assert!(text.contains("no module named x"), "{text}");
}

#[test]
fn readiness_by_descriptor_log_line_and_http() {
    let fd = Ready::Descriptor { number: 9 };
    let log = Ready::Log {
        pattern: "^listening on [0-9]+$".into(),
    };
    for (ready, script) in [
        (fd, "echo 1 >&$STEADFAST_READY_FD; exec tail -f /dev/null"),
        (
            log,
            "echo starting; echo listening on 80; exec tail -f /dev/null",
        ),
    ] {
        let mut bench = bench();
        let spec = Spec {
            ready,
            ..bench.spec(script)
        };
        assert_eq!(bench.start(&spec).0, Outcome::Done, "{script}");
    }
    let http = Ready::Http {
        path: "/".into(),
        host: "localhost".into(),
    };
    let mut bench = bench();
    let spec = Spec {
        ready: http,
        address: Address::GenerationPort {},
        argv: vec![
            "python3".into(),
            "-m".into(),
            "http.server".into(),
            "--bind".into(),
            "127.0.0.1".into(),
            wire::Text::Port {
                before: String::new(),
                after: String::new(),
            },
        ],
        ..bench.spec("")
    };
    let (outcome, text) = bench.start(&spec);
    assert_eq!(outcome, Outcome::Done, "{text}");
}

#[test]
fn a_restart_waits_for_the_gateway_and_a_gateway_that_is_silent_is_not_waited_for() {
    let mut bench = bench();
    let spec = Spec {
        gated: true,
        ..bench.spec("exec tail -f /dev/null")
    };
    bench.start(&spec);
    let mut gateway = bench.gateway();
    let first = gateway.fact("ready", |fact| fact.phase == Phase::Ready);
    let asked = Instant::now();
    bench.daemon.say(&Command::Restart {
        op: 5,
        cause: operator(),
        mode: None,
    });
    let draining = gateway.fact("draining", |fact| fact.phase == Phase::Draining);
    let in_time = asked.elapsed() < Duration::from_millis(500);
    gateway.notice(&Notice::Acknowledge {
        seq: draining.seq,
        in_flight: 1,
    });
    // A test that was put aside for longer is a gateway that is silent.
    assert!(
        !in_time || sys::proc::stat(first.pid).is_some(),
        "stopped before it was drained"
    );
    gateway.notice(&Notice::Drained {
        generation: first.generation,
        finished: 1,
        cut: 0,
    });
    let second = gateway.fact("ready again", |fact| {
        fact.phase == Phase::Ready && fact.pid != first.pid
    });
    assert_eq!(
        (bench.daemon.answer(5).0, second.generation),
        (Outcome::Done, 2)
    );
    // This time the gateway says nothing: after a second it goes on.
    let begun = Instant::now();
    bench.daemon.say(&Command::Restart {
        op: 6,
        cause: operator(),
        mode: None,
    });
    assert_eq!(bench.daemon.answer(6).0, Outcome::Done);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn an_overlap_switches_and_a_broken_one_does_not() {
    let mut bench = bench();
    let fd = Ready::Descriptor { number: 9 };
    let good = "echo 1 >&9; exec tail -f /dev/null";
    let spec = Spec {
        gated: true,
        replace: Replace::Overlap,
        ready: fd,
        ..bench.spec(good)
    };
    bench.start(&spec);
    let first = bench
        .daemon
        .fact("ready", |fact| fact.phase == Phase::Ready)
        .pid;
    bench.daemon.say(&Command::Restart {
        op: 5,
        cause: operator(),
        mode: None,
    });
    assert_eq!(bench.daemon.answer(5).0, Outcome::Done);
    let second = bench.daemon.fact("switched", |fact| {
        fact.pid != first && fact.leaving.is_none()
    });
    assert_eq!((second.generation, second.state), (2, State::Running));
    let broken = Spec {
        hash: "broken".into(),
        argv: vec!["sh".into(), "-c".into(), "echo boom; exit 1".into()],
        ..spec
    };
    bench.daemon.install(&broken, &[]);
    bench.daemon.say(&Command::Restart {
        op: 6,
        cause: operator(),
        mode: None,
    });
    let (outcome, text) = bench.daemon.answer(6);
    assert_eq!(outcome, Outcome::Abnormal);
    assert!(
        text.contains("generation 3 exited with status 1") && text.contains("boom"),
        "{text}"
    );
    let fact = bench
        .daemon
        .fact("the old one", |fact| fact.refused_hash == "broken");
    assert_eq!((fact.pid, fact.phase), (second.pid, Phase::Ready));
}

#[test]
fn listeners_are_handed_over_and_given_back() {
    let mut bench = bench();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = "test $LISTEN_FDS = 1 && test $LISTEN_PID = $$ && exec python3 -c 'import socket,sys\ns=socket.socket(fileno=3)\nwhile 1:\n c,_=s.accept(); c.send(b\"hi\"); c.close()'";
    let spec = Spec {
        listeners: 1,
        address: Address::Tcp {
            address: address.to_string(),
        },
        ready: Ready::Tcp {},
        ..bench.spec(script)
    };
    bench.daemon.install(&spec, &[listener.as_fd()]);
    drop(listener);
    bench.daemon.say(&Command::Start {
        op: 1,
        cause: operator(),
    });
    assert_eq!(bench.daemon.answer(1).0, Outcome::Done);
    let mut text = String::new();
    std::io::Read::read_to_string(
        &mut std::net::TcpStream::connect(address).unwrap(),
        &mut text,
    )
    .unwrap();
    assert_eq!(text, "hi");
    bench.daemon.say(&Command::GiveListeners { op: 3 });
    let mut frame = Vec::new();
    let fds = loop {
        rustix::event::poll(&mut [PollFd::new(&bench.daemon.conn, PollFlags::IN)], None).unwrap();
        let fds = bench.daemon.conn.recv(&mut frame).unwrap().unwrap();
        if matches!(
            wire::decode(&frame),
            Ok(Report::Listeners { op: 3, count: 1 })
        ) {
            break fds;
        }
    };
    assert_eq!(fds.len(), 1);
}

#[test]
fn leftovers_are_named_or_killed() {
    for kill in [false, true] {
        let mut bench = bench();
        let spec = Spec {
            kill_leftovers: kill,
            ..bench.spec("tail -f /dev/null & echo $! > pid; exec tail -f /dev/null")
        };
        let spec = Spec {
            directory: Some(bench.dir.path().to_str().unwrap().into()),
            ..spec
        };
        bench.start(&spec);
        let pid_file = bench.dir.path().join("pid");
        let mut left = 0;
        until("the grandchild", || {
            left = std::fs::read_to_string(&pid_file)
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(0);
            left > 0
        });
        bench.daemon.say(&Command::Stop {
            op: 2,
            cause: operator(),
            window: false,
        });
        assert_eq!(bench.daemon.answer(2).0, Outcome::Done);
        let said = |bench: &Bench| {
            bench
                .daemon
                .transitions
                .iter()
                .any(|transition| transition.note.contains(&left.to_string()))
        };
        while !said(&bench) {
            bench.daemon.read_one();
        }
        let lives = || sys::proc::stat(left).is_some_and(|stat| stat.state != 'Z');
        if kill {
            until("the grandchild is dead", || !lives());
        } else {
            assert!(lives());
            sys::signal::send(left, 9).unwrap();
        }
    }
}

#[test]
fn when_the_keeper_dies_its_process_dies_with_it() {
    let mut bench = bench();
    let spec = bench.spec("exec tail -f /dev/null");
    bench.start(&spec);
    let pid = bench.daemon.fact("running", |fact| fact.pid > 0).pid;
    bench.keeper.kill().unwrap();
    bench.keeper.wait().unwrap();
    until("the process is dead", || {
        sys::proc::stat(pid).is_none_or(|stat| stat.state == 'Z')
    });
}

#[test]
fn sigterm_to_the_keeper_ends_its_process_and_itself() {
    let mut bench = bench();
    let spec = bench.spec("exec tail -f /dev/null");
    bench.start(&spec);
    sys::signal::send(bench.keeper.id() as i32, 15).unwrap();
    assert_eq!(bench.keeper.wait().unwrap().code(), Some(0));
}

#[test]
fn a_burst_of_ten_thousand_lines_is_all_there() {
    let mut bench = bench();
    let spec = bench.spec("seq 1 10000; exec tail -f /dev/null");
    bench.start(&spec);
    let log = bench.log();
    until("all lines", || {
        std::fs::read_to_string(&log)
            .is_ok_and(|text| text.lines().count() == 10_000 && text.ends_with("10000\n"))
    });
}
