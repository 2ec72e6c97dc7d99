//! What the daemon knows. One thread, so one cell; it is never borrowed across an await.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use control::{Progress, ProgressLine};
use ledger::Ledger;
use plan::Key;
use rundir::RunDir;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use wire::{Command, Fact, Outcome, Report};

use crate::activity::Activity;
use crate::calls::Handle;
use crate::lines::Level;
use crate::links::{keeper, root};
use crate::memory::Memory;
use crate::model::{Active, Server};
use crate::options::{Printer, Say, Source};

/// Pids of generations of one slot that are remembered, for the case that their keeper dies: two are alive at most, a
/// third may be on its way out.
const PIDS_MAX: usize = 4;

/// Shared by every task of the daemon.
pub(crate) type Shared = Rc<Daemon>;

/// The daemon.
pub(crate) struct Daemon {
    pub(crate) run_dir: RunDir,
    pub(crate) state_dir: PathBuf,
    pub(crate) source: Source,
    pub(crate) dev: bool,
    pub(crate) as_supervisord: bool,
    pub(crate) detached: bool,
    /// Keys of `[supervisord]` that beat the file's.
    pub(crate) settings: Vec<(String, String)>,
    /// Everything that starts by itself was started: nobody watches a detached daemon from then on.
    pub(crate) started: Cell<bool>,
    pub(crate) printer: Printer,
    pub(crate) epoch: u64,
    pub(crate) root_pid: i32,
    pub(crate) root: root::Link,
    /// For fronts that are opened later.
    pub(crate) handle: Handle,
    pub(crate) state: RefCell<State>,
    /// Exit status, once it is decided.
    pub(crate) exit: Cell<Option<i32>>,
    /// Directories wait for a gateway to go (`crate::reach`).
    pub(crate) regrouping: Cell<bool>,
    /// Told when it is.
    pub(crate) exiting: Notify,
    /// Exit status of everything, once the shutdown is over: 0, or that of an essential program.
    pub(crate) exit_status: Cell<i32>,
    /// Told when the model changed: what is tended may be other than before.
    pub(crate) tended: Notify,
    /// Reloads under way.
    pub(crate) reloads: Cell<u32>,
    /// Told when processes run with other keys than before.
    pub(crate) keys_moved: Notify,
}

/// Supervisor's moods (states.py).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// 1.
    Running,
    /// 0: everything is being replaced.
    Restarting,
    /// -1.
    Shutdown,
}

impl Mood {
    /// Supervisor's number.
    pub(crate) fn code(self) -> i32 {
        match self {
            Mood::Running => 1,
            Mood::Restarting => 0,
            Mood::Shutdown => -1,
        }
    }
    /// Supervisor's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Mood::Running => "RUNNING",
            Mood::Restarting => "RESTARTING",
            Mood::Shutdown => "SHUTDOWN",
        }
    }
}

/// One of Supervisor's servers that is open.
#[derive(Debug)]
pub(crate) struct Served {
    /// Accepts.
    pub(crate) task: JoinHandle<()>,
    /// For the next one at the same place.
    pub(crate) listener: OwnedFd,
}

/// See the module.
pub(crate) struct State {
    pub(crate) active: Active,
    /// The configuration as last read, if it was read again since it became active.
    pub(crate) file: Option<conf::Loaded>,
    pub(crate) keepers: BTreeMap<Key, Keeper>,
    pub(crate) listeners: BTreeMap<String, OwnedFd>,
    /// Files of Unix sockets as we made them (device and inode): another's in their place is not removed.
    pub(crate) sockets: BTreeMap<String, (u64, u64)>,
    /// Addresses that could not be bound, and why; of Supervisor's servers by [`Server::key`].
    pub(crate) failed_listeners: BTreeMap<String, String>,
    /// Slots that cannot be started, and why: no keeper knows of it, so `status` tells it from here.
    pub(crate) trouble: BTreeMap<Key, String>,
    pub(crate) mood: Mood,
    /// Supervisor's servers that are open.
    pub(crate) servers: BTreeMap<Server, Served>,
    /// Listeners of servers that root kept and that nobody has taken yet.
    pub(crate) kept: BTreeMap<String, OwnedFd>,
    pub(crate) ledger: Option<Ledger>,
    pub(crate) activity: Activity,
    pub(crate) watchers: Vec<Watcher>,
    pub(crate) memory: Memory,
    /// Keepers that are being forked: by slot number, who waits for the pid.
    pub(crate) forking: HashMap<u32, oneshot::Sender<Result<i32, String>>>,
    /// Slots whose keeper is being made; others wait for the same one.
    pub(crate) making: BTreeMap<Key, watch::Receiver<bool>>,
    /// Slots that are being removed: the end of their keeper is expected.
    pub(crate) leaving: BTreeSet<Key>,
    pub(crate) numbers: u64,
    /// Name of the key that is being rotated.
    pub(crate) rotating: Option<String>,
    /// What was told to `notify`, and what is known for it.
    pub(crate) news: crate::news::News,
    /// What was told of the session store.
    pub(crate) store: crate::stores::Told,
    /// Restarts by reason, since this daemon began.
    pub(crate) restarts: crate::restarts::Restarts,
    /// Memory of programs, as sampled.
    pub(crate) samples: BTreeMap<Key, crate::tend::Samples>,
    /// Events and who hears of them.
    pub(crate) pools: crate::pools::Pools,
}

impl State {
    /// At the beginning; `kept` is what root had.
    pub(crate) fn empty(kept: BTreeMap<String, OwnedFd>) -> State {
        State {
            active: Active::default(),
            file: None,
            keepers: BTreeMap::new(),
            listeners: BTreeMap::new(),
            sockets: BTreeMap::new(),
            failed_listeners: BTreeMap::new(),
            trouble: BTreeMap::new(),
            mood: Mood::Running,
            servers: BTreeMap::new(),
            kept,
            ledger: None,
            activity: Activity::default(),
            watchers: Vec::new(),
            memory: Default::default(),
            forking: Default::default(),
            making: BTreeMap::new(),
            leaving: BTreeSet::new(),
            numbers: 0,
            rotating: None,
            news: Default::default(),
            store: crate::stores::Told::default(),
            restarts: BTreeMap::new(),
            samples: BTreeMap::new(),
            pools: Default::default(),
        }
    }
}

/// A keeper that is connected.
pub(crate) struct Keeper {
    pub(crate) number: u32,
    pub(crate) pid: i32,
    /// Start time in clock ticks, which tells it from a later one with the same pid.
    pub(crate) started: u64,
    pub(crate) life: u64,
    pub(crate) link: keeper::Link,
    pub(crate) facts: watch::Sender<Fact>,
    pub(crate) answers: HashMap<u64, oneshot::Sender<(Outcome, String)>>,
    pub(crate) given: HashMap<u64, oneshot::Sender<Vec<OwnedFd>>>,
    /// Pid of the last transition to RUNNING; 0 = none was seen.
    pub(crate) ready_pid: i32,
    /// Last pids of its generations, with their start times in clock ticks.
    pub(crate) pids: Vec<(i32, u64)>,
    /// When the last life began, wall clock: a fact forgets it when the life ends.
    pub(crate) started_ms: u64,
}

impl Keeper {
    /// What is true now.
    pub(crate) fn fact(&self) -> Fact {
        self.facts.borrow().clone()
    }
    /// Takes a new fact in.
    pub(crate) fn take(&mut self, fact: Fact) {
        for pid in [fact.pid, fact.next_pid] {
            if pid > 0 && !self.pids.iter().any(|(known, _)| *known == pid) {
                if self.pids.len() >= PIDS_MAX {
                    self.pids.remove(0);
                }
                let started = sys::proc::stat(pid).map_or(0, |stat| stat.start_ticks);
                self.pids.push((pid, started));
            }
        }
        if fact.started_wall_ms > 0 {
            self.started_ms = fact.started_wall_ms;
        }
        self.facts.send_replace(fact);
    }
}

/// Somebody who wants to hear what happens to some slots while a command runs.
pub(crate) struct Watcher {
    pub(crate) keys: Vec<Key>,
    pub(crate) to: mpsc::UnboundedSender<(Key, Report)>,
}

impl Daemon {
    /// The next number for an operation or a connection.
    pub(crate) fn number(&self) -> u64 {
        let mut state = self.state.borrow_mut();
        state.numbers += 1;
        state.numbers
    }

    /// Says a line in the activity log, and on stdout where that is wanted.
    pub(crate) fn log(&self, level: Level, text: &str) {
        self.log_at(level, text, sys::clock::wall_ms());
    }

    /// The same of something that happened earlier.
    pub(crate) fn log_at(&self, level: Level, text: &str, wall_ms: u64) {
        let line = self.state.borrow_mut().activity.write(
            level,
            text,
            wall_ms,
            sys::clock::utc_offset_s(wall_ms),
        );
        {
            let state = self.state.borrow();
            if let Some(line) = line.as_ref().filter(|_| state.active.settings.syslog) {
                crate::syslog::send(&state.active.base_env, line, wall_ms);
            }
        }
        if let Some(line) = line.filter(|_| self.shows_log()) {
            (self.printer)(Say::Out(line));
        }
    }

    /// Supervisor's lines go to stdout: under its name, or if the file says nodaemon.
    pub(crate) fn shows_log(&self) -> bool {
        let state = self.state.borrow();
        let wanted = self.as_supervisord || state.active.settings.nodaemon;
        wanted && !self.detached && !state.active.settings.silent
    }

    /// A line of ours on the terminal.
    pub(crate) fn show(&self, text: String) {
        let watched = !self.detached || (!self.as_supervisord && !self.started.get());
        if watched && !self.shows_log() {
            (self.printer)(Say::Out(text));
        }
    }

    /// Writes the active model down; must succeed before anything is done.
    pub(crate) fn keep(&self) -> Result<(), String> {
        let bytes = self.state.borrow().active.to_bytes();
        self.run_dir
            .write_active(&bytes)
            .map_err(|why| why.to_string())
    }

    /// Writes an entry into the ledger; a full disk is said in the log and stops nothing.
    pub(crate) fn note(&self, entry: &ledger::Entry) {
        let result = match &mut self.state.borrow_mut().ledger {
            Some(ledger) => ledger.append(entry, sys::clock::wall_ms()).map(|_| ()),
            None => Ok(()),
        };
        if let Err(why) = result {
            self.log(Level::Error, &format!("cannot write the ledger: {why}"));
        }
    }

    /// The fact of a slot, if its keeper is connected.
    pub(crate) fn fact(&self, key: &Key) -> Option<Fact> {
        self.state.borrow().keepers.get(key).map(Keeper::fact)
    }

    /// Pid of the process that became ready last and still lives. A keeper answers before it publishes what is true now,
    /// so right after an answer the transition knows more than the fact.
    pub(crate) fn ready_pid(&self, key: &Key) -> Option<i32> {
        let state = self.state.borrow();
        let keeper = state.keepers.get(key)?;
        let fact = keeper.facts.borrow();
        let pid = if keeper.ready_pid > 0 {
            keeper.ready_pid
        } else {
            fact.pid
        };
        (fact.pid > 0 && pid > 0).then_some(pid)
    }

    /// Follows the facts of a slot.
    pub(crate) fn follow(&self, key: &Key) -> Option<watch::Receiver<Fact>> {
        self.state
            .borrow()
            .keepers
            .get(key)
            .map(|keeper| keeper.facts.subscribe())
    }

    /// Sends a command that has no answer.
    pub(crate) fn send(&self, key: &Key, command: &Command, fds: Vec<OwnedFd>) -> bool {
        self.state
            .borrow()
            .keepers
            .get(key)
            .is_some_and(|keeper| keeper.link.send(command, fds))
    }

    /// Sends a command and returns where its answer will come. The error says that the keeper is not there.
    pub(crate) fn request(
        &self,
        key: &Key,
        make: impl FnOnce(u64) -> Command,
        fds: Vec<OwnedFd>,
    ) -> Result<oneshot::Receiver<(Outcome, String)>, String> {
        let op = self.number();
        let (send, receive) = oneshot::channel();
        let mut state = self.state.borrow_mut();
        let keeper = state
            .keepers
            .get_mut(key)
            .ok_or_else(|| format!("{key} has no keeper"))?;
        if !keeper.link.send(&make(op), fds) {
            return Err(format!("the keeper of {key} does not answer"));
        }
        keeper.answers.insert(op, send);
        Ok(receive)
    }

    /// Sends a command and waits for its answer. The error says that the keeper is not there (any more).
    pub(crate) async fn ask(
        &self,
        key: &Key,
        make: impl FnOnce(u64) -> Command,
        fds: Vec<OwnedFd>,
    ) -> Result<(Outcome, String), String> {
        let answer = self.request(key, make, fds)?;
        answer
            .await
            .map_err(|_| format!("the keeper of {key} ended"))
    }

    /// Listens to what happens to these slots until the receiver is dropped.
    pub(crate) fn watch(&self, keys: Vec<Key>) -> mpsc::UnboundedReceiver<(Key, Report)> {
        let (to, receive) = mpsc::unbounded_channel();
        self.state.borrow_mut().watchers.push(Watcher { keys, to });
        receive
    }

    /// Remembers the file of a Unix socket that was just opened here, or that is open here since before this daemon. An empty
    /// path is none.
    pub(crate) fn know_socket(&self, path: &str) {
        let Some(file) = crate::listeners::file_of(path) else {
            return;
        };
        self.state
            .borrow_mut()
            .sockets
            .insert(path.to_owned(), file);
    }

    /// Whether the file of a Unix socket is still the one that we made.
    pub(crate) fn knows_socket(&self, path: &str) -> bool {
        let known = self.state.borrow().sockets.get(path).copied();
        known.is_some() && known == crate::listeners::file_of(path)
    }

    /// Removes the file of a Unix socket, if it is the one that we made.
    pub(crate) fn remove_socket(&self, path: &str) {
        let ours = self.knows_socket(path);
        self.state.borrow_mut().sockets.remove(path);
        if ours {
            let _ = sys::named::remove(path.as_ref());
        }
    }

    /// Where the ledger is.
    pub(crate) fn ledger_dir(&self) -> PathBuf {
        let state = self.state.borrow();
        match state.active.settings.state_dir.as_str() {
            "" => self.state_dir.clone(),
            dir => PathBuf::from(dir),
        }
    }
}

/// Says a line of progress.
pub(crate) fn say(progress: &Progress, process: &str, text: impl Into<String>, since_ms: u64) {
    progress.say(ProgressLine {
        process: process.to_owned(),
        text: text.into(),
        at_ms: sys::clock::mono_ms().saturating_sub(since_ms),
    });
}
