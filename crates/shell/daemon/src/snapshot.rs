//! What is wanted and what is there, as `plan` compares them.

use std::collections::BTreeSet;

use plan::{Desired, Observed, Seen};
use wire::State as Shown;

use crate::state::State;

/// The two sides of the comparison. A slot without its listener is on neither: it is left as it is.
pub(crate) fn snapshot(state: &State) -> (Desired, Observed) {
    let mut desired = Desired::default();
    let mut observed = Observed {
        listeners: state.listeners.keys().cloned().collect(),
        ..Observed::default()
    };
    let mut left_alone = BTreeSet::new();
    for slot in &state.active.slots {
        let key = slot.key();
        if slot
            .listeners
            .iter()
            .any(|address| state.failed_listeners.contains_key(address))
        {
            left_alone.insert(key);
            continue;
        }
        let mut listeners = slot.listeners.clone();
        listeners.extend(slot.derived.iter().map(|listener| listener.address.clone()));
        listeners.retain(|address| !state.failed_listeners.contains_key(address));
        desired.slots.push(slot.planned(listeners));
    }
    for (key, keeper) in state
        .keepers
        .iter()
        .filter(|(key, _)| !left_alone.contains(key))
    {
        let fact = keeper.facts.borrow();
        let up = state.active.slot(key).is_some_and(|slot| slot.up);
        // What ended by itself is as it should be: whether it is started again is its keeper's business.
        let by_itself =
            up && fact.generation > 0 && matches!(fact.state, Shown::Exited | Shown::Fatal);
        let seen = Seen {
            kept: true,
            hash: fact.spec_hash.clone(),
            refused: fact.refused_hash.clone(),
            wanted: fact.wanted || by_itself,
        };
        observed.slots.insert(key.clone(), seen);
    }
    (desired, observed)
}
