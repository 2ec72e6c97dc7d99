//! Types of the control API. Additive: a reader ignores keys that it does not know.

use serde::{Deserialize, Serialize};

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Made by the client (random hex); a client that lost the daemon asks again with the same id and gets the
    /// answer of the operation, finished or not. Bounded: the daemon remembers the last 64.
    #[serde(default)]
    pub id: String,
    /// What to do.
    pub command: Command,
    /// Who asks, in words for the ledger: `root (pts/0)`, `XML-RPC user`. The daemon checks the uid of the socket's peer itself.
    #[serde(default)]
    pub operator: String,
}

/// Which processes: names as Supervisor takes them (`name`, `group:name`, `group:*`, `all`).
pub type Names = Vec<String>;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "kebab-case")]
pub enum Command {
    /// States of the named processes, all when empty. Body: [`Body::Status`].
    Status {
        /// Which.
        names: Names,
        /// Also slots of ours (the gateway).
        hidden: bool,
        /// Also what errors of the file left out (phase `refused`), which are no processes of Supervisor's.
        #[serde(default)]
        left_out: bool,
    },
    /// Start. Body: [`Body::Outcomes`].
    Start {
        /// Which.
        names: Names,
        /// Answer when RUNNING or failed, instead of at once.
        wait: bool,
    },
    /// Stop. Body: [`Body::Outcomes`].
    Stop {
        /// Which.
        names: Names,
        /// Answer when dead.
        wait: bool,
        /// Requests may still wait for `restart_window` after the answer (Supervisor's stop).
        window: bool,
    },
    /// Replace as configured; a `reload_signal` is never sent instead. Body: [`Body::Outcomes`].
    Restart {
        /// Which.
        names: Names,
        /// `hold` or `overlap` instead of the configured way.
        mode: Option<String>,
    },
    /// Read the file again and say what differs; changes nothing that runs. Body: [`Body::Changes`].
    Reread,
    /// Read the file again and bring everything in line, restarting only what changed. Body: [`Body::Changes`].
    /// `groups`: only these.
    Update {
        /// Which groups, all when empty.
        groups: Vec<String>,
    },
    /// Supervisor's `reload`: read the file and replace everything (`all`), or ours: only what changed.
    Reload {
        /// Everything.
        all: bool,
    },
    /// Send each of these programs its `reload_signal`. Body: [`Body::Outcomes`].
    ReloadPrograms {
        /// Which.
        names: Names,
    },
    /// What `update` would do. Body: [`Body::Plan`].
    Plan,
    /// Make a new key and restart the programs that have it, unnoticed. Body: [`Body::Rotated`].
    RotateKey {
        /// Name of the key.
        name: String,
        /// It leaked: tokens that it signed are refused from now on.
        compromised: bool,
    },
    /// Send a signal (number or name). Body: [`Body::Outcomes`].
    Signal {
        /// Which.
        names: Names,
        /// `HUP`, `SIGHUP` or `1`.
        signal: String,
    },
    /// Make a group of the last `reread` active (Supervisor's `add`). Body: [`Body::Outcomes`].
    AddGroup {
        /// Group.
        name: String,
    },
    /// Take a stopped group out (Supervisor's `remove`). Body: [`Body::Outcomes`].
    RemoveGroup {
        /// Group.
        name: String,
    },
    /// The configuration as last read, for `avail`. Body: [`Body::Available`].
    Available,
    /// Bytes of a log. Body: [`Body::Log`].
    ReadLog {
        /// Process, or empty for the activity log.
        name: String,
        /// stdout or stderr.
        channel: Channel,
        /// As Supervisor's readProcessStdoutLog: negative = from the end, and then `length` must be 0.
        offset: i64,
        /// 0 = to the end (at most 16 MiB at once).
        length: i64,
        /// As Supervisor's tailProcessStdoutLog: `offset` and overflow semantics.
        tail: bool,
    },
    /// Empty logs. Body: [`Body::Outcomes`].
    ClearLogs {
        /// Which processes; the activity log when `main`.
        names: Names,
        /// The activity log.
        main: bool,
    },
    /// Ledger entries, newest last. Body: [`Body::History`].
    History {
        /// Process, or all when empty.
        name: String,
        /// At most so many.
        limit: u32,
    },
    /// Write to the standard input of processes (Supervisor's `sendProcessStdin`). Body: [`Body::Outcomes`].
    Stdin {
        /// Which.
        names: Names,
        /// What.
        text: String,
    },
    /// An event for those who listen (Supervisor's `sendRemoteCommEvent`). Body: [`Body::Nothing`].
    RemoteEvent {
        /// Its `type` key.
        kind: String,
        /// Its body.
        data: String,
    },
    /// Everything that can be counted, in Prometheus' text format. Body: [`Body::Metrics`].
    Metrics,
    /// The daemon, its version, pids, configuration file, run directory. Body: [`Body::About`].
    About,
    /// End everything in order.
    Shutdown,
    /// How the operation with this id ended (after a lost connection). Body: whatever it was.
    Outcome {
        /// The request's id.
        id: String,
    },
}

/// Which output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line from the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// Something happened on the way.
    Progress(ProgressLine),
    /// The end.
    Done(Done),
}

/// Progress of one process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProgressLine {
    /// Process (`backend`, `group:name`).
    pub process: String,
    /// What happened, in words: `draining 3 requests`, `drained in 0.2 s`, `ready in 1.4 s, pid 2203`.
    pub text: String,
    /// Milliseconds since the command began.
    pub at_ms: u64,
}

/// The end of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Exit status for the command line: 0 done, 1 not as wished, 2 could not.
    pub exit: u8,
    /// Text for stderr when not 0, complete sentences: what, where, why, what to do.
    #[serde(default)]
    pub error: String,
    /// The data.
    pub body: Body,
}

impl Done {
    /// Done, with `body`.
    pub fn ok(body: Body) -> Done {
        Done {
            exit: 0,
            error: String::new(),
            body,
        }
    }
    /// Could not: `error` says why.
    pub fn failed(exit: u8, error: impl Into<String>) -> Done {
        Done {
            exit,
            error: error.into(),
            body: Body::Nothing,
        }
    }
}

/// Data of an answer.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Body {
    /// None.
    Nothing,
    /// [`Command::Status`].
    Status {
        /// In Supervisor's order (group priority, then name).
        processes: Vec<ProcessInfo>,
        /// What is wrong with the session store, if all processes are meant.
        #[serde(default)]
        store: Option<StoreTrouble>,
    },
    /// One outcome for each process that was meant.
    Outcomes {
        /// In the order of the work.
        outcomes: Vec<Outcome>,
    },
    /// [`Command::Reread`], [`Command::Update`].
    Changes {
        /// Groups new in the file.
        added: Vec<String>,
        /// Groups whose definition differs.
        changed: Vec<String>,
        /// Groups that are gone.
        removed: Vec<String>,
        /// What differs, for people: `backend: command …`, no secret values.
        detail: Vec<String>,
        /// Findings of the file, rendered for people.
        findings: Vec<String>,
        /// What differs, or was done, beside programs, for people: the gateway, the session store, the daemon's own settings.
        #[serde(default)]
        beside: Vec<String>,
        /// What was done for each process (update only).
        outcomes: Vec<Outcome>,
    },
    /// [`Command::Plan`].
    Plan {
        /// One step a line, in order.
        steps: Vec<String>,
    },
    /// [`Command::RotateKey`].
    Rotated {
        /// The key.
        name: String,
        /// Where it was replaced.
        homes: Vec<RotatedKey>,
        /// One for each process that was restarted.
        outcomes: Vec<Outcome>,
        /// For people.
        lines: Vec<String>,
    },
    /// [`Command::Available`].
    Available {
        /// As Supervisor's getAllConfigInfo, one per process of the file.
        configs: Vec<ConfigInfo>,
    },
    /// [`Command::ReadLog`].
    Log {
        /// The bytes, lossily as text.
        text: String,
        /// Offset behind the bytes.
        offset: i64,
        /// Supervisor's overflow flag of the tail calls.
        overflow: bool,
        /// The file, for `tail -f`.
        path: String,
    },
    /// [`Command::History`].
    History {
        /// Entries as in the ledger's file.
        entries: Vec<serde_json::Value>,
    },
    /// [`Command::Metrics`].
    Metrics {
        /// The text.
        text: String,
    },
    /// [`Command::About`].
    About(About),
}

/// Supervisor's faults, by their names (supervisor/xmlrpc.py).
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Fault {
    /// 1
    UnknownMethod,
    /// 2
    IncorrectParameters,
    /// 3
    BadArguments,
    /// 4
    SignatureUnsupported,
    /// 6
    ShutdownState,
    /// 10
    BadName,
    /// 11
    BadSignal,
    /// 20
    NoFile,
    /// 21
    NotExecutable,
    /// 30
    Failed,
    /// 40
    AbnormalTermination,
    /// 50
    SpawnError,
    /// 60
    AlreadyStarted,
    /// 70
    NotRunning,
    /// 80
    Success,
    /// 90
    AlreadyAdded,
    /// 91
    StillRunning,
    /// 92
    CantReread,
}

impl Fault {
    /// Supervisor's number.
    pub fn code(self) -> i32 {
        match self {
            Fault::UnknownMethod => 1,
            Fault::IncorrectParameters => 2,
            Fault::BadArguments => 3,
            Fault::SignatureUnsupported => 4,
            Fault::ShutdownState => 6,
            Fault::BadName => 10,
            Fault::BadSignal => 11,
            Fault::NoFile => 20,
            Fault::NotExecutable => 21,
            Fault::Failed => 30,
            Fault::AbnormalTermination => 40,
            Fault::SpawnError => 50,
            Fault::AlreadyStarted => 60,
            Fault::NotRunning => 70,
            Fault::Success => 80,
            Fault::AlreadyAdded => 90,
            Fault::StillRunning => 91,
            Fault::CantReread => 92,
        }
    }
    /// Supervisor's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Fault::UnknownMethod => "UNKNOWN_METHOD",
            Fault::IncorrectParameters => "INCORRECT_PARAMETERS",
            Fault::BadArguments => "BAD_ARGUMENTS",
            Fault::SignatureUnsupported => "SIGNATURE_UNSUPPORTED",
            Fault::ShutdownState => "SHUTDOWN_STATE",
            Fault::BadName => "BAD_NAME",
            Fault::BadSignal => "BAD_SIGNAL",
            Fault::NoFile => "NO_FILE",
            Fault::NotExecutable => "NOT_EXECUTABLE",
            Fault::Failed => "FAILED",
            Fault::AbnormalTermination => "ABNORMAL_TERMINATION",
            Fault::SpawnError => "SPAWN_ERROR",
            Fault::AlreadyStarted => "ALREADY_STARTED",
            Fault::NotRunning => "NOT_RUNNING",
            Fault::Success => "SUCCESS",
            Fault::AlreadyAdded => "ALREADY_ADDED",
            Fault::StillRunning => "STILL_RUNNING",
            Fault::CantReread => "CANT_REREAD",
        }
    }
}

/// How it went for one process.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Process name.
    pub name: String,
    /// Group name.
    pub group: String,
    /// [`Fault::Success`] or what went wrong.
    pub status: Fault,
    /// More words: the new pid, last lines of output, why refused.
    #[serde(default)]
    pub text: String,
}

/// One process, as Supervisor's getProcessInfo plus ours.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Process name.
    pub name: String,
    /// Group name.
    pub group: String,
    /// Supervisor's state name (`RUNNING`).
    pub state: String,
    /// Supervisor's state number.
    pub state_code: i32,
    /// Our word: ready, starting, draining, restarting, exited, stopped, fatal; refused = an error of the file left it out,
    /// `spawn_error` says which.
    pub phase: String,
    /// 0 = none.
    pub pid: i32,
    /// Wall clock, ms; 0 = never.
    pub started_ms: u64,
    /// Wall clock, ms; 0 = never.
    pub stopped_ms: u64,
    /// The daemon's clock, ms.
    pub now_ms: u64,
    /// Supervisor's exitstatus.
    pub exit_status: i32,
    /// Supervisor's spawnerr.
    pub spawn_error: String,
    /// Supervisor's description, exactly its text (`pid 12, uptime 0:00:03`).
    pub description: String,
    /// Path, or empty.
    pub stdout_logfile: String,
    /// Path, or empty.
    pub stderr_logfile: String,
    /// Generation.
    pub generation: u64,
    /// Starts after the first.
    pub restarts: u32,
    /// Of these, by an operator.
    pub operator_restarts: u32,
    /// Requests handled; gateway programs only, else None.
    pub requests: Option<u64>,
    /// Requests that waited.
    pub waited: Option<u64>,
    /// Requests that failed.
    pub failed: Option<u64>,
    /// Longest wait.
    pub longest_wait_ms: Option<u64>,
    /// Failed keepalive checks in a row.
    pub unhealthy: u32,
    /// What it listens on or is reached at, for people (`0.0.0.0:8001 -> backend`).
    pub listens: String,
    /// Why it is not reached there (somebody else has the address); empty = it is.
    #[serde(default)]
    pub unreachable: String,
    /// What it has to become ready for, and the last answer of that check; empty = nothing is waited for.
    #[serde(default)]
    pub waiting: String,
    /// A slot of ours (gateway).
    pub hidden: bool,
    /// Memory of its tree now, bytes; only where single processes are asked for.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// The first sample of this life, bytes; None = no sample yet.
    #[serde(default)]
    pub memory_first_bytes: Option<u64>,
    /// When that was, wall clock, ms.
    #[serde(default)]
    pub memory_first_ms: Option<u64>,
    /// `memory_max`, bytes; 0 = none.
    #[serde(default)]
    pub memory_max_bytes: u64,
    /// How much its tree could take at all: what it has and what is left on the machine, bytes.
    #[serde(default)]
    pub memory_limit_bytes: Option<u64>,
    /// It runs to its end (`oneshot`).
    #[serde(default)]
    pub oneshot: bool,
}

/// The session store cannot be used.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoreTrouble {
    /// `unreachable`, `missing`, `empty`, `foreign` or `unreadable`.
    pub kind: String,
    /// Which store it is, what is wrong, what to do.
    pub text: String,
}

/// One process of the file, as Supervisor's getAllConfigInfo.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ConfigInfo {
    /// Process name.
    pub name: String,
    /// Group name.
    pub group: String,
    /// In service (`inuse`).
    pub in_use: bool,
    /// `autostart`.
    pub autostart: bool,
    /// Group priority.
    pub group_priority: i32,
    /// Process priority.
    pub process_priority: i32,
    /// Everything else of getAllConfigInfo, by Supervisor's key names.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// About the daemon.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct About {
    /// Our version.
    pub version: String,
    /// Root's pid (Supervisor's getPID).
    pub root_pid: i32,
    /// The daemon's pid.
    pub daemon_pid: i32,
    /// Real path of the configuration, or empty.
    pub config: String,
    /// Run directory.
    pub run_dir: String,
    /// The activity log (Supervisor's `logfile`), or empty.
    #[serde(default)]
    pub logfile: String,
    /// `identifier` (Supervisor's getIdentification).
    pub identifier: String,
    /// Supervisor's state number: 1 RUNNING, 0 RESTARTING, -1 SHUTDOWN.
    pub state_code: i32,
    /// Supervisor's state name.
    pub state: String,
    /// The file on disk differs from what runs.
    pub file_differs: bool,
}

/// A key in one of its homes, replaced. No values.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedKey {
    /// The file.
    pub home: String,
    /// Number of the new value.
    pub new_id: u32,
    /// Number of the old one.
    pub old_id: u32,
    /// The old one verifies until then, Unix seconds; absent: not any more.
    #[serde(default)]
    pub until_s: Option<u64>,
    /// The old one verifies and has no end yet: something runs with it.
    #[serde(default)]
    pub in_use: bool,
    /// Programs that read it.
    pub programs: Vec<String>,
}
