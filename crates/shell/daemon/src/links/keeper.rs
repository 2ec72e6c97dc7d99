//! One connection to one keeper.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use sys::seq::Conn;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use wire::{Command, Fact, Hello, Report, Role};

use super::Frame;
use crate::state::Shared;
use crate::vital::vital;

/// A keeper that was just forked listens within a millisecond; on a machine out of breath it may take longer.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(5);
/// First pause between two tries; it doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(1);
/// Longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// Commands that wait for one keeper. A command line asks for one at a time; a stopped keeper (SIGSTOP) must not fill memory.
const WAITING_MAX: usize = 256;

/// A keeper that answered.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The connection.
    pub(crate) conn: AsyncFd<Conn>,
    /// Its hello.
    pub(crate) hello: Hello,
    /// What it said is true.
    pub(crate) fact: Fact,
}

/// Connects, says hello with our epoch and hears the keeper's hello and fact. `wait` = how long to try while nobody
/// listens there. The error is for people.
pub(crate) async fn open(slot_dir: &Path, epoch: u64, wait: Duration) -> Result<Opened, String> {
    let until = Instant::now() + wait;
    let path = slot_dir.join("control");
    let mut pause = PAUSE_FIRST;
    let conn = loop {
        match Conn::connect(&path) {
            Ok(conn) => break conn,
            Err(why) if Instant::now() >= until => {
                return Err(format!("cannot reach its keeper: {why}"));
            }
            Err(_) => {}
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    };
    let answer_by = Instant::now() + CONNECT_MAX;
    match timeout_at(answer_by, greet(conn, epoch)).await {
        Ok(opened) => opened,
        Err(_) => Err("its keeper does not answer".to_owned()),
    }
}

async fn greet(conn: Conn, epoch: u64) -> Result<Opened, String> {
    let failed = |why: std::io::Error| format!("the connection to its keeper broke: {why}");
    // Deprecated for descriptors that their owner may close; a `Conn` owns its descriptor for life.
    #[allow(deprecated)]
    let conn = AsyncFd::new(conn).map_err(failed)?;
    let own = Hello {
        role: Role::Daemon,
        min: wire::VERSION_MIN,
        max: wire::VERSION_MAX,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        epoch,
        pid: std::process::id() as i32,
        slot: 0,
    };
    super::send(&conn, &(wire::encode(&own), Vec::new()))
        .await
        .map_err(failed)?;
    let closed = || "its keeper closed the connection".to_owned();
    let (frame, _) = super::recv(&conn)
        .await
        .map_err(failed)?
        .ok_or_else(closed)?;
    let hello: Hello = wire::decode(&frame).map_err(|why| format!("its keeper's hello: {why}"))?;
    if hello.min > wire::VERSION_MAX || hello.max < wire::VERSION_MIN {
        return Err(format!(
            "its keeper (version {}) speaks another protocol",
            hello.build
        ));
    }
    loop {
        let (frame, _) = super::recv(&conn)
            .await
            .map_err(failed)?
            .ok_or_else(closed)?;
        match wire::decode::<Report>(&frame) {
            Ok(Report::Now { fact }) => return Ok(Opened { conn, hello, fact }),
            Ok(Report::StaleEpoch { .. }) => {
                return Err("a newer daemon has taken it over".to_owned());
            }
            Ok(
                Report::Happened { .. }
                | Report::Answer { .. }
                | Report::Listeners { .. }
                | Report::Drain { .. }
                | Report::Listener { .. }
                | Report::Said { .. },
            )
            | Err(wire::Error::Unknown(_)) => {}
            Err(why) => return Err(format!("its keeper's report: {why}")),
        }
    }
}

/// The sending end of a connection; the connection ends when it is dropped. A queue and a bell instead of a channel, which
/// takes 2 kB at rest: there is one of these for each program.
#[derive(Debug)]
pub(crate) struct Link(Rc<Outbox>);

#[derive(Debug, Default)]
struct Outbox {
    frames: RefCell<VecDeque<Frame>>,
    bell: Notify,
    /// Nobody reads from it, or nobody writes to it, any more.
    closed: Cell<bool>,
}

impl Link {
    /// Sends a command. False if the keeper is gone or does not read.
    pub(crate) fn send(&self, command: &Command, fds: Vec<OwnedFd>) -> bool {
        let mut frames = self.0.frames.borrow_mut();
        let room = frames.len() < WAITING_MAX && !self.0.closed.get();
        if room {
            frames.push_back((wire::encode(command), fds));
            self.0.bell.notify_one();
        }
        room
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.0.closed.set(true);
        self.0.bell.notify_one();
    }
}

/// Serves an opened connection in a task of its own until it ends; `life` tells it from earlier ones of the slot.
pub(crate) fn serve(daemon: &Shared, key: plan::Key, life: u64, conn: AsyncFd<Conn>) -> Link {
    let outbox = Rc::new(Outbox::default());
    let link = Link(outbox.clone());
    let told = daemon.clone();
    vital(daemon, async move {
        loop {
            // Neither a bell nor a readable descriptor takes budget.
            tokio::task::coop::consume_budget().await;
            tokio::select! {
                () = outbox.bell.notified() => if !empty(&outbox, &conn).await { break },
                frame = super::recv(&conn) => match frame {
                    Ok(Some((frame, fds))) => match wire::decode::<Report>(&frame) {
                        Ok(report) => crate::report::came(&told, &key, life, report, fds),
                        Err(wire::Error::Unknown(_)) => {}
                        Err(wire::Error::Short | wire::Error::Text) => break,
                    },
                    Ok(None) | Err(_) => break,
                },
            }
        }
        outbox.closed.set(true);
        drop(conn);
        crate::keepers::closed(&told, &key, life);
    });
    link
}

/// Sends everything that waits; false when the connection should end.
async fn empty(outbox: &Outbox, conn: &AsyncFd<Conn>) -> bool {
    loop {
        let next = outbox.frames.borrow_mut().pop_front();
        match next {
            Some(frame) => {
                if super::send(conn, &frame).await.is_err() {
                    return false;
                }
            }
            None => return !outbox.closed.get(),
        }
    }
}
