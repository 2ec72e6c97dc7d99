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

mod heard;
mod saved;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use events::{Event, Hub, Kind, Kinds, PoolDef, Step};
use plan::Key;
use tokio::sync::Notify;
use wire::{Command, INLINE_BYTES_MAX};

use crate::lines::Level;
use crate::state::Shared;

pub(crate) use heard::{connected, happened, listener, lost, running, said};

/// Ticks with their periods in seconds (events.py).
const TICKS: [(Kind, u64); 3] = [(Kind::Tick5, 5), (Kind::Tick60, 60), (Kind::Tick3600, 3600)];

/// Bytes of waiting payloads that are written down at every change. More than that is output, which comes fast and is
/// written down every [`SAVE_PAUSE`]: a daemon that is killed in between tells some of it twice.
const SAVED_AT_ONCE_BYTES_MAX: usize = 16 * 1024;

/// See [`SAVED_AT_ONCE_BYTES_MAX`]. Keepers wait for it, sixteen pieces at a time.
const SAVE_PAUSE: Duration = Duration::from_millis(50);

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
    let mut queue = VecDeque::from(steps);
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

fn with_hub(daemon: &Shared, change: impl FnOnce(&mut Hub, u64) -> Vec<Step>) {
    let steps = change(
        &mut daemon.state.borrow_mut().pools.hub,
        sys::clock::mono_ms(),
    );
    act(daemon, steps);
    save(daemon);
    daemon.state.borrow().pools.bell.notify_one();
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
