//! Commands: one path for our own API and for Supervisor's.
//!
//! A front (control.sock, XML-RPC) hands a request over a channel and gets the end back; each command runs in a task of its
//! own, so that a restart that takes a minute holds up nobody. What a command ends with is remembered for a while.

mod beside;
mod change;
mod config;
mod logs;
mod metrics;
mod outcomes;
mod process;
mod progress;
mod reload;
mod restart;
mod rotate;
mod send;
mod status;
mod steps;

use control::{Body, Command, Done, Progress, Request};
use ledger::Entry;
use tokio::sync::mpsc;

use crate::calls::Call;
use crate::memory;
use crate::state::{Mood, Shared};
use outcomes::After;

pub(crate) use beside::{ANOTHER_STORE, another_store};
pub(crate) use change::{candidate, first_start, load};
pub(crate) use reload::reload;
pub(crate) use rotate::{finish as finish_rotations, resume};

/// Carries out calls until the daemon ends.
pub(crate) async fn serve(daemon: Shared, mut calls: mpsc::UnboundedReceiver<Call>) {
    while let Some(call) = calls.recv().await {
        crate::vital::vital(&daemon, one(daemon.clone(), call));
    }
}

async fn one(daemon: Shared, call: Call) {
    let Call {
        request,
        progress,
        answer,
    } = call;
    let known = daemon
        .state
        .borrow()
        .memory
        .find(&request.id)
        .filter(|_| !request.id.is_empty());
    if let Some(end) = known {
        let _ = answer.send(memory::outcome(end).await);
        return;
    }
    // A question about a command carries that command's id: taken in, it would wait for itself.
    let end = match &request.command {
        Command::Outcome { .. } => None,
        _ => daemon.state.borrow_mut().memory.begin(&request.id),
    };
    let (done, after) = run(&daemon, &request, &progress).await;
    if let Some(words) = words(&request.command) {
        let by = if request.operator.is_empty() {
            "control.sock"
        } else {
            &request.operator
        };
        daemon.note(&Entry::command(
            sys::clock::wall_ms(),
            "",
            &words,
            by,
            Some(done.exit),
            &done.error,
        ));
    }
    if let Some(end) = end {
        end.send_replace(Some(done.clone()));
    }
    let _ = answer.send(done);
    // The front writes the answer when it gets its turn; only then has the call been answered.
    tokio::task::yield_now().await;
    for key in after.stopped {
        daemon.send(&key, &wire::Command::StopAnswered {}, Vec::new());
    }
}

async fn run(daemon: &Shared, request: &Request, progress: &Progress) -> (Done, After) {
    let by = |verb: &str| match request.operator.as_str() {
        "" => verb.to_owned(),
        operator => format!("{verb} by {operator}"),
    };
    let only = |done: Done| (done, After::default());
    let command = &request.command;
    if daemon.state.borrow().mood == Mood::Shutdown && words(command).is_some() {
        return only(Done::failed(2, "everything is being shut down"));
    }
    if let Command::Update { .. }
    | Command::Reload { .. }
    | Command::RotateKey { .. }
    | Command::AddGroup { .. } = command
    {
        crate::in_use::until_free(daemon).await;
    }
    match command {
        Command::Status {
            names,
            hidden,
            left_out,
        } => only(status::status(daemon, names, *hidden, *left_out)),
        Command::Metrics => only(metrics::metrics(daemon)),
        Command::About => only(status::about(
            daemon,
            !request.operator.starts_with("XML-RPC"),
        )),
        Command::Start { names, wait } => {
            only(process::start(daemon, names, *wait, by("start"), progress).await)
        }
        Command::Stop {
            names,
            wait,
            window,
        } => process::stop(daemon, names, *wait, *window, by("stop"), progress).await,
        Command::Restart { names, mode } => {
            only(restart::restart(daemon, names, mode.as_deref(), by("restart"), progress).await)
        }
        Command::Signal { names, signal } => only(send::signal(daemon, names, signal).await),
        Command::Stdin { names, text } => only(send::stdin(daemon, names, text).await),
        Command::RemoteEvent { kind, data } => {
            crate::pools::notify(daemon, &events::Event::remote(kind, data));
            only(Done::ok(Body::Nothing))
        }
        Command::Reread => only(config::reread(daemon)),
        Command::Update { groups } => {
            only(reload::update(daemon, groups, &by("update"), progress).await)
        }
        Command::Reload { all } => {
            only(reload::reload(daemon, *all, &by("reload"), progress).await)
        }
        Command::ReloadPrograms { names } => only(send::reload(daemon, names).await),
        Command::Plan => only(config::plan(daemon)),
        Command::RotateKey { name, compromised } => {
            let by = by(&format!("rotate {name}"));
            only(rotate::run(daemon, name, *compromised, by, progress).await)
        }
        Command::Available => only(config::available(daemon)),
        Command::AddGroup { name } => only(config::add(daemon, name, &by("add"))),
        Command::RemoveGroup { name } => only(config::remove(daemon, name)),
        Command::ReadLog {
            name,
            channel,
            offset,
            length,
            tail,
        } => {
            let wanted = logs::Wanted {
                name,
                channel: *channel,
                offset: *offset,
                length: *length,
                tail: *tail,
            };
            only(logs::read(daemon, wanted).await)
        }
        Command::ClearLogs { names, main } => only(logs::clear(daemon, names, *main).await),
        Command::History { name, limit } => only(logs::history(daemon, name, *limit).await),
        Command::Shutdown => {
            only(crate::shutdown::shutdown(daemon, &by("shutdown"), progress).await)
        }
        Command::Outcome { id } => {
            let end = daemon.state.borrow().memory.find(id);
            only(match end {
                Some(end) => memory::outcome(end).await,
                None => Done::failed(
                    2,
                    "how the command ended is not known: the daemon was started again meanwhile; see: steadfast status",
                ),
            })
        }
    }
}

/// A command in words, for the ledger; None for those that change nothing.
fn words(command: &Command) -> Option<String> {
    let of = |verb: &str, names: &[String]| {
        if names.is_empty() {
            format!("{verb} all")
        } else {
            format!("{verb} {}", names.join(" "))
        }
    };
    match command {
        Command::Start { names, .. } => Some(of("start", names)),
        Command::Stop { names, .. } => Some(of("stop", names)),
        Command::Restart { names, .. } => Some(of("restart", names)),
        Command::Signal { names, signal } => Some(of(&format!("signal {signal}"), names)),
        Command::Update { groups } => Some(of("update", groups)),
        Command::Reload { all: true } => Some("reload everything".to_owned()),
        Command::Reload { all: false } => Some("reload".to_owned()),
        Command::ReloadPrograms { names } => Some(of("reload", names)),
        Command::AddGroup { name } => Some(format!("add {name}")),
        Command::RemoveGroup { name } => Some(format!("remove {name}")),
        Command::ClearLogs { main: true, .. } => Some("clear the activity log".to_owned()),
        Command::ClearLogs { names, .. } => Some(of("clear", names)),
        Command::Shutdown => Some("shutdown".to_owned()),
        Command::RotateKey {
            name,
            compromised: false,
        } => Some(format!("rotate {name}")),
        Command::RotateKey {
            name,
            compromised: true,
        } => Some(format!("rotate {name} as compromised")),
        Command::Stdin { names, .. } => Some(of("write to the standard input of", names)),
        Command::RemoteEvent { kind, .. } => Some(format!("event {kind}")),
        Command::Status { .. }
        | Command::Reread
        | Command::Plan
        | Command::Available
        | Command::ReadLog { .. }
        | Command::History { .. }
        | Command::About
        | Command::Metrics
        | Command::Outcome { .. } => None,
    }
}
