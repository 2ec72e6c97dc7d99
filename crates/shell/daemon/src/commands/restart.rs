//! Restart, and what it cost those who waited.

use std::time::Duration;

use control::{Done, Fault, Outcome, Progress};
use plan::Key;
use wire::{Counts, Replace};

use super::outcomes::{done, meant, outcome};
use super::process::{cause_by, ended, occupied, want};
use super::progress::follow;
use super::steps::steps_for;
use crate::execute::{How, execute};
use crate::lines;
use crate::state::{Shared, say};

/// Gateways send their counts at most twice a second; the summary of a restart waits for the last ones so long.
const COUNTS_MAX: Duration = Duration::from_millis(700);

/// Restart.
pub(super) async fn restart(
    daemon: &Shared,
    names: &[String],
    mode: Option<&str>,
    by: String,
    progress: &Progress,
) -> Done {
    let since_ms = sys::clock::mono_ms();
    let mode = match mode {
        None => None,
        Some("hold") => Some(Replace::Hold),
        Some("overlap") => Some(Replace::Overlap),
        Some(other) => {
            return Done::failed(
                2,
                format!("`{other}` is no way to restart; there are hold and overlap"),
            );
        }
    };
    let (mut keys, mut outcomes) = meant(daemon, names);
    if mode == Some(Replace::Overlap) {
        refuse_overlap(daemon, &mut keys, &mut outcomes);
    }
    if let Err(why) = want(daemon, &keys, true) {
        return Done::failed(2, why);
    }
    for (key, why) in occupied(daemon, &keys) {
        outcomes.push(outcome(&key, Fault::SpawnError, why));
        keys.retain(|other| *other != key);
    }
    let counts = |key: &Key| daemon.fact(key).map(|fact| fact.counts).unwrap_or_default();
    let before: Vec<(Key, Counts)> = keys.iter().map(|key| (key.clone(), counts(key))).collect();
    let following = follow(daemon, &keys, progress, since_ms);
    let steps = steps_for(daemon, &keys, true);
    let results = execute(
        daemon,
        steps,
        &How {
            cause: cause_by(by),
            window: true,
            mode,
        },
    )
    .await;
    for (key, before) in before {
        if let Some(text) = waited(daemon, &key, &before).await {
            say(progress, &key.to_string(), text, since_ms);
        }
    }
    drop(following);
    outcomes.extend(
        results
            .iter()
            .map(|result| ended(daemon, result, Fault::Success)),
    );
    done(outcomes, &[])
}

/// A process that holds its own address cannot overlap.
fn refuse_overlap(daemon: &Shared, keys: &mut Vec<Key>, outcomes: &mut Vec<Outcome>) {
    let state = daemon.state.borrow();
    keys.retain(|key| {
        let own = state.active.slot(key).filter(|slot| {
            !slot.first
                && slot.derived.is_empty()
                && slot.listeners.is_empty()
                && !slot.spec.gated
                && !slot.shown.is_empty()
        });
        if let Some(slot) = own {
            let text = format!(
                "cannot overlap: it holds {} itself; use listen = gateway, or --mode hold",
                slot.shown
            );
            outcomes.push(outcome(key, Fault::Failed, text));
        }
        own.is_none()
    });
}

/// `27 requests waited, longest 1.7 s, 0 failed`, for programs behind a gateway.
pub(super) async fn waited(daemon: &Shared, key: &Key, before: &Counts) -> Option<String> {
    let gated = daemon
        .state
        .borrow()
        .active
        .slot(key)
        .is_some_and(|slot| slot.spec.gated);
    let mut facts = daemon.follow(key).filter(|_| gated)?;
    let _ = tokio::time::timeout(COUNTS_MAX, facts.wait_for(|fact| fact.counts != *before)).await;
    let after = facts.borrow().counts.clone();
    // A gateway that was replaced counts from zero.
    let waited = after.waited.saturating_sub(before.waited);
    let failed = after.failed.saturating_sub(before.failed);
    let longest = if after.longest_wait_ms > before.longest_wait_ms {
        format!(", longest {}", lines::seconds(after.longest_wait_ms))
    } else {
        String::new()
    };
    let requests = if waited == 1 { "request" } else { "requests" };
    Some(format!(
        "{waited} {requests} waited{longest}, {failed} failed"
    ))
}
