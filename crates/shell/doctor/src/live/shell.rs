//! A command of the owner's, run by a shell, with an end to waiting.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// Output that is kept: a token has some hundred bytes, an error some lines.
const OUTPUT_BYTES_MAX: usize = 16 << 10;

/// Runs a command; its output if it ended with status 0.
///
/// # Errors
/// How it ended, and its last line. A command that does not end within the time is killed, with what it started.
pub(crate) fn run(command: &str, within: Duration) -> Result<String, String> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|why| format!("sh: {}", why.kind()))?;
    let deadline = Instant::now() + within;
    let pid = Pid::from_child(&child);
    let end = pidfd_open(pid, PidfdFlags::empty()).map_err(|why| why.to_string())?;
    let mut output = Vec::new();
    let mut pipe = child.stdout.take();
    let ended = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break false;
        }
        let mut fds = vec![PollFd::new(&end, PollFlags::IN)];
        fds.extend(pipe.iter().map(|p| PollFd::new(p, PollFlags::IN)));
        let timeout = Timespec::try_from(left).ok();
        if poll(&mut fds, timeout.as_ref()).is_err() {
            continue;
        }
        let ended = fds.first().is_some_and(|fd| !fd.revents().is_empty());
        let told = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        if told && let Some(open) = pipe.as_mut() {
            let mut chunk = [0; 4096];
            match open.read(&mut chunk) {
                Ok(0) | Err(_) => pipe = None,
                Ok(n) if output.len() < OUTPUT_BYTES_MAX => output.extend_from_slice(&chunk[..n]),
                Ok(_) => {}
            }
        } else if ended {
            break true;
        }
    };
    if !ended {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let status = child.wait().map_err(|why| why.kind().to_string())?;
    let text = String::from_utf8_lossy(&output).into_owned();
    match (ended, status.success()) {
        (true, true) => Ok(text),
        (true, false) => {
            let last = text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("");
            Err(format!("{status}: {}", finding::mask_line(last.trim())))
        }
        (false, _) => Err(format!("it did not end within {} s", within.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_ends_or_is_ended() {
        let long = Duration::from_secs(20);
        assert_eq!(run("echo a; echo b >&2", long).as_deref(), Ok("a\n"));
        assert_eq!(
            run("echo no; exit 3", long),
            Err("exit status: 3: no".to_owned())
        );
        assert_eq!(
            run("exec sleep 100", Duration::from_millis(50)),
            Err("it did not end within 0 s".to_owned())
        );
    }
}
