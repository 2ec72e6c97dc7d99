//! What is true, in Supervisor's words and ours.

use control::{About, Body, Done, ProcessInfo, StoreTrouble};
use plan::Key;
use wire::{Fact, Phase, Sink, State as Shown};

use super::outcomes::{known, meant};
use crate::describe::{Facts, description};
use crate::model::Slot;
use crate::state::{Shared, State};

/// States of the named processes.
pub(super) fn status(daemon: &Shared, names: &[String], hidden: bool, left_out: bool) -> Done {
    let (mut keys, bad) = meant(daemon, names);
    if hidden && names.is_empty() {
        keys = known(daemon).into_iter().map(|known| known.key).collect();
    }
    let state = daemon.state.borrow();
    let mut processes: Vec<ProcessInfo> = keys
        .iter()
        .filter_map(|key| {
            let slot = state.active.slot(key)?;
            let mut info = info(&state, key, slot);
            // Looking at every process's tree is not what a plain `status` of a thousand is for.
            if !names.is_empty() {
                remember(&state, key, slot, &mut info);
            }
            Some(info)
        })
        .collect();
    if left_out && names.is_empty() {
        processes.extend(state.active.left_out.iter().map(refused));
    }
    if !bad.is_empty() {
        let error: Vec<String> = bad.into_iter().map(|outcome| outcome.text).collect();
        return Done {
            exit: 1,
            error: error.join("\n"),
            body: Body::Status {
                processes,
                store: None,
            },
        };
    }
    let store = store(&state).filter(|_| names.is_empty());
    Done::ok(Body::Status { processes, store })
}

/// What is wrong with the session store.
fn store(state: &State) -> Option<StoreTrouble> {
    let trouble = crate::stores::now(state)??;
    Some(StoreTrouble {
        kind: trouble.kind,
        text: trouble.text,
    })
}

/// What an error of the file left out: no process of Supervisor's, a line for people.
fn refused(left: &crate::left::LeftOut) -> ProcessInfo {
    ProcessInfo {
        name: left.name.clone(),
        group: left.name.clone(),
        state: Shown::Unknown.to_string(),
        state_code: Shown::Unknown.code(),
        phase: "refused".to_owned(),
        now_ms: sys::clock::wall_ms(),
        spawn_error: left.why.clone(),
        description: left.why.clone(),
        ..ProcessInfo::default()
    }
}

/// One process.
fn info(state: &State, key: &Key, slot: &Slot) -> ProcessInfo {
    let keeper = state.keepers.get(key);
    let fact = keeper.map(|keeper| keeper.fact()).unwrap_or_default();
    let (shown, phase, spawn_error) = seen(state, key, slot, keeper.map(|_| &fact));
    let now_ms = sys::clock::wall_ms();
    let started_ms = keeper.map_or(0, |keeper| keeper.started_ms);
    // After an adoption the start of a life that is over is not known; that there was one is.
    let started_ms = if started_ms == 0 && fact.stopped_wall_ms > 0 {
        fact.stopped_wall_ms
    } else {
        started_ms
    };
    let counted = |number: u64| slot.spec.gated.then_some(number);
    ProcessInfo {
        name: key.process.clone(),
        group: key.group.clone(),
        state: shown.to_string(),
        state_code: shown.code(),
        // What runs to its end gets ready by ending.
        phase: if slot.spec.oneshot && phase == "starting" {
            "running".to_owned()
        } else {
            phase
        },
        pid: fact.pid,
        started_ms,
        stopped_ms: fact.stopped_wall_ms,
        now_ms,
        exit_status: fact.exit_status,
        description: description(&Facts {
            name: &key.process,
            state: shown,
            pid: fact.pid,
            started_ms,
            stopped_ms: fact.stopped_wall_ms,
            now_ms,
            spawn_error: &spawn_error,
            utc_offset_s: sys::clock::utc_offset_s(fact.stopped_wall_ms),
        }),
        spawn_error,
        stdout_logfile: path(&slot.spec.stdout),
        stderr_logfile: if slot.spec.redirect_stderr {
            String::new()
        } else {
            path(&slot.spec.stderr)
        },
        generation: fact.generation,
        restarts: fact.restarts,
        operator_restarts: fact.operator_restarts,
        requests: counted(fact.counts.requests),
        waited: counted(fact.counts.waited),
        failed: counted(fact.counts.failed),
        longest_wait_ms: counted(fact.counts.longest_wait_ms),
        unhealthy: fact.unhealthy,
        listens: slot.shown.clone(),
        unreachable: unreachable(state, slot),
        waiting: fact.waiting.clone(),
        // That of a gateway is the session store's, and has a line of its own.
        trouble: match (&fact.trouble, slot.first) {
            (Some(trouble), false) => trouble.text.clone(),
            (Some(_), true) | (None, _) => String::new(),
        },
        hidden: slot.first,
        memory_max_bytes: slot.extras.memory_max,
        oneshot: slot.spec.oneshot,
        ..ProcessInfo::default()
    }
}

/// Its memory, and where that began.
fn remember(state: &State, key: &Key, slot: &Slot, info: &mut ProcessInfo) {
    if info.pid <= 0 {
        return;
    }
    let bytes = crate::tend::tree_bytes(info.pid, slot.extras.memory_max);
    let first = state
        .samples
        .get(key)
        .and_then(|samples| samples.first(info.pid));
    info.memory_bytes = Some(bytes);
    info.memory_first_ms = first.map(|(at_ms, _)| at_ms);
    info.memory_first_bytes = first.map(|(_, bytes)| bytes);
    info.memory_limit_bytes = sys::proc::memory_available_bytes().map(|left| left + bytes);
}

/// Why it is not reached where it should be; empty = it is.
fn unreachable(state: &State, slot: &Slot) -> String {
    let addresses = slot
        .derived
        .iter()
        .map(|listener| &listener.address)
        .chain(&slot.listeners);
    let failed: Vec<&str> = addresses
        .filter_map(|at| state.failed_listeners.get(at))
        .map(String::as_str)
        .collect();
    failed.join(", ")
}

/// State, phase and error: the keeper's, or what we know that it does not.
fn seen(state: &State, key: &Key, slot: &Slot, fact: Option<&Fact>) -> (Shown, String, String) {
    let trouble = state.trouble.get(key).filter(|_| slot.up);
    match (fact, trouble) {
        (Some(fact), None) => (fact.state, phase(fact), fact.spawn_error.clone()),
        (Some(fact), Some(_)) if fact.pid > 0 => {
            (fact.state, phase(fact), fact.spawn_error.clone())
        }
        (_, Some(text)) => (Shown::Fatal, Phase::Fatal.to_string(), text.clone()),
        // Its keeper is being made.
        (None, None) if slot.up => (Shown::Starting, Phase::Starting.to_string(), String::new()),
        (None, None) => (Shown::Stopped, Phase::Stopped.to_string(), String::new()),
    }
}

/// Our word for a phase; what people call a stop is one from its first moment.
fn phase(fact: &Fact) -> String {
    match fact.phase {
        Phase::DrainingToStop => Phase::Draining.to_string(),
        // Without a readiness check a program serves before Supervisor's startsecs are over, and the other way round.
        Phase::Starting if fact.state == Shown::Stopped => Phase::Stopped.to_string(),
        phase => phase.to_string(),
    }
}

fn path(sink: &Sink) -> String {
    match sink {
        Sink::File { path, .. } | Sink::Device { path } => path.clone(),
        Sink::RootStdout {} => "/dev/stdout".to_owned(),
        Sink::RootStderr {} => "/dev/stderr".to_owned(),
        Sink::Nowhere {} => String::new(),
    }
}

/// About the daemon. `look`: read the file to see whether it differs; XML-RPC asks at every call and has no word for it.
pub(super) fn about(daemon: &Shared, look: bool) -> Done {
    let on_disk = if look {
        super::change::stamp_on_disk(daemon)
    } else {
        None
    };
    let state = daemon.state.borrow();
    Done::ok(Body::About(About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        root_pid: daemon.root_pid,
        daemon_pid: std::process::id() as i32,
        config: state.active.config.clone(),
        run_dir: daemon.run_dir.path().display().to_string(),
        logfile: state.activity.path().display().to_string(),
        identifier: state.active.settings.identifier.clone(),
        state_code: state.mood.code(),
        state: state.mood.word().to_owned(),
        file_differs: on_disk.is_some_and(|stamp| stamp != state.active.stamp),
    }))
}
