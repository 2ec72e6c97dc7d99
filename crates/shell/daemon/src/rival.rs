//! Whether another supervisor runs this file already: the real supervisord, or one of ours that another user started.
//!
//! Our lock knows our own installations of this user only. Two supervisors of one file start every program twice (two
//! workers on one queue, two writers of one log), so this is asked before anything is touched:
//!
//! ```text
//! [unix_http_server], [inet_http_server] ──getPID──> somebody answers as Supervisor      ──┐
//! pidfile ──a live process that was started with this very file (its -c, or the search)   ──┴──> refused
//! ```
//! A pid alone is no evidence (it is reused), and a port that another kind of program holds is no supervisor.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use supervisord::Answered;

use crate::model::{Server, Settings};

/// A supervisor that is alive answers within milliseconds; one that is stopped (SIGSTOP) never does.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Bytes of a command line that are looked at.
const ARGV_BYTES_MAX: usize = 16 * 1024;
/// Somebody who runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rival {
    /// 0 = it does not say.
    pid: i32,
    /// Where it answers, or the pidfile that names it.
    found_by: String,
}

/// Whoever runs `config` already. `own_root` is not meant.
pub(crate) async fn look(settings: &Settings, config: &str, own_root: i32) -> Option<Rival> {
    for server in &settings.servers {
        if let Some(rival) = answers(server).await {
            return Some(rival).filter(|rival| rival.pid != own_root);
        }
    }
    by_pidfile(&settings.pidfile, config).filter(|rival| rival.pid != own_root)
}

async fn answers(server: &Server) -> Option<Rival> {
    let (url, found_by) = if server.unix.is_empty() {
        (format!("http://{}", server.tcp), server.tcp.clone())
    } else {
        (format!("unix://{}", server.unix), server.unix.clone())
    };
    let login = Some((server.username.as_str(), server.password.as_str()));
    let login = login.filter(|(user, _)| !user.is_empty());
    let pid = match supervisord::pid_at(&url, login, ANSWER_MAX).await {
        Answered::Pid(pid) => pid,
        // Behind another password, at a path that only a supervisor of this file would take.
        Answered::Locked if !server.unix.is_empty() => 0,
        Answered::Locked | Answered::Nobody => return None,
    };
    Some(Rival { pid, found_by })
}

fn by_pidfile(pidfile: &str, config: &str) -> Option<Rival> {
    let pid = pid_in(pidfile)?;
    let own = Path::new(config).canonicalize().ok()?;
    (runs(pid)? == own).then(|| Rival {
        pid,
        found_by: pidfile.to_owned(),
    })
}

/// A number, and some space around it.
const PIDFILE_BYTES_MAX: u64 = 64;

/// The pid that a pidfile names.
fn pid_in(pidfile: &str) -> Option<i32> {
    // Nothing of it is shown; its directory may be somebody's, who may put anything there.
    let file = sys::files::regular_anywhere(pidfile.as_ref()).ok()?;
    let mut text = String::new();
    file.take(PIDFILE_BYTES_MAX)
        .read_to_string(&mut text)
        .ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 1)
}

/// Whether the pidfile names a supervisor that lives and is not ours: it stays as it is.
pub(crate) fn holds_pidfile(pidfile: &str, own_root: i32) -> bool {
    pid_in(pidfile).is_some_and(|pid| pid != own_root && runs(pid).is_some())
}

/// Whether the pidfile is ours.
pub(crate) fn is_own_pidfile(pidfile: &str, own_root: i32) -> bool {
    pid_in(pidfile) == Some(own_root)
}

/// The file that a supervisor was started with; None if the process is none, or is gone.
fn runs(pid: i32) -> Option<PathBuf> {
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    let file = supervisord::command::file_of(&argv(pid), &cwd)?;
    file.canonicalize().ok()
}

fn argv(pid: i32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let bytes = &bytes[..bytes.len().min(ARGV_BYTES_MAX)];
    let words = bytes.split(|byte| *byte == 0);
    words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

impl Rival {
    /// What is said instead of a start.
    pub(crate) fn words(&self, config: &str) -> String {
        let ours = argv(self.pid)
            .first()
            .is_some_and(|word| word.ends_with("steadfast"));
        let who = match (self.pid, sys::proc::stat(self.pid)) {
            (0, _) => "another supervisor".to_owned(),
            (pid, Some(stat)) => format!("pid {pid} ({})", stat.name),
            (pid, None) => format!("pid {pid}"),
        };
        let file = servers::quote_line(&[config.to_owned()]);
        let end = match ours {
            true => format!("steadfast shutdown -c {file}   (as the user that runs it)"),
            false => format!("supervisorctl -c {file} shutdown"),
        };
        format!(
            "error: {config} is run by {who} already (found by {})\n  \
             everything would run twice, so nothing was started. End the other one first:\n    {end}\n  \
             what Steadfast would do with the file: steadfast adopt {file}",
            self.found_by
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_that_is_no_supervisor_holds_nothing() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("x.pid");
        let text = path.to_str().expect("path");
        std::fs::write(&path, format!("{}\n", std::process::id())).expect("written");
        assert!(!holds_pidfile(text, 7));
        assert!(is_own_pidfile(text, std::process::id() as i32));
        assert_eq!(by_pidfile(text, "/etc/passwd"), None);
    }
}
