//! No core dump of a process that holds keys: they would lie in a file, or with whoever collects dumps.
//!
//! The soft limit is set to one byte. The kernel writes no file for so little, and takes 1 as *no* for a collector behind
//! a pipe too, which a limit of 0 does not stop (core(5), `do_coredump`). Unlike PR_SET_DUMPABLE it leaves /proc/PID to
//! its user, by which the doctor, who need not be root, sees what is going on. Programs keep the limit that the
//! supervisor was started with: [`restore`] gives it back between fork and exec.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::OnceLock;

/// The limits before.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// From now on this process leaves no core dump.
pub fn none() {
    let before = *BEFORE.get_or_init(|| getrlimit(Resource::Core));
    // Where nothing is allowed at all, not even one byte can be.
    let least = before.maximum.map_or(1, |maximum| maximum.min(1));
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(least),
            ..before
        },
    );
}

/// In a child that is about to be another program: the limits as they were. Two system calls, no allocation.
pub fn restore() {
    if let Some(before) = BEFORE.get() {
        let _ = setrlimit(Resource::Core, *before);
    }
}
