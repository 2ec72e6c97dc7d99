//! Start and stop.

use std::rc::Rc;
use std::time::Duration;

use control::{Done, Fault, Outcome, Progress};
use plan::{Intent, Key};
use tokio::sync::oneshot;
use wire::{Cause, Command, State, Why};

use super::outcomes::{After, done, fault, meant, outcome};
use super::progress::follow;
use super::steps::{steps_for, stop_steps};
use crate::execute::{CauseOf, Ended, How, bind, execute};
use crate::lines::Level;
use crate::settle::settle;
use crate::state::Shared;

/// A start that nobody waits for is answered when the process is there, at the latest then.
const BEGUN_MAX: Duration = Duration::from_secs(2);

/// Supervisor's RUNNING_STATES.
fn is_running(state: State) -> bool {
    matches!(state, State::Running | State::Starting | State::Backoff)
}

pub(super) fn cause_by(text: String) -> crate::execute::CauseOf {
    let cause = Cause {
        why: Why::Operator,
        text,
    };
    Rc::new(move |_| cause.clone())
}

/// Sets whether slots should run, and writes it down.
pub(super) fn want(daemon: &Shared, keys: &[Key], up: bool) -> Result<(), String> {
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
        daemon.log(Level::Error, &why);
    }
}

/// Addresses that could not be bound are tried again before a start; keys whose own address is still taken, and by whom.
/// One that the gateway opens for them keeps nobody down.
pub(super) fn occupied(daemon: &Shared, keys: &[Key]) -> Vec<(Key, String)> {
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

type Answer = oneshot::Receiver<(wire::Outcome, String)>;

/// Not running as far as is known here, but a keeper may be about to try again (FATAL, a dependency), or be told to start
/// by a message before this one.
fn stop_down<'a>(
    daemon: &Shared,
    keys: &'a [Key],
    cause: &CauseOf,
    window: bool,
) -> Vec<(&'a Key, Option<Answer>)> {
    keys.iter()
        .map(|key| {
            let cause = cause(key);
            let command = move |op| Command::Stop { op, cause, window };
            // No keeper, nothing to stop.
            (key, daemon.request(key, command, Vec::new()).ok())
        })
        .collect()
}

/// How a stop went where nothing was known to run. Its keeper knows better: a start was on its way, and nobody had seen
/// it yet.
async fn not_up(key: &Key, answer: Option<Answer>) -> Outcome {
    let answer = match answer {
        Some(answer) => answer.await.ok(),
        None => None,
    };
    match answer {
        None | Some((wire::Outcome::AlreadySo, _)) => {
            outcome(key, Fault::NotRunning, "not running")
        }
        Some((ended, text)) => outcome(key, fault(ended, Fault::NotRunning), text),
    }
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
    let told = stop_down(daemon, &down, &cause, window);
    let steps = stop_steps(daemon, &up);
    let how = How {
        cause,
        window,
        mode: None,
    };
    if wait {
        let _following = follow(daemon, &up, progress, since_ms);
        let results = execute(daemon, steps, &how).await;
        for (key, answer) in told {
            outcomes.push(not_up(key, answer).await);
        }
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
        outcomes.extend(
            down.iter()
                .map(|key| outcome(key, Fault::NotRunning, "not running")),
        );
        outcomes.extend(up.iter().map(|key| outcome(key, Fault::Success, "")));
    }
    let stopped = if window { all } else { Vec::new() };
    (done(outcomes, &[Fault::NotRunning]), After { stopped })
}
