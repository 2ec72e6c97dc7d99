//! The lock that says: this installation runs.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::FlockOperation;

use crate::Error;

/// A starter waits so long: a root that is just ending, or a child of it between fork and close, lets go within that.
pub const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Pause between two tries: a start is held up by no more than that, and 2 s cost 200 system calls.
const TRY_AGAIN_NS: i64 = 10_000_000;

/// The lock, held until it is dropped in every process that has it open: children close it first of all.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of the run directory, waiting at most `wait` for whoever has it, and writes our pid into it.
    pub fn take(run_dir: &Path, wait: Duration) -> Result<Lock, Error> {
        let path = run_dir.join("lock");
        let failed = |why: std::io::Error| Error::Lock(path.clone(), why);
        let file = open(&path).map_err(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Lock::taken(file).map_err(failed),
            Err(rustix::io::Errno::WOULDBLOCK) if wait.is_zero() => return Err(taken_by(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(why) => return Err(failed(why.into())),
        }
        // flock knows no time limit. A thread that waits in it would take the lock after we have given up, and whoever
        // looks then sees one that nobody has; so it is tried again and again.
        let by_ms = sys::clock::mono_ms().saturating_add(wait.as_millis() as u64);
        loop {
            pause();
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Lock::taken(file).map_err(failed),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
                Err(why) => return Err(failed(why.into())),
            }
            if sys::clock::mono_ms() >= by_ms {
                return Err(taken_by(file));
            }
        }
    }

    /// Whether somebody has the lock, and his pid (0 = unknown).
    pub fn holder(run_dir: &Path) -> Option<i32> {
        let file = OpenOptions::new()
            .read(true)
            .open(run_dir.join("lock"))
            .ok()?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => None,
            Err(_) => Some(pid_in(file)),
        }
    }

    /// The descriptor, for children that must close it.
    pub fn into_fd(self) -> OwnedFd {
        self.file.into()
    }

    fn taken(mut file: File) -> std::io::Result<Lock> {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Lock { file })
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn pause() {
    let time = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: TRY_AGAIN_NS,
    };
    let _ = rustix::event::poll(&mut [], Some(&time));
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn taken_by(file: File) -> Error {
    Error::AlreadyRunning { pid: pid_in(file) }
}

fn pid_in(mut file: File) -> i32 {
    let mut text = String::new();
    let read = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| file.read_to_string(&mut text));
    read.ok()
        .and_then(|_| text.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_another_is_told_who() {
        let dir = tempfile::tempdir().expect("directory");
        assert_eq!(Lock::holder(dir.path()), None);
        let lock = Lock::take(dir.path(), LOCK_WAIT).expect("free");
        let own = std::process::id() as i32;
        assert_eq!(Lock::holder(dir.path()), Some(own));
        match Lock::take(dir.path(), Duration::from_millis(30)) {
            Err(Error::AlreadyRunning { pid }) => assert_eq!(pid, own),
            other => panic!("{other:?}"),
        }
        drop(lock);
        assert_eq!(Lock::holder(dir.path()), None);
    }

    #[test]
    fn who_has_given_up_takes_nothing_later() {
        let dir = tempfile::tempdir().expect("directory");
        for _ in 0..20 {
            let lock = Lock::take(dir.path(), Duration::ZERO).expect("free");
            assert!(Lock::take(dir.path(), Duration::from_millis(1)).is_err());
            drop(lock);
            assert_eq!(Lock::holder(dir.path()), None);
        }
    }

    #[test]
    fn a_starter_waits_for_one_that_is_ending() {
        let dir = tempfile::tempdir().expect("directory");
        let lock = Lock::take(dir.path(), LOCK_WAIT).expect("free");
        let path = dir.path().to_path_buf();
        let (begun, wait) = std::sync::mpsc::channel();
        let second = std::thread::spawn(move || {
            begun.send(()).expect("main waits");
            Lock::take(&path, Duration::from_secs(20)).is_ok()
        });
        wait.recv().expect("thread runs");
        drop(lock);
        assert!(second.join().expect("thread ends"));
    }
}
