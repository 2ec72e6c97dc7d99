//! The gateway as a program: one hidden slot for each worker. Its definition follows from the slots that are there, so it is
//! made anew at each change and is replaced by overlap if its hash differs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use routes::{Config, Listener, Target};
use wire::{Autorestart, Credentials, Ready, Replace, Sink, Spec, Text};

use super::inherit::Asked;
use crate::digits::hash;
use crate::model::{Active, Slot};

/// Group of our own programs.
pub(crate) const GROUP: &str = "steadfast";

/// A gateway that is not ready by then never will be: it only opens what it was given.
const READY_MS_MAX: u64 = 10_000;

/// Beyond the longest hold: what was released last still gets its answer.
const LEAVE_MS: u64 = 10_000;

/// Beyond the gateway's own time to leave.
const STOP_MS: u64 = 2_000;

/// Restarts of a gateway are never used up.
const RETRIES: u32 = u32::MAX;

/// Brings the gateway's slots in line with the other slots and with the listeners that could be bound.
pub(crate) fn refresh_gateway(active: &mut Active, failed: &BTreeSet<String>, run_dir: &Path) {
    let listeners = open_listeners(active, failed);
    let before: Vec<Slot> = active
        .slots
        .iter()
        .filter(|slot| slot.first)
        .cloned()
        .collect();
    active.slots.retain(|slot| !slot.first);
    if listeners.is_empty() {
        return;
    }
    let longest = listeners
        .iter()
        .map(|listener| listener.hold_ms)
        .max()
        .unwrap_or(routes::HOLD_MS);
    let config = Config {
        targets: targets(active, &listeners, run_dir),
        connections_max: active.gateway.connections_max,
        leave_ms_max: longest.saturating_add(LEAVE_MS),
        listeners,
        sessions: active.gateway.sessions.clone(),
    };
    let workers = active.gateway.workers.max(1);
    let lent = lent(active, run_dir);
    for worker in 0..workers {
        let process = if workers == 1 {
            "gateway".to_owned()
        } else {
            format!("gateway_{worker:02}")
        };
        let number = before
            .iter()
            .find(|slot| slot.process == process)
            .map(|slot| slot.number);
        let number = number.unwrap_or_else(|| {
            active.next_slot += 1;
            active.next_slot - 1
        });
        let slot = gateway_slot(active, &config, &lent, process, number, run_dir);
        active.slots.push(slot);
    }
}

/// The listeners of the file, then the derived ones; the first route of an address counts.
fn open_listeners(active: &Active, failed: &BTreeSet<String>) -> Vec<Listener> {
    let mut all: BTreeMap<String, Listener> = BTreeMap::new();
    // Also those that could not be bound: an occupied port makes no other one laxer.
    let asked = Asked::new(&active.gateway.listeners);
    let slots = active.slots.iter().filter(|slot| !slot.first);
    let derived: Vec<Listener> = slots
        .flat_map(|slot| {
            let of = |listener| asked.of_slot(listener, slot);
            slot.derived.iter().map(of).collect::<Vec<_>>()
        })
        .collect();
    for listener in active.gateway.listeners.iter().chain(&derived) {
        if failed.contains(&listener.address) {
            continue;
        }
        let known = all
            .entry(listener.address.clone())
            .or_insert_with(|| Listener {
                routes: Vec::new(),
                ..listener.clone()
            });
        for route in &listener.routes {
            let whole = |path: &str| path.trim_end_matches('/').len();
            let taken = known.routes.iter().any(|other| {
                other.host == route.host
                    && whole(&other.path_prefix) == whole(&route.path_prefix)
                    && (whole(&route.path_prefix) == 0 || other.path_prefix == route.path_prefix)
            });
            if !taken {
                known.routes.push(route.clone());
            }
        }
    }
    let sorted = all.into_values().map(|mut listener| {
        listener.sort_routes();
        listener
    });
    sorted.collect()
}

/// Addresses that gateways want to open.
pub(crate) fn wanted_addresses(active: &Active) -> BTreeSet<String> {
    let derived = active
        .slots
        .iter()
        .filter(|slot| !slot.first)
        .flat_map(|slot| &slot.derived);
    active
        .gateway
        .listeners
        .iter()
        .chain(derived)
        .map(|listener| listener.address.clone())
        .collect()
}

fn targets(active: &Active, listeners: &[Listener], run_dir: &Path) -> BTreeMap<String, Target> {
    let named: BTreeSet<&str> = listeners
        .iter()
        .flat_map(|l| {
            let routes = l.routes.iter().map(|route| route.target.as_str());
            routes.chain(l.forward_auth.as_deref())
        })
        .collect();
    let mut targets = BTreeMap::new();
    for name in named {
        if let Some(address) = active.gateway.upstreams.get(name) {
            targets.insert(
                name.to_owned(),
                Target::Upstream {
                    address: address.clone(),
                    ready: active.gateway.upstreams_ready.get(name).cloned(),
                    jwt: active.gateway.jwts.get(name).cloned(),
                },
            );
            continue;
        }
        let meant = slots_of(active, name);
        let jwt = meant
            .first()
            .and_then(|slot| active.gateway.jwts.get(&slot.program))
            .cloned();
        let slots: Vec<routes::Slot> = meant
            .into_iter()
            .map(|slot| routes::Slot {
                name: slot.key().to_string(),
                events: run_dir
                    .join(format!("slots/{}/events", slot.number))
                    .display()
                    .to_string(),
                // Root's programs may become whoever they like.
                owner: slot.owner.filter(|uid| *uid != 0),
            })
            .collect();
        targets.insert(name.to_owned(), Target::Program { slots, jwt });
    }
    targets
}

/// The slots that routes mean by a name; else those of a program that only a forward-auth listener names; else the one
/// of this name.
fn slots_of<'a>(active: &'a Active, name: &str) -> Vec<&'a Slot> {
    let of = |is: &dyn Fn(&Slot) -> bool| -> Vec<&'a Slot> {
        let slots = active.slots.iter().filter(|slot| !slot.first);
        slots.filter(|slot| is(slot)).collect()
    };
    let by_target = of(&|slot| slot.target == name);
    if !by_target.is_empty() {
        return by_target;
    }
    let by_program = of(&|slot| slot.program == name);
    if !by_program.is_empty() {
        return by_program;
    }
    of(&|slot| slot.key().to_string() == name)
}

/// Groups that the gateway needs beside those of its user.
fn lent(active: &Active, run_dir: &Path) -> BTreeSet<u32> {
    let Some(gid) = active.gateway.gid() else {
        return BTreeSet::new();
    };
    let behind = active.programs().filter(|slot| !slot.target.is_empty());
    let groups = behind.filter_map(|slot| rundir::reach(run_dir, slot.number)?.group);
    groups.filter(|group| *group != gid).collect()
}

/// One worker. `lent` are groups of directories that still belong to the gateway of another user.
fn gateway_slot(
    active: &Active,
    config: &Config,
    lent: &BTreeSet<u32>,
    process: String,
    number: u32,
    run_dir: &Path,
) -> Slot {
    let user = active.gateway.user.clone();
    let credentials = user.map(|(name, uid, gid, mut groups)| {
        let more: Vec<u32> = lent
            .iter()
            .filter(|it| !groups.contains(it))
            .copied()
            .collect();
        groups.extend(more);
        Credentials {
            name,
            uid,
            gid,
            groups,
        }
    });
    let keys: Vec<String> = config
        .listeners
        .iter()
        .map(|listener| listener.address.clone())
        .collect();
    // The configuration's descriptor follows the listeners, readiness comes behind it.
    let ready = 3 + keys.len() as i32 + 1;
    let env = active
        .base_env
        .iter()
        .map(|(name, value)| (name.clone(), Text::from(value.as_str())));
    let mut spec = Spec {
        program: format!("{GROUP}:gateway"),
        group: GROUP.to_owned(),
        process: process.clone(),
        argv: vec!["steadfast".into(), "__gateway".into()],
        env: env.collect(),
        directory: Some("/".to_owned()),
        credentials,
        stdout: Sink::RootStderr {},
        redirect_stderr: true,
        autorestart: Autorestart::Always,
        start_secs: 0,
        start_retries: RETRIES,
        stop_signal: rustix::process::Signal::TERM.as_raw(),
        stop_wait_ms: config.leave_ms_max.saturating_add(STOP_MS),
        kill_leftovers: true,
        retry_fatal: true,
        ready: Ready::Descriptor { number: ready },
        ready_timeout_ms: READY_MS_MAX,
        replace: Replace::Overlap,
        app_dir: run_dir
            .join(format!("slots/{number}/app"))
            .display()
            .to_string(),
        listeners: keys.len() as u32,
        role_of_ours: true,
        config: config.to_bytes(),
        hidden: true,
        ..Spec::default()
    };
    spec.hash = hash(&spec.to_bytes());
    let mut slot = Slot {
        number,
        group: GROUP.to_owned(),
        process,
        program: spec.program.clone(),
        up: true,
        first: true,
        shown: keys.join(", "),
        listeners: keys,
        extras: crate::extras::Extras {
            notify: active.gateway.notify.clone(),
            ..Default::default()
        },
        spec,
        ..Slot::default()
    };
    slot.pack(&active.base_env);
    slot
}
