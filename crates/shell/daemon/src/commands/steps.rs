//! Which steps start, replace or stop these slots, in which order, and why.

use std::collections::BTreeMap;

use plan::{Key, Step, dependants, start_order, waits_for};

use crate::model::Active;
use crate::resolve::difference;
use crate::snapshot::snapshot;
use crate::state::Shared;

/// The steps that start or replace these slots, in order; `all_dependencies` also waits for those outside.
pub(super) fn steps_for(daemon: &Shared, keys: &[Key], restart: bool) -> Vec<Step> {
    let state = daemon.state.borrow();
    let (desired, observed) = snapshot(&state);
    let after = waits_for(&desired.slots);
    let mut steps = Vec::new();
    let mut last_of_program: BTreeMap<&str, Key> = BTreeMap::new();
    for slot in start_order(&desired.slots)
        .into_iter()
        .filter(|slot| keys.contains(&slot.key))
    {
        let key = &slot.key;
        let seen = observed.slots.get(key);
        if seen.is_none() {
            steps.push(Step::Spawn { slot: key.clone() });
        }
        if restart || seen.is_none_or(|seen| seen.hash != slot.hash) {
            steps.push(Step::Install { slot: key.clone() });
        }
        let mut wait: Vec<Key> = after.get(key).cloned().unwrap_or_default();
        if restart {
            // What runs does not need its dependency to be started anew; only what restarts with it comes first.
            wait.retain(|other| keys.contains(other));
            // Processes of one program go one after the other, so that some serve at any time; the first that fails
            // keeps the others as they are.
            if let Some(before) = last_of_program.insert(&slot.program, key.clone()) {
                wait.push(before);
            }
            steps.push(Step::Restart {
                slot: key.clone(),
                after: wait,
            });
        } else {
            steps.push(Step::Start {
                slot: key.clone(),
                after: wait,
            });
        }
    }
    steps
}

/// Stops in reverse order, each after its dependants among them.
pub(super) fn stop_steps(daemon: &Shared, keys: &[Key]) -> Vec<Step> {
    let state = daemon.state.borrow();
    let (mut desired, _) = snapshot(&state);
    desired.slots.retain(|slot| keys.contains(&slot.key));
    let dependants = dependants(&desired.slots);
    let mut steps: Vec<Step> = start_order(&desired.slots)
        .into_iter()
        .rev()
        .map(|slot| Step::Stop {
            slot: slot.key.clone(),
            after: dependants.get(&slot.key).cloned().unwrap_or_default(),
        })
        .collect();
    // A slot that is in no plan (its address is taken) can still be stopped.
    let missing = keys
        .iter()
        .filter(|key| !desired.slots.iter().any(|slot| slot.key == **key));
    steps.extend(missing.map(|key| Step::Stop {
        slot: key.clone(),
        after: Vec::new(),
    }));
    steps
}

/// Why a step is taken: what differs, or that there is nothing to compare with.
pub(super) fn reason(active: &Active, merged: &Active, step: &Step) -> Option<String> {
    let key = step.slot()?;
    let (before, after) = (
        active.slot(key).filter(|slot| slot.in_service()),
        merged.slot(key).filter(|slot| slot.in_service()),
    );
    match (step, before, after) {
        (Step::Restart { .. }, Some(before), Some(after)) if after.first => {
            Some(if before.spec.config == after.spec.config {
                difference(before, after).join("; ")
            } else {
                "its listeners or routes".to_owned()
            })
        }
        (Step::Restart { .. }, Some(before), Some(after)) => {
            Some(difference(before, after).join("; ")).filter(|text| !text.is_empty())
        }
        (Step::Start { .. }, None, Some(_)) => Some("new".to_owned()),
        (Step::Start { .. }, Some(_), Some(_)) => Some("it should run".to_owned()),
        (Step::Stop { .. } | Step::Remove { .. }, _, None) => Some("gone from the file".to_owned()),
        _ => None,
    }
}
