//! Output that has to become an event: a queue until a daemon has taken it.
//!
//! A daemon that is away finds it when it comes, with its times. One that is slow is sent a window at a time. When
//! nobody takes anything the oldest is lost, which is told once: a program is never held up by its listeners.

use super::Keeper;
use events::Piece;
use rustix::fd::{AsFd, OwnedFd};
use std::collections::VecDeque;
use wire::{INLINE_BYTES_MAX, Report, Role, Said};

/// Pieces that wait. As many as transitions are kept.
const WAITING_MAX: usize = 256;
/// Bytes that wait; a single piece may be longer (`stdout_capture_maxbytes`).
const WAITING_BYTES_MAX: usize = 1024 * 1024;
/// Pieces on their way to the daemon: few enough that a connection's queue (1024 frames) holds them with all else.
const WINDOW: usize = 16;

/// What waits. Most keepers have none of it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pieces: VecDeque<Said>,
    bytes: usize,
    /// Number of the last piece.
    seq: u64,
    /// Numbers of those that the daemon was sent and has not taken yet.
    flying: VecDeque<u64>,
    /// Number of the last one that it was sent.
    sent: u64,
    /// Some were lost, and that was said.
    lost: bool,
}

impl Keeper {
    /// Pieces of output on their way: those for the log come back joined.
    pub(super) fn tapped(&mut self, pid: i32, stderr: bool, pieces: Vec<Piece>) -> Vec<u8> {
        let mut log = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Log(bytes) => log.extend_from_slice(&bytes),
                Piece::Event(data) => self.say(pid, stderr, false, data),
                Piece::Captured(data) => self.say(pid, stderr, true, data),
            }
        }
        log
    }

    fn say(&mut self, pid: i32, stderr: bool, captured: bool, data: Vec<u8>) {
        let queue = self.said.get_or_insert_default();
        queue.seq += 1;
        queue.bytes += data.len();
        queue.pieces.push_back(Said {
            seq: queue.seq,
            wall_ms: sys::clock::wall_ms(),
            pid,
            stderr,
            captured,
            data,
        });
        let mut lost = false;
        while queue.pieces.len() > WAITING_MAX
            || (queue.bytes > WAITING_BYTES_MAX && queue.pieces.len() > 1)
        {
            queue.bytes -= queue.pieces.pop_front().map_or(0, |piece| piece.data.len());
            lost = true;
        }
        if lost && !std::mem::replace(&mut queue.lost, true) {
            let text = "it writes faster than its output can become events: the oldest are lost";
            self.remark(0, text.into());
        }
        self.send_said();
    }

    /// The daemon took everything up to `seq`.
    pub(super) fn said_heard(&mut self, seq: u64) {
        let Some(queue) = &mut self.said else { return };
        while queue.pieces.front().is_some_and(|piece| piece.seq <= seq) {
            queue.bytes -= queue.pieces.pop_front().map_or(0, |piece| piece.data.len());
        }
        while queue.flying.front().is_some_and(|flying| *flying <= seq) {
            queue.flying.pop_front();
        }
        if queue.pieces.is_empty() {
            queue.lost = false;
            queue.pieces.shrink_to(0);
        }
        self.send_said();
    }

    /// A daemon has come: it gets everything that waits.
    pub(super) fn said_again(&mut self) {
        if let Some(queue) = &mut self.said {
            queue.sent = 0;
            queue.flying.clear();
        }
        self.send_said();
    }

    fn send_said(&mut self) {
        let Some(queue) = &mut self.said else { return };
        let mut links: Vec<_> = self
            .links
            .iter_mut()
            .filter(|link| link.is(Role::Daemon))
            .collect();
        if links.is_empty() {
            return;
        }
        for piece in &queue.pieces {
            // One that was lost on its way counts as well, until it or a later one was taken.
            if piece.seq <= queue.sent || queue.flying.len() >= WINDOW {
                continue;
            }
            queue.sent = piece.seq;
            queue.flying.push_back(piece.seq);
            let (said, memory) = packed(piece);
            for link in &mut links {
                let copy = memory
                    .as_ref()
                    .and_then(|fd| fd.as_fd().try_clone_to_owned().ok());
                link.send_with(
                    &Report::Said { said: said.clone() },
                    copy.into_iter().collect(),
                );
            }
        }
    }
}

/// Long data goes beside the frame. Without memory for that it goes not at all, and the event is an empty one.
fn packed(piece: &Said) -> (Said, Option<OwnedFd>) {
    if piece.data.len() <= INLINE_BYTES_MAX {
        return (piece.clone(), None);
    }
    let memory = sys::memfd::sealed("steadfast-output", &piece.data).ok();
    (
        Said {
            data: Vec::new(),
            ..piece.clone()
        },
        memory,
    )
}
