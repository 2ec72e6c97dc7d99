//! A log as it grows, for `tail -f`: the last 1024 bytes, then what is added (http.py `tail_f_producer`).
//!
//! ```text
//!   wait for inotify ──▶ another file by this name? open it, from its start
//!        ▲               shorter than what was sent? "==> File truncated <==", from its start
//!        └────────────── longer? send it, a piece at a time
//! ```
//! Waiting costs nothing: the file is watched for writes, its directory for a new file by the name (a rotation).
//! Where no inotify instance is to be had, the file is looked at once a second. A client that does not
//! read holds one piece in memory and nothing else.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use rustix::fs::inotify;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Bytes of the log that come first, as in Supervisor.
const HEAD_BYTES: u64 = 1024;
/// Bytes of one piece.
const PIECE_BYTES_MAX: u64 = 16 * 1024;
/// Milliseconds between looks where inotify is not to be had.
const LOOK_MS: u64 = 1000;

/// Follows the log at `path` for as long as the body is read and the client has not `left`; None if there is no such
/// regular file.
pub(super) fn start(
    path: &str,
    permit: OwnedSemaphorePermit,
    left: impl Future<Output = ()> + Send + 'static,
) -> Option<Followed> {
    let path = PathBuf::from(path);
    let log = Log::open(&path, HEAD_BYTES).ok()?;
    let (sender, receiver) = mpsc::channel(1);
    let watch = Watch::new(&path);
    tokio::spawn(async move {
        tokio::select! {
            // What there is goes out first, also to a client that says no more.
            biased;
            () = follow(path, log, watch, sender) => {}
            () = left => {}
        }
        drop(permit);
    });
    Some(Followed(receiver))
}

/// The body.
pub(super) struct Followed(mpsc::Receiver<Bytes>);

impl Body for Followed {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0
            .poll_recv(context)
            .map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

async fn follow(path: PathBuf, mut log: Log, mut watch: Watch, sender: mpsc::Sender<Bytes>) {
    loop {
        while let Some(piece) = log.next_piece(&path, &mut watch) {
            if sender.send(piece).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = watch.changed() => {}
            () = sender.closed() => return,
        }
    }
}

struct Log {
    file: File,
    inode: u64,
    sent: u64,
}

impl Log {
    fn open(path: &Path, last: u64) -> io::Result<Log> {
        let file = sys::files::regular(path)?;
        let metadata = file.metadata()?;
        Ok(Log {
            file,
            inode: metadata.ino(),
            sent: metadata.len().saturating_sub(last),
        })
    }

    /// What there is to send now. The old file is read to its end before the new one by its name is opened.
    fn next_piece(&mut self, path: &Path, watch: &mut Watch) -> Option<Bytes> {
        let length = self.file.metadata().ok()?.len();
        if length < self.sent {
            self.sent = 0;
            return Some(Bytes::from_static(b"==> File truncated <==\n"));
        }
        if length > self.sent {
            return self.piece(length);
        }
        let inode = std::fs::metadata(path).ok()?.ino();
        if inode == self.inode {
            return None;
        }
        *self = Log::open(path, u64::MAX).ok()?;
        watch.file(path);
        let length = self.file.metadata().ok()?.len();
        self.piece(length)
    }

    fn piece(&mut self, length: u64) -> Option<Bytes> {
        let count = length.saturating_sub(self.sent).min(PIECE_BYTES_MAX);
        let mut bytes = vec![0; usize::try_from(count).ok()?];
        let read = self.file.read_at(&mut bytes, self.sent).ok()?;
        bytes.truncate(read);
        self.sent += read as u64;
        (read > 0).then(|| Bytes::from(bytes))
    }
}

struct Watch(Option<AsyncFd<OwnedFd>>);

impl Watch {
    fn new(path: &Path) -> Watch {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let fd = inotify::init(flags).ok();
        // Deprecated for descriptors that their owner may change or close. An OwnedFd stays what it is, which is
        // all that the successor's `unsafe` asks for, and this crate has none.
        #[allow(deprecated)]
        let fd = fd.and_then(|fd| AsyncFd::with_interest(fd, Interest::READABLE).ok());
        let mut watch = Watch(fd);
        let flags = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        watch.add(path.parent().unwrap_or(Path::new(".")), flags);
        watch.file(path);
        watch
    }

    /// Watches the file that `path` names now.
    fn file(&mut self, path: &Path) {
        let flags = inotify::WatchFlags::MODIFY | inotify::WatchFlags::ATTRIB;
        self.add(path, flags);
    }

    /// What cannot be watched is looked at.
    fn add(&mut self, path: &Path, flags: inotify::WatchFlags) {
        let added = self
            .0
            .as_ref()
            .map(|fd| inotify::add_watch(fd.get_ref(), path, flags));
        if !matches!(added, Some(Ok(_))) {
            self.0 = None;
        }
    }

    /// Waits until something may have changed.
    async fn changed(&mut self) {
        let Some(fd) = &self.0 else {
            return tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        };
        let Ok(mut ready) = fd.readable().await else {
            return;
        };
        // What happened does not matter, that it happened does.
        let mut events = [0; 4096];
        let read = rustix::io::read(fd.get_ref(), &mut events);
        if matches!(read, Err(rustix::io::Errno::WOULDBLOCK)) {
            ready.clear_ready();
        }
    }
}
