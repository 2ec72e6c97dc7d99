//! SEQPACKET sockets: whole frames, descriptors beside them, and the kernel's word on who is at the other end.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::fs::Mode;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    bind, connect, listen, recvmsg, sendmsg, socket_with, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::path::Path;

/// Bytes of the longest frame received; `wire::FRAME_BYTES_MAX` is the same number.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Descriptors beside one frame: a spec and its listeners. The kernel's own bound is 253.
pub const FDS_MAX: usize = 64;
/// Connections that may wait for accept: a daemon and the gateways of both generations connect at once.
const BACKLOG: i32 = 64;

/// Who is at the other end, at the time of its connect (SO_PEERCRED, unix(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Process id; 0 = in a PID namespace that is not below ours.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A connected, non-blocking socket.
#[derive(Debug)]
pub struct Conn(OwnedFd);

/// A listening, non-blocking socket.
#[derive(Debug)]
pub struct Listener(OwnedFd);

fn new_socket() -> io::Result<OwnedFd> {
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?)
}

impl Conn {
    /// Connects to the listener at `path`.
    pub fn connect(path: &Path) -> io::Result<Conn> {
        let socket = new_socket()?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Conn(socket))
    }

    /// Two connected ends.
    pub fn pair() -> io::Result<(Conn, Conn)> {
        let (a, b) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        Ok((Conn(a), Conn(b)))
    }

    /// Takes a descriptor that is known to be such a socket and makes it non-blocking.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Conn> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        crate::fds::cloexec(&fd, true)?;
        Ok(Conn(fd))
    }

    /// Sends one frame with descriptors. `WouldBlock` when the peer does not read.
    pub fn send(&self, frame: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("more than {FDS_MAX} descriptors"),
            ));
        }
        sendmsg(
            &self.0,
            &[IoSlice::new(frame)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }

    /// Receives one frame into `frame` (replaced), with the descriptors beside it. None = the peer has closed.
    pub fn recv(&self, frame: &mut Vec<u8>) -> io::Result<Option<Vec<OwnedFd>>> {
        // Its length first: keepers are a thousand, and a buffer of the largest size would be dirty in each.
        let peeked = rustix::net::recv(&self.0, &mut [0u8; 1], RecvFlags::PEEK | RecvFlags::TRUNC);
        let length = match peeked {
            Ok((_, length)) => length,
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        frame.resize(length.clamp(1, FRAME_BYTES_MAX), 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let got = recvmsg(
            &self.0,
            &mut [IoSliceMut::new(frame)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        );
        let got = match got {
            Ok(got) => got,
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        if got
            .flags
            .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "frame or descriptors were cut",
            ));
        }
        if got.bytes == 0 {
            return Ok(None);
        }
        frame.truncate(got.bytes);
        Ok(Some(fds))
    }

    /// Who is at the other end.
    pub fn peer(&self) -> io::Result<Peer> {
        // Not by rustix: a peer of another PID namespace has pid 0, which its type for pids does not allow.
        let mut cred = libc::ucred {
            pid: 0,
            uid: 0,
            gid: 0,
        };
        let mut size = std::mem::size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: both pointers are to live values of the stated size.
        let result = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut cred).cast(),
                &mut size,
            )
        };
        if result == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(Peer {
            pid: cred.pid,
            uid: cred.uid,
            gid: cred.gid,
        })
    }

    /// The descriptor itself.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }
}

impl Listener {
    /// Binds `path` with `mode`, over a stale socket file.
    pub fn bind(path: &Path, mode: u32) -> io::Result<Listener> {
        let socket = new_socket()?;
        match rustix::fs::unlink(path) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        rustix::fs::chmod(path, Mode::from_raw_mode(mode))?;
        listen(&socket, BACKLOG)?;
        Ok(Listener(socket))
    }

    /// The next connection; `WouldBlock` when there is none.
    pub fn accept(&self) -> io::Result<Conn> {
        Ok(Conn(rustix::net::accept_with(
            &self.0,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        )?))
    }
}

impl AsFd for Conn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Conn {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_descriptors_arrive_whole_and_a_close_is_seen() {
        let (a, b) = Conn::pair().unwrap();
        let file = crate::memfd::sealed("x", b"content").unwrap();
        a.send(b"first", &[file.as_fd()]).unwrap();
        a.send(b"second", &[]).unwrap();
        let mut frame = Vec::new();
        let fds = b.recv(&mut frame).unwrap().unwrap();
        assert_eq!((frame.as_slice(), fds.len()), (&b"first"[..], 1));
        assert_eq!(crate::memfd::read(&fds[0], 100).unwrap(), b"content");
        assert!(b.recv(&mut frame).unwrap().unwrap().is_empty());
        assert_eq!(frame, b"second");
        assert_eq!(
            b.recv(&mut frame).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        drop(a);
        assert!(b.recv(&mut frame).unwrap().is_none());
    }

    #[test]
    fn the_kernel_names_the_peer() {
        let dir = std::env::temp_dir().join(format!("sys-seq-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let listener = Listener::bind(&dir.join("s"), 0o600).unwrap();
        let client = Conn::connect(&dir.join("s")).unwrap();
        let server = listener.accept().unwrap();
        assert_eq!(server.peer().unwrap().pid, std::process::id() as i32);
        client.send(b"x", &[]).unwrap();
        assert!(server.recv(&mut Vec::new()).unwrap().is_some());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
