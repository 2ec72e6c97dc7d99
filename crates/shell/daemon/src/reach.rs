//! Who passes to the sockets of the programs: brought in line when a program's or the gateway's user changes.
//!
//! A program has to make its socket in its directory, so that one changes hands at once. A gateway of one user is replaced
//! by one of another by overlap, so for a while both have to pass, and a directory has one group:
//!
//! ```text
//!  directories of group A ──> new gateway, group B, A lent ──> the old one has gone ──> directories of group B
//!                                                                  └──> gateway once more, by overlap, without A
//! ```
//! What is lent follows from the directories themselves, so a daemon that dies on the way is followed by one that goes on
//! from there. A directory that no group passes (the gateway was root, or there was none) changes at once: nobody is kept
//! out by that.

use std::rc::Rc;
use std::time::Duration;

use plan::Intent;
use rundir::{Reach, RunDir};
use wire::{Cause, Why};

use crate::lines::Level;
use crate::model::{Active, Slot};
use crate::state::{Mood, Shared};

/// How often a gateway that is on its way out is looked at. It may take its time: requests may wait in it.
const LOOK: Duration = Duration::from_millis(250);

/// A slot whose directory is not as it should be.
struct Change {
    number: u32,
    is: Reach,
    wanted: Reach,
}

/// What differs. Only root gives anything away.
fn changes(active: &Active, run_dir: &RunDir) -> Vec<Change> {
    let own = sys::users::own_uid();
    if own != 0 {
        return Vec::new();
    }
    let gid = active.gateway.gid();
    let change = |slot: &Slot| {
        let is = run_dir.reach(slot.number)?;
        let wanted = Reach {
            owner: slot.owner.unwrap_or(own),
            group: gid.filter(|_| !slot.target.is_empty()),
        };
        (is != wanted).then_some(Change {
            number: slot.number,
            is,
            wanted,
        })
    };
    active.programs().filter_map(change).collect()
}

/// What may change before anything is started.
pub(crate) fn at_once(daemon: &Shared) {
    let changes = changes(&daemon.state.borrow().active, &daemon.run_dir);
    for change in changes {
        let group = match change.is.group {
            None => change.wanted.group,
            lent => lent,
        };
        let reach = Reach {
            owner: change.wanted.owner,
            group,
        };
        if reach != change.is {
            hand(daemon, change.number, reach);
        }
    }
}

fn hand(daemon: &Shared, number: u32, reach: Reach) -> bool {
    let done = daemon.run_dir.hand(number, reach);
    if let Err(why) = &done {
        daemon.log(Level::Error, &format!("slot {number}: {why}"));
    }
    done.is_ok()
}

/// The rest, once every gateway is of the user that it should be. Returns at once.
pub(crate) fn later(daemon: &Shared) {
    if daemon.regrouping.get() || changes(&daemon.state.borrow().active, &daemon.run_dir).is_empty()
    {
        return;
    }
    daemon.regrouping.set(true);
    let daemon = daemon.clone();
    tokio::task::spawn_local(async move {
        let done = regroup(&daemon).await;
        daemon.regrouping.set(false);
        if done {
            // The gateway gives back what was lent to it.
            let cause = Cause {
                why: Why::ConfigChange,
                text: "the gateway's user changed".to_owned(),
            };
            crate::settle::settle(&daemon, Intent::Settle, Rc::new(move |_| cause.clone())).await;
        }
    });
}

/// Waits for the gateways, then changes what is left. False: there was nothing to do, or it could not be done.
async fn regroup(daemon: &Shared) -> bool {
    while !settled(daemon) {
        tokio::time::sleep(LOOK).await;
        if daemon.state.borrow().mood == Mood::Shutdown {
            return false;
        }
    }
    let changes = changes(&daemon.state.borrow().active, &daemon.run_dir);
    let any = !changes.is_empty();
    let mut all = true;
    for change in changes {
        // Each is tried, also behind one that failed.
        all &= hand(daemon, change.number, change.wanted);
    }
    any && all
}

/// Every gateway is the one that was wanted, and none before it lives on.
fn settled(daemon: &Shared) -> bool {
    let state = daemon.state.borrow();
    let first = state.active.slots.iter().filter(|slot| slot.first);
    let is = |slot: &Slot| {
        let Some(keeper) = state.keepers.get(&slot.key()) else {
            return !slot.up;
        };
        let fact = keeper.facts.borrow();
        fact.leaving.is_none() && fact.spec_hash == slot.spec.hash
    };
    first.into_iter().all(is)
}
