//! An installation in which only the daemon is real: root and keepers are threads that speak the protocol and obey.
//!
//! What a program does is told by its name: `bad…` ends before it is ready, `missing…` does not exist, `stubborn…` refuses
//! every replacement, everything else runs at once.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use control::{Body, Command as Ask, Done, ProcessInfo, Reply, Request};
use rundir::{Identity, Layout, RunDir, Surroundings};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sys::seq::{Conn, Listener};
use wire::{
    Command, Fact, Hello, Order, Outcome, Phase, Report, Role, Spec, State, Tell, Transition,
};

/// Nothing here takes longer on a machine that is out of breath.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// How long a thread of ours sleeps in poll before it looks whether it should end.
const TURN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

static PIDS: AtomicI32 = AtomicI32::new(4_000_000);

/// What keepers were told, in order, as `process: command`.
pub(crate) type Heard = Arc<Mutex<Vec<String>>>;

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) heard: Heard,
    run: RunDir,
    layout: Layout,
    keepers: Arc<Mutex<Vec<Kept>>>,
    root: Option<Root>,
    epoch: u64,
}

struct Root {
    conn: Arc<Conn>,
    end: Arc<AtomicBool>,
    orders: JoinHandle<Option<i32>>,
    daemon: JoinHandle<i32>,
    said: Arc<Mutex<Vec<String>>>,
}

struct Kept {
    slot: u32,
    end: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

fn readable(fd: impl AsFd) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&TURN)).is_ok_and(|count| count > 0)
}

impl World {
    pub(crate) fn new(text: &str) -> World {
        let dir = tempfile::tempdir().expect("directory");
        let config = dir.path().join("supervisord.conf");
        std::fs::write(&config, with_head(dir.path(), text)).expect("written");
        let surroundings = Surroundings {
            run_dir: Some(dir.path().join("run").into()),
            ..Surroundings::here()
        };
        let layout = Layout::of(&Identity::of_file(&config).expect("real"), &surroundings);
        let run = RunDir::create(&layout).expect("made");
        World {
            dir,
            heard: Heard::default(),
            run,
            layout,
            keepers: Arc::default(),
            root: None,
            epoch: 0,
        }
    }

    /// A world whose daemon is up.
    pub(crate) fn started(text: &str) -> World {
        let mut world = World::new(text);
        world.start();
        world
    }

    pub(crate) fn write(&self, text: &str) {
        std::fs::write(self.config(), with_head(self.dir.path(), text)).expect("written");
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("supervisord.conf")
    }

    /// A new root with a new daemon; keepers that live stay.
    pub(crate) fn start(&mut self) {
        self.start_daemon();
        let socket = self.run.control_socket();
        self.until("the daemon answers", || {
            UnixStream::connect(&socket).is_ok() && self.ask(Ask::About).exit == 0
        });
    }

    pub(crate) fn start_daemon(&mut self) {
        self.epoch += 1;
        let (ours, theirs) = Conn::pair().expect("pair");
        let welcome = Tell::Welcome {
            epoch: self.epoch,
            listeners: 0,
            root_pid: 77,
            restarted: false,
        };
        ours.send(&wire::encode(&welcome), &[]).expect("sent");
        let said = Arc::new(Mutex::new(Vec::new()));
        let options = (
            self.run.path().to_path_buf(),
            self.layout.state.clone(),
            self.config(),
        );
        let lines = said.clone();
        let daemon = std::thread::spawn(move || {
            let options = daemon::DaemonOptions {
                root: theirs.into_fd(),
                run_dir: options.0,
                state_dir: options.1,
                source: daemon::Source::File(options.2),
                dev: false,
                as_supervisord: false,
                detached: false,
                settings: Vec::new(),
            };
            let printer = move |say| match say {
                daemon::Say::Out(line) | daemon::Say::Err(line) => {
                    lines.lock().expect("lines").push(line)
                }
            };
            daemon::run(options, Box::new(printer))
        });
        let conn = Arc::new(ours);
        let end = Arc::new(AtomicBool::new(false));
        let (orders_conn, orders_end) = (conn.clone(), end.clone());
        let (heard, keepers) = (self.heard.clone(), self.keepers.clone());
        let orders = std::thread::spawn(move || obey(&orders_conn, &orders_end, &heard, &keepers));
        self.root = Some(Root {
            conn,
            end,
            orders,
            daemon,
            said,
        });
    }

    /// Root closes its socket; the daemon ends, keepers stay. Returns the daemon's exit status.
    pub(crate) fn kill_root(&mut self) -> i32 {
        let root = self.root.take().expect("a root");
        root.end.store(true, Ordering::Relaxed);
        root.orders.join().expect("root");
        drop(root.conn);
        root.daemon.join().expect("daemon")
    }

    /// Waits until the daemon told root to exit; with which status.
    pub(crate) fn exit_status(&mut self) -> Option<i32> {
        let root = self.root.take().expect("a root");
        let status = root.orders.join().expect("root");
        drop(root.conn);
        root.daemon.join().expect("daemon");
        status
    }

    /// Waits for the end of a daemon that could not begin.
    pub(crate) fn failed(&mut self) -> (i32, String) {
        let root = self.root.take().expect("a root");
        let status = root.daemon.join().expect("daemon");
        root.end.store(true, Ordering::Relaxed);
        root.orders.join().expect("root");
        let said = root.said.lock().expect("lines").join("\n");
        (status, said)
    }

    pub(crate) fn signal(&self, signal: i32) {
        let root = self.root.as_ref().expect("a root");
        root.conn
            .send(&wire::encode(&Tell::Signalled { signal }), &[])
            .expect("sent");
    }

    pub(crate) fn kill_keeper(&self, slot: u32) {
        let mut keepers = self.keepers.lock().expect("keepers");
        let at = keepers
            .iter()
            .position(|kept| kept.slot == slot)
            .expect("a keeper");
        let kept = keepers.remove(at);
        drop(keepers);
        kept.end.store(true, Ordering::Relaxed);
        kept.thread.join().expect("keeper");
    }

    /// Keepers that live.
    pub(crate) fn keepers(&self) -> usize {
        let keepers = self.keepers.lock().expect("keepers");
        keepers
            .iter()
            .filter(|kept| !kept.thread.is_finished())
            .count()
    }

    pub(crate) fn ask(&self, command: Ask) -> Done {
        self.ask_as("", command).1
    }

    /// Asks with an id; returns the lines of progress and the end.
    pub(crate) fn ask_as(&self, id: &str, command: Ask) -> (Vec<String>, Done) {
        let stream = UnixStream::connect(self.run.control_socket()).expect("connected");
        stream.set_read_timeout(Some(DEADLINE)).expect("limit");
        let request = Request {
            id: id.into(),
            command,
            operator: "tester".into(),
        };
        let mut line = serde_json::to_string(&request).expect("json");
        line.push('\n');
        (&stream).write_all(line.as_bytes()).expect("sent");
        let mut progress = Vec::new();
        for line in BufReader::new(&stream).lines() {
            match serde_json::from_str(&line.expect("read")).expect("reply") {
                Reply::Progress(line) => progress.push(format!("{}  {}", line.process, line.text)),
                Reply::Done(done) => return (progress, done),
            }
        }
        panic!("no answer");
    }

    /// `process STATE` of every process.
    pub(crate) fn states(&self) -> Vec<String> {
        self.processes()
            .iter()
            .map(|info| {
                format!(
                    "{} {}",
                    wire::spec::label(&info.group, &info.name),
                    info.state
                )
            })
            .collect()
    }

    pub(crate) fn processes(&self) -> Vec<ProcessInfo> {
        match self
            .ask(Ask::Status {
                names: vec![],
                hidden: false,
                left_out: false,
            })
            .body
        {
            Body::Status { processes, .. } => processes,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn until_states(&self, wanted: &[&str]) {
        self.until(&format!("{wanted:?}, is {:?}", self.states()), || {
            self.states() == wanted
        });
    }

    pub(crate) fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let until = Instant::now() + DEADLINE;
        while !condition() {
            assert!(
                Instant::now() < until,
                "not within {DEADLINE:?}: {what}; heard {:#?}",
                self.heard()
            );
            std::thread::yield_now();
        }
    }

    /// What keepers heard since the last time.
    pub(crate) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().expect("heard"))
    }

    pub(crate) fn read_heard(&self) -> Vec<String> {
        self.heard.lock().expect("heard").clone()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(root) = self.root.take() {
            root.end.store(true, Ordering::Relaxed);
            let _ = root.orders.join();
        }
        for kept in self.keepers.lock().expect("keepers").drain(..) {
            kept.end.store(true, Ordering::Relaxed);
        }
    }
}

fn with_head(dir: &Path, text: &str) -> String {
    let dir = dir.display();
    format!("[supervisord]\nlogfile = {dir}/log\npidfile = {dir}/pid\nchildlogdir = {dir}\n{text}")
}

/// Names and statuses of outcomes: `backend SUCCESS`.
pub(crate) fn outcomes(done: &Done) -> Vec<String> {
    match &done.body {
        Body::Outcomes { outcomes } | Body::Changes { outcomes, .. } => outcomes
            .iter()
            .map(|outcome| {
                format!(
                    "{} {}",
                    wire::spec::label(&outcome.group, &outcome.name),
                    outcome.status.name()
                )
            })
            .collect(),
        _ => vec![done.error.clone()],
    }
}

/// Root: forks (threads for) keepers, keeps nothing else.
fn obey(conn: &Conn, end: &AtomicBool, heard: &Heard, keepers: &Mutex<Vec<Kept>>) -> Option<i32> {
    let mut frame = Vec::new();
    while !end.load(Ordering::Relaxed) {
        if !readable(conn) {
            continue;
        }
        let Ok(Some(_)) = conn.recv(&mut frame) else {
            return None;
        };
        match wire::decode::<Order>(&frame).expect("order") {
            Order::SpawnKeeper { slot, dir, .. } => {
                let listener =
                    Listener::bind(&Path::new(&dir).join("control"), 0o600).expect("bound");
                let end = Arc::new(AtomicBool::new(false));
                let (keeper_end, heard) = (end.clone(), heard.clone());
                let thread = std::thread::spawn(move || keep(&listener, slot, &keeper_end, &heard));
                keepers
                    .lock()
                    .expect("keepers")
                    .push(Kept { slot, end, thread });
                let told = Tell::KeeperStarted {
                    slot,
                    pid: PIDS.fetch_add(1, Ordering::Relaxed),
                    error: String::new(),
                };
                conn.send(&wire::encode(&told), &[]).expect("told");
            }
            Order::Exit { status } => return Some(status),
            Order::KeepListener { .. }
            | Order::DropListener { .. }
            | Order::AdoptKeeper { .. }
            | Order::Up {}
            | Order::ShuttingDown {}
            | Order::Reloading {}
            | Order::Started {} => {}
        }
    }
    None
}

struct Keeper {
    fact: Fact,
    installed: Spec,
    seq: u64,
    heard: Heard,
}

/// A keeper: one connection at a time, every start succeeds at once unless the name says otherwise.
fn keep(listener: &Listener, slot: u32, end: &AtomicBool, heard: &Heard) {
    let mut keeper = Keeper {
        fact: Fact {
            slot,
            ..Fact::default()
        },
        installed: Spec::default(),
        seq: 0,
        heard: heard.clone(),
    };
    keeper.fact.state = State::Stopped;
    keeper.fact.phase = Phase::Stopped;
    let mut conn: Option<Conn> = None;
    let mut greeted = false;
    while !end.load(Ordering::Relaxed) {
        let Some(current) = &conn else {
            if readable(listener) {
                let accepted = listener.accept().expect("accepted");
                let hello = Hello {
                    role: Role::Keeper,
                    min: 1,
                    max: 1,
                    slot,
                    ..Hello::default()
                };
                accepted.send(&wire::encode(&hello), &[]).expect("hello");
                (conn, greeted) = (Some(accepted), false);
            }
            continue;
        };
        if !readable(current) {
            continue;
        }
        let mut frame = Vec::new();
        let Ok(Some(fds)) = current.recv(&mut frame) else {
            conn = None;
            continue;
        };
        if !greeted {
            greeted = true;
            let now = Report::Now {
                fact: keeper.fact.clone(),
            };
            current.send(&wire::encode(&now), &[]).expect("now");
            continue;
        }
        let command = wire::decode::<Command>(&frame).expect("command");
        let leave = matches!(command, Command::Leave { .. });
        keeper.command(current, command, fds);
        if leave {
            return;
        }
    }
}

impl Keeper {
    fn hear(&self, text: String) {
        self.heard
            .lock()
            .expect("heard")
            .push(format!("{}: {text}", self.installed.process));
    }

    fn send(&self, conn: &Conn, report: &Report) {
        let _ = conn.send(&wire::encode(report), &[]);
    }

    fn command(&mut self, conn: &Conn, command: Command, fds: Vec<OwnedFd>) {
        let answer = match command {
            Command::Install { op } => {
                let bytes = sys::memfd::read(&fds[0], 1 << 20).expect("memory");
                self.installed = Spec::from_bytes(&bytes).expect("spec");
                assert_eq!(self.installed.listeners as usize, fds.len() - 1);
                if self.fact.pid == 0 {
                    self.fact.spec_hash.clone_from(&self.installed.hash);
                }
                self.fact.process.clone_from(&self.installed.process);
                self.fact.group.clone_from(&self.installed.group);
                Some((op, Outcome::Done, String::new()))
            }
            Command::Start { op, .. } if self.fact.pid > 0 => {
                Some((op, Outcome::AlreadySo, "already started".to_owned()))
            }
            // Neither its fact nor its answer is there yet.
            Command::Start { .. } if self.installed.process.starts_with("unseen") => {
                self.hear("start".to_owned());
                self.fact.pid = PIDS.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Command::Start { op, cause } => {
                self.hear(format!("start ({}: {})", cause.why, cause.text));
                Some((op, self.start(conn), String::new()))
            }
            Command::Restart { op, cause, mode } => {
                let mode = mode.map(|mode| format!(" by {mode}")).unwrap_or_default();
                self.hear(format!("restart{mode} ({}: {})", cause.why, cause.text));
                if self.installed.process.starts_with("stubborn") && self.fact.pid > 0 {
                    self.fact.refused_hash.clone_from(&self.installed.hash);
                    Some((op, Outcome::Abnormal, "the old one goes on".to_owned()))
                } else {
                    Some((op, self.start(conn), String::new()))
                }
            }
            Command::Stop { op, cause, window } => {
                self.hear(format!(
                    "stop{} ({})",
                    if window { " with window" } else { "" },
                    cause.why
                ));
                let was = std::mem::replace(&mut self.fact.pid, 0);
                self.change(conn, State::Stopped, Phase::Stopped);
                self.fact.wanted = false;
                Some((
                    op,
                    if was > 0 {
                        Outcome::Done
                    } else {
                        Outcome::AlreadySo
                    },
                    String::new(),
                ))
            }
            Command::StopAnswered {} => {
                self.hear("stop was answered".to_owned());
                None
            }
            Command::Signal { op, signal } => {
                self.hear(format!("signal {signal}"));
                Some((op, Outcome::Done, String::new()))
            }
            Command::NoRestarts {} | Command::Event { .. } | Command::Heard { .. } => None,
            Command::Stdin { op, text } => {
                self.hear(format!("stdin {text}"));
                Some((op, Outcome::Done, String::new()))
            }
            Command::ReopenLogs { op } | Command::ClearLogs { op } => {
                self.hear("logs".to_owned());
                Some((op, Outcome::Done, String::new()))
            }
            Command::Leave { op } => {
                self.hear("leave".to_owned());
                Some((op, Outcome::Done, String::new()))
            }
            Command::GiveListeners { op } => {
                self.send(conn, &Report::Listeners { op, count: 0 });
                None
            }
            Command::Acknowledge { .. } | Command::Outputs {} => None,
        };
        self.fact.seq += 1;
        self.send(
            conn,
            &Report::Now {
                fact: self.fact.clone(),
            },
        );
        if let Some((op, outcome, text)) = answer {
            self.send(conn, &Report::Answer { op, outcome, text });
        }
    }

    fn start(&mut self, conn: &Conn) -> Outcome {
        if self.installed.process.starts_with("missing") {
            return Outcome::NoFile;
        }
        self.fact.generation += 1;
        self.fact.wanted = true;
        self.fact.spec_hash.clone_from(&self.installed.hash);
        self.fact.refused_hash.clear();
        if self.installed.process.starts_with("bad") {
            self.change(conn, State::Fatal, Phase::Fatal);
            self.fact.spawn_error = "Exited too quickly (process log may have details)".to_owned();
            return Outcome::Abnormal;
        }
        self.fact.pid = PIDS.fetch_add(1, Ordering::Relaxed);
        self.fact.started_wall_ms = sys::clock::wall_ms();
        self.change(conn, State::Starting, Phase::Starting);
        self.change(conn, State::Running, Phase::Ready);
        Outcome::Done
    }

    fn change(&mut self, conn: &Conn, to: State, phase: Phase) {
        self.seq += 1;
        let transition = Transition {
            seq: self.seq,
            from: self.fact.state,
            to,
            pid: self.fact.pid,
            wall_ms: sys::clock::wall_ms(),
            ..Transition::default()
        };
        (self.fact.state, self.fact.phase) = (to, phase);
        self.send(conn, &Report::Happened { transition });
    }
}
