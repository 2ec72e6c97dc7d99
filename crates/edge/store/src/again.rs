//! What serves for good outlives a panic: a bug costs those who were being served, and nobody after them.
//!
//! A thread or task that ended by one would leave the process half alive: it verifies, and nobody can sign in; or sessions
//! are used, and last-seen is not written. So each is started again, at once, and a panic that comes back within
//! [`RESTART_MS`] waits for the rest of that. The panic itself is told by the hook, with its place, on standard error:
//! the gateway's log.

use crate::limits::RESTART_MS;
use std::time::{Duration, Instant};

/// How long what panicked waits before it goes on.
#[derive(Debug, Default)]
pub struct Pause(Option<Instant>);

impl Pause {
    /// There was a panic now. How long to wait.
    fn after(&mut self, now: Instant) -> Duration {
        let restart = Duration::from_millis(RESTART_MS);
        let next = self.0.map_or(now, |last| now.max(last + restart));
        self.0 = Some(next);
        next.saturating_duration_since(now)
    }

    /// There was a panic in this thread now: waits as long as it has to.
    #[expect(
        clippy::disallowed_methods,
        reason = "nothing is waited for but the time between two panics"
    )]
    pub fn rest(&mut self, now: Instant) {
        std::thread::sleep(self.after(now));
    }
}

/// Runs the task until it ends by itself; one that panics is made again. Inside a tokio runtime.
pub fn keep<F>(make: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        let mut pause = Pause::default();
        while let Err(end) = tokio::spawn(make()).await
            && end.is_panic()
        {
            tokio::time::sleep(pause.after(Instant::now())).await;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::mpsc;

    #[test]
    fn the_first_restart_is_at_once_and_the_next_ones_are_a_second_apart() {
        let begin = Instant::now();
        let ms = Duration::from_millis;
        let mut pause = Pause::default();
        let mut after = |at| pause.after(begin + ms(at));
        assert_eq!(after(0), ms(0));
        assert_eq!(after(100), ms(900));
        assert_eq!(after(1_001), ms(999));
        assert_eq!(after(60_000), ms(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_made_again_until_it_ends_by_itself() {
        let made = Arc::new(AtomicU32::new(0));
        let (held, mut over) = mpsc::channel::<()>(1);
        let count = made.clone();
        keep(move || {
            let (count, _held) = (count.clone(), held.clone());
            async move { assert!(count.fetch_add(1, Ordering::Relaxed) >= 2, "a bug") }
        });
        assert_eq!(over.recv().await, None, "nobody will make another one");
        assert_eq!(made.load(Ordering::Relaxed), 3);
    }
}
