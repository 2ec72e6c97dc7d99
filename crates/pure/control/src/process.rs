//! One process, as it runs and as the file says.

use serde::{Deserialize, Serialize};

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
    /// What is wrong although it runs (its `prove` proves nothing); empty = nothing that is known.
    #[serde(default)]
    pub trouble: String,
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
