//! Signals that root forwards (supervisord.py `handle_signal`).

use control::Progress;

use crate::lines::Level;
use crate::state::{Mood, Shared};

/// Acts on one signal.
pub(crate) fn came(daemon: &Shared, signal: i32) {
    let name = sys::signal::name(signal);
    let mood = daemon.state.borrow().mood;
    match (name.as_str(), mood) {
        ("SIGTERM" | "SIGINT" | "SIGQUIT", Mood::Running | Mood::Restarting) => {
            daemon.log(
                Level::Warn,
                &format!("received {name} indicating exit request"),
            );
            crate::shutdown::begin(daemon, name);
        }
        ("SIGTERM" | "SIGINT" | "SIGQUIT", Mood::Shutdown) => {
            daemon.root.order(&wire::Order::ShuttingDown {}, Vec::new());
            daemon.log(
                Level::Warn,
                &format!(
                    "received {name}: the shutdown is under way, {}",
                    waiting(daemon)
                ),
            );
        }
        ("SIGHUP", Mood::Shutdown | Mood::Restarting) => {
            daemon.log(
                Level::Warn,
                &format!("ignored {name} indicating restart request (shutdown in progress)"),
            );
        }
        ("SIGHUP", Mood::Running) => {
            daemon.log(
                Level::Warn,
                &format!("received {name} indicating restart request"),
            );
            let daemon = daemon.clone();
            tokio::task::spawn_local(async move {
                let done =
                    crate::commands::reload(&daemon, true, "SIGHUP", &Progress::none()).await;
                if done.exit != 0 {
                    daemon.log(
                        Level::Error,
                        &format!("the reload did not go as wished: {}", done.error),
                    );
                }
            });
        }
        ("SIGUSR2", _) => reopen(daemon, &name),
        (_, _) => {}
    }
}

fn reopen(daemon: &Shared, name: &str) {
    daemon.log(
        Level::Info,
        &format!("received {name} indicating log reopen request"),
    );
    daemon.log(Level::Info, "supervisord logreopen");
    let reopened = daemon.state.borrow_mut().activity.reopen();
    if let Err(why) = reopened {
        daemon.log(Level::Error, &why);
    }
    let keys: Vec<plan::Key> = daemon.state.borrow().keepers.keys().cloned().collect();
    for key in keys {
        let op = daemon.number();
        daemon.send(&key, &wire::Command::ReopenLogs { op }, Vec::new());
    }
}

/// `waiting for a, b to die` without its verb: who is still there.
fn waiting(daemon: &Shared) -> String {
    let state = daemon.state.borrow();
    let names: Vec<String> = state
        .keepers
        .iter()
        .filter(|(_, keeper)| keeper.facts.borrow().pid > 0)
        .map(|(key, _)| key.to_string())
        .collect();
    format!("waiting for {}", names.join(", "))
}
