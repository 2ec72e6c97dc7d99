//! What is answered. Additive: a reader ignores keys that it does not know.

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::process::{ConfigInfo, ProcessInfo};
#[cfg(doc)]
use crate::request::Command;

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

/// The session store cannot be used.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoreTrouble {
    /// `unreachable`, `missing`, `empty`, `foreign` or `unreadable`.
    pub kind: String,
    /// Which store it is, what is wrong, what to do.
    pub text: String,
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
