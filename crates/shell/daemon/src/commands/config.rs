//! The file and the groups: reread, plan, avail, add, remove.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use control::{Body, ConfigInfo, Done, Fault, Outcome};
use plan::{Intent, line, reconcile};
use wire::{Cause, State as Shown, Why};

use super::beside;
use super::change::{Candidate, Merge, Selected, candidate, load, merge, take_out};
use super::outcomes::done;
use super::steps::reason;
use crate::model::Active;
use crate::resolve::{difference, group_changes, refresh_gateway, wanted_addresses};
use crate::settle::{purge_later, settle};
use crate::snapshot::snapshot;
use crate::state::{Shared, State};

/// Reads the file; an error of the file is the end of the command.
pub(super) fn read_again(daemon: &Shared, dry: bool) -> Result<Candidate, Box<Done>> {
    let before = daemon.state.borrow().active.clone();
    let loaded = load(daemon, &before.base_env);
    let found = candidate(daemon, &loaded, &before, dry);
    if loaded.unreadable || !found.refusing.is_empty() {
        let errors = found.report.findings().iter();
        let errors: Vec<&finding::Finding> = errors.filter(|found| found.is_error()).collect();
        let error = crate::left::in_short(&errors);
        let body = Body::Changes {
            added: Vec::new(),
            changed: Vec::new(),
            removed: Vec::new(),
            detail: Vec::new(),
            findings: found.findings(),
            beside: Vec::new(),
            outcomes: Vec::new(),
        };
        return Err(Box::new(Done {
            exit: if loaded.unreadable { 2 } else { 1 },
            error,
            body,
        }));
    }
    let mut state = daemon.state.borrow_mut();
    state.file = Some(loaded);
    Ok(found)
}

/// What differs, for people: a line for each process and part.
pub(super) fn details(active: &Active, candidate: &Active) -> Vec<String> {
    let mut lines = Vec::new();
    for new in candidate.programs() {
        match active.slot(&new.key()).filter(|old| old.in_service()) {
            None => lines.push(format!("{}: new", new.key())),
            Some(old) => lines.extend(
                difference(old, new)
                    .into_iter()
                    .map(|part| format!("{}: {part}", new.key())),
            ),
        }
    }
    let gone = active
        .programs()
        .filter(|old| candidate.slot(&old.key()).is_none());
    lines.extend(gone.map(|old| format!("{}: removed", old.key())));
    lines
}

/// Reread.
pub(super) fn reread(daemon: &Shared) -> Done {
    let found = match read_again(daemon, true) {
        Ok(found) => found,
        Err(done) => return *done,
    };
    let state = daemon.state.borrow();
    let changes = group_changes(&state.active, &found.resolved.active);
    let merged = merged(daemon, &state, &found);
    let mut beside = beside::gateways(&state.active, &merged);
    beside.extend(also(&state.active, &found));
    Done::ok(Body::Changes {
        beside,
        detail: details(&state.active, &found.resolved.active),
        added: changes.added,
        changed: changes.changed,
        removed: changes.removed,
        findings: found.findings(),
        outcomes: Vec::new(),
    })
}

/// What `update` would do.
pub(super) fn plan(daemon: &Shared) -> Done {
    let found = match read_again(daemon, true) {
        Ok(found) => found,
        Err(done) => return *done,
    };
    let state = daemon.state.borrow();
    let merged = merged(daemon, &state, &found);
    // The comparison looks at a state; this one differs from the real one in its model only.
    let (_, observed) = snapshot(&state);
    let desired = desired_of(&merged, &wanted_addresses(&merged));
    // Its place and its definition are how a start is done, not what is done.
    let steps = reconcile(&desired, &observed, Intent::Update);
    let acted: BTreeSet<plan::Key> = steps
        .iter()
        .filter(|step| matches!(step, plan::Step::Start { .. } | plan::Step::Restart { .. }))
        .filter_map(|step| step.slot().cloned())
        .collect();
    let told = |step: &&plan::Step| match step {
        plan::Step::Spawn { slot } | plan::Step::Install { slot } => !acted.contains(slot),
        _ => true,
    };
    let mut steps: Vec<String> = steps
        .iter()
        .filter(told)
        .map(|step| match reason(&state.active, &merged, step) {
            Some(reason) => format!("{} ({reason})", line(step)),
            None => line(step),
        })
        .collect();
    steps.extend(also(&state.active, &found));
    if steps.is_empty() {
        steps.push("nothing to do".to_owned());
    }
    Done::ok(Body::Plan { steps })
}

/// The model as `update` would make it.
fn merged(daemon: &Shared, state: &State, found: &Candidate) -> Active {
    let how = Merge {
        selected: Selected::All,
        anew: false,
        now_ms: sys::clock::wall_ms(),
    };
    let mut merged = merge(&state.active, &found.resolved.active, how);
    let failed: BTreeSet<String> = state.failed_listeners.keys().cloned().collect();
    refresh_gateway(&mut merged, &failed, daemon.run_dir.path());
    merged
}

/// What differs and is no step of `update`.
fn also(active: &Active, found: &Candidate) -> Vec<String> {
    let candidate = &found.resolved.active;
    let store = beside::store_line(active, candidate);
    let mut lines: Vec<String> = store.into_iter().collect();
    lines.extend(beside::own_due(&active.settings, &candidate.settings));
    lines
}

fn desired_of(model: &Active, addresses: &BTreeSet<String>) -> plan::Desired {
    let slot = |slot: &crate::model::Slot| {
        slot.planned(match slot.first {
            true => addresses.iter().cloned().collect(),
            false => slot.listeners.clone(),
        })
    };
    plan::Desired {
        slots: model.slots.iter().map(slot).collect(),
    }
}

/// Every process of the file as last read.
pub(super) fn available(daemon: &Shared) -> Done {
    let file = daemon.state.borrow().file.clone();
    let before = daemon.state.borrow().active.clone();
    let in_use = before.groups();
    let listed = match &file {
        Some(loaded) => candidate(daemon, loaded, &before, true).resolved.active,
        None => before,
    };
    let mut slots: Vec<_> = listed.slots.iter().filter(|slot| !slot.first).collect();
    slots.sort_by_key(|slot| {
        (
            slot.group_priority,
            &slot.group,
            slot.priority,
            &slot.process,
        )
    });
    let info = |slot: &crate::model::Slot| {
        let info: ConfigInfo = serde_json::from_str(&slot.config).ok()?;
        Some(ConfigInfo {
            in_use: in_use.contains(&slot.group),
            ..info
        })
    };
    let configs = slots.into_iter().filter_map(info).collect();
    Done::ok(Body::Available { configs })
}

fn of_group(name: &str, status: Fault, text: impl Into<String>) -> Done {
    let outcome = Outcome {
        name: name.to_owned(),
        group: name.to_owned(),
        status,
        text: text.into(),
    };
    let error = if status == Fault::Success {
        String::new()
    } else {
        format!("{name}  {}", outcome.text)
    };
    Done {
        exit: u8::from(status != Fault::Success),
        error,
        body: Body::Outcomes {
            outcomes: vec![outcome],
        },
    }
}

/// Makes a group of the file as last read active; its starts are not waited for.
pub(super) fn add(daemon: &Shared, name: &str, by: &str) -> Done {
    let before = daemon.state.borrow().active.clone();
    let file = daemon.state.borrow().file.clone();
    // As last read: without a reread since the start, all there is is active already.
    let found = file.map(|loaded| candidate(daemon, &loaded, &before, false));
    let known = |active: &Active| active.groups().iter().any(|group| group == name);
    let found = match found {
        Some(found) if known(&found.resolved.active) => found,
        None if known(&before) => return of_group(name, Fault::AlreadyAdded, "already active"),
        Some(_) | None => {
            let text = format!("there is no group `{name}` in the configuration as last read");
            return of_group(name, Fault::BadName, text);
        }
    };
    if before.groups().iter().any(|group| group == name) {
        return of_group(name, Fault::AlreadyAdded, "already active");
    }
    let only = [name.to_owned()];
    let how = Merge {
        selected: Selected::Only(&only),
        anew: false,
        now_ms: sys::clock::wall_ms(),
    };
    let mut merged = merge(&before, &found.resolved.active, how);
    // The group that is added last makes the file the one that is active.
    if group_changes(&merged, &found.resolved.active) == Default::default() {
        merged.stamp = found.resolved.active.stamp.clone();
    }
    daemon.state.borrow_mut().active = merged;
    if let Err(why) = daemon.keep() {
        return Done::failed(2, why);
    }
    let text = format!(
        "{by}: {}",
        details(&before, &found.resolved.active).join(", ")
    );
    let cause = Cause {
        why: Why::ConfigChange,
        text,
    };
    let work = daemon.clone();
    tokio::task::spawn_local(async move {
        settle(&work, Intent::Update, Rc::new(move |_| cause.clone())).await
    });
    of_group(name, Fault::Success, "")
}

/// Takes a stopped group out of service.
pub(super) fn remove(daemon: &Shared, name: &str) -> Done {
    let (unread, base_env) = {
        let state = daemon.state.borrow();
        (state.file.is_none(), state.active.base_env.clone())
    };
    if unread {
        // So that an `add` finds it again without a reread, as in Supervisor.
        let loaded = load(daemon, &base_env);
        daemon.state.borrow_mut().file = Some(loaded);
    }
    let mut state = daemon.state.borrow_mut();
    let members: Vec<plan::Key> = state
        .active
        .programs()
        .filter(|slot| slot.group == name)
        .map(|slot| slot.key())
        .collect();
    if members.is_empty() {
        return of_group(name, Fault::BadName, format!("there is no group `{name}`"));
    }
    let stopped = |key: &plan::Key| {
        let shown = state
            .keepers
            .get(key)
            .map_or(Shown::Stopped, |keeper| keeper.facts.borrow().state);
        matches!(
            shown,
            Shown::Stopped | Shown::Exited | Shown::Fatal | Shown::Unknown
        )
    };
    if !members.iter().all(stopped) {
        return of_group(name, Fault::StillRunning, "it still runs; stop it first");
    }
    let now_ms = sys::clock::wall_ms();
    let mut wait_ms = 0;
    for key in &members {
        state.trouble.remove(key);
        if let Some(slot) = state.active.slot_mut(key) {
            wait_ms = wait_ms.max(slot.spec.restart_window_ms);
            take_out(slot, now_ms);
        }
    }
    drop(state);
    if let Err(why) = daemon.keep() {
        return Done::failed(2, why);
    }
    // Not before the window is over by the clock that the model has.
    purge_later(daemon, Duration::from_millis(wait_ms + 10));
    done(
        vec![Outcome {
            name: name.to_owned(),
            group: name.to_owned(),
            status: Fault::Success,
            text: String::new(),
        }],
        &[],
    )
}
