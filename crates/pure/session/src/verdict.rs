//! One of three: valid, invalid, unknown. Nothing else is ever said about a credential.

use crate::row::{UserId, Why};
use crate::token::Sid;
use std::fmt;

/// What is said about a credential. *Unknown* never becomes 401, on any layer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Signed in.
    Valid(Admission),
    /// A real authentication error: 401 with `WWW-Authenticate` (RFC 6750).
    Invalid(Refusal),
    /// We cannot know: 503 with `Retry-After`; the client stays signed in.
    Unknown(Unsure),
}

/// A request that was let in. Time does not change it any more: a request that waits out a restart is not signed out
/// by having waited. Revocation does: see [`crate::revoke::at_dispatch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The session.
    pub session: Sid,
    /// Whose it is.
    pub user: UserId,
    /// When it was let in, Unix milliseconds.
    pub at_ms: u64,
    /// Last-seen is to be renewed. None: passive traffic, or renewed a moment ago.
    pub touch: Option<Touch>,
}

/// A last-seen to be written. A process that dies with an unwritten one loses the whole pause before it, not only the
/// seconds since: so one that ends a long pause is not batched, and what may be lost stays below the leeway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Touch {
    /// Unix milliseconds.
    pub at_ms: u64,
    /// Hand it to the store at once (nobody waits for it); otherwise it may wait for others.
    pub at_once: bool,
}

/// Why a credential is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There was none.
    Absent,
    /// A session of another realm: it may be good there, and its client keeps it.
    OtherRealm,
    /// Not a token of ours, truncated, oversized or tagged wrongly. Never ends a session.
    Malformed,
    /// A token of another use: a cookie's as a bearer, or the reverse.
    WrongUse,
    /// The store, complete and ours, does not know it.
    NotFound,
    /// It names a store that was forgotten by command.
    ForgottenStore,
    /// Not used for too long.
    Idle,
    /// Older than any session may become.
    Absolute,
    /// Ended: signed out, revoked, theft.
    Ended(Why),
    /// A rotating token that is older than every remembered parent, presented as a credential. It ends nothing here.
    Superseded,
}

/// Why nothing can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unsure {
    /// The store did not answer, or answered with an error.
    Unreachable,
    /// The token names another store than the one we have.
    ForeignStore,
    /// The store is ours by name but cannot be trusted.
    Distrusted(Alarm),
    /// The token is genuine (its tag is ours) but the store never saw it: the store is an old copy.
    StoreBehind,
    /// No lease on the cache, and this route wants a fresh verdict.
    NotFresh,
}

/// What is wrong with a store, until `sessions forget-store`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alarm {
    /// Where a store was, there is none.
    Missing,
    /// It has lost its sessions.
    Empty,
    /// It is another store than the one that was here.
    Foreign,
    /// It cannot be read: damaged, or written by a newer version.
    Unreadable,
}

impl Refusal {
    /// The RFC 6750 section 3.1 error code. None where no credential was sent: the section wants no code there.
    #[must_use]
    pub const fn code(self) -> Option<&'static str> {
        match self {
            Self::Absent | Self::OtherRealm => None,
            Self::Malformed
            | Self::WrongUse
            | Self::NotFound
            | Self::ForgottenStore
            | Self::Idle
            | Self::Absolute
            | Self::Ended(_)
            | Self::Superseded => Some("invalid_token"),
        }
    }

    /// Whether a cookie with such a token is good for nothing and is to be removed. Not one that a sign-in elsewhere in
    /// this browser has replaced already, and not one that is good for programs of another realm.
    #[must_use]
    pub const fn spoils_cookie(self) -> bool {
        match self {
            Self::Absent | Self::OtherRealm | Self::Ended(Why::Replaced) => false,
            Self::Malformed
            | Self::WrongUse
            | Self::NotFound
            | Self::ForgottenStore
            | Self::Idle
            | Self::Absolute
            | Self::Ended(Why::SignedOut | Why::Revoked | Why::Disabled | Why::Theft)
            | Self::Superseded => true,
        }
    }

    /// One sentence for people. It tells no more than the holder of the token may know.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Absent | Self::OtherRealm => "Sign in first.",
            Self::Malformed => "The token is not one of ours.",
            Self::WrongUse => "The token was made for another use.",
            Self::NotFound | Self::ForgottenStore => "The session does not exist.",
            Self::Idle => "The session was not used for too long.",
            Self::Absolute => "The session has reached its greatest age.",
            Self::Ended(why) => why.text(),
            Self::Superseded => "The token was replaced long ago.",
        }
    }

    /// The value of `WWW-Authenticate`. `realm` is ours, not the client's: quotes and controls in it are dropped.
    #[must_use]
    pub fn challenge(self, realm: &str) -> String {
        let realm: String = realm
            .chars()
            .filter(|c| !c.is_control() && *c != '"' && *c != '\\')
            .collect();
        match self.code() {
            None => format!("Bearer realm=\"{realm}\""),
            Some(code) => {
                format!(
                    "Bearer realm=\"{realm}\", error=\"{code}\", error_description=\"{}\"",
                    self.text()
                )
            }
        }
    }
}

impl Unsure {
    /// One sentence for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unreachable => "The session store does not answer.",
            Self::ForeignStore => "The session is kept in another store.",
            Self::Distrusted(Alarm::Missing) => "The session store is missing.",
            Self::Distrusted(Alarm::Empty) => "The session store has lost its sessions.",
            Self::Distrusted(Alarm::Foreign) => "The session store is another one than before.",
            Self::Distrusted(Alarm::Unreadable) => "The session store cannot be read.",
            Self::StoreBehind => "The session store is older than this token.",
            Self::NotFresh => "The session store cannot be asked now.",
        }
    }

    /// Whether somebody must look at it: it does not pass by itself.
    #[must_use]
    pub const fn alarms(self) -> bool {
        match self {
            Self::ForeignStore | Self::Distrusted(_) | Self::StoreBehind => true,
            Self::Unreachable | Self::NotFresh => false,
        }
    }
}

impl Verdict {
    /// The HTTP status of the refusal; None when valid.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Valid(_) => None,
            Self::Invalid(_) => Some(401),
            Self::Unknown(_) => Some(503),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid(_) => f.write_str("Signed in."),
            Self::Invalid(refusal) => f.write_str(refusal.text()),
            Self::Unknown(unsure) => f.write_str(unsure.text()),
        }
    }
}
