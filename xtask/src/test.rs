//! `cargo xtask test`: the whole of it, and what CI runs.

use crate::setup;
use crate::shell::{cargo, note, output, run};
use std::path::PathBuf;
use std::process::Command;

/// Format, lints, every test. The runner's summary is the last thing that is printed.
pub(crate) fn all() -> Result<(), String> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    setup::packages(&setup::TESTS)?;
    let venv = setup::venv()?;
    let node = setup::node()?;
    let debian = setup::debian::root()?;
    run(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))?;
    let browser = crate::browser::checks();
    if let Err(why) = &browser {
        note(&format!(
            "the browser client: {why}; the other tests follow"
        ));
    }
    let parts = Parts { venv, node, debian };
    tests(&parts, &[])?;
    browser
}

/// Only the tests whose names contain one of `filters`.
pub(crate) fn some(filters: &[&str]) -> Result<(), String> {
    setup::packages(&setup::TESTS)?;
    let parts = Parts {
        venv: setup::venv()?,
        node: setup::node()?,
        debian: setup::debian::root()?,
    };
    tests(&parts, filters)
}

/// proptest's seed.
const WALKS: &str = "PROPTEST_RNG_SEED";

/// What tests find by their environment.
struct Parts {
    venv: PathBuf,
    node: PathBuf,
    debian: PathBuf,
}

fn tests(parts: &Parts, filters: &[&str]) -> Result<(), String> {
    // The same walks for everybody, so that nobody's change fails for what it did not do. `xtask fuzz` takes others, longer.
    let walks = std::env::var(WALKS).unwrap_or_else(|_| "1".to_owned());
    let with_environment = |command: &mut Command| {
        command
            .env(WALKS, &walks)
            .env("STEADFAST_VENV", &parts.venv)
            .env("STEADFAST_NODE", &parts.node)
            .env("STEADFAST_DEBIAN", &parts.debian)
            .env("STEADFAST_PY", parts.venv.join("bin/python"));
        run(command)
    };
    if output(cargo().args(["nextest", "--version"])).is_ok() {
        // Which tests run alone is said in .config/nextest.toml.
        return with_environment(
            cargo()
                .args([
                    "nextest",
                    "run",
                    "--workspace",
                    "--locked",
                    "--no-fail-fast",
                ])
                .args(filters),
        );
    }
    note(
        "cargo-nextest is not installed: cargo test runs the same tests, those on real parts one at a time",
    );
    let rest = cargo_test(&["--workspace", "--exclude", "steadfast"], filters, "2");
    let binary = cargo_test(&["--package", "steadfast", "--bins"], filters, "2");
    let real = cargo_test(&["--package", "steadfast", "--test", "it"], filters, "1");
    [rest, binary, real]
        .into_iter()
        .try_for_each(|mut command| with_environment(&mut command))
}

fn cargo_test(which: &[&str], filters: &[&str], threads: &str) -> Command {
    let mut command = cargo();
    command
        .args(["test", "--locked"])
        .args(which)
        .args(["--", "--test-threads", threads])
        .args(filters);
    command
}
