//! Root: PID 1 of a container, or whatever started us. It must not fail, so it does next to nothing.

mod orders;

use crate::links::Link;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::WaitOptions;
use std::ffi::CString;
use std::io;
use std::path::PathBuf;
use sys::seq::Conn;
use sys::signal::Signals;
use wire::{Role, Tell};

/// A daemon that keeps dying is started again this much later; the first time at once.
const DAEMON_PAUSE_MS: u64 = 1_000;
/// A shutdown signal that the daemon does not act on within this time goes to the keepers.
const SHUTDOWN_ANSWER_MS: u64 = 5_000;
/// Signals remembered while there is no daemon. Repeats of one signal mean nothing more.
const SIGNALS_MAX: usize = 8;
/// Exit status of a daemon that could not even begin (bad configuration): ends root if it was never up.
const EXIT_COULD_NOT: i32 = 2;
/// Descriptor at which the daemon finds its socket to root.
const DAEMON_FD: i32 = 3;

/// What `steadfast run` decided before it became root.
pub struct RootOptions {
    /// Words of the daemon's command line, the name first.
    pub daemon_argv: Vec<String>,
    /// The held lock of the installation; closed in every child.
    pub lock: OwnedFd,
    /// The run directory, for messages.
    pub run_dir: PathBuf,
    /// The starter that waits, if we went to the background (`--daemon`).
    pub starter: Option<Starter>,
    /// Prints one line for people; root itself never writes.
    pub say: fn(&str),
}

/// The process that people started, which passes on what is said until everything was started.
#[derive(Debug)]
pub struct Starter {
    /// Told by one byte that it may go.
    pub ready: OwnedFd,
    /// The daemon's standard output until then.
    pub out: OwnedFd,
    /// The daemon's standard error until then, and root's lines.
    pub err: OwnedFd,
}

impl std::fmt::Debug for RootOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootOptions")
            .field("run_dir", &self.run_dir)
            .finish_non_exhaustive()
    }
}

struct Daemon {
    pid: i32,
    /// What it does not read at once waits here: the listeners of a large installation, answers to its orders.
    link: Link,
    /// Its socket is closed or broken, so it was killed.
    killed: bool,
    up: bool,
    started_ms: u64,
}

struct Root {
    options: RootOptions,
    signals: Signals,
    daemon: Option<Daemon>,
    /// When to start the next daemon.
    daemon_at_ms: Option<u64>,
    daemons: u32,
    /// Keepers forked here: pid, slot.
    keepers: Vec<(i32, u32)>,
    /// Keepers of an earlier root.
    adopted: Vec<(i32, OwnedFd)>,
    listeners: Vec<(String, OwnedFd)>,
    pending: Vec<i32>,
    /// The shutdown signal that came. There is no way back: each new daemon is told it again.
    shutdown: Option<i32>,
    /// A shutdown signal came; the daemon has until then to act on it.
    answer_by_ms: Option<u64>,
    /// The keepers were signalled by root itself; it ends when they are gone.
    ending: bool,
    /// systemd knows that we are up.
    systemd: orders::Systemd,
}

/// Runs root until everything has ended; returns the exit status. The caller has one thread.
pub fn run(options: RootOptions) -> i32 {
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    sys::signal::ignore_pipe();
    let signals = match Signals::new(&[15, 2, 3, 1, 12, 17, 10]) {
        Ok(signals) => signals,
        Err(error) => {
            (options.say)(&format!("error: cannot receive signals: {error}"));
            return EXIT_COULD_NOT;
        }
    };
    let mut root = Root {
        options,
        signals,
        daemon: None,
        daemon_at_ms: Some(0),
        daemons: 0,
        keepers: Vec::new(),
        adopted: Vec::new(),
        listeners: Vec::new(),
        pending: Vec::new(),
        shutdown: None,
        answer_by_ms: None,
        ending: false,
        systemd: orders::Systemd::default(),
    };
    root.main_loop()
}

enum Woke {
    Signals,
    Daemon,
    Adopted(usize),
}

impl Root {
    fn main_loop(&mut self) -> i32 {
        loop {
            if let Some(status) = self.timers() {
                return status;
            }
            for woke in self.wait() {
                let ended = match woke {
                    Woke::Signals => self.signals_came(),
                    Woke::Daemon => self.daemon_spoke(),
                    Woke::Adopted(at) => {
                        self.adopted.remove(at);
                        None
                    }
                };
                if let Some(status) = ended {
                    return status;
                }
            }
        }
    }

    fn timers(&mut self) -> Option<i32> {
        let now_ms = sys::clock::mono_ms();
        if self.daemon_at_ms.is_some_and(|at| at <= now_ms) && !self.ending {
            self.daemon_at_ms = None;
            if let Err(error) = self.start_daemon() {
                self.say(&format!("error: cannot start the daemon: {error}"));
                self.daemon_at_ms = Some(now_ms + DAEMON_PAUSE_MS);
            }
        }
        if self.answer_by_ms.is_some_and(|at| at <= now_ms) && !self.ending {
            self.say("warning: the daemon does not answer; root ends the programs itself");
            self.ending = true;
            if let Some(daemon) = &self.daemon {
                let _ = sys::signal::send(daemon.pid, 9);
            }
            for pid in self
                .keepers
                .iter()
                .map(|(pid, _)| *pid)
                .chain(self.adopted.iter().map(|(pid, _)| *pid))
            {
                let _ = sys::signal::send(pid, 15);
            }
        }
        (self.ending && self.keepers.is_empty() && self.adopted.is_empty()).then_some(0)
    }

    fn say(&self, text: &str) {
        match &self.options.starter {
            Some(starter) => {
                let _ = rustix::io::write(&starter.err, format!("{text}\n").as_bytes());
            }
            None => (self.options.say)(text),
        }
    }

    fn wait(&self) -> Vec<Woke> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        // A closed socket is readable for ever; the death of its daemon comes as SIGCHLD.
        if let Some(daemon) = self.daemon.as_ref().filter(|daemon| !daemon.link.dead) {
            let (fd, flags) = daemon.link.poll();
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        }
        let first_adopted = fds.len();
        fds.extend(
            self.adopted
                .iter()
                .map(|(_, pidfd)| PollFd::new(pidfd, PollFlags::IN)),
        );
        let next = self
            .daemon_at_ms
            .into_iter()
            .chain(self.answer_by_ms.filter(|_| !self.ending))
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
        let woken: Vec<usize> = (0..fds.len())
            .filter(|at| !fds[*at].revents().is_empty())
            .collect();
        // From the back, so that removing one adopted keeper does not shift the next.
        woken
            .into_iter()
            .rev()
            .map(|at| match at {
                0 => Woke::Signals,
                at if at >= first_adopted => Woke::Adopted(at - first_adopted),
                _ => Woke::Daemon,
            })
            .collect()
    }

    fn signals_came(&mut self) -> Option<i32> {
        while let Some((signal, _)) = self.signals.next() {
            if signal == 17 {
                if let Some(status) = self.reap() {
                    return Some(status);
                }
                continue;
            }
            if matches!(signal, 15 | 2 | 3) && self.answer_by_ms.is_none() {
                self.shutdown = Some(signal);
                self.answer_by_ms = Some(sys::clock::mono_ms() + SHUTDOWN_ANSWER_MS);
            }
            if self.pending.len() < SIGNALS_MAX && !self.pending.contains(&signal) {
                self.pending.push(signal);
            }
            self.tell_pending();
        }
        None
    }

    fn tell_pending(&mut self) {
        if self.daemon.is_none() {
            return;
        }
        for signal in std::mem::take(&mut self.pending) {
            self.tell(&Tell::Signalled { signal });
        }
    }

    fn reap(&mut self) -> Option<i32> {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            let exit = status
                .exit_status()
                .or(status.terminating_signal().map(|signal| -signal))
                .unwrap_or(0);
            if let Some(at) = self.keepers.iter().position(|(keeper, _)| *keeper == pid) {
                let (_, slot) = self.keepers.remove(at);
                self.tell(&Tell::KeeperEnded {
                    slot,
                    pid,
                    status: exit,
                });
            } else if self.daemon.as_ref().is_some_and(|daemon| daemon.pid == pid)
                && let Some(status) = self.daemon_ended(exit)
            {
                return Some(status);
            }
        }
        None
    }

    fn tell(&mut self, message: &Tell) {
        if let Some(daemon) = &mut self.daemon {
            daemon.link.send(message);
        }
    }

    fn daemon_ended(&mut self, exit: i32) -> Option<i32> {
        // Its last orders may still be in the socket.
        if let Some(status) = self.read_orders() {
            return Some(status);
        }
        let daemon = self.daemon.take()?;
        if exit == EXIT_COULD_NOT
            && !daemon.up
            && self.keepers.is_empty()
            && self.adopted.is_empty()
        {
            return Some(EXIT_COULD_NOT);
        }
        let now_ms = sys::clock::mono_ms();
        let lived_ms = now_ms.saturating_sub(daemon.started_ms);
        let pause_ms = if lived_ms < DAEMON_PAUSE_MS {
            DAEMON_PAUSE_MS
        } else {
            0
        };
        self.daemon_at_ms = Some(now_ms + pause_ms);
        None
    }

    fn start_daemon(&mut self) -> io::Result<()> {
        let (ours, theirs) = Conn::pair()?;
        let words: Result<Vec<CString>, _> = self
            .options
            .daemon_argv
            .iter()
            .map(|word| CString::new(word.as_str()))
            .collect();
        let env: Vec<CString> = std::env::vars_os()
            .filter_map(|(key, value)| {
                use std::os::unix::ffi::OsStrExt;
                let mut entry = key.as_bytes().to_vec();
                entry.push(b'=');
                entry.extend_from_slice(value.as_bytes());
                CString::new(entry).ok()
            })
            .collect();
        let mut exec = sys::spawn::Exec {
            file: c"/proc/self/exe".to_owned(),
            argv: words?,
            env,
            directory: None,
            credentials: None,
            umask: None,
            standard: match &self.options.starter {
                Some(starter) => [
                    sys::fds::standard(0),
                    starter.out.as_fd(),
                    starter.err.as_fd(),
                ],
                None => [0, 1, 2].map(sys::fds::standard),
            },
            fds: vec![(theirs.as_fd(), DAEMON_FD)],
            limits_min: (0, 0),
            // It ends when its socket closes; one that is stuck in a loop must not outlive us either.
            die_with_parent: true,
        };
        let pid = sys::spawn::spawn(&mut exec).map_err(io::Error::other)?;
        self.daemons += 1;
        self.daemon = Some(Daemon {
            pid,
            link: Link::new(0, Role::Daemon, ours),
            killed: false,
            up: false,
            started_ms: sys::clock::mono_ms(),
        });
        self.tell(&Tell::Welcome {
            epoch: sys::clock::boottime_ns(),
            listeners: self.listeners.len() as u32,
            root_pid: std::process::id() as i32,
            restarted: self.daemons > 1,
        });
        for (key, listener) in &self.listeners {
            let copy = rustix::io::fcntl_dupfd_cloexec(listener, 3)?;
            if let Some(daemon) = &mut self.daemon {
                daemon
                    .link
                    .send_with(&Tell::Listener { key: key.clone() }, vec![copy]);
            }
        }
        if let Some(signal) = self.shutdown
            && !self.pending.contains(&signal)
        {
            // The daemon before this one may have died in the middle of it.
            self.pending.push(signal);
            let by = sys::clock::mono_ms() + SHUTDOWN_ANSWER_MS;
            self.answer_by_ms.get_or_insert(by);
        }
        self.tell_pending();
        Ok(())
    }
}
