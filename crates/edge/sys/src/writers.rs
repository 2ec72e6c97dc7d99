//! Who writes files: fanotify(7), which needs CAP_SYS_ADMIN. It tells the process of every write, where inotify tells none.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Bytes of events read at once: some hundred events of 24 bytes.
const EVENTS_BYTES: usize = 8 << 10;
/// struct fanotify_event_metadata (linux/fanotify.h).
const EVENT_BYTES: usize = 24;

/// One write: by whom, to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The process, as seen from here.
    pub pid: i32,
    /// The file.
    pub path: PathBuf,
}

/// A queue of writes below directories.
#[derive(Debug)]
pub struct Writers(OwnedFd);

impl Writers {
    /// Listens. `PermissionDenied` without CAP_SYS_ADMIN; `Unsupported` where the kernel has no fanotify.
    pub fn listen() -> io::Result<Writers> {
        let flags = libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        let event_flags = libc::O_RDONLY | libc::O_LARGEFILE | libc::O_CLOEXEC;
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::fanotify_init(flags, event_flags.cast_unsigned()) };
        if fd < 0 {
            let why = io::Error::last_os_error();
            return Err(match why.raw_os_error() {
                Some(libc::ENOSYS) => io::ErrorKind::Unsupported.into(),
                _ => why,
            });
        }
        // SAFETY: the kernel has just made it, and nobody else knows of it.
        Ok(Writers(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Adds a directory: writes to files in it, not below its directories.
    pub fn add(&self, dir: &Path) -> io::Result<()> {
        let path = std::ffi::CString::new(dir.as_os_str().as_bytes())?;
        let mask = libc::FAN_CLOSE_WRITE | libc::FAN_MODIFY | libc::FAN_EVENT_ON_CHILD;
        // SAFETY: `path` is a C string that lives until the call returns.
        let status = unsafe {
            libc::fanotify_mark(
                self.0.as_raw_fd(),
                libc::FAN_MARK_ADD,
                mask,
                libc::AT_FDCWD,
                path.as_ptr(),
            )
        };
        if status < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// What was written since the last call, at most `count_max`. Never waits.
    pub fn take(&self, count_max: usize) -> Vec<Write> {
        let mut found = Vec::new();
        let mut bytes = [0u8; EVENTS_BYTES];
        while found.len() < count_max {
            let Ok(length) = rustix::io::read(&self.0, &mut bytes) else {
                break;
            };
            let before = found.len();
            let mut rest = bytes.get(..length).unwrap_or(&[]);
            while let Some((event, size)) = event(rest) {
                found.extend(event);
                rest = rest.get(size..).unwrap_or(&[]);
            }
            if found.len() == before && length == 0 {
                break;
            }
        }
        found
    }
}

/// The first event of some bytes and its size. Its descriptor is closed when the path is known.
fn event(bytes: &[u8]) -> Option<(Option<Write>, usize)> {
    let number = |from: usize| -> Option<i32> {
        let word = bytes.get(from..from + 4)?;
        Some(i32::from_ne_bytes(word.try_into().ok()?))
    };
    let size = usize::try_from(number(0)?).ok()?;
    if size < EVENT_BYTES || size > bytes.len() {
        return None;
    }
    let (fd, pid): (RawFd, i32) = (number(16)?, number(20)?);
    if fd < 0 {
        return Some((None, size));
    }
    // SAFETY: the kernel opened it for this event; nobody else has it.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok();
    Some((path.map(|path| Write { pid, path }), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_told_with_its_process() {
        let Ok(writers) = Writers::listen() else {
            // Without CAP_SYS_ADMIN, or a kernel without fanotify, there is nothing to be tried.
            return;
        };
        let dir = std::env::temp_dir().join(format!("steadfast-writers-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        writers.add(&dir).unwrap();
        fs::write(dir.join("a"), "x").unwrap();
        let writes = writers.take(10);
        let own = std::process::id() as i32;
        let path = dir.canonicalize().unwrap().join("a");
        assert!(writes.contains(&Write { pid: own, path }), "{writes:?}");
        assert!(writers.take(10).is_empty());
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(event(&[0; 8]), None);
        assert_eq!(event(&[9; 30]), None);
    }
}
