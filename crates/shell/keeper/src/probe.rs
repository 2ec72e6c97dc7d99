//! `ready = exec:CMD`: a command of the owner's is run until it exits with 0; keepalive goes on running it.
//!
//! It runs as the program does: its user, its directory, its environment with the address of this generation. One
//! at a time, in a session of its own, so that a try that hangs is killed with all that it started.

use crate::checks::{Found, KEEPALIVE_TRY_MS_MIN, TRY_MS, pause_ms};
use crate::start::{self, Place};
use rustix::event::PollFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use wire::Spec;

/// Bytes of its output that are kept, for the words of a failure.
const OUTPUT_BYTES_MAX: usize = 1024;
/// Reads of its output before others get their turn.
const TURN_READS_MAX: usize = 16;

/// The check of one generation.
#[derive(Debug)]
pub(crate) struct Probe {
    spec: Rc<Spec>,
    argv: Vec<String>,
    place: Place,
    /// 0 = until ready; else keepalive period.
    period_ms: u64,
    since_ms: u64,
    next_at_ms: u64,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    pid: i32,
    output: Option<OwnedFd>,
    said: Vec<u8>,
    begun_ms: u64,
    deadline_ms: u64,
    killed: bool,
}

impl Probe {
    pub(crate) fn new(
        spec: Rc<Spec>,
        argv: Vec<String>,
        place: Place,
        period_ms: u64,
        now_ms: u64,
    ) -> Probe {
        Probe {
            spec,
            argv,
            place,
            period_ms,
            since_ms: now_ms,
            next_at_ms: now_ms + period_ms,
            running: None,
        }
    }

    pub(crate) fn timer(&self) -> u64 {
        self.running
            .as_ref()
            .map_or(self.next_at_ms, |running| running.deadline_ms)
    }

    /// It ends with its first success; a keepalive goes on.
    pub(crate) fn until_ready(&self) -> bool {
        self.period_ms == 0
    }

    pub(crate) fn poll(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let output = self.running.as_ref()?.output.as_ref()?;
        Some((output.as_fd(), PollFlags::IN))
    }

    /// Session of the command that runs now; 0 = none.
    pub(crate) fn pid(&self) -> i32 {
        self.running.as_ref().map_or(0, |running| running.pid)
    }

    /// Time has passed or it has said something.
    pub(crate) fn step(&mut self, now_ms: u64) -> Found {
        if let Some(running) = &mut self.running {
            running.read();
            if now_ms >= running.deadline_ms {
                running.kill();
                // Until it is reaped; a process in an uninterruptible wait is waited for once more.
                running.deadline_ms = now_ms + TRY_MS;
            }
            return Found::Nothing;
        }
        if self.next_at_ms > now_ms {
            return Found::Nothing;
        }
        match start::run_check(&self.spec, &self.argv, &self.place) {
            Ok((pid, output)) => {
                let try_ms = match self.period_ms {
                    0 => TRY_MS,
                    period_ms => period_ms.clamp(KEEPALIVE_TRY_MS_MIN, TRY_MS),
                };
                self.running = Some(Running {
                    pid,
                    output: Some(output),
                    said: Vec::new(),
                    begun_ms: now_ms,
                    deadline_ms: now_ms + try_ms,
                    killed: false,
                });
                Found::Nothing
            }
            Err(text) => {
                self.rest(now_ms, now_ms);
                Found::Failed(text)
            }
        }
    }

    /// The command that ran has ended.
    pub(crate) fn exited(&mut self, exit: i32, now_ms: u64) -> Found {
        let Some(mut running) = self.running.take() else {
            return Found::Nothing;
        };
        running.read();
        // What it started and did not wait for goes with it.
        let _ = sys::signal::send_group(running.pid, 9);
        self.rest(running.begun_ms, now_ms);
        let text = String::from_utf8_lossy(&running.said);
        let line = text
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .map(|line| format!(": {}", crate::plain::plain(line)))
            .unwrap_or_default();
        let name = self.argv.first().map_or("", String::as_str);
        match exit {
            _ if running.killed => Found::Failed(format!(
                "`{name}` did not end within {} ms{line}",
                now_ms.saturating_sub(running.begun_ms)
            )),
            0 => Found::Passed,
            exit if exit < 0 => Found::Failed(format!(
                "`{name}` ended by {}{line}",
                sys::signal::name(-exit)
            )),
            exit => Found::Failed(format!("`{name}` exited with status {exit}{line}")),
        }
    }

    fn rest(&mut self, begun_ms: u64, now_ms: u64) {
        self.next_at_ms = match self.period_ms {
            0 => now_ms + pause_ms(now_ms.saturating_sub(self.since_ms)),
            period_ms => now_ms.max(begun_ms + period_ms),
        };
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            running.kill();
        }
    }
}

impl Running {
    fn kill(&mut self) {
        self.killed = true;
        // It leads a session and so a group of its own.
        let _ = sys::signal::send_group(self.pid, 9);
    }

    fn read(&mut self) {
        let mut buffer = [0u8; 4096];
        // A command that never stops writing must not keep its own deadline from being looked at.
        for _ in 0..TURN_READS_MAX {
            let Some(output) = &self.output else { return };
            match rustix::io::read(output, &mut buffer) {
                Ok(0) => self.output = None,
                Ok(count) => {
                    self.said.extend_from_slice(&buffer[..count]);
                    let over = self.said.len().saturating_sub(OUTPUT_BYTES_MAX);
                    self.said.drain(..over);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => self.output = None,
            }
        }
    }
}
