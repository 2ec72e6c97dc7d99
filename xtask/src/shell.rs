//! Running other programs, and the one place that prints.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A line for people, to stderr: stdout is the test runner's and the tables'.
#[allow(clippy::print_stderr)]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// A result, to stdout.
#[allow(clippy::print_stdout)]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// The workspace.
pub(crate) fn workspace() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) => workspace().join(path),
        None => workspace().join("target"),
    }
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// Runs a command to its end, its output shown; an error unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let words = words(command);
    note(&format!("$ {words}"));
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{words}: {status}")),
        Err(error) => Err(format!("{words}: {error}")),
    }
}

/// Standard output of a command that succeeds.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let words = words(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{words}: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "{words}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn words(command: &Command) -> String {
    let all: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| OsStr::to_string_lossy(word).into_owned())
        .collect();
    let text = all.join(" ");
    text.chars().take(200).collect()
}

/// Where a program is, by PATH and the directories of system programs.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}
