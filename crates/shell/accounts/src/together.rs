//! Wrong passwords of all machines that share a store, so that more machines are not more guesses either.
//!
//! Each machine counts for itself first (`crate::throttle`): whoever is refused there costs the database nothing. Who passes
//! is looked up there before the password is, and a wrong one is added when it was found wrong, so an attacker writes as
//! fast as passwords are hashed and no faster. What slips through are tries at the same time at several machines, as many
//! as they hash at once. Slots are chosen by a key of the store, and there are as many as on a machine: no row is an
//! attacker's to make beyond those.

use crate::field::slot;
use crate::kept::Kept;
use crate::throttle::{Budget, Try};
use session::Hidden;
use store::{Failure, Postgres};

/// A try as the shared store counts it.
pub(crate) struct Together {
    store: Postgres,
    slots: Vec<(u64, Budget)>,
}

impl Together {
    /// None: this machine is the only one. `key`: a secret of the store.
    pub(crate) fn of(kept: &Kept, key: &Hidden, by: Try<'_>) -> Option<Together> {
        let Kept::Postgres(store) = kept else {
            return None;
        };
        let mut own = key.expose().to_vec();
        own.extend_from_slice(b"throttle");
        let own = session::hash(&own);
        let slots = by.slots(|range, parts| slot(&own, range, parts));
        Some(Together {
            store: store.clone(),
            slots: slots
                .into_iter()
                .map(|(at, budget)| (at as u64, budget))
                .collect(),
        })
    }

    /// How long until there is room for one more; 0: there is.
    pub(crate) async fn wait_ms(&self) -> Result<u64, Failure> {
        let used = self.store.used(&self.each(Budget::most_ms)).await?;
        let left = |slot: u64| {
            let line = used.iter().find(|(at, _)| *at == slot);
            line.map_or(0, |(_, left_ms)| *left_ms)
        };
        let waits = self
            .slots
            .iter()
            .map(|(slot, budget)| budget.wait_left_ms(left(*slot)));
        Ok(waits.max().unwrap_or(0))
    }

    /// It was a wrong password.
    pub(crate) async fn wrong(&self) {
        // Not counted here: this machine has counted it.
        let _unsure = self.store.wrong(&self.each(Budget::each_ms)).await;
    }

    fn each(&self, of: fn(Budget) -> u64) -> Vec<(u64, u64)> {
        let slots = self.slots.iter();
        slots.map(|(slot, budget)| (*slot, of(*budget))).collect()
    }
}
