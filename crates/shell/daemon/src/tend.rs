//! What is looked after by the clock: memory of programs, and pings from outside.
//!
//! One task, which sleeps until the next thing is due and for ever if nothing is: an installation without
//! `memory_max`, `keepalive_url` and `[steadfast]` has no tick here.
//!
//! Memory is that of a program's whole tree: resident pages first, which cost one small file a process; only where
//! those exceed the limit, the proportional size (`Pss`), which counts shared pages once and takes the kernel longer.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use plan::{Key, Step};
use wire::{Cause, Phase, Transition, Why};

use crate::execute::{How, execute};
use crate::lines::Level;
use crate::outside;
use crate::state::{Mood, Shared, State};

/// A program with `memory_max` is looked at this often: a leak of 10 MB a second is caught within 50 MB.
const MEMORY_MS: u64 = 5_000;
/// With `[steadfast]`, every program is looked at this often, so that `explain` can say where its memory is heading.
const SAMPLE_MS: u64 = 10 * 60_000;
/// Samples kept: a day.
const SAMPLES_MAX: usize = 144;
/// A replacement for memory follows the last one of the same process after this time at the earliest: a limit that
/// is too low must not become a restart loop.
const REPLACE_AGAIN_MS: u64 = 5 * 60_000;
/// Processes of one tree that are counted.
const TREE_MAX: usize = 4096;

/// Memory of one process's tree over its present life.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples {
    /// Whose: the pid of the life that was sampled.
    pid: i32,
    /// Wall clock, ms, and bytes; the oldest first.
    points: VecDeque<(u64, u64)>,
    /// When it was last replaced for its memory, monotonic ms.
    replaced_ms: Option<u64>,
    /// It was said that the limit is exceeded again too soon.
    complained: bool,
    /// When it was last looked at, and pinged, monotonic ms.
    looked_ms: Option<u64>,
    pinged_ms: Option<u64>,
    /// The last ping failed.
    ping_failed: bool,
    /// One is under way: the next is left out.
    pinging: bool,
}

impl Samples {
    fn take(&mut self, pid: i32, wall_ms: u64, bytes: u64) {
        if self.pid != pid {
            self.pid = pid;
            self.points.clear();
        }
        let due = self
            .points
            .back()
            .is_none_or(|(at, _)| wall_ms.saturating_sub(*at) >= SAMPLE_MS);
        if due {
            if self.points.len() >= SAMPLES_MAX {
                // Thinned out, so that the first one, from which growth counts, stays.
                let mut keep = false;
                self.points.retain(|_| {
                    keep = !keep;
                    keep
                });
            }
            self.points.push_back((wall_ms, bytes));
        }
    }

    /// The first sample of this life: when, and how many bytes.
    pub(crate) fn first(&self, pid: i32) -> Option<(u64, u64)> {
        self.points.front().copied().filter(|_| self.pid == pid)
    }
}

/// Looks after what is due until the daemon ends.
pub(crate) async fn tend(daemon: Shared) {
    loop {
        let next_ms = once(&daemon);
        let due = async {
            match next_ms {
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = daemon.tended.notified() => {}
            () = due => {}
        }
    }
}

/// One process and what is looked after.
struct Tended {
    key: Key,
    memory_max: u64,
    /// Its memory, this often.
    every_ms: Option<u64>,
    /// An address, this often.
    ping: Option<(String, u64)>,
}

/// Does what is due now and returns how many ms it is to the next; None = nothing is tended.
fn once(daemon: &Shared) -> Option<u64> {
    let now_ms = sys::clock::mono_ms();
    let mut next_ms: Option<u64> = None;
    let mut soonest = |ms: u64| next_ms = Some(next_ms.map_or(ms, |next| next.min(ms)));
    let slots: Vec<Tended> = {
        let mut state = daemon.state.borrow_mut();
        let state: &mut State = &mut state;
        let sampled = state.active.settings.steadfast;
        let slots: Vec<_> = state
            .active
            .programs()
            .map(|slot| {
                let extras = &slot.extras;
                let ping = (!extras.keepalive_url.0.is_empty())
                    .then(|| (extras.keepalive_url.0.clone(), extras.keepalive_url_ms));
                let every_ms = match (extras.memory_max > 0, sampled) {
                    (true, _) => Some(MEMORY_MS),
                    (false, true) => Some(SAMPLE_MS),
                    (false, false) => None,
                };
                Tended {
                    key: slot.key(),
                    memory_max: extras.memory_max,
                    every_ms,
                    ping,
                }
            })
            .collect();
        let known: std::collections::BTreeSet<&Key> = slots.iter().map(|slot| &slot.key).collect();
        state.samples.retain(|key, _| known.contains(key));
        slots
    };
    for slot in slots {
        let Tended {
            key,
            memory_max,
            every_ms,
            ping,
        } = slot;
        if let Some(every_ms) = every_ms {
            let last = daemon
                .state
                .borrow_mut()
                .samples
                .entry(key.clone())
                .or_default()
                .looked_ms;
            // The first look is not at once: at boot, there is nothing to see.
            let due_ms = last.unwrap_or(now_ms).saturating_add(every_ms);
            if last.is_none() || due_ms <= now_ms {
                if last.is_some() {
                    look(daemon, &key, memory_max, now_ms);
                }
                if let Some(samples) = daemon.state.borrow_mut().samples.get_mut(&key) {
                    samples.looked_ms = Some(now_ms);
                }
                soonest(every_ms);
            } else {
                soonest(due_ms - now_ms);
            }
        }
        if let Some((url, every_ms)) = ping {
            let last = daemon
                .state
                .borrow_mut()
                .samples
                .entry(key.clone())
                .or_default()
                .pinged_ms;
            let due_ms = last.unwrap_or(now_ms).saturating_add(every_ms.max(1_000));
            if last.is_none() || due_ms <= now_ms {
                if let Some(samples) = daemon.state.borrow_mut().samples.get_mut(&key) {
                    samples.pinged_ms = Some(now_ms);
                }
                if last.is_some() {
                    send_ping(daemon, &key, url);
                }
                soonest(every_ms.max(1_000));
            } else {
                soonest(due_ms - now_ms);
            }
        }
    }
    next_ms
}

/// Bytes of the tree of `pid`; with a limit that resident pages exceed, its proportional size.
pub(crate) fn tree_bytes(pid: i32, limit: u64) -> u64 {
    let mut pids = vec![pid];
    pids.extend(
        sys::proc::descendants(pid, TREE_MAX)
            .iter()
            .map(|stat| stat.pid),
    );
    let resident: u64 = pids.iter().map(|pid| sys::proc::rss_bytes(*pid)).sum();
    if limit == 0 || resident <= limit {
        return resident;
    }
    let proportional: Option<u64> = pids
        .iter()
        // One that ended meanwhile has no memory; one that may not be read leaves the resident size.
        .map(|pid| match sys::proc::rss_bytes(*pid) {
            0 => Some(0),
            _ => sys::proc::pss_bytes(*pid),
        })
        .sum();
    proportional.unwrap_or(resident)
}

/// `512 MB`, as people write limits.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KB", bytes.div_ceil(1024)),
        _ => format!("{} MB", bytes / 1_048_576),
    }
}

fn look(daemon: &Shared, key: &Key, memory_max: u64, now_ms: u64) {
    let Some(fact) = daemon.fact(key).filter(|fact| fact.pid > 0) else {
        return;
    };
    let bytes = tree_bytes(fact.pid, memory_max);
    let exceeded = {
        let mut state = daemon.state.borrow_mut();
        let samples = state.samples.entry(key.clone()).or_default();
        samples.take(fact.pid, sys::clock::wall_ms(), bytes);
        memory_max > 0 && bytes > memory_max
    };
    // What starts or ends already makes room by itself.
    if exceeded && fact.phase == Phase::Ready && fact.next_pid == 0 {
        let text = format!(
            "memory {} is more than memory_max = {}",
            size(bytes),
            size(memory_max)
        );
        replace(daemon, key, text, fact.pid, now_ms);
    }
}

/// Replaces a process as configured, one of a program at a time.
fn replace(daemon: &Shared, key: &Key, text: String, pid: i32, now_ms: u64) {
    let wait = {
        let mut state = daemon.state.borrow_mut();
        let state = &mut *state;
        if state.mood != Mood::Running {
            return;
        }
        let program = state.active.slot(key).map(|slot| slot.program.clone());
        let others: Vec<Key> = state
            .active
            .programs()
            .filter(|slot| Some(&slot.program) == program.as_ref() && slot.key() != *key)
            .map(crate::model::Slot::key)
            .collect();
        // Another process of the program that is on its way leaves the load to this one: at the next look, then.
        let busy = others.iter().any(|other| {
            state.keepers.get(other).is_some_and(|keeper| {
                let fact = keeper.facts.borrow();
                fact.wanted && fact.phase != Phase::Ready
            })
        });
        if busy {
            return;
        }
        let samples = state.samples.entry(key.clone()).or_default();
        let early = samples
            .replaced_ms
            .is_some_and(|last| now_ms.saturating_sub(last) < REPLACE_AGAIN_MS);
        if !early {
            samples.replaced_ms = Some(now_ms);
            samples.complained = false;
        } else if std::mem::replace(&mut samples.complained, true) {
            return;
        }
        early
    };
    if wait {
        let again = format!(
            "{key}: {text} again; it is replaced at most every {} min",
            REPLACE_AGAIN_MS / 60_000
        );
        daemon.log(Level::Warn, &again);
        return;
    }
    daemon.log(Level::Warn, &format!("{key}: {text}: it is replaced"));
    let transition = Transition {
        pid,
        to: wire::State::Running,
        wall_ms: sys::clock::wall_ms(),
        ..Transition::default()
    };
    crate::news::tell(daemon, key, "memory", &text, &transition);
    let (daemon, key) = (daemon.clone(), key.clone());
    tokio::task::spawn_local(async move {
        let cause = Cause {
            why: Why::Memory,
            text,
        };
        let how = How::as_configured(Rc::new(move |_| cause.clone()));
        let steps = vec![Step::Restart {
            slot: key.clone(),
            after: Vec::new(),
        }];
        for end in execute(&daemon, steps, &how).await {
            if !end.is_well() {
                let first = end.text.lines().next().unwrap_or("");
                daemon.log(
                    Level::Error,
                    &format!("{key}: its replacement for memory failed: {first}"),
                );
            }
        }
    });
}

/// Asks the address from outside; a change between answered and not is said.
fn send_ping(daemon: &Shared, key: &Key, url: String) {
    let (daemon, key) = (daemon.clone(), key.clone());
    let outside = {
        let mut state = daemon.state.borrow_mut();
        let samples = state.samples.entry(key.clone()).or_default();
        if std::mem::replace(&mut samples.pinging, true) {
            return;
        }
        state.news.pings()
    };
    tokio::task::spawn_local(async move {
        let host = crate::extras::Secret(url.clone()).host().to_owned();
        let result = outside.run(move || outside::get(&url)).await;
        let before = {
            let mut state = daemon.state.borrow_mut();
            let samples = state.samples.entry(key.clone()).or_default();
            samples.pinging = false;
            std::mem::replace(&mut samples.ping_failed, result.is_err())
        };
        match (result, before) {
            (Err(why), false) => daemon.log(
                Level::Warn,
                &format!("{key}: keepalive_url at {host} is not answered: {why}"),
            ),
            (Ok(()), true) => daemon.log(
                Level::Info,
                &format!("{key}: keepalive_url at {host} is answered again"),
            ),
            (Err(_), true) | (Ok(()), false) => {}
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_belong_to_one_life_and_keep_their_first() {
        let mut samples = Samples::default();
        samples.take(1, 0, 100);
        samples.take(1, 5, 200);
        assert_eq!(samples.points.len(), 1, "not more often than needed");
        for at in 1..=2 * SAMPLES_MAX as u64 {
            samples.take(1, at * SAMPLE_MS, at);
        }
        assert!(samples.points.len() <= SAMPLES_MAX);
        assert_eq!(samples.first(1), Some((0, 100)));
        samples.take(2, 7, 1);
        assert_eq!((samples.first(2), samples.first(1)), (Some((7, 1)), None));
    }

    #[test]
    fn a_tree_is_counted_with_its_children_and_shared_pages_once() {
        let own = std::process::id() as i32;
        let resident = tree_bytes(own, 0);
        assert!(resident > 1 << 20, "{resident}");
        assert!(tree_bytes(own, 1) <= resident.max(tree_bytes(own, 0)));
        assert_eq!(
            (size(600 << 20), size(1500)),
            ("600 MB".to_owned(), "2 KB".to_owned())
        );
    }
}
