//! What a client holds. Opaque to it; to us it names its store, and nothing else that could be wrong.
//!
//! ```text
//! sf1.c.STORE.SECRET                 cookie      8 and 32 bytes, base64url without padding: 11 and 43 characters
//! sf1.b.STORE.SECRET                 bearer
//! sf1.r.STORE.SID.C.T.TAG            rotating    16 bytes, a decimal, 32 bytes, tag = HMAC(k_s, c|t): 32 bytes
//! ```
//! There is one text for each token: no padding, no leading zero, no bit left over. What differs by a character is
//! malformed (401) and says nothing about any session.

use crate::limits::TOKEN_BYTES_MAX;
use crate::mac::{Hidden, hash, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use std::fmt;

/// How a session's token travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// In a cookie of a browser.
    Cookie,
    /// In `Authorization: Bearer`, the same one for the whole session.
    Bearer,
    /// In `Authorization: Bearer`, replaced at each refresh ([`crate::rotating`]).
    Rotating,
}

/// Names a store, for good: made with it, never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(pub [u8; 8]);

/// Names a session in public: lists, logs, commands. No credential.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid(pub [u8; 16]);

macro_rules! named {
    ($name:ident, $bytes:literal) => {
        impl $name {
            /// Reads the text that `Display` writes; None for any other.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                decode::<$bytes>(text).map(Self)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&BASE64.encode(self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}
named!(StoreId, 8);
named!(Sid, 16);

/// A token of a cookie or a bearer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Opaque {
    /// The store that keeps it.
    pub store: StoreId,
    /// 256 random bits.
    pub secret: Hidden,
}

impl Opaque {
    /// What the store keeps and is asked for.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        hash(self.secret.expose())
    }
}

/// A token of a rotating session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Link {
    /// The store that keeps its session.
    pub store: StoreId,
    /// The session.
    pub session: Sid,
    /// Its generation.
    pub c: u32,
    /// Its secret.
    pub t: Hidden,
    /// Proves that we made it: HMAC(k_s, c|t).
    pub tag: Hidden,
}

impl Link {
    /// The token of generation `c` with secret `t`, tagged with the session's key.
    #[must_use]
    pub fn tagged(store: StoreId, session: Sid, c: u32, t: Hidden, key: &Hidden) -> Self {
        let tag = Self::tag_of(c, &t, key);
        Self {
            store,
            session,
            c,
            t,
            tag,
        }
    }

    /// Whether the session with this key made it.
    #[must_use]
    pub fn genuine(&self, key: &Hidden) -> bool {
        Self::tag_of(self.c, &self.t, key) == self.tag
    }

    fn tag_of(c: u32, t: &Hidden, key: &Hidden) -> Hidden {
        Hidden::new(hmac(key.expose(), &[&c.to_be_bytes(), t.expose()]))
    }
}

/// Any token of ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Token {
    /// Of a browser.
    Cookie(Opaque),
    /// Of another client.
    Bearer(Opaque),
    /// Of a client that refreshes.
    Rotating(Link),
}

impl Token {
    /// Reads a token. None: not one of ours, whatever else it may be.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let mut parts = text.split('.');
        if parts.next()? != "sf1" {
            return None;
        }
        let kind = parts.next()?;
        let store = StoreId::parse(parts.next()?)?;
        let token = match kind {
            "c" => Self::Cookie(Opaque {
                store,
                secret: hidden(parts.next()?)?,
            }),
            "b" => Self::Bearer(Opaque {
                store,
                secret: hidden(parts.next()?)?,
            }),
            "r" => Self::Rotating(Link {
                store,
                session: Sid::parse(parts.next()?)?,
                c: decimal(parts.next()?)?,
                t: hidden(parts.next()?)?,
                tag: hidden(parts.next()?)?,
            }),
            _ => return None,
        };
        parts.next().is_none().then_some(token)
    }

    /// The text for the client. The only place where a secret leaves.
    #[must_use]
    pub fn expose(&self) -> String {
        let opaque = |kind: char, it: &Opaque| {
            format!(
                "sf1.{kind}.{}.{}",
                it.store,
                BASE64.encode(it.secret.expose())
            )
        };
        match self {
            Self::Cookie(it) => opaque('c', it),
            Self::Bearer(it) => opaque('b', it),
            Self::Rotating(it) => format!(
                "sf1.r.{}.{}.{}.{}.{}",
                it.store,
                it.session,
                it.c,
                BASE64.encode(it.t.expose()),
                BASE64.encode(it.tag.expose())
            ),
        }
    }

    /// The store that it names.
    #[must_use]
    pub const fn store(&self) -> StoreId {
        match self {
            Self::Cookie(it) | Self::Bearer(it) => it.store,
            Self::Rotating(it) => it.store,
        }
    }

    /// How it travels.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Cookie(_) => Kind::Cookie,
            Self::Bearer(_) => Kind::Bearer,
            Self::Rotating(_) => Kind::Rotating,
        }
    }
}

/// Reads 32 bytes of base64url: a token's secret, or a client's `a`.
#[must_use]
pub fn hidden(text: &str) -> Option<Hidden> {
    decode::<32>(text).map(Hidden::new)
}

/// Exactly N bytes in their only spelling: the engine refuses padding and bits left over.
fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let room = N.div_ceil(3) * 4;
    if text.len() > room {
        return None;
    }
    // The engine wants room for whole groups; what it writes must be N bytes.
    let mut whole = [0; 48];
    let written = BASE64.decode_slice(text, &mut whole).ok()?;
    (written == N).then(|| bytes.copy_from_slice(&whole[..N]))?;
    Some(bytes)
}

/// A decimal without sign or leading zero.
fn decimal(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}
