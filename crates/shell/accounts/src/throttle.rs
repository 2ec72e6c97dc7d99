//! Wrong passwords, counted. Nothing else is slowed down, and nobody can use it to lock somebody else out.
//!
//! | who asks | is counted by |
//! |---|---|
//! | a browser in which this user signed in before (`session::device`) | that device alone |
//! | anybody else | the address, the account from that address, the account from everywhere |
//!
//! One address runs out of guesses long before the account does, so a single attacker locks out himself. Many
//! addresses together can slow down *new* browsers of an account, never the known ones. A try is counted before the
//! password is looked at, and given back when it was right: tries at the same time do not slip through.
//!
//! Memory is fixed: slots, chosen by a keyed hash, that all workers of a machine share (`crate::field`). Two keys in one
//! slot share its budget, and nobody can choose whom to share with. Machines that share a store count in it as well
//! (`crate::together`). Times are the wall clock's, since they outlive a
//! boot; a clock that was set back makes nobody wait for longer than one whole budget.

use crate::field::{Field, Range};
use std::net::IpAddr;

/// A budget: so many wrong ones at once, then one each so often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    burst: u64,
    each_ms: u64,
}

/// A person mistypes a few times; an office behind one address has many persons.
const ADDRESS: Budget = Budget {
    burst: 30,
    each_ms: 30_000,
};
/// One person at one place.
const PAIR: Budget = Budget {
    burst: 10,
    each_ms: 60_000,
};
/// Guesses at an account from everywhere: 2,500 a day find no password that is not on everybody's list.
const ACCOUNT: Budget = Budget {
    burst: 100,
    each_ms: 36_000,
};
/// A known browser.
const DEVICE: Budget = Budget {
    burst: 10,
    each_ms: 60_000,
};

/// Who tries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Try<'a> {
    pub(crate) address: &'a str,
    pub(crate) account: &'a str,
    pub(crate) device: Option<[u8; 16]>,
}

/// Slots that a try was counted in.
#[derive(Debug)]
#[must_use]
pub(crate) struct Counted(Vec<(usize, u64)>);

/// See the module.
#[derive(Debug)]
pub(crate) struct Throttle {
    field: Field,
}

impl Throttle {
    pub(crate) fn new(field: Field) -> Throttle {
        Throttle { field }
    }

    /// Counts a try. `Err`: not now, but after so many milliseconds.
    pub(crate) fn count(&mut self, by: Try<'_>, now_ms: u64) -> Result<Counted, u64> {
        let slots = by.slots(|range, parts| self.field.slot(range, parts));
        let (places, budgets): (Vec<usize>, Vec<Budget>) = slots.into_iter().unzip();
        self.field.change(&places, |whole_at_ms| {
            // Kept as well when it is refused, or who waited would find the same again.
            for (budget, whole) in budgets.iter().zip(&mut *whole_at_ms) {
                *whole = budget.sane(*whole, now_ms);
            }
            let all = budgets.iter().zip(&*whole_at_ms);
            let wait_ms = all.map(|(budget, whole)| budget.wait_ms(*whole, now_ms));
            let wait_ms = wait_ms.max().unwrap_or(0);
            if wait_ms > 0 {
                return Err(wait_ms);
            }
            for (budget, whole) in budgets.iter().zip(whole_at_ms) {
                *whole = (*whole).max(now_ms) + budget.each_ms;
            }
            let each = budgets.iter().map(|budget| budget.each_ms);
            Ok(Counted(places.iter().copied().zip(each).collect()))
        })
    }

    /// It was no wrong password: the password was right, or was not looked at.
    pub(crate) fn give_back(&mut self, counted: Counted) {
        let (places, each): (Vec<usize>, Vec<u64>) = counted.0.into_iter().unzip();
        self.field.change(&places, |whole_at_ms| {
            for (whole, ms) in whole_at_ms.iter_mut().zip(each) {
                *whole = whole.saturating_sub(ms);
            }
        });
    }
}

impl Try<'_> {
    /// Where it is counted, and what that allows. Each budget has slots of its own: others' wrong passwords never fall on
    /// a device's, and a refused try cuts no longer budget to its own measure.
    pub(crate) fn slots(&self, slot: impl Fn(Range, &[&[u8]]) -> usize) -> Vec<(usize, Budget)> {
        let (network, account) = (network(self.address), self.account.as_bytes());
        let network = network.as_bytes();
        match &self.device {
            Some(nonce) => vec![(slot(Range::Device, &[b"device", nonce, account]), DEVICE)],
            None => vec![
                (slot(Range::Address, &[b"address", network]), ADDRESS),
                (slot(Range::Pair, &[b"pair", network, account]), PAIR),
                (slot(Range::Account, &[b"account", account]), ACCOUNT),
            ],
        }
    }
}

impl Budget {
    /// The longest time until it is whole again.
    pub(crate) fn most_ms(self) -> u64 {
        self.burst * self.each_ms
    }

    /// How long until there is room for one more, if it is whole again after `left_ms`.
    pub(crate) fn wait_left_ms(self, left_ms: u64) -> u64 {
        self.wait_ms(left_ms, 0)
    }

    /// What one wrong password takes away.
    pub(crate) fn each_ms(self) -> u64 {
        self.each_ms
    }

    /// How long until there is room for one more.
    fn wait_ms(self, whole_at_ms: u64, now_ms: u64) -> u64 {
        let room_ms = (self.burst - 1) * self.each_ms;
        self.sane(whole_at_ms, now_ms)
            .saturating_sub(now_ms + room_ms)
    }

    /// No budget is used up for longer than it takes to fill: the clock was set back, or the file is not ours.
    fn sane(self, whole_at_ms: u64, now_ms: u64) -> u64 {
        whole_at_ms.min(now_ms + self.most_ms())
    }
}

/// The part of an address that one customer has: IPv6 gives each at least a /64.
fn network(address: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.to_string(),
            None => format!("{:?}", &v6.segments()[..4]),
        },
        Ok(IpAddr::V4(_)) | Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_000_000_000;

    fn by<'a>(address: &'a str, account: &'a str) -> Try<'a> {
        Try {
            address,
            account,
            device: None,
        }
    }

    fn wrong(throttle: &mut Throttle, by: Try<'_>, times: usize) -> usize {
        (0..times)
            .filter(|_| throttle.count(by, NOW_MS).is_ok())
            .count()
    }

    #[test]
    fn an_attacker_locks_out_himself() {
        let mut throttle = Throttle::new(Field::own());
        assert_eq!(wrong(&mut throttle, by("1.1.1.1", "ada"), 1000), 10);
        assert_eq!(wrong(&mut throttle, by("1.1.1.1", "bob"), 1000), 10);
        assert_eq!(wrong(&mut throttle, by("1.1.1.1", "eve"), 1000), 10);
        assert_eq!(
            wrong(&mut throttle, by("1.1.1.1", "max"), 1000),
            0,
            "the address"
        );
        assert_eq!(
            wrong(&mut throttle, by("2.2.2.2", "ada"), 1),
            1,
            "ada herself"
        );
        let wait = throttle
            .count(by("1.1.1.1", "ada"), NOW_MS)
            .expect_err("throttled");
        assert!(throttle.count(by("1.1.1.1", "ada"), NOW_MS + wait).is_ok());
    }

    #[test]
    fn more_workers_are_not_more_guesses() {
        let dir = tempfile::tempdir().expect("a directory");
        let worker = || Throttle::new(Field::shared(dir.path()));
        let mut workers: Vec<Throttle> = (0..4).map(|_| worker()).collect();
        let all: usize = workers
            .iter_mut()
            .map(|one| wrong(one, by("1.1.1.1", "ada"), 100))
            .sum();
        assert_eq!(all, 10);
        // Nor is a restart of the gateway.
        assert_eq!(wrong(&mut worker(), by("1.1.1.1", "ada"), 100), 0);
        // What was right is given back for all.
        let counted = workers[0]
            .count(by("2.2.2.2", "ada"), NOW_MS)
            .expect("free");
        workers[0].give_back(counted);
        assert_eq!(wrong(&mut workers[1], by("2.2.2.2", "ada"), 100), 10);
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out_for_long() {
        let mut throttle = Throttle::new(Field::own());
        wrong(&mut throttle, by("1.1.1.1", "ada"), 100);
        let before_ms = NOW_MS - 900_000_000;
        let wait_ms = throttle
            .count(by("1.1.1.1", "ada"), before_ms)
            .expect_err("throttled");
        assert_eq!(
            wait_ms, PAIR.each_ms,
            "one whole budget, and the first of it is free again"
        );
        let later_ms = before_ms + wait_ms;
        assert!(throttle.count(by("1.1.1.1", "ada"), later_ms).is_ok());
    }

    #[test]
    fn many_addresses_run_out_but_a_known_browser_goes_on() {
        let mut throttle = Throttle::new(Field::own());
        let guesses: usize = (0..250)
            .map(|n| wrong(&mut throttle, by(&format!("10.0.0.{n}"), "ada"), 5))
            .sum();
        assert_eq!(guesses, 100);
        let known = Try {
            device: Some([1; 16]),
            ..by("10.0.0.1", "ada")
        };
        assert_eq!(wrong(&mut throttle, known, 1000), 10, "its own budget");
        let other = Try {
            device: Some([2; 16]),
            ..known
        };
        assert_eq!(wrong(&mut throttle, other, 1), 1);
    }

    /// Tries of other names fall on all slots sooner or later; none of them may give an account its guesses back.
    #[test]
    fn a_flood_of_other_names_fills_no_budget_up() {
        let mut throttle = Throttle::new(Field::own());
        for n in 0..20 {
            wrong(&mut throttle, by(&format!("10.0.0.{n}"), "ada"), 5);
        }
        let wait_ms = |throttle: &mut Throttle| {
            let slots =
                by("20.0.0.1", "ada").slots(|range, parts| throttle.field.slot(range, parts));
            let (place, budget) = slots[2];
            let field = &mut throttle.field;
            field.change(&[place], |whole| budget.wait_ms(whole[0], NOW_MS))
        };
        let before_ms = wait_ms(&mut throttle);
        assert!(before_ms > 0);
        let flood: Vec<String> = (0..200_000).map(|n| format!("name{n}")).collect();
        for name in &flood {
            let _ = throttle.count(by("1.1.1.1", name), NOW_MS);
        }
        assert!(wait_ms(&mut throttle) >= before_ms);
    }

    #[test]
    fn what_was_right_is_not_counted_and_an_ipv6_network_is_one() {
        let mut throttle = Throttle::new(Field::own());
        for _ in 0..1000 {
            let counted = throttle.count(by("1.1.1.1", "ada"), NOW_MS).expect("free");
            throttle.give_back(counted);
        }
        let hosts: usize = (0..100)
            .map(|n| wrong(&mut throttle, by(&format!("2001:db8::{n:x}"), "ada"), 1))
            .sum();
        assert_eq!(hosts, 10);
        assert_eq!(network("::ffff:1.2.3.4"), "1.2.3.4");
    }
}
