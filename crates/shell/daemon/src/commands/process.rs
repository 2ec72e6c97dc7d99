//! Start, stop, restart, signal.

use std::rc::Rc;
use std::time::Duration;

use control::{Done, Fault, Outcome, Progress};
use plan::{Intent, Key, Step, dependants, start_order, waits_for};
use wire::{Cause, Command, Counts, Replace, State, Why};

use super::progress::follow;
use super::{After, done, fault, meant, outcome};
use crate::execute::{Ended, How, bind, execute};
use crate::lines;
use crate::settle::{settle, snapshot};
use crate::state::{Shared, say};

/// A start that nobody waits for is answered when the process is there, at the latest then.
const BEGUN_MAX: Duration = Duration::from_secs(2);
/// Gateways send their counts at most twice a second; the summary of a restart waits for the last ones so long.
const COUNTS_MAX: Duration = Duration::from_millis(700);

/// Supervisor's RUNNING_STATES.
fn is_running(state: State) -> bool {
    matches!(state, State::Running | State::Starting | State::Backoff)
}

fn cause_by(text: String) -> crate::execute::CauseOf {
    let cause = Cause {
        why: Why::Operator,
        text,
    };
    Rc::new(move |_| cause.clone())
}

/// Sets whether slots should run, and writes it down.
fn want(daemon: &Shared, keys: &[Key], up: bool) -> Result<(), String> {
    {
        let mut state = daemon.state.borrow_mut();
        for key in keys {
            state.trouble.remove(key);
            if let Some(slot) = state.active.slot_mut(key) {
                slot.up = up;
            }
        }
    }
    daemon.keep()
}

/// A start that was refused for want of a program to run is no wish that anything later would carry out: in
/// Supervisor's eyes nothing has happened.
fn forget_refused(daemon: &Shared, results: &[Ended]) {
    let missing = |result: &&Ended| {
        matches!(
            result.outcome,
            wire::Outcome::NoFile | wire::Outcome::NotExecutable
        )
    };
    let keys: Vec<Key> = results
        .iter()
        .filter(missing)
        .map(|result| result.key.clone())
        .collect();
    if !keys.is_empty()
        && let Err(why) = want(daemon, &keys, false)
    {
        daemon.log(crate::lines::Level::Error, &why);
    }
}

/// Addresses that could not be bound are tried again before a start; keys whose own address is still taken, and by whom.
/// One that the gateway opens for them keeps nobody down.
fn occupied(daemon: &Shared, keys: &[Key]) -> Vec<(Key, String)> {
    let mut taken = Vec::new();
    let mut freed = false;
    for key in keys {
        let (own, derived) = {
            let state = daemon.state.borrow();
            let Some(slot) = state.active.slot(key) else {
                continue;
            };
            let failed = |address: &String| state.failed_listeners.contains_key(address);
            let derived: Vec<String> = slot
                .derived
                .iter()
                .map(|listener| listener.address.clone())
                .filter(failed)
                .collect();
            (slot.listeners.clone(), derived)
        };
        for address in derived {
            bind(daemon, &address);
            freed |= daemon.state.borrow().listeners.contains_key(&address);
        }
        for address in own {
            bind(daemon, &address);
            let mut state = daemon.state.borrow_mut();
            if let Some(why) = state.failed_listeners.get(&address).cloned() {
                state.trouble.insert(key.clone(), why.clone());
                taken.push((key.clone(), why));
                break;
            }
        }
    }
    if freed {
        let daemon = daemon.clone();
        let cause = Cause {
            why: Why::ConfigChange,
            text: "an address became free".to_owned(),
        };
        tokio::task::spawn_local(async move {
            settle(&daemon, Intent::Settle, Rc::new(move |_| cause.clone())).await
        });
    }
    taken
}

/// The steps that start or replace these slots, in order; `all_dependencies` also waits for those outside.
pub(super) fn steps_for(daemon: &Shared, keys: &[Key], restart: bool) -> Vec<Step> {
    let state = daemon.state.borrow();
    let (desired, observed) = snapshot(&state);
    let after = waits_for(&desired.slots);
    let mut steps = Vec::new();
    let mut last_of_program: std::collections::BTreeMap<&str, Key> = Default::default();
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

/// Start.
pub(super) async fn start(
    daemon: &Shared,
    names: &[String],
    wait: bool,
    by: String,
    progress: &Progress,
) -> Done {
    let since_ms = sys::clock::mono_ms();
    let (keys, mut outcomes) = meant(daemon, names);
    let (running, mut down): (Vec<Key>, Vec<Key>) = keys
        .into_iter()
        .partition(|key| daemon.fact(key).is_some_and(|fact| is_running(fact.state)));
    outcomes.extend(
        running
            .iter()
            .map(|key| outcome(key, Fault::AlreadyStarted, "already started")),
    );
    if let Err(why) = want(daemon, &down, true) {
        return Done::failed(2, why);
    }
    for (key, why) in occupied(daemon, &down) {
        outcomes.push(outcome(&key, Fault::SpawnError, why));
        down.retain(|other| *other != key);
    }
    let steps = steps_for(daemon, &down, false);
    let how = How::as_configured(cause_by(by));
    if wait {
        let _following = follow(daemon, &down, progress, since_ms);
        let results = execute(daemon, steps, &how).await;
        forget_refused(daemon, &results);
        outcomes.extend(
            results
                .iter()
                .map(|result| ended(daemon, result, Fault::AlreadyStarted)),
        );
        return done(outcomes, &[Fault::AlreadyStarted]);
    }
    let (work, own) = (daemon.clone(), down.clone());
    let mut work = tokio::task::spawn_local(async move { execute(&work, steps, &how).await });
    let begun = async {
        for key in own {
            if let Some(mut facts) = daemon.follow(&key) {
                let _ = facts
                    .wait_for(|fact| fact.wanted && (fact.pid > 0 || fact.backoff > 0))
                    .await;
            }
        }
    };
    tokio::select! {
        biased;
        results = &mut work => {
            let results = results.unwrap_or_default();
            forget_refused(daemon, &results);
            outcomes.extend(results.iter().map(|result| ended(daemon, result, Fault::AlreadyStarted)));
        }
        () = begun => outcomes.extend(down.iter().map(|key| begun_outcome(daemon, key))),
        () = tokio::time::sleep(BEGUN_MAX) => outcomes.extend(down.iter().map(|key| begun_outcome(daemon, key))),
    }
    done(outcomes, &[Fault::AlreadyStarted])
}

/// Supervisor's answer without waiting: whether the process could be made at all.
fn begun_outcome(daemon: &Shared, key: &Key) -> Outcome {
    match daemon.fact(key) {
        Some(fact) if fact.pid == 0 && fact.state == State::Backoff => {
            outcome(key, Fault::SpawnError, fact.spawn_error)
        }
        Some(_) | None => outcome(key, Fault::Success, ""),
    }
}

pub(super) fn ended(daemon: &Shared, result: &Ended, already: Fault) -> Outcome {
    // Supervisor's startProcess says SPAWN_ERROR wherever `spawnerr` is set, a start that ended too quickly included.
    let status = match (fault(result.outcome, already), daemon.fact(&result.key)) {
        (Fault::AbnormalTermination, Some(fact)) if !fact.spawn_error.is_empty() => {
            Fault::SpawnError
        }
        (status, _) => status,
    };
    let text = match (status, daemon.ready_pid(&result.key)) {
        (Fault::Success, Some(pid)) => format!("pid {pid}"),
        _ => result.text.clone(),
    };
    outcome(&result.key, status, text)
}

/// Stop.
pub(super) async fn stop(
    daemon: &Shared,
    names: &[String],
    wait: bool,
    window: bool,
    by: String,
    progress: &Progress,
) -> (Done, After) {
    let since_ms = sys::clock::mono_ms();
    let (keys, mut outcomes) = meant(daemon, names);
    let is_up = |key: &Key| {
        daemon
            .fact(key)
            .is_some_and(|fact| is_running(fact.state) || fact.state == State::Stopping)
    };
    let (up, down): (Vec<Key>, Vec<Key>) = keys.into_iter().partition(is_up);
    let all: Vec<Key> = up.iter().chain(&down).cloned().collect();
    if let Err(why) = want(daemon, &all, false) {
        return (Done::failed(2, why), After::default());
    }
    let cause = cause_by(by);
    for key in &down {
        // Not running now, but its keeper may be about to try again (FATAL, a dependency).
        let command = Command::Stop {
            op: daemon.number(),
            cause: cause(key),
            window,
        };
        daemon.send(key, &command, Vec::new());
        outcomes.push(outcome(key, Fault::NotRunning, "not running"));
    }
    let steps = stop_steps(daemon, &up);
    let how = How {
        cause,
        window,
        mode: None,
    };
    if wait {
        let _following = follow(daemon, &up, progress, since_ms);
        let results = execute(daemon, steps, &how).await;
        outcomes.extend(results.iter().map(|result| {
            outcome(
                &result.key,
                fault(result.outcome, Fault::Success),
                &result.text,
            )
        }));
    } else {
        let daemon = daemon.clone();
        tokio::task::spawn_local(async move { execute(&daemon, steps, &how).await });
        outcomes.extend(up.iter().map(|key| outcome(key, Fault::Success, "")));
    }
    let stopped = if window { all } else { Vec::new() };
    (done(outcomes, &[Fault::NotRunning]), After { stopped })
}

/// Stops in reverse order, each after its dependants among them.
fn stop_steps(daemon: &Shared, keys: &[Key]) -> Vec<Step> {
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

/// Sends each its `reload_signal`.
pub(super) async fn reload(daemon: &Shared, names: &[String]) -> Done {
    let (keys, mut outcomes) = meant(daemon, names);
    for key in keys {
        let number = {
            let state = daemon.state.borrow();
            let slot = state.active.slot(&key);
            slot.map_or(0, |slot| slot.extras.reload_signal)
        };
        if number == 0 {
            let text = format!(
                "has no reload_signal; write reload_signal = HUP, or run: steadfast restart {key}"
            );
            outcomes.push(outcome(&key, Fault::Failed, text));
            continue;
        }
        let sent = send_signal(daemon, &key, number).await;
        outcomes.push(match sent.status {
            Fault::Success => Outcome {
                text: format!("{} sent", sys::signal::name(number)),
                ..sent
            },
            _ => sent,
        });
    }
    done(outcomes, &[])
}

async fn send_signal(daemon: &Shared, key: &Key, number: i32) -> Outcome {
    let state = daemon.fact(key).map_or(State::Stopped, |fact| fact.state);
    if !matches!(state, State::Running | State::Starting | State::Stopping) {
        return outcome(key, Fault::NotRunning, "not running");
    }
    let answer = daemon
        .ask(key, |op| Command::Signal { op, signal: number }, Vec::new())
        .await;
    let (status, text) = match answer {
        Ok((wire::Outcome::Refused, text)) => (Fault::NotRunning, text),
        Ok((result, text)) => (fault(result, Fault::Success), text),
        Err(text) => (Fault::Failed, text),
    };
    outcome(key, status, text)
}

/// Signal.
pub(super) async fn signal(daemon: &Shared, names: &[String], signal: &str) -> Done {
    let (keys, mut outcomes) = meant(daemon, names);
    let Some(number) = sys::signal::number(signal) else {
        outcomes.extend(keys.iter().map(|key| {
            outcome(
                key,
                Fault::BadSignal,
                format!("there is no signal `{signal}`"),
            )
        }));
        return done(outcomes, &[]);
    };
    for key in keys {
        outcomes.push(send_signal(daemon, &key, number).await);
    }
    done(outcomes, &[])
}

/// Bytes of one piece of standard input: well within a frame.
const PIECE_BYTES_MAX: usize = 32 * 1024;

/// Text to the standard input of processes.
pub(super) async fn stdin(daemon: &Shared, names: &[String], text: &str) -> Done {
    let (keys, mut outcomes) = meant(daemon, names);
    for key in keys {
        let fact = daemon.fact(&key).filter(|fact| fact.pid > 0);
        if fact.is_none_or(|fact| fact.state == State::Stopping) {
            outcomes.push(outcome(&key, Fault::NotRunning, "not running"));
            continue;
        }
        let (mut status, mut why) = (Fault::Success, String::new());
        for piece in pieces(text) {
            let text = piece.to_owned();
            let answer = daemon
                .ask(&key, |op| Command::Stdin { op, text }, Vec::new())
                .await;
            (status, why) = match answer {
                Ok((wire::Outcome::Refused, text)) => (Fault::NotRunning, text),
                Ok((result, text)) => (fault(result, Fault::Success), text),
                Err(text) => (Fault::Failed, text),
            };
            if status != Fault::Success {
                break;
            }
        }
        outcomes.push(outcome(&key, status, why));
    }
    done(outcomes, &[])
}

/// A text in pieces that fit; an empty text is one empty piece, so that the program is asked for all the same.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let most = rest.len().min(PIECE_BYTES_MAX);
        let end = (0..=most)
            .rev()
            .find(|at| rest.is_char_boundary(*at))
            .unwrap_or(0);
        let (piece, more) = rest.split_at(end);
        pieces.push(piece);
        rest = more;
        if rest.is_empty() {
            return pieces;
        }
    }
}
