//! The talk with the keeper of one slot: its facts are acted on and acknowledged; drains and counts are reported.
//!
//! ```text
//!  connect ──Hello──► ◄─Hello, Now── Now ──► Acknowledge … Drained
//!     ▲                                │
//!     └── 10 ms … 1 s ◄── closed ◄─────┘   (meanwhile the worker probes by itself)
//! ```

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use sys::seq::Conn;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use wire::{Hello, Notice, Publish, Role};

use crate::limits::{FRAMES_AT_ONCE_MAX, RECONNECT_MS};
use crate::target::Target;
use crate::worker::Worker;

/// How many keepers have not told their first fact yet.
#[derive(Debug, Default)]
pub(crate) struct Unheard {
    count: Cell<usize>,
    changed: Notify,
}

/// One of them: it tells its first fact once.
#[derive(Debug)]
struct First {
    of: Rc<Unheard>,
    heard: Cell<bool>,
}

impl First {
    fn heard(&self) {
        if !self.heard.replace(true) {
            self.of.count.set(self.of.count.get().saturating_sub(1));
            self.of.changed.notify_one();
        }
    }
}

impl Unheard {
    fn add(self: &Rc<Self>) -> First {
        self.count.set(self.count.get() + 1);
        First {
            of: self.clone(),
            heard: Cell::new(false),
        }
    }

    /// Waits until all have spoken.
    pub(crate) async fn none(&self) {
        while self.count.get() > 0 {
            self.changed.notified().await;
        }
    }
}

/// Follows one keeper for good, in a task of its own.
pub(crate) fn start(
    worker: Rc<Worker>,
    target: Rc<Target>,
    slot: usize,
    events: String,
    unheard: &Rc<Unheard>,
) {
    let of = Rc::new((worker, target, events, unheard.add()));
    let follows = move || {
        let of = of.clone();
        async move { follow(&of.0, &of.1, slot, &of.2, &of.3).await }
    };
    tokio::task::spawn_local(bugs::again("talk with a keeper", follows));
}

async fn follow(worker: &Worker, target: &Target, slot: usize, events: &str, first: &First) {
    let mut wait_ms = RECONNECT_MS.0;
    // A connection that ended by a panic has told nobody of its end.
    target.lost(&worker.room, slot);
    loop {
        let mut heard = || {
            wait_ms = RECONNECT_MS.0;
            first.heard();
        };
        let ended = talk(worker, target, slot, events, &mut heard).await;
        target.lost(&worker.room, slot);
        // A keeper that is not there, or has just gone, is no news.
        if let Err(error) = ended
            && !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            )
        {
            let name = &target.name;
            worker
                .notes
                .say(&format!("events of {name} ({events}): {error}"));
        }
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        wait_ms = (wait_ms * 2).min(RECONNECT_MS.1);
    }
}

/// One connection, to its end.
async fn talk(
    worker: &Worker,
    target: &Target,
    slot: usize,
    events: &str,
    heard: &mut impl FnMut(),
) -> io::Result<()> {
    let conn = Conn::connect(Path::new(events))?;
    // tokio cannot know that a type keeps its descriptor while it is registered; `Conn` owns one and never changes it.
    #[allow(deprecated)]
    let conn = AsyncFd::new(conn)?;
    let hello = Hello {
        role: Role::Gateway,
        min: wire::VERSION_MIN,
        max: wire::VERSION_MAX,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id() as i32,
        ..Hello::default()
    };
    send(&conn, &wire::encode(&hello)).await?;
    let mut frame = Vec::new();
    let mut greeted = false;
    loop {
        tokio::select! {
            ready = conn.readable() => {
                let mut ready = ready?;
                let mut left = FRAMES_AT_ONCE_MAX;
                loop {
                    left -= 1;
                    if left == 0 {
                        // Nothing in this loop yields: a keeper that does not stop talking must not stop requests.
                        left = FRAMES_AT_ONCE_MAX;
                        tokio::task::yield_now().await;
                    }
                    match conn.get_ref().recv(&mut frame) {
                        Ok(None) => return Ok(()),
                        Ok(Some(_)) if !greeted => greeted = true,
                        Ok(Some(_)) => act(worker, target, slot, &conn, &frame, heard).await?,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error),
                    }
                }
                ready.clear_ready();
            }
            () = target.news(slot) => {}
        }
        report(target, slot, &conn).await?;
    }
}

/// Acts on one frame and acknowledges it.
async fn act(
    worker: &Worker,
    target: &Target,
    slot: usize,
    conn: &AsyncFd<Conn>,
    frame: &[u8],
    heard: &mut impl FnMut(),
) -> io::Result<()> {
    // A frame of a newer kind is no reason to close.
    let Ok(Publish::Now { fact }) = wire::decode::<Publish>(frame) else {
        return Ok(());
    };
    let turn = target.told(&worker.room, slot, &fact);
    worker.keep_ticking();
    let notice = Notice::Acknowledge {
        seq: fact.seq,
        in_flight: turn.in_flight,
    };
    send(conn, &wire::encode(&notice)).await?;
    heard();
    Ok(())
}

/// Tells what there is to tell. Counts go before a drain's end: the keeper writes both into one transition.
async fn report(target: &Target, slot: usize, conn: &AsyncFd<Conn>) -> io::Result<()> {
    let now = sys::clock::mono_ms();
    let drained = target.drained(slot);
    if let Some(counts) = target.new_counts(slot, now, drained.is_some()) {
        send(conn, &wire::encode(&Notice::Counted { counts })).await?;
    }
    if let Some(drained) = drained {
        let notice = Notice::Drained {
            generation: drained.generation,
            finished: drained.finished,
            cut: drained.cut,
        };
        send(conn, &wire::encode(&notice)).await?;
    }
    Ok(())
}

async fn send(conn: &AsyncFd<Conn>, frame: &[u8]) -> io::Result<()> {
    loop {
        match conn.get_ref().send(frame, &[]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                conn.writable().await?.clear_ready();
            }
            other => return other,
        }
    }
}
