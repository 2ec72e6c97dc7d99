//! The supervisord that runs from a configuration, and how its owner talks to it.

use std::path::Path;

use supervisord::command::is_supervisor;

use crate::disk::Disk;
use crate::scene::{Daemon, procs, rpc};

/// A pidfile holds a number.
const PIDFILE_BYTES_MAX: u64 = 64;

/// The supervisord of a pidfile. A number in a file proves nothing: the process must be one.
pub(crate) fn of_pidfile(pidfile: &Path) -> Option<Daemon> {
    let text = Disk::default().text(pidfile, PIDFILE_BYTES_MAX)?;
    of_pid(text.trim().parse().ok()?)
}

pub(crate) fn of_pid(pid: i32) -> Option<Daemon> {
    let process = procs::read(pid).filter(|p| is_supervisor(&p.argv))?;
    Some(Daemon {
        pid,
        start_unix_s: process.start_unix_s,
        env: process.env,
        answers: false,
    })
}

/// The supervisord above the processes that were told.
pub(crate) fn above(told: &[rpc::Told]) -> Option<Daemon> {
    let pid = told.iter().map(|t| t.pid).find(|pid| *pid > 0)?;
    of_pid(sys::proc::stat(pid)?.parent)
}

/// What the owner's commands begin with. `-c` only where supervisorctl would not find the file by itself.
pub(crate) fn ctl(shown: &str, daemon: Option<&Daemon>, around: &conf::Environment) -> String {
    if daemon.is_some_and(Daemon::is_ours) {
        return format!("steadfast -c {}", servers::shell_line(&[shown]));
    }
    let path = around.env.get("PATH").map_or("", String::as_str);
    let in_path = path
        .split(':')
        .any(|dir| Path::new(dir).join("supervisorctl").is_file());
    let beside = daemon
        .filter(|_| !in_path)
        .and_then(|daemon| procs::read(daemon.pid))
        .and_then(|p| {
            p.argv
                .iter()
                .take(3)
                .find(|w| w.ends_with("/supervisord"))
                .cloned()
        })
        .map(|word| Path::new(&word).with_file_name("supervisorctl"))
        .filter(|path| path.is_file());
    let program = beside.map_or("supervisorctl".to_owned(), |p| {
        servers::shell_line(&[p.display().to_string()])
    });
    let default = ["/etc/supervisord.conf", "/etc/supervisor/supervisord.conf"].contains(&shown);
    if default {
        program
    } else {
        format!("{program} -c {}", servers::shell_line(&[shown]))
    }
}
