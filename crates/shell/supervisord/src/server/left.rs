//! Has the client left? For answers that have no end of their own.
//!
//! hyper would notice it by reading on, but then who closes only its sending half behind the request (`nc -N`, old
//! HTTP/1.0 clients) would be taken for one who left, and get no answer. So hyper is told to allow that, and who
//! follows a log, which may say nothing for days, looks by itself: with a duplicate of the descriptor, by EPOLLRDHUP.
//! Over TCP both look the same, so a follower that half-closes gets what there is and then the end, as Supervisor
//! does it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// See the module.
pub(super) struct Left(OwnedFd);

impl Left {
    pub(super) fn of(stream: &impl AsFd) -> io::Result<Left> {
        Ok(Left(stream.as_fd().try_clone_to_owned()?))
    }

    /// Waits for it; what the client sends meanwhile is not read. Ready at once where it cannot be known.
    pub(super) fn watch(&self) -> io::Result<impl Future<Output = ()> + Send + use<>> {
        // Deprecated for descriptors that their owner may change or close; an OwnedFd stays what it is.
        #[allow(deprecated)]
        let fd = AsyncFd::with_interest(self.0.try_clone()?, Interest::READABLE)?;
        Ok(async move {
            while let Ok(mut ready) = fd.ready(Interest::READABLE).await {
                if ready.ready().is_read_closed() {
                    return;
                }
                // Bytes of a next request: they are hyper's to read. The next edge wakes this again.
                ready.clear_ready();
            }
        })
    }
}
