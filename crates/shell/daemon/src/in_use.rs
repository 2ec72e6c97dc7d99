//! Which values of keys processes run with: what the keyring has to know before it may forget one.
//!
//! A definition in force counts, since its process may start at any time, and so does every generation that lives: the
//! current one, one that starts, one that is being drained. What an older definition called its key is not known any
//! more, so such a number counts for every key. Where a keeper is too old to say, nobody knows, and nothing ends.
//!
//! *Invariant*: a retired key has no end before the last generation with it has stopped ([`follow`]).

use std::collections::HashMap;
use std::ops::Deref;

use plan::Key;
use secrets::{Ended, InUse, SystemRandom};
use wire::{Fact, Phase};

use crate::lines::Level;
use crate::model::{Active, Slot};
use crate::state::Shared;

/// Somebody holds the keyring's lock: it is tried again after this time.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Facts come in crowds, at a start of everything two from each keeper: they are looked at together. A retired key, which
/// verifies for a while after its last process anyway, does not need its end at once; a command does not wait for this.
const CROWD: std::time::Duration = std::time::Duration::from_millis(100);

/// How long a command waits for whoever changes keys, and how often it looks.
const HELD_MAX: std::time::Duration = std::time::Duration::from_secs(10);
const LOOK: std::time::Duration = std::time::Duration::from_millis(20);

/// What is in use beside this model; None: nobody can say.
pub(crate) fn known(daemon: &Shared, model: &Active) -> Option<InUse> {
    let state = daemon.state.borrow();
    // Keepers live and have not been taken over yet (`adopt::from_file_and_keepers`).
    if state.keepers.is_empty() && !model.slots.is_empty() {
        return None;
    }
    let facts = state.keepers.iter();
    of(
        &model.slots,
        facts.map(|(key, keeper)| (key, keeper.facts.borrow())),
    )
}

fn of<'a>(
    slots: &[Slot],
    facts: impl Iterator<Item = (&'a Key, impl Deref<Target = Fact>)>,
) -> Option<InUse> {
    let mut in_use = InUse::nothing();
    let mut wanted = HashMap::with_capacity(slots.len());
    for slot in slots {
        wanted.insert((slot.group.as_str(), slot.process.as_str()), slot);
        if !slot.in_service() {
            continue;
        }
        let name = Some(slot.signing.as_str()).filter(|name| !name.is_empty());
        in_use.add(name, slot.spec.key);
    }
    for (key, fact) in facts {
        let slot = wanted.get(&(key.group.as_str(), key.process.as_str()));
        let as_wanted = slot.is_some_and(|slot| slot.spec.hash == fact.spec_hash);
        let known = slot.map_or(0, |slot| slot.spec.key);
        let mut add = |id: u32| {
            if id != known {
                in_use.add(None, id);
            }
        };
        match fact.phase {
            _ if as_wanted => {}
            // It starts again by itself, with a definition that nobody else has.
            Phase::Restarting | Phase::Fatal if fact.pid == 0 => return None,
            _ => add(fact.key),
        }
        if let Some(leaving) = &fact.leaving {
            if leaving.key == 0 && fact.key != 0 {
                return None;
            }
            add(leaving.key);
        }
        if fact.next_pid != 0 {
            if fact.next_key == 0 && fact.key != 0 {
                return None;
            }
            add(fact.next_key);
        }
    }
    Some(in_use)
}

/// Whether a fact says something new about keys: about anything that [`of`] reads.
pub(crate) fn moved(before: &Fact, now: &Fact) -> bool {
    fn told(fact: &Fact) -> impl PartialEq + '_ {
        (
            (&fact.spec_hash, fact.key),
            fact.leaving.as_ref().map(|leaving| leaving.key),
            (fact.next_pid != 0, fact.next_key),
            matches!(fact.phase, Phase::Restarting | Phase::Fatal) && fact.pid == 0,
        )
    }
    told(before) != told(now)
}

/// Retired keys get their ends as the last processes with them stop, whatever stopped them.
pub(crate) async fn follow(daemon: Shared) {
    let mut settled: Option<InUse> = None;
    let mut said = false;
    loop {
        let due = || {
            let in_use = known(&daemon, &daemon.state.borrow().active);
            in_use.filter(|in_use| settled.as_ref() != Some(in_use))
        };
        // Whoever holds the keys is waited for here, where nobody waits for us.
        if due().is_some() && !until_free(&daemon).await {
            continue;
        }
        if let Some(in_use) = due() {
            match settle(&daemon, &in_use) {
                Ok(_) => {
                    settled = Some(in_use);
                    said = false;
                }
                Err(why) => {
                    if !std::mem::replace(&mut said, true) {
                        daemon.log(Level::Error, &format!("keys have no ends yet: {why}"));
                    }
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            }
        }
        daemon.keys_moved.notified().await;
        tokio::time::sleep(CROWD).await;
    }
}

/// Waits until nobody holds the keys, but not for ever: the error of whoever wants them then names the holder. Says
/// whether they are free.
pub(crate) async fn until_free(daemon: &Shared) -> bool {
    let state_dir = daemon.ledger_dir();
    let free = async {
        while secrets::held(&state_dir) {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(HELD_MAX, free).await.is_ok()
}

/// Likewise at once, for a command that wants to tell them.
pub(crate) fn settle_now(daemon: &Shared) -> Vec<Ended> {
    let in_use = known(daemon, &daemon.state.borrow().active);
    let ended = in_use.map(|in_use| settle(daemon, &in_use));
    // What could not be done now is tried again by `follow`.
    daemon.keys_moved.notify_one();
    ended.and_then(Result::ok).unwrap_or_default()
}

fn settle(daemon: &Shared, in_use: &InUse) -> Result<Vec<Ended>, secrets::Error> {
    let state_dir = daemon.ledger_dir();
    let now_s = sys::clock::wall_ms() / 1000;
    let life_s = conf::TOKEN_LIFETIME.as_secs();
    let ended = secrets::settle(&state_dir, in_use, now_s, life_s, &mut SystemRandom)?;
    for end in ended.iter().filter(|end| end.new) {
        let date = ledger::Zone::UTC.date(end.until_unix_s.saturating_mul(1000));
        let text = format!(
            "nothing runs with key {} of {} any more: it verifies until {date}",
            end.id, end.name
        );
        daemon.log(Level::Info, &text);
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(name: &str, hash: &str, signing: &str, key: u32) -> Slot {
        let mut slot = Slot {
            group: name.into(),
            process: name.into(),
            signing: signing.into(),
            ..Slot::default()
        };
        slot.spec.hash = hash.into();
        slot.spec.key = key;
        slot
    }

    fn fact(hash: &str, key: u32) -> Fact {
        Fact {
            spec_hash: hash.into(),
            key,
            pid: 9,
            phase: Phase::Ready,
            ..Fact::default()
        }
    }

    /// Numbers of `KEY`, and of another key, that are in use.
    fn check(slots: &[Slot], fact: Fact) -> Option<(Vec<u32>, Vec<u32>)> {
        let key = Key::new("a".to_owned(), "a".to_owned());
        let in_use = of(slots, std::iter::once((&key, &fact)))?;
        let of = |name: &str| (1..9).filter(|id| in_use.has(name, *id)).collect();
        Some((of("KEY"), of("OTHER")))
    }

    #[test]
    fn definitions_in_force_and_generations_that_live_count() {
        let slots = [slot("a", "new", "KEY", 2)];
        assert_eq!(check(&slots, fact("new", 2)), Some((vec![2], vec![])));
        // The replacement failed: the old generation runs on.
        assert_eq!(check(&slots, fact("old", 1)), Some((vec![1, 2], vec![1])));
        let mut leaving = fact("new", 2);
        leaving.leaving = Some(wire::Leaving {
            key: 1,
            ..wire::Leaving::default()
        });
        assert_eq!(check(&slots, leaving), Some((vec![1, 2], vec![1])));
        let mut starting = fact("old", 1);
        (starting.next_pid, starting.next_key) = (10, 2);
        assert_eq!(check(&slots, starting), Some((vec![1, 2], vec![1])));
        let stopped = Fact {
            pid: 0,
            phase: Phase::Stopped,
            ..fact("old", 0)
        };
        assert_eq!(check(&slots, stopped), Some((vec![2], vec![])));
    }

    #[test]
    fn what_starts_again_by_itself_as_it_was_and_keepers_that_cannot_say() {
        let slots = [slot("a", "new", "KEY", 2)];
        for phase in [Phase::Restarting, Phase::Fatal] {
            let down = |hash: &str| Fact {
                pid: 0,
                phase,
                ..fact(hash, 0)
            };
            assert_eq!(check(&slots, down("old")), None);
            assert_eq!(check(&slots, down("new")), Some((vec![2], vec![])));
        }
        let mut old_keeper = fact("new", 2);
        old_keeper.leaving = Some(wire::Leaving::default());
        assert_eq!(check(&slots, old_keeper), None);
        let mut old_keeper = fact("old", 1);
        old_keeper.next_pid = 10;
        assert_eq!(check(&slots, old_keeper), None);
        // Written by an older version: nobody knows what its key is called.
        let unnamed = [slot("a", "new", "", 2)];
        assert_eq!(check(&unnamed, fact("new", 2)), Some((vec![2], vec![2])));
    }

    #[test]
    fn whatever_changes_what_is_in_use_is_news() {
        let fatal = Fact {
            pid: 0,
            phase: Phase::Fatal,
            ..fact("old", 1)
        };
        assert!(!moved(&fatal, &fatal));
        for now in [
            fact("old", 1),
            Fact {
                spec_hash: "new".into(),
                ..fatal.clone()
            },
            Fact {
                phase: Phase::Stopped,
                ..fatal.clone()
            },
            Fact {
                next_pid: 7,
                ..fatal.clone()
            },
        ] {
            assert!(moved(&fatal, &now), "{now:?}");
        }
    }
}
