//! What somebody has to know: FATAL, a restart loop, a hang; and the end of an essential program.
//!
//! News come from the reports of keepers, once each (a replayed transition that the ledger knows is none). They are
//! sent beside everything else: a dead hook costs a line in the log. The same news of one process is sent at most
//! every [`AGAIN_MS`], so that a loop of a night is some lines in a chat and not ten thousand.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use control::Progress;
use plan::Key;
use serde_json::json;
use wire::{Autorestart, Fact, State as Shown, Transition, Why};

use crate::extras::Notify;
use crate::lines::Level;
use crate::outside::{self, Outside};
use crate::state::{Mood, Shared};

/// A restart loop: so many ends by itself ...
const LOOP_ENDS: usize = 3;
/// ... within this time; as `explain` counts it.
const LOOP_MS: u64 = 10 * 60 * 1000;
/// A hang, where `unhealthy = report`: so many checks failed in a row.
const HANG_CHECKS: u32 = 3;
/// The same news again.
const AGAIN_MS: u64 = 10 * 60 * 1000;
/// News that wait for a place; more are dropped, and counted in the log.
const WAITING_MAX: usize = 64;
/// A hook that fails is tried so often, with these pauses.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// Exit status of an essential program that could not be started at all, as shells have it.
const NOT_STARTED: i32 = 127;

/// What is known for the next news.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Ends by itself of each process, newest last.
    ends: BTreeMap<Key, VecDeque<u64>>,
    /// When which news was sent.
    sent: BTreeMap<(Key, &'static str), u64>,
    /// How the last life of each process ended.
    exits: BTreeMap<Key, i32>,
    waiting: usize,
    outside: Outside,
    pings: Outside,
}

impl News {
    /// Places for news.
    pub(crate) fn outside(&self) -> Outside {
        self.outside.clone()
    }

    /// Places for pings, of their own: a dead network must not hold news up.
    pub(crate) fn pings(&self) -> Outside {
        self.pings.clone()
    }

    /// Takes the news unless it was told lately.
    fn is_new(&mut self, key: &Key, event: &'static str, now_ms: u64) -> bool {
        let last = self.sent.get(&(key.clone(), event)).copied();
        if last.is_some_and(|at| now_ms.saturating_sub(at) < AGAIN_MS) {
            return false;
        }
        self.sent.insert((key.clone(), event), now_ms);
        true
    }

    /// One more end by itself; true at the one that makes it a loop.
    fn is_loop(&mut self, key: &Key, at_ms: u64) -> bool {
        let ends = self.ends.entry(key.clone()).or_default();
        ends.push_back(at_ms);
        while ends.front().is_some_and(|first| first + LOOP_MS < at_ms) || ends.len() > LOOP_ENDS {
            ends.pop_front();
        }
        ends.len() >= LOOP_ENDS
    }
}

/// A transition that was not known before.
pub(crate) fn happened(daemon: &Shared, key: &Key, transition: &Transition) {
    if daemon.state.borrow().mood == Mood::Shutdown {
        return;
    }
    essential(daemon, key, transition);
    let by_itself = matches!(
        (transition.from, transition.to),
        (Shown::Running, Shown::Exited) | (Shown::Starting, Shown::Backoff)
    ) && !transition.expected;
    if by_itself {
        let looping = daemon
            .state
            .borrow_mut()
            .news
            .is_loop(key, transition.wall_ms);
        if looping {
            let text = format!(
                "{LOOP_ENDS} ends within {} min, the last: {}",
                LOOP_MS / 60_000,
                reason(transition)
            );
            tell(daemon, key, "restart-loop", &text, transition);
        }
    }
    if transition.from != transition.to && transition.to == Shown::Fatal {
        tell(daemon, key, "fatal", &reason(transition), transition);
    }
    if transition.cause.why == Why::Unhealthy && transition.to == Shown::Stopping {
        tell(daemon, key, "hang", &transition.cause.text, transition);
    }
}

/// A fact: where an unhealthy process is only reported, no transition says so.
pub(crate) fn fact(daemon: &Shared, key: &Key, fact: &Fact) {
    if fact.unhealthy == HANG_CHECKS {
        let transition = Transition {
            pid: fact.pid,
            generation: fact.generation,
            to: fact.state,
            wall_ms: sys::clock::wall_ms(),
            ..Transition::default()
        };
        let text = format!("{} checks failed in a row", fact.unhealthy);
        tell(daemon, key, "hang", &text, &transition);
    }
}

fn reason(transition: &Transition) -> String {
    let note = transition.note.lines().next().unwrap_or("");
    let text = match (note, transition.exit) {
        ("", Some(exit)) => crate::lines::ended(exit),
        ("", None) => transition.cause.text.clone(),
        (note, _) => note.to_owned(),
    };
    finding::escape(&text).to_string()
}

/// Sends the news to whoever the program, or `[steadfast]`, names.
pub(crate) fn tell(
    daemon: &Shared,
    key: &Key,
    event: &'static str,
    text: &str,
    transition: &Transition,
) {
    let (to, program, config) = {
        let mut state = daemon.state.borrow_mut();
        let state = &mut *state;
        let Some(slot) = state.active.slot(key) else {
            return;
        };
        let Some(to) = slot.extras.notify.clone() else {
            return;
        };
        if !state.news.is_new(key, event, transition.wall_ms) {
            return;
        }
        if state.news.waiting >= WAITING_MAX {
            state.news.sent.remove(&(key.clone(), event));
            return;
        }
        state.news.waiting += 1;
        (to, slot.program.clone(), state.active.config.clone())
    };
    let body = json!({
        "steadfast": 1,
        "kind": "news",
        "event": event,
        "program": program,
        "process": key.to_string(),
        "state": transition.to.to_string(),
        "pid": transition.pid,
        "generation": transition.generation,
        "exit_status": transition.exit,
        "text": text,
        "at_ms": transition.wall_ms,
        "host": crate::machine::hostname(),
        "config": config,
    })
    .to_string();
    let (daemon, key) = (daemon.clone(), key.clone());
    tokio::task::spawn_local(async move {
        let result = deliver(&daemon, &to, &body).await;
        daemon.state.borrow_mut().news.waiting -= 1;
        if let Err(why) = result {
            let whom = match &to {
                Notify::Url(url) => url.host().to_owned(),
                Notify::Command(words) => words.first().cloned().unwrap_or_default(),
            };
            daemon.log(
                Level::Warn,
                &format!("{key}: the news ({event}) did not reach {whom}: {why}"),
            );
        }
    });
}

async fn deliver(daemon: &Shared, to: &Notify, body: &str) -> Result<(), String> {
    let outside = daemon.state.borrow().news.outside();
    let mut pauses = PAUSES.iter();
    loop {
        let (to, body) = (to.clone(), body.to_owned());
        let result = outside
            .run(move || match &to {
                Notify::Url(url) => outside::post(&url.0, &body),
                Notify::Command(argv) => outside::command(argv, &body),
            })
            .await;
        let Err(why) = result else { return Ok(()) };
        match pauses.next() {
            Some(pause) => tokio::time::sleep(*pause).await,
            None => return Err(why),
        }
    }
}

/// The end of an essential program is the end of everything, with its exit status.
fn essential(daemon: &Shared, key: &Key, transition: &Transition) {
    let over = {
        let mut state = daemon.state.borrow_mut();
        let state = &mut *state;
        let Some(slot) = state.active.slot(key).filter(|slot| slot.extras.essential) else {
            return;
        };
        if let Some(exit) = transition.exit {
            state.news.exits.insert(key.clone(), exit);
        }
        let again = match slot.spec.autorestart {
            Autorestart::Always => true,
            Autorestart::Unexpected => !transition.expected,
            Autorestart::Never => false,
        };
        match (transition.from, transition.to) {
            (Shown::Running, Shown::Exited) => !again,
            (_, Shown::Fatal) => transition.from != Shown::Fatal,
            _ => false,
        }
    };
    if !over {
        return;
    }
    let exit = daemon.state.borrow().news.exits.get(key).copied();
    end_all(daemon, key, exit);
}

/// A daemon has come: the end of an essential program that the last one wrote down and did not live to act on.
pub(crate) fn essential_before(daemon: &Shared) {
    let over = {
        let state = daemon.state.borrow();
        let mut slots = state.active.programs();
        slots.find_map(|slot| {
            if !slot.extras.essential || !slot.up || !slot.in_service() {
                return None;
            }
            let keeper = state.keepers.get(&slot.key())?;
            let fact = keeper.facts.borrow();
            let ended = match fact.phase {
                wire::Phase::Exited => Some(fact.exit_status),
                wire::Phase::Fatal => Some(fact.exit_status).filter(|status| *status != 0),
                _ => return None,
            };
            (fact.generation > 0).then(|| (slot.key(), ended))
        })
    };
    if let Some((key, exit)) = over {
        end_all(daemon, &key, exit);
    }
}

fn end_all(daemon: &Shared, key: &Key, exit: Option<i32>) {
    let status = match exit {
        Some(signal) if signal < 0 => 128 - signal,
        Some(status) => status,
        None => NOT_STARTED,
    };
    daemon.exit_status.set(status);
    let text = format!("{key} is essential and has ended: everything ends with status {status}");
    daemon.log(Level::Warn, &text);
    daemon.show(text);
    let (daemon, by) = (
        daemon.clone(),
        format!("the end of {key}, which is essential"),
    );
    tokio::task::spawn_local(async move {
        crate::shutdown::shutdown(&daemon, &by, &Progress::none()).await
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_ends_in_ten_minutes_are_a_loop_and_are_told_once() {
        let (mut news, key) = (News::default(), Key::new("a".to_owned(), "a".to_owned()));
        assert!(!news.is_loop(&key, 0));
        assert!(!news.is_loop(&key, LOOP_MS + 1), "the first is too old");
        assert!(!news.is_loop(&key, LOOP_MS + 2));
        assert!(news.is_loop(&key, LOOP_MS + 3));
        assert!(news.is_new(&key, "restart-loop", 5));
        assert!(!news.is_new(&key, "restart-loop", 5 + AGAIN_MS - 1));
        assert!(news.is_new(&key, "fatal", 6), "another news");
        assert!(news.is_new(&key, "restart-loop", 5 + AGAIN_MS));
    }
}
