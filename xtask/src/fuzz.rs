//! `cargo xtask fuzz [SECONDS]`: every target of `fuzz/` for a minute, or for so long.
//!
//! The targets run by their own generator on any toolchain; who has cargo-fuzz runs the same bodies under it
//! (`fuzz/README.md`). The seed is that of the day, and told: what is found can be played again.

use crate::shell;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds for each target, when nothing else is said.
const SECONDS: u64 = 60;

pub(crate) fn run(seconds: Option<&str>) -> Result<(), String> {
    let seconds = match seconds {
        None => SECONDS,
        Some(text) => text
            .parse()
            .map_err(|_| format!("{text} is not a number of seconds"))?,
    };
    // A seed, not a time that anything is measured by.
    #[allow(clippy::disallowed_methods)]
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let day = now.map_or(0, |time| time.as_secs() / 86_400);
    let seed = std::env::var("FUZZ_SEED").unwrap_or_else(|_| day.to_string());
    shell::note(&format!("every target for {seconds} s, FUZZ_SEED={seed}"));
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let manifest = shell::workspace().join("fuzz/Cargo.toml");
    shell::run(
        Command::new(cargo)
            .args(["test", "--release", "--manifest-path"])
            .arg(manifest)
            .args(["--", "--test-threads=1"])
            .env("FUZZ_SECONDS", seconds.to_string())
            .env("FUZZ_SEED", seed),
    )
}
