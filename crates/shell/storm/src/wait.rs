//! Waiting for a condition with a deadline, the only way in which this crate (and the tests) wait.

use std::time::{Duration, Instant};

/// How often a condition is looked at. Short, since figures are taken from it; long enough that 20 waiting
/// tests do not load the machine.
const POLL_MS: u64 = 5;

/// What must come gets so long in a test. Not what is tested: a loaded machine takes ten times as long for everything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks at `condition` until it gives a value or `within` is over.
pub fn until<T>(within: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + within;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(POLL_MS));
    }
}

/// Lets `time` pass unless `stopped` says otherwise. For the pace of strikes, never for a condition.
pub fn pace(time: Duration, stopped: &dyn Fn() -> bool) {
    until(time, || stopped().then_some(()));
}
