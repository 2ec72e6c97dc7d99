//! The store as it is now: open, or shut with a reason; tried again by itself, tended while it is open.
//!
//! ```text
//!  shut(why) ──opens──► open ──another store stands there now──► opened anew
//!     ▲  └─ every 250 ms     └─ every second: lease, identity; every hour: sweep
//!     └── the first start finds nothing to believe
//! ```
//! An open store that stops answering stays open: each of its answers is *unknown* until it answers again. Either is
//! *trouble*, which operators are told of when it begins and when it ends.

use crate::Role;
use crate::kept::{Kept, Place};
use crate::limits::{CACHE_ENTRIES_MAX, LOOK_MS, STRANGER_MS_MIN};
use crate::now::Now;
use crate::tend::{listen, tend};
use crate::verdicts::{Entry, Key};
use session::judge::Shelf;
use session::{Alarm, Halves, Policy, Reading, StoreId, Time, Unsure};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{OpenError, Store as _};

pub(crate) struct Door {
    pub(crate) place: Place,
    role: Role,
    pub(crate) policy: Policy,
    pub(crate) state: Mutex<State>,
    pub(crate) cache: Mutex<Halves<Key, Entry>>,
    clocks: Mutex<Now>,
    /// What is wrong with the store.
    trouble: tokio::sync::watch::Sender<Option<Trouble>>,
    /// The store whose sessions count here: one that takes its place without a command is trouble.
    known: Mutex<Option<StoreId>>,
    /// Counts up when sessions may have ended.
    pub(crate) news: tokio::sync::watch::Sender<u64>,
    /// The lease was given up.
    left: AtomicBool,
    /// When a token of another store was the reason to look at this one.
    stranger: Seldom,
    /// One attempt to open at a time.
    opening: tokio::sync::Mutex<u64>,
}

/// What operators are told while expiry is frozen.
const CLOCK: &str = "no session ends by time: this machine's clock was set by more than a minute while the gateway ran, or stands \
                     before what the session store has seen. Nobody is signed out by that. Set the clock right; where it is \
                     right, it ends when the gateway starts anew, or when the time that the store has seen is reached";

pub(crate) enum State {
    Open(Arc<Kept>),
    Shut { unsure: Unsure },
}

/// What is wrong with the store, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// `unreachable`, `missing`, `empty`, `foreign`, `unreadable`; `clock`: it answers, but no time is believed.
    pub kind: &'static str,
    /// Which store it is, what is wrong, and what to do about it.
    pub text: String,
}

/// When something was done last, by the steady clock (milliseconds; 0: never).
#[derive(Default)]
struct Seldom(AtomicU64);

impl Seldom {
    /// Whether it may be done now; then it is taken for done. Once among all who ask at the same time.
    fn is_due(&self, now_ms: u64) -> bool {
        let last_ms = self.0.load(Ordering::Relaxed);
        (last_ms == 0 || now_ms >= last_ms.saturating_add(STRANGER_MS_MIN))
            && self
                .0
                .compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

impl State {
    pub(crate) fn open(&self) -> Option<&Kept> {
        match self {
            State::Open(kept) => Some(kept),
            State::Shut { .. } => None,
        }
    }
}

/// Milliseconds of a clock that is never set and counts while suspended.
pub(crate) fn steady_ms() -> u64 {
    sys::clock::boottime_ns() / 1_000_000
}

/// The machine's clocks.
pub(crate) fn machine() -> Reading {
    Reading {
        wall_ms: sys::clock::wall_ms(),
        steady_ms: steady_ms(),
    }
}

const fn kind_of(alarm: Alarm) -> &'static str {
    match alarm {
        Alarm::Missing => "missing",
        Alarm::Empty => "empty",
        Alarm::Foreign => "foreign",
        Alarm::Unreadable => "unreadable",
    }
}

/// What a panic of another thread left is as good as before: nothing here is changed in two steps.
pub(crate) fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Door {
    pub(crate) async fn new(place: Place, policy: Policy, role: Role) -> Arc<Door> {
        let door = Arc::new(Door {
            place,
            role,
            policy,
            state: Mutex::new(State::Shut {
                unsure: Unsure::Unreachable,
            }),
            trouble: tokio::sync::watch::Sender::new(None),
            known: Mutex::default(),
            cache: Mutex::new(Halves::new(CACHE_ENTRIES_MAX)),
            clocks: Mutex::default(),
            news: tokio::sync::watch::Sender::new(0),
            left: AtomicBool::new(false),
            stranger: Seldom::default(),
            opening: tokio::sync::Mutex::new(0),
        });
        door.try_open().await;
        if role == Role::Gateway {
            let tended = Arc::downgrade(&door);
            bugs::keep("care of the session store", move || tend(tended.clone()));
            if matches!(door.place, Place::Postgres { .. }) {
                let told = Arc::downgrade(&door);
                bugs::keep("news of the session store", move || listen(told.clone()));
            }
        }
        door
    }

    /// The store, or why there is none.
    pub(crate) fn kept(&self) -> Result<Arc<Kept>, Unsure> {
        match &*locked(&self.state) {
            State::Open(kept) => Ok(Arc::clone(kept)),
            State::Shut { unsure } => Err(*unsure),
        }
    }

    /// As [`Door::kept`]; a file is looked at once more, for that costs nobody else's time.
    pub(crate) async fn kept_now(&self) -> Result<Arc<Kept>, Unsure> {
        match (self.kept(), &self.place) {
            (Err(_), Place::Sqlite(_)) => {
                self.try_open().await;
                self.kept()
            }
            (kept, _) => kept,
        }
    }

    /// What is wrong, in a sentence for operators.
    pub(crate) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.borrow();
        trouble.as_ref().map(|trouble| trouble.text.clone())
    }

    pub(crate) fn troubles(&self) -> tokio::sync::watch::Receiver<Option<Trouble>> {
        self.trouble.subscribe()
    }

    fn tell(&self, now: Option<Trouble>) {
        let now = now.or_else(|| self.clock_trouble());
        self.trouble.send_if_modified(|told| {
            let news = *told != now;
            *told = now;
            news
        });
    }

    /// Time is not believed just now, so nothing ends by it: somebody has to set the clock.
    fn clock_trouble(&self) -> Option<Trouble> {
        let frozen = locked(&self.clocks).frozen(machine());
        frozen.then(|| Trouble {
            kind: "clock",
            text: CLOCK.to_owned(),
        })
    }

    fn tell_error(&self, error: &OpenError) {
        let (kind, mut text) = match error {
            OpenError::Distrusted { alarm, .. } => (kind_of(*alarm), error.to_string()),
            OpenError::Failed(failure) => ("unreachable", failure.to_string()),
        };
        let name = self.place.named();
        if !text.contains(&name) {
            text = format!("{text} ({name})");
        }
        self.tell(Some(Trouble { kind, text }));
    }

    /// It answers. Whether it is the one that counted here.
    fn tell_answers(&self, shelf: Shelf) {
        let mut known = locked(&self.known);
        let before = *known.get_or_insert(shelf.ours);
        if before == shelf.ours || shelf.others_forgotten {
            *known = Some(shelf.ours);
            drop(known);
            return self.tell(None);
        }
        drop(known);
        self.tell_error(&OpenError::Distrusted {
            alarm: Alarm::Foreign,
            store: self.place.named(),
            detail: format!("store {}, not {before}", shelf.ours),
        });
    }

    pub(crate) async fn try_open(&self) {
        let mut tried_ms = self.opening.lock().await;
        // Somebody else has just tried, while we waited for the lock.
        let now_ms = steady_ms();
        let shut = self.kept().is_err();
        if shut && *tried_ms != 0 && now_ms < tried_ms.saturating_add(LOOK_MS / 5) {
            return;
        }
        let opened = self.place.open().await;
        *tried_ms = steady_ms();
        let next = match opened {
            Ok(kept) => {
                let kept = Arc::new(kept);
                self.tell_answers(kept.shelf());
                self.renew(&kept, steady_ms()).await;
                locked(&self.clocks).opened(machine(), kept.seen_ms());
                // Rows of another store mean nothing here.
                locked(&self.cache).clear();
                State::Open(kept)
            }
            // What is open is better than nothing, and a file that was moved away still says what is true. What stands
            // there and is not our store any more says nothing.
            Err(error) => {
                self.tell_error(&error);
                let unsure = match error {
                    OpenError::Failed(_) if !shut => return,
                    OpenError::Distrusted { alarm, .. } if !shut && alarm == Alarm::Missing => {
                        return;
                    }
                    OpenError::Distrusted { alarm, .. } => Unsure::Distrusted(alarm),
                    OpenError::Failed(_) => Unsure::Unreachable,
                };
                State::Shut { unsure }
            }
        };
        *locked(&self.state) = next;
    }

    /// What time it is.
    pub(crate) fn time(&self) -> Time {
        self.moment().0
    }

    /// The same, and milliseconds of the steady clock, read together.
    pub(crate) fn moment(&self) -> (Time, u64) {
        let machine = machine();
        (self.at(machine), machine.steady_ms)
    }

    /// What time it is where the machine's clocks say this.
    pub(crate) fn at(&self, machine: Reading) -> Time {
        locked(&self.clocks).read(machine)
    }

    /// As [`Door::look_again`], for a token that names another store. Anybody can send one, and a look is a file that is
    /// opened or a connection that is taken: a few a second serve everybody.
    pub(crate) async fn look_for_a_stranger(&self, kept: &Kept) -> bool {
        self.stranger.is_due(steady_ms()) && self.look_again(kept).await
    }

    /// Opens anew if another store stands there, or others were forgotten. Says whether it did.
    pub(crate) async fn look_again(&self, kept: &Kept) -> bool {
        match kept.shelf_now().await {
            Ok(shelf) if shelf != kept.shelf() => {
                self.try_open().await;
                true
            }
            Ok(shelf) => {
                self.tell_answers(shelf);
                false
            }
            // An alarm is seen by whoever opens it.
            Err(OpenError::Distrusted { .. }) => {
                self.try_open().await;
                true
            }
            // Asking a file costs nobody else's time.
            Err(OpenError::Failed(_)) if matches!(self.place, Place::Sqlite(_)) => {
                self.try_open().await;
                true
            }
            Err(error @ OpenError::Failed(_)) => {
                self.tell_error(&error);
                false
            }
        }
    }

    pub(crate) fn news(&self) -> tokio::sync::watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Gives up the lease, for good.
    pub(crate) async fn leave(&self) {
        self.left.store(true, Ordering::Release);
        if let Ok(kept) = self.kept()
            && let Kept::Postgres(store) = &*kept
        {
            // Not given up: then it runs out.
            let _runs_out = store.leave().await;
        }
    }

    /// `asked_ms`: read just before, or earlier.
    pub(crate) async fn renew(&self, kept: &Kept, asked_ms: u64) {
        if self.left.load(Ordering::Acquire) {
            return;
        }
        if let (Kept::Postgres(store), Role::Gateway) = (kept, self.role)
            && let Ok(renewed) = store.renew(asked_ms).await
        {
            locked(&self.clocks).told(Reading {
                wall_ms: renewed.wall_ms,
                steady_ms: asked_ms,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_make_us_look_seldom() {
        let seldom = Seldom::default();
        let looks = (1000..2000).filter(|now_ms| seldom.is_due(*now_ms)).count();
        assert_eq!(looks as u64, 1000 / STRANGER_MS_MIN);
    }
}
