//! An event listener: its half of the protocol is kept here, beside its process, so that it does not depend on a daemon.
//!
//! The daemon decides what it gets; this knows which event it has and how the last one ended, and says so to every
//! daemon that comes. Whatever ends an event without an answer (the process died, broke the protocol, reads nothing)
//! gives it back.

use super::Keeper;
use events::{Heard, ListenerState};
use rustix::fd::{AsFd, OwnedFd};
use wire::{EventEnd, ListenerPhase, Listening, Report};

/// Bytes of one event that are accepted: a captured part of that size is more than any listener reads.
const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Supervisor's words.
const UNKNOWN: &str = "has entered the UNKNOWN state and will no longer receive events, this usually indicates the \
                       process violated the eventlistener protocol";

impl Keeper {
    /// An event from the daemon.
    pub(super) fn event_came(&mut self, ticket: u64, mut bytes: Vec<u8>, fds: Vec<OwnedFd>) {
        if let (true, Some(memory)) = (bytes.is_empty(), fds.first()) {
            bytes = sys::memfd::read(memory.as_fd(), EVENT_BYTES_MAX).unwrap_or_default();
        }
        if bytes.is_empty() {
            // Given back, it would come again at once and for ever.
            self.remark(0, "an event that cannot be read is passed over".into());
            let mut listening = self.listening.clone().unwrap_or_default();
            listening.done = ticket;
            listening.how = EventEnd::Processed;
            self.tell_listening(listening);
            return;
        }
        let current = self.slot.pids().first().copied();
        let mut children = self.children.iter_mut();
        let child = children.find(|child| child.pid > 0 && Some(child.pid) == current);
        let sent = match child {
            Some(child) if !bytes.is_empty() => child.hand_event(&bytes),
            Some(_) | None => Err(false),
        };
        let mut listening = self.listening.clone().unwrap_or_default();
        match sent {
            Ok(()) => listening.busy = ticket,
            Err(closed) => {
                if closed {
                    self.remark(
                        0,
                        "has closed its standard input and gets no more events".into(),
                    );
                }
                listening.done = ticket;
                listening.how = EventEnd::Dropped;
            }
        }
        self.tell_listening(listening);
    }

    /// Takes in what a listener wrote.
    pub(super) fn listener_said(&mut self, heard: Vec<Heard>) {
        let mut listening = self.listening.clone().unwrap_or_default();
        for one in heard {
            let how = match one {
                Heard::Ready => continue,
                Heard::Result { ok: true } => EventEnd::Processed,
                Heard::Result { ok: false } => EventEnd::Rejected,
                Heard::BadResult { line } => {
                    let line = crate::plain::plain(&line);
                    self.remark(0, format!("bad result line: '{line}'"));
                    EventEnd::Dropped
                }
                Heard::Broken => {
                    self.remark(0, UNKNOWN.into());
                    EventEnd::Dropped
                }
            };
            end(&mut listening, how);
        }
        self.tell_listening(listening);
    }

    /// Its process began, or ended: an event that it had is given back.
    pub(super) fn listener_turned(&mut self) {
        let Some(mut listening) = self.listening.clone() else {
            return;
        };
        end(&mut listening, EventEnd::Dropped);
        self.tell_listening(listening);
    }

    fn tell_listening(&mut self, mut listening: Listening) {
        let talk = self
            .children
            .iter()
            .rev()
            .find_map(|child| child.talk.as_ref().filter(|_| child.pid > 0));
        listening.phase = match talk.map(|talk| talk.state()) {
            Some(ListenerState::Ready) => ListenerPhase::Ready,
            Some(ListenerState::Busy) => ListenerPhase::Busy,
            Some(ListenerState::Unknown) => ListenerPhase::Unknown,
            Some(ListenerState::Acknowledged) | None => ListenerPhase::Acknowledged,
        };
        if self.listening.as_ref() != Some(&listening) {
            self.listening = Some(listening.clone());
            self.report(&Report::Listener { listening });
        }
    }
}

fn end(listening: &mut Listening, how: EventEnd) {
    if listening.busy != 0 {
        listening.done = std::mem::take(&mut listening.busy);
        listening.how = how;
    }
}
