//! What a store keeps of one session.

use crate::limits::{REALM_BYTES_MAX, USER_BYTES_MAX};
use crate::mac::Hidden;
use crate::rotating::Chain;
use crate::token::{Kind, Sid};
use std::fmt;
use std::sync::Arc;

/// A user as the program (L1) or the account table (L2) calls it. 1 to [`USER_BYTES_MAX`] bytes, no controls, no
/// space at either end: it travels in headers and tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// None where the text cannot be a user id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= USER_BYTES_MAX && text.trim() == text;
        (fits && !text.chars().any(char::is_control)).then(|| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which programs a session counts for: those behind gateways that name the same realm. The nameless one is the
/// realm of every gateway that names none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Realm(Arc<str>);

impl Realm {
    /// None where the text is no name: up to [`REALM_BYTES_MAX`] of `[A-Za-z0-9._-]`. The empty text is the nameless one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = text.len() <= REALM_BYTES_MAX && text.bytes().all(plain);
        fits.then(|| Self(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a row keeps of the secret: never the secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    /// SHA-256 of a cookie's secret.
    Cookie([u8; 32]),
    /// SHA-256 of a bearer's secret.
    Bearer([u8; 32]),
    /// The chain of a rotating session.
    Rotating(Chain),
}

impl Credential {
    /// How its token travels.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Cookie(_) => Kind::Cookie,
            Self::Bearer(_) => Kind::Bearer,
            Self::Rotating(_) => Kind::Rotating,
        }
    }
}

/// Why a session ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// Its holder signed out.
    SignedOut,
    /// Ended by its user from elsewhere, or by an operator.
    Revoked,
    /// A login in the same browser made a new one.
    Replaced,
    /// The account was disabled.
    Disabled,
    /// Two clients presented the same rotating token.
    Theft,
}

impl Why {
    /// One sentence for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::SignedOut => "The session was signed out.",
            Self::Revoked => "The session was ended.",
            Self::Replaced => "The session was replaced by a newer sign-in.",
            Self::Disabled => "The account is disabled.",
            Self::Theft => "The session was ended because two clients used it.",
        }
    }
}

/// The end of a session: kept until the sweep, so that the reason can be told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ended {
    /// Unix milliseconds.
    pub at_ms: u64,
    /// Why.
    pub why: Why,
    /// Theft only: the context of the second client; the first one's is the row's own.
    pub other: Option<String>,
}

/// One session. `PartialEq` compares what is kept, in constant time where it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its public name: random, in lists and logs; no credential.
    pub id: Sid,
    /// Whose.
    pub user: UserId,
    /// Where it counts: two programs may call two people by one id.
    pub realm: Realm,
    /// What is kept of its secret.
    pub credential: Credential,
    /// Unix milliseconds of the sign-in.
    pub created_ms: u64,
    /// Unix milliseconds of the last activity that counted, up to a minute late.
    pub seen_ms: u64,
    /// Where it was used last: address and agent, at most [`crate::CONTEXT_BYTES_MAX`] bytes.
    pub context: String,
    /// Its end, when it was ended.
    pub ended: Option<Ended>,
}

/// Random bytes for one new session, from the caller's source.
#[derive(Debug, Clone)]
pub struct Entropy {
    /// The session's public name.
    pub id: [u8; 16],
    /// The secret that the client holds.
    pub secret: Hidden,
    /// Rotating sessions only: the key of its tags.
    pub key: Hidden,
}
