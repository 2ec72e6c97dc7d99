//! What a panic may leave half changed, and what is done about it.
//!
//! A panic ends one connection or one turn of a task that is made again ([`bugs`]), and what the tasks of a worker share
//! is changed in single steps, but for this: the requests that wait at a program and the places that they take
//! ([`hold`]). Cut off in the middle, a request might be in no queue and in nobody's hands, and would wait for ever, and
//! so would a drain. So whoever changes such a value tells if it is left by a panic, and the worker leaves: it finishes
//! what it can within [`crate::limits::TORN_MS_MAX`] and ends, and its keeper starts another one on the same listeners.

use std::cell::{Ref, RefCell, RefMut};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use tokio::sync::Notify;

/// Heard by the task that ends the worker.
#[derive(Debug, Default)]
pub(crate) struct Torn(Notify);

impl Torn {
    /// Waits until something is torn.
    pub(crate) async fn heard(&self) {
        self.0.notified().await;
    }
}

/// A value that is changed in several steps.
#[derive(Debug)]
pub(crate) struct Steps<T> {
    value: RefCell<T>,
    torn: Rc<Torn>,
}

impl<T> Steps<T> {
    pub(crate) fn new(value: T, torn: Rc<Torn>) -> Steps<T> {
        let value = RefCell::new(value);
        Steps { value, torn }
    }

    pub(crate) fn borrow(&self) -> Ref<'_, T> {
        self.value.borrow()
    }

    pub(crate) fn borrow_mut(&self) -> Changing<'_, T> {
        Changing {
            value: self.value.borrow_mut(),
            torn: &self.torn,
            unwinding: std::thread::panicking(),
        }
    }
}

/// The value while it is changed.
#[derive(Debug)]
pub(crate) struct Changing<'a, T> {
    value: RefMut<'a, T>,
    torn: &'a Torn,
    /// It is changed on the way out of a panic of others: that one has not left it.
    unwinding: bool,
}

impl<T> Drop for Changing<'_, T> {
    fn drop(&mut self) {
        if !self.unwinding && std::thread::panicking() {
            self.torn.0.notify_one();
        }
    }
}

impl<T> Deref for Changing<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Changing<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Whether it is told that something is torn by what panics.
    async fn tells(panics: impl FnOnce(&Steps<u8>)) -> bool {
        let torn = Rc::new(Torn::default());
        let steps = Steps::new(0, torn.clone());
        catch_unwind(AssertUnwindSafe(|| panics(&steps))).expect_err("a panic");
        let moment = std::time::Duration::ZERO;
        tokio::time::timeout(moment, torn.heard()).await.is_ok()
    }

    #[tokio::test]
    async fn what_is_left_by_a_panic_is_torn_and_what_is_changed_on_the_way_out_is_not() {
        assert!(tells(|steps| assert_eq!(*steps.borrow_mut(), 1)).await);
        assert!(!tells(|steps| assert_eq!(*steps.borrow(), 1)).await);
        struct Leaves<'a>(&'a Steps<u8>);
        impl Drop for Leaves<'_> {
            fn drop(&mut self) {
                *self.0.borrow_mut() += 1;
            }
        }
        let elsewhere = |steps: &Steps<u8>| {
            let _leaves = Leaves(steps);
            panic!("elsewhere");
        };
        assert!(!tells(elsewhere).await);
    }
}
