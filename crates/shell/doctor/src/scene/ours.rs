//! Steadfast's own list of processes, where no socket of Supervisor's answers (the file may name none): its control
//! socket answers to the user that it belongs to.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use control::{Body, Command, ProcessInfo, Request};
use rundir::{Found, Installation, Surroundings};

use crate::scene::rpc::Told;

/// A daemon answers within milliseconds, or is being replaced.
const WAIT: Duration = Duration::from_secs(2);
/// A thousand processes take about 1 MB.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// Where things are for whoever asks, by the environment as given.
pub(crate) fn surroundings(around: &conf::Environment) -> Surroundings {
    Surroundings::of(|name| around.env.get(name).map(Into::into))
}

/// The processes of this file, if a Steadfast of this user runs it.
pub(crate) fn processes(file: &Path, around: &conf::Environment) -> Option<Vec<Told>> {
    let file: PathBuf = file.canonicalize().ok()?;
    let Found::One(installation) = Installation::find_in(Some(&file), &surroundings(around)) else {
        return None;
    };
    let request = Request {
        id: String::new(),
        command: Command::Status {
            names: Vec::new(),
            hidden: false,
            left_out: false,
        },
        operator: String::new(),
    };
    let stream = UnixStream::connect(&installation.control).ok()?;
    stream.set_read_timeout(Some(WAIT)).ok()?;
    stream.set_write_timeout(Some(WAIT)).ok()?;
    let bounded = (&stream).take(ANSWER_BYTES_MAX);
    let done = control::ask(&stream, bounded, &request, |_| ()).ok()?;
    let Body::Status { processes, .. } = done.body else {
        return None;
    };
    Some(processes.into_iter().map(told).collect())
}

fn told(process: ProcessInfo) -> Told {
    Told {
        group: process.group,
        name: process.name,
        state: process.state,
        pid: process.pid,
        spawn_error: process.spawn_error,
        stdout_log: process.stdout_logfile,
        stderr_log: process.stderr_logfile,
    }
}
