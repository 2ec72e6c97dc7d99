//! The system's log, for `[supervisord] logfile = syslog` and as a path for keepers.

use std::collections::BTreeMap;

/// Variable that names another socket than `/dev/log`, for containers that have it elsewhere.
const VARIABLE: &str = "STEADFAST_SYSLOG";

/// The socket that is written to; empty = where systems have it.
pub(crate) fn socket(env: &BTreeMap<String, String>) -> String {
    env.get(VARIABLE).cloned().unwrap_or_default()
}

/// Sends one line of the activity log, with its own time and level as Supervisor's has it. Nobody is told of a failure:
/// there is no other place.
pub(crate) fn send(env: &BTreeMap<String, String>, line: &str, wall_ms: u64) {
    let mut log = sys::syslog::Syslog::new(&socket(env));
    let _ = log.send("supervisord", line.as_bytes(), wall_ms);
}
