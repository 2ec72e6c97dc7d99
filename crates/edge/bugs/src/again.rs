//! A task that panicked is made again.

use crate::told::Doing;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// A thread or task that panicked starts again at once, and then no more often than this: a bug that comes back with every
/// turn is a line in the log each second, not a thousand.
pub const RESTART_MS: u64 = 1_000;

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

/// Runs what `make` makes until it ends by itself; what panics is made again. `what` it does, for the log.
pub async fn again<F>(what: &'static str, make: impl Fn() -> F)
where
    F: Future<Output = ()>,
{
    let mut pause = Pause::default();
    while !ends(what, async { make().await }).await {
        tokio::time::sleep(pause.after(Instant::now())).await;
    }
}

/// As [`again`], in a task of its own. Inside a tokio runtime.
pub fn keep<F>(what: &'static str, make: impl Fn() -> F + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(again(what, make));
}

/// Runs it. False: it ended by a panic.
async fn ends(what: &'static str, work: impl Future<Output = ()>) -> bool {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        let _doing = Doing::begin(what);
        // It is dropped after a panic, and polled no more.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(polled) => polled.map(|()| true),
            Err(_told) => Poll::Ready(false),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;
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
        keep("a test", move || {
            let (count, _held) = (count.clone(), held.clone());
            async move { assert!(count.fetch_add(1, Ordering::Relaxed) >= 2, "a bug") }
        });
        assert_eq!(over.recv().await, None, "nobody will make another one");
        assert_eq!(made.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_panics_while_it_is_made_or_later_is_made_again_on_the_same_thread() {
        let turns = Rc::new(Cell::new(0));
        again("a test", || {
            turns.set(turns.get() + 1);
            assert!(turns.get() > 1, "a bug in the making");
            let turns = turns.clone();
            async move {
                tokio::task::yield_now().await;
                assert!(turns.get() > 2, "a bug after a wait");
            }
        })
        .await;
        assert_eq!(turns.get(), 3);
    }
}
