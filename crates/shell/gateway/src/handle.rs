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

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Handle {
    due_ms: Cell<u64>,
    take_due_ms: Cell<u64>,
    waker: RefCell<Option<Waker>>,
    told: RefCell<Option<Told>>,
    end_stream: Cell<bool>,
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
        self.due_ms.set(at_ms);
    }

    pub(crate) fn disarm(&self) {
        self.due_ms.set(0);
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        let due = self.due_ms.get();
        due != 0 && due <= now_ms
    }

    /// There is something that the client does not take; it has until then, unless it had less already.
    pub(crate) fn owes_room(&self, at_ms: u64) {
        if self.take_due_ms.get() == 0 {
            self.take_due_ms.set(at_ms);
        }
    }

    /// The client took some of it.
    pub(crate) fn took(&self) {
        self.take_due_ms.set(0);
    }

    /// Whether the client took nothing for too long.
    pub(crate) fn takes_nothing(&self, now_ms: u64) -> bool {
        let due = self.take_due_ms.get();
        due != 0 && due <= now_ms
    }

    pub(crate) fn tell(&self, told: Told) {
        *self.told.borrow_mut() = Some(told);
        self.wake();
    }

    pub(crate) fn take_told(&self) -> Option<Told> {
        self.told.borrow_mut().take()
    }

    pub(crate) fn end_stream(&self) {
        self.end_stream.set(true);
        self.wake();
    }

    pub(crate) fn stream_begins(&self) {
        self.end_stream.set(false);
    }

    pub(crate) fn must_end(&self) -> bool {
        self.end_stream.get()
    }
}
