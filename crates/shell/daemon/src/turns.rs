//! Whose turn it is: starts begin in order although everything before them runs beside each other.
//!
//! Within one level of priority a start only has to be *sent* behind the one before it. A level waits until the processes
//! of the levels before it are *there*, since that is what a priority promises. Neither waits for anything to be ready, nor
//! for long: a keeper that does not answer must not hold up the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use plan::Key;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// A start waits for its turn at most so long.
const TURN_MAX: Duration = Duration::from_millis(250);

/// The turn of one slot.
#[derive(Debug)]
pub(crate) struct Turn {
    before: Option<watch::Receiver<bool>>,
    level_before: Vec<watch::Receiver<bool>>,
    sent: watch::Sender<bool>,
    there: watch::Sender<bool>,
}

impl Turn {
    /// Waits for it.
    pub(crate) async fn wait(&mut self) {
        let until = Instant::now() + TURN_MAX;
        for receiver in self.before.iter_mut().chain(&mut self.level_before) {
            let _ = timeout_at(until, receiver.wait_for(|done| *done)).await;
        }
    }
    /// The start was sent: the next of the level may follow.
    pub(crate) fn sent(&self) {
        self.sent.send_replace(true);
    }
    /// The process is there, or will not be soon: the next level may follow.
    pub(crate) fn there(&self) {
        self.sent();
        self.there.send_replace(true);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.there();
    }
}

/// Turns for slots in the order of their start, each with its level.
pub(crate) fn turns<L: PartialEq>(order: &[(Key, L)]) -> BTreeMap<Key, Turn> {
    let mut turns = BTreeMap::new();
    let mut before = None;
    let mut level_before: Vec<watch::Receiver<bool>> = Vec::new();
    let mut level: Vec<watch::Receiver<bool>> = Vec::new();
    for (at, (key, own)) in order.iter().enumerate() {
        if at > 0 && order[at - 1].1 != *own {
            level_before = std::mem::take(&mut level);
        }
        let (sent, was_sent) = watch::channel(false);
        let (there, is_there) = watch::channel(false);
        level.push(is_there);
        let turn = Turn {
            before: before.replace(was_sent),
            level_before: level_before.clone(),
            sent,
            there,
        };
        turns.insert(key.clone(), turn);
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn starts_follow_each_other_and_levels_wait() {
        let order: Vec<(Key, i64)> = [("a", 1), ("b", 1), ("c", 2)]
            .map(|(name, level)| (Key::new(name, name), level))
            .into();
        let mut turns = turns(&order);
        let mut take = |name: &str| turns.remove(&Key::new(name, name)).expect("has a turn");
        let (mut a, mut b, mut c) = (take("a"), take("b"), take("c"));
        let begun = Instant::now();
        a.wait().await;
        a.sent();
        b.wait().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        b.there();
        // a is not there yet: c waits, but not for ever.
        c.wait().await;
        assert_eq!(begun.elapsed(), TURN_MAX);
        drop(a);
        c.wait().await;
        assert_eq!(begun.elapsed(), TURN_MAX);
    }
}
