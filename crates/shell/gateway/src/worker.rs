//! What the tasks of one worker share. One thread, so no locks: cells and counted references.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use h1::request::RequestHead;
use h1::response::ResponseHead;
use hold::Room;
use tokio::sync::Notify;

use crate::buf::Buf;
use crate::forward::Peer;
use crate::handle::Handle;
use crate::limits::{
    CLIENT_BYTES_FIRST, CLIENT_SHARE, SPARE_BUFFERS_MAX, STREAM_BYTES, TICK_MS,
    UPSTREAM_BYTES_FIRST,
};
use crate::note::Notes;
use crate::target::Target;

/// What a request needs while it is served, and neither an idle connection nor a waiting request holds.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) head: RequestHead,
    pub(crate) answer: ResponseHead,
    /// What is on its way to the program.
    pub(crate) out: Vec<u8>,
    /// Lines of ours in the head for the program.
    pub(crate) dress: Vec<u8>,
    /// What is on its way to the client.
    pub(crate) down: Vec<u8>,
    /// What the program sent.
    pub(crate) up: Buf,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The coarse clock, CLOCK_MONOTONIC milliseconds at the last tick.
    now_ms: Cell<u64>,
    pub(crate) room: RefCell<Room>,
    pub(crate) targets: Vec<Rc<Target>>,
    pub(crate) notes: Notes,
    /// Being replaced: the next answer on each connection is its last.
    pub(crate) leaving: Cell<bool>,
    /// Leaving, and nobody takes over: idle connections are closed.
    pub(crate) for_good: Cell<bool>,
    /// It waits for nobody any more: who is still connected is cut off.
    pub(crate) over: Cell<bool>,
    connections_max: usize,
    handles: RefCell<Vec<Rc<Handle>>>,
    /// Connections of each client, but of those that speak for others.
    clients: RefCell<HashMap<hold::Client, usize>>,
    freed: Notify,
    tick: Notify,
    ticking: Cell<bool>,
    // Boxed where they are used: they are moved from task to task, and large.
    #[allow(clippy::vec_box)]
    scratches: RefCell<Vec<Box<Scratch>>>,
    buffers: RefCell<Vec<Buf>>,
}

impl Worker {
    pub(crate) fn new(targets: Vec<Rc<Target>>, room: Room, connections_max: usize) -> Worker {
        Worker {
            now_ms: Cell::new(sys::clock::mono_ms()),
            room: RefCell::new(room),
            targets,
            notes: Notes::default(),
            leaving: Cell::new(false),
            for_good: Cell::new(false),
            over: Cell::new(false),
            connections_max,
            handles: RefCell::default(),
            clients: RefCell::default(),
            freed: Notify::new(),
            tick: Notify::new(),
            ticking: Cell::new(false),
            scratches: RefCell::default(),
            buffers: RefCell::default(),
        }
    }

    /// The coarse clock.
    pub(crate) fn now(&self) -> u64 {
        self.now_ms.get()
    }

    /// Client connections.
    pub(crate) fn connections(&self) -> usize {
        self.handles.borrow().len()
    }

    /// Waits until one more connection may be accepted.
    pub(crate) async fn has_room(&self) {
        while self.connections() >= self.connections_max {
            self.freed.notified().await;
        }
    }

    /// A connection begins.
    pub(crate) fn enter(&self) -> Rc<Handle> {
        let handle = Rc::new(Handle::default());
        let mut handles = self.handles.borrow_mut();
        handle.index.set(handles.len());
        handles.push(handle.clone());
        self.keep_ticking();
        handle
    }

    /// Whether this peer may have one more connection: nobody alone keeps the others out. Counts it if so; [`Worker::leave`]
    /// takes it back.
    pub(crate) fn admits(&self, peer: &Peer) -> bool {
        let Some(key) = peer.counted() else {
            return true;
        };
        let share_max = (self.connections_max / CLIENT_SHARE).max(1);
        let mut clients = self.clients.borrow_mut();
        let count = clients.entry(key).or_insert(0);
        if *count >= share_max {
            return false;
        }
        *count += 1;
        true
    }

    /// A connection has ended.
    pub(crate) fn leave(&self, handle: &Handle, peer: &Peer) {
        if let Some(key) = peer.counted() {
            let mut clients = self.clients.borrow_mut();
            if let Some(count) = clients.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    clients.remove(&key);
                }
            }
        }
        let mut handles = self.handles.borrow_mut();
        let index = handle.index.get();
        handles.swap_remove(index);
        if let Some(moved) = handles.get(index) {
            moved.index.set(index);
        }
        self.freed.notify_one();
    }

    pub(crate) fn keep_ticking(&self) {
        if !self.ticking.replace(true) {
            self.now_ms.set(sys::clock::mono_ms());
            self.tick.notify_one();
        }
    }

    /// The coarse tick, in a task of its own; asleep for good while there is nothing to do.
    pub(crate) fn start_ticking(self: &Rc<Self>) {
        let worker = self.clone();
        let ticks = move || {
            let worker = worker.clone();
            async move { worker.tick_loop().await }
        };
        tokio::task::spawn_local(bugs::again("tick", ticks));
    }

    async fn tick_loop(&self) {
        let mut interval = tokio::time::interval(Duration::from_millis(TICK_MS));
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            if !self.ticking.get() {
                self.tick.notified().await;
                interval.reset();
            }
            interval.tick().await;
            let now = sys::clock::mono_ms();
            self.now_ms.set(now);
            let mut busy = false;
            for handle in self.handles.borrow().iter() {
                busy = true;
                if handle.is_due(now) || handle.takes_nothing(now) {
                    handle.wake();
                }
            }
            for target in &self.targets {
                busy |= target.tick(&self.room, now);
            }
            self.ticking.set(busy);
        }
    }

    /// Being replaced: waits until all connections have gone, at most for `ms_max`; what waits or streams then is ended.
    pub(crate) async fn leave_all(&self, ms_max: u64, look_ms: u64) {
        self.leaving.set(true);
        if self.for_good.get() {
            for handle in self.handles.borrow().iter() {
                handle.wake();
            }
        }
        let until = sys::clock::mono_ms().saturating_add(ms_max);
        while self.connections() > 0 && sys::clock::mono_ms() < until {
            tokio::time::sleep(Duration::from_millis(look_ms)).await;
        }
        for target in &self.targets {
            target.leave_over(&self.room);
            target.end_streams();
        }
        // One more look, so that those answers get written.
        tokio::time::sleep(Duration::from_millis(look_ms)).await;
        self.over.set(true);
    }

    pub(crate) fn take_scratch(&self) -> Box<Scratch> {
        self.scratches.borrow_mut().pop().unwrap_or_else(|| {
            Box::new(Scratch {
                head: RequestHead::default(),
                answer: ResponseHead::default(),
                out: Vec::with_capacity(CLIENT_BYTES_FIRST),
                dress: Vec::new(),
                down: Vec::with_capacity(UPSTREAM_BYTES_FIRST),
                up: Buf::new(UPSTREAM_BYTES_FIRST),
            })
        })
    }

    pub(crate) fn give_scratch(&self, mut scratch: Box<Scratch>) {
        let mut spare = self.scratches.borrow_mut();
        let usual = scratch.up.capacity() <= STREAM_BYTES
            && scratch.out.capacity() <= 2 * STREAM_BYTES
            && scratch.dress.capacity() <= STREAM_BYTES
            && scratch.down.capacity() <= 2 * STREAM_BYTES;
        if spare.len() < SPARE_BUFFERS_MAX && usual {
            scratch.out.clear();
            scratch.dress.clear();
            scratch.down.clear();
            scratch.up.clear();
            spare.push(scratch);
        }
    }

    pub(crate) fn take_buffer(&self) -> Buf {
        self.buffers
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Buf::new(CLIENT_BYTES_FIRST))
    }

    pub(crate) fn give_buffer(&self, mut buffer: Buf) {
        let mut spare = self.buffers.borrow_mut();
        if spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() == CLIENT_BYTES_FIRST {
            buffer.clear();
            spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::Trust;
    use std::cell::{Ref, RefMut};

    impl Worker {
        pub(crate) fn spare_scratches(&self) -> usize {
            self.scratches.borrow().len()
        }

        /// While it is held, whoever adds one panics.
        pub(crate) fn handles_read(&self) -> Ref<'_, Vec<Rc<Handle>>> {
            self.handles.borrow()
        }

        /// While it is held, whoever looks at them panics.
        pub(crate) fn handles_held(&self) -> RefMut<'_, Vec<Rc<Handle>>> {
            self.handles.borrow_mut()
        }
    }

    #[test]
    fn nobody_alone_has_more_than_a_quarter_of_the_connections() {
        let worker = Worker::new(Vec::new(), Room::new(1, 1), 8);
        let trust = Trust::new(&["10.0.0.1".to_owned()]);
        let peer = |address: &str| {
            let address: std::net::IpAddr = address.parse().expect("an address");
            trust.peer(Some((address, 1).into()))
        };
        let admitted = |address: &str| worker.admits(&peer(address));
        for address in ["203.0.113.7", "2001:db8::1"] {
            assert!(admitted(address) && admitted(address) && !admitted(address));
        }
        assert!(
            !admitted("2001:db8::2"),
            "one network of IPv6 is one client"
        );
        assert!(admitted("203.0.113.8"));
        for address in ["127.0.0.1", "::1", "10.0.0.1"] {
            assert!(
                (0..8).all(|_| admitted(address)),
                "{address} speaks for others"
            );
        }
        assert!((0..8).all(|_| worker.admits(&trust.peer(None))));
        let handle = worker.enter();
        worker.leave(&handle, &peer("203.0.113.7"));
        assert!(admitted("203.0.113.7") && !admitted("203.0.113.7"));
    }
}
