//! What the daemon cannot do without: the commands, the talks with keepers, the care of what runs.
//!
//! A panic ends one task, and what serves for good would be missing from then on, unnoticed. What the tasks share is
//! changed in several steps, so nothing is made again on top of it: the daemon ends, root starts another one, and that
//! finds what is kept, as after any other death of a daemon. No process and no request depends on it meanwhile. A panic
//! over what one connection sent ends that connection only.

use crate::state::Shared;

/// Exit status of a process of ours that a bug has ended; Rust's own.
const BUG: i32 = 101;

/// Runs it beside the others. If it panics, the daemon ends.
pub(crate) fn vital(daemon: &Shared, serves: impl Future<Output = ()> + 'static) {
    let daemon = daemon.clone();
    watch(serves, move || {
        daemon.exit.set(Some(BUG));
        daemon.exiting.notify_one();
    });
}

fn watch(serves: impl Future<Output = ()> + 'static, panicked: impl FnOnce() + 'static) {
    let serving = tokio::task::spawn_local(serves);
    tokio::task::spawn_local(async move {
        if serving.await.is_err_and(|end| end.is_panic()) {
            panicked();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    #[tokio::test]
    async fn a_panic_is_noticed_and_an_end_is_none() {
        let panics = Rc::new(Cell::new(0));
        let local = tokio::task::LocalSet::new();
        for bug in [false, true, true] {
            let panics = panics.clone();
            local.spawn_local(async move {
                let serves = async move {
                    tokio::task::yield_now().await;
                    assert!(!bug, "a bug");
                };
                watch(serves, move || panics.set(panics.get() + 1));
            });
        }
        local.await;
        assert_eq!(panics.get(), 2);
    }
}
