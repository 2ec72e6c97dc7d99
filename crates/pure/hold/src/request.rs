//! One request on its way.

use crate::limits::REPEATS_MAX;
use crate::room::Client;
use crate::table::{Repeats, Stage};

/// Made when a request's head is complete; owned by the task that serves it, or by the queue while it waits.
#[derive(Debug)]
pub struct Request {
    pub(crate) stage: Stage,
    pub(crate) client: Client,
    pub(crate) arrival: Option<u64>,
    pub(crate) safe: bool,
    pub(crate) held: bool,
    pub(crate) repeats: u8,
    pub(crate) suspect: bool,
    pub(crate) hold_ms: u64,
    pub(crate) waited_ms: u64,
    pub(crate) waited: bool,
    pub(crate) wait_counted: bool,
    pub(crate) slot: usize,
    pub(crate) generation: u64,
    pub(crate) in_flight: bool,
    pub(crate) counted: bool,
    pub(crate) probe: bool,
    pub(crate) suspect_out: bool,
    pub(crate) pace: Option<u32>,
}

impl Request {
    /// A request of `client` that may wait for `hold_ms` in all. `safe`: GET, HEAD or OPTIONS. Its body counts as held
    /// until [`Request::body_held`] says otherwise.
    pub fn new(client: Client, safe: bool, hold_ms: u64) -> Request {
        Request {
            stage: Stage::Waiting,
            client,
            arrival: None,
            safe,
            held: true,
            repeats: 0,
            suspect: false,
            hold_ms,
            waited_ms: 0,
            waited: false,
            wait_counted: false,
            slot: 0,
            generation: 0,
            in_flight: false,
            counted: false,
            probe: false,
            suspect_out: false,
            pace: None,
        }
    }

    /// How far it got.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The slot it was sent to, or is to be sent to.
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// The generation it was sent to.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Milliseconds spent in the queue, if it ever was there.
    pub fn waited_ms(&self) -> Option<u64> {
        self.waited.then_some(self.waited_ms)
    }

    /// How often it was sent again after the program had read it.
    pub fn repeats(&self) -> u8 {
        self.repeats
    }

    /// Whether it goes alone.
    pub fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// Whether its body (none is held, too) is there as a whole, so that it could be sent once more.
    pub fn body_held(&mut self, held: bool) {
        self.held = held;
    }

    /// Whether it may be repeated at all; over TCP one that may not takes a fresh connection.
    pub fn is_repeatable(&self) -> bool {
        self.safe && self.held
    }

    /// One send of at most 4 KiB went out over a Unix socket: it is unread until proven otherwise.
    pub fn sent(&mut self) {
        if self.stage == Stage::Waiting {
            self.stage = Stage::Sent;
        }
    }

    /// A second send went out, it went over TCP, it was longer than 4 KiB, or a byte of an answer came.
    pub fn handed_over(&mut self) {
        if matches!(self.stage, Stage::Waiting | Stage::Sent) {
            self.stage = Stage::Handed;
        }
    }

    pub(crate) fn may_repeat(&self) -> Repeats {
        match (self.is_repeatable(), self.repeats < REPEATS_MAX) {
            (false, _) => Repeats::Never,
            (true, true) => Repeats::May,
            (true, false) => Repeats::Spent,
        }
    }
}
