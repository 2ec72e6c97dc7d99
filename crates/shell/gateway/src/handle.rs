//! What others may do to a connection's task: wake it when its deadline has passed, hand it its released request, end
//! its stream.
//!
//! Two deadlines per connection, kept as numbers: arming one costs a store. The worker's coarse tick looks at all of
//! them and wakes those that are due. The second one is for a write to the client, so that nothing else that moves on the
//! connection gives a client time that takes nothing.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

use hold::{Request, Why};

/// The end of a wait.
#[derive(Debug)]
pub(crate) enum Told {
    /// Send it now.
    Go(Request),
    /// Answer in the program's place.
    Answer(Request, Why),
}

/// Why a stream has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// Its program, or this worker, goes away: the client may come again at once.
    Drain,
    /// Its session has ended: who comes again is refused.
    Revoked,
}

/// A time of the coarse clock; 0: none.
#[derive(Debug, Default)]
struct Deadline(Cell<u64>);

impl Deadline {
    fn is_over(&self, now_ms: u64) -> bool {
        let due_ms = self.0.get();
        due_ms != 0 && due_ms <= now_ms
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Handle {
    due: Deadline,
    take_due: Deadline,
    waker: RefCell<Option<Waker>>,
    told: RefCell<Option<Told>>,
    end_stream: Cell<Option<End>>,
    pub(crate) index: Cell<usize>,
}

impl Handle {
    /// Remembers the task that calls it; its waker stays the same for its whole life.
    pub(crate) async fn adopt(&self) {
        poll_fn(|cx| {
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Ready(())
        })
        .await;
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// From now on the connection is due at this time of the coarse clock.
    pub(crate) fn arm(&self, at_ms: u64) {
        self.due.0.set(at_ms);
    }

    pub(crate) fn disarm(&self) {
        self.due.0.set(0);
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        self.due.is_over(now_ms)
    }

    /// There is something that the client does not take; it has until then, unless it had less already.
    pub(crate) fn owes_room(&self, at_ms: u64) {
        if self.take_due.0.get() == 0 {
            self.take_due.0.set(at_ms);
        }
    }

    /// The client took some of it.
    pub(crate) fn took(&self) {
        self.take_due.0.set(0);
    }

    /// Whether the client took nothing for too long.
    pub(crate) fn takes_nothing(&self, now_ms: u64) -> bool {
        self.take_due.is_over(now_ms)
    }

    pub(crate) fn tell(&self, told: Told) {
        *self.told.borrow_mut() = Some(told);
        self.wake();
    }

    pub(crate) fn take_told(&self) -> Option<Told> {
        self.told.borrow_mut().take()
    }

    /// Ends its stream. Of two reasons the one counts after which coming again is of no use.
    pub(crate) fn end_stream(&self, why: End) {
        self.end_stream.set(self.end_stream.get().max(Some(why)));
        self.wake();
    }

    pub(crate) fn stream_begins(&self) {
        self.end_stream.set(None);
    }

    pub(crate) fn must_end(&self) -> Option<End> {
        self.end_stream.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_is_the_last_word_and_a_new_stream_begins_with_none() {
        let handle = Handle::default();
        for (why, says) in [
            (End::Drain, End::Drain),
            (End::Revoked, End::Revoked),
            (End::Drain, End::Revoked),
        ] {
            handle.end_stream(why);
            assert_eq!(handle.must_end(), Some(says));
        }
        handle.stream_begins();
        assert_eq!(handle.must_end(), None);
    }

    #[test]
    fn the_time_for_a_byte_begins_once_and_ends_with_the_byte() {
        let handle = Handle::default();
        handle.owes_room(100);
        handle.owes_room(200);
        assert!(!handle.takes_nothing(99) && handle.takes_nothing(100));
        handle.took();
        assert!(!handle.takes_nothing(1000));
        handle.owes_room(2000);
        assert!(!handle.takes_nothing(1000));
    }
}
