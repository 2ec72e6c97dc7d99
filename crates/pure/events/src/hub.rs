//! Pools of listeners: what waits for whom, in which order, with which numbers (process.py of Supervisor 4.3).
//!
//! ```text
//!   notify ──> accepted: serial, poolserial ──> buffer ──> a ready listener ──> done
//!                                                 ^   └── full: the oldest is discarded
//!                                                 └────── rejected, or its listener died: back to the front
//! ```
//! A listener's keeper says what is so, over and over; [`Hub::known`] takes it in. Each handing over has a ticket of its own,
//! so that an old word of the keeper is never taken for the answer to a newer event.

use crate::conversation::ListenerState;
use crate::event::{Event, envelope};
use crate::kind::Kinds;
use std::collections::{BTreeMap, VecDeque};

/// Rejections of one event in a row after which it waits: a listener that always says FAIL would otherwise be asked
/// again as fast as it answers, and the log would grow with it.
const REJECTED_AT_ONCE_MAX: u32 = 5;
/// How long it waits then, milliseconds.
const REJECTED_PAUSE_MS: u64 = 1000;
/// Discarded events that are named one by one within a second; the rest is counted.
const DISCARDS_NAMED_MAX: u32 = 20;
/// The second.
const DISCARDS_PERIOD_MS: u64 = 1000;
/// Bytes of payloads that all buffers of a pool hold. `buffer_size` counts events, and a captured one may be large.
const POOL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What the configuration says of a pool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolDef {
    /// Its name, that of its group.
    pub name: String,
    /// `buffer_size`.
    pub buffer_size: usize,
    /// `events`.
    pub kinds: Kinds,
}

/// An event in a buffer or in a listener's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number among all events.
    pub serial: u64,
    /// Number among the pool's.
    pub pool_serial: u64,
    /// The event.
    pub event: Event,
    /// Times in a row that it was rejected.
    pub rejected: u32,
}

/// How an event ended in a listener's hands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum How {
    /// Its listener ended or broke the protocol.
    #[default]
    Dropped,
    /// `RESULT 2\nOK`.
    Processed,
    /// Any other result.
    Rejected,
}

/// What became of the last event that a listener was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// Ticket of the one that it has; 0 = none.
    pub busy: u64,
    /// Ticket of the last one that ended; 0 = none did.
    pub done: u64,
    /// How it ended.
    pub how: How,
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Hand these bytes to a listener.
    Send {
        /// Its pool.
        pool: String,
        /// Its name.
        process: String,
        /// Number of this handing over.
        ticket: u64,
        /// Header and payload.
        bytes: Vec<u8>,
    },
    /// Say a line in the log; an error, or a warning.
    Say {
        /// An error.
        error: bool,
        /// The line.
        text: String,
    },
}

/// Everything that must outlive the daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Serial of the next event.
    pub serial: u64,
    /// Last ticket.
    pub ticket: u64,
    /// By pool: its next serial and what it holds, oldest first; what listeners have comes first.
    pub pools: Vec<(String, u64, Vec<Entry>)>,
    /// By pool and process: the ticket that it was given and the event.
    pub given: Vec<(String, String, u64, Entry)>,
}

#[derive(Debug, Default)]
struct Listener {
    running: bool,
    state: ListenerState,
    /// The keeper has not said yet what became of what it has.
    unsure: bool,
    given: Option<(u64, Entry)>,
}

#[derive(Debug, Default)]
struct Pool {
    def: PoolDef,
    serial: u64,
    buffer: VecDeque<Entry>,
    listeners: BTreeMap<String, Listener>,
    /// Nothing is handed out before this time, after too many rejections.
    pause_until_ms: u64,
    discards: u32,
    discards_since_ms: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Hub {
    server: String,
    serial: u64,
    ticket: u64,
    pools: BTreeMap<String, Pool>,
    changed: bool,
}

impl Hub {
    /// A hub without pools; `server` = `identifier` of the supervisor.
    pub fn new(server: &str) -> Hub {
        Hub {
            server: server.to_owned(),
            ..Hub::default()
        }
    }

    /// `identifier` has another value.
    pub fn rename(&mut self, server: &str) {
        server.clone_into(&mut self.server);
    }

    /// Whether anybody listens to anything.
    pub fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    /// Whether anybody wants events of these types.
    pub fn wants(&self, kinds: Kinds) -> bool {
        let any = |pool: &Pool| {
            crate::Kind::ALL
                .iter()
                .any(|kind| kinds.has(*kind) && pool.def.kinds.has(*kind))
        };
        self.pools.values().any(any)
    }

    /// Whether something changed since it was last asked: then the snapshot has to be written.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Opens a pool, or gives one that is open another definition; what it holds stays.
    pub fn open(&mut self, def: PoolDef) {
        let pool = self.pools.entry(def.name.clone()).or_default();
        self.changed |= pool.def != def;
        pool.def = def;
    }

    /// Closes a pool; what it holds is gone.
    pub fn close(&mut self, name: &str) {
        self.changed |= self.pools.remove(name).is_some();
    }

    /// Bytes of the payloads that wait or are in listeners' hands.
    pub fn bytes(&self) -> usize {
        let waiting = |pool: &Pool| {
            let given = pool
                .listeners
                .values()
                .filter_map(|listener| listener.given.as_ref());
            let entries = pool.buffer.iter().chain(given.map(|(_, entry)| entry));
            entries
                .map(|entry| entry.event.payload.len())
                .sum::<usize>()
        };
        self.pools.values().map(waiting).sum()
    }

    /// Names of the open pools.
    pub fn names(&self) -> Vec<String> {
        self.pools.keys().cloned().collect()
    }

    /// Something happened.
    pub fn notify(&mut self, event: &Event, now_ms: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut serial = None;
        for pool in self
            .pools
            .values_mut()
            .filter(|pool| pool.def.kinds.has(event.kind))
        {
            let serial = *serial.get_or_insert_with(|| {
                self.serial += 1;
                self.serial - 1
            });
            let entry = Entry {
                serial,
                pool_serial: pool.serial,
                event: event.clone(),
                rejected: 0,
            };
            pool.serial += 1;
            pool.accept(entry, false, now_ms, &mut steps);
            self.changed = true;
        }
        if serial.is_some() {
            self.dispatch(now_ms, &mut steps);
        }
        steps
    }

    /// A listener's process runs, or does not.
    pub fn running(&mut self, pool: &str, process: &str, running: bool, now_ms: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        let Some(pool) = self.pools.get_mut(pool) else {
            return steps;
        };
        let listener = pool.listeners.entry(process.to_owned()).or_default();
        if listener.running != running {
            listener.running = running;
            self.dispatch(now_ms, &mut steps);
        }
        steps
    }

    /// Its keeper is connected anew: its next word decides about what the listener had.
    pub fn unsure(&mut self, pool: &str, process: &str) {
        if let Some(pool) = self.pools.get_mut(pool) {
            let listener = pool.listeners.entry(process.to_owned()).or_default();
            listener.unsure = true;
            listener.state = ListenerState::Acknowledged;
        }
    }

    /// The listener left the configuration, or its keeper died: what it had goes back.
    pub fn lost(&mut self, pool: &str, process: &str, now_ms: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        let Some(pool) = self.pools.get_mut(pool) else {
            return steps;
        };
        if let Some((_, entry)) = pool.listeners.remove(process).and_then(|gone| gone.given) {
            pool.accept(entry, true, now_ms, &mut steps);
            self.changed = true;
        }
        self.dispatch(now_ms, &mut steps);
        steps
    }

    /// An event could not be handed over now (its listener is as ready as before): it waits a while.
    pub fn not_sent(&mut self, pool: &str, process: &str, now_ms: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        let Some(pool) = self.pools.get_mut(pool) else {
            return steps;
        };
        let given = pool.listeners.get_mut(process).and_then(|listener| {
            listener.state = ListenerState::Ready;
            listener.given.take()
        });
        if let Some((_, entry)) = given {
            pool.pause_until_ms = now_ms + REJECTED_PAUSE_MS;
            pool.accept(entry, true, now_ms, &mut steps);
            self.changed = true;
        }
        steps
    }

    /// What its keeper says is so.
    pub fn known(
        &mut self,
        pool: &str,
        process: &str,
        state: ListenerState,
        ended: Ended,
        now_ms: u64,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        let Some(pool) = self.pools.get_mut(pool) else {
            return steps;
        };
        let listener = pool.listeners.entry(process.to_owned()).or_default();
        let unsure = std::mem::take(&mut listener.unsure);
        if let Some((ticket, entry)) = listener.given.take() {
            if ended.busy == ticket || (ended.done != ticket && !unsure) {
                // It works on it; or this was said before the event arrived there.
                listener.given = Some((ticket, entry));
                if ended.busy != ticket {
                    return steps;
                }
            } else {
                self.changed = true;
                let how = if ended.done == ticket {
                    ended.how
                } else {
                    How::Dropped
                };
                match how {
                    How::Processed => {}
                    How::Rejected => pool.reject(process, entry, now_ms, &mut steps),
                    How::Dropped => pool.accept(entry, true, now_ms, &mut steps),
                }
            }
        }
        if let Some(listener) = pool.listeners.get_mut(process) {
            listener.state = state;
        }
        self.dispatch(now_ms, &mut steps);
        steps
    }

    /// Time has passed: see [`Hub::next_timer`].
    pub fn tick(&mut self, now_ms: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        for pool in self.pools.values_mut() {
            pool.end_period(now_ms, &mut steps);
        }
        self.dispatch(now_ms, &mut steps);
        steps
    }

    /// When [`Hub::tick`] is due.
    pub fn next_timer(&self, now_ms: u64) -> Option<u64> {
        let of = |pool: &Pool| {
            let pause = (pool.pause_until_ms > now_ms && !pool.buffer.is_empty())
                .then_some(pool.pause_until_ms);
            let period = (pool.discards > DISCARDS_NAMED_MAX)
                .then_some(pool.discards_since_ms + DISCARDS_PERIOD_MS);
            pause.into_iter().chain(period).min()
        };
        self.pools.values().filter_map(of).min()
    }

    fn dispatch(&mut self, now_ms: u64, steps: &mut Vec<Step>) {
        for (name, pool) in &mut self.pools {
            if pool.pause_until_ms > now_ms {
                continue;
            }
            while let Some(entry) = pool.buffer.front() {
                let ready = |(_, listener): &(&String, &mut Listener)| {
                    listener.running
                        && listener.given.is_none()
                        && listener.state == ListenerState::Ready
                };
                let Some((process, listener)) = pool.listeners.iter_mut().find(ready) else {
                    break;
                };
                self.ticket += 1;
                self.changed = true;
                let bytes = envelope(
                    &self.server,
                    entry.serial,
                    name,
                    entry.pool_serial,
                    &entry.event,
                );
                let (pool_name, process) = (name.clone(), process.clone());
                steps.push(Step::Send {
                    pool: pool_name,
                    process,
                    ticket: self.ticket,
                    bytes,
                });
                listener.state = ListenerState::Busy;
                listener.given = pool.buffer.pop_front().map(|entry| (self.ticket, entry));
            }
        }
    }

    /// Everything that must outlive the daemon.
    pub fn snapshot(&self) -> Snapshot {
        let pools = self.pools.iter().map(|(name, pool)| {
            (
                name.clone(),
                pool.serial,
                pool.buffer.iter().cloned().collect(),
            )
        });
        let given = self.pools.iter().flat_map(|(name, pool)| {
            pool.listeners.iter().filter_map(|(process, listener)| {
                let (ticket, entry) = listener.given.clone()?;
                Some((name.clone(), process.clone(), ticket, entry))
            })
        });
        Snapshot {
            serial: self.serial,
            ticket: self.ticket,
            pools: pools.collect(),
            given: given.collect(),
        }
    }

    /// Takes the last daemon's over. Pools that are not open are left out; what listeners had stays theirs until their
    /// keepers have spoken.
    pub fn restore(&mut self, snapshot: Snapshot) {
        self.serial = self.serial.max(snapshot.serial);
        self.ticket = self.ticket.max(snapshot.ticket);
        for (name, serial, entries) in snapshot.pools {
            if let Some(pool) = self.pools.get_mut(&name) {
                pool.serial = pool.serial.max(serial);
                pool.buffer.extend(entries);
            }
        }
        for (name, process, ticket, entry) in snapshot.given {
            if let Some(pool) = self.pools.get_mut(&name) {
                let listener = pool.listeners.entry(process).or_default();
                listener.given = Some((ticket, entry));
                listener.unsure = true;
            }
        }
    }
}

impl Pool {
    fn accept(&mut self, entry: Entry, front: bool, now_ms: u64, steps: &mut Vec<Step>) {
        let bytes = |pool: &Pool| {
            pool.buffer
                .iter()
                .map(|entry| entry.event.payload.len())
                .sum::<usize>()
        };
        let size = self.def.buffer_size.max(1);
        while self.buffer.len() >= size
            || (!self.buffer.is_empty() && bytes(self) + entry.event.payload.len() > POOL_BYTES_MAX)
        {
            let Some(discarded) = self.buffer.pop_front() else {
                break;
            };
            self.end_period(now_ms, steps);
            if self.discards == 0 {
                self.discards_since_ms = now_ms;
            }
            self.discards += 1;
            if self.discards <= DISCARDS_NAMED_MAX {
                let (name, serial) = (&self.def.name, discarded.serial);
                let text =
                    format!("pool {name} event buffer overflowed, discarding event {serial}");
                steps.push(Step::Say { error: true, text });
            }
        }
        if front {
            self.buffer.push_front(entry);
        } else {
            self.buffer.push_back(entry);
        }
    }

    /// Says how many events were discarded without being named.
    fn end_period(&mut self, now_ms: u64, steps: &mut Vec<Step>) {
        if self.discards == 0 || now_ms < self.discards_since_ms + DISCARDS_PERIOD_MS {
            return;
        }
        if let more @ 1.. = self.discards.saturating_sub(DISCARDS_NAMED_MAX) {
            let text = format!(
                "pool {} event buffer overflowed, discarded {more} more events",
                self.def.name
            );
            steps.push(Step::Say { error: true, text });
        }
        self.discards = 0;
    }

    fn reject(&mut self, process: &str, mut entry: Entry, now_ms: u64, steps: &mut Vec<Step>) {
        entry.rejected += 1;
        steps.push(Step::Say {
            error: false,
            text: format!("{process}: event was rejected"),
        });
        if entry.rejected > REJECTED_AT_ONCE_MAX {
            self.pause_until_ms = now_ms + REJECTED_PAUSE_MS;
        }
        self.accept(entry, true, now_ms, steps);
    }
}
