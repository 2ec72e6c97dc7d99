//! A program's output: files that rotate as Supervisor's do, and root's own stdout and stderr.
//!
//! A log never stops a program. A full disk or a reader that does not read costs bytes of the log, which are
//! counted and told, never the program.

use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use std::io;
use std::path::Path;
use wire::Sink;

/// Bytes kept for root's stdout or stderr while its reader is slow. A burst of ten thousand lines fits; more
/// would let a dead log driver eat the machine's memory, one slot at a time.
const BEHIND_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes written at once to root's stdout: POLLOUT promises this much of a pipe (PIPE_BUF, pipe(7)), so the
/// write cannot block, though the description is shared and must stay blocking for others.
const PIPE_WRITE_BYTES: usize = 4096;

/// Where one channel goes.
#[derive(Debug, Default)]
pub(crate) struct Log {
    sink: Sink,
    file: Option<OwnedFd>,
    size: u64,
    behind: Vec<u8>,
    /// Bytes that could not be written.
    pub(crate) dropped: u64,
    /// The last error was told already.
    complained: bool,
}

impl Log {
    /// Takes over another destination; an equal one keeps its open file.
    pub(crate) fn set(&mut self, sink: &Sink) -> Option<String> {
        if self.sink == *sink && (self.file.is_some() || !wants_file(sink)) {
            return None;
        }
        *self = Log {
            sink: sink.clone(),
            ..Log::default()
        };
        self.open()
    }

    /// Opens the file again (SIGUSR2, after a rotation by somebody else).
    pub(crate) fn reopen(&mut self) -> Option<String> {
        self.file = None;
        self.open()
    }

    fn open(&mut self) -> Option<String> {
        let (path, device) = match &self.sink {
            Sink::File { path, .. } => (path, false),
            Sink::Device { path } => (path, true),
            Sink::Nowhere {} | Sink::RootStdout {} | Sink::RootStderr {} => return None,
        };
        // NONBLOCK means nothing to a file; a FIFO that somebody put in its place would stop the keeper.
        let mut flags =
            OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        if !device {
            flags |= OFlags::CREATE;
        }
        // The directory may be the program's user's: not through a link of his to what is not his.
        match sys::files::open(path.as_ref(), flags, Mode::from_raw_mode(0o644)) {
            Ok(file) => {
                self.size = rustix::fs::fstat(&file).map_or(0, |stat| stat.st_size as u64);
                self.file = Some(file);
                self.complained = false;
                None
            }
            Err(error) => {
                self.complain(&format!("cannot open {path}: {error}; its output is lost"))
            }
        }
    }

    fn complain(&mut self, text: &str) -> Option<String> {
        (!std::mem::replace(&mut self.complained, true)).then(|| text.to_owned())
    }

    /// Appends `bytes`. Returns a complaint the first time that something is lost.
    pub(crate) fn write(&mut self, bytes: &[u8], root: &[OwnedFd; 2]) -> Option<String> {
        match &self.sink {
            Sink::Nowhere {} => None,
            Sink::RootStdout {} | Sink::RootStderr {} => {
                let room = BEHIND_BYTES_MAX - self.behind.len().min(BEHIND_BYTES_MAX);
                let kept = &bytes[..bytes.len().min(room)];
                self.behind.extend_from_slice(kept);
                self.dropped += (bytes.len() - kept.len()) as u64;
                self.flush(root);
                if kept.len() < bytes.len() {
                    return self.complain(
                        "the reader of standard output does not read: output is dropped",
                    );
                }
                self.complained = false;
                None
            }
            Sink::File { .. } | Sink::Device { .. } => self.write_file(bytes),
        }
    }

    fn write_file(&mut self, bytes: &[u8]) -> Option<String> {
        if self.file.is_none()
            && let Some(complaint) = self.open()
        {
            self.dropped += bytes.len() as u64;
            return Some(complaint);
        }
        let Some(file) = &self.file else {
            self.dropped += bytes.len() as u64;
            return None;
        };
        let mut at = 0;
        while at < bytes.len() {
            match rustix::io::write(file, &bytes[at..]) {
                Ok(count) => at += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    self.dropped += (bytes.len() - at) as u64;
                    self.size += at as u64;
                    return self.complain(&format!(
                        "cannot write the log: {error}; output is lost until it works"
                    ));
                }
            }
        }
        self.size += bytes.len() as u64;
        self.complained = false;
        self.rotate_if_full()
    }

    /// Supervisor's RotatingFileHandler: after a write, at `maxbytes`, `x.1` becomes `x.2` and so on.
    fn rotate_if_full(&mut self) -> Option<String> {
        let Sink::File {
            path,
            max_bytes,
            backups,
        } = &self.sink
        else {
            return None;
        };
        if *max_bytes == 0 || self.size < *max_bytes {
            return None;
        }
        if *backups == 0 {
            // As Supervisor, which opens it again for writing: the same file, emptied.
            if let Some(file) = &self.file {
                let _ = rustix::fs::ftruncate(file, 0);
            }
            self.size = 0;
            return None;
        }
        // Where the directory cannot be reached, the file cannot be opened either, and that is told.
        let _ = sys::named::rotate(Path::new(path), *backups);
        self.file = None;
        self.size = 0;
        self.open()
    }

    /// Removes the file and begins a new one; backups stay (Supervisor's `clear`: `FileHandler.remove`).
    pub(crate) fn clear(&mut self) -> Result<(), String> {
        let Sink::File { path, .. } = &self.sink else {
            return Ok(());
        };
        match sys::named::remove(Path::new(path)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("cannot remove {path}: {error}")),
        }
        self.reopen().map_or(Ok(()), Err)
    }

    /// Something waits for root's stdout or stderr.
    pub(crate) fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Root's descriptor that this log goes to.
    pub(crate) fn root_fd<'a>(&self, root: &'a [OwnedFd; 2]) -> Option<BorrowedFd<'a>> {
        match self.sink {
            Sink::RootStdout {} => Some(root[0].as_fd()),
            Sink::RootStderr {} => Some(root[1].as_fd()),
            Sink::Nowhere {} | Sink::File { .. } | Sink::Device { .. } => None,
        }
    }

    /// Writes what root's stdout takes without blocking.
    pub(crate) fn flush(&mut self, root: &[OwnedFd; 2]) {
        let Some(fd) = self.root_fd(root) else { return };
        let mut at = 0;
        while at < self.behind.len() {
            let mut polled = [PollFd::new(&fd, PollFlags::OUT)];
            let ready = rustix::event::poll(
                &mut polled,
                Some(&rustix::time::Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                }),
            );
            let events = polled[0].revents();
            if !matches!(ready, Ok(1)) || !events.contains(PollFlags::OUT) {
                if events.intersects(PollFlags::ERR | PollFlags::NVAL) {
                    self.dropped += (self.behind.len() - at) as u64;
                    at = self.behind.len();
                }
                break;
            }
            let end = self.behind.len().min(at + PIPE_WRITE_BYTES);
            match rustix::io::write(fd, &self.behind[at..end]) {
                Ok(count) => at += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(_) => {
                    self.dropped += (self.behind.len() - at) as u64;
                    at = self.behind.len();
                }
            }
        }
        self.behind.drain(..at);
        if self.behind.is_empty() {
            self.behind.shrink_to(PIPE_WRITE_BYTES);
        }
    }
}

/// A descriptor of our own for root's stdout. The description of a pipe is shared by all keepers: two that see
/// POLLOUT for the same last page would make one of them wait for the reader. Opened again it is ours alone and
/// does not block. Files keep the shared one, with its position; a pipe of another user cannot be opened again.
pub(crate) fn own_description(fd: OwnedFd) -> OwnedFd {
    let is_pipe = rustix::fs::fstat(&fd).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Fifo
    });
    if !is_pipe {
        return fd;
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).unwrap_or(fd)
}

fn wants_file(sink: &Sink) -> bool {
    matches!(sink, Sink::File { .. } | Sink::Device { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> [OwnedFd; 2] {
        let null = || {
            std::fs::File::options()
                .write(true)
                .open("/dev/null")
                .unwrap()
                .into()
        };
        [null(), null()]
    }

    /// Who is not root writes only where he may anyway.
    #[test]
    fn root_writes_through_no_link_of_somebody_to_what_is_not_his() {
        use std::os::unix::fs::{lchown, symlink};
        const SOMEBODY: u32 = 4_000_001;
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = std::env::temp_dir().join(format!("keeper-links-{}", std::process::id()));
        let theirs = dir.join("theirs");
        std::fs::create_dir_all(&theirs).unwrap();
        lchown(&theirs, Some(SOMEBODY), None).unwrap();
        for name in ["cron", "made-by-root"] {
            symlink(dir.join("target"), theirs.join(name)).unwrap();
        }
        lchown(theirs.join("cron"), Some(SOMEBODY), None).unwrap();
        let mut log = Log::default();
        let mut set = |name: &str| {
            log.set(&Sink::File {
                path: theirs.join(name).to_str().unwrap().into(),
                max_bytes: 0,
                backups: 0,
            })
        };
        let refused = set("cron").unwrap();
        assert!(refused.contains("root does not follow it"), "{refused}");
        assert!(!dir.join("target").exists());
        assert_eq!(set("made-by-root"), None);
        assert_eq!(set("a.log"), None);
        assert!(dir.join("target").exists() && theirs.join("a.log").exists());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_file_rotates_after_the_write_that_fills_it() {
        let dir = std::env::temp_dir().join(format!("keeper-logs-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("x.log");
        let mut log = Log::default();
        let sink = Sink::File {
            path: path.to_str().unwrap().into(),
            max_bytes: 10,
            backups: 2,
        };
        assert_eq!(log.set(&sink), None);
        for text in ["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "d"] {
            assert_eq!(log.write(text.as_bytes(), &root()), None);
        }
        let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
        assert_eq!(
            (
                read("x.log").as_str(),
                read("x.log.1").as_str(),
                read("x.log.2").as_str()
            ),
            ("d", "cccccccccc", "bbbbbbbbbb")
        );
        assert!(!dir.join("x.log.3").exists());
        log.clear().unwrap();
        assert_eq!(
            (read("x.log"), dir.join("x.log.1").exists()),
            (String::new(), true)
        );
        // Without backups the same file is emptied: who follows it goes on following it.
        let sink = Sink::File {
            path: path.to_str().unwrap().into(),
            max_bytes: 10,
            backups: 0,
        };
        assert_eq!(log.set(&sink), None);
        let inode = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&path).unwrap());
        let before = inode();
        log.write(b"aaaaaaaaaa", &root());
        assert_eq!((read("x.log").as_str(), inode()), ("", before));
        log.write(b"b", &root());
        assert_eq!(read("x.log"), "b");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_full_device_costs_the_bytes_and_says_so_once() {
        let mut log = Log::default();
        log.set(&Sink::Device {
            path: "/dev/full".into(),
        });
        assert!(
            log.write(b"12345", &root())
                .unwrap()
                .contains("output is lost")
        );
        assert_eq!(log.write(b"12345", &root()), None);
        assert_eq!(log.dropped, 10);
    }

    #[test]
    fn a_fifo_in_the_place_of_a_log_is_no_trap() {
        let dir = std::env::temp_dir().join(format!("keeper-fifo-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("x.log");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .unwrap();
        let mut log = Log::default();
        let sink = Sink::File {
            path: path.to_str().unwrap().into(),
            max_bytes: 0,
            backups: 0,
        };
        assert!(log.set(&sink).unwrap().contains("cannot open"));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_shared_pipe_that_fills_between_poll_and_write_does_not_block() {
        let (_read, write) = sys::fds::pipe().unwrap();
        let shared = rustix::io::fcntl_dupfd_cloexec(&write, 3).unwrap();
        let own = own_description(shared);
        let chunk = [b'x'; PIPE_WRITE_BYTES];
        while rustix::io::write(&own, &chunk).is_ok() {}
        assert_eq!(
            rustix::io::write(&own, &chunk),
            Err(rustix::io::Errno::AGAIN)
        );
        let flags = rustix::fs::fcntl_getfl(&write).unwrap();
        assert!(
            !flags.contains(OFlags::NONBLOCK),
            "the others' stays as it was"
        );
    }

    #[test]
    fn a_reader_that_does_not_read_never_blocks_the_keeper() {
        let (_read, write) = sys::fds::pipe().unwrap();
        let root = [write, std::fs::File::open("/dev/null").unwrap().into()];
        let mut log = Log::default();
        log.set(&Sink::RootStdout {});
        let chunk = vec![b'x'; 64 * 1024];
        let complaints = (0..100).filter_map(|_| log.write(&chunk, &root)).count();
        assert_eq!((complaints, log.behind.len()), (1, BEHIND_BYTES_MAX));
        assert!(log.dropped > 0);
    }
}
