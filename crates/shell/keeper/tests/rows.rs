//! The rows that are rare: what crashes in the middle, what is hostile, what must not leak.
#![allow(missing_docs)]

mod common;

use common::*;
use rustix::event::{PollFd, PollFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use sys::seq::Conn;
use wire::{
    Address, Command, Notice, Outcome, Phase, Ready, Replace, Role, Sink, Spec, State, Text,
};

const FOREVER: &str = "exec tail -f /dev/null";

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn alive(pid: i32) -> bool {
    sys::proc::stat(pid).is_some_and(|stat| stat.state != 'Z')
}

impl Bench {
    fn restart(&mut self, op: u64) {
        self.daemon.say(&Command::Restart {
            op,
            cause: operator(),
            mode: None,
        });
    }
    fn stop(&mut self, op: u64, window: bool) {
        self.daemon.say(&Command::Stop {
            op,
            cause: operator(),
            window,
        });
    }
    fn pid(&mut self) -> i32 {
        self.daemon
            .fact("ready", |fact| fact.phase == Phase::Ready)
            .pid
    }
}

/// True once the keeper has closed the connection.
fn closed(conn: &Conn) -> bool {
    let mut frame = Vec::new();
    loop {
        let timeout = rustix::time::Timespec {
            tv_sec: DEADLINE.as_secs() as i64,
            tv_nsec: 0,
        };
        let woken = rustix::event::poll(&mut [PollFd::new(conn, PollFlags::IN)], Some(&timeout));
        if woken != Ok(1) {
            return false;
        }
        match conn.recv(&mut frame) {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return true,
        }
    }
}

#[test]
fn a_hung_server_is_found_by_its_keepalive_and_started_again() {
    let mut bench = bench();
    let spec = Spec {
        ready: Ready::Http {
            path: "/".into(),
            host: "localhost".into(),
        },
        address: Address::GenerationPort {},
        keepalive_ms: 2_000,
        unhealthy_after: 1,
        argv: vec![
            "python3".into(),
            "-m".into(),
            "http.server".into(),
            "--bind".into(),
            "127.0.0.1".into(),
            Text::Port {
                before: String::new(),
                after: String::new(),
            },
        ],
        ..bench.spec("")
    };
    assert_eq!(bench.start(&spec).0, Outcome::Done);
    let first = bench.pid();
    sys::signal::send(first, 19).unwrap();
    let fact = bench.daemon.fact("another process", |fact| {
        fact.phase == Phase::Ready && fact.pid != first
    });
    assert_eq!(fact.generation, 1, "the same definition");
    assert!(!alive(first));
    let said = |transition: &wire::Transition| {
        transition.cause.why == wire::Why::Unhealthy
            && transition.cause.text.contains("no answer within")
    };
    assert!(bench.daemon.transitions.iter().any(said));
}

#[test]
fn a_stale_socket_file_is_no_obstacle_to_http_over_a_unix_socket() {
    let mut bench = bench();
    let stale = bench.dir.path().join("1.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let server = "import socketserver,http.server,sys
class S(socketserver.UnixStreamServer): pass
class H(http.server.BaseHTTPRequestHandler):
 def do_GET(s): s.send_response(204 if s.path=='/up' else 404); s.end_headers()
 def log_message(*a): pass
S(sys.argv[1],H).serve_forever()";
    let spec = Spec {
        ready: Ready::Http {
            path: "/up".into(),
            host: "localhost".into(),
        },
        address: Address::GenerationSocket {},
        autorestart: wire::Autorestart::Always,
        argv: vec![
            "python3".into(),
            "-c".into(),
            server.into(),
            Text::Socket {
                before: String::new(),
                after: String::new(),
            },
        ],
        ..bench.spec("")
    };
    let (outcome, text) = bench.start(&spec);
    assert_eq!(outcome, Outcome::Done, "{text}");
    let first = bench.pid();
    // Killed, it leaves its own socket file behind; the next life of the same generation binds it again.
    sys::signal::send(first, 9).unwrap();
    let fact = bench.daemon.fact("another process", |fact| {
        fact.phase == Phase::Ready && fact.pid != first
    });
    assert_eq!(fact.address, format!("unix:{}", stale.display()));
}

#[test]
fn logs_are_cleared_and_opened_again() {
    let mut bench = bench();
    let log = bench.log();
    let spec = bench.spec("trap 'echo two' USR1; echo one; while :; do sleep 0.01; done");
    bench.start(&spec);
    let pid = bench.pid();
    until("one", || read(&log) == "one\n");
    bench.daemon.say(&Command::ClearLogs { op: 2 });
    assert_eq!(bench.daemon.answer(2).0, Outcome::Done);
    assert_eq!(read(&log), "");
    sys::signal::send(pid, 10).unwrap();
    until("two", || read(&log) == "two\n");
    std::fs::rename(&log, format!("{log}.moved")).unwrap();
    bench.daemon.say(&Command::ReopenLogs { op: 3 });
    assert_eq!(bench.daemon.answer(3).0, Outcome::Done);
    sys::signal::send(pid, 10).unwrap();
    until("two in a new file", || read(&log) == "two\n");
    assert_eq!(read(&format!("{log}.moved")), "two\n");
}

#[test]
fn the_window_begins_when_the_stop_was_answered_or_its_daemon_is_gone() {
    for daemon_dies in [false, true] {
        let mut bench = bench();
        let spec = Spec {
            restart_window_ms: 5_000,
            ..bench.spec(FOREVER)
        };
        bench.start(&spec);
        let mut gateway = bench.gateway();
        bench.stop(2, true);
        assert_eq!(bench.daemon.answer(2).0, Outcome::Done);
        gateway.fact("no end yet", |fact| {
            fact.state == State::Stopped && fact.window_until_ms == u64::MAX
        });
        if daemon_dies {
            bench.daemon.conn = Conn::pair().unwrap().0;
        } else {
            bench.daemon.say(&Command::StopAnswered {});
        }
        let fact = gateway.fact("an end", |fact| fact.window_until_ms != u64::MAX);
        let left = fact.window_until_ms.saturating_sub(sys::clock::mono_ms());
        assert!(left <= 5_000, "{left}");
    }
}

#[test]
fn a_crash_while_it_is_drained_ends_the_drain() {
    let mut bench = bench();
    let spec = Spec {
        gated: true,
        drain_timeout_ms: 600_000,
        ..bench.spec(FOREVER)
    };
    bench.start(&spec);
    let first = bench.pid();
    let mut gateway = bench.gateway();
    bench.restart(5);
    let fact = gateway.fact("draining", |fact| fact.phase == Phase::Draining);
    gateway.notice(&Notice::Acknowledge {
        seq: fact.seq,
        in_flight: 1,
    });
    sys::signal::send(first, 9).unwrap();
    assert_eq!(bench.daemon.answer(5).0, Outcome::Done);
    let fact = gateway.fact("the next", |fact| fact.phase == Phase::Ready);
    assert_eq!((fact.generation, fact.pid != first), (2, true));
}

#[test]
fn the_old_generation_dies_while_the_new_one_starts() {
    let mut bench = bench();
    let go = bench.dir.path().join("go");
    let script = format!(
        "test $0 = 1 || until test -e {}; do sleep 0.01; done; echo 1 >&9; {FOREVER}",
        go.display()
    );
    let spec = |bench: &Bench, number: &str| Spec {
        hash: number.into(),
        replace: Replace::Overlap,
        ready: Ready::Descriptor { number: 9 },
        argv: vec![
            "sh".into(),
            "-c".into(),
            script.as_str().into(),
            number.into(),
        ],
        ..bench.spec("")
    };
    let one = spec(&bench, "1");
    bench.start(&one);
    let first = bench.pid();
    let two = spec(&bench, "2");
    bench.daemon.install(&two, &[]);
    bench.restart(5);
    let second = bench
        .daemon
        .fact("the second starts", |fact| fact.next_pid > 0)
        .next_pid;
    sys::signal::send(first, 9).unwrap();
    bench.daemon.fact("it takes over", |fact| {
        fact.pid == second && fact.phase == Phase::Starting
    });
    std::fs::write(&go, "").unwrap();
    assert_eq!(bench.daemon.answer(5).0, Outcome::Done);
    assert_eq!(bench.pid(), second);
}

#[test]
fn nothing_is_started_by_itself_during_a_shutdown() {
    let mut bench = bench();
    let spec = Spec {
        autorestart: wire::Autorestart::Always,
        ..bench.spec(FOREVER)
    };
    bench.start(&spec);
    let pid = bench.pid();
    bench.daemon.say(&Command::NoRestarts {});
    bench.restart(4);
    assert_eq!(bench.daemon.answer(4).0, Outcome::Refused);
    sys::signal::send(pid, 9).unwrap();
    bench
        .daemon
        .fact("down for good", |fact| fact.phase == Phase::Exited);
    bench.stop(5, false);
    assert_eq!(bench.daemon.answer(5).0, Outcome::AlreadySo);
    bench.daemon.say(&Command::Leave { op: 6 });
    assert_eq!(bench.daemon.answer(6).0, Outcome::Done);
    assert_eq!(bench.keeper.wait().unwrap().code(), Some(0));
}

#[test]
fn a_new_roots_outputs_take_over() {
    let mut bench = bench();
    let spec = Spec {
        stdout: Sink::RootStdout {},
        ready: Ready::Log {
            pattern: "^up$".into(),
        },
        ..bench.spec("trap 'echo to the new one' USR1; echo up; while :; do sleep 0.01; done")
    };
    bench.start(&spec);
    let pid = bench.pid();
    let (reader, writer) = sys::fds::pipe().unwrap();
    let outputs = [writer.as_fd(), writer.as_fd()];
    bench
        .daemon
        .conn
        .send(&wire::encode(&Command::Outputs {}), &outputs)
        .unwrap();
    bench.daemon.say(&Command::Signal { op: 2, signal: 10 });
    assert_eq!(bench.daemon.answer(2).0, Outcome::Done);
    let mut text = [0; 64];
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    until("output at the new one", || {
        rustix::event::poll(
            &mut [PollFd::new(&reader, PollFlags::IN)],
            Some(&rustix::time::Timespec::default()),
        ) == Ok(1)
    });
    let count = rustix::io::read(&reader, &mut text).unwrap();
    assert_eq!(&text[..count], b"to the new one\n");
    assert!(alive(pid));
}

#[test]
fn hostile_gateways_harm_themselves_only() {
    let mut bench = bench();
    let spec = bench.spec(FOREVER);
    bench.start(&spec);
    let pid = bench.pid();
    let events = bench.dir.path().join("events");
    let hello = |role| {
        wire::encode(&wire::Hello {
            role,
            min: 1,
            max: 1,
            ..wire::Hello::default()
        })
    };
    let null: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    let frames: [Vec<Vec<u8>>; 5] = [
        vec![b"x".to_vec()],
        vec![vec![0xff; 60_000]],
        vec![hello(Role::Daemon)],
        vec![hello(Role::Keeper)],
        vec![hello(Role::Gateway), b"\x01\0\xff\xff\xff\xff".to_vec()],
    ];
    for frames in frames {
        let conn = Conn::connect(&events).unwrap();
        for frame in &frames {
            conn.send(frame, &[null.as_fd(), null.as_fd()]).unwrap();
        }
        assert!(closed(&conn), "{frames:?}");
    }
    // Numbers that overflow, of two gateways, one of which goes.
    let counts = wire::Counts {
        requests: u64::MAX,
        waited: u64::MAX,
        failed: u64::MAX,
        ..wire::Counts::default()
    };
    for _ in 0..2 {
        let mut gateway = bench.gateway();
        gateway.notice(&Notice::Counted {
            counts: counts.clone(),
        });
        gateway.notice(&Notice::Drained {
            generation: 77,
            finished: 1,
            cut: 1,
        });
    }
    // As many connections as they like: the daemon still gets in.
    let crowd: Vec<Conn> = (0..100)
        .filter_map(|_| Conn::connect(&events).ok())
        .collect();
    let mut daemon = Peer::connect(&bench.dir.path().join("control"), Role::Daemon, 2);
    daemon.fact("the truth", |fact| fact.pid == pid);
    assert!(crowd.len() >= 64);
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", bench.keeper.id()));
    assert!(descriptors.unwrap().count() < 100, "theirs were not kept");
}

#[test]
fn a_replacement_does_not_kill_what_the_new_generation_started() {
    let mut bench = bench();
    let children = bench.dir.path().join("children");
    let script = format!(
        "f={}; touch $f; export f; n=$(wc -l < $f); \
         setsid sh -c 'echo $$ >> $f; exec tail -f /dev/null' & \
         while test $(wc -l < $f) = $n; do sleep 0.01; done; echo 1 >&9; {FOREVER}",
        children.display()
    );
    let spec = Spec {
        kill_leftovers: true,
        replace: Replace::Overlap,
        ready: Ready::Descriptor { number: 9 },
        ..bench.spec(&script)
    };
    bench.start(&spec);
    bench.restart(5);
    assert_eq!(bench.daemon.answer(5).0, Outcome::Done);
    bench.daemon.fact("the old one is gone", |fact| {
        fact.generation == 2 && fact.leaving.is_none()
    });
    let pids: Vec<i32> = read(children.to_str().unwrap())
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    // The sweep is over: the fact above was published after it.
    assert!(alive(pids[1]), "the living generation's child was killed");
    bench.stop(6, false);
    assert_eq!(bench.daemon.answer(6).0, Outcome::Done);
    until("all are gone once nothing runs", || {
        pids.iter().all(|pid| !alive(*pid))
    });
}

#[test]
fn nothing_leaks_into_programs_or_out_of_restarts() {
    let mut bench = bench();
    let log = bench.log();
    let script =
        format!("ls /proc/self/fd | tr '\\n' ' '; grep SigBlk /proc/self/status; {FOREVER}");
    let spec = bench.spec(&script);
    bench.start(&spec);
    // The 3 is the directory that ls reads.
    until("its descriptors", || {
        read(&log) == "0 1 2 3 SigBlk:\t0000000000000000\n"
    });
    let keeper = bench.keeper.id();
    let count = || {
        std::fs::read_dir(format!("/proc/{keeper}/fd"))
            .unwrap()
            .count()
    };
    let mut seen = Vec::new();
    for op in 10..30 {
        bench.restart(op);
        assert_eq!(bench.daemon.answer(op).0, Outcome::Done);
        seen.push(count());
    }
    // A few belong to dead processes whose last lines are kept; a leak would be one at each restart at least.
    assert!(
        seen.iter().all(|count| *count < seen[0] + 10),
        "descriptors at each restart: {seen:?}"
    );
}

#[test]
fn a_program_that_closes_its_output_or_leaves_it_to_a_grandchild_costs_no_time() {
    for script in [
        "exec >&- 2>&-; exec tail -f /dev/null </dev/null",
        "(trap '' TERM; exec tail -f /dev/null) & exit 0",
    ] {
        let mut bench = bench();
        let spec = Spec {
            autorestart: wire::Autorestart::Never,
            ..bench.spec(script)
        };
        bench.start(&spec);
        drop(bench.gateway());
        let keeper = bench.keeper.id() as i32;
        let before = sys::proc::stat(keeper).unwrap().cpu_ticks;
        // A second of doing nothing, by the clock of a request that waits for a gateway which is silent.
        let end = Instant::now() + Duration::from_secs(1);
        let mut polled = [PollFd::new(&bench.daemon.conn, PollFlags::RDHUP)];
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let timeout = rustix::time::Timespec {
                tv_sec: 0,
                tv_nsec: left.as_nanos().min(999_999_999) as i64,
            };
            let _ = rustix::event::poll(&mut polled, Some(&timeout));
        }
        let used = sys::proc::stat(keeper).unwrap().cpu_ticks - before;
        assert!(used <= 5, "{used} ticks of a hundred in a second of rest");
        for left in sys::proc::descendants(keeper, 10) {
            let _ = sys::signal::send(left.pid, 9);
        }
    }
}

#[test]
fn transitions_are_numbered_in_the_order_in_which_they_are_sent() {
    let mut bench = bench();
    let script = "tail -f /dev/null & echo up; exec tail -f /dev/null";
    let ready = Ready::Log {
        pattern: "^up$".into(),
    };
    let spec = Spec {
        ready,
        ..bench.spec(script)
    };
    bench.start(&spec);
    bench.stop(2, false);
    let notes = |bench: &Bench| {
        let mut notes = bench.daemon.transitions.iter();
        notes.any(|transition| transition.note.contains("left processes behind"))
    };
    while !notes(&bench)
        || !bench
            .daemon
            .transitions
            .iter()
            .any(|t| t.to == State::Stopped)
    {
        bench.daemon.read_one();
    }
    let numbers: Vec<u64> = bench.daemon.transitions.iter().map(|t| t.seq).collect();
    assert!(
        numbers.windows(2).all(|pair| pair[0] < pair[1]),
        "{numbers:?}"
    );
}
