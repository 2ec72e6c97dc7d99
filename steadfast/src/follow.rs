//! `tail -f`: prints what a file grows by, across rotations, sleeping on inotify.

use crate::printer;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::inotify;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// Follows `path` from its end until it is interrupted.
pub(crate) fn follow(path: &Path) -> u8 {
    match follow_from_end(path) {
        Ok(()) => 0,
        Err(error) => {
            printer::error(&format!("{}: {error}", path.display()));
            2
        }
    }
}

fn follow_from_end(path: &Path) -> std::io::Result<()> {
    let mut file = sys::files::regular(path)?;
    file.seek(SeekFrom::End(0))?;
    let watcher = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    let flags =
        inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
    inotify::add_watch(&watcher, directory, flags)?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            printer::raw(&buffer[..count]);
        }
        if let Ok(meta) = std::fs::metadata(path) {
            let own = file.metadata()?;
            if meta.ino() != own.ino() {
                file = sys::files::regular(path)?;
                continue;
            }
            if own.len() < file.stream_position()? {
                file.seek(SeekFrom::Start(0))?;
                continue;
            }
        }
        rustix::event::poll(&mut [PollFd::new(&watcher, PollFlags::IN)], None)?;
        while rustix::io::read(&watcher, &mut buffer).is_ok_and(|count| count > 0) {}
    }
}
