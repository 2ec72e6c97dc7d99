//! Rows that were just looked up, so that most verifications ask nobody.
//!
//! Two halves: when the young one is full it becomes the old one, and what is used there moves back. No entry needs a
//! place in a list, and memory is bounded by twice the half. What a hit is worth is decided by
//! [`session::revoke::recall`], never here.

use crate::limits::CACHE_ENTRIES_MAX;
use session::Row;
use session::revoke::Cached;
use std::collections::HashMap;

/// SHA-256 of the secret: what the row keeps, too.
pub(crate) type Key = [u8; 32];

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) row: Row,
    pub(crate) cached: Cached,
}

#[derive(Debug, Default)]
pub(crate) struct Cache {
    young: HashMap<Key, Entry>,
    old: HashMap<Key, Entry>,
}

impl Cache {
    pub(crate) fn get(&mut self, key: &Key) -> Option<&mut Entry> {
        if !self.young.contains_key(key) {
            let entry = self.old.remove(key)?;
            self.put(*key, entry);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn put(&mut self, key: Key, entry: Entry) {
        if self.young.len() >= CACHE_ENTRIES_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        self.young.remove(key);
        self.old.remove(key);
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session::{Credential, Sid, UserId};

    fn entry() -> Entry {
        let row = Row {
            id: Sid([0; 16]),
            user: UserId::parse("ada").expect("a user"),
            realm: session::Realm::default(),
            credential: Credential::Cookie([0; 32]),
            created_ms: 0,
            seen_ms: 0,
            context: String::new(),
            ended: None,
        };
        let cached = Cached {
            count: 0,
            made_ms: 0,
        };
        Entry { row, cached }
    }

    #[test]
    fn what_is_used_stays_and_memory_is_bounded() {
        let mut cache = Cache::default();
        let key = |n: usize| session::hash(&n.to_le_bytes());
        cache.put(key(0), entry());
        for n in 1..CACHE_ENTRIES_MAX * 5 {
            cache.put(key(n), entry());
            if n % 100 == 0 {
                assert!(cache.get(&key(0)).is_some(), "used every 100 entries: {n}");
            }
            assert!(cache.young.len() + cache.old.len() <= 2 * CACHE_ENTRIES_MAX);
        }
        assert!(cache.get(&key(1)).is_none(), "never used again");
        cache.remove(&key(0));
        assert!(cache.get(&key(0)).is_none());
    }
}
