//! Talks to the daemon over `control.sock`: one line out, lines back, and back again if the daemon was replaced.

use control::{Command, Done, ProgressLine, Request, Unanswered};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::inotify;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A daemon that died is back within a second; past this it is told.
const RECONNECT: Duration = Duration::from_secs(10);
/// Longest sleep without a look: an event of the directory wakes us earlier, this is for what it cannot tell.
const LOOK_AGAIN_MS: i64 = 500;

/// Sends `command` and waits for its end.
pub(crate) fn call(
    config: Option<&Path>,
    command: Command,
    progress: impl Fn(&ProgressLine),
) -> Done {
    let installation = match rundir::Installation::find(config).one() {
        Ok(installation) => installation,
        Err(text) => match config.and_then(of_another_user) {
            Some(installation) => installation,
            None => return Done::failed(2, text),
        },
    };
    let id = id();
    let deadline = Instant::now() + RECONNECT;
    let mut request = Request {
        id: id.clone(),
        command,
        operator: operator(),
    };
    loop {
        match once(&installation.control, &request, &progress) {
            Ok(done) => return done,
            Err(Unanswered::Strange(error)) => {
                let said = format!("the daemon said what we do not understand: {error}");
                return Done::failed(2, said);
            }
            // It may have run: the operation is asked for, never repeated.
            Err(Unanswered::Lost) => request.command = Command::Outcome { id: id.clone() },
            Err(Unanswered::Unsent) => {}
        }
        if rundir::Lock::holder(&installation.run).is_none() {
            return Done::failed(2, "what was running has ended meanwhile");
        }
        if Instant::now() >= deadline {
            let root = installation.info.root_pid;
            return Done::failed(
                2,
                format!("the daemon (root is pid {root}) does not answer"),
            );
        }
        wait_for_socket(&installation.control, deadline);
    }
}

/// For root: the installation of this file where it runs as the user that the file names (Supervisor's `user`), or as
/// the file's owner. Both are what root would have started it by; nobody else's word counts.
fn of_another_user(config: &Path) -> Option<rundir::Installation> {
    use std::os::unix::fs::MetadataExt;
    if sys::users::own_uid() != 0 {
        return None;
    }
    let ahead = daemon::ahead(config.to_str()?, &crate::check::environment(), &[]);
    let named = ahead
        .user
        .and_then(|name| sys::users::lookup(&name).ok().flatten())
        .map(|user| user.uid);
    let owner = std::fs::metadata(config).ok().map(|meta| meta.uid());
    let users: Vec<u32> = named.into_iter().chain(owner).collect();
    rundir::Installation::find_of(config, &users)
}

fn once(
    socket: &Path,
    request: &Request,
    progress: &impl Fn(&ProgressLine),
) -> Result<Done, Unanswered> {
    let stream = UnixStream::connect(socket).map_err(|_| Unanswered::Unsent)?;
    control::ask(&stream, &stream, request, progress)
}

/// Sleeps until the socket is made anew.
fn wait_for_socket(socket: &Path, deadline: Instant) {
    let Some(dir) = socket.parent().map(PathBuf::from) else {
        return;
    };
    let left = deadline
        .saturating_duration_since(Instant::now())
        .as_millis() as i64;
    let ms = left.min(LOOK_AGAIN_MS);
    let timeout = rustix::time::Timespec {
        tv_sec: ms / 1000,
        tv_nsec: ms % 1000 * 1_000_000,
    };
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC).and_then(|fd| {
        inotify::add_watch(
            &fd,
            &dir,
            inotify::WatchFlags::CREATE | inotify::WatchFlags::ATTRIB,
        )
        .map(|_| fd)
    });
    match watch {
        Ok(fd) => drop(rustix::event::poll(
            &mut [PollFd::new(&fd, PollFlags::IN)],
            Some(&timeout),
        )),
        Err(_) => drop(rustix::event::poll(&mut [], Some(&timeout))),
    }
}

fn id() -> String {
    let mut bytes = [0u8; 8];
    if getrandom::fill(&mut bytes).is_err() {
        bytes = sys::clock::boottime_ns().to_le_bytes();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `root (pts/0)`: who asks, for the ledger.
fn operator() -> String {
    let uid = rustix::process::getuid().as_raw();
    let name = sys::users::lookup(&uid.to_string())
        .ok()
        .flatten()
        .map_or(uid.to_string(), |user| user.name);
    let tty = rustix::termios::ttyname(sys::fds::standard(0), Vec::new()).ok();
    match tty.as_ref().and_then(|tty| tty.to_str().ok()) {
        Some(tty) => format!("{name} ({})", tty.trim_start_matches("/dev/")),
        None => name,
    }
}
