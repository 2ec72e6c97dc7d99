//! What is true of a slot now, published by its keeper: the switch that gateways and the daemon follow.
//!
//! All deadlines are milliseconds of CLOCK_MONOTONIC, which every process of one machine shares; times for
//! people are milliseconds of the wall clock.

word! {
    /// Supervisor's process states (supervisor.org, "Process States").
    pub enum State {
        /// Number 1000.
        8 => Unknown = "UNKNOWN",
        /// 0.
        1 => Stopped = "STOPPED",
        /// 10.
        2 => Starting = "STARTING",
        /// 20.
        3 => Running = "RUNNING",
        /// 30.
        4 => Backoff = "BACKOFF",
        /// 40.
        5 => Stopping = "STOPPING",
        /// 100.
        6 => Exited = "EXITED",
        /// 200.
        7 => Fatal = "FATAL",
    }
}

impl State {
    /// Supervisor's number of the state.
    pub fn code(self) -> i32 {
        match self {
            State::Stopped => 0,
            State::Starting => 10,
            State::Running => 20,
            State::Backoff => 30,
            State::Stopping => 40,
            State::Exited => 100,
            State::Fatal => 200,
            State::Unknown => 1000,
        }
    }
}

word! {
    /// What a gateway needs to know of the slot's current generation.
    pub enum Phase {
        /// Not ready yet; requests wait for *ready*, nobody probes.
        1 => Starting = "starting",
        /// Requests flow.
        2 => Ready = "ready",
        /// New requests wait, those in flight finish, then the keeper stops it (a restart).
        3 => Draining = "draining",
        /// Between two lives: back-off or just died. Requests wait.
        4 => Restarting = "restarting",
        /// It ended by itself and will not be started again. 503 after the window.
        5 => Exited = "exited",
        /// An operator stopped it. 503 after `window_until_ms`.
        6 => Stopped = "stopped",
        /// Start retries are used up: 503 at once.
        7 => Fatal = "fatal",
        /// The slot goes away; as stopped.
        8 => Removed = "removed",
        /// Draining for an operator's `steadfast stop`: new requests get 503 from the start.
        9 => DrainingToStop = "draining-to-stop",
    }
}

record! {
    /// What gateways counted for this slot since the slot exists.
    pub struct Counts {
        /// Requests handed to the program, all answers.
        1 => requests: u64,
        /// Requests that had to wait.
        2 => waited: u64,
        /// Requests that got an answer of ours instead of the program's, or were cut.
        3 => failed: u64,
        /// Longest wait of a request.
        4 => longest_wait_ms: u64,
        /// Of `failed`: handed over, then the program died ("may have run").
        5 => may_have_run: u64,
    }
}

impl Counts {
    /// Adds what another gateway counted.
    pub fn add(&mut self, other: &Counts) {
        self.requests = self.requests.saturating_add(other.requests);
        self.waited = self.waited.saturating_add(other.waited);
        self.failed = self.failed.saturating_add(other.failed);
        self.longest_wait_ms = self.longest_wait_ms.max(other.longest_wait_ms);
        self.may_have_run = self.may_have_run.saturating_add(other.may_have_run);
    }
}

record! {
    /// The old generation of an overlap while it is drained.
    pub struct Leaving {
        /// Its number.
        1 => generation: u64,
        /// CLOCK_MONOTONIC milliseconds at which it is stopped whatever is in flight.
        2 => deadline_ms: u64,
        /// Number of the key that it was started with; 0 = none.
        3 => key: u32,
    }
}

record! {
    /// What is wrong although it runs: with the session store, as a gateway's process says; with a program's `prove`.
    pub struct Trouble {
        /// `unreachable`, `missing`, `empty`, `foreign`, `unreadable`; `prove`.
        1 => kind: String,
        /// For people: what is wrong (and with which store), what to do.
        2 => text: String,
    }
}

record! {
    /// See the module. Each one published has a higher `seq` than the last.
    pub struct Fact {
        /// Number of the publication.
        1 => seq: u64,
        /// Number of the slot's directory.
        2 => slot: u32,
        /// Supervisor's group name.
        3 => group: String,
        /// Supervisor's process name.
        4 => process: String,
        /// The current generation; 0 = none was ever started.
        5 => generation: u64,
        /// What gateways act on.
        6 => phase: Phase,
        /// Supervisor's state.
        7 => state: State,
        /// Where the current generation answers: `unix:PATH`, `tcp:HOST:PORT`, or empty.
        8 => address: String,
        /// Pid of the current generation; 0 = none.
        9 => pid: i32,
        /// When it was started.
        10 => started_wall_ms: u64,
        /// When the last life ended; 0 = never.
        11 => stopped_wall_ms: u64,
        /// Hash of the spec of the current generation (of the next start when nothing runs).
        12 => spec_hash: String,
        /// Hash of the newest spec that a replacement refused; empty = none.
        13 => refused_hash: String,
        /// Exit status as Supervisor shows it (signal deaths: -1).
        14 => exit_status: i32,
        /// Why it could not be started, as Supervisor's `spawnerr`.
        15 => spawn_error: String,
        /// Deadline of the current drain, CLOCK_MONOTONIC ms; 0 = none.
        16 => drain_deadline_ms: u64,
        /// Stopped or exited: until when requests may still wait; 0 = not at all, u64::MAX = no end yet (only `hold` counts).
        17 => window_until_ms: u64,
        /// The old generation of an overlap.
        18 => leaving: Option<Leaving>,
        /// An operator wants it up.
        19 => wanted: bool,
        /// Starts since the keeper exists, less the first.
        20 => restarts: u32,
        /// Of `restarts`: asked for by an operator.
        21 => operator_restarts: u32,
        /// Consecutive failed starts (Supervisor's back-off count).
        22 => backoff: u32,
        /// The last keepalive check failed (0 = healthy): failures in a row.
        23 => unhealthy: u32,
        /// Requests as counted by gateways.
        24 => counts: Counts,
        /// When the current generation became ready; 0 = not yet.
        25 => ready_wall_ms: u64,
        /// Back-off: wall time of the next try; 0 = none.
        26 => next_try_wall_ms: u64,
        /// Pid of a second generation that is starting in an overlap; 0 = none.
        27 => next_pid: i32,
        /// Number of the key that the current generation was started with (`Spec::key`); 0 = none.
        28 => key: u32,
        /// What a generation that is starting has to become ready for: the last answer of its check; empty = nothing is
        /// waited for.
        29 => waiting: String,
        /// As `key`, of a second generation that is starting.
        30 => next_key: u32,
        /// Of a gateway: the session store cannot be used.
        31 => trouble: Option<Box<Trouble>>,
    }
}
