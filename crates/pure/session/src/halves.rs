//! A map of bounded size that forgets what was not used lately, in two halves.
//!
//! When the young half is full it becomes the old one, and what is used there moves back. No entry needs a place in a
//! list, and memory is bounded by twice the half. What an entry is worth is for its user to say.

use std::collections::HashMap;
use std::hash::Hash;

/// See the module.
#[derive(Debug)]
pub struct Halves<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half_max: usize,
}

impl<K: Eq + Hash, V> Halves<K, V> {
    /// An empty one, of so many entries a half.
    #[must_use]
    pub fn new(half_max: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            half_max,
        }
    }

    /// Entries in both halves.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An entry as it is; it grows no younger.
    #[must_use]
    pub fn peek(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// An entry that is used.
    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.put(key, value);
        }
        self.young.get_mut(key)
    }

    /// Keeps an entry. True if the halves turned for it.
    pub fn put(&mut self, key: K, value: V) -> bool {
        let full = self.young.len() >= self.half_max;
        if full {
            self.turn();
        }
        self.young.insert(key, value);
        full
    }

    /// The young half becomes the old one, whose entries go.
    pub fn turn(&mut self) {
        self.old = std::mem::take(&mut self.young);
    }

    /// Forgets an entry.
    pub fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_memory_is_bounded() {
        let mut halves = Halves::new(100);
        halves.put(0, "zero");
        for n in 1..500 {
            halves.put(n, "other");
            if n % 50 == 0 {
                assert!(halves.get(&0).is_some(), "used every 50 entries: {n}");
            }
            assert!(halves.len() <= 200);
        }
        assert!(halves.get(&1).is_none(), "never used again");
        halves.remove(&0);
        assert!(halves.peek(&0).is_none());
        halves.clear();
        assert!(halves.is_empty());
    }

    #[test]
    fn what_is_only_looked_at_goes_with_its_half() {
        let mut halves = Halves::new(100);
        assert!(!halves.put(0, "zero"));
        halves.turn();
        assert_eq!(halves.peek(&0), Some(&"zero"));
        halves.turn();
        assert_eq!(halves.peek(&0), None);
    }
}
