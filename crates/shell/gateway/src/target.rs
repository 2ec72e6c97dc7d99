//! A program or upstream as this worker sees it: its queue, its idle connections, its open streams.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use hold::{Event, Key, Place, Program, Request, Room, Slot, Turn, Verdict, Why};
use tokio::sync::Notify;
use wire::{Counts, Fact};

use crate::connect::{self, Whose};
use crate::handle::{End, Handle, Told};
use crate::limits::{COUNTS_MS_MIN, UPSTREAM_IDLE_MAX, UPSTREAM_IDLE_MS_MAX};
use crate::stream::Stream;
use crate::tokens::Tokens;
use crate::torn::{Steps, Torn};
use crate::worker::Worker;

/// A connection to a program.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) stream: Stream,
    /// Opened for this request, not taken from the idle ones.
    pub(crate) fresh: bool,
    /// Number of the key that its generation was started with.
    pub(crate) key: u32,
    generation: u64,
    since_ms: u64,
}

/// The shell's side of one slot.
#[derive(Debug, Default)]
struct Side {
    /// Last in, first out: the youngest is on top, so when it is too old, all are.
    idle: RefCell<Vec<Up>>,
    /// Wakes the task that talks with the slot's keeper.
    notify: Notify,
    /// Whom its socket may belong to.
    whose: Whose,
    /// Its keeper listens.
    heard: Cell<bool>,
    sent_counts: RefCell<Counts>,
    sent_counts_ms: Cell<u64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    /// How its tokens are made; None: it has no key of ours.
    pub(crate) tokens: Option<Tokens>,
    program: Steps<Program<Rc<Handle>>>,
    sides: Vec<Side>,
    streams: RefCell<Vec<(usize, u64, Rc<Handle>)>>,
    probe: Notify,
    /// It was found unreachable.
    away: Notify,
    /// When the task that waits for the clock looks next; `u64::MAX` = it waits for `probe`.
    probe_at_ms: Cell<u64>,
}

impl Target {
    /// `whose`: one for each slot.
    pub(crate) fn new(
        name: &str,
        slots: Vec<Slot>,
        whose: Vec<Whose>,
        tokens: Option<Tokens>,
        torn: Rc<Torn>,
    ) -> Target {
        let side = |whose| Side {
            whose,
            ..Side::default()
        };
        Target {
            name: name.to_owned(),
            tokens,
            sides: whose.into_iter().map(side).collect(),
            program: Steps::new(Program::new(slots), torn),
            streams: RefCell::default(),
            probe: Notify::new(),
            away: Notify::new(),
            probe_at_ms: Cell::new(u64::MAX),
        }
    }

    pub(crate) fn arrive(&self, request: &mut Request, place: Place) -> Verdict {
        self.program
            .borrow_mut()
            .arrive(request, place, sys::clock::mono_ms())
    }

    /// Puts the request into the queue; its end comes by way of the handle.
    pub(crate) fn park(
        &self,
        room: &RefCell<Room>,
        request: Request,
        bytes: u64,
        handle: &Rc<Handle>,
    ) -> Result<Key, (Request, Why)> {
        let now = sys::clock::mono_ms();
        let key = self.program.borrow_mut().park(
            &mut room.borrow_mut(),
            request,
            bytes,
            handle.clone(),
            now,
        )?;
        self.kick(room);
        Ok(key)
    }

    pub(crate) fn grow(&self, room: &RefCell<Room>, key: Key, bytes: u64) -> bool {
        self.program
            .borrow_mut()
            .grow(&mut room.borrow_mut(), key, bytes)
    }

    pub(crate) fn leave(&self, room: &RefCell<Room>, key: Key) {
        self.program.borrow_mut().leave(&mut room.borrow_mut(), key);
        self.kick(room);
    }

    pub(crate) fn event(
        &self,
        room: &RefCell<Room>,
        request: &mut Request,
        event: Event,
    ) -> Verdict {
        let now = sys::clock::mono_ms();
        let verdict = self.program.borrow_mut().event(request, event, now);
        if self.is_away() {
            self.away.notify_one();
        }
        self.after(room, request.slot());
        verdict
    }

    pub(crate) fn connected(&self, room: &RefCell<Room>, request: &mut Request) {
        self.program.borrow_mut().connected(request);
        self.kick(room);
    }

    pub(crate) fn answered(&self, room: &RefCell<Room>, request: &mut Request) {
        self.program.borrow_mut().answered(request);
        self.kick(room);
    }

    pub(crate) fn begun(&self, room: &RefCell<Room>, request: &mut Request) {
        self.program.borrow_mut().begun(request);
        self.kick(room);
    }

    pub(crate) fn done(&self, room: &RefCell<Room>, request: &mut Request) {
        self.program.borrow_mut().done(request);
        self.after(room, request.slot());
    }

    /// The answer is a stream: it is remembered, so that a drain can end it.
    pub(crate) fn stream(&self, room: &RefCell<Room>, request: &mut Request, handle: &Rc<Handle>) {
        handle.stream_begins();
        let of = (request.slot(), request.generation(), handle.clone());
        self.streams.borrow_mut().push(of);
        let draining = {
            let mut program = self.program.borrow_mut();
            program.stream(request);
            program.is_draining(request.slot())
        };
        if draining {
            handle.end_stream(End::Drain);
        }
        self.kick(room);
    }

    pub(crate) fn stream_over(&self, handle: &Rc<Handle>) {
        self.streams
            .borrow_mut()
            .retain(|(_, _, other)| !Rc::ptr_eq(other, handle));
    }

    /// Ends all streams (this worker's time is over).
    pub(crate) fn end_streams(&self) {
        for (_, _, handle) in self.streams.borrow().iter() {
            handle.end_stream(End::Drain);
        }
    }

    fn after(&self, room: &RefCell<Room>, slot: usize) {
        if self.program.borrow().is_draining(slot) {
            self.sides[slot].notify.notify_one();
        }
        self.kick(room);
    }

    /// Releases what may go now.
    pub(crate) fn kick(&self, room: &RefCell<Room>) {
        if self.program.borrow().waiting() == 0 {
            return;
        }
        let now = sys::clock::mono_ms();
        self.release(room, now);
        let next = self.program.borrow().next_timer(now);
        if next.is_some_and(|at| at < self.probe_at_ms.get()) {
            self.probe.notify_one();
        }
    }

    fn release(&self, room: &RefCell<Room>, now: u64) {
        loop {
            let released = self
                .program
                .borrow_mut()
                .release(&mut room.borrow_mut(), now);
            match released {
                Some((handle, request)) => handle.tell(Told::Go(request)),
                None => break,
            }
        }
    }

    /// Releases at the times that only a clock knows: probes, the end of a suspect's time alone. In a task of its own,
    /// asleep for good while nothing waits.
    pub(crate) fn start_probing(self: &Rc<Self>, worker: &Rc<Worker>) {
        let (target, worker) = (self.clone(), worker.clone());
        let probes = move || {
            let (target, worker) = (target.clone(), worker.clone());
            async move { target.probe_loop(&worker.room).await }
        };
        tokio::task::spawn_local(bugs::again("release of requests", probes));
    }

    async fn probe_loop(&self, room: &RefCell<Room>) {
        loop {
            let now = sys::clock::mono_ms();
            let next = self.program.borrow().next_timer(now);
            self.probe_at_ms.set(next.unwrap_or(u64::MAX));
            match next {
                None => self.probe.notified().await,
                Some(at) => {
                    let wait = Duration::from_millis(at.saturating_sub(now).max(1));
                    // Woken early only to look for an earlier time.
                    let _ = tokio::time::timeout(wait, self.probe.notified()).await;
                }
            }
            self.release(room, sys::clock::mono_ms());
        }
    }

    /// The coarse tick: answers what waited too long, drops connections that idled too long, has counts sent. True if
    /// there is anything to tick for.
    pub(crate) fn tick(&self, room: &RefCell<Room>, now: u64) -> bool {
        let mut busy = false;
        if self.program.borrow().waiting() > 0 {
            let over = self.program.borrow_mut().sweep(&mut room.borrow_mut(), now);
            for (handle, request, why) in over {
                handle.tell(Told::Answer(request, why));
            }
            self.kick(room);
            busy = true;
        }
        for (at, side) in self.sides.iter().enumerate() {
            let mut idle = side.idle.borrow_mut();
            let old = idle.partition_point(|up| up.since_ms + UPSTREAM_IDLE_MS_MAX <= now);
            idle.drain(..old);
            busy |= !idle.is_empty();
            if side.heard.get()
                && self.program.borrow().slots()[at].counts != *side.sent_counts.borrow()
            {
                busy = true;
                if side.sent_counts_ms.get() + COUNTS_MS_MIN <= now {
                    side.notify.notify_one();
                }
            }
        }
        busy
    }

    /// This worker's time is over: all that wait are answered.
    pub(crate) fn leave_over(&self, room: &RefCell<Room>) {
        let now = sys::clock::mono_ms();
        let all = self
            .program
            .borrow_mut()
            .leave_over(&mut room.borrow_mut(), now);
        for (handle, request, why) in all {
            handle.tell(Told::Answer(request, why));
        }
    }

    /// A connection to the slot that the request goes to: an idle one if `reuse`, else a new one.
    pub(crate) async fn connect(&self, request: &Request, now: u64) -> io::Result<Up> {
        let slot = request.slot();
        let (address, generation, key) = {
            let program = self.program.borrow();
            let view = &program.slots()[slot];
            if let Some(up) = self.take_idle(slot, request, now) {
                return Ok(up);
            }
            (view.address().to_owned(), view.generation(), view.key())
        };
        let stream = connect::open(&address, self.sides[slot].whose).await?;
        Ok(Up {
            stream,
            fresh: true,
            key,
            generation,
            since_ms: now,
        })
    }

    /// Number of the key of a generation that answers: what a token is to be signed with that somebody else carries.
    pub(crate) fn current_key(&self) -> u32 {
        let program = self.program.borrow();
        let answers = program.slots().iter().find(|slot| slot.keeps_idle());
        answers.or(program.slots().first()).map_or(0, Slot::key)
    }

    /// A connection to another gateway worker instead of the program; it never becomes one of the idle ones.
    pub(crate) async fn instead(address: &str) -> io::Result<Up> {
        Ok(Up {
            stream: connect::open(address, Whose::Anybody).await?,
            fresh: true,
            key: 0,
            generation: u64::MAX,
            since_ms: 0,
        })
    }

    fn take_idle(&self, slot: usize, request: &Request, now: u64) -> Option<Up> {
        let mut idle = self.sides[slot].idle.borrow_mut();
        while let Some(up) = idle.pop() {
            if up.since_ms + UPSTREAM_IDLE_MS_MAX <= now {
                idle.clear();
                return None;
            }
            if !up.stream.is_unix() && !request.is_repeatable() {
                // Over TCP only a connect error proves that a request is unread.
                idle.push(up);
                return None;
            }
            if up.generation == request.generation() && !up.stream.is_stale() {
                return Some(Up { fresh: false, ..up });
            }
        }
        None
    }

    /// A connection that may serve the next request.
    pub(crate) fn give_back(&self, slot: usize, mut up: Up, now: u64) {
        let program = self.program.borrow();
        let view = &program.slots()[slot];
        let mut idle = self.sides[slot].idle.borrow_mut();
        if view.keeps_idle() && view.generation() == up.generation && idle.len() < UPSTREAM_IDLE_MAX
        {
            up.since_ms = now;
            idle.push(up);
        }
    }

    /// A keeper's word.
    pub(crate) fn told(&self, room: &RefCell<Room>, slot: usize, fact: &Fact) -> Turn {
        let turn = self.program.borrow_mut().told(slot, fact);
        self.sides[slot].heard.set(true);
        if let Some(tokens) = &self.tokens {
            let leaving = fact.leaving.as_ref().map_or(0, |leaving| leaving.key);
            let keys = [fact.key, fact.next_key, leaving];
            tokens.runs(slot, keys, sys::clock::wall_ms() / 1000);
        }
        if turn.close_idle {
            self.sides[slot].idle.borrow_mut().clear();
        }
        if let Some(generation) = turn.end_streams {
            for (at, of, handle) in self.streams.borrow().iter() {
                if (*at, *of) == (slot, generation) {
                    handle.end_stream(End::Drain);
                }
            }
        }
        let over = self
            .program
            .borrow_mut()
            .sweep(&mut room.borrow_mut(), sys::clock::mono_ms());
        for (handle, request, why) in over {
            handle.tell(Told::Answer(request, why));
        }
        self.kick(room);
        turn
    }

    pub(crate) fn lost(&self, room: &RefCell<Room>, slot: usize) {
        self.program.borrow_mut().lost(slot);
        if let Some(side) = self.sides.get(slot) {
            // A new connection knows nothing of what the old one was told.
            *side.sent_counts.borrow_mut() = Counts::default();
            side.heard.set(false);
        }
        self.kick(room);
    }

    /// Whether it was found unreachable, and has to be asked.
    pub(crate) fn is_away(&self) -> bool {
        self.program.borrow().slots().iter().any(Slot::is_away)
    }

    /// Waits until it is found unreachable.
    pub(crate) async fn goes_away(&self) {
        while !self.is_away() {
            self.away.notified().await;
        }
    }

    /// It says that it is ready.
    pub(crate) fn back(&self, room: &RefCell<Room>) {
        self.program.borrow_mut().back(0);
        self.kick(room);
    }

    pub(crate) fn drained(&self, slot: usize) -> Option<hold::Drained> {
        self.program.borrow_mut().drained(slot)
    }

    /// Waits until there may be something to tell the slot's keeper.
    pub(crate) async fn news(&self, slot: usize) {
        self.sides[slot].notify.notified().await;
    }

    /// The slot's counts, if the keeper does not have them yet; not too often, unless they are wanted `now_or_never`.
    pub(crate) fn new_counts(&self, slot: usize, now: u64, now_or_never: bool) -> Option<Counts> {
        let counts = self.program.borrow().slots()[slot].counts.clone();
        let side = &self.sides[slot];
        let early = side.sent_counts_ms.get() + COUNTS_MS_MIN > now && !now_or_never;
        if early || counts == *side.sent_counts.borrow() {
            return None;
        }
        side.sent_counts_ms.set(now);
        side.sent_counts.borrow_mut().clone_from(&counts);
        Some(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torn::Changing;

    impl Target {
        /// While it is held, whoever looks at it panics.
        pub(crate) fn program_held(&self) -> Changing<'_, Program<Rc<Handle>>> {
            self.program.borrow_mut()
        }

        pub(crate) fn in_flight(&self) -> u64 {
            let program = self.program.borrow();
            program.slots().iter().map(Slot::in_flight_all).sum()
        }
    }
}
