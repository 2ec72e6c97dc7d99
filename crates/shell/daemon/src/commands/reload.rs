//! The file made active: update, reload.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use control::{Body, Done, Fault, Outcome, Progress};
use ledger::Entry;
use plan::{Intent, Key};
use wire::{Cause, Order, Why};

use super::beside;
use super::change::{Candidate, Merge, Selected, merge};
use super::config::{details, read_again};
use super::outcomes::{done, fault, outcome};
use super::progress::follow;
use crate::activity::Activity;
use crate::execute::Ended;
use crate::lines::Level;
use crate::resolve::{difference, group_changes};
use crate::settle::{purge_later, settle};
use crate::state::{Mood, Shared};

/// Update: what changed is replaced, what is new starts, what is gone stops.
pub(super) async fn update(
    daemon: &Shared,
    groups: &[String],
    by: &str,
    progress: &Progress,
) -> Done {
    let found = match read_again(daemon, false) {
        Ok(found) => found,
        Err(done) => return *done,
    };
    let all = groups.is_empty() || groups.iter().any(|name| name == "all");
    let selected = if all {
        Selected::All
    } else {
        Selected::Only(groups)
    };
    if let Selected::Only(groups) = selected {
        let active = daemon.state.borrow().active.groups();
        let known =
            |name: &String| active.contains(name) || found.resolved.active.groups().contains(name);
        if let Some(name) = groups.iter().find(|name| !known(name)) {
            return Done::failed(1, format!("there is no group `{name}`"));
        }
    }
    let own = {
        let state = daemon.state.borrow();
        beside::own_due(&state.active.settings, &found.resolved.active.settings)
    };
    change(
        daemon,
        &found,
        Change {
            selected,
            anew: false,
            intent: Intent::Update,
            by,
            progress,
            own,
        },
    )
    .await
}

/// Reload: the file and the daemon's own settings; everything is replaced (Supervisor's), or what changed (ours).
pub(crate) async fn reload(daemon: &Shared, all: bool, by: &str, progress: &Progress) -> Done {
    let _told = Told::new(daemon);
    let found = match read_again(daemon, false) {
        Ok(found) => found,
        Err(done) => return *done,
    };
    let intent = if all { Intent::Replace } else { Intent::Update };
    if all {
        daemon.state.borrow_mut().mood = Mood::Restarting;
        crate::pools::begin_again(daemon);
    }
    let settings = found.resolved.active.settings.clone();
    let before = std::mem::replace(
        &mut daemon.state.borrow_mut().active.settings,
        settings.clone(),
    );
    let mut errors = Vec::new();
    if before != settings {
        let (activity, error) = Activity::open(&settings);
        daemon.state.borrow_mut().activity = activity;
        if let Some(why) = error {
            daemon.log(Level::Error, &why);
        }
        errors = crate::fronts::serve_supervisor(daemon).await;
    }
    let own = beside::own(&before, &settings).into_iter();
    let applied = |name: &str| {
        let why = errors.iter().find(|why| why.starts_with(name));
        why.map_or_else(
            || format!("{name}  applied"),
            |why| format!("{why}; it is tried again"),
        )
    };
    let mut done = change(
        daemon,
        &found,
        Change {
            selected: Selected::All,
            anew: all,
            intent,
            by,
            progress,
            own: own.map(applied).collect(),
        },
    )
    .await;
    let mut state = daemon.state.borrow_mut();
    if state.mood == Mood::Restarting {
        state.mood = Mood::Running;
    }
    drop(state);
    if done.exit == 0 && !errors.is_empty() {
        done.exit = 1;
    }
    done
}

/// Tells systemd, by root, that a reload is under way, and that it is over: however it ends, and the last one of
/// several.
struct Told(Shared);

impl Told {
    fn new(daemon: &Shared) -> Told {
        daemon.reloads.set(daemon.reloads.get() + 1);
        daemon.root.order(&Order::Reloading {}, Vec::new());
        Told(daemon.clone())
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.0.reloads.set(self.0.reloads.get().saturating_sub(1));
        if self.0.reloads.get() == 0 {
            self.0.root.order(&Order::Started {}, Vec::new());
        }
    }
}

struct Change<'a> {
    selected: Selected<'a>,
    anew: bool,
    intent: Intent,
    by: &'a str,
    progress: &'a Progress,
    /// About the daemon's own settings.
    own: Vec<String>,
}

async fn change(daemon: &Shared, found: &Candidate, how: Change<'_>) -> Done {
    let since_ms = sys::clock::mono_ms();
    let now_ms = sys::clock::wall_ms();
    let candidate = &found.resolved.active;
    let before = daemon.state.borrow().active.clone();
    let mut changes = group_changes(&before, candidate);
    if let Selected::Only(groups) = how.selected {
        for list in [
            &mut changes.added,
            &mut changes.changed,
            &mut changes.removed,
        ] {
            list.retain(|name| groups.contains(name));
        }
    }
    let detail = details(&before, candidate);
    let merged = merge(
        &before,
        candidate,
        Merge {
            selected: how.selected,
            anew: how.anew,
            now_ms,
        },
    );
    let mut words: BTreeMap<Key, String> = BTreeMap::new();
    let mut window_ms = 0;
    for slot in &merged.slots {
        let key = slot.key();
        let parts = before
            .slot(&key)
            .map(|old| difference(old, slot))
            .unwrap_or_default();
        if !parts.is_empty() {
            daemon.note(&Entry::config(
                now_ms,
                &key.to_string(),
                parts.clone(),
                how.by,
            ));
        }
        if !slot.in_service() {
            window_ms = window_ms.max(slot.spec.restart_window_ms);
        }
        words.insert(
            key,
            if parts.is_empty() {
                how.by.to_owned()
            } else {
                parts.join(", ")
            },
        );
    }
    let keys: Vec<Key> = merged.slots.iter().map(|slot| slot.key()).collect();
    daemon.state.borrow_mut().active = merged;
    let following = follow(daemon, &keys, how.progress, since_ms);
    let by = how.by.to_owned();
    let replaced = how.intent == Intent::Replace;
    let cause = move |key: &Key| {
        let why = if replaced {
            Why::Operator
        } else {
            Why::ConfigChange
        };
        Cause {
            why,
            text: words
                .get(key)
                .filter(|_| !replaced)
                .cloned()
                .unwrap_or_else(|| by.clone()),
        }
    };
    let results = settle(daemon, how.intent, Rc::new(cause)).await;
    drop(following);
    if window_ms > 0 {
        purge_later(daemon, Duration::from_millis(window_ms + 10));
    }
    let mut beside = {
        let active = &daemon.state.borrow().active;
        let mut lines = beside::done_to_gateways(&before, active, &results);
        lines.extend(beside::store_line(&before, active));
        lines
    };
    beside.extend(how.own);
    ended(daemon, &results, found, changes, (detail, beside))
}

fn ended(
    daemon: &Shared,
    results: &[Ended],
    found: &Candidate,
    changes: crate::resolve::GroupChanges,
    (detail, beside): (Vec<String>, Vec<String>),
) -> Done {
    let hidden = |key: &Key| {
        daemon
            .state
            .borrow()
            .active
            .slot(key)
            .is_some_and(|slot| slot.first)
    };
    let outcomes: Vec<Outcome> = results
        .iter()
        .filter(|result| !hidden(&result.key) || !result.is_well())
        .map(|result| {
            let text = match daemon.ready_pid(&result.key).filter(|_| result.is_well()) {
                Some(pid) => format!("pid {pid}"),
                None => result.text.clone(),
            };
            outcome(&result.key, fault(result.outcome, Fault::Success), text)
        })
        .collect();
    let Done { exit, error, .. } = done(outcomes.clone(), &[]);
    // What is new and refused is not as wished; everything else is done.
    let (exit, error) = match &found.resolved.active.left_out[..] {
        [] => (exit, error),
        left => {
            let names: Vec<&str> = left.iter().map(|left| left.name.as_str()).collect();
            let text = format!("left out until it is mended: {}", names.join(", "));
            (exit.max(1), format!("{error}\n{text}").trim().to_owned())
        }
    };
    let body = Body::Changes {
        added: changes.added,
        changed: changes.changed,
        removed: changes.removed,
        detail,
        findings: found.findings(),
        beside,
        outcomes,
    };
    Done { exit, error, body }
}
