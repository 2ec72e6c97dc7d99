//! `events.json`: what the next daemon has to know of events.

use std::collections::BTreeMap;

use events::{Entry, Event, Kind, Snapshot};
use serde::{Deserialize, Serialize};

use super::Pools;

/// Version of the file; another one is not read, which costs what was in buffers.
const VERSION: u32 = 1;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Saved {
    version: u32,
    serial: u64,
    ticket: u64,
    pools: Vec<Pool>,
    given: Vec<Given>,
    ticks: [u64; 3],
    heard: BTreeMap<u32, (i32, u64)>,
    last: (u32, i32, u64),
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Pool {
    name: String,
    serial: u64,
    waiting: Vec<Waiting>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Given {
    pool: String,
    process: String,
    ticket: u64,
    event: Waiting,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Waiting {
    serial: u64,
    pool_serial: u64,
    name: String,
    payload: String,
    rejected: u32,
}

impl Waiting {
    fn of(entry: Entry) -> Waiting {
        Waiting {
            serial: entry.serial,
            pool_serial: entry.pool_serial,
            name: entry.event.kind.name().to_owned(),
            payload: entry.event.payload,
            rejected: entry.rejected,
        }
    }

    /// None for an event of a newer version.
    fn entry(self) -> Option<Entry> {
        let kind = Kind::named(&self.name)?;
        Some(Entry {
            serial: self.serial,
            pool_serial: self.pool_serial,
            event: Event {
                kind,
                payload: self.payload,
            },
            rejected: self.rejected,
        })
    }
}

impl Saved {
    pub(super) fn of(pools: &Pools) -> Saved {
        let Snapshot {
            serial,
            ticket,
            pools: all,
            given,
        } = pools.hub.snapshot();
        Saved {
            version: VERSION,
            serial,
            ticket,
            pools: all
                .into_iter()
                .map(|(name, serial, entries)| Pool {
                    name,
                    serial,
                    waiting: entries.into_iter().map(Waiting::of).collect(),
                })
                .collect(),
            given: given
                .into_iter()
                .map(|(pool, process, ticket, entry)| Given {
                    pool,
                    process,
                    ticket,
                    event: Waiting::of(entry),
                })
                .collect(),
            ticks: pools.ticks,
            heard: pools.heard.clone(),
            last: pools.last,
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and number-keyed maps always serialize.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Saved> {
        let saved: Saved = serde_json::from_slice(bytes).ok()?;
        (saved.version == VERSION).then_some(saved)
    }

    pub(super) fn put_back(self, pools: &mut Pools) {
        pools.ticks = self.ticks;
        pools.heard = self.heard;
        pools.last = self.last;
        let all = self.pools.into_iter().map(|pool| {
            let entries = pool.waiting.into_iter().filter_map(Waiting::entry);
            (pool.name, pool.serial, entries.collect())
        });
        let given = self.given.into_iter().filter_map(|given| {
            Some((
                given.pool,
                given.process,
                given.ticket,
                given.event.entry()?,
            ))
        });
        pools.hub.restore(Snapshot {
            serial: self.serial,
            ticket: self.ticket,
            pools: all.collect(),
            given: given.collect(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{Kinds, PoolDef};

    #[test]
    fn what_is_owed_comes_back() {
        let mut pools = Pools::default();
        let open = |pools: &mut Pools| {
            pools.hub.open(PoolDef {
                name: "p".into(),
                buffer_size: 10,
                kinds: Kinds::of("EVENT").expect("a family"),
            });
        };
        open(&mut pools);
        pools.hub.notify(&Event::tick(Kind::Tick5, 5), 0);
        pools.heard.insert(3, (100, 7));
        pools.last = (1, 2, 3);
        pools.ticks = [5, 0, 0];
        let bytes = Saved::of(&pools).to_bytes();
        let mut next = Pools::default();
        open(&mut next);
        Saved::from_bytes(&bytes).expect("read").put_back(&mut next);
        assert_eq!(next.hub.snapshot(), pools.hub.snapshot());
        assert_eq!(
            (next.heard, next.last, next.ticks),
            (pools.heard, pools.last, pools.ticks)
        );
        assert!(Saved::from_bytes(b"{\"version\":2}").is_none());
        assert!(Saved::from_bytes(b"torn").is_none());
    }
}
