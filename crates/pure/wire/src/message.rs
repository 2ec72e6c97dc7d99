//! The messages on the three kinds of socket. Each message is one SEQPACKET frame.

use crate::codec::Field;
use crate::fact::{Counts, Fact, State};

/// Versions of the protocol that this build speaks; carried by every hello.
pub const VERSION_MIN: u32 = 1;
/// See [`VERSION_MIN`].
pub const VERSION_MAX: u32 = 1;
/// Bytes of the largest frame. Facts and transitions stay far below; specs and long texts go by memfd.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Bytes of free text in a transition or an answer (last lines of output): keeps frames small.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;
/// Transitions that a keeper keeps for a daemon that is away. A crash loop at the slowest back-off fills it in hours.
pub const RING_TRANSITIONS_MAX: usize = 256;

word! {
    /// Who is on the other end.
    pub enum Role {
        /// Something newer than this build.
        0 => Other = "other",
        /// The daemon.
        1 => Daemon = "daemon",
        /// A gateway worker.
        2 => Gateway = "gateway",
        /// A keeper.
        3 => Keeper = "keeper",
    }
}

record! {
    /// The first frame on every connection, from both ends.
    pub struct Hello {
        /// Who speaks.
        1 => role: Role,
        /// Lowest protocol version understood.
        2 => min: u32,
        /// Highest protocol version understood.
        3 => max: u32,
        /// Build, for messages (`0.1.0`).
        4 => build: String,
        /// The daemon's epoch (CLOCK_BOOTTIME ns when root started it); a keeper's: the highest it has seen.
        5 => epoch: u64,
        /// The keeper's own pid.
        6 => pid: i32,
        /// Number of the slot.
        7 => slot: u32,
    }
}

word! {
    /// Why something happened; the ledger keeps it.
    pub enum Why {
        /// Not known.
        0 => Unknown = "unknown",
        /// `autostart` at boot.
        1 => Boot = "boot",
        /// A command of a person (or of a tool) named in `text`.
        2 => Operator = "operator",
        /// The configuration changed; `text` has the diff.
        3 => ConfigChange = "config change",
        /// It ended by itself.
        4 => Crash = "crash",
        /// The kernel killed it for memory.
        5 => OutOfMemory = "out of memory",
        /// It was not ready in time.
        6 => NotReady = "not ready",
        /// The keepalive check failed too often.
        7 => Unhealthy = "unhealthy",
        /// A program it depends on.
        8 => Dependency = "dependency",
        /// Everything is being shut down.
        9 => Shutdown = "shutdown",
        /// Its keeper died.
        10 => KeeperLost = "keeper lost",
        /// The slot was removed from the configuration.
        11 => Removed = "removed",
        /// It ended by itself as expected (exit status in `exitcodes`).
        12 => Exit = "exit",
        /// Its tree took more memory than `memory_max`.
        13 => Memory = "memory",
    }
}

record! {
    /// A reason with its words, given along with each command.
    pub struct Cause {
        /// Kind.
        1 => why: Why,
        /// `restart by root (pts/0)`, `environment +LOG_LEVEL`, `status 1`, `SIGKILL`; at most [`TEXT_BYTES_MAX`].
        2 => text: String,
    }
}

choice! {
    /// Daemon to keeper, on `slots/N/control`, after a [`Hello`].
    pub enum Command {
        /// The spec in the attached memfd (first descriptor), its listeners behind it, is the one for the next
        /// start or replacement. What runs is not touched.
        1 => Install { 1 => op: u64, },
        /// Start unless it runs. Answered when RUNNING (ready), or when the start failed.
        2 => Start { 1 => op: u64, 2 => cause: Cause, },
        /// Stop unless it is down. Answered when dead. `window`: requests may wait for `restart_window`
        /// once [`Command::StopAnswered`] came (Supervisor's stop); otherwise 503 from the start.
        3 => Stop { 1 => op: u64, 2 => cause: Cause, 3 => window: bool, },
        /// Replace what runs by the installed spec, as its `replace` says; start it if nothing runs.
        4 => Restart { 1 => op: u64, 2 => cause: Cause, 3 => mode: Option<crate::spec::Replace>, },
        /// Send a signal to the process (Supervisor's `signal`).
        5 => Signal { 1 => op: u64, 2 => signal: i32, },
        /// The call that stopped it has been answered: the restart window begins.
        6 => StopAnswered {},
        /// Close and open the log files again (SIGUSR2).
        7 => ReopenLogs { 1 => op: u64, },
        /// Remove the log files' contents and backups (Supervisor's `clear`).
        8 => ClearLogs { 1 => op: u64, },
        /// Transitions up to and including `seq` are in the ledger.
        9 => Acknowledge { 1 => seq: u64, },
        /// Send duplicates of the slot's listeners ([`Report::Listeners`]).
        10 => GiveListeners { 1 => op: u64, },
        /// End the keeper. Refused while a process runs.
        11 => Leave { 1 => op: u64, },
        /// Root's own stdout and stderr, attached, replace those that the keeper has (a new root).
        12 => Outputs {},
        /// Do not start anything again by itself (shutdown has begun).
        13 => NoRestarts {},
        /// Write to the standard input of the process (Supervisor's `sendProcessStdin`). Refused: it is not running;
        /// no file: it has closed its end; failed: it does not read, and what waits is full.
        14 => Stdin { 1 => op: u64, 2 => text: String, },
        /// An event for the listener that it keeps, or in the attached memfd if `bytes` is empty. Answered by [`Report::Listener`].
        20 => Event { 1 => ticket: u64, 2 => bytes: Vec<u8>, },
        /// [`Report::Said`] up to and including `seq` have become events.
        21 => Heard { 1 => seq: u64, },
    }
}

word! {
    /// How an operation ended.
    pub enum Outcome {
        /// It could not be done; `text` says why.
        0 => Failed = "failed",
        /// As asked.
        1 => Done = "done",
        /// It was so already.
        2 => AlreadySo = "already so",
        /// Refused: it would contradict the state (Supervisor's NOT_RUNNING and the like).
        3 => Refused = "refused",
        /// The command does not exist (Supervisor's NO_FILE).
        4 => NoFile = "no file",
        /// The command is not executable (NOT_EXECUTABLE).
        5 => NotExecutable = "not executable",
        /// fork or exec failed (SPAWN_ERROR).
        6 => SpawnError = "spawn error",
        /// It ended before it was RUNNING (ABNORMAL_TERMINATION).
        7 => Abnormal = "abnormal termination",
        /// A newer command took its place.
        8 => Superseded = "superseded",
    }
}

record! {
    /// One change of state, kept in the ring until acknowledged.
    pub struct Transition {
        /// Its number, rising by one; never reused by this keeper.
        1 => seq: u64,
        /// When, wall clock.
        2 => wall_ms: u64,
        /// The state before.
        3 => from: State,
        /// The state after.
        4 => to: State,
        /// Generation.
        5 => generation: u64,
        /// Pid of the process that it is about.
        6 => pid: i32,
        /// Why.
        7 => cause: Cause,
        /// For an end: exit status, or -signal; None = it did not end.
        8 => exit: Option<i32>,
        /// For an end: how long it lived.
        9 => lived_ms: u64,
        /// For becoming ready: how long nothing was ready before; 0 for an overlap.
        10 => away_ms: u64,
        /// What gateways counted so far, at this moment.
        11 => counts: Counts,
        /// Supervisor's `expected` of EXITED.
        12 => expected: bool,
        /// A replacement by overlap took place (our REPLACED event); from and to are RUNNING.
        13 => replaced: bool,
        /// Back-off count of a STARTING or BACKOFF.
        14 => tries: u32,
        /// Warning text (leftovers named, a check's answer, last lines of output).
        15 => note: String,
        /// Milliseconds from start to ready, for a change to RUNNING.
        16 => took_ms: u64,
    }
}

/// Bytes of an event or of output that travel in a frame; longer ones go by memfd.
pub const INLINE_BYTES_MAX: usize = 32 * 1024;

word! {
    /// Where an event listener is (Supervisor's event listener states).
    pub enum ListenerPhase {
        /// It must say READY.
        1 => Acknowledged = "ACKNOWLEDGED",
        /// It waits for an event.
        2 => Ready = "READY",
        /// It has an event.
        3 => Busy = "BUSY",
        /// It broke the protocol.
        4 => Unknown = "UNKNOWN",
    }
}

word! {
    /// How an event ended in a listener's hands.
    pub enum EventEnd {
        /// Its listener ended, broke the protocol or did not wait for it.
        1 => Dropped = "dropped",
        /// Processed.
        2 => Processed = "processed",
        /// Rejected.
        3 => Rejected = "rejected",
    }
}

record! {
    /// A listener, as its keeper sees it.
    pub struct Listening {
        /// Where it is.
        1 => phase: ListenerPhase,
        /// Ticket of the event that it has; 0 = none.
        2 => busy: u64,
        /// Ticket of the last event that ended.
        3 => done: u64,
        /// How that ended.
        4 => how: EventEnd,
    }
}

record! {
    /// Output of a program that somebody wants to hear of.
    pub struct Said {
        /// Number in the keeper's life.
        1 => seq: u64,
        /// When it was read.
        2 => wall_ms: u64,
        /// Whose it was.
        3 => pid: i32,
        /// It came from standard error.
        4 => stderr: bool,
        /// It stood between Supervisor's marks (PROCESS_COMMUNICATION); otherwise any output (PROCESS_LOG).
        5 => captured: bool,
        /// The bytes.
        6 => data: Vec<u8>,
    }
}

choice! {
    /// Keeper to daemon, after its own [`Hello`].
    pub enum Report {
        /// What is true now. Sent after the hello and at every change.
        1 => Now { 1 => fact: Fact, },
        /// What happened. Sent from the ring until acknowledged.
        2 => Happened { 1 => transition: Transition, },
        /// An operation ended.
        3 => Answer { 1 => op: u64, 2 => outcome: Outcome, 3 => text: String, },
        /// The listeners are attached, in the order of the spec.
        4 => Listeners { 1 => op: u64, 2 => count: u32, },
        /// This connection's epoch is too low; the keeper closes it.
        5 => StaleEpoch { 1 => seen: u64, },
        /// Progress of a drain, for people: requests still in flight.
        6 => Drain { 1 => in_flight: u64, 2 => drained: bool, 3 => took_ms: u64, },
        /// Where the event listener is and what became of the events that it was sent; at the start and at each change.
        20 => Listener { 1 => listening: Listening, },
        /// Output that has to become an event, from a queue until acknowledged; its data is in the attached memfd if it
        /// is longer than [`INLINE_BYTES_MAX`].
        21 => Said { 1 => said: Said, },
    }
}

choice! {
    /// Gateway to keeper, on `slots/N/events`, after a [`Hello`].
    pub enum Notice {
        /// The fact `seq` is acted on: nothing new goes to what it closed. `in_flight` = requests still there.
        1 => Acknowledge { 1 => seq: u64, 2 => in_flight: u64, },
        /// Nothing of this worker is in flight at `generation` any more; `cut` were ended by force.
        2 => Drained { 1 => generation: u64, 2 => finished: u64, 3 => cut: u64, },
        /// Counts of this worker since it started; sent when they changed, at most twice a second.
        3 => Counted { 1 => counts: Counts, },
    }
}

choice! {
    /// Keeper to gateway, after its own [`Hello`].
    pub enum Publish {
        /// The whole truth, at the start and at each change.
        1 => Now { 1 => fact: Fact, },
    }
}

choice! {
    /// Daemon to root, on the socket pair.
    pub enum Order {
        /// Fork a keeper for `slot` in directory `dir`. `events_gid`: group that may connect to its events socket.
        1 => SpawnKeeper { 1 => slot: u32, 2 => dir: String, 3 => events_gid: Option<u32>, 4 => name: String, },
        /// Keep a duplicate of the attached listening socket under this key.
        2 => KeepListener { 1 => key: String, },
        /// Close the duplicate.
        3 => DropListener { 1 => key: String, },
        /// A keeper of an earlier root: signal it too if the daemon does not answer at shutdown.
        4 => AdoptKeeper { 1 => pid: i32, },
        /// The daemon serves: from now on its end means a restart of it, not the end of root.
        5 => Up {},
        /// Everything has ended; root exits with this status.
        6 => Exit { 1 => status: i32, },
        /// The shutdown signal is being acted on; without this within 5 s root sends SIGTERM to the keepers itself.
        7 => ShuttingDown {},
        /// Everything that starts by itself was started: whoever started root in the background may go.
        8 => Started {},
        /// The file is being made active again; [`Order::Started`] says when that is over.
        9 => Reloading {},
    }
}

choice! {
    /// Root to daemon.
    pub enum Tell {
        /// First frame: epoch, and how many [`Tell::Listener`] frames follow.
        1 => Welcome { 1 => epoch: u64, 2 => listeners: u32, 3 => root_pid: i32, 4 => restarted: bool, },
        /// A kept listener, attached.
        2 => Listener { 1 => key: String, },
        /// The keeper was forked (pid), or not (pid 0 and why).
        3 => KeeperStarted { 1 => slot: u32, 2 => pid: i32, 3 => error: String, },
        /// A keeper that root forked has ended.
        4 => KeeperEnded { 1 => slot: u32, 2 => pid: i32, 3 => status: i32, },
        /// Root got this signal (TERM INT QUIT HUP USR2).
        5 => Signalled { 1 => signal: i32, },
    }
}

/// The bytes of one frame.
pub fn encode(message: &impl Field) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    message.put(&mut out);
    out
}

/// Reads one frame.
pub fn decode<T: Field>(mut bytes: &[u8]) -> Result<T, crate::Error> {
    T::get(&mut bytes)
}
