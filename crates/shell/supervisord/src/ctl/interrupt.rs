//! Ctrl-C, while a command waits.
//!
//! As in Supervisor: what follows a log (`tail -f`, `maintail -f`, `fg`) goes back to the prompt, whatever else
//! waits in a session (a call, a question) ends the session. Outside of a session only what follows a log catches
//! it. The handler stays installed once it is (tokio takes none away), so from then on every wait is one of these.

use std::io;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for one thing at a time, or for Ctrl-C, which is remembered until somebody waits.
pub(super) struct Interruptible {
    /// None only while it is dropped.
    runtime: Option<Runtime>,
    signal: Signal,
}

impl Interruptible {
    /// Ctrl-C is caught from here on: whoever reads "Press Ctrl-C" behind it may press it at once.
    pub(super) fn new() -> io::Result<Interruptible> {
        let runtime = runtime()?;
        let signal = {
            let _entered = runtime.enter();
            signal(SignalKind::interrupt())?
        };
        Ok(Interruptible {
            runtime: Some(runtime),
            signal,
        })
    }

    /// What it comes to; None at Ctrl-C.
    pub(super) fn wait<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let signal = &mut self.signal;
        self.runtime.as_ref()?.block_on(async {
            tokio::select! {
                biased;
                _ = signal.recv() => None,
                value = future => Some(value),
            }
        })
    }

    /// Whether Ctrl-C came while nobody waited.
    pub(super) fn interrupted(&mut self) -> bool {
        // The first turn may be what reads the signal, the second sees it.
        let turns = async {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        };
        self.wait(turns).is_none()
    }
}

impl Drop for Interruptible {
    fn drop(&mut self) {
        // A name that is being looked up is not waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The runtime of one command.
pub(super) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Waits until there is something to read. Regular files and what a test gives are always readable.
pub(super) async fn readable(stdin: bool) -> bool {
    if !stdin {
        // Output that is there already comes first.
        tokio::task::yield_now().await;
        return true;
    }
    let Ok(copy) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) else {
        return false;
    };
    // Deprecated for descriptors that their owner may close; this one is ours.
    #[allow(deprecated)]
    match AsyncFd::with_interest(copy, Interest::READABLE) {
        Ok(fd) => fd.readable().await.is_ok(),
        Err(_) => true,
    }
}
