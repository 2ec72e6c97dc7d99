//! What is sent to processes: signals, and text for their standard input.

use control::{Done, Fault, Outcome};
use plan::Key;
use wire::{Command, State};

use super::outcomes::{done, fault, meant, outcome};
use crate::state::Shared;

/// Bytes of one piece of standard input: well within a frame.
const PIECE_BYTES_MAX: usize = 32 * 1024;

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
