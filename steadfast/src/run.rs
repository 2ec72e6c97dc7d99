//! `steadfast run`: from a command line to root.

use crate::printer;
use rundir::{Identity, Layout, Lock, RunDir, Surroundings};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What to run.
pub(crate) struct Plan {
    pub(crate) config: Option<PathBuf>,
    pub(crate) command: Vec<String>,
    pub(crate) detach: bool,
    pub(crate) dev: bool,
    pub(crate) as_supervisord: bool,
}

/// Becomes root. Returns the exit status, in the process that was started and, when detached, in the new one.
pub(crate) fn run(plan: Plan) -> i32 {
    match prepare(&plan) {
        Ok(status) => status,
        Err(text) => {
            printer::note(&format!("steadfast: {text}"));
            2
        }
    }
}

fn prepare(plan: &Plan) -> Result<i32, String> {
    let (identity, source) = if plan.command.is_empty() {
        let path = match &plan.config {
            Some(path) => path.clone(),
            None => found()?,
        };
        let identity = Identity::of_file(&path).map_err(|error| error.to_string())?;
        let real = path
            .canonicalize()
            .map_err(|error| format!("{}: {error}", path.display()))?;
        (identity, vec!["-c".to_owned(), text_of(&real)?])
    } else {
        let directory =
            std::env::current_dir().map_err(|error| format!("the current directory: {error}"))?;
        let mut source = vec!["--".to_owned()];
        source.extend(plan.command.iter().cloned());
        (Identity::Command(plan.command.clone(), directory), source)
    };
    sys::fds::ensure_standard().map_err(|error| format!("standard descriptors: {error}"))?;
    let layout = Layout::of(&identity, &Surroundings::here());
    let run_dir = RunDir::create(&layout).map_err(|error| error.to_string())?;
    let ready = if plan.detach {
        match detach()? {
            Detached::Starter(status) => return Ok(status),
            Detached::Root(ready) => Some(ready),
        }
    } else {
        None
    };
    let lock = Lock::take(run_dir.path(), rundir::LOCK_WAIT).map_err(|error| error.to_string())?;
    let mut daemon_argv = vec!["steadfast".to_owned(), "__daemon".to_owned()];
    daemon_argv.extend([
        "--run-dir".to_owned(),
        text_of(run_dir.path())?,
        "--state-dir".to_owned(),
        text_of(&layout.state)?,
    ]);
    daemon_argv.extend(plan.dev.then(|| "--dev".to_owned()));
    daemon_argv.extend(plan.as_supervisord.then(|| "--as-supervisord".to_owned()));
    daemon_argv.extend(plan.detach.then(|| "--detached".to_owned()));
    daemon_argv.extend(source);
    Ok(keeper::run_root(keeper::RootOptions {
        daemon_argv,
        lock: lock.into_fd(),
        run_dir: run_dir.path().to_owned(),
        ready,
        say: printer::note,
    }))
}

fn text_of(path: &Path) -> Result<String, String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("{}: the path is not UTF-8", path.display()))
}

/// Supervisor's search path for a configuration (supervisor/options.py, `Options.default_configfile`).
pub(crate) fn found() -> Result<PathBuf, String> {
    let mut candidates = Vec::new();
    if let Some(bin) = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_owned))
    {
        candidates.extend([
            bin.join("../etc/supervisord.conf"),
            bin.join("../supervisord.conf"),
        ]);
    }
    let fixed = [
        "supervisord.conf",
        "etc/supervisord.conf",
        "/etc/supervisord.conf",
        "/etc/supervisor/supervisord.conf",
    ];
    candidates.extend(fixed.iter().map(PathBuf::from));
    let here = candidates.iter().find(|path| path.is_file());
    here.cloned().ok_or_else(|| {
        format!(
            "no configuration: name one with -c FILE, or put it at\n  {}",
            fixed.join("\n  ")
        )
    })
}

enum Detached {
    /// The process that people started: its exit status.
    Starter(i32),
    /// The new process; a byte on the descriptor lets the starter go.
    Root(OwnedFd),
}

/// Two forks and a session of its own (daemon(7)); the starter waits until everything was started, or says what
/// went wrong, which comes to it through the same standard error.
fn detach() -> Result<Detached, String> {
    use sys::spawn::{Fork, fork};
    let (read, write) = sys::fds::pipe().map_err(|error| format!("pipe: {error}"))?;
    if let Fork::Parent(_) = fork().map_err(|error| format!("fork: {error}"))? {
        drop(write);
        let mut byte = [0; 1];
        let up = std::fs::File::from(read).read(&mut byte).unwrap_or(0) == 1;
        return Ok(Detached::Starter(if up { 0 } else { 2 }));
    }
    drop(read);
    let _ = rustix::process::setsid();
    if let Fork::Parent(_) = fork().map_err(|error| format!("fork: {error}"))? {
        std::process::exit(0);
    }
    Ok(Detached::Root(write))
}
