//! The session store as gateways find it: operators are told when it cannot be used, why, and when it can again.
//!
//! Each process of the gateway says by its keeper's fact what is wrong; one of them is enough. The log and the ledger have
//! every change. `notify` is told the same at most every few minutes, and then what is so: the last news is never wrong for
//! long.

use std::time::Duration;

use ledger::Entry;
use plan::Key;
use serde::{Deserialize, Serialize};
use wire::{State as Shown, Transition, Trouble};

use crate::lines::Level;
use crate::state::{Mood, Shared, State};

/// News that had to wait are tried again after this.
const AGAIN: Duration = Duration::from_secs(30);

/// What was told, as it stands in `news.json` for the next daemon: what began before it is no news to it, and what ended
/// meanwhile is.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Told {
    /// What is wrong, in the log and the ledger.
    trouble: Option<Wrong>,
    /// To `notify`: that it cannot be used.
    sent: bool,
    /// The last word to `notify`, wall milliseconds.
    at_ms: u64,
    /// News wait.
    #[serde(skip)]
    waiting: bool,
}

/// A [`Trouble`] of a keeper's fact, to be kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Wrong {
    kind: String,
    text: String,
}

impl Told {
    /// When `notify` was told of what is so, and of what.
    pub(crate) fn last(&self) -> Option<(&'static str, u64)> {
        (self.at_ms > 0).then_some((event(self.sent), self.at_ms))
    }
}

fn event(trouble: bool) -> &'static str {
    match trouble {
        true => "store",
        false => "store-back",
    }
}

/// What is wrong now; the outer None: no gateway that keeps sessions is ready, so it is not known.
pub(crate) fn now(state: &State) -> Option<Option<Trouble>> {
    state.active.gateway.sessions.as_ref()?;
    let of_ours = state.active.slots.iter().filter(|slot| slot.first);
    let mut known = None;
    for slot in of_ours {
        let Some(keeper) = state.keepers.get(&slot.key()) else {
            continue;
        };
        let fact = keeper.facts.borrow();
        match (&fact.trouble, fact.phase) {
            (Some(trouble), _) => return Some(Some((**trouble).clone())),
            (None, wire::Phase::Ready) => known = Some(None),
            (None, _) => {}
        }
    }
    known
}

fn kind(trouble: &Option<Wrong>) -> Option<&str> {
    trouble.as_ref().map(|trouble| trouble.kind.as_str())
}

/// A process of the gateway has a new fact.
pub(crate) fn look(daemon: &Shared) {
    let (key, trouble) = {
        let mut state = daemon.state.borrow_mut();
        let Some(now) = now(&state).filter(|_| state.mood != Mood::Shutdown) else {
            return;
        };
        let now = now.map(|Trouble { kind, text }| Wrong { kind, text });
        if kind(&state.store.trouble) == kind(&now) {
            // The same in other words is shown by `status`, and is no news.
            return;
        }
        let Some(key) = gateway(&state) else { return };
        state.store.trouble.clone_from(&now);
        (key, now)
    };
    let (level, text) = words(&trouble);
    daemon.log(level, &text);
    daemon.show(format!("gateway  {text}"));
    daemon.note(&Entry::note(sys::clock::wall_ms(), &key.to_string(), &text));
    crate::news::keep(daemon);
    send(daemon);
}

pub(crate) fn gateway(state: &State) -> Option<Key> {
    let mut slots = state.active.slots.iter().filter(|slot| slot.first);
    slots.next().map(crate::model::Slot::key)
}

fn words(trouble: &Option<Wrong>) -> (Level, String) {
    match trouble {
        Some(trouble) => {
            let mut text = finding::escape(&trouble.text).to_string();
            // The others say what to do.
            if trouble.kind == "unreachable" {
                text.push_str("; until it answers, what needs it gets a 503; nobody is signed out");
            }
            (Level::Error, text)
        }
        None => (Level::Info, "the session store answers again".to_owned()),
    }
}

/// Tells `notify` what is so, if it was told otherwise.
fn send(daemon: &Shared) {
    let (key, trouble) = {
        let state = daemon.state.borrow();
        let told = &state.store;
        if told.waiting || told.sent == told.trouble.is_some() {
            return;
        }
        let Some(key) = gateway(&state) else { return };
        (key, told.trouble.clone())
    };
    let at_ms = sys::clock::wall_ms();
    let transition = Transition {
        to: Shown::Running,
        wall_ms: at_ms,
        ..Transition::default()
    };
    let what = event(trouble.is_some());
    let sent = crate::news::tell(daemon, &key, what, &words(&trouble).1, &transition);
    let mut state = daemon.state.borrow_mut();
    if sent {
        state.store.sent = trouble.is_some();
        state.store.at_ms = at_ms;
        drop(state);
        crate::news::keep(daemon);
        return;
    }
    state.store.waiting = true;
    drop(state);
    let daemon = daemon.clone();
    tokio::task::spawn_local(async move {
        tokio::time::sleep(AGAIN).await;
        daemon.state.borrow_mut().store.waiting = false;
        send(&daemon);
    });
}
