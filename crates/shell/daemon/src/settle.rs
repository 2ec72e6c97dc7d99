//! From the active model and the facts to steps, and the steps carried out: the one path of boot, update, adoption, reload
//! and repair.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use plan::{Intent, Step, reconcile};
use wire::{Cause, Why};

use crate::execute::{CauseOf, Ended, How, RETRY, bind, execute};
use crate::resolve::{refresh_gateway, wanted_addresses};
use crate::snapshot::snapshot;
use crate::state::{Shared, State};

/// A plan of so many steps leaves more freed memory behind than it costs to give it back.
const STEPS_MANY: usize = 64;

/// Brings everything in line. The model must have been changed before; it is written down here, before anything is done.
pub(crate) async fn settle(daemon: &Shared, intent: Intent, cause: CauseOf) -> Vec<Ended> {
    if daemon.state.borrow().mood == crate::state::Mood::Shutdown {
        return Vec::new();
    }
    let addresses = {
        let state = daemon.state.borrow();
        let mut addresses = wanted_addresses(&state.active);
        addresses.extend(
            state
                .active
                .slots
                .iter()
                .filter(|slot| !slot.first)
                .flat_map(|slot| slot.listeners.clone()),
        );
        addresses
    };
    for address in &addresses {
        bind(daemon, address);
    }
    let steps = {
        let mut state = daemon.state.borrow_mut();
        let state = &mut *state;
        let failed: BTreeSet<String> = state.failed_listeners.keys().cloned().collect();
        refresh_gateway(&mut state.active, &failed, daemon.run_dir.path());
        note_failed(state);
        let (desired, observed) = snapshot(state);
        reconcile(&desired, &observed, intent)
    };
    if let Err(why) = daemon.keep() {
        daemon.log(
            crate::lines::Level::Critical,
            &format!("nothing was done: {why}"),
        );
        return steps
            .into_iter()
            .filter_map(|step| not_done(step, &why))
            .collect();
    }
    daemon.tended.notify_one();
    daemon.keys_moved.notify_one();
    crate::pools::refresh(daemon);
    crate::reach::at_once(daemon);
    let many = steps.len() >= STEPS_MANY;
    let ends = execute(daemon, steps, &How::as_configured(cause)).await;
    crate::reach::later(daemon);
    if many {
        // Reading, resolving and starting took several times the memory that keeping takes.
        sys::heap::trim();
    }
    ends
}

fn not_done(step: Step, why: &str) -> Option<Ended> {
    let key = step.slot()?.clone();
    Some(Ended {
        key,
        step,
        outcome: wire::Outcome::Failed,
        text: why.to_owned(),
    })
}

/// Slots whose own listener could not be bound are in trouble; whose could be are no longer.
fn note_failed(state: &mut State) {
    for slot in &state.active.slots {
        let why = slot
            .listeners
            .iter()
            .find_map(|address| state.failed_listeners.get(address));
        if let Some(why) = why.filter(|_| slot.up) {
            state.trouble.insert(slot.key(), why.clone());
        }
    }
}

/// Tries again, now and then, what could not be started for a reason outside of it.
pub(crate) async fn retry(daemon: Shared) {
    loop {
        tokio::time::sleep(RETRY).await;
        let again = {
            let state = daemon.state.borrow();
            // Supervisor leaves what is FATAL down; an address that is taken is a thing that it does not know.
            let trouble = state.active.settings.steadfast && !state.trouble.is_empty();
            state.mood == crate::state::Mood::Running
                && (trouble || !state.failed_listeners.is_empty())
        };
        if again {
            daemon.state.borrow_mut().trouble.clear();
            let cause = Cause {
                why: Why::Dependency,
                text: "tried again".to_owned(),
            };
            crate::fronts::serve_supervisor(&daemon).await;
            settle(&daemon, Intent::Settle, Rc::new(move |_| cause.clone())).await;
        }
    }
}

/// Takes slots whose restart window is over out of the model.
pub(crate) fn purge_later(daemon: &Shared, wait: Duration) {
    let daemon = daemon.clone();
    tokio::task::spawn_local(async move {
        tokio::time::sleep(wait).await;
        let now_ms = sys::clock::wall_ms();
        let gone = {
            let mut state = daemon.state.borrow_mut();
            let before = state.active.slots.len();
            state
                .active
                .slots
                .retain(|slot| slot.in_service() || slot.removed_until_ms > now_ms);
            before != state.active.slots.len() && state.mood != crate::state::Mood::Shutdown
        };
        if gone {
            let cause = Cause {
                why: Why::Removed,
                text: "removed from the configuration".to_owned(),
            };
            settle(&daemon, Intent::Settle, Rc::new(move |_| cause.clone())).await;
        }
    });
}
