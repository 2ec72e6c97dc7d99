//! What time it is here: by the clock of the shared store where there is one, else by the machine's.
//!
//! One clock for all gateways of a store: a machine with a wrong one would end sessions that others have just renewed, or
//! renew what is over. Between two of its answers the database's clock goes on as the machine's steady one does.

use session::{Clocks, Expiry, Reading, Time};

/// Clocks, and what the database's clock said when.
#[derive(Default)]
pub(crate) struct Now {
    clocks: Option<Clocks>,
    /// Wall and steady milliseconds, read together.
    shared: Option<Reading>,
    /// The latest time that the store had seen when it was opened.
    seen_ms: u64,
}

impl Now {
    /// A store was opened, and has seen this time.
    pub(crate) fn opened(&mut self, machine: Reading, seen_ms: u64) {
        if self.clocks.is_none() {
            self.seen_ms = seen_ms;
        }
        self.read(machine);
    }

    /// The database's clock, and the machine's steady one just before it was asked.
    pub(crate) fn told(&mut self, shared: Reading) {
        if self.shared.replace(shared).is_none() {
            // What the machine's own clock said until now is no measure for another one.
            self.clocks = None;
        }
    }

    pub(crate) fn read(&mut self, machine: Reading) -> Time {
        let reading = self.reading(machine);
        let seen_ms = self.seen_ms;
        let clocks = self
            .clocks
            .get_or_insert_with(|| Clocks::start(reading, seen_ms));
        clocks.read(reading)
    }

    /// Time is not believed just now. None is asked for before a store was opened.
    pub(crate) fn frozen(&mut self, machine: Reading) -> bool {
        self.clocks.is_some() && self.read(machine).expiry == Expiry::Frozen
    }

    fn reading(&self, machine: Reading) -> Reading {
        let steady_ms = machine.steady_ms;
        let wall_ms = match self.shared {
            Some(shared) => shared.wall_ms + steady_ms.saturating_sub(shared.steady_ms),
            None => machine.wall_ms,
        };
        Reading { wall_ms, steady_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: u64 = 1_800_000_000_000;
    const YEAR_MS: u64 = 365 * 24 * 3_600_000;

    /// The machine after so long, with its wall clock off by so much.
    fn machine(after_ms: u64, off_ms: i64) -> Reading {
        Reading {
            wall_ms: (START_MS + after_ms).saturating_add_signed(off_ms),
            steady_ms: 5_000 + after_ms,
        }
    }

    fn check(now: &mut Now, machine: Reading, after_ms: u64, expiry: Expiry) {
        let now_ms = START_MS + after_ms;
        assert_eq!(now.read(machine), Time { now_ms, expiry });
    }

    #[test]
    fn the_machines_clock_where_none_is_shared() {
        let mut now = Now::default();
        now.opened(machine(0, 0), 0);
        check(&mut now, machine(1_000, 0), 1_000, Expiry::Runs);
        let ahead = i64::try_from(YEAR_MS).expect("small");
        check(
            &mut now,
            machine(2_000, ahead),
            2_000 + YEAR_MS,
            Expiry::Frozen,
        );
        check(&mut now, machine(3_000, 0), 3_000, Expiry::Runs);
    }

    #[test]
    fn the_databases_clock_where_one_is_shared_whatever_the_machines_says() {
        let year = i64::try_from(YEAR_MS).expect("small");
        for off_ms in [-year, 0, year] {
            let mut now = Now::default();
            now.told(machine(0, 0));
            now.opened(machine(10, off_ms), 0);
            check(&mut now, machine(1_000, off_ms), 1_000, Expiry::Runs);
            // It was set, and the database does not answer for an hour.
            check(
                &mut now,
                machine(3_600_000, -off_ms),
                3_600_000,
                Expiry::Runs,
            );
            now.told(machine(3_600_010, 0));
            check(
                &mut now,
                machine(3_601_000, off_ms),
                3_601_000,
                Expiry::Runs,
            );
        }
    }

    #[test]
    fn a_machine_that_hears_of_the_databases_clock_late_is_not_frozen_for_it() {
        let year = i64::try_from(YEAR_MS).expect("small");
        let mut now = Now::default();
        now.opened(machine(0, -year), 0);
        now.told(machine(1_000, 0));
        check(&mut now, machine(2_000, -year), 2_000, Expiry::Runs);
    }

    #[test]
    fn a_databases_clock_that_jumps_ends_nothing_until_it_is_back() {
        let mut now = Now::default();
        now.told(machine(0, 0));
        now.opened(machine(0, 0), 0);
        let year = i64::try_from(YEAR_MS).expect("small");
        now.told(machine(1_000, year));
        check(&mut now, machine(1_000, 0), 1_000 + YEAR_MS, Expiry::Frozen);
        now.told(machine(2_000, 0));
        check(&mut now, machine(2_000, 0), 2_000, Expiry::Runs);
    }

    #[test]
    fn a_clock_that_starts_before_what_the_store_has_seen_ends_nothing() {
        let seen_ms = START_MS + YEAR_MS;
        let mut now = Now::default();
        now.opened(machine(0, 0), seen_ms);
        check(&mut now, machine(1_000, 0), YEAR_MS, Expiry::Frozen);
        // A database knows that of itself, too.
        now.told(machine(2_000, 0));
        check(&mut now, machine(3_000, 0), YEAR_MS, Expiry::Frozen);
    }
}
