//! The daemon's connections to root and to keepers. Frames in, frames out; what they mean is decided elsewhere.

pub(crate) mod keeper;
pub(crate) mod root;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sys::seq::Conn;
use tokio::io::unix::AsyncFd;

/// A frame with the descriptors beside it.
pub(crate) type Frame = (Vec<u8>, Vec<OwnedFd>);

/// The next frame; None when the other end has closed. The buffer lives only as long as it is needed: 1000 connections
/// that wait must not hold 64 kB each.
pub(crate) async fn recv(conn: &AsyncFd<Conn>) -> io::Result<Option<Frame>> {
    loop {
        let mut guard = conn.readable().await?;
        let mut frame = Vec::new();
        match guard.try_io(|conn| conn.get_ref().recv(&mut frame)) {
            Ok(Ok(fds)) => return Ok(fds.map(|fds| (frame, fds))),
            Ok(Err(why)) if why.kind() == io::ErrorKind::Interrupted => {}
            Ok(Err(why)) => return Err(why),
            Err(_would_block) => {}
        }
    }
}

/// Sends one frame, waiting for room.
pub(crate) async fn send(conn: &AsyncFd<Conn>, frame: &Frame) -> io::Result<()> {
    let fds: Vec<BorrowedFd<'_>> = frame.1.iter().map(AsFd::as_fd).collect();
    loop {
        let mut guard = conn.writable().await?;
        match guard.try_io(|conn| conn.get_ref().send(&frame.0, &fds)) {
            Ok(Err(why)) if why.kind() == io::ErrorKind::Interrupted => {}
            Ok(result) => return result,
            Err(_would_block) => {}
        }
    }
}
