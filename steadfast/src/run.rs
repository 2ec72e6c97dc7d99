//! `steadfast run`: from a command line to root.

use crate::printer;
use rundir::{Identity, Layout, Lock, RunDir, Surroundings};
use rustix::event::{PollFd, PollFlags};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What to run.
pub(crate) struct Plan {
    pub(crate) config: Option<PathBuf>,
    pub(crate) command: Vec<String>,
    pub(crate) detach: bool,
    pub(crate) dev: bool,
    pub(crate) as_supervisord: bool,
    /// Keys of `[supervisord]` from the command line, which beat the file's.
    pub(crate) settings: Vec<(String, String)>,
    /// The run directory of an installation whose programs are kept, in place of the one that follows from the rest.
    pub(crate) kept: Option<PathBuf>,
}

/// Starts root and daemon in the background for programs that lost them. Returns when they are kept again.
pub(crate) fn take_over(installation: &rundir::Installation) -> i32 {
    let info = &installation.info;
    let words = conf::argv::split(&info.command).unwrap_or_default();
    let plan = Plan {
        config: Some(PathBuf::from(&info.config)).filter(|_| !info.config.is_empty()),
        command: words.into_iter().map(|word| word.value).collect(),
        detach: true,
        dev: false,
        as_supervisord: false,
        settings: Vec::new(),
        kept: Some(installation.run.clone()),
    };
    let own = std::process::id();
    let status = run(plan);
    if std::process::id() != own {
        // The new root, at its end.
        std::process::exit(status);
    }
    status
}

/// Becomes root. Returns the exit status, in the process that was started and, when detached, in the new one.
pub(crate) fn run(plan: Plan) -> i32 {
    match prepare(&plan) {
        Ok(status) => status,
        Err(text) => {
            printer::error(&text);
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
    let mut layout = Layout::of(&identity, &surroundings());
    if let Some(run) = &plan.kept
        && let Some(id) = run.file_name()
    {
        layout.state = surroundings().state_base().join(id);
        layout.run.clone_from(run);
    }
    let run_dir = RunDir::create(&layout).map_err(|error| error.to_string())?;
    let starter = if plan.detach {
        match detach()? {
            Detached::Starter(status) => return Ok(status),
            Detached::Root(starter) => Some(starter),
        }
    } else {
        None
    };
    let lock = Lock::take(run_dir.path(), rundir::LOCK_WAIT).map_err(|error| error.to_string())?;
    if starter.is_some() {
        // Whoever reads what the starter wrote must see its end.
        leave_terminal()?;
    }
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
    for (key, value) in &plan.settings {
        daemon_argv.extend(["--set".to_owned(), format!("{key}={value}")]);
    }
    daemon_argv.extend(source);
    Ok(keeper::run_root(keeper::RootOptions {
        daemon_argv,
        lock: lock.into_fd(),
        run_dir: run_dir.path().to_owned(),
        starter,
        say: printer::note,
    }))
}

fn text_of(path: &Path) -> Result<String, String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("{}: the path is not UTF-8", path.display()))
}

/// Supervisor's search path for a configuration, seen from this program.
pub(crate) fn found() -> Result<PathBuf, String> {
    supervisord::flags::search(&program(), &cwd()).map(PathBuf::from)
}

/// `argv[0]` with its path: Supervisor looks for its file beside it, and a shell gives only the name.
pub(crate) fn program() -> String {
    let word = std::env::args().next().unwrap_or_default();
    if word.contains('/') {
        return word;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(&word))
        .find(|file| file.is_file())
        .map_or(word, |file| file.to_string_lossy().into_owned())
}

/// The working directory; `/` if it is gone.
pub(crate) fn cwd() -> String {
    std::env::current_dir().map_or_else(|_| "/".into(), |path| path.to_string_lossy().into_owned())
}

/// The surroundings of who we are now: where privileges were dropped, HOME is still that of root.
fn surroundings() -> Surroundings {
    let here = Surroundings::here();
    let foreign = |home: &std::ffi::OsStr| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(home).is_ok_and(|meta| meta.uid() != here.uid)
    };
    if here.uid == 0 || !here.home.as_deref().is_some_and(foreign) {
        return here;
    }
    let own = sys::users::lookup(&here.uid.to_string()).ok().flatten();
    Surroundings {
        home: own.map(|user| user.home.into()),
        ..here
    }
}

enum Detached {
    /// The process that people started: its exit status.
    Starter(i32),
    /// The new process.
    Root(keeper::Starter),
}

/// Two forks and a session of its own (daemon(7)); the starter passes on what the daemon says until everything was
/// started, or says what went wrong.
fn detach() -> Result<Detached, String> {
    use sys::spawn::{Fork, fork};
    let pipe = || sys::fds::pipe().map_err(|error| format!("pipe: {error}"));
    let [(ready_read, ready), (out_read, out), (err_read, err)] = [pipe()?, pipe()?, pipe()?];
    if let Fork::Parent(_) = fork().map_err(|error| format!("fork: {error}"))? {
        drop((ready, out, err));
        return Ok(Detached::Starter(relay(&ready_read, &out_read, &err_read)));
    }
    drop((ready_read, out_read, err_read));
    let _ = rustix::process::setsid();
    if let Fork::Parent(_) = fork().map_err(|error| format!("fork: {error}"))? {
        std::process::exit(0);
    }
    // Supervisor's, from here on; a program's own and that of the file beat it.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    Ok(Detached::Root(keeper::Starter { ready, out, err }))
}

/// Standard descriptors on /dev/null, as a process of the background has them.
fn leave_terminal() -> Result<(), String> {
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|error| format!("/dev/null: {error}"))?;
    for number in 0..=2 {
        sys::fds::place(&file, number).map_err(|error| format!("descriptor {number}: {error}"))?;
    }
    Ok(())
}

/// Passes on what is said until the byte comes (0), or the end of everybody who could send it (2).
fn relay(ready: &OwnedFd, out: &OwnedFd, err: &OwnedFd) -> i32 {
    let (mut out_open, mut err_open) = (true, true);
    loop {
        let ended = {
            let mut fds = vec![PollFd::new(ready, PollFlags::IN)];
            fds.extend(out_open.then(|| PollFd::new(out, PollFlags::IN)));
            fds.extend(err_open.then(|| PollFd::new(err, PollFlags::IN)));
            if rustix::event::poll(&mut fds, None).is_err() {
                continue;
            }
            !fds[0].revents().is_empty()
        };
        // What was said before the byte is in the pipes already.
        out_open = out_open && pass_on(out, printer::raw);
        err_open = err_open && pass_on(err, printer::raw_note);
        if ended {
            let mut byte = [0; 1];
            let up = rustix::io::read(ready, &mut byte).is_ok_and(|count| count == 1);
            return if up { 0 } else { 2 };
        }
    }
}

/// Whether it is still open. Never waits.
fn pass_on(from: &OwnedFd, to: fn(&[u8])) -> bool {
    let mut bytes = [0; 4096];
    loop {
        let mut fds = [PollFd::new(from, PollFlags::IN)];
        let now = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        match rustix::event::poll(&mut fds, Some(&now)) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(_) => return true,
        }
        match rustix::io::read(from, &mut bytes) {
            Ok(0) | Err(_) => return false,
            Ok(count) => to(&bytes[..count]),
        }
    }
}
