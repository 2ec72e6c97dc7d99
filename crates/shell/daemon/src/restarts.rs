//! Restarts of processes, counted by reason.

use std::collections::BTreeMap;

use plan::Key;
use wire::{State as Shown, Transition, Why};

/// Restarts of each process by reason.
pub(crate) type Restarts = BTreeMap<Key, BTreeMap<String, u64>>;

/// Counts a start that is none of the first.
pub(crate) fn count(restarts: &mut Restarts, key: &Key, transition: &Transition) {
    let starts = transition.to == Shown::Starting && transition.from != transition.to;
    let first = transition.generation <= 1
        && transition.from == Shown::Stopped
        && matches!(transition.cause.why, Why::Boot | Why::Unknown);
    if (starts && !first) || transition.replaced {
        let reasons = restarts.entry(key.clone()).or_default();
        *reasons.entry(transition.cause.why.to_string()).or_default() += 1;
    }
}
