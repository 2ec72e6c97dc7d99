//! The browser client's checks: types, unit tests, the package, and real Chromium against the real binary.

use crate::setup;
use crate::shell::{cargo, note, run, target, which, workspace};
use std::path::PathBuf;
use std::process::Command;

/// All of it. The binary is built first: ten tabs use it.
pub(crate) fn checks() -> Result<(), String> {
    setup::packages(&setup::BROWSER)?;
    dependencies()?;
    let python = setup::venv()?.join("bin/python");
    run(cargo().args(["build", "--locked", "--package", "steadfast"]))?;
    // `unit` says as well whether the bundle in the binary is what the sources say.
    for script in ["types", "unit", "dist", "lint:package", "chromium"] {
        run(npm()
            .args(["run", "--silent", script])
            .env("STEADFAST_BIN", target().join("debug/steadfast"))
            .env("STEADFAST_PY", &python)
            .env("STEADFAST_CHROMIUM", chromium()?))?;
    }
    Ok(())
}

fn chromium() -> Result<PathBuf, String> {
    which("chromium").ok_or_else(|| "chromium is missing although it was installed".to_owned())
}

fn home() -> PathBuf {
    workspace().join("clients/browser")
}

fn npm() -> Command {
    let mut command = Command::new("npm");
    command.current_dir(home());
    command
}

/// What the lock file names, or what was installed from the same one.
fn dependencies() -> Result<(), String> {
    let lock = home().join("package-lock.json");
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let wanted = read(&lock)?;
    let stamp = home().join("node_modules/.steadfast-stamp");
    if crate::setup::is_made(&stamp, &wanted) {
        note("have the browser client's dependencies");
        return Ok(());
    }
    run(npm().args(["ci", "--silent", "--no-audit", "--no-fund"]))?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}
