//! One client connection: one task that reads a head, has it served, and begins again.
//!
//! ```text
//!            readable              head complete                     answered, kept alive
//!   Idle ───────────────► Head ────────────────► exchange ───────────────────────────────► Idle
//!    │ idle time-out       │ 408, 4xx             │ answered, not kept │ gone
//!    ▼                     ▼                      ▼                    ▼
//!  closed               linger                 linger                closed
//! ```
//! An idle connection holds no buffer: ten thousand of them cost their tasks and sockets only.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use h1::respond::{self, Own};
use h1::{Reject, Scan, Status};

use crate::buf::Buf;
use crate::exchange;
use crate::forward::Peer;
use crate::handle::Handle;
use crate::limits::{AHEAD_BYTES_MAX, LINGER_BYTES_MAX, LINGER_MS, STREAM_BYTES};
use crate::note::Failed;
use crate::site::Site;
use crate::stream::Stream;
use crate::worker::{Scratch, Worker};

/// What follows a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next request on the same connection.
    Again,
    /// Close, after the client had time to read the answer.
    Close,
    /// The client is gone, or has nothing to read.
    Gone,
    /// Cut the connection: the answer is broken.
    Abort,
}

/// How a read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// There are more bytes.
    Data,
    /// The client has closed.
    End,
    /// The deadline has passed.
    Late,
    /// The buffer holds as much as it may.
    Full,
}

/// Why nothing more can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deaf {
    /// The client has gone.
    Gone,
    /// It is there, and took nothing for too long.
    Stalled,
}

impl Deaf {
    /// A client that takes nothing is reset: what the kernel holds for it is of no use.
    pub(crate) fn next(self) -> Next {
        match self {
            Deaf::Gone => Next::Gone,
            Deaf::Stalled => Next::Abort,
        }
    }
}

/// For the note of a client that is cut off.
pub(crate) const STALLED: Failed<'static> = Failed {
    program: "",
    method: b"",
    path: b"",
    status: 408,
    why: "the client takes nothing of its answer",
    waited_ms: 0,
    repeats: 0,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) site: Rc<Site>,
    pub(crate) stream: Stream,
    pub(crate) peer: Peer,
    pub(crate) handle: Rc<Handle>,
    pub(crate) buf: Buf,
}

impl Drop for Client {
    fn drop(&mut self) {
        // The head of a request stays in the buffer for as long as it is served.
        let cut = self.worker.over.get() && !self.buf.is_empty();
        if cut || std::thread::panicking() {
            // Whatever of an answer has gone out is not to look whole.
            self.stream.reset_on_close();
        }
        self.worker.leave(&self.handle, &self.peer);
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve(mut client: Client) {
    client.handle.adopt().await;
    loop {
        if client.buf.is_empty() && !client.idle().await {
            return;
        }
        let mut desk = None;
        let next = client.request(&mut desk).await;
        if let Some(scratch) = desk {
            client.worker.give_scratch(scratch);
        }
        match next {
            Next::Again => {
                if client.buf.is_empty() {
                    let buffer = std::mem::take(&mut client.buf);
                    client.worker.give_buffer(buffer);
                }
            }
            Next::Close => return client.linger().await,
            Next::Gone => return,
            Next::Abort => return client.stream.reset_on_close(),
        }
    }
}

impl Client {
    /// A connection that was accepted; it counts from now on.
    pub(crate) fn new(worker: Rc<Worker>, site: Rc<Site>, stream: Stream, peer: Peer) -> Client {
        let handle = worker.enter();
        Client {
            worker,
            site,
            stream,
            peer,
            handle,
            buf: Buf::default(),
        }
    }

    /// Waits for the first bytes of a request. Readiness may be a false alarm, so a buffer is kept only once they are
    /// there.
    async fn idle(&mut self) -> bool {
        self.arm(self.site.config.idle_ms_max);
        poll_fn(|cx| {
            loop {
                match self.stream.poll_read_ready(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending if self.is_due() || self.worker.for_good.get() => {
                        return Poll::Ready(false);
                    }
                    Poll::Pending => return Poll::Pending,
                }
                self.buf = self.worker.take_buffer();
                match self.poll_fill(cx, STREAM_BYTES) {
                    Poll::Ready(fill) => return Poll::Ready(fill == Fill::Data),
                    Poll::Pending => {
                        let buffer = std::mem::take(&mut self.buf);
                        self.worker.give_buffer(buffer);
                    }
                }
            }
        })
        .await
    }

    /// Reads one head and has it served. While it is not whole it holds its own bytes only: what a request needs is put on
    /// the desk for each look, so that ten thousand heads that dawdle are ten thousand small buffers.
    async fn request(&mut self, desk: &mut Option<Box<Scratch>>) -> Next {
        self.arm(self.site.config.head_ms_max);
        let mut scan = Scan::default();
        loop {
            if !self.buf.is_empty() {
                let scratch = desk.get_or_insert_with(|| self.worker.take_scratch());
                let read = self.buf.bytes();
                match h1::request::parse(read, &mut scan, &self.site.limits, &mut scratch.head) {
                    Ok(Status::Complete) => return exchange::exchange(self, desk).await,
                    Ok(Status::Partial) => {}
                    Err(reject) => return self.refuse(scratch, reject).await,
                }
                if let Some(scratch) = desk.take() {
                    self.worker.give_scratch(scratch);
                }
            }
            let filled = self.fill(STREAM_BYTES).await;
            match filled {
                Fill::Data => {}
                Fill::End => return Next::Gone,
                Fill::Late if self.buf.is_empty() => return Next::Gone,
                Fill::Full => {
                    let scratch = desk.insert(self.worker.take_scratch());
                    return self.refuse(scratch, Reject::HeadTooLong).await;
                }
                Fill::Late => {
                    let scratch = desk.insert(self.worker.take_scratch());
                    return self.late(scratch).await;
                }
            }
        }
    }

    /// Answers a request that breaks the rules; nothing on this connection can be trusted any more.
    pub(crate) async fn refuse(&mut self, scratch: &mut Scratch, reject: Reject) -> Next {
        scratch.down.clear();
        respond::refusal(&mut scratch.down, reject, b"");
        self.note("", reject.status(), reject.reason());
        self.last(scratch).await
    }

    /// Answers a request that does not arrive.
    pub(crate) async fn late(&mut self, scratch: &mut Scratch) -> Next {
        scratch.down.clear();
        let own = Own {
            status: 408,
            detail: "the request did not arrive in time",
            ..Own::default()
        };
        respond::own(&mut scratch.down, &own);
        self.note("", own.status, own.detail);
        self.last(scratch).await
    }

    async fn last(&mut self, scratch: &Scratch) -> Next {
        match self.write(&scratch.down).await {
            Ok(()) => Next::Close,
            Err(deaf) => self.left(&STALLED, deaf),
        }
    }

    /// A note of something that failed before there was a head to speak of.
    fn note(&self, program: &str, status: u16, why: &str) {
        let failed = Failed {
            program,
            method: b"",
            path: b"",
            status,
            why,
            waited_ms: 0,
            repeats: 0,
        };
        self.worker.notes.failed(&failed, self.worker.now());
    }

    /// What follows when the client takes no more; that it stalled is noted as `failed`.
    pub(crate) fn left(&self, failed: &Failed<'_>, deaf: Deaf) -> Next {
        if deaf == Deaf::Stalled {
            self.worker.notes.failed(failed, self.worker.now());
        }
        deaf.next()
    }

    /// The deadline is `ms` from now.
    pub(crate) fn arm(&self, ms: u64) {
        self.handle.arm(self.worker.now().saturating_add(ms));
    }

    pub(crate) fn is_due(&self) -> bool {
        self.handle.is_due(self.worker.now())
    }

    /// Reads once, if fewer than `max` bytes are held.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Fill> {
        let Some(room) = self.buf.room(max) else {
            return Poll::Ready(Fill::Full);
        };
        match ready!(self.stream.poll_read(cx, room)) {
            Ok(0) | Err(_) => Poll::Ready(Fill::End),
            Ok(count) => {
                self.buf.filled(count);
                Poll::Ready(Fill::Data)
            }
        }
    }

    /// Reads once, before the deadline.
    pub(crate) async fn fill(&mut self, max: usize) -> Fill {
        poll_fn(|cx| match self.poll_fill(cx, max) {
            Poll::Ready(fill) => Poll::Ready(fill),
            Poll::Pending if self.is_due() => Poll::Ready(Fill::Late),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Notices that the client has gone; reads ahead no more than `max`.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<()> {
        loop {
            match ready!(self.poll_fill(cx, max)) {
                Fill::End => return Poll::Ready(()),
                Fill::Data => {}
                Fill::Full | Fill::Late => return Poll::Pending,
            }
        }
    }

    /// Whether it is known now that the client has gone. Reads a little ahead for that.
    pub(crate) async fn is_gone(&mut self) -> bool {
        let max = self.buf.len() + AHEAD_BYTES_MAX;
        poll_fn(|cx| Poll::Ready(self.poll_gone(cx, max).is_ready())).await
    }

    /// Writes some of it. The time that the client has for a byte begins when it takes none.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Deaf>> {
        let now = self.worker.now();
        match self.stream.poll_write(cx, bytes) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(Deaf::Gone)),
            Poll::Ready(Ok(count)) => {
                self.handle.took();
                Poll::Ready(Ok(count))
            }
            Poll::Pending if self.handle.takes_nothing(now) => Poll::Ready(Err(Deaf::Stalled)),
            Poll::Pending => {
                let until = now.saturating_add(self.site.config.take_ms_max);
                self.handle.owes_room(until);
                Poll::Pending
            }
        }
    }

    /// Writes all of it.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Deaf> {
        let mut at = 0;
        poll_fn(|cx| {
            while at < bytes.len() {
                at += ready!(self.poll_write(cx, &bytes[at..]))?;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Closes so that no reset overtakes the answer: says that we are done, then drops what still comes for a while.
    async fn linger(&mut self) {
        self.stream.shutdown();
        self.arm(LINGER_MS);
        let mut dropped = 0;
        while dropped < LINGER_BYTES_MAX {
            dropped += self.buf.len();
            self.buf.clear();
            if self.fill(STREAM_BYTES).await != Fill::Data {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits until `done`; others have their turn meanwhile.
    async fn until(done: impl Fn() -> bool) {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !done() {
            assert!(std::time::Instant::now() < end, "not within 30 s");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_head_that_dawdles_holds_its_bytes_only() {
        use std::io::{Read as _, Write as _};
        let room = hold::Room::new(10, 1 << 20);
        let worker = Rc::new(Worker::new(Vec::new(), room, 10));
        let site = Rc::new(Site::new(routes::Listener::default(), None, |_| None).expect("a site"));
        let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
        theirs.set_nonblocking(true).expect("set");
        let tasks = tokio::task::LocalSet::new();
        let stream = tokio::net::UnixStream::from_std(theirs).expect("a stream");
        let peer = site.trust.peer(None);
        let client = Client::new(worker.clone(), site, Stream::Unix(stream), peer);
        tasks.spawn_local(serve(client));
        tasks
            .run_until(async {
                ours.write_all(b"GET / HTTP/1.1\r\nHo").expect("sent");
                until(|| worker.spare_scratches() == 1).await;
                ours.write_all(b"st: a\r\nConnection: close\r\n\r\n")
                    .expect("sent");
                // Nothing more comes, so nothing is waited for after the answer.
                ours.shutdown(std::net::Shutdown::Write).expect("shut");
                until(|| worker.connections() == 0).await;
            })
            .await;
        let mut answer = String::new();
        ours.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }

    #[test]
    fn a_waiting_request_costs_what_is_counted_for_it() {
        fn size<F>(_: fn(Client) -> F) -> usize {
            std::mem::size_of::<F>()
        }
        let task = size(serve) as u64 + size_of::<Handle>() as u64;
        assert!(task <= crate::limits::PARKED_OVERHEAD_BYTES, "{task} bytes");
    }
}
