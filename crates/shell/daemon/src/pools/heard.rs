//! What keepers tell: the state of a listener, output and transitions that become events.

use std::os::fd::{AsFd, OwnedFd};

use events::{Ended, Event, Kind, ListenerState};
use plan::Key;
use wire::{EventEnd, ListenerPhase, Listening, Said, State, Transition};

use super::{act, notify, save_now, with_hub};
use crate::state::Shared;

/// Bytes of one piece of output that a keeper may hand over.
const SAID_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A keeper is connected (again).
pub(crate) fn connected(daemon: &Shared, key: &Key, shown: State) {
    if let Some((pool, process)) = listener_of(daemon, key) {
        daemon.state.borrow_mut().pools.hub.unsure(&pool, &process);
        running(daemon, key, shown);
    }
}

/// A process is in this state.
pub(crate) fn running(daemon: &Shared, key: &Key, shown: State) {
    if let Some((pool, process)) = listener_of(daemon, key) {
        with_hub(daemon, |hub, now| {
            hub.running(&pool, &process, shown == State::Running, now)
        });
    }
}

/// The keeper of a slot has died with what it knew.
pub(crate) fn lost(daemon: &Shared, key: &Key) {
    if let Some((pool, process)) = listener_of(daemon, key) {
        with_hub(daemon, |hub, now| hub.lost(&pool, &process, now));
    }
}

/// What a keeper says of its listener.
pub(crate) fn listener(daemon: &Shared, key: &Key, listening: &Listening) {
    let Some((pool, process)) = listener_of(daemon, key) else {
        return;
    };
    let state = match listening.phase {
        ListenerPhase::Acknowledged => ListenerState::Acknowledged,
        ListenerPhase::Ready => ListenerState::Ready,
        ListenerPhase::Busy => ListenerState::Busy,
        ListenerPhase::Unknown => ListenerState::Unknown,
    };
    let how = match listening.how {
        EventEnd::Dropped => events::How::Dropped,
        EventEnd::Processed => events::How::Processed,
        EventEnd::Rejected => events::How::Rejected,
    };
    let ended = Ended {
        busy: listening.busy,
        done: listening.done,
        how,
    };
    with_hub(daemon, |hub, now| {
        hub.known(&pool, &process, state, ended, now)
    });
}

/// The pool and name of a listener.
fn listener_of(daemon: &Shared, key: &Key) -> Option<(String, String)> {
    let state = daemon.state.borrow();
    let slot = state.active.slot(key)?;
    slot.pool
        .as_ref()
        .map(|_| (key.group.clone(), key.process.clone()))
}

/// Output of a program that has to become an event.
pub(crate) fn said(daemon: &Shared, key: &Key, said: &Said, fds: Vec<OwnedFd>) {
    let data = match fds.first() {
        Some(memory) => sys::memfd::read(memory.as_fd(), SAID_BYTES_MAX).unwrap_or_default(),
        None => said.data.clone(),
    };
    let (new, late_s) = {
        let mut state = daemon.state.borrow_mut();
        let state = &mut *state;
        let Some(keeper) = state.keepers.get(key) else {
            return;
        };
        let heard = state.pools.heard.entry(keeper.number).or_default();
        let new = heard.0 != keeper.pid || said.seq > heard.1;
        if new {
            *heard = (keeper.pid, said.seq);
        }
        state.pools.owed.push((key.clone(), said.seq));
        (new, late(said.wall_ms, state.pools.since_ms))
    };
    if new {
        let make = if said.captured {
            Event::communication
        } else {
            Event::log
        };
        let event = make(
            said.stderr,
            &key.process,
            &key.group,
            said.pid,
            &data,
            late_s,
        );
        let steps = {
            let hub = &mut daemon.state.borrow_mut().pools.hub;
            hub.notify(&event, sys::clock::mono_ms())
        };
        act(daemon, steps);
    }
    // Written down and acknowledged by `serve`, with all others of this turn.
    daemon.state.borrow().pools.bell.notify_one();
}

/// A transition that is new. It is written down here, so that the ledger may take it.
pub(crate) fn happened(daemon: &Shared, key: &Key, transition: &Transition, id: (u32, i32, u64)) {
    let event = {
        let mut state = daemon.state.borrow_mut();
        let hidden = state.active.slot(key).is_some_and(|slot| slot.first);
        if state.pools.hub.is_empty() || hidden || state.pools.last == id {
            return;
        }
        state.pools.last = id;
        state_event(
            key,
            transition,
            late(transition.wall_ms, state.pools.since_ms),
        )
    };
    if let Some(event) = event {
        notify(daemon, &event);
        save_now(daemon);
    }
}

/// Seconds since 1970 of what happened while no daemon was there.
fn late(wall_ms: u64, since_ms: u64) -> Option<u64> {
    (wall_ms < since_ms).then_some(wall_ms / 1000)
}

/// The event of a transition, with the words that Supervisor has for it.
fn state_event(key: &Key, t: &Transition, late_s: Option<u64>) -> Option<Event> {
    let pid = ("pid", i64::from(t.pid));
    let tries = ("tries", i64::from(t.tries));
    let expected = ("expected", i64::from(t.expected));
    let generation = (
        "generation",
        i64::try_from(t.generation).unwrap_or(i64::MAX),
    );
    let (kind, extra): (Kind, &[(&str, i64)]) = match t.to {
        _ if t.replaced => (Kind::Replaced, &[pid, generation]),
        to if to == t.from => return None,
        State::Stopped => (Kind::ProcessStateStopped, &[pid]),
        State::Exited => (Kind::ProcessStateExited, &[expected, pid]),
        State::Starting => (Kind::ProcessStateStarting, &[tries]),
        State::Stopping => (Kind::ProcessStateStopping, &[pid]),
        State::Backoff => (Kind::ProcessStateBackoff, &[tries]),
        State::Fatal => (Kind::ProcessStateFatal, &[]),
        State::Running => (Kind::ProcessStateRunning, &[pid]),
        State::Unknown => (Kind::ProcessStateUnknown, &[]),
    };
    Some(Event::process_state(
        kind,
        &key.process,
        &key.group,
        t.from.as_str(),
        extra,
        late_s,
    ))
}
