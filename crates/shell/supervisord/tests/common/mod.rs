//! What the tests with real clients and real servers share.
#![allow(dead_code, unreachable_pub)]

pub mod fake;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A program of the virtual environment with the real Supervisor.
pub fn venv(program: &str) -> PathBuf {
    let venv = std::env::var_os("STEADFAST_VENV");
    let venv = venv.expect("STEADFAST_VENV is not set: run cargo xtask test");
    Path::new(&venv).join("bin").join(program)
}

/// Runs a program of the environment. UTF-8 whatever the machine says, no colours, no surprises.
pub fn run(program: &str, args: &[&str]) -> Output {
    Command::new(venv(program))
        .args(args)
        .env("PYTHONIOENCODING", "utf-8")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("run")
}

/// Waits for a condition.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
