//! The queue of one target, and its suspects.

use std::collections::BTreeMap;

use wire::{Fact, Phase};

use crate::drains::{Drained, Drains};
use crate::limits::SUSPECT_ALONE_MS;
use crate::pace::Pace;
use crate::request::Request;
use crate::room::Room;
use crate::table::{Event, Place, Proof, Stage, Verdict, Why, decide};
use crate::view::{Gate, Slot, choose};

/// A place in the queue: the number of the request's arrival. One that comes back takes its old place, which is before
/// all that were never released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u64);

#[derive(Debug)]
struct Entry<T> {
    token: T,
    request: Request,
    bytes: u64,
    since_ms: u64,
    until_ms: u64,
}

/// What a keeper's word asks of the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Requests still at what the word closed, for the acknowledgement.
    pub in_flight: u64,
    /// Idle connections to the slot are to be closed.
    pub close_idle: bool,
    /// WebSockets and event streams of this generation end now.
    pub end_streams: Option<u64>,
}

/// One target. `T` is what the shell needs to find the task of a request that waits.
#[derive(Debug)]
pub struct Program<T> {
    slots: Vec<Slot>,
    queue: BTreeMap<Key, Entry<T>>,
    arrivals: u64,
    pace: Pace,
    suspect_since_ms: Option<u64>,
    drains: Drains,
}

impl<T> Program<T> {
    /// A target with these slots.
    pub fn new(slots: Vec<Slot>) -> Program<T> {
        Program {
            slots,
            queue: BTreeMap::new(),
            arrivals: 0,
            pace: Pace::default(),
            suspect_since_ms: None,
            drains: Drains::default(),
        }
    }

    /// Its slots.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// A request's head is complete, or it comes back and asks again: forward it, park it, or answer it.
    pub fn arrive(&mut self, request: &mut Request, place: Place, now: u64) -> Verdict {
        self.number(request);
        match self.gate(now) {
            (Gate::Open, slot)
                if self.queue.is_empty() && !self.is_alone(now) && self.may_go(request) =>
            {
                self.start(request, slot, now);
                Verdict::Forward(slot)
            }
            (Gate::Open | Gate::Until(_) | Gate::Wait, _) => Verdict::Park(place),
            (Gate::Down(why), _) => {
                self.fail(request, why);
                Verdict::Answer(why)
            }
        }
    }

    /// Puts a request into the queue, or says why it cannot wait.
    pub fn park(
        &mut self,
        room: &mut Room,
        mut request: Request,
        bytes: u64,
        token: T,
        now: u64,
    ) -> Result<Key, (Request, Why)> {
        let why = if request.waited_ms >= request.hold_ms {
            Some(Why::HoldOver)
        } else if !room.enter(request.client, bytes) {
            Some(Why::NoRoom)
        } else {
            None
        };
        if let Some(why) = why {
            self.fail(&mut request, why);
            return Err((request, why));
        }
        let key = Key(self.number(&mut request));
        request.waited = true;
        let until_ms = now.saturating_add(request.hold_ms - request.waited_ms);
        let entry = Entry {
            token,
            request,
            bytes,
            since_ms: now,
            until_ms,
        };
        self.queue.insert(key, entry);
        Ok(key)
    }

    fn number(&mut self, request: &mut Request) -> u64 {
        *request.arrival.get_or_insert_with(|| {
            self.arrivals += 1;
            self.arrivals
        })
    }

    /// More of a waiting request's body is to be read: false if there is no room for it.
    pub fn grow(&mut self, room: &mut Room, key: Key, bytes: u64) -> bool {
        match self.queue.get_mut(&key) {
            Some(entry) if room.grow(entry.request.client, bytes) => {
                entry.bytes += bytes;
                true
            }
            _ => false,
        }
    }

    /// The client of a waiting request has gone.
    pub fn leave(&mut self, room: &mut Room, key: Key) {
        if let Some(entry) = self.queue.remove(&key) {
            room.leave(entry.request.client, entry.bytes);
            self.after_removal();
        }
    }

    /// The next request that may go, if any; it counts as under way from now on. Call it until there is none.
    pub fn release(&mut self, room: &mut Room, now: u64) -> Option<(T, Request)> {
        if self.queue.is_empty() || self.is_alone(now) {
            return None;
        }
        // Suspects that wait for a slow one of their kind are passed: they must not hold everybody up.
        let mut waiting = self.queue.iter();
        let key = *waiting.find(|(_, entry)| self.may_go(&entry.request))?.0;
        let (Gate::Open, slot) = self.gate(now) else {
            return None;
        };
        let epoch = self.pace.take(now)?;
        let mut entry = self.queue.remove(&key)?;
        room.leave(entry.request.client, entry.bytes);
        let request = &mut entry.request;
        request.pace = Some(epoch);
        request.waited_ms += now.saturating_sub(entry.since_ms);
        self.start(request, slot, now);
        let counts = &mut self.slots[slot].counts;
        counts.longest_wait_ms = counts.longest_wait_ms.max(request.waited_ms);
        self.after_removal();
        Some((entry.token, entry.request))
    }

    /// Requests that may wait no longer, each with its answer.
    pub fn sweep(&mut self, room: &mut Room, now: u64) -> Vec<(T, Request, Why)> {
        let down = match self.gate(now) {
            (Gate::Down(why), _) => Some(why),
            (Gate::Open | Gate::Until(_) | Gate::Wait, _) => None,
        };
        let over: Vec<Key> = self
            .queue
            .iter()
            .filter(|(_, entry)| down.is_some() || entry.until_ms <= now)
            .map(|(key, _)| *key)
            .collect();
        self.answer_all(room, &over, now, down.unwrap_or(Why::HoldOver))
    }

    /// This worker's time is over: all that wait are answered.
    pub fn leave_over(&mut self, room: &mut Room, now: u64) -> Vec<(T, Request, Why)> {
        let all: Vec<Key> = self.queue.keys().copied().collect();
        self.answer_all(room, &all, now, Why::Leaving)
    }

    fn answer_all(
        &mut self,
        room: &mut Room,
        keys: &[Key],
        now: u64,
        why: Why,
    ) -> Vec<(T, Request, Why)> {
        let mut answered = Vec::new();
        for key in keys {
            if let Some(mut entry) = self.queue.remove(key) {
                room.leave(entry.request.client, entry.bytes);
                entry.request.waited_ms += now.saturating_sub(entry.since_ms);
                self.fail(&mut entry.request, why);
                answered.push((entry.token, entry.request, why));
            }
        }
        self.after_removal();
        answered
    }

    /// When [`Program::release`] is worth a call although nothing happened. Deadlines of waiting requests are swept at
    /// the worker's coarse tick.
    pub fn next_timer(&self, now: u64) -> Option<u64> {
        if self.queue.is_empty() {
            return None;
        }
        if let Some(since) = self.suspect_since_ms.filter(|_| self.is_alone(now)) {
            return Some(since + SUSPECT_ALONE_MS);
        }
        match self.gate(now) {
            (Gate::Until(at), _) => Some(at),
            // Suspects alone wait for the one of their kind that is out, and for no time.
            (Gate::Open, _) if !self.queue.values().any(|it| self.may_go(&it.request)) => None,
            (Gate::Open, _) => self.pace.next_timer(),
            (Gate::Wait | Gate::Down(_), _) => None,
        }
    }

    /// What happened to a request that is under way. `Park` and `Repeat` have taken it back: ask [`Program::arrive`]
    /// again with [`Place::Front`]. After `Answer`, `Abort`, `EndStream` and `Leave` it is over.
    pub fn event(&mut self, request: &mut Request, event: Event, now: u64) -> Verdict {
        let verdict = decide(request.stage, event, request.may_repeat());
        match event {
            Event::ConnectFailed | Event::Ended(Proof::Unread { fresh: true }) => {
                let probe = std::mem::take(&mut request.probe);
                let slot = &mut self.slots[request.slot];
                // What became of a generation that was replaced since says nothing of the one there is.
                if request.generation == slot.generation() {
                    slot.failed(now, probe);
                }
            }
            Event::Ended(Proof::Read) if matches!(request.stage, Stage::Sent | Stage::Handed) => {
                self.suspect(request);
            }
            _ => {}
        }
        match verdict {
            Verdict::Park(_) => self.land(request, false),
            Verdict::Repeat => {
                self.land(request, false);
                request.repeats += 1;
            }
            Verdict::Answer(why) => self.fail(request, why),
            Verdict::Abort => {
                self.slots[request.slot].counts.failed += 1;
                self.land(request, true);
                request.stage = Stage::Over;
            }
            Verdict::EndStream => {
                self.land(request, true);
                request.stage = Stage::Over;
            }
            Verdict::Leave => {
                self.land(request, false);
                request.stage = Stage::Over;
            }
            Verdict::Stay | Verdict::Forward(_) => {}
        }
        verdict
    }

    /// A connection to its slot stands.
    pub fn connected(&mut self, request: &mut Request) {
        request.probe = false;
        let slot = &mut self.slots[request.slot];
        if request.generation == slot.generation() {
            slot.connected();
        }
    }

    /// The head of the final answer came.
    pub fn answered(&mut self, request: &mut Request) {
        request.handed_over();
        self.pace.settle(request.pace.take(), true);
        self.slots[request.slot].suspicion = false;
        if request.probe {
            // It went over a connection that was still there.
            self.connected(request);
        }
    }

    /// The first byte of the final head goes to the client.
    pub fn begun(&mut self, request: &mut Request) {
        if request.stage != Stage::Over {
            request.stage = Stage::Begun;
        }
        self.settle_suspect(request);
    }

    /// The answer is a WebSocket or an event stream.
    pub fn stream(&mut self, request: &mut Request) {
        if request.stage != Stage::Over {
            request.stage = Stage::Stream;
        }
        self.settle_suspect(request);
    }

    /// The answer is complete. Harmless for a request that is over already.
    pub fn done(&mut self, request: &mut Request) {
        self.land(request, false);
        request.stage = Stage::Over;
    }

    /// A keeper's word.
    pub fn told(&mut self, at: usize, fact: &Fact) -> Turn {
        let Some(slot) = self.slots.get_mut(at) else {
            return Turn {
                in_flight: 0,
                close_idle: false,
                end_streams: None,
            };
        };
        let close_idle = slot.told(fact);
        let leaving = slot.leaving();
        let (closed, end_streams) = match fact.phase {
            Phase::Draining | Phase::DrainingToStop => {
                (Some(fact.generation), Some(fact.generation))
            }
            Phase::Starting
            | Phase::Ready
            | Phase::Restarting
            | Phase::Exited
            | Phase::Stopped
            | Phase::Fatal
            | Phase::Removed => (leaving, None),
        };
        let in_flight = match closed {
            Some(generation) => slot.in_flight(generation),
            None => slot.in_flight_all(),
        };
        self.drains.want(at, [end_streams, leaving]);
        Turn {
            in_flight,
            close_idle,
            end_streams,
        }
    }

    /// A server that somebody else runs, and that was found unreachable, says that it is ready.
    pub fn back(&mut self, at: usize) {
        if let Some(slot) = self.slots.get_mut(at) {
            slot.back();
        }
    }

    /// The keeper's connection is gone; a new one will be told again what was reported.
    pub fn lost(&mut self, at: usize) {
        if let Some(slot) = self.slots.get_mut(at) {
            slot.lost();
        }
        self.drains.lost(at);
    }

    /// A drain of the slot that has come to its end, once.
    pub fn drained(&mut self, at: usize) -> Option<Drained> {
        let slot = self.slots.get(at)?;
        self.drains.report(at, slot)
    }

    /// True while somebody waits for the end of a drain of the slot.
    pub fn is_draining(&self, at: usize) -> bool {
        self.drains.any(at)
    }

    fn gate(&self, now: u64) -> (Gate, usize) {
        choose(&self.slots, now)
    }

    fn start(&mut self, request: &mut Request, at: usize, now: u64) {
        let slot = &mut self.slots[at];
        request.stage = Stage::Waiting;
        request.slot = at;
        request.generation = slot.generation();
        request.probe = slot.take_off(now);
        request.in_flight = true;
        if !request.counted {
            request.counted = true;
            slot.counts.requests += 1;
        }
        if request.waited && !request.wait_counted {
            request.wait_counted = true;
            slot.counts.waited += 1;
        }
        if request.suspect {
            request.suspect_out = true;
            self.suspect_since_ms = Some(now);
        }
    }

    /// Takes a request out of flight.
    fn land(&mut self, request: &mut Request, cut: bool) {
        if !std::mem::take(&mut request.in_flight) {
            return;
        }
        self.pace.settle(request.pace.take(), false);
        self.settle_suspect(request);
        let slot = &mut self.slots[request.slot];
        if std::mem::take(&mut request.probe) && request.generation == slot.generation() {
            slot.probe_back();
        }
        slot.land(request.generation);
        self.drains.landed(request.slot, request.generation, cut);
        request.stage = Stage::Waiting;
    }

    fn fail(&mut self, request: &mut Request, why: Why) {
        if let Some(slot) = self.slots.get_mut(request.slot) {
            slot.counts.failed += 1;
            if matches!(why, Why::MayHaveRun | Why::Spent) {
                slot.counts.may_have_run += 1;
            }
        }
        self.land(request, true);
        request.stage = Stage::Over;
    }

    /// A request was handed over when its program ended. If it was a repeat, it and all that met the same end go one
    /// at a time from now on: one of them may be the cause.
    fn suspect(&mut self, request: &mut Request) {
        let slot = &mut self.slots[request.slot];
        if request.repeats > 0 && !slot.suspicion {
            slot.suspicion = true;
            for entry in self.queue.values_mut() {
                entry.request.suspect |= entry.request.repeats > 0;
            }
        }
        request.suspect |= slot.suspicion;
    }

    fn may_go(&self, request: &Request) -> bool {
        !(request.suspect && self.suspect_since_ms.is_some())
    }

    fn is_alone(&self, now: u64) -> bool {
        self.suspect_since_ms
            .is_some_and(|since| now < since + SUSPECT_ALONE_MS)
    }

    fn settle_suspect(&mut self, request: &mut Request) {
        if std::mem::take(&mut request.suspect_out) {
            self.suspect_since_ms = None;
        }
    }

    /// The pace ends with the queue.
    fn after_removal(&mut self) {
        if self.queue.is_empty() {
            self.pace.end();
        }
    }
}
