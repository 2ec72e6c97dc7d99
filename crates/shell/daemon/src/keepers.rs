//! Keepers: made, taken over, lost and made again.

use std::os::fd::OwnedFd;
use std::time::Duration;

use ledger::Entry;
use plan::{Intent, Key};
use tokio::sync::{oneshot, watch};
use wire::{Cause, Command, Order, Outcome, State, Tell, Why};

use crate::lines::Level;
use crate::links::keeper::{self, CONNECT_MAX, Opened};
use crate::listeners::duplicate;
use crate::state::{Keeper, Mood, Shared};

/// A fork takes a millisecond; a root that does not answer for so long is hung.
const FORK_MAX: Duration = Duration::from_secs(10);
/// A keeper whose connection broke is tried so long before it counts as dead: it closes a connection that it could not
/// write to for long, and lives on.
const BROKEN_MAX: Duration = Duration::from_millis(50);
/// Signal that nothing survives.
const KILL: i32 = 9;

/// Makes sure that the slot has a keeper: makes its directory, has root fork one, connects.
pub(crate) async fn spawn(daemon: &Shared, key: &Key) -> Result<(), String> {
    let _making = loop {
        let made_by_another = {
            let state = daemon.state.borrow();
            if state.keepers.contains_key(key) {
                return Ok(());
            }
            state.making.get(key).cloned()
        };
        match made_by_another {
            Some(mut made) => drop(made.wait_for(|made| *made).await.map(|_| ())),
            None => break Making::begin(daemon, key),
        }
    };
    make(daemon, key).await
}

/// Waits until no keeper is being made.
pub(crate) async fn all_made(daemon: &Shared) {
    loop {
        let next = daemon.state.borrow().making.values().next().cloned();
        let Some(mut made) = next else { return };
        let _ = made.wait_for(|made| *made).await.map(|_| ());
    }
}

/// While it lives, nobody else makes or looks for the keeper of this slot; they wait for its end and look again.
struct Making {
    daemon: Shared,
    key: Key,
    done: watch::Sender<bool>,
}

impl Making {
    fn begin(daemon: &Shared, key: &Key) -> Making {
        let (done, made) = watch::channel(false);
        daemon.state.borrow_mut().making.insert(key.clone(), made);
        Making {
            daemon: daemon.clone(),
            key: key.clone(),
            done,
        }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.daemon.state.borrow_mut().making.remove(&self.key);
        self.done.send_replace(true);
    }
}

async fn make(daemon: &Shared, key: &Key) -> Result<(), String> {
    let (number, owner, gated, gateway_gid) = {
        let state = daemon.state.borrow();
        let slot = state
            .active
            .slot(key)
            .ok_or_else(|| format!("{key} has no definition"))?;
        let gid = state
            .active
            .gateway
            .user
            .as_ref()
            .map(|(_, _, gid, _)| *gid);
        (slot.number, slot.owner, !slot.target.is_empty(), gid)
    };
    let group = gateway_gid.filter(|_| gated);
    let place = daemon
        .run_dir
        .create_slot(number, owner, group)
        .map_err(|why| why.to_string())?;
    // A stale socket must not be taken for the new keeper's.
    for path in [place.control(), place.events()] {
        let _ = std::fs::remove_file(path);
    }
    let (send, forked) = oneshot::channel();
    daemon.state.borrow_mut().forking.insert(number, send);
    let order = Order::SpawnKeeper {
        slot: number,
        dir: place.dir.display().to_string(),
        events_gid: group,
        name: key.to_string(),
    };
    daemon.root.order(&order, Vec::new());
    match tokio::time::timeout(FORK_MAX, forked).await {
        Ok(Ok(Ok(_pid))) => {}
        Ok(Ok(Err(why))) => return Err(format!("its keeper could not be started: {why}")),
        Ok(Err(_)) | Err(_) => {
            return Err("its keeper could not be started: root does not answer".to_owned());
        }
    }
    let opened = keeper::open(&place.dir, daemon.epoch, CONNECT_MAX).await?;
    take_over(daemon, key, number, opened);
    Ok(())
}

/// A connected keeper is the one of its slot from now on.
pub(crate) fn take_over(daemon: &Shared, key: &Key, number: u32, opened: Opened) {
    let life = daemon.number();
    let Opened { conn, hello, fact } = opened;
    let started = sys::proc::stat(hello.pid).map_or(0, |stat| stat.start_ticks);
    let link = keeper::serve(daemon, key.clone(), life, conn);
    let (facts, _) = watch::channel(fact.clone());
    let mut keeper = Keeper {
        number,
        pid: hello.pid,
        started,
        life,
        link,
        facts,
        answers: Default::default(),
        given: Default::default(),
        ready_pid: 0,
        pids: Vec::new(),
        started_ms: 0,
    };
    let shown = fact.state;
    keeper.take(fact);
    daemon
        .state
        .borrow_mut()
        .keepers
        .insert(key.clone(), keeper);
    crate::pools::connected(daemon, key, shown);
    crate::stores::look(daemon);
    daemon.keys_moved.notify_one();
}

/// Hands the definition and its listeners to the keeper.
pub(crate) async fn install(daemon: &Shared, key: &Key) -> Result<(), String> {
    let fds = {
        let state = daemon.state.borrow();
        let slot = state
            .active
            .slot(key)
            .ok_or_else(|| format!("{key} has no definition"))?;
        let memory = sys::memfd::sealed("steadfast-spec", &state.active.spec(slot).to_bytes());
        let mut fds = vec![
            memory.map_err(|why| format!("no memory file for the definition of {key}: {why}"))?,
        ];
        for address in &slot.listeners {
            let failed = state.failed_listeners.get(address).cloned();
            let listener = state
                .listeners
                .get(address)
                .ok_or_else(|| failed.unwrap_or_else(|| format!("{address} is not open")))?;
            fds.push(duplicate(listener)?);
        }
        fds
    };
    match daemon.ask(key, |op| Command::Install { op }, fds).await? {
        (Outcome::Done | Outcome::AlreadySo, _) => Ok(()),
        (_, text) => Err(text),
    }
}

/// What root tells while we run.
pub(crate) fn told(daemon: &Shared, tell: Tell) {
    match tell {
        Tell::KeeperStarted { slot, pid, error } => {
            let waiting = daemon.state.borrow_mut().forking.remove(&slot);
            if let Some(waiting) = waiting {
                let _ = waiting.send(if pid > 0 { Ok(pid) } else { Err(error) });
            }
        }
        // Its connection ends as well, which is the same news for keepers of every root.
        Tell::KeeperEnded { .. } => {}
        Tell::Signalled { signal } => crate::signals::came(daemon, signal),
        Tell::Welcome { .. } | Tell::Listener { .. } => {}
    }
}

/// The connection `life` of a slot has ended.
pub(crate) fn closed(daemon: &Shared, key: &Key, life: u64) {
    let keeper = {
        let mut state = daemon.state.borrow_mut();
        if state
            .keepers
            .get(key)
            .is_none_or(|keeper| keeper.life != life)
        {
            return;
        }
        let keeper = state.keepers.remove(key);
        if state.leaving.contains(key) || daemon.exit.get().is_some() {
            return;
        }
        keeper
    };
    let Some(keeper) = keeper else { return };
    crate::pools::running(daemon, key, State::Unknown);
    let making = Making::begin(daemon, key);
    let (missed, key) = (daemon.clone(), key.clone());
    let replace = async move { lost(&missed, &key, keeper, making).await };
    crate::vital::vital(daemon, replace);
}

/// A keeper is gone without having been told to: what it kept is killed (its children died with it, their children may
/// not have), then a new one takes its place.
async fn lost(daemon: &Shared, key: &Key, keeper: Keeper, making: Making) {
    let dir = daemon.run_dir.slot(keeper.number).dir;
    if let Ok(opened) = keeper::open(&dir, daemon.epoch, BROKEN_MAX).await {
        take_over(daemon, key, keeper.number, opened);
        return;
    }
    if daemon.state.borrow().mood == Mood::Shutdown {
        return;
    }
    let text = format!(
        "the keeper of {key} (pid {}) has ended; what it kept is killed and started again",
        keeper.pid
    );
    daemon.log(Level::Critical, &text);
    daemon.show(format!("{key}  {text}"));
    daemon.note(&Entry::note(sys::clock::wall_ms(), &key.to_string(), &text));
    kill_keeper(&keeper);
    kill_sessions(&keeper.pids);
    crate::pools::lost(daemon, key);
    let last = keeper.fact();
    let over = matches!(last.state, State::Exited | State::Fatal);
    if over && let Some(slot) = daemon.state.borrow_mut().active.slot_mut(key) {
        // It had ended by itself; a lost keeper is no reason to start it again.
        slot.up = false;
    }
    drop(making);
    let cause = Cause {
        why: Why::KeeperLost,
        text: "its keeper ended".to_owned(),
    };
    crate::settle::settle(
        daemon,
        Intent::Settle,
        std::rc::Rc::new(move |_| cause.clone()),
    )
    .await;
}

/// Kills every process of the sessions of these leaders (each generation has a session of its own). A number whose process
/// started at another time is somebody else's by now; one without a process is still ours, since the kernel gives no number
/// away that is the session of a living process.
fn kill_sessions(leaders: &[(i32, u64)]) {
    for (leader, started) in leaders {
        if sys::proc::stat(*leader).is_some_and(|stat| stat.start_ticks != *started) {
            continue;
        }
        for stat in sys::proc::session_members(*leader) {
            let _ = sys::signal::send(stat.pid, KILL);
        }
    }
}

/// Kills a keeper that does not answer, and what it keeps.
pub(crate) fn kill(daemon: &Shared, key: &Key) {
    let keeper = {
        let mut state = daemon.state.borrow_mut();
        state.leaving.remove(key);
        state.keepers.remove(key)
    };
    if let Some(keeper) = keeper {
        kill_keeper(&keeper);
        kill_sessions(&keeper.pids);
    }
}

fn kill_keeper(keeper: &Keeper) {
    let same = |stat: &sys::proc::Stat| stat.start_ticks == keeper.started && stat.state != 'Z';
    if let Some(stat) = sys::proc::stat(keeper.pid).filter(same) {
        let _ = sys::signal::send(stat.pid, KILL);
    }
}

/// Gets the listeners of a slot back from its keeper (a new root has none).
pub(crate) async fn listeners_back(daemon: &Shared, key: &Key) -> Vec<OwnedFd> {
    let op = daemon.number();
    let receive = {
        let mut state = daemon.state.borrow_mut();
        let Some(keeper) = state.keepers.get_mut(key) else {
            return Vec::new();
        };
        if !keeper.link.send(&Command::GiveListeners { op }, Vec::new()) {
            return Vec::new();
        }
        let (send, receive) = oneshot::channel();
        keeper.given.insert(op, send);
        receive
    };
    match tokio::time::timeout(CONNECT_MAX, receive).await {
        Ok(Ok(fds)) => fds,
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// Ends the keeper of a slot and removes its directory. The slot must be down.
pub(crate) async fn remove(daemon: &Shared, key: &Key) -> Result<(), String> {
    let number = {
        let mut state = daemon.state.borrow_mut();
        state.leaving.insert(key.clone());
        state.keepers.get(key).map(|keeper| keeper.number)
    };
    let result = match number {
        None => Ok(()),
        Some(_) => match daemon
            .ask(key, |op| Command::Leave { op }, Vec::new())
            .await
        {
            Ok((Outcome::Done, _)) | Err(_) => Ok(()),
            Ok((_, text)) => Err(text),
        },
    };
    let mut state = daemon.state.borrow_mut();
    state.leaving.remove(key);
    if result.is_ok() {
        state.keepers.remove(key);
        if let Some(number) = number {
            let _ = daemon.run_dir.remove_slot(number);
        }
    }
    result
}
