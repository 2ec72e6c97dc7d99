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
//! Memory is fixed: each table is a field of slots, chosen by a hash that the process keys at random. Two keys in one
//! slot share its budget, and nobody can choose whom to share with. Each worker counts for itself.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;

/// Slots of one table: 512 kB; that many attackers at once are another problem than passwords.
const SLOTS: usize = 65_536;

/// A budget: so many wrong ones at once, then one each so often.
#[derive(Debug, Clone, Copy)]
struct Budget {
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

/// When each slot's budget is whole again, milliseconds of a clock that is never set.
#[derive(Debug)]
pub(crate) struct Throttle {
    whole_at_ms: Vec<u64>,
    keyed: RandomState,
}

impl Throttle {
    pub(crate) fn new() -> Throttle {
        Throttle {
            // The second half is the devices': others' wrong passwords never fall on them.
            whole_at_ms: vec![0; 2 * SLOTS],
            keyed: RandomState::new(),
        }
    }

    /// Counts a try. `Err`: not now, but after so many milliseconds.
    pub(crate) fn count(&mut self, by: Try<'_>, now_ms: u64) -> Result<Counted, u64> {
        let network = network(by.address);
        let slots: Vec<(usize, Budget)> = match by.device {
            Some(nonce) => vec![(SLOTS + self.slot(&("device", nonce, by.account)), DEVICE)],
            None => vec![
                (self.slot(&("address", &network)), ADDRESS),
                (self.slot(&("pair", &network, by.account)), PAIR),
                (self.slot(&("account", by.account)), ACCOUNT),
            ],
        };
        let wait_ms = |(slot, budget): &(usize, Budget)| {
            let room_ms = (budget.burst - 1) * budget.each_ms;
            self.whole_at_ms[*slot].saturating_sub(now_ms + room_ms)
        };
        let wait_ms = slots.iter().map(wait_ms).max().unwrap_or(0);
        if wait_ms > 0 {
            return Err(wait_ms);
        }
        for (slot, budget) in &slots {
            let whole = &mut self.whole_at_ms[*slot];
            *whole = (*whole).max(now_ms) + budget.each_ms;
        }
        Ok(Counted(
            slots
                .into_iter()
                .map(|(slot, budget)| (slot, budget.each_ms))
                .collect(),
        ))
    }

    /// It was no wrong password: the password was right, or was not looked at.
    pub(crate) fn give_back(&mut self, counted: Counted) {
        for (slot, ms) in counted.0 {
            self.whole_at_ms[slot] = self.whole_at_ms[slot].saturating_sub(ms);
        }
    }

    fn slot(&self, key: &impl Hash) -> usize {
        usize::try_from(self.keyed.hash_one(key)).unwrap_or(0) % SLOTS
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
        let mut throttle = Throttle::new();
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
    fn many_addresses_run_out_but_a_known_browser_goes_on() {
        let mut throttle = Throttle::new();
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

    #[test]
    fn what_was_right_is_not_counted_and_an_ipv6_network_is_one() {
        let mut throttle = Throttle::new();
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
