//! A real keeper with real programs; the test is its daemon and its gateway.
#![allow(dead_code, missing_docs, unreachable_pub)]

use rustix::event::{PollFd, PollFlags};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};
use sys::seq::Conn;
use wire::{
    Cause, Command, Fact, Hello, Notice, Outcome, Publish, Report, Role, Sink, Spec, Transition,
    Why,
};

pub const DEADLINE: Duration = Duration::from_secs(60);

pub struct Peer {
    pub conn: Conn,
    pub facts: Vec<Fact>,
    pub transitions: Vec<Transition>,
    pub answers: Vec<(u64, Outcome, String)>,
    pub closed: bool,
    pub gateway: bool,
}

impl Peer {
    pub fn connect(path: &Path, role: Role, epoch: u64) -> Peer {
        let end = Instant::now() + DEADLINE;
        let conn = loop {
            match Conn::connect(path) {
                Ok(conn) => break conn,
                Err(error) => assert!(Instant::now() < end, "no keeper: {error}"),
            }
        };
        let hello = Hello {
            role,
            min: 1,
            max: 1,
            build: "test".into(),
            epoch,
            ..Hello::default()
        };
        conn.send(&wire::encode(&hello), &[]).unwrap();
        let mut peer = Peer {
            conn,
            facts: vec![],
            transitions: vec![],
            answers: vec![],
            closed: false,
            gateway: role == Role::Gateway,
        };
        let frame = peer.frame().expect("a hello");
        assert_eq!(wire::decode::<Hello>(&frame).unwrap().role, Role::Keeper);
        peer
    }

    pub fn frame(&mut self) -> Option<Vec<u8>> {
        let mut frame = Vec::new();
        let timeout = rustix::time::Timespec {
            tv_sec: DEADLINE.as_secs() as i64,
            tv_nsec: 0,
        };
        rustix::event::poll(
            &mut [PollFd::new(&self.conn, PollFlags::IN)],
            Some(&timeout),
        )
        .unwrap();
        match self.conn.recv(&mut frame).expect("a frame in time") {
            Some(_) => Some(frame),
            None => {
                self.closed = true;
                None
            }
        }
    }

    pub fn read_one(&mut self) {
        let Some(frame) = self.frame() else { return };
        if self.gateway {
            let Publish::Now { fact } = wire::decode(&frame).unwrap();
            self.facts.push(fact);
            return;
        }
        match wire::decode::<Report>(&frame).unwrap() {
            Report::Now { fact } => self.facts.push(fact),
            Report::Happened { transition } => self.transitions.push(transition),
            Report::Answer { op, outcome, text } => self.answers.push((op, outcome, text)),
            Report::Listeners { .. }
            | Report::StaleEpoch { .. }
            | Report::Drain { .. }
            | Report::Listener { .. }
            | Report::Said { .. } => {}
        }
    }

    pub fn fact(&mut self, what: &str, wanted: impl Fn(&Fact) -> bool) -> Fact {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(fact) = self.facts.last().filter(|fact| wanted(fact)) {
                return fact.clone();
            }
            assert!(
                Instant::now() < end && !self.closed,
                "{what}: {:#?}",
                self.facts.last()
            );
            self.read_one();
        }
    }

    pub fn answer(&mut self, op: u64) -> (Outcome, String) {
        loop {
            if let Some((_, outcome, text)) = self.answers.iter().find(|(known, _, _)| *known == op)
            {
                return (*outcome, text.clone());
            }
            assert!(!self.closed, "closed before the answer to {op}");
            self.read_one();
        }
    }

    pub fn say(&mut self, command: &Command) {
        self.conn.send(&wire::encode(command), &[]).unwrap();
    }

    pub fn install(&mut self, spec: &Spec, listeners: &[BorrowedFd<'_>]) {
        let memory = sys::memfd::sealed("spec", &spec.to_bytes()).unwrap();
        let mut fds = vec![memory.as_fd()];
        fds.extend(listeners);
        self.conn
            .send(&wire::encode(&Command::Install { op: 900 }), &fds)
            .unwrap();
        assert_eq!(self.answer(900).0, Outcome::Done);
        self.answers.retain(|(op, _, _)| *op != 900);
    }

    pub fn notice(&mut self, notice: &Notice) {
        self.conn.send(&wire::encode(notice), &[]).unwrap();
    }
}

pub struct Bench {
    pub dir: tempfile::TempDir,
    pub keeper: Child,
    pub daemon: Peer,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

pub fn operator() -> Cause {
    Cause {
        why: Why::Operator,
        text: "test".into(),
    }
}

pub fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Process::new(env!("CARGO_BIN_EXE_keeper-alone"))
        .arg(dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let daemon = Peer::connect(&dir.path().join("control"), Role::Daemon, 1);
    Bench {
        dir,
        keeper,
        daemon,
    }
}

impl Bench {
    pub fn spec(&self, script: &str) -> Spec {
        Spec {
            program: "p".into(),
            group: "p".into(),
            process: "p".into(),
            hash: script.into(),
            argv: vec!["sh".into(), "-c".into(), script.into()],
            env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
            start_secs: 0,
            start_retries: 3,
            stop_signal: 15,
            stop_wait_ms: 10_000,
            ready_timeout_ms: 50_000,
            drain_timeout_ms: 5_000,
            exit_codes: vec![0],
            stdout: Sink::File {
                path: self.log(),
                max_bytes: 0,
                backups: 0,
            },
            redirect_stderr: true,
            app_dir: self.dir.path().to_str().unwrap().into(),
            ..Spec::default()
        }
    }
    pub fn log(&self) -> String {
        self.dir.path().join("out.log").to_str().unwrap().into()
    }
    pub fn start(&mut self, spec: &Spec) -> (Outcome, String) {
        self.daemon.install(spec, &[]);
        self.daemon.say(&Command::Start {
            op: 1,
            cause: operator(),
        });
        self.daemon.answer(1)
    }
    pub fn gateway(&self) -> Peer {
        Peer::connect(&self.dir.path().join("events"), Role::Gateway, 0)
    }
}

pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}
