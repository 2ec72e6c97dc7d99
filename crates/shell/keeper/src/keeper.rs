//! The keeper's loop: wait, translate, decide, act.

mod act;
mod child;
mod doubt;
mod listener;
mod publish;
mod said;
mod talk;
mod words;

use crate::drains::Drains;
use crate::links::Link;
use crate::logs::Log;
use child::Child;
use doubt::Doubt;
use process::{Event, Now, Slot};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use sys::seq::Listener;
use sys::signal::Signals;
use wire::{Cause, Counts, Fact, Outcome, Role, Transition, Why};

/// What root tells a keeper at its birth.
#[derive(Debug)]
pub struct KeeperOptions {
    /// Number of the slot.
    pub slot: u32,
    /// Its directory, `slots/N`.
    pub dir: PathBuf,
    /// Group that may connect to `events`; None = only the owner.
    pub events_gid: Option<u32>,
}

/// Sessions of ended checks that are remembered: the kernel takes moments to bury what was killed, and a check ends
/// every 20 ms at most.
const CHECKS_ENDED_MAX: usize = 16;

/// What woke the loop.
#[derive(Debug, Clone, Copy)]
enum Token {
    Signals,
    Control,
    Events,
    Link(u64),
    Stdout(u64),
    Stderr(u64),
    Ready(u64),
    Check(u64),
    Stdin(u64),
    Notify(u64),
    Behind,
}

struct Keeper {
    options: KeeperOptions,
    slot: Slot,
    signals: Signals,
    control: Listener,
    events: Listener,
    links: Vec<Link>,
    link_ids: u64,
    children: Vec<Child>,
    /// The last generation whose `prove` was put to the test.
    doubt: Doubt,
    /// Sessions of the last check commands that ended.
    checks_ended: VecDeque<i32>,
    /// Listeners by the hash of the spec that they came with, the newest last.
    listeners: Vec<(String, Rc<Vec<OwnedFd>>)>,
    /// Root's stdout and stderr.
    root: [OwnedFd; 2],
    out: Log,
    err: Log,
    /// The ways of stdout and stderr to the system's log.
    syslogs: [Option<Box<crate::syslog::Syslog>>; 2],
    /// What is said of an event listener, if it is one.
    listening: Option<wire::Listening>,
    /// Output that has to become an event.
    said: Option<Box<said::Queue>>,
    fact: Fact,
    ring: VecDeque<Transition>,
    /// Number of the last transition.
    transition_seq: u64,
    drains: Drains,
    /// Drains whose fact is about to be published.
    pending_drains: Vec<u64>,
    /// Answers of what is about to be published.
    answers: Vec<(u64, Outcome, String)>,
    /// Counts of gateways that are gone, and of each that is here.
    counts_gone: Counts,
    counts: HashMap<u64, Counts>,
    epoch: u64,
    ops: HashMap<u64, (u64, u64)>,
    op_ids: u64,
    /// End when nothing runs any more.
    leaving: bool,
    frame: Vec<u8>,
}

/// Runs the keeper of one slot in this (forked) process until it is told to leave. Returns the exit status.
pub fn run(options: KeeperOptions) -> i32 {
    match Keeper::new(options) {
        Ok(mut keeper) => keeper.main_loop(),
        Err(error) => {
            let _ = rustix::io::write(
                sys::fds::standard(2),
                format!("error: keeper: {error}\n").as_bytes(),
            );
            2
        }
    }
}

fn now() -> Now {
    Now {
        mono_ms: sys::clock::mono_ms(),
        wall_ms: sys::clock::wall_ms(),
    }
}

impl Keeper {
    fn new(options: KeeperOptions) -> std::io::Result<Keeper> {
        let _ = rustix::process::setsid();
        // The environment of its program has keys in it.
        sys::dumps::none();
        let null = rustix::fs::open(
            "/dev/null",
            rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        sys::fds::place(&null, 0)?;
        // Orphans of the program come to us, so leftovers are exactly our descendants.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        sys::signal::ignore_pipe();
        let signals = Signals::new(&[15, 2, 1, 17, 10, 12, 3])?;
        let dup = |number| {
            rustix::io::fcntl_dupfd_cloexec(sys::fds::standard(number), 3)
                .map(crate::logs::own_description)
        };
        let root = [dup(1)?, dup(2)?];
        let control = Listener::bind(&options.dir.join("control"), 0o600)?;
        let events_path = options.dir.join("events");
        let events = Listener::bind(
            &events_path,
            if options.events_gid.is_some() {
                0o660
            } else {
                0o600
            },
        )?;
        if let Some(gid) = options.events_gid {
            rustix::fs::chown(
                &events_path,
                None,
                Some(rustix::process::Gid::from_raw(gid)),
            )?;
        }
        let seed = options.slot.wrapping_mul(2_654_435_761)
            ^ rustix::process::getpid().as_raw_nonzero().get() as u32;
        Ok(Keeper {
            fact: Fact {
                slot: options.slot,
                ..Fact::default()
            },
            options,
            slot: Slot::new(seed),
            signals,
            control,
            events,
            links: Vec::new(),
            link_ids: 0,
            children: Vec::new(),
            doubt: Doubt::default(),
            checks_ended: VecDeque::new(),
            listeners: Vec::new(),
            root,
            out: Log::default(),
            err: Log::default(),
            syslogs: [None, None],
            listening: None,
            said: None,
            ring: VecDeque::new(),
            transition_seq: 0,
            drains: Drains::default(),
            pending_drains: Vec::new(),
            answers: Vec::new(),
            counts_gone: Counts::default(),
            counts: HashMap::new(),
            epoch: 0,
            ops: HashMap::new(),
            op_ids: 0,
            leaving: false,
            frame: Vec::new(),
        })
    }

    fn main_loop(&mut self) -> i32 {
        loop {
            for (token, flags) in self.wait() {
                self.translate(token, flags);
            }
            self.check_timers();
            self.settle();
            if self.leaving && self.slot.pids().is_empty() {
                self.flush_logs();
                return 0;
            }
        }
    }

    /// Sleeps until something happens or a timer is due.
    fn wait(&mut self) -> Vec<(Token, PollFlags)> {
        let mut tokens: Vec<(Token, BorrowedFd<'_>, PollFlags)> = vec![
            (Token::Signals, self.signals.as_fd(), PollFlags::IN),
            (Token::Control, self.control.as_fd(), PollFlags::IN),
            (Token::Events, self.events.as_fd(), PollFlags::IN),
        ];
        for link in &self.links {
            let (fd, flags) = link.poll();
            tokens.push((Token::Link(link.id), fd, flags));
        }
        for child in &self.children {
            child.poll(&mut tokens);
        }
        for log in [&self.out, &self.err] {
            if let Some(fd) = log.root_fd(&self.root).filter(|_| log.is_behind()) {
                tokens.push((Token::Behind, fd, PollFlags::OUT));
            }
        }
        let mut fds: Vec<PollFd<'_>> = tokens
            .iter()
            .map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
            .collect();
        let timers = self.children.iter().filter_map(Child::timer);
        let next = timers
            .chain(self.slot.next_timer())
            .chain(self.drains.timer())
            .min();
        let timeout = next.map(|at| {
            let ms = at.saturating_sub(sys::clock::mono_ms());
            rustix::time::Timespec {
                tv_sec: (ms / 1000) as i64,
                tv_nsec: (ms % 1000 * 1_000_000) as i64,
            }
        });
        if rustix::event::poll(&mut fds, timeout.as_ref()).is_err() {
            return Vec::new();
        }
        let woken = tokens
            .iter()
            .zip(&fds)
            .filter(|(_, fd)| !fd.revents().is_empty());
        woken
            .map(|((token, _, _), fd)| (*token, fd.revents()))
            .collect()
    }

    fn translate(&mut self, token: Token, flags: PollFlags) {
        match token {
            Token::Signals => self.signals_came(),
            Token::Control => self.accept(Role::Daemon),
            Token::Events => self.accept(Role::Gateway),
            Token::Link(id) => self.link_ready(id, flags),
            Token::Stdout(generation) => self.read_output(generation, false),
            Token::Stderr(generation) => self.read_output(generation, true),
            Token::Ready(generation) => {
                let mut children = self.children.iter_mut();
                match children.any(|child| child.generation == generation && child.ready_came()) {
                    true => self.feed(Event::CheckPassed { generation }),
                    // A role of ours may have said something else.
                    false => self.publish(),
                }
            }
            Token::Check(generation) => self.step_check(generation),
            Token::Stdin(generation) => {
                let children = self.children.iter_mut();
                children
                    .filter(|child| child.generation == generation)
                    .for_each(Child::write_stdin);
            }
            Token::Notify(generation) => self.notified(generation),
            Token::Behind => self.flush_logs(),
        }
    }

    fn signals_came(&mut self) {
        while let Some((signal, _)) = self.signals.next() {
            match signal {
                17 => self.reap(),
                15 => self.end_everything(),
                // USR2: Supervisor's "reopen logs", when sent by hand. The rest has no meaning for a keeper.
                12 => self.reopen_logs(),
                _ => {}
            }
        }
    }

    /// SIGTERM: root's last resort when no daemon answers.
    fn end_everything(&mut self) {
        self.leaving = true;
        let cause = Cause {
            why: Why::Shutdown,
            text: "SIGTERM to its keeper".into(),
        };
        self.feed(Event::NoRestarts);
        self.feed(Event::Stop {
            op: 0,
            cause,
            window: false,
        });
    }

    fn reap(&mut self) {
        use rustix::process::{WaitOptions, wait};
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let exit = status
                .exit_status()
                .or(status.terminating_signal().map(|signal| -signal))
                .unwrap_or(0);
            let pid = pid.as_raw_nonzero().get();
            let Some(child) = self.children.iter_mut().find(|child| child.pid == pid) else {
                self.check_exited(pid, exit);
                continue;
            };
            let oom =
                exit == -9 && !child.killed && sys::proc::oom_kills() > child.oom_kills_before;
            let generation = child.generation;
            child.pid = 0;
            self.read_output(generation, false);
            self.read_output(generation, true);
            self.drains.forget(generation);
            self.listener_turned();
            self.feed(Event::Exited { pid, exit, oom });
        }
    }

    /// The command of a check has ended (or an orphan, which is nobody's).
    fn check_exited(&mut self, pid: i32, exit: i32) {
        let Some(child) = self
            .children
            .iter_mut()
            .find(|child| child.probe_pid() == pid)
        else {
            return;
        };
        let generation = child.generation;
        let found = child.probe_exited(exit, sys::clock::mono_ms());
        self.check_ended(pid);
        self.found(generation, found);
    }

    /// Remembers the session of a check that was killed or has ended: what dies of it now is nobody's leftover.
    fn check_ended(&mut self, pid: i32) {
        if self.checks_ended.len() >= CHECKS_ENDED_MAX {
            self.checks_ended.pop_front();
        }
        self.checks_ended.push_back(pid);
    }

    fn found(&mut self, generation: u64, found: crate::checks::Found) {
        match found {
            crate::checks::Found::Nothing => {}
            crate::checks::Found::Passed => self.feed(Event::CheckPassed { generation }),
            crate::checks::Found::Failed(answer) => {
                self.feed(Event::CheckFailed { generation, answer })
            }
        }
    }

    fn check_timers(&mut self) {
        let mono_ms = sys::clock::mono_ms();
        let due: Vec<u64> = self
            .children
            .iter()
            .filter(|child| child.timer().is_some_and(|at| at <= mono_ms))
            .map(|child| child.generation)
            .collect();
        for generation in due {
            self.step_check(generation);
        }
        if self.slot.next_timer().is_some_and(|at| at <= mono_ms) {
            self.feed(Event::Tick);
        }
    }

    fn step_check(&mut self, generation: u64) {
        let mono_ms = sys::clock::mono_ms();
        let Some(child) = self
            .children
            .iter_mut()
            .find(|child| child.generation == generation)
        else {
            return;
        };
        let worth_nothing = child.step_doubt(mono_ms);
        let found = child.step_check(mono_ms);
        let passed = found == crate::checks::Found::Passed;
        self.found(generation, found);
        if worth_nothing {
            self.proves_nothing(generation);
        }
        if passed {
            self.begin_doubt(generation, mono_ms);
        }
    }

    /// One event through the machine, its effects carried out, the new truth published. Answers come after that: who
    /// is told that a start failed asks the fact why, and who is told that it is done asks it for the pid. Their last
    /// lines of output are those of now: the next life of a generation begins with none.
    fn feed(&mut self, event: Event) {
        let mut queue = VecDeque::from([event]);
        while let Some(event) = queue.pop_front() {
            for effect in process::handle(&mut self.slot, event, now()) {
                self.act(effect, &mut queue);
            }
        }
        self.publish();
        for (op, outcome, text) in std::mem::take(&mut self.answers) {
            self.answer(op, outcome, text);
        }
    }

    fn flush_logs(&mut self) {
        self.out.flush(&self.root);
        self.err.flush(&self.root);
    }

    fn reopen_logs(&mut self) {
        let complaints = [self.out.reopen(), self.err.reopen()];
        for text in complaints.into_iter().flatten() {
            self.remark(0, text);
        }
    }

    fn remark(&mut self, pid: i32, text: String) {
        let effect = self.slot.remark(pid, text, now());
        self.act(effect, &mut VecDeque::new());
    }
}
