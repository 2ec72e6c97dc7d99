//! How fast a queue is released: a window of unanswered requests, wider by one with each answer.

use crate::limits::{WINDOW_FIRST, WINDOW_MAX, WINDOW_STILL_MS};

/// The pace of one queue.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// `None`: nothing was released since the queue was last empty.
    window: Option<Window>,
    /// Counts up with each window, so that who comes back is not taken for one of the window that is open now.
    epoch: u32,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    epoch: u32,
    size: u32,
    out: u32,
    /// When a request last went, or one of them came back.
    moved_ms: u64,
}

impl Pace {
    /// Takes a place in the window; gives its epoch. A full window in which nothing moves is full of slow requests
    /// (long polls, uploads that trickle): they are no longer waited for, and the next window is twice as wide.
    pub(crate) fn take(&mut self, now: u64) -> Option<u32> {
        let mut window = self.window.unwrap_or(Window {
            epoch: self.epoch,
            size: WINDOW_FIRST,
            out: 0,
            moved_ms: now,
        });
        if window.out >= window.size {
            if now < window.moved_ms.saturating_add(WINDOW_STILL_MS) {
                return None;
            }
            self.epoch = self.epoch.wrapping_add(1);
            window.epoch = self.epoch;
            window.size = (window.size * 2).min(WINDOW_MAX);
            window.out = 0;
        }
        window.out += 1;
        window.moved_ms = now;
        self.window = Some(window);
        Some(window.epoch)
    }

    /// A request that took a place comes back, answered or not.
    pub(crate) fn settle(&mut self, epoch: Option<u32>, answered: bool) {
        if let Some(window) = self.window.as_mut().filter(|it| Some(it.epoch) == epoch) {
            window.out = window.out.saturating_sub(1);
            if answered {
                window.size = (window.size + 1).min(WINDOW_MAX);
            }
        }
    }

    /// When a full window that stands still is given up.
    pub(crate) fn next_timer(&self) -> Option<u64> {
        let window = self.window.filter(|it| it.out >= it.size)?;
        Some(window.moved_ms.saturating_add(WINDOW_STILL_MS))
    }

    /// The pace ends with the queue.
    pub(crate) fn end(&mut self) {
        self.window = None;
        self.epoch = self.epoch.wrapping_add(1);
    }
}
