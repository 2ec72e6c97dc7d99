//! Carries out what the machine decided.

use super::Keeper;
use super::child::Child;
use crate::notify::{NotifySocket, Said};
use crate::start;
use process::{Effect, Event};
use rustix::fd::OwnedFd;
use std::collections::VecDeque;
use std::rc::Rc;
use wire::{Report, Spec, TEXT_BYTES_MAX};

/// Bytes read from one pipe before others get their turn.
const TURN_BYTES_MAX: usize = 256 * 1024;
/// Dead processes that are remembered for their last lines: the newest two, as there are two generations.
const DEAD_MAX: usize = 2;
/// Leftovers named or killed at one death; more is a fork bomb, which a cgroup has to bound.
const LEFTOVERS_MAX: usize = 256;

impl Keeper {
    pub(super) fn act(&mut self, effect: Effect, queue: &mut VecDeque<Event>) {
        match effect {
            Effect::Spawn { generation, spec } => queue.push_front(self.spawn(generation, &spec)),
            Effect::Signal { pid, signal, group } => self.signal(pid, signal, group),
            Effect::Check { generation, mode } => self.begin_check(generation, mode),
            Effect::EndChecks { generation } => {
                if let Some(child) = self.child(generation) {
                    let probe = child.probe_pid();
                    child.end_checks();
                    if probe > 0 {
                        self.check_ended(probe);
                    }
                }
            }
            Effect::Drain { generation, .. } => self.pending_drains.push(generation),
            Effect::Sweep { pid, kill } => self.sweep(pid, kill),
            Effect::Record(mut transition) => {
                // Numbered as it goes out: a remark made while effects are carried out must not overtake them,
                // or the ledger takes the later of the two for known.
                self.transition_seq += 1;
                transition.seq = self.transition_seq;
                transition.counts = self.fact.counts.clone();
                if self.ring.len() >= wire::RING_TRANSITIONS_MAX {
                    self.ring.pop_front();
                }
                self.ring.push_back((*transition).clone());
                self.report(&Report::Happened {
                    transition: *transition,
                });
            }
            Effect::Answer {
                op,
                outcome,
                text,
                output_of,
            } => {
                let text = self.with_output(text, output_of);
                self.answers.push((op, outcome, text));
            }
        }
    }

    pub(super) fn child(&mut self, generation: u64) -> Option<&mut Child> {
        // The same generation may have a dead child (a crash) and a live one: the live one is meant.
        let at = self
            .children
            .iter()
            .rposition(|child| child.generation == generation)?;
        self.children.get_mut(at)
    }

    fn spawn(&mut self, generation: u64, spec: &Rc<Spec>) -> Event {
        let complaints = [
            self.out.set(&spec.stdout),
            if spec.redirect_stderr {
                None
            } else {
                self.err.set(&spec.stderr)
            },
        ];
        for text in complaints.into_iter().flatten() {
            self.remark(0, text);
        }
        self.children
            .retain(|child| child.generation != generation || child.pid > 0);
        while self.children.iter().filter(|child| child.pid == 0).count() > DEAD_MAX {
            let dead = self.children.iter().position(|child| child.pid == 0);
            dead.map(|at| self.children.remove(at));
        }
        let listeners = self.listeners_of(&spec.hash);
        let started = start::place(spec, generation).and_then(|mut place| {
            let notify = match spec.ready {
                wire::Ready::Notify {} => Some(NotifySocket::bind(spec, generation)?),
                _ => None,
            };
            if notify.is_some() {
                place.notify = crate::notify::path(spec, generation);
            }
            let (pid, pipes) = start::start(spec, &place, &listeners)?;
            Ok(Child::new(generation, pid, place, pipes, spec, notify))
        });
        let syslog = |wanted: bool| {
            wanted.then(|| Box::new(crate::syslog::Syslog::new(&spec.process, &spec.syslog)))
        };
        self.syslogs = [syslog(spec.stdout_syslog), syslog(spec.stderr_syslog)];
        match started {
            Ok(mut child) => {
                let pid = child.pid;
                child.listen(spec);
                self.children.push(child);
                if spec.listener {
                    self.listening.get_or_insert_default();
                    self.listener_turned();
                }
                Event::Spawned { generation, pid }
            }
            Err(text) => Event::SpawnFailed { generation, text },
        }
    }

    fn listeners_of(&self, hash: &str) -> Rc<Vec<OwnedFd>> {
        let found = self.listeners.iter().rev().find(|(known, _)| known == hash);
        found
            .map(|(_, listeners)| listeners.clone())
            .unwrap_or_default()
    }

    fn signal(&mut self, pid: i32, signal: i32, group: bool) {
        if signal == 9
            && let Some(child) = self.children.iter_mut().find(|child| child.pid == pid)
        {
            child.killed = true;
        }
        // It may be dead and not reaped yet; then its exit is on the way.
        let _ = if group {
            sys::signal::send_group(pid, signal)
        } else {
            sys::signal::send(pid, signal)
        };
    }

    fn begin_check(&mut self, generation: u64, mode: process::CheckMode) {
        let Some(spec) = self.slot.spec_of(generation).cloned() else {
            return;
        };
        let Some(child) = self.child(generation) else {
            return;
        };
        if let Err(text) = child.begin_check(&spec, mode, sys::clock::mono_ms()) {
            self.remark(0, text);
        }
    }

    /// What the dead process left behind: killed, or named once.
    fn sweep(&mut self, pid: i32, kill: bool) {
        let own = std::process::id() as i32;
        let live = self.slot.pids();
        let checks: Vec<i32> = self
            .children
            .iter()
            .map(Child::probe_pid)
            .chain(self.checks_ended.iter().copied())
            .collect();
        // Beside another generation, what made a session of its own may be either's: only what is certainly the
        // dead one's is touched, since a process of the living one must not pay for a replacement.
        let left: Vec<sys::proc::Stat> = sys::proc::descendants(own, LEFTOVERS_MAX)
            .into_iter()
            .filter(|stat| stat.session == pid || live.is_empty())
            .filter(|stat| !checks.contains(&stat.session))
            .collect();
        if left.is_empty() {
            return;
        }
        let names: Vec<String> = left
            .iter()
            .take(8)
            .map(|stat| format!("{} ({})", stat.pid, crate::plain::plain(&stat.name)))
            .collect();
        let names = names.join(", ");
        if kill {
            for stat in &left {
                let _ = sys::signal::send(stat.pid, 9);
            }
            self.remark(pid, format!("killed what it left behind: {names}"));
        } else {
            self.remark(pid, format!("it left processes behind: {names}; stopasgroup and killasgroup stop them with it"));
        }
    }

    fn with_output(&mut self, mut text: String, output_of: Option<u64>) -> String {
        if let Some(generation) = output_of
            && let Some(child) = self.child(generation)
        {
            let lines = child.last_lines();
            if !lines.is_empty() {
                text = format!("{text}\nlast lines of its output:\n{lines}");
            }
        }
        let mut end = text.len().min(TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    }

    fn write_log(&mut self, stderr: bool, bytes: &[u8]) {
        let log = if stderr { &mut self.err } else { &mut self.out };
        if let Some(text) = log.write(bytes, &self.root) {
            self.remark(0, text);
        }
    }

    /// A message on NOTIFY_SOCKET.
    pub(super) fn notified(&mut self, generation: u64) {
        let Some(child) = self.child(generation) else {
            return;
        };
        match child.notified() {
            Said::Ready => self.feed(Event::CheckPassed { generation }),
            Said::Stranger(pid) => self.remark(
                pid,
                format!("READY=1 from pid {pid}, which is not of its tree: ignored"),
            ),
            Said::Nothing => {}
        }
    }

    /// Moves what is in a pipe to the log.
    pub(super) fn read_output(&mut self, generation: u64, stderr: bool) {
        let mut buffer = [0u8; 16 * 1024];
        let mut total = 0;
        let mut ready = false;
        // A dead child of the same generation comes first in the list: its rest is read before the new one's.
        for at in 0..self.children.len() {
            if self.children[at].generation != generation {
                continue;
            }
            while total < TURN_BYTES_MAX {
                let child = &mut self.children[at];
                let pipe = if stderr {
                    &mut child.stderr
                } else {
                    &mut child.stdout
                };
                let Some(fd) = pipe else { break };
                match rustix::io::read(&*fd, &mut buffer) {
                    Ok(0) => {
                        *pipe = None;
                        self.output_ended(at, stderr);
                    }
                    Ok(count) => {
                        total += count;
                        ready |= child.saw(&buffer[..count]);
                        self.output_came(at, stderr, &buffer[..count]);
                    }
                    Err(rustix::io::Errno::AGAIN) => break,
                    Err(rustix::io::Errno::INTR) => {}
                    Err(_) => *pipe = None,
                }
            }
        }
        if ready {
            self.feed(Event::CheckPassed { generation });
        }
        let over = self.children.iter().filter(|child| child.is_over()).count();
        if over > DEAD_MAX
            && let Some(at) = self.children.iter().position(Child::is_over)
        {
            self.children.remove(at);
        }
    }

    /// Output of one child: the listener's conversation, events, then the logs.
    fn output_came(&mut self, at: usize, stderr: bool, bytes: &[u8]) {
        let child = &mut self.children[at];
        let pid = child.born_pid;
        let heard = match (&mut child.talk, stderr) {
            (Some(talk), false) => talk.hear(bytes),
            (Some(_), true) | (None, _) => Vec::new(),
        };
        match &mut child.taps[usize::from(stderr)] {
            None => self.log_output(at, stderr, bytes),
            Some(tap) => {
                let pieces = tap.take(bytes);
                let rest = self.tapped(pid, stderr, pieces);
                self.log_output(at, stderr, &rest);
            }
        }
        if !heard.is_empty() {
            self.listener_said(heard);
        }
    }

    fn output_ended(&mut self, at: usize, stderr: bool) {
        let child = &mut self.children[at];
        let pid = child.born_pid;
        if let Some(tap) = &mut child.taps[usize::from(stderr)] {
            let pieces = tap.end();
            let rest = self.tapped(pid, stderr, pieces);
            self.log_output(at, stderr, &rest);
        }
        let rest = self.children[at].rest(stderr);
        self.write_log(stderr, &rest);
    }

    /// The system's log has lines as the program wrote them, the file as `log_prefix` and `log_format` say.
    fn log_output(&mut self, at: usize, stderr: bool, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(syslog) = &mut self.syslogs[usize::from(stderr)]
            && let Some(text) = syslog.write(bytes, sys::clock::wall_ms())
        {
            self.remark(0, text);
        }
        let formatted = self.children[at].formatted(stderr, bytes);
        let log = if stderr { &mut self.err } else { &mut self.out };
        if let Some(text) = log.write(&formatted, &self.root) {
            self.remark(0, text);
        }
    }
}
