//! What the daemon and the gateways say.

use super::Keeper;
use super::child::StdinError;
use crate::start;
use process::Event;
use rustix::event::PollFlags;
use rustix::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use wire::{Command, Hello, Notice, Outcome, Publish, Report, Role, Spec, Why};

/// Bytes of a spec that are accepted; the environment of a process is bounded by the kernel at 2 MiB (ARG_MAX).
const SPEC_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Frames handled for one connection before others get their turn.
const TURN_FRAMES_MAX: usize = 64;
/// Listener sets that are remembered: the installed spec's, the running one's, the one to fall back to.
const LISTENER_SETS_MAX: usize = 3;

impl Keeper {
    pub(super) fn link_ready(&mut self, id: u64, flags: PollFlags) {
        for _ in 0..TURN_FRAMES_MAX {
            let Some(at) = self
                .links
                .iter()
                .position(|link| link.id == id && !link.dead)
            else {
                return;
            };
            if flags.contains(PollFlags::OUT) {
                self.links[at].flush();
            }
            let mut frame = std::mem::take(&mut self.frame);
            let got = self.links[at].recv(&mut frame);
            if let Some(fds) = got {
                self.frame_came(at, &frame, fds);
                frame.clear();
                frame.shrink_to(4096);
                self.frame = frame;
            } else {
                self.frame = frame;
                return;
            }
        }
    }

    fn frame_came(&mut self, at: usize, frame: &[u8], fds: Vec<OwnedFd>) {
        let id = self.links[at].id;
        let Some(hello) = &self.links[at].hello else {
            self.hello_came(at, frame);
            return;
        };
        match hello.role {
            Role::Daemon => match wire::decode::<Command>(frame) {
                Ok(command) => self.command(id, command, fds),
                Err(wire::Error::Unknown(_)) => {}
                Err(wire::Error::Short | wire::Error::Text) => self.links[at].dead = true,
            },
            Role::Gateway => match wire::decode::<Notice>(frame) {
                Ok(notice) => self.notice(id, notice),
                Err(wire::Error::Unknown(_)) => {}
                Err(wire::Error::Short | wire::Error::Text) => self.links[at].dead = true,
            },
            Role::Other | Role::Keeper => self.links[at].dead = true,
        }
    }

    fn hello_came(&mut self, at: usize, frame: &[u8]) {
        let ours = self.links[at].peer_is_ours();
        let link = &mut self.links[at];
        let Ok(hello) = wire::decode::<Hello>(frame) else {
            link.dead = true;
            return;
        };
        if hello.min > wire::VERSION_MAX || hello.max < wire::VERSION_MIN {
            link.dead = true;
            return;
        }
        match hello.role {
            role if role != link.door => link.dead = true,
            Role::Daemon if !ours => link.dead = true,
            Role::Daemon if hello.epoch < self.epoch => {
                link.hello = Some(hello);
                link.send(&Report::StaleEpoch { seen: self.epoch });
                link.dead = true;
            }
            Role::Daemon => {
                self.epoch = hello.epoch;
                link.hello = Some(hello);
                self.welcome_daemon(at);
            }
            Role::Gateway => {
                link.hello = Some(hello);
                link.send(&Publish::Now {
                    fact: self.fact.clone(),
                });
            }
            Role::Other | Role::Keeper => link.dead = true,
        }
    }

    fn welcome_daemon(&mut self, at: usize) {
        let epoch = self.epoch;
        for link in &mut self.links {
            let older = link
                .hello
                .as_ref()
                .is_some_and(|hello| hello.role == Role::Daemon && hello.epoch < epoch);
            link.dead |= older;
        }
        let link = &mut self.links[at];
        link.send(&Report::Now {
            fact: self.fact.clone(),
        });
        for transition in &self.ring {
            link.send(&Report::Happened {
                transition: transition.clone(),
            });
        }
        if let Some(listening) = &self.listening {
            link.send(&Report::Listener {
                listening: listening.clone(),
            });
        }
        self.said_again();
    }

    /// Gives the daemon's number of an operation one of our own, so that two daemons' cannot meet.
    fn op(&mut self, link: u64, op: u64) -> u64 {
        self.op_ids += 1;
        self.ops.insert(self.op_ids, (link, op));
        self.op_ids
    }

    pub(super) fn answer(&mut self, own: u64, outcome: Outcome, text: String) {
        let Some((id, op)) = self.ops.remove(&own) else {
            return;
        };
        if let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
            link.send(&Report::Answer { op, outcome, text });
        }
    }

    fn command(&mut self, link: u64, command: Command, fds: Vec<OwnedFd>) {
        match command {
            Command::Install { op } => {
                let op = self.op(link, op);
                match self.install(fds) {
                    Ok(()) => self.answer(op, Outcome::Done, String::new()),
                    Err(text) => self.answer(op, Outcome::Failed, text),
                }
            }
            Command::Start { op, cause } => {
                let op = self.op(link, op);
                // Supervisor's startProcess refuses a missing file before it touches the state; at boot it tries.
                let refused = (cause.why == Why::Operator)
                    .then(|| self.slot.installed().map(|spec| start::find(spec)));
                match refused.flatten() {
                    Some(Err((outcome, text))) if self.slot.pids().is_empty() => {
                        self.answer(op, outcome, text)
                    }
                    Some(Ok(_) | Err(_)) | None => self.feed(Event::Start { op, cause }),
                }
            }
            Command::Stop { op, cause, window } => {
                let op = self.op(link, op);
                self.feed(Event::Stop { op, cause, window });
            }
            Command::Restart { op, cause, mode } => {
                let op = self.op(link, op);
                self.feed(Event::Restart { op, cause, mode });
            }
            Command::Signal { op, signal } => {
                let op = self.op(link, op);
                self.signal_by_command(op, signal);
            }
            Command::StopAnswered {} => self.feed(Event::StopAnswered),
            Command::ReopenLogs { op } => {
                let op = self.op(link, op);
                self.reopen_logs();
                self.answer(op, Outcome::Done, String::new());
            }
            Command::ClearLogs { op } => {
                let op = self.op(link, op);
                match self.out.clear().and_then(|()| self.err.clear()) {
                    Ok(()) => self.answer(op, Outcome::Done, String::new()),
                    Err(text) => self.answer(op, Outcome::Failed, text),
                }
            }
            Command::Acknowledge { seq } => self.ring.retain(|transition| transition.seq > seq),
            Command::GiveListeners { op } => self.give_listeners(link, op),
            Command::Leave { op } => {
                let op = self.op(link, op);
                if self.slot.pids().is_empty() {
                    self.answer(op, Outcome::Done, String::new());
                    self.leaving = true;
                } else {
                    self.answer(op, Outcome::Refused, "a process is running".into());
                }
            }
            Command::Outputs {} => {
                if let Ok([out, err]) = <[OwnedFd; 2]>::try_from(fds) {
                    let _ = sys::fds::place(&out, 1);
                    let _ = sys::fds::place(&err, 2);
                    self.root = [out, err].map(crate::logs::own_description);
                }
            }
            Command::NoRestarts {} => self.feed(Event::NoRestarts),
            Command::Event { ticket, bytes } => self.event_came(ticket, bytes, fds),
            Command::Heard { seq } => self.said_heard(seq),
            Command::Stdin { op, text } => {
                let op = self.op(link, op);
                self.stdin_by_command(op, text.as_bytes());
            }
        }
    }

    fn install(&mut self, fds: Vec<OwnedFd>) -> Result<(), String> {
        let mut fds = fds.into_iter();
        let memory = fds.next().ok_or("no spec came with it")?;
        let bytes =
            sys::memfd::read(memory.as_fd(), SPEC_BYTES_MAX).map_err(|error| error.to_string())?;
        let spec = Spec::from_bytes(&bytes).map_err(|error| error.to_string())?;
        let listeners: Vec<OwnedFd> = fds.collect();
        if listeners.len() != spec.listeners as usize {
            return Err(format!(
                "{} listeners came, {} were said",
                listeners.len(),
                spec.listeners
            ));
        }
        self.listeners.retain(|(hash, _)| *hash != spec.hash);
        if self.listeners.len() >= LISTENER_SETS_MAX {
            self.listeners.remove(0);
        }
        self.listeners.push((spec.hash.clone(), Rc::new(listeners)));
        self.feed(Event::Install(Rc::new(spec)));
        Ok(())
    }

    fn signal_by_command(&mut self, op: u64, signal: i32) {
        match self.slot.pids().first() {
            None => self.answer(op, Outcome::Refused, "not running".into()),
            Some(pid) => match sys::signal::send(*pid, signal) {
                Ok(()) => self.answer(op, Outcome::Done, String::new()),
                Err(error) => self.answer(op, Outcome::Failed, error.to_string()),
            },
        }
    }

    fn stdin_by_command(&mut self, op: u64, bytes: &[u8]) {
        let current = self.slot.pids().first().copied();
        let mut children = self.children.iter_mut();
        let child = children.find(|child| child.pid > 0 && Some(child.pid) == current);
        let Some(child) = child else {
            self.answer(op, Outcome::Refused, "not running".into());
            return;
        };
        match child.feed_stdin(bytes) {
            Ok(()) => self.answer(op, Outcome::Done, String::new()),
            Err(StdinError::Closed) => {
                self.answer(
                    op,
                    Outcome::NoFile,
                    "it has closed its standard input".into(),
                );
            }
            Err(StdinError::Full) => {
                self.answer(
                    op,
                    Outcome::Failed,
                    "it does not read its standard input".into(),
                );
            }
        }
    }

    fn give_listeners(&mut self, id: u64, op: u64) {
        let newest = self
            .listeners
            .last()
            .map(|(_, listeners)| listeners.clone())
            .unwrap_or_default();
        let copies: Vec<OwnedFd> = newest
            .iter()
            .filter_map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 3).ok())
            .collect();
        if let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
            link.send_with(
                &Report::Listeners {
                    op,
                    count: copies.len() as u32,
                },
                copies,
            );
        }
    }

    fn notice(&mut self, id: u64, notice: Notice) {
        match notice {
            Notice::Acknowledge { seq, in_flight } => {
                self.drains.acknowledged(id, seq);
                if self.drains.timer().is_some() || in_flight > 0 {
                    self.report(&Report::Drain {
                        in_flight,
                        drained: false,
                        took_ms: 0,
                    });
                }
            }
            Notice::Drained { generation, .. } => self.drains.drained(id, generation),
            Notice::Counted { counts } => {
                self.counts.insert(id, counts);
                let mut sum = self.counts_gone.clone();
                self.counts.values().for_each(|counts| sum.add(counts));
                self.fact.counts = sum.clone();
                self.slot.counts = sum;
                let report = Report::Now {
                    fact: self.fact.clone(),
                };
                self.report(&report);
            }
        }
    }
}
