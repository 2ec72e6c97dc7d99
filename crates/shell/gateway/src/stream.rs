//! A connected socket, TCP or Unix, polled by the task that owns it.
//!
//! Reads and writes go through tokio's poll functions on purpose: after a short read they know that the socket is empty,
//! so a request costs two reads and two writes and no attempt in vain.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// See the module.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub(crate) fn is_unix(&self) -> bool {
        matches!(self, Stream::Unix(_))
    }

    /// Reads; 0 is the end of the peer's bytes.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(to);
        let result = match self {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut buf),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, &mut buf),
        };
        result.map_ok(|()| buf.filled().len())
    }

    /// Writes a part of `from`.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, from),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, from),
        }
    }

    /// Whether a read is worth a call; costs none itself.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_read_ready(cx),
            Stream::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// An idle connection that has become readable: closed by the peer, or not in step with us.
    pub(crate) fn is_stale(&self) -> bool {
        self.poll_read_ready(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    /// No more bytes from us.
    pub(crate) fn shutdown(&self) {
        // Fails only if the peer is gone already.
        let _ = match self {
            Stream::Tcp(stream) => rustix::net::shutdown(stream, rustix::net::Shutdown::Write),
            Stream::Unix(stream) => rustix::net::shutdown(stream, rustix::net::Shutdown::Write),
        };
    }

    /// Closing is to reset the connection: what was sent must not look whole.
    pub(crate) fn reset_on_close(&self) {
        if let Stream::Tcp(stream) = self {
            // Fails only if the peer is gone already.
            let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
    }
}
