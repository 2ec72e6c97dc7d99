//! The keeper's connections: the daemon's on `control`, gateways' on `events`.

use rustix::event::PollFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::collections::VecDeque;
use std::io;
use sys::seq::Conn;
use wire::{Field, Hello, Role};

/// Frames that wait for a peer that does not read. A daemon that is stopped (SIGSTOP) for long is dropped and
/// connects again; the ring has what it missed.
const BEHIND_FRAMES_MAX: usize = 1024;
/// Connections of one door, so that those of gateways cannot keep the daemon out. One daemon, one dying daemon, and the gateways of two generations with 16 workers.
pub(crate) const LINKS_MAX: usize = 64;

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    /// Number of the connection, for drains.
    pub(crate) id: u64,
    /// Who is expected at the socket that it came through; a hello of anybody else closes it.
    pub(crate) door: Role,
    conn: Conn,
    /// Its hello came.
    pub(crate) hello: Option<Hello>,
    behind: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    /// Close it at the end of this turn.
    pub(crate) dead: bool,
}

impl Link {
    pub(crate) fn new(id: u64, door: Role, conn: Conn) -> Link {
        Link {
            id,
            door,
            conn,
            hello: None,
            behind: VecDeque::new(),
            dead: false,
        }
    }

    pub(crate) fn is(&self, role: Role) -> bool {
        !self.dead && self.hello.as_ref().is_some_and(|hello| hello.role == role)
    }

    pub(crate) fn peer_is_ours(&self) -> bool {
        let own = sys::users::own_uid();
        self.conn
            .peer()
            .is_ok_and(|peer| peer.uid == 0 || peer.uid == own)
    }

    pub(crate) fn send(&mut self, message: &impl Field) {
        self.send_with(message, Vec::new());
    }

    pub(crate) fn send_with(&mut self, message: &impl Field, fds: Vec<OwnedFd>) {
        if self.dead {
            return;
        }
        if self.behind.len() >= BEHIND_FRAMES_MAX {
            self.dead = true;
            return;
        }
        self.behind.push_back((wire::encode(message), fds));
        self.flush();
    }

    pub(crate) fn flush(&mut self) {
        while let Some((frame, fds)) = self.behind.front() {
            let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
            match self.conn.send(frame, &borrowed) {
                Ok(()) => drop(self.behind.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.dead = true;
                    return;
                }
            }
        }
    }

    /// The next frame, none if there is none now.
    pub(crate) fn recv(&mut self, frame: &mut Vec<u8>) -> Option<Vec<OwnedFd>> {
        match self.conn.recv(frame) {
            Ok(Some(fds)) => Some(fds),
            Ok(None) => {
                self.dead = true;
                None
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            Err(_) => {
                self.dead = true;
                None
            }
        }
    }

    pub(crate) fn poll(&self) -> (BorrowedFd<'_>, PollFlags) {
        let out = if self.behind.is_empty() {
            PollFlags::empty()
        } else {
            PollFlags::OUT
        };
        (self.conn.as_fd(), PollFlags::IN | out)
    }
}
