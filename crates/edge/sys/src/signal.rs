//! Signals: names, sending, and receiving them as bytes of a descriptor.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::io;

pub use wire::signals::{name, number};

/// Sends `signal` to one process.
pub fn send(pid: i32, signal: i32) -> io::Result<()> {
    assert!(pid > 0, "a pid, not a group or everybody: {pid}");
    // SAFETY: kill has no memory effects; the pid was checked.
    check(unsafe { libc::kill(pid, signal) })
}

/// Sends `signal` to a whole process group.
pub fn send_group(group: i32, signal: i32) -> io::Result<()> {
    assert!(group > 1, "a process group, not everybody: {group}");
    // SAFETY: as above.
    check(unsafe { libc::kill(-group, signal) })
}

fn check(result: i32) -> io::Result<()> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Signals as a readable descriptor (signalfd(2)); they stay blocked otherwise.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks these signals for the process and makes them readable here.
    pub fn new(signals: &[i32]) -> io::Result<Signals> {
        // SAFETY: the set lives on the stack and is initialised by sigemptyset.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            for signal in signals {
                libc::sigaddset(&mut set, *signal);
            }
            check(libc::sigprocmask(
                libc::SIG_BLOCK,
                &set,
                std::ptr::null_mut(),
            ))?;
            let fd = libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            check(fd)?;
            Ok(Signals(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// The next signal and the pid of its sender, or none.
    pub fn next(&self) -> Option<(i32, i32)> {
        // SAFETY: reads into a struct of plain integers of the size that the kernel writes.
        unsafe {
            let mut info: libc::signalfd_siginfo = std::mem::zeroed();
            let size = std::mem::size_of::<libc::signalfd_siginfo>();
            let got = libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), size);
            (got == size as isize).then_some((info.ssi_signo as i32, info.ssi_pid as i32))
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Unblocks every signal and gives every one its default action, as a program expects to be started.
/// Safe to call between fork and exec: no allocation.
pub fn reset() {
    // SAFETY: only async-signal-safe calls on stack memory.
    unsafe {
        for signal in 1..32 {
            if signal != libc::SIGKILL && signal != libc::SIGSTOP {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut());
    }
}

/// Ignores SIGPIPE, so that a reader of our output that went away is an error, not our end.
pub fn ignore_pipe() {
    // SAFETY: sets a disposition.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, expected) in [
            ("HUP", Some(1)),
            ("SIGTERM", Some(15)),
            ("usr2", Some(12)),
            ("9", Some(9)),
            ("0", Some(0)),
            ("65", None),
            ("FOO", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
        assert_eq!(name(15), "SIGTERM");
        assert_eq!(name(17), "SIGCHLD");
    }
}
