//! `cargo xtask fuzz [SECONDS]`: every target of `fuzz/` for a minute, or for so long; then the random walks of the pure
//! cores, about as long each.
//!
//! The targets run by their own generator on any toolchain; who has cargo-fuzz runs the same bodies under it
//! (`fuzz/README.md`). The seed is that of the day, and told: what is found can be played again. The tests take the same
//! walks every time (`xtask test`): what one in a hundred thousand finds is found here, and not by whoever comes next.

use crate::shell;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds for each target, when nothing else is said.
const SECONDS: u64 = 60;

/// Random tests, and how many of their cases take about a second in a release build.
const WALKS: [(&str, &str, u64); 9] = [
    ("process", "any_order", 20_000),
    ("hold", "random", 5_000),
    ("plan", "rules", 20_000),
    ("servers", "any_words", 50_000),
    ("session", "deep_sessions", 1_500),
    ("session", "deep_rotating", 150),
    ("conf", "properties", 3_000),
    ("events", "any_bytes", 100_000),
    ("h1", "properties", 30_000),
];

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
            .env("FUZZ_SEED", &seed),
    )?;
    walks(seconds, &seed)
}

fn walks(seconds: u64, seed: &str) -> Result<(), String> {
    for (package, test, per_second) in WALKS {
        let cases = seconds.saturating_mul(per_second).to_string();
        shell::note(&format!(
            "{package} {test}: PROPTEST_CASES={cases} PROPTEST_RNG_SEED={seed}"
        ));
        shell::run(
            shell::cargo()
                .args(["test", "--release", "--locked", "-p", package])
                .args(["--test", test])
                .env("PROPTEST_CASES", cases)
                .env("PROPTEST_RNG_SEED", seed)
                // Steps that fit nowhere are left out; in so many cases there are many.
                .env("PROPTEST_MAX_LOCAL_REJECTS", u32::MAX.to_string())
                .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1"),
        )?;
    }
    Ok(())
}
