//! Nothing is valid after its revocation was acknowledged.
//!
//! Gateways cache verdicts. Each cached one carries the count of revocations that was read *before* the store was
//! asked; the count is bumped after the commit and before the acknowledgement. So whoever starts to verify after an
//! acknowledgement sees another count and asks the store.
//!
//! ```text
//! revoker   commit ──► bump ──► acknowledge
//! verifier  read count ──► cached with the same count? use it : ask the store, cache with the count read
//! ```
//! On one machine the count is shared memory, read at every verification ([`Line::Local`]). Across machines it is a
//! sequence in the shared store; each gateway holds a lease of [`LEASE_MS`] during which it follows the sequence, and a
//! revocation is acknowledged when every gateway confirmed it or its lease ran out. A gateway without a lease knows that it may
//! be behind: cached verdicts then live at most [`STALE_MS_MAX`] from the moment they were made, and routes that want
//! fresh verdicts answer *unknown*. That bound is the price of signing nobody out by a network partition.
//!
//! Times here are milliseconds of a clock that is never set.

use crate::judge::Found;
use crate::limits::{LEASE_MS, STALE_MS_MAX};
use crate::row::{Realm, Row, UserId};
use crate::token::Sid;
use crate::verdict::{Admission, Refusal, Unsure, Verdict};

/// Which sessions a revocation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// This one.
    One(Sid),
    /// All of a user, in every realm: an operator's word.
    User(UserId),
    /// All of a user in one realm: also those that the caller does not know of.
    Within {
        /// Whose.
        user: UserId,
        /// Where: the same name in another realm is somebody else.
        realm: Realm,
    },
    /// All of a user in one realm but the one that asks.
    Others {
        /// Whose.
        user: UserId,
        /// Where.
        realm: Realm,
        /// The one that stays.
        keep: Sid,
    },
}

impl Scope {
    /// Whether it ends this session. An ended one is not ended again: its reason stays.
    #[must_use]
    pub fn covers(&self, row: &Row) -> bool {
        let meant = match self {
            Self::One(id) => row.id == *id,
            Self::User(user) => row.user == *user,
            Self::Within { user, realm } => row.user == *user && row.realm == *realm,
            Self::Others { user, realm, keep } => {
                row.user == *user && row.realm == *realm && row.id != *keep
            }
        };
        meant && row.ended.is_none()
    }
}

/// How a gateway knows of revocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Line {
    /// The count is in shared memory: always true.
    Local {
        /// Revocations so far.
        count: u64,
    },
    /// The count was read from the shared store under a lease.
    Leased {
        /// Revocations that this gateway has confirmed.
        count: u64,
        /// The lease ends at this time.
        until_ms: u64,
    },
}

/// A verdict in a cache. Only *valid* ones are worth keeping; *unknown* ones never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cached {
    /// The count that was read before the store was asked.
    pub count: u64,
    /// When it was made.
    pub made_ms: u64,
}

/// What to do with a cached verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recall {
    /// Use it.
    Use,
    /// Ask the store; use its answer.
    Ask,
    /// Ask the store; if it does not answer, the cached verdict may be used (it is not older than [`STALE_MS_MAX`]).
    AskElseUse,
}

/// Whether a cached verdict may be used. `fresh` is the route's wish.
#[must_use]
pub fn recall(cached: Cached, line: Line, fresh: bool, now_ms: u64) -> Recall {
    let (count, current) = match line {
        Line::Local { count } => (count, true),
        Line::Leased { count, until_ms } => (count, now_ms < until_ms),
    };
    if current {
        return if cached.count == count {
            Recall::Use
        } else {
            Recall::Ask
        };
    }
    // The count is not known any more. What was already outdated when the lease ran out stays outdated.
    let young = now_ms.saturating_sub(cached.made_ms) < STALE_MS_MAX;
    if cached.count == count && young && !fresh {
        Recall::AskElseUse
    } else {
        Recall::Ask
    }
}

/// What is said when the store did not answer and nothing cached may be used.
pub fn without_answer(line: Line, fresh: bool, now_ms: u64) -> Verdict {
    match line {
        Line::Leased { until_ms, .. } if fresh && now_ms >= until_ms => {
            Verdict::Unknown(Unsure::NotFresh)
        }
        Line::Leased { .. } | Line::Local { .. } => Verdict::Unknown(Unsure::Unreachable),
    }
}

/// Another gateway, as the shared store sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Revocations that it has confirmed.
    pub confirmed: u64,
    /// Its lease ends at this time, by the store's clock.
    pub until_ms: u64,
}

/// Whether a revocation may be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Acknowledge {
    /// Now.
    Now,
    /// Not before a confirmation, or this time.
    Wait {
        /// When the last lease that is in the way ends.
        until_ms: u64,
    },
}

/// Whether the revocation that made the count `count` may be acknowledged: each gateway has confirmed it or has no
/// lease any more. A lease counts from before the gateway asked for it ([`lease`]), so that ours ends last.
#[must_use]
pub fn acknowledge(count: u64, peers: &[Peer], now_ms: u64) -> Acknowledge {
    let in_the_way = peers
        .iter()
        .filter(|peer| peer.confirmed < count && now_ms < peer.until_ms);
    match in_the_way.map(|peer| peer.until_ms).max() {
        None => Acknowledge::Now,
        Some(until_ms) => Acknowledge::Wait { until_ms },
    }
}

/// The end of a lease for the gateway that asked at `asked_ms` by its own clock: counted from before the question,
/// while the store counts from its answer. The gateway stops trusting its cache before others stop waiting for it.
#[must_use]
pub const fn lease(asked_ms: u64) -> u64 {
    asked_ms.saturating_add(LEASE_MS)
}

/// Whether the session of an admitted request has to be looked at again before it leaves: sessions were ended since, or it
/// has waited and nobody tells this gateway of revocations any more. (One that did not wait was asked about just now,
/// as [`recall`] has it.) The clock is read only where it matters: most requests have no lease, and do not wait.
#[must_use]
pub fn overtaken(admitted: u64, line: Line, waited: bool, now_ms: impl FnOnce() -> u64) -> bool {
    match line {
        Line::Local { count } => count != admitted,
        Line::Leased { count, until_ms } => count != admitted || (waited && now_ms() >= until_ms),
    }
}

/// An admitted request leaves for its program, perhaps after a long wait. The same count: go. Another count: its row
/// is looked at again, for revocation only; time was judged at admission and is not judged again.
pub fn at_dispatch(
    admission: Admission,
    admitted: u64,
    now: u64,
    look: impl FnOnce() -> DispatchLook,
) -> Verdict {
    if admitted == now {
        return Verdict::Valid(admission);
    }
    looked_at(admission, look())
}

/// Likewise without a lease, when the count says nothing: the row is looked at, and a store that does not answer leaves
/// the verdict as it was, which is younger than [`STALE_MS_MAX`]: no request waits so long. On a `fresh` route that is
/// not enough.
pub fn without_lease(admission: Admission, fresh: bool, look: DispatchLook) -> Verdict {
    match look {
        DispatchLook::Unknown(Unsure::Unreachable) if fresh => Verdict::Unknown(Unsure::NotFresh),
        DispatchLook::Unknown(Unsure::Unreachable) => Verdict::Valid(admission),
        look => looked_at(admission, look),
    }
}

fn looked_at(admission: Admission, look: DispatchLook) -> Verdict {
    match look {
        DispatchLook::Living => Verdict::Valid(admission),
        DispatchLook::Over(refusal) => Verdict::Invalid(refusal),
        DispatchLook::Unknown(unsure) => Verdict::Unknown(unsure),
    }
}

/// What a second look says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DispatchLook {
    /// The session was not ended.
    Living,
    /// It was.
    Over(Refusal),
    /// The store does not say.
    Unknown(Unsure),
}

impl From<Found<'_>> for DispatchLook {
    fn from(found: Found<'_>) -> Self {
        match found {
            Found::Row(row) => match &row.ended {
                None => Self::Living,
                Some(ended) => Self::Over(Refusal::Ended(ended.why)),
            },
            Found::Nothing => Self::Over(Refusal::NotFound),
            Found::Unreachable => Self::Unknown(Unsure::Unreachable),
            Found::Distrusted(alarm) => Self::Unknown(Unsure::Distrusted(alarm)),
        }
    }
}
