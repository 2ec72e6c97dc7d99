//! The end of everything, in order: gateways, then by priority, dependants before what they depend on.

use std::rc::Rc;
use std::time::Duration;

use control::{Body, Done, Progress};
use ledger::Entry;
use plan::{Key, Step, shutdown_waves};
use wire::{Cause, Command, Order, Why};

use crate::execute::{How, execute};
use crate::keepers;
use crate::lines::Level;
use crate::snapshot::snapshot;
use crate::state::{Mood, Shared, say};
use crate::vital::vital;

/// Names in one line of progress; more say nothing to anybody.
const NAMES_MAX: usize = 8;
/// The answer to whoever asked is written within this time.
const ANSWERED: Duration = Duration::from_millis(20);

/// Beyond what a stop takes by its own times (drain, stopwaitsecs, SIGKILL): a keeper that has not answered by then is
/// hung, and must not keep everything else from ending.
const KEEPER_MAX: Duration = Duration::from_secs(10);
/// A keeper whose process is dead has nothing to do but to leave.
const LEAVE_MAX: Duration = Duration::from_secs(5);

/// [`shutdown`] for whoever waits for no answer.
pub(crate) fn begin(daemon: &Shared, by: String) {
    let ending = daemon.clone();
    vital(daemon, async move {
        shutdown(&ending, &by, &Progress::none()).await;
    });
}

/// Stops everything, ends the keepers, tells root to exit. A second call waits for nothing and is answered.
pub(crate) async fn shutdown(daemon: &Shared, by: &str, progress: &Progress) -> Done {
    let since_ms = sys::clock::mono_ms();
    let before = std::mem::replace(&mut daemon.state.borrow_mut().mood, Mood::Shutdown);
    if before == Mood::Shutdown {
        return Done::failed(1, "everything is being shut down already");
    }
    daemon.root.order(&Order::ShuttingDown {}, Vec::new());
    daemon.note(&Entry::note(
        sys::clock::wall_ms(),
        "",
        &format!("shutdown: {by}"),
    ));
    crate::pools::notify(
        daemon,
        &events::Event::bare(events::Kind::SupervisorStopping),
    );
    keepers::all_made(daemon).await;
    let (waves, keys) = {
        let state = daemon.state.borrow();
        let (desired, _) = snapshot(&state);
        let mut waves = shutdown_waves(&desired.slots);
        // Keepers that are in no plan (their address is taken, they left the model) go last.
        let planned: Vec<&Key> = waves.iter().flatten().collect();
        let rest: Vec<Key> = state
            .keepers
            .keys()
            .filter(|key| !planned.contains(key))
            .cloned()
            .collect();
        waves.push(rest);
        (waves, state.keepers.keys().cloned().collect::<Vec<_>>())
    };
    for key in &keys {
        daemon.send(key, &Command::NoRestarts {}, Vec::new());
    }
    for key in gateways(daemon) {
        // Nobody takes its connections over, so that it need not wait for those that are idle. Its answer says nothing.
        let signal = rustix::process::Signal::INT.as_raw();
        let _ = daemon.request(&key, |op| Command::Signal { op, signal }, Vec::new());
    }
    let cause = Cause {
        why: Why::Shutdown,
        text: by.to_owned(),
    };
    let how = How {
        cause: Rc::new(move |_| cause.clone()),
        window: false,
        mode: None,
    };
    waiting_for_all(daemon);
    for wave in waves {
        let alive: Vec<Key> = wave
            .into_iter()
            .filter(|key| daemon.state.borrow().keepers.contains_key(key))
            .collect();
        let names: Vec<String> = alive
            .iter()
            .filter(|key| daemon.fact(key).is_some_and(|fact| fact.pid > 0))
            .map(Key::to_string)
            .collect();
        if !names.is_empty() {
            let text = match names.len() {
                0..=NAMES_MAX => format!("stopping {}", names.join(", ")),
                many => format!("stopping {many} processes"),
            };
            say(progress, "", text, since_ms);
        }
        stop(daemon, &alive, &how).await;
    }
    leave(daemon, &keys).await;
    clean(daemon);
    daemon.show("everything has ended".to_owned());
    // Whoever asked gets an answer before root takes us along.
    let daemon = daemon.clone();
    tokio::task::spawn_local(async move {
        tokio::time::sleep(ANSWERED).await;
        let status = daemon.exit_status.get();
        daemon.root.order(&Order::Exit { status }, Vec::new());
    });
    Done::ok(Body::Nothing)
}

/// The workers of the gateway that run.
fn gateways(daemon: &Shared) -> Vec<Key> {
    let state = daemon.state.borrow();
    let slots = state.active.slots.iter().filter(|slot| slot.first);
    slots.map(crate::model::Slot::key).collect()
}

/// Supervisor's line: who has to die, in the order of their start.
fn waiting_for_all(daemon: &Shared) {
    let names: Vec<String> = {
        let state = daemon.state.borrow();
        let alive = |key: &Key| {
            let keeper = state.keepers.get(key);
            keeper.is_some_and(|keeper| keeper.facts.borrow().pid > 0)
        };
        let mut slots: Vec<_> = state
            .active
            .programs()
            .filter(|slot| alive(&slot.key()))
            .collect();
        slots.sort_by_key(|slot| {
            (
                slot.group_priority,
                &slot.group,
                slot.priority,
                &slot.process,
            )
        });
        slots.iter().map(|slot| slot.process.clone()).collect()
    };
    if !names.is_empty() {
        let text = format!("waiting for {} to die", names.join(", "));
        daemon.log(Level::Info, &text);
    }
}

/// Stops these beside each other. A keeper that does not answer in time is killed with what it keeps.
async fn stop(daemon: &Shared, keys: &[Key], how: &How) {
    let time = |slot: &crate::model::Slot| {
        let drain_ms = if slot.spec.gated {
            slot.spec.drain_timeout_ms
        } else {
            0
        };
        drain_ms.saturating_add(slot.spec.stop_wait_ms)
    };
    let longest_ms = {
        let state = daemon.state.borrow();
        keys.iter()
            .filter_map(|key| state.active.slot(key))
            .map(time)
            .max()
            .unwrap_or(0)
    };
    let limit = Duration::from_millis(longest_ms).saturating_add(KEEPER_MAX);
    let steps = keys
        .iter()
        .map(|slot| Step::Stop {
            slot: slot.clone(),
            after: Vec::new(),
        })
        .collect();
    if tokio::time::timeout(limit, execute(daemon, steps, how))
        .await
        .is_ok()
    {
        return;
    }
    for key in keys
        .iter()
        .filter(|key| daemon.fact(key).is_some_and(|fact| fact.pid > 0))
    {
        daemon.log(
            Level::Critical,
            &format!("the keeper of {key} does not answer; it is killed with what it keeps"),
        );
        keepers::kill(daemon, key);
    }
}

async fn leave(daemon: &Shared, keys: &[Key]) {
    let mut tasks = Vec::new();
    for key in keys {
        let (daemon, key) = (daemon.clone(), key.clone());
        tasks.push(tokio::task::spawn_local(async move {
            let left = tokio::time::timeout(LEAVE_MAX, keepers::remove(&daemon, &key)).await;
            if !matches!(left, Ok(Ok(()))) {
                daemon.log(
                    Level::Warn,
                    &format!("the keeper of {key} does not leave; it is killed"),
                );
                keepers::kill(&daemon, &key);
            }
        }));
    }
    for task in tasks {
        let _ = task.await;
    }
}

/// Files that say that something runs, and what listens: the next one may begin as soon as root has ended.
fn clean(daemon: &Shared) {
    {
        let mut state = daemon.state.borrow_mut();
        state.listeners.clear();
        state.kept.clear();
        let servers = std::mem::take(&mut state.servers);
        servers.into_values().for_each(|served| served.task.abort());
    }
    let (pidfile, sockets) = {
        let state = daemon.state.borrow();
        let sockets: Vec<String> = state.sockets.keys().cloned().collect();
        (state.active.settings.pidfile.clone(), sockets)
    };
    // Only what is ours: another supervisor may have come in our place.
    for path in sockets {
        daemon.remove_socket(&path);
    }
    if crate::rival::is_own_pidfile(&pidfile, daemon.root_pid) {
        let _ = sys::named::remove(pidfile.as_ref());
    }
    if let Some(ledger) = &daemon.state.borrow().ledger {
        let _ = ledger.sync();
    }
    if let Err(why) = daemon.run_dir.clear() {
        daemon.log(Level::Error, &why.to_string());
    }
}
