//! What somebody has to know: FATAL, a restart loop, a hang; and the end of an essential program.
//!
//! News come from the reports of keepers, once each (a replayed transition that the ledger knows is none). They are
//! sent beside everything else: a dead hook costs a line in the log. The same news of one process is sent at most
//! every [`AGAIN_MS`], so that a loop of a night is some lines in a chat and not ten thousand.
//!
//! The ledger makes sure that the next daemon takes a transition for known, so news are written down before the ledger
//! has it, and taken out when they have arrived: what is under way when a daemon dies is sent by the next one. Whoever is
//! told may therefore hear the same (`at_ms`) twice, and never not at all.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use plan::Key;
use serde::{Deserialize, Serialize};
use serde_json::json;
use wire::{Autorestart, Fact, State as Shown, Transition, Why};

use crate::extras::Notify;
use crate::lines::Level;
use crate::outside::{self, Outside};
use crate::state::{Mood, Shared};
use crate::stores;

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
    sent: BTreeMap<(Key, String), u64>,
    /// How the last life of each process ended.
    exits: BTreeMap<Key, i32>,
    /// What is under way, by number.
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
    outside: Outside,
    pings: Outside,
}

/// News under way, as they stand in `news.json`. Not to whom: an address may be a secret, and the model has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    group: String,
    process: String,
    event: String,
    at_ms: u64,
    body: String,
}

impl Waiting {
    fn key(&self) -> Key {
        Key::new(self.group.clone(), self.process.clone())
    }
}

impl News {
    /// One more under way, and its number; None: there are too many.
    fn take(&mut self, waiting: Waiting) -> Option<u64> {
        if self.waiting.len() >= WAITING_MAX {
            return None;
        }
        self.next += 1;
        self.waiting.insert(self.next, waiting);
        Some(self.next)
    }

    /// What the last daemon had not got rid of. It counts as told: its transition may come again.
    fn put_back(&mut self, all: Vec<Waiting>) -> Vec<u64> {
        let mut numbers = Vec::new();
        for waiting in all {
            let what = (waiting.key(), waiting.event.clone());
            self.sent.insert(what, waiting.at_ms);
            numbers.extend(self.take(waiting));
        }
        numbers
    }

    /// Places for news.
    pub(crate) fn outside(&self) -> Outside {
        self.outside.clone()
    }

    /// Places for pings, of their own: a dead network must not hold news up.
    pub(crate) fn pings(&self) -> Outside {
        self.pings.clone()
    }

    /// Takes the news unless it was told lately.
    fn is_new(&mut self, key: &Key, event: &str, now_ms: u64) -> bool {
        let what = (key.clone(), event.to_owned());
        let last = self.sent.get(&what).copied();
        if last.is_some_and(|at| now_ms.saturating_sub(at) < AGAIN_MS) {
            return false;
        }
        self.sent.insert(what, now_ms);
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

/// A transition that was not known before, and that the ledger does not have yet.
pub(crate) fn happened(daemon: &Shared, key: &Key, transition: &Transition) {
    if daemon.state.borrow().mood == Mood::Shutdown {
        return;
    }
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

/// Sends the news to whoever the program, or `[steadfast]`, names. False: not now, since the same was sent lately.
pub(crate) fn tell(
    daemon: &Shared,
    key: &Key,
    event: &str,
    text: &str,
    transition: &Transition,
) -> bool {
    let number = {
        let mut state = daemon.state.borrow_mut();
        let state = &mut *state;
        let Some(slot) = state.active.slot(key) else {
            return true;
        };
        if slot.extras.notify.is_none() {
            return true;
        }
        let (program, config) = (slot.program.clone(), state.active.config.clone());
        if !state.news.is_new(key, event, transition.wall_ms) {
            return false;
        }
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
        });
        let taken = state.news.take(Waiting {
            group: key.group.clone(),
            process: key.process.clone(),
            event: event.to_owned(),
            at_ms: transition.wall_ms,
            body: body.to_string(),
        });
        let Some(number) = taken else {
            state.news.sent.remove(&(key.clone(), event.to_owned()));
            return false;
        };
        number
    };
    keep(daemon);
    send(daemon, number);
    true
}

/// A daemon has come: what the last one did not get rid of goes on its way again.
pub(crate) fn restore(daemon: &Shared) {
    let bytes = daemon.run_dir.read_news().ok().flatten();
    let kept: Option<Kept> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Kept { waiting, store } = kept.unwrap_or_default();
    let numbers = {
        let mut state = daemon.state.borrow_mut();
        if let (Some(key), Some((event, at_ms))) = (stores::gateway(&state), store.last()) {
            state.news.sent.insert((key, event.to_owned()), at_ms);
        }
        state.store = store;
        state.news.put_back(waiting)
    };
    numbers.into_iter().for_each(|number| send(daemon, number));
}

/// `news.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    waiting: Vec<Waiting>,
    /// What was told about the session store.
    store: stores::Told,
}

/// Writes down what is under way.
pub(crate) fn keep(daemon: &Shared) {
    let bytes = {
        let state = daemon.state.borrow();
        let kept = Kept {
            waiting: state.news.waiting.values().cloned().collect(),
            store: state.store.clone(),
        };
        // Strings and numbers always serialize.
        serde_json::to_vec(&kept).unwrap_or_default()
    };
    if let Err(why) = daemon.run_dir.write_news(&bytes) {
        daemon.log(
            Level::Error,
            &format!("news that are under way cannot be kept: {why}"),
        );
    }
}

/// Sends what is under way, and takes it out when that has ended.
fn send(daemon: &Shared, number: u64) {
    let daemon = daemon.clone();
    tokio::task::spawn_local(async move {
        let (key, event, result, to) = {
            let (waiting, to) = {
                let state = daemon.state.borrow();
                let Some(waiting) = state.news.waiting.get(&number).cloned() else {
                    return;
                };
                let slot = state.active.slot(&waiting.key());
                (waiting, slot.and_then(|slot| slot.extras.notify.clone()))
            };
            // Nobody is to be told of it any more.
            let result = match &to {
                Some(to) => deliver(&daemon, to, &waiting.body).await,
                None => Ok(()),
            };
            (waiting.key(), waiting.event, result, to)
        };
        daemon.state.borrow_mut().news.waiting.remove(&number);
        // At the end of everything the file is gone, and stays so.
        if daemon.state.borrow().mood != Mood::Shutdown {
            keep(&daemon);
        }
        let Some(to) = to else { return };
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
pub(crate) fn essential(daemon: &Shared, key: &Key, transition: &Transition) {
    if daemon.state.borrow().mood == Mood::Shutdown {
        return;
    }
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
    let by = format!("the end of {key}, which is essential");
    crate::shutdown::begin(daemon, by);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_under_way_goes_on_and_counts_as_told() {
        let (mut news, key) = (News::default(), Key::new("a", "b"));
        let waiting = Waiting {
            group: "a".to_owned(),
            process: "b".to_owned(),
            event: "fatal".to_owned(),
            at_ms: 7,
            body: "{}".to_owned(),
        };
        assert_eq!(
            news.put_back(vec![waiting.clone(); WAITING_MAX + 1]).len(),
            WAITING_MAX
        );
        assert_eq!(news.take(waiting), None, "there is no place");
        assert!(!news.is_new(&key, "fatal", 7), "the transition, once more");
        assert!(news.is_new(&key, "hang", 7));
    }

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
