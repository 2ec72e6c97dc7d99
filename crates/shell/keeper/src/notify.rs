//! `ready = notify`: the socket of sd_notify(3), one for each generation.
//!
//! Whoever may write to it could claim readiness, so a message counts only if it comes from the program's own
//! tree: its session, or a descendant of its process, by the pid that the kernel attaches. A sender that is gone
//! already (a helper like systemd-notify) is judged by its user, since the socket's directory admits only the
//! program's user. `RELOADING=1`, `STOPPING=1`, `STATUS=…` and the rest are read and have no effect. Descriptors
//! that come along are closed at once, which is the answer that `BARRIER=1` waits for.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix,
    SocketFlags, SocketType, bind, recvmsg, socket_with, sockopt,
};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use wire::Spec;

/// Bytes of one message; systemd's own bound is a page.
const MESSAGE_BYTES_MAX: usize = 4096;
/// Messages read before others get their turn.
const TURN_MESSAGES_MAX: usize = 64;
/// Parents that are followed from a sender up to the program.
const ANCESTORS_MAX: usize = 64;

/// The socket of one generation.
#[derive(Debug)]
pub(crate) struct NotifySocket {
    socket: OwnedFd,
    path: String,
    uid: u32,
}

/// What was said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// `READY=1`, from the program's tree.
    Ready,
    /// `READY=1` from somebody else, with this pid.
    Stranger(i32),
    /// Nothing of interest.
    Nothing,
}

/// Path of the socket of a generation.
pub(crate) fn path(spec: &Spec, generation: u64) -> String {
    format!("{}/{generation}.notify", spec.app_dir)
}

impl NotifySocket {
    /// Makes the socket; the program's user may write to it.
    pub(crate) fn bind(spec: &Spec, generation: u64) -> Result<NotifySocket, String> {
        let path = path(spec, generation);
        let no = |error: rustix::io::Errno| format!("no NOTIFY_SOCKET at {path}: {error}");
        let _ = std::fs::remove_file(&path);
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).map_err(no)?;
        let address = SocketAddrUnix::new(path.as_str()).map_err(no)?;
        // The directory is the program's: nothing by name may follow a link that it puts there. The socket's own
        // mode becomes that of its file.
        rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(0o600)).map_err(no)?;
        bind(&socket, &address).map_err(no)?;
        sockopt::set_socket_passcred(&socket, true).map_err(no)?;
        let uid = match &spec.credentials {
            Some(user) => {
                let owner = rustix::process::Uid::from_raw(user.uid);
                let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::chownat(rustix::fs::CWD, path.as_str(), Some(owner), None, flags)
                    .map_err(no)?;
                user.uid
            }
            None => rustix::process::geteuid().as_raw(),
        };
        Ok(NotifySocket { socket, path, uid })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads what has come. `pid` leads the program's session.
    pub(crate) fn read(&self, pid: i32) -> Said {
        let mut said = Said::Nothing;
        for _ in 0..TURN_MESSAGES_MAX {
            let mut bytes = [0u8; MESSAGE_BYTES_MAX];
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16), ScmCredentials(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let got = recvmsg(
                &self.socket,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            );
            let Ok(got) = got else { break };
            let mut sender = None;
            // Descriptors are dropped, and so closed, with the message.
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmCredentials(who) = message {
                    sender = Some((who.pid.as_raw_nonzero().get(), who.uid.as_raw()));
                }
            }
            let ready = bytes[..got.bytes.min(bytes.len())]
                .split(|byte| *byte == b'\n')
                .any(|line| line == b"READY=1");
            if !ready {
                continue;
            }
            match sender {
                Some((from, uid)) if self.is_of(pid, from, uid) => said = Said::Ready,
                Some((from, _)) if said == Said::Nothing => said = Said::Stranger(from),
                Some(_) | None => {}
            }
        }
        said
    }

    fn is_of(&self, pid: i32, from: i32, uid: u32) -> bool {
        let mut next = from;
        for step in 0..ANCESTORS_MAX {
            if next == pid {
                return true;
            }
            let Some(stat) = sys::proc::stat(next) else {
                return step == 0 && uid == self.uid;
            };
            if stat.session == pid {
                return true;
            }
            if stat.state == 'Z' && step == 0 {
                return uid == self.uid;
            }
            if stat.parent <= 1 {
                return false;
            }
            next = stat.parent;
        }
        false
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
