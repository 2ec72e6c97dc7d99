//! May time be believed?
//!
//! A virtual machine that wakes with a wrong clock must not sign out everybody. The wall clock is compared with one
//! that nobody can set (`CLOCK_BOOTTIME`): when both moved by the same, expiry runs; when the wall clock jumped by more
//! than [`DRIFT_MS_MAX`], expiry is frozen until they agree again or the process starts anew. Differences below that
//! are followed slowly, so that a year of slewing does not add up to a freeze.
//!
//! The store remembers the latest time it has seen; a machine whose clock starts before it (a board without a
//! battery) is frozen until its clock has reached that time: by running, or, if it was not set at all (earlier than this
//! program), by being set. Meanwhile stamps are that time, so that the gap closes, and later only when by one of the two
//! clocks it is later. Where the store is ahead by more than [`AHEAD_MS_MAX`] and the clock is later than this program
//! is old, it is the store's time that a wrong clock once wrote: the clock is believed, or nothing would end for years.
//! Limit: what is stamped by a process that *started* with a wrong clock is stamped wrongly, and ends by so much later,
//! or earlier.

use crate::limits::{AHEAD_MS_MAX, DRIFT_MS_MAX, FOLLOW_MS_MIN, PAST_MS};

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reading {
    /// Unix milliseconds.
    pub wall_ms: u64,
    /// Milliseconds of a clock that is never set and counts while suspended.
    pub steady_ms: u64,
}

/// Whether sessions may expire now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expiry {
    /// The clocks agree.
    Runs,
    /// They do not: nothing expires.
    Frozen,
}

/// What time it is, and how much that is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Time {
    /// Unix milliseconds. While frozen the later of what may be true: a stamp that is too late signs nobody out.
    pub now_ms: u64,
    /// Whether it may end sessions.
    pub expiry: Expiry,
}

/// How the two clocks stood to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Clocks {
    /// Wall time when the steady clock was at `anchor.steady_ms`.
    anchor: Reading,
    /// When the anchor was moved last.
    followed_ms: u64,
    behind: Option<Behind>,
}

/// The clock started before the latest time that the store has seen, and has not reached it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Behind {
    seen_ms: u64,
    /// It was never set: whatever it jumps to beyond that time is somebody's setting it.
    unset: bool,
}

impl Clocks {
    /// At the start of a process. `seen_ms` is the latest time that the store has seen (0: none).
    #[must_use]
    pub fn start(reading: Reading, seen_ms: u64) -> Self {
        let ahead_ms = seen_ms.saturating_sub(reading.wall_ms);
        let unset = reading.wall_ms < PAST_MS;
        let behind = ahead_ms > DRIFT_MS_MAX && (unset || ahead_ms <= AHEAD_MS_MAX);
        Self {
            anchor: reading,
            followed_ms: reading.steady_ms,
            behind: behind.then_some(Behind { seen_ms, unset }),
        }
    }

    /// What time it is.
    pub fn read(&mut self, reading: Reading) -> Time {
        let passed_ms = reading.steady_ms.saturating_sub(self.anchor.steady_ms);
        let steady_now_ms = self.anchor.wall_ms.saturating_add(passed_ms);
        let agree = steady_now_ms.abs_diff(reading.wall_ms) <= DRIFT_MS_MAX;
        let frozen = |now_ms| Time {
            now_ms,
            expiry: Expiry::Frozen,
        };
        match self.behind {
            Some(Behind { seen_ms, unset }) => {
                let reached = reading.wall_ms.saturating_add(DRIFT_MS_MAX) >= seen_ms;
                if !reached || !(agree || unset) {
                    self.follow(reading, agree);
                    return frozen(seen_ms.max(steady_now_ms).max(reading.wall_ms));
                }
                *self = Self::start(reading, 0);
            }
            None if agree => self.follow(reading, agree),
            None => return frozen(steady_now_ms.max(reading.wall_ms)),
        }
        Time {
            now_ms: reading.wall_ms,
            expiry: Expiry::Runs,
        }
    }

    fn follow(&mut self, reading: Reading, agree: bool) {
        if agree && reading.steady_ms.saturating_sub(self.followed_ms) >= FOLLOW_MS_MIN {
            self.anchor = reading;
            self.followed_ms = reading.steady_ms;
        }
    }
}
