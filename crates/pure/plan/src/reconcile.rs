//! The one decision: from what is to what should be.

use std::collections::BTreeSet;

use crate::model::{Desired, Intent, Key, Observed, Seen, Slot, Step};
use crate::order::{dependants, start_order, waits_for};

/// What one slot needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Nothing: settled.
    Nothing,
    /// A keeper, its definition, and a start if it should run.
    Keeper,
    /// The definition only: it is down and stays so.
    Definition,
    /// The definition, then a replacement.
    Replacement,
    /// A start of what is installed.
    Start,
    /// A stop.
    Stop,
    /// A stop, and the definition for the next start.
    StopAndDefinition,
}

fn need(slot: &Slot, seen: Option<&Seen>, intent: Intent) -> Need {
    let Some(seen) = seen.filter(|seen| seen.kept) else {
        return Need::Keeper;
    };
    let settled = match intent {
        Intent::Settle => slot.hash == seen.hash || slot.hash == seen.refused,
        Intent::Update => slot.hash == seen.hash,
        Intent::Replace => slot.hash == seen.hash && !(slot.up && seen.wanted),
    };
    match (settled, slot.up, seen.wanted) {
        (true, true, true) | (true, false, false) => Need::Nothing,
        (true, true, false) => Need::Start,
        (true, false, true) => Need::Stop,
        (false, true, _) => Need::Replacement,
        (false, false, false) => Need::Definition,
        (false, false, true) => Need::StopAndDefinition,
    }
}

/// The steps that make `observed` what is `desired`, in the order in which they begin. See the module documentation of the
/// crate for the rules.
pub fn reconcile(desired: &Desired, observed: &Observed, intent: Intent) -> Vec<Step> {
    let wanted_keys: BTreeSet<&Key> = desired.slots.iter().map(|slot| &slot.key).collect();
    let gone: Vec<(&Key, &Seen)> = observed
        .slots
        .iter()
        .filter(|(key, _)| !wanted_keys.contains(key))
        .collect();
    let order = start_order(&desired.slots);
    let needs: Vec<(&Slot, Need)> = order
        .iter()
        .map(|slot| (*slot, need(slot, observed.slots.get(&slot.key), intent)))
        .collect();

    let mut steps = stops(desired, &needs, &gone);
    let mut bound: BTreeSet<&str> = observed.listeners.iter().map(String::as_str).collect();
    let after = waits_for(&desired.slots);
    for (slot, need) in &needs {
        if *need != Need::Nothing && *need != Need::Stop && *need != Need::Start {
            for listener in &slot.listeners {
                if bound.insert(listener) {
                    steps.push(Step::Bind {
                        listener: listener.clone(),
                    });
                }
            }
        }
        let key = || slot.key.clone();
        let after = || after.get(&slot.key).cloned().unwrap_or_default();
        match need {
            Need::Nothing | Need::Stop => {}
            Need::Keeper => {
                steps.extend([Step::Spawn { slot: key() }, Step::Install { slot: key() }]);
                if slot.up {
                    steps.push(Step::Start {
                        slot: key(),
                        after: after(),
                    });
                }
            }
            Need::Definition | Need::StopAndDefinition => steps.push(Step::Install { slot: key() }),
            Need::Replacement => {
                steps.extend([
                    Step::Install { slot: key() },
                    Step::Restart {
                        slot: key(),
                        after: after(),
                    },
                ]);
            }
            Need::Start => steps.push(Step::Start {
                slot: key(),
                after: after(),
            }),
        }
    }
    steps.extend(gone.iter().map(|(key, _)| Step::Remove {
        slot: (*key).clone(),
    }));
    let used: BTreeSet<&str> = desired
        .slots
        .iter()
        .flat_map(|slot| &slot.listeners)
        .map(String::as_str)
        .collect();
    let unused = observed
        .listeners
        .iter()
        .filter(|listener| !used.contains(listener.as_str()));
    steps.extend(unused.map(|listener| Step::Drop {
        listener: listener.clone(),
    }));
    steps
}

/// Stops come first and in reverse: what goes must not use what is about to change. Slots that left the configuration have
/// no priority any more; they go before all others.
fn stops(desired: &Desired, needs: &[(&Slot, Need)], gone: &[(&Key, &Seen)]) -> Vec<Step> {
    let leaving = gone.iter().filter(|(_, seen)| seen.kept && seen.wanted);
    let mut steps: Vec<Step> = leaving
        .map(|(key, _)| Step::Stop {
            slot: (*key).clone(),
            after: Vec::new(),
        })
        .collect();
    let stopping: BTreeSet<&Key> = needs
        .iter()
        .filter(|(_, need)| matches!(need, Need::Stop | Need::StopAndDefinition))
        .map(|(slot, _)| &slot.key)
        .collect();
    let dependants = dependants(&desired.slots);
    for (slot, _) in needs
        .iter()
        .rev()
        .filter(|(slot, _)| stopping.contains(&slot.key))
    {
        let before = dependants.get(&slot.key).into_iter().flatten();
        let after = before
            .filter(|key| stopping.contains(key))
            .cloned()
            .collect();
        steps.push(Step::Stop {
            slot: slot.key.clone(),
            after,
        });
    }
    steps
}
