//! What keepers report: facts become known, transitions are written down and then acknowledged.

use std::os::fd::OwnedFd;

use ledger::{Entry, Written};
use plan::Key;
use wire::{Command, Report, Transition};

use crate::lines;
use crate::state::Shared;

/// One report of the keeper of `key`.
pub(crate) fn came(daemon: &Shared, key: &Key, life: u64, report: Report, fds: Vec<OwnedFd>) {
    let current = daemon
        .state
        .borrow()
        .keepers
        .get(key)
        .is_some_and(|keeper| keeper.life == life);
    if !current {
        return;
    }
    match &report {
        Report::Happened { transition } => happened(daemon, key, transition),
        Report::Now { fact } => {
            if let Some(keeper) = daemon.state.borrow_mut().keepers.get_mut(key) {
                if crate::in_use::moved(&keeper.facts.borrow(), fact) {
                    daemon.keys_moved.notify_one();
                }
                keeper.take(fact.clone());
            }
            crate::news::fact(daemon, key, fact);
            crate::stores::look(daemon);
            crate::pools::running(daemon, key, fact.state);
        }
        Report::Answer { op, outcome, text } => {
            let waiting = daemon
                .state
                .borrow_mut()
                .keepers
                .get_mut(key)
                .and_then(|keeper| keeper.answers.remove(op));
            if let Some(waiting) = waiting {
                let _ = waiting.send((*outcome, text.clone()));
            }
        }
        Report::Listeners { op, .. } => {
            let waiting = daemon
                .state
                .borrow_mut()
                .keepers
                .get_mut(key)
                .and_then(|keeper| keeper.given.remove(op));
            if let Some(waiting) = waiting {
                let _ = waiting.send(fds);
            }
        }
        // A newer daemon talks to this keeper: we are the old one, and root will tell us so.
        Report::StaleEpoch { .. } => {}
        Report::Drain { .. } => {}
        Report::Listener { listening } => crate::pools::listener(daemon, key, listening),
        Report::Said { said } => crate::pools::said(daemon, key, said, fds),
    }
    tell_watchers(daemon, key, &report);
}

fn tell_watchers(daemon: &Shared, key: &Key, report: &Report) {
    let mut state = daemon.state.borrow_mut();
    state.watchers.retain(|watcher| {
        if watcher.keys.contains(key) {
            watcher.to.send((key.clone(), report.clone())).is_ok()
        } else {
            !watcher.to.is_closed()
        }
    });
}

/// A transition is written into the ledger before it is acknowledged; one that was written already (the last daemon died
/// in between) is acknowledged and said no second time.
fn happened(daemon: &Shared, key: &Key, transition: &Transition) {
    let became_ready = transition.to == wire::State::Running
        && (transition.replaced || transition.from != transition.to);
    if let Some(keeper) = daemon
        .state
        .borrow_mut()
        .keepers
        .get_mut(key)
        .filter(|_| became_ready)
    {
        keeper.ready_pid = transition.pid;
    }
    let label = key.to_string();
    let (entry, known, id) = {
        let state = daemon.state.borrow();
        let Some(keeper) = state.keepers.get(key) else {
            return;
        };
        let (number, born) = (
            keeper.number,
            ledger::Keeper {
                pid: keeper.pid,
                started: keeper.started,
            },
        );
        let entry = Entry::transition(&label, number, born, transition);
        let last = state.ledger.as_ref().and_then(|ledger| ledger.last(number));
        let known = last.is_some_and(|last| last.keeper == born && transition.seq <= last.seq);
        (entry, known, (number, born.pid, transition.seq))
    };
    if !known {
        // Before the ledger has it: what the ledger knows has been told.
        crate::pools::happened(daemon, key, transition, id);
        crate::news::happened(daemon, key, transition);
    }
    let written = match &mut daemon.state.borrow_mut().ledger {
        Some(ledger) => ledger.append(&entry, sys::clock::wall_ms()),
        None => Ok(Written::New),
    };
    match written {
        Ok(Written::Known) => {}
        Ok(Written::New) => say(daemon, key, transition),
        Err(why) => {
            daemon.log(
                lines::Level::Error,
                &format!("cannot write the ledger: {why}"),
            );
            say(daemon, key, transition);
        }
    }
    daemon.send(
        key,
        &Command::Acknowledge {
            seq: transition.seq,
        },
        Vec::new(),
    );
}

fn say(daemon: &Shared, key: &Key, transition: &Transition) {
    crate::news::essential(daemon, key, transition);
    crate::restarts::count(&mut daemon.state.borrow_mut().restarts, key, transition);
    let start_secs = daemon
        .state
        .borrow()
        .active
        .slot(key)
        .map_or(1, |slot| slot.spec.start_secs);
    for (level, text) in lines::supervisor(&key.process, start_secs, transition) {
        daemon.log_at(level, &text, transition.wall_ms);
    }
    let oneshot = {
        let state = daemon.state.borrow();
        let slot = state.active.slot(key);
        slot.is_some_and(|slot| slot.spec.oneshot)
    };
    let opens = daemon
        .state
        .borrow()
        .active
        .slot(key)
        .filter(|slot| slot.first)
        .map(|slot| slot.shown.clone());
    match (opens, lines::terminal(transition)) {
        (Some(addresses), Some(_))
            if !transition.replaced && transition.to == wire::State::Running =>
        {
            daemon.show(format!("gateway  listening on {addresses}"));
        }
        // What runs to its end is never ready: it has begun.
        (_, Some(_)) if oneshot && transition.to == wire::State::Running => {
            daemon.show(format!("{key}  started  pid {}", transition.pid));
        }
        (_, Some(text)) => {
            daemon.show(format!("{key}  {text}"));
            let label = key.to_string();
            for line in lines::last_words(&label, transition) {
                daemon.show(line);
            }
        }
        (_, None) => {}
    }
}
