//! The gateway: a worker process that keeps the listening sockets of programs, and their requests through a restart.
//!
//! ```text
//!  listeners ── accept ── client task ── exchange ── attempt ── deliver / tunnel
//!                             │              │ park        │ one send, its outcome
//!                             │              ▼             ▼
//!                          worker         target (hold::Program: queue, pace, table)
//!                                            ▲ facts            │ Acknowledge, Drained, Counted
//!                                            └──── keeper ◄─────┘
//! ```
//! One process, one thread, one task per client connection; that task also reads and writes the program's connection, so
//! a request costs two reads and two writes and no hand-over. More workers are more slots. What may wait and what may be
//! repeated is [`hold`]'s to decide; what is HTTP is [`h1`]'s.
//!
//! *Bugs*: a panic in a connection's task ends that connection. The tasks beside them serve for good and are made again
//! ([`bugs`]). Where a panic may have left something half changed, the worker ends ([`torn`]).
//!
//! *Invariants*: the configuration comes frozen from the daemon and no other file is read; the truth about a slot comes
//! from its keeper, never from the daemon; nothing is closed that a client might be about to use.

mod accept;
mod attempt;
mod buf;
mod client;
mod connect;
mod deliver;
mod door;
mod exchange;
mod forward;
mod frames;
mod handle;
mod keeper;
mod limits;
mod minted;
mod note;
mod own;
#[cfg(test)]
mod panics;
mod site;
mod stream;
mod successor;
mod target;
mod telling;
mod tokens;
mod torn;
mod tunnel;
mod upload;
mod upstream;
mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use hold::{Room, Slot};
use rustix::fd::OwnedFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, LocalSet};

use crate::accept::Socket;
use crate::connect::Whose;
use crate::door::Door;
use crate::keeper::Unheard;
use crate::limits::{CONFIG_BYTES_MAX, LEAVE_LOOK_MS, SUBSCRIBE_MS_MAX, TORN_MS_MAX};
use crate::site::Site;
use crate::target::Target;
use crate::tokens::Tokens;
use crate::torn::Torn;
use crate::worker::Worker;

pub use crate::telling::News;

/// The configuration, which stands in a crate of its own so that the daemon can write it.
pub mod config {
    pub use routes::{Auth, Config, Jwt, JwtKey, Listener, Ready, Route, Sessions, Slot, Target};
}

/// Environment variable with the number of the descriptor that holds the configuration.
pub const CONFIG_FD: &str = "STEADFAST_CONFIG_FD";
/// Environment variable with the number of the descriptor on which readiness is told.
pub const READY_FD: &str = "STEADFAST_READY_FD";

/// The exit status after a bug: that of a panic.
const BUG: u8 = 101;

/// Why a worker did not start, or could not stay.
#[derive(Debug)]
pub enum Error {
    /// There is no configuration.
    NoConfig,
    /// The configuration cannot be read.
    Config(String),
    /// A listener is described but not handed over.
    Listeners {
        /// In the configuration.
        wanted: usize,
        /// Handed over.
        given: usize,
    },
    /// A socket, the runtime or a signal handler failed.
    Io(&'static str, io::Error),
    /// A bug of ours (it was told) left what is known of requests half changed: another worker has to begin anew.
    Torn,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoConfig => write!(f, "no configuration: {CONFIG_FD} names no descriptor"),
            Error::Config(why) => f.write_str(why),
            Error::Listeners { wanted, given } => {
                write!(
                    f,
                    "{wanted} listeners are configured, {given} were handed over"
                )
            }
            Error::Io(what, error) => write!(f, "{what}: {error}"),
            Error::Torn => f.write_str(
                "a bug left what it knows of requests half changed: it ends, and its keeper starts it anew",
            ),
        }
    }
}

impl std::error::Error for Error {}

/// Why a worker leaves, which says what becomes of connections that nobody uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Another worker has taken over (SIGTERM). A client that sends its next request on an idle connection is answered
    /// and told to close; closing it first would fail requests that are on their way.
    Replaced,
    /// Nobody comes after it (SIGINT, which the daemon sends when everything is shut down): idle connections are closed
    /// at once, for nobody will be there to use them.
    ForGood,
}

/// A gateway worker as a keeper starts it: see the module and [`CONFIG_FD`], [`READY_FD`], LISTEN_FDS. Ends with 0 when
/// it was asked to leave and all its requests are over.
pub fn run() -> ExitCode {
    match run_from_environment() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note::Notes::default().say(&format!("gateway: {error}"));
            ExitCode::from(match error {
                Error::Torn => BUG,
                Error::NoConfig | Error::Config(_) | Error::Listeners { .. } | Error::Io(..) => 2,
            })
        }
    }
}

fn run_from_environment() -> Result<(), Error> {
    // It holds the keys of all programs.
    sys::dumps::none();
    bugs::tell();
    let listeners = sys::fds::listeners_from_env();
    let memory = sys::fds::fd_from_env(CONFIG_FD).ok_or(Error::NoConfig)?;
    let bytes = sys::memfd::read(&memory, CONFIG_BYTES_MAX)
        .map_err(|error| Error::Config(format!("configuration: {error}")))?;
    let config = config::Config::from_bytes(&bytes).map_err(Error::Config)?;
    let ready = sys::fds::fd_from_env(READY_FD);
    raise_descriptor_limit();
    if let Some(ready) = &ready {
        // A keeper that does not read must not stop requests.
        let _ = rustix::io::ioctl_fionbio(ready, true);
    }
    let tell = move |news: News<'_>| match &ready {
        Some(ready) => telling::write(ready, news),
        None => true,
    };
    serve(config, listeners, tell, asked_to_leave())
}

/// SIGTERM or SIGINT.
async fn asked_to_leave() -> Leave {
    let signals = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    match signals {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => Leave::Replaced,
                _ = interrupt.recv() => Leave::ForGood,
            }
        }
        // Without handlers the signals end the process by themselves.
        (Err(_), _) | (_, Err(_)) => std::future::pending().await,
    }
}

/// Every connection is a descriptor, and the usual soft limit of 1,024 is for programs that use select.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Only raised: where it is refused, fewer connections fit, and accept copes with that.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Serves `listeners` (in the order of the configuration) on this thread until `leave` is ready and all requests are
/// over. `tell` hears when connections are accepted, and of trouble with the session store; it says whether that is done, or
/// is to be told again.
pub fn serve(
    config: config::Config,
    listeners: Vec<OwnedFd>,
    tell: impl Fn(News<'_>) -> bool + 'static,
    leave: impl Future<Output = Leave>,
) -> Result<(), Error> {
    if listeners.len() < config.listeners.len() {
        return Err(Error::Listeners {
            wanted: config.listeners.len(),
            given: listeners.len(),
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| Error::Io("async runtime", error))?;
    let local = LocalSet::new();
    let end = local.block_on(&runtime, work(config, listeners, Rc::new(tell), leave));
    drop(local);
    // The look-up of a name, or a read from a disk that hangs, keeps nobody from being served by the next worker.
    runtime.shutdown_background();
    end
}

async fn work(
    config: config::Config,
    listeners: Vec<OwnedFd>,
    tell: Rc<dyn Fn(News<'_>) -> bool>,
    leave: impl Future<Output = Leave>,
) -> Result<(), Error> {
    let mut sockets = Vec::new();
    for fd in listeners {
        sockets.push(Socket::new(fd).map_err(|error| Error::Io("listener", error))?);
    }
    let torn = Rc::new(Torn::default());
    let mut targets: BTreeMap<&str, Rc<Target>> = BTreeMap::new();
    for (name, target) in &config.targets {
        let tokens = tokens(name, target)?;
        targets.insert(
            name,
            Rc::new(Target::new(
                name,
                slots(target),
                whose(target),
                tokens,
                torn.clone(),
            )),
        );
    }
    let door = match &config.sessions {
        Some(sessions) => Some(Rc::new(
            Door::open(sessions.clone()).await.map_err(Error::Config)?,
        )),
        None => None,
    };
    if let Some(door) = &door {
        door::streams::start(door);
        let mut troubles = door.accounts.troubles();
        // Before it is ready: what is so from the start is no news after it.
        if let Some(trouble) = &*troubles.borrow_and_update() {
            tell(News::Store(Some(trouble)));
        }
        telling::start(troubles, tell.clone());
    }
    let bound =
        |of: fn(&config::Listener) -> u64| config.listeners.iter().map(of).max().unwrap_or(0);
    let room = Room::new(
        u32::try_from(bound(|listener| u64::from(listener.hold_max))).unwrap_or(u32::MAX),
        bound(|listener| listener.hold_bytes_max),
    );
    let worker = Rc::new(Worker::new(
        targets.values().cloned().collect(),
        room,
        config.connections_max.max(1) as usize,
    ));
    // Polled from the start, so that a signal is heard while keepers are waited for.
    tokio::pin!(leave);
    tokio::select! {
        biased;
        _ = &mut leave => return Ok(()),
        () = background(&worker, &config, &targets) => {}
    }
    let mut accepting = Vec::new();
    for (listener, socket) in config.listeners.iter().zip(sockets) {
        let find = |name: &str| targets.get(name).cloned();
        let site = Site::new(listener.clone(), door.clone(), find).map_err(Error::Config)?;
        let site = Rc::new(site);
        accepting.push(accept::start(worker.clone(), site, socket));
    }
    tell(News::Ready);
    let end = stay(&worker, &torn, accepting, leave, config.leave_ms_max).await;
    if let Some(door) = &door {
        // A store that does not answer need not be told.
        let limit = Duration::from_millis(SUBSCRIBE_MS_MAX);
        let _ = tokio::time::timeout(limit, door.accounts.leave()).await;
    }
    end
}

/// Serves until it is to leave, and leaves.
async fn stay(
    worker: &Worker,
    torn: &Torn,
    accepting: Vec<JoinHandle<()>>,
    leave: impl Future<Output = Leave>,
    leave_ms_max: u64,
) -> Result<(), Error> {
    let asked = tokio::select! {
        biased;
        () = torn.heard() => None,
        why = leave => Some(why),
    };
    for task in accepting {
        task.abort();
    }
    if let Some(why) = asked {
        worker.for_good.set(why == Leave::ForGood);
        tokio::select! {
            biased;
            () = torn.heard() => {}
            () = worker.leave_all(leave_ms_max, LEAVE_LOOK_MS) => return Ok(()),
        }
    }
    // Its keeper has another one started once it has ended: as for those whom a successor serves.
    worker.leave_all(TORN_MS_MAX, LEAVE_LOOK_MS).await;
    Err(Error::Torn)
}

/// Starts the tick, the probes and the talks with keepers; returns when every keeper that answers has spoken.
async fn background(
    worker: &Rc<Worker>,
    config: &config::Config,
    targets: &BTreeMap<&str, Rc<Target>>,
) {
    worker.start_ticking();
    let unheard = Rc::new(Unheard::default());
    for (name, kind) in &config.targets {
        let Some(target) = targets.get(name.as_str()) else {
            continue;
        };
        target.start_probing(worker);
        let slots = match kind {
            config::Target::Program { slots, .. } => slots,
            config::Target::Upstream { address, ready, .. } => {
                if let Some(ready) = ready.clone() {
                    let (worker, address) = (worker.clone(), address.clone());
                    let target = target.clone();
                    upstream::start(worker, target, address, ready);
                }
                continue;
            }
        };
        for (at, slot) in slots.iter().enumerate() {
            let (worker, target) = (worker.clone(), target.clone());
            keeper::start(worker, target, at, slot.events.clone(), &unheard);
        }
    }
    let limit = Duration::from_millis(SUBSCRIBE_MS_MAX);
    // A keeper that does not answer in time is followed all the same.
    let _ = tokio::time::timeout(limit, unheard.none()).await;
}

/// How a target's tokens are made.
fn tokens(name: &str, target: &config::Target) -> Result<Option<Tokens>, Error> {
    let (jwt, fixed) = match target {
        config::Target::Program { jwt, .. } => (jwt, false),
        config::Target::Upstream { jwt, .. } => (jwt, true),
    };
    let now_s = sys::clock::wall_ms() / 1000;
    let tokens = jwt.as_ref().map(|jwt| Tokens::new(jwt, fixed, now_s));
    let tokens = tokens.transpose();
    tokens.map_err(|why| Error::Config(format!("tokens of {name}: {why}")))
}

/// Whom the socket of each slot may belong to.
fn whose(target: &config::Target) -> Vec<Whose> {
    match target {
        config::Target::Program { slots, .. } => {
            let owners = slots.iter().map(|slot| slot.owner);
            owners.map(|owner| Whose::Program { owner }).collect()
        }
        config::Target::Upstream { .. } => vec![Whose::Anybody],
    }
}

fn slots(target: &config::Target) -> Vec<Slot> {
    match target {
        config::Target::Program { slots, .. } => slots.iter().map(|_| Slot::unknown()).collect(),
        config::Target::Upstream {
            address,
            ready: Some(_),
            ..
        } => vec![Slot::fixed_and_asked(address)],
        config::Target::Upstream { address, .. } => vec![Slot::fixed(address)],
    }
}
