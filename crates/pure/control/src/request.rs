//! What is asked. Additive: a reader ignores keys that it does not know.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use crate::reply::Body;

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
