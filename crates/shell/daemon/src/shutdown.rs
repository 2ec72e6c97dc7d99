//! The end of everything, in order: gateways, then by priority, dependants before what they depend on.

use std::rc::Rc;

use control::{Body, Done, Progress};
use ledger::Entry;
use plan::{Key, Step, shutdown_waves};
use wire::{Cause, Command, Order, Why};

use crate::execute::{How, execute};
use crate::lines::Level;
use crate::settle::snapshot;
use crate::state::{Mood, Shared, say};

/// Names in one line of progress; more say nothing to anybody.
const NAMES_MAX: usize = 8;
/// The answer to whoever asked is written within this time.
const ANSWERED: std::time::Duration = std::time::Duration::from_millis(20);

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
    let cause = Cause {
        why: Why::Shutdown,
        text: by.to_owned(),
    };
    let how = How {
        cause: Rc::new(move |_| cause.clone()),
        window: false,
        mode: None,
    };
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
            daemon.log(
                Level::Info,
                &format!("waiting for {} to die", names.join(", ")),
            );
            let text = match names.len() {
                0..=NAMES_MAX => format!("stopping {}", names.join(", ")),
                many => format!("stopping {many} processes"),
            };
            say(progress, "", text, since_ms);
        }
        let steps = alive
            .into_iter()
            .map(|slot| Step::Stop {
                slot,
                after: Vec::new(),
            })
            .collect();
        execute(daemon, steps, &how).await;
    }
    leave(daemon, &keys).await;
    clean(daemon);
    daemon.show("everything has ended".to_owned());
    // Whoever asked gets an answer before root takes us along.
    let daemon = daemon.clone();
    tokio::task::spawn_local(async move {
        tokio::time::sleep(ANSWERED).await;
        daemon.root.order(&Order::Exit { status: 0 }, Vec::new());
    });
    Done::ok(Body::Nothing)
}

async fn leave(daemon: &Shared, keys: &[Key]) {
    let mut tasks = Vec::new();
    for key in keys {
        let (daemon, key) = (daemon.clone(), key.clone());
        tasks.push(tokio::task::spawn_local(async move {
            if let Err(why) = crate::keepers::remove(&daemon, &key).await {
                daemon.log(
                    Level::Warn,
                    &format!("the keeper of {key} does not leave: {why}"),
                );
            }
        }));
    }
    for task in tasks {
        let _ = task.await;
    }
}

/// Files that say that something runs.
fn clean(daemon: &Shared) {
    let (pidfile, servers, addresses) = {
        let state = daemon.state.borrow();
        let servers: Vec<String> = state
            .active
            .settings
            .servers
            .iter()
            .map(|server| server.unix.clone())
            .collect();
        let addresses: Vec<String> = state.listeners.keys().cloned().collect();
        (state.active.settings.pidfile.clone(), servers, addresses)
    };
    let sockets = addresses
        .iter()
        .filter_map(|address| address.strip_prefix("unix:").map(str::to_owned));
    for path in servers
        .into_iter()
        .chain(sockets)
        .chain([pidfile])
        .filter(|path| !path.is_empty())
    {
        let _ = std::fs::remove_file(path);
    }
    if let Some(ledger) = &daemon.state.borrow().ledger {
        let _ = ledger.sync();
    }
    if let Err(why) = daemon.run_dir.clear() {
        daemon.log(Level::Error, &why.to_string());
    }
}
