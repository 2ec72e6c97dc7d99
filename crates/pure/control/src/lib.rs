//! The daemon's control API: what `steadfast status`, the XML-RPC server and the console ask for.
//!
//! On the wire it is JSON lines over the Unix socket `control.sock` in the run directory (0600): one
//! [`Request`] from the client, then any number of [`Reply::Progress`] and exactly one [`Reply::Done`]. One
//! line is one message: progress streams without a framing of its own, a shell can speak it, and the client
//! needs no runtime. Inside the daemon the same [`Command`]s travel over a channel ([`Control`]), so there is
//! one path for every front.

mod ask;
mod fault;
mod process;
mod reply;
mod request;

pub use ask::{Unanswered, ask};
pub use fault::Fault;
pub use process::{ConfigInfo, ProcessInfo};
pub use reply::{About, Body, Done, Outcome, ProgressLine, Reply, RotatedKey, StoreTrouble};
pub use request::{Channel, Command, Names, Request};

use std::future::Future;
use std::pin::Pin;

/// Bytes of the longest request line; the longest is a list of process names.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;

/// A future of a control call.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Done> + Send + 'a>>;

/// Whoever can carry out commands: the daemon's loop in production, a table in the tests of its fronts.
pub trait Control: Send + Sync + 'static {
    /// Carries out one command and returns its end; progress goes to `progress` as it happens.
    fn call<'a>(&'a self, request: Request, progress: Progress) -> Answer<'a>;
}

/// Where progress lines go; cheap to clone, dropping it is fine.
#[derive(Clone, Default)]
pub struct Progress(Option<std::sync::Arc<dyn Fn(ProgressLine) + Send + Sync>>);

impl Progress {
    /// Nobody listens.
    pub fn none() -> Progress {
        Progress(None)
    }
    /// `listen` is called for each line.
    pub fn to(listen: impl Fn(ProgressLine) + Send + Sync + 'static) -> Progress {
        Progress(Some(std::sync::Arc::new(listen)))
    }
    /// Says one line.
    pub fn say(&self, line: ProgressLine) {
        if let Some(listen) = &self.0 {
            listen(line);
        }
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}
