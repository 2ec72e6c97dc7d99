//! Benches side by side with what people run today, in one run, as ratios.

pub(crate) mod accounts;
pub(crate) mod doctor;
pub(crate) mod gateway;
pub(crate) mod s6;
pub(crate) mod sessions;
pub(crate) mod supervise;

use crate::shell::{cargo, note, run, target};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Clock ticks of `/proc/PID/stat` a second (USER_HZ is 100 on every Linux that Rust runs on).
pub(crate) const TICKS_PER_S: f64 = 100.0;

/// Builds the release binary, unless STEADFAST_BIN names one; its path.
pub(crate) fn binary() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("STEADFAST_BIN") {
        note(&format!("measuring {}", path.display()));
        return Ok(PathBuf::from(path));
    }
    run(cargo().args(["build", "--release", "--locked", "--package", "steadfast"]))?;
    Ok(target().join("release/steadfast"))
}

/// The one in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Lets `time` pass: a measured interval.
pub(crate) fn pass(time: Duration) {
    storm::wait::pace(time, &|| false);
}

/// Waits without rest, for times of milliseconds.
pub(crate) fn spin<T>(within: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    while begun.elapsed() < within {
        if let Some(value) = condition() {
            return Some(value);
        }
        std::hint::spin_loop();
    }
    None
}
