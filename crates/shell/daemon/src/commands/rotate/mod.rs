//! `secrets rotate`: a new key on disk, the gateway that knows both, then the programs one after the other.
//!
//! ```text
//!  keyring and env file ──> active.json ──> gateway (overlap) ──> program by program (as configured) ──> ready
//! ```
//! The gateway knows the new key before any program has it, and the old one for as long as a generation runs with it: it
//! signs for each generation with the key that this one was started with. A daemon that dies on the way is followed by
//! one that finds the model that was wanted and goes on with it. One that died before that was written down leaves
//! programs with their old key: after an ordinary rotation that harms nobody, and `update` brings the new one; a key that
//! leaked must not stay in use, so [`resume`] goes on by itself, or says why it cannot.

mod cut_short;
mod told;

use std::rc::Rc;
use std::time::Duration;

use control::{Done, Fault, Progress};
use ledger::Entry;
use plan::Key;
use secrets::{How as Treatment, Old, Rotated};
use wire::{Cause, Counts, Replace, Why};

use super::change::{Candidate, candidate, load};
use super::process::ended;
use super::progress::follow;
use super::restart::waited;
use super::steps::steps_for;
use crate::execute::{How, execute};
use crate::keys::of_model;
use crate::model::{Active, Slot};
use crate::resolve::{difference, refresh_gateway, stamp};
use crate::rotation::{Affected, Held, affected, rotate, upstreams};
use crate::state::{Shared, say};
use told::Report;

pub(crate) use cut_short::{finish, resume};

/// A gateway that was replaced ends within this time if its connections are busy: usual requests are over by then.
const GATEWAY_MS_MAX: u64 = 3_000;

/// An old process that was drained is gone within this time after its successor was ready.
const PUBLISHED_MAX: Duration = Duration::from_secs(2);

/// What takes longer is told.
const SOON: Duration = Duration::from_millis(500);

/// Marks a rotation as under way until it is dropped.
struct UnderWay(Shared);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.state.borrow_mut().rotating = None;
    }
}

/// What a rotation is about.
struct Wanted<'a> {
    name: &'a str,
    how: Treatment,
    by: String,
    progress: &'a Progress,
}

/// Rotates a key.
pub(super) async fn run(
    daemon: &Shared,
    name: &str,
    compromised: bool,
    by: String,
    progress: &Progress,
) -> Done {
    let how = if compromised {
        Treatment::Compromised
    } else {
        Treatment::Overlap
    };
    let wanted = Wanted {
        name,
        how,
        by,
        progress,
    };
    if let Some(other) = daemon.state.borrow().rotating.clone() {
        let text = format!("{other} is being rotated; rotate {name} when that has ended");
        return Done::failed(1, text);
    }
    daemon.state.borrow_mut().rotating = Some(name.to_owned());
    let _mark = UnderWay(daemon.clone());
    match begin(daemon, &wanted, None) {
        Ok(begun) => carry_out(daemon, &wanted, begun).await,
        Err(done) => *done,
    }
}

/// The key was replaced on disk; nothing that runs has changed yet.
struct Begun {
    affected: Vec<Affected>,
    homes: Vec<Rotated>,
    found: Candidate,
    /// Upstreams whose key leaked: somebody else has to start them again.
    upstreams: Vec<String>,
}

impl Begun {
    /// Nothing runs with the old values any more: their ends are known.
    fn settle(&mut self, daemon: &Shared, name: &str) {
        for end in crate::in_use::settle_now(daemon) {
            let known = |home: &&mut Rotated| end.name == name && home.old_id == end.id;
            if let Some(home) = self.homes.iter_mut().find(known) {
                home.old = Old::Until(end.until_unix_s);
            }
        }
    }
}

/// `rotated`: it was done on disk before.
fn begin(
    daemon: &Shared,
    wanted: &Wanted<'_>,
    rotated: Option<Vec<Rotated>>,
) -> Result<Begun, Box<Done>> {
    let refuse = |exit: u8, text: String| Box::new(Done::failed(exit, text));
    let before = daemon.state.borrow().active.clone();
    let loaded = load(daemon, &before.base_env);
    // What else changed in the file is for `update`: a rotation must not bring it into service unasked.
    if loaded.unreadable || stamp(&loaded) != before.stamp {
        let text = format!(
            "the configuration differs from what runs; run: steadfast update, then rotate {} again",
            wanted.name
        );
        return Err(refuse(1, text));
    }
    let affected =
        affected(&loaded.model, wanted.name, wanted.how).map_err(|why| refuse(1, why))?;
    let state_dir = before.settings.state_dir.clone();
    let keys = of_model(&loaded.model, &before.base_env, state_dir.as_ref());
    let in_use = crate::in_use::known(daemon, &before);
    let homes = match rotated {
        Some(homes) => homes,
        None => {
            rotate(&keys, wanted.name, wanted.how, in_use.as_ref()).map_err(|why| refuse(1, why))?
        }
    };
    let found = candidate(daemon, &loaded, &before, false);
    Ok(Begun {
        affected,
        homes,
        found,
        upstreams: upstreams(&loaded.model, wanted.name),
    })
}

/// The slots of the affected programs get the candidate's definitions; all else stays as it is.
fn merged(before: &Active, candidate: &Active, affected: &[Affected]) -> Active {
    let mut merged = before.clone();
    merged.gateway = candidate.gateway.clone();
    let theirs = |slot: &Slot| affected.iter().any(|it| it.program == slot.program);
    for slot in merged.slots.iter_mut() {
        if slot.first || !slot.in_service() || !theirs(slot) {
            continue;
        }
        let Some(new) = candidate.slot(&slot.key()) else {
            continue;
        };
        *slot = Slot {
            up: slot.up,
            number: slot.number,
            ..new.clone()
        };
    }
    merged
}

async fn carry_out(daemon: &Shared, wanted: &Wanted<'_>, begun: Begun) -> Done {
    let before = daemon.state.borrow().active.clone();
    let mut merged = merged(&before, &begun.found.resolved.active, &begun.affected);
    let failed = daemon
        .state
        .borrow()
        .failed_listeners
        .keys()
        .cloned()
        .collect();
    refresh_gateway(&mut merged, &failed, daemon.run_dir.path());
    let now_ms = sys::clock::wall_ms();
    for slot in &merged.slots {
        let parts = before
            .slot(&slot.key())
            .map(|old| difference(old, slot))
            .unwrap_or_default();
        if !parts.is_empty() && !slot.first {
            let key = slot.key().to_string();
            daemon.note(&Entry::config(now_ms, &key, parts, &wanted.by));
        }
    }
    let changed = |key: &Key| {
        let old = before.slot(key).map(|slot| slot.spec.hash.as_str());
        old != merged.slot(key).map(|slot| slot.spec.hash.as_str())
    };
    let gateways: Vec<Key> = merged
        .slots
        .iter()
        .filter(|slot| slot.first)
        .map(Slot::key)
        .filter(changed)
        .collect();
    let mut programs: Vec<(Affected, Vec<Key>)> = Vec::new();
    for one in &begun.affected {
        let slots = merged.programs().filter(|slot| slot.program == one.program);
        programs.push((one.clone(), slots.map(Slot::key).collect()));
    }
    daemon.state.borrow_mut().active = merged;
    let mut begun = begun;
    let mut report = Report::default();
    if let Err(why) = daemon.keep() {
        return report.failed(wanted, &begun, why);
    }
    if let Err(why) = gateway_first(daemon, wanted, &gateways).await {
        return report.failed(wanted, &begun, why);
    }
    for (one, keys) in &programs {
        if let Err(why) = program(daemon, wanted, &begun, one, keys, &mut report).await {
            return report.failed(wanted, &begun, why);
        }
    }
    let until = tokio::time::Instant::now() + PUBLISHED_MAX;
    for key in programs.iter().flat_map(|(_, keys)| keys) {
        published(daemon, key, until).await;
    }
    begun.settle(daemon, wanted.name);
    report.done(wanted, &begun)
}

/// A keeper answers before it publishes what is true now. An old process that takes longer to leave is *in use*.
async fn published(daemon: &Shared, key: &Key, until: tokio::time::Instant) {
    let hash = {
        let state = daemon.state.borrow();
        state.active.slot(key).map(|slot| slot.spec.hash.clone())
    };
    let (Some(hash), Some(mut facts)) = (hash, daemon.follow(key)) else {
        return;
    };
    let now = facts.wait_for(|fact| fact.leaving.is_none() && fact.spec_hash == hash);
    let _ = tokio::time::timeout_at(until, now).await;
}

fn how(wanted: &Wanted<'_>, mode: Option<Replace>) -> How {
    let cause = Cause {
        why: Why::Operator,
        text: wanted.by.clone(),
    };
    How {
        cause: Rc::new(move |_| cause.clone()),
        window: true,
        mode,
    }
}

/// Gateways learn the new ring before anyone uses it. Those that do not know it are given a while to end: each request
/// that they still get for a process with the new key takes one connection more (`gateway::successor`).
async fn gateway_first(daemon: &Shared, wanted: &Wanted<'_>, keys: &[Key]) -> Result<(), String> {
    let since_ms = sys::clock::mono_ms();
    let steps = steps_for(daemon, keys, true);
    for result in execute(daemon, steps, &how(wanted, None)).await {
        if !result.is_well() {
            return Err(format!(
                "the gateway could not take the new key over ({}); programs still run with the old one",
                result.text
            ));
        }
    }
    let gateways: Vec<(Key, String)> = {
        let state = daemon.state.borrow();
        let first = state.active.slots.iter().filter(|slot| slot.first);
        first
            .map(|slot| (slot.key(), slot.spec.hash.clone()))
            .collect()
    };
    for (key, hash) in gateways {
        let Some(mut facts) = daemon.follow(&key) else {
            continue;
        };
        // A keeper answers before it publishes what is true now.
        let leaves = |fact: &wire::Fact| fact.leaving.is_some() || fact.spec_hash != hash;
        let soon = tokio::time::timeout(SOON, facts.wait_for(|fact| !leaves(fact)));
        if soon.await.is_err() {
            let text = "the old one answers what it still has".to_owned();
            say(wanted.progress, &key.to_string(), text, since_ms);
        }
        let gone = facts.wait_for(|fact| !leaves(fact));
        // It may keep an idle connection of a browser for as long as requests may wait, and what comes on that it passes
        // on to the one that has taken over; so what is not over by then is no reason to wait.
        let limit = Duration::from_millis(GATEWAY_MS_MAX);
        let _ = tokio::time::timeout(limit, gone).await;
    }
    Ok(())
}

/// One program: its processes one after the other, each until it is ready.
async fn program(
    daemon: &Shared,
    wanted: &Wanted<'_>,
    begun: &Begun,
    one: &Affected,
    keys: &[Key],
    report: &mut Report,
) -> Result<(), String> {
    let since_ms = sys::clock::mono_ms();
    let is_up = |key: &Key| {
        let state = daemon.state.borrow();
        state.active.slot(key).is_some_and(|slot| slot.up)
    };
    let (up, down): (Vec<Key>, Vec<Key>) = keys.iter().cloned().partition(is_up);
    for key in &down {
        if daemon.fact(key).is_some() {
            crate::keepers::install(daemon, key).await?;
        }
        report.line(key, "is stopped; it gets the new key when it starts");
    }
    // Requests of a generation whose key leaked have no place beside those of the new one.
    let mode = (wanted.how == Treatment::Compromised).then_some(Replace::Hold);
    let counts = |key: &Key| daemon.fact(key).map(|fact| fact.counts).unwrap_or_default();
    let before: Vec<(Key, Counts)> = up.iter().map(|key| (key.clone(), counts(key))).collect();
    let following = follow(daemon, &up, wanted.progress, since_ms);
    let results = execute(daemon, steps_for(daemon, &up, true), &how(wanted, mode)).await;
    drop(following);
    for result in &results {
        let outcome = ended(daemon, result, Fault::Success);
        if outcome.status != Fault::Success {
            let text = format!(
                "{} could not be restarted with the new key: {}",
                result.key, result.text
            );
            report.outcomes.push(outcome);
            return Err(text);
        }
        report.outcomes.push(outcome);
    }
    for (key, before) in before {
        let home = begun
            .homes
            .iter()
            .find(|home| home.programs.contains(&one.program));
        let (new, old) = home.map_or((0, 0), |home| (home.new_id, home.old_id));
        let mut text = format!("restarted with key {new}");
        if let Some(waited) = waited(daemon, &key, &before).await {
            text.push_str(": ");
            text.push_str(&waited);
        }
        text.push_str(&match one.held {
            Some(Held::Gateway) => format!("; the gateway re-signs tokens of key {old}"),
            Some(Held::Program) => format!("; it reads tokens of key {old} too"),
            None => format!("; tokens of key {old} are refused"),
        });
        report.line(&key, &text);
    }
    Ok(())
}
