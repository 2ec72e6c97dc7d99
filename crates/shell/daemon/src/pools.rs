//! Events and those who hear of them: the shell around [`events::Hub`].
//!
//! ```text
//!   keeper ── transition, output ──> an event ──> hub ──> events.json ──> acknowledged ──> the ledger
//!                                                  └──> Command::Event ──> keeper of a listener
//! ```
//! What listeners are still to hear is written down before it is acknowledged to the keeper that told it, so the next
//! daemon owes it to them; what keepers hold meanwhile comes with the time at which it happened (`when:`). Without an event
//! listener in the configuration nothing of this costs anything.
//!
//! *Invariant*: a transition that the ledger knows has been an event.

mod saved;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use events::{Ended, Event, Hub, Kind, Kinds, ListenerState, PoolDef, Step};
use plan::Key;
use tokio::sync::Notify;
use wire::{
    Command, EventEnd, INLINE_BYTES_MAX, ListenerPhase, Listening, Said, State, Transition,
};

use crate::lines::Level;
use crate::state::Shared;

/// Ticks with their periods in seconds (events.py).
const TICKS: [(Kind, u64); 3] = [(Kind::Tick5, 5), (Kind::Tick60, 60), (Kind::Tick3600, 3600)];
/// Bytes of waiting payloads that are written down at every change. More than that is output, which comes fast and is
/// written down every [`SAVE_PAUSE`]: a daemon that is killed in between tells some of it twice.
const SAVED_AT_ONCE_BYTES_MAX: usize = 16 * 1024;
/// See [`SAVED_AT_ONCE_BYTES_MAX`]. Keepers wait for it, sixteen pieces at a time.
const SAVE_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of one piece of output that a keeper may hand over.
const SAID_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Everything about events.
#[derive(Debug)]
pub(crate) struct Pools {
    hub: Hub,
    /// Groups that were told.
    groups: Vec<String>,
    /// All groups are to be told as new, and that the supervisor runs.
    anew: bool,
    /// The slice of each period that was told last; 0 = none.
    ticks: [u64; 3],
    /// By slot: its keeper's pid and the last piece of its output that became an event.
    heard: BTreeMap<u32, (i32, u64)>,
    /// Slot, keeper's pid and number of the last transition that became an event.
    last: (u32, i32, u64),
    /// What happened before that was missed by a daemon; wall clock.
    since_ms: u64,
    /// Pieces to be acknowledged once they are written down.
    owed: Vec<(Key, u64)>,
    bell: std::rc::Rc<Notify>,
}

impl Default for Pools {
    fn default() -> Pools {
        Pools {
            hub: Hub::default(),
            groups: Vec::new(),
            anew: false,
            ticks: [0; 3],
            heard: BTreeMap::new(),
            last: (0, 0, 0),
            since_ms: sys::clock::wall_ms(),
            owed: Vec::new(),
            bell: Default::default(),
        }
    }
}

/// A first start: nobody is owed anything.
pub(crate) fn begin(daemon: &Shared) {
    daemon.run_dir.remove_owed();
    daemon.state.borrow_mut().pools.anew = true;
    refresh(daemon);
}

/// Everything begins anew (Supervisor's reload): its end is told, and at the next change of the model its beginning.
pub(crate) fn begin_again(daemon: &Shared) {
    notify(daemon, &Event::bare(Kind::SupervisorStopping));
    daemon.state.borrow_mut().pools.anew = true;
}

/// Goes on where the last daemon was.
pub(crate) fn restore(daemon: &Shared) {
    let bytes = daemon.run_dir.read_events().ok().flatten();
    let saved = bytes.and_then(|bytes| saved::Saved::from_bytes(&bytes));
    let mut state = daemon.state.borrow_mut();
    let state = &mut *state;
    state.pools.groups = state.active.groups();
    state.pools.hub.rename(&state.active.settings.identifier);
    for (_, def) in defs(&state.active) {
        state.pools.hub.open(def);
    }
    if let Some(saved) = saved {
        saved.put_back(&mut state.pools);
    }
}

/// The model changed: groups that are new or gone are told, pools open and close.
pub(crate) fn refresh(daemon: &Shared) {
    let mut news = Vec::new();
    {
        let mut state = daemon.state.borrow_mut();
        let state = &mut *state;
        let (pools, active) = (&mut state.pools, &state.active);
        pools.hub.rename(&active.settings.identifier);
        let anew = std::mem::take(&mut pools.anew);
        if anew {
            pools.groups.clear();
            pools
                .hub
                .names()
                .iter()
                .for_each(|name| pools.hub.close(name));
        }
        let now = active.groups();
        let mut defs: BTreeMap<String, PoolDef> = defs(active).into_iter().collect();
        let before = std::mem::replace(&mut pools.groups, now.clone());
        for gone in before.iter().filter(|name| !now.contains(name)) {
            news.push((None, Some(gone.clone()), Some(Event::group(false, gone))));
        }
        for name in &now {
            let new = !before.contains(name);
            let closed = (!defs.contains_key(name)).then(|| name.clone());
            news.push((
                defs.remove(name),
                closed,
                new.then(|| Event::group(true, name)),
            ));
        }
        if anew {
            news.push((None, None, Some(Event::bare(Kind::SupervisorRunning))));
        }
    }
    for (open, close, event) in news {
        {
            let pools = &mut daemon.state.borrow_mut().pools;
            close.iter().for_each(|name| pools.hub.close(name));
            open.into_iter().for_each(|def| pools.hub.open(def));
        }
        if let Some(event) = event {
            notify(daemon, &event);
        }
    }
    save(daemon);
    daemon.state.borrow().pools.bell.notify_one();
}

fn defs(active: &crate::model::Active) -> Vec<(String, PoolDef)> {
    let mut defs: BTreeMap<String, PoolDef> = BTreeMap::new();
    for slot in active.programs() {
        let Some(pool) = &slot.pool else { continue };
        let kinds = pool.events.iter().filter_map(|name| Kinds::of(name));
        defs.entry(slot.group.clone()).or_insert_with(|| PoolDef {
            name: slot.group.clone(),
            buffer_size: pool.buffer_size as usize,
            kinds: kinds.fold(Kinds::default(), Kinds::union),
        });
    }
    defs.into_iter().collect()
}

/// Something happened.
pub(crate) fn notify(daemon: &Shared, event: &Event) {
    let steps = {
        let hub = &mut daemon.state.borrow_mut().pools.hub;
        if hub.is_empty() {
            return;
        }
        hub.notify(event, sys::clock::mono_ms())
    };
    act(daemon, steps);
    save(daemon);
    daemon.state.borrow().pools.bell.notify_one();
}

/// Carries out what the hub decided. A listener whose keeper is not there loses what it had to the others.
fn act(daemon: &Shared, steps: Vec<Step>) {
    let mut queue = std::collections::VecDeque::from(steps);
    while let Some(step) = queue.pop_front() {
        match step {
            Step::Say { error, text } => {
                daemon.log(if error { Level::Error } else { Level::Warn }, &text);
            }
            Step::Send {
                pool,
                process,
                ticket,
                bytes,
            } => {
                if !send(
                    daemon,
                    &Key::new(pool.clone(), process.clone()),
                    ticket,
                    bytes,
                ) {
                    let hub = &mut daemon.state.borrow_mut().pools.hub;
                    queue.extend(hub.not_sent(&pool, &process, sys::clock::mono_ms()));
                }
            }
        }
    }
}

fn send(daemon: &Shared, key: &Key, ticket: u64, bytes: Vec<u8>) -> bool {
    if bytes.len() <= INLINE_BYTES_MAX {
        return daemon.send(key, &Command::Event { ticket, bytes }, Vec::new());
    }
    let Ok(memory) = sys::memfd::sealed("steadfast-event", &bytes) else {
        return false;
    };
    daemon.send(
        key,
        &Command::Event {
            ticket,
            bytes: Vec::new(),
        },
        vec![memory],
    )
}

/// The pool and name of a listener.
fn listener_of(daemon: &Shared, key: &Key) -> Option<(String, String)> {
    let state = daemon.state.borrow();
    let slot = state.active.slot(key)?;
    slot.pool
        .as_ref()
        .map(|_| (key.group.clone(), key.process.clone()))
}

fn with_hub(daemon: &Shared, change: impl FnOnce(&mut Hub, u64) -> Vec<Step>) {
    let steps = change(
        &mut daemon.state.borrow_mut().pools.hub,
        sys::clock::mono_ms(),
    );
    act(daemon, steps);
    save(daemon);
    daemon.state.borrow().pools.bell.notify_one();
}

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

/// Writes down what is owed if that changed, unless it is much.
fn save(daemon: &Shared) {
    if daemon.state.borrow().pools.hub.bytes() <= SAVED_AT_ONCE_BYTES_MAX {
        save_now(daemon);
    }
}

fn save_now(daemon: &Shared) {
    let bytes = {
        let mut state = daemon.state.borrow_mut();
        if !state.pools.hub.take_changed() {
            return;
        }
        saved::Saved::of(&state.pools).to_bytes()
    };
    if let Err(why) = daemon.run_dir.write_events(&bytes) {
        daemon.log(
            Level::Error,
            &format!("what event listeners are to hear cannot be kept: {why}"),
        );
    }
}

/// Tells the time, ends pauses, and acknowledges what was written down.
pub(crate) async fn serve(daemon: Shared) {
    let bell = daemon.state.borrow().pools.bell.clone();
    loop {
        // A bell takes no budget: rung in every round, it would keep everything else from its turn.
        tokio::task::coop::consume_budget().await;
        let bytes = daemon.state.borrow().pools.hub.bytes();
        if bytes > SAVED_AT_ONCE_BYTES_MAX {
            // What is written grows with what waits, so the pause does as well.
            let times = u32::try_from(1 + bytes / (256 * 1024)).unwrap_or(u32::MAX);
            tokio::time::sleep(SAVE_PAUSE.saturating_mul(times)).await;
        }
        save_now(&daemon);
        let owed = std::mem::take(&mut daemon.state.borrow_mut().pools.owed);
        for (key, seq) in owed {
            daemon.send(&key, &Command::Heard { seq }, Vec::new());
        }
        let Some(wait) = next(&daemon) else {
            bell.notified().await;
            continue;
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = bell.notified() => {}
        }
        tick(&daemon);
    }
}

/// How long until something is due; None while nobody listens.
fn next(daemon: &Shared) -> Option<Duration> {
    let state = daemon.state.borrow();
    if state.pools.hub.is_empty() {
        return None;
    }
    let period_ms = TICKS[0].1 * 1000;
    let slice = period_ms - sys::clock::wall_ms() % period_ms;
    let mono_ms = sys::clock::mono_ms();
    let timer = state
        .pools
        .hub
        .next_timer(mono_ms)
        .map(|at| at.saturating_sub(mono_ms));
    Some(Duration::from_millis(
        timer.map_or(slice, |timer| timer.min(slice)).max(1),
    ))
}

fn tick(daemon: &Shared) {
    let now_s = sys::clock::wall_ms() / 1000;
    for (at, (kind, period)) in TICKS.into_iter().enumerate() {
        let slice = now_s - now_s % period;
        let before = std::mem::replace(&mut daemon.state.borrow_mut().pools.ticks[at], slice);
        if before != 0 && before != slice {
            notify(daemon, &Event::tick(kind, slice));
        }
    }
    // Without the bell: it is `serve` that this is for.
    let steps = daemon
        .state
        .borrow_mut()
        .pools
        .hub
        .tick(sys::clock::mono_ms());
    act(daemon, steps);
}
