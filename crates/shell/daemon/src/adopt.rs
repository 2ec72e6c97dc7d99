//! An adoption: keepers live, so the model that was active decides and the file is only compared.
//!
//! The new daemon of the same root finds root's duplicates of the listeners in its welcome. A new root (the old one was
//! killed outside of a container) has none: keepers give them back, and get the new root's outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use ledger::Entry;
use plan::Key;
use tokio::net::UnixListener;
use wire::{Cause, Command, Order, Why};

use crate::lines::Level;
use crate::links::keeper;
use crate::listeners::duplicate;
use crate::model::{Active, Slot};
use crate::opening::{CouldNot, config_path, open_fronts, open_ledger, up};
use crate::options::Source;
use crate::state::Shared;
use crate::{commands, fronts, keepers, machine, pools, settle, summary};

/// What the last daemon left.
pub(crate) struct Found {
    /// The model, if it could be read.
    pub(crate) active: Option<Active>,
    /// Why it could not.
    pub(crate) damaged: Option<String>,
    /// Keepers by the number of their slot.
    pub(crate) alive: Vec<(u32, keeper::Opened)>,
}

/// What is there: the model that was active, and keepers that answer.
pub(crate) async fn look(daemon: &Shared) -> Result<Found, CouldNot> {
    let (mut active, mut damaged) = (None, None);
    match daemon.run_dir.read_active() {
        Ok(Some(bytes)) => match Active::from_bytes(&bytes) {
            Ok(read) => active = Some(read),
            Err(why) => damaged = Some(format!("active.json cannot be used: {why}")),
        },
        Ok(None) => {}
        Err(why) => damaged = Some(why.to_string()),
    }
    let mut tasks = Vec::new();
    for number in daemon
        .run_dir
        .slots()
        .map_err(|why| CouldNot(format!("error: {why}")))?
    {
        let (dir, epoch) = (daemon.run_dir.slot(number).dir, daemon.epoch);
        tasks.push(tokio::task::spawn_local(async move {
            (number, keeper::open(&dir, epoch, Duration::ZERO).await)
        }));
    }
    let mut alive = Vec::new();
    for task in tasks {
        if let Ok((number, Ok(opened))) = task.await {
            alive.push((number, opened));
        }
    }
    Ok(Found {
        active,
        damaged,
        alive,
    })
}

/// An adoption: the model that was active decides; the file is only compared.
pub(crate) async fn adopted(
    daemon: &Shared,
    found: Found,
    restarted: bool,
) -> Result<UnixListener, CouldNot> {
    let Found {
        active,
        damaged,
        alive,
    } = found;
    let active = match active {
        Some(active) => active,
        None => from_file_and_keepers(daemon, &alive),
    };
    open_ledger(
        daemon,
        Some(active.settings.state_dir.as_str()).filter(|dir| !dir.is_empty()),
    );
    let by_number: BTreeMap<u32, Key> = active
        .slots
        .iter()
        .map(|slot| (slot.number, slot.key()))
        .collect();
    daemon.state.borrow_mut().active = active;
    pools::restore(daemon);
    crate::news::restore(daemon);
    let kept = take_kept(daemon);
    let mut keys = Vec::new();
    for (number, opened) in alive {
        let key = by_number.get(&number).cloned();
        let key = key.unwrap_or_else(|| {
            Key::new(
                opened.fact.group.clone(),
                format!("{} (slot {number})", opened.fact.process),
            )
        });
        keepers::take_over(daemon, &key, number, opened);
        keys.push(key);
    }
    if !restarted {
        new_root(daemon, &keys).await;
    }
    let control = open_fronts(daemon, kept, &[]).await?;
    if let Some(why) = damaged {
        daemon.log(Level::Error, &format!("{why}; the file is used instead"));
    }
    let text = format!(
        "the daemon was started again; {} kept on",
        summary::count(keys.len(), "program was", "programs were")
    );
    daemon.log(Level::Info, &text);
    daemon.note(&Entry::note(sys::clock::wall_ms(), "", &text));
    if !restarted {
        daemon.show(format!(
            "steadfast {}  took over {}",
            env!("CARGO_PKG_VERSION"),
            summary::count(keys.len(), "keeper", "keepers")
        ));
    }
    say_if_file_differs(daemon);
    forget_removed(daemon);
    // Before anything is started: its task comes first, and a shutdown starts nothing.
    crate::news::essential_before(daemon);
    up(
        daemon,
        Cause {
            why: Why::KeeperLost,
            text: "it was not kept when the daemon came back".to_owned(),
        },
    );
    let resuming = daemon.clone();
    tokio::task::spawn_local(async move { commands::resume(&resuming).await });
    Ok(control)
}

/// The model could not be read but programs live: the file says what is wanted, keepers say where they are.
fn from_file_and_keepers(daemon: &Shared, alive: &[(u32, keeper::Opened)]) -> Active {
    let place = |(number, opened): &(u32, keeper::Opened)| Slot {
        number: *number,
        group: opened.fact.group.clone(),
        process: opened.fact.process.clone(),
        ..Slot::default()
    };
    let next_slot = alive
        .iter()
        .map(|(number, _)| number + 1)
        .max()
        .unwrap_or(0);
    let before = Active {
        base_env: machine::own_env(),
        config: config_path(daemon),
        slots: alive.iter().map(place).collect(),
        next_slot,
        ..Active::default()
    };
    let loaded = commands::load(daemon, &before.base_env);
    commands::finish_rotations(daemon, &loaded.model, &before);
    commands::first_start(&commands::candidate(daemon, &loaded, &before, false))
}

/// Sorts what root kept: addresses of programs, control.sock, Supervisor's servers.
fn take_kept(daemon: &Shared) -> Option<OwnedFd> {
    let mut state = daemon.state.borrow_mut();
    let state = &mut *state;
    let known: BTreeSet<String> = state
        .active
        .slots
        .iter()
        .flat_map(|slot| slot.listeners.clone())
        .collect();
    let mut control = None;
    for (key, fd) in std::mem::take(&mut state.kept) {
        if key == fronts::CONTROL_KEY {
            control = Some(fd);
        } else if known.contains(&key) {
            state.listeners.insert(key, fd);
        } else {
            state.kept.insert(key, fd);
        }
    }
    control
}

/// A new root knows no keeper and no listener, and has other outputs.
async fn new_root(daemon: &Shared, keys: &[Key]) {
    let mut tasks = Vec::new();
    for key in keys {
        let pid = daemon
            .state
            .borrow()
            .keepers
            .get(key)
            .map_or(0, |keeper| keeper.pid);
        daemon.root.order(&Order::AdoptKeeper { pid }, Vec::new());
        let outputs: Vec<_> = [1, 2]
            .into_iter()
            .filter_map(|fd| sys::fds::standard(fd).as_fd().try_clone_to_owned().ok())
            .collect();
        daemon.send(key, &Command::Outputs {}, outputs);
        let (daemon, key) = (daemon.clone(), key.clone());
        tasks.push(tokio::task::spawn_local(async move {
            let fds = keepers::listeners_back(&daemon, &key).await;
            let addresses = daemon
                .state
                .borrow()
                .active
                .slot(&key)
                .map(|slot| slot.listeners.clone())
                .unwrap_or_default();
            // Another number of listeners belongs to another definition: which is which is not known.
            if fds.len() != addresses.len() {
                return;
            }
            for (address, fd) in addresses.into_iter().zip(fds) {
                if let Ok(copy) = duplicate(&fd) {
                    daemon.root.order(
                        &Order::KeepListener {
                            key: address.clone(),
                        },
                        vec![copy],
                    );
                }
                daemon
                    .state
                    .borrow_mut()
                    .listeners
                    .entry(address)
                    .or_insert(fd);
            }
        }));
    }
    for task in tasks {
        let _ = task.await;
    }
}

fn say_if_file_differs(daemon: &Shared) {
    let base_env = daemon.state.borrow().active.base_env.clone();
    let loaded = commands::load(daemon, &base_env);
    let differs =
        !loaded.unreadable && crate::resolve::stamp(&loaded) != daemon.state.borrow().active.stamp;
    if differs && matches!(daemon.source, Source::File(_)) {
        let text = "the file differs from what runs; make it effective with: steadfast update";
        daemon.log(Level::Warn, text);
        daemon.show(text.to_owned());
    }
}

/// Slots that were out of service when the last daemon ended: their windows go on.
fn forget_removed(daemon: &Shared) {
    let now_ms = sys::clock::wall_ms();
    let ends: Vec<u64> = {
        let state = daemon.state.borrow();
        state
            .active
            .slots
            .iter()
            .filter(|slot| !slot.in_service())
            .map(|slot| slot.removed_until_ms)
            .collect()
    };
    for end_ms in ends {
        settle::purge_later(
            daemon,
            Duration::from_millis(end_ms.saturating_sub(now_ms) + 10),
        );
    }
}
