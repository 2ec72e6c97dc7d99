//! The keys of one name: the one that signs, those that still verify, those that must not.
//!
//! A rotation signs nobody out: tokens under a retired key are signed again on their way, for the program that gets
//! them knows one key only: **the one that its generation was started with**. That is not always the one that signs:
//! while an old instance drains, a token of the new one may reach it, and is signed with the old key for it. (A new
//! key towards an old instance is what a naive gateway does; the model shows whom that signs out.)
//!
//! ```text
//!            rotate                     every token that it signed has expired
//!  Signing ──────────► Retired(until) ──────────────────────────────────────────► gone
//!     └──rotate --compromised──► Compromised     never verifies, is never signed again
//! ```
//! *Invariant*: nothing that only a compromised key proves is ever signed with another.

use crate::jws::{Compact, Unreadable};
use crate::limits::KEYS_MAX;
use std::fmt;

/// Names a key inside a ring: counted up, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub u32);

/// What a key may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// New generations get it.
    Signing,
    /// Its tokens verify until then.
    Retired {
        /// Unix seconds.
        until_s: u64,
    },
    /// It leaked.
    Compromised,
}

/// One key. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Its name in the ring.
    pub id: KeyId,
    /// What it may do.
    pub role: Role,
    secret: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// All keys of one name. There is always exactly one that signs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Keyring {
    keys: Vec<Key>,
}

/// How the old key is treated by a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// It verifies until then (Unix seconds): when the longest token that it may have signed expires.
    Overlap {
        /// Unix seconds.
        until_s: u64,
    },
    /// It verifies nothing from now on.
    Compromised,
}

/// What becomes of a token on its way to a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Pass it on as it is.
    AsItIs(Reason),
    /// Pass this on instead: same header, same claims, same exp.
    Signed(String),
}

/// Why a token is passed on as it is: the program decides about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The program's own key signed it.
    AlreadyItsOwn,
    /// It cannot be read.
    Unreadable(Unreadable),
    /// No key that still verifies has signed it.
    NobodysToken,
    /// The program's generation is not of this ring, or its key is compromised: nothing is signed for it.
    NoKeyForIt,
}

impl Keyring {
    /// A ring with its first key.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self {
            keys: vec![Key {
                id: KeyId(0),
                role: Role::Signing,
                secret: secret.to_vec(),
            }],
        }
    }

    /// A ring as it was kept. None unless exactly one key signs and no id comes twice.
    #[must_use]
    pub fn from_keys(keys: impl IntoIterator<Item = (KeyId, Role, Vec<u8>)>) -> Option<Self> {
        let keys: Vec<Key> = keys
            .into_iter()
            .map(|(id, role, secret)| Key { id, role, secret })
            .collect();
        let signing = keys.iter().filter(|key| key.role == Role::Signing).count();
        let twice = keys
            .iter()
            .enumerate()
            .any(|(i, key)| keys.iter().take(i).any(|before| before.id == key.id));
        (signing == 1 && !twice).then_some(Self { keys })
    }

    /// The key that new generations are started with.
    #[must_use]
    pub fn signing(&self) -> KeyId {
        self.keys
            .iter()
            .find(|key| key.role == Role::Signing)
            .map_or(KeyId(0), |key| key.id)
    }

    /// All keys, newest last.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The secret of a key, for signing at dispatch and for handing it to a program.
    #[must_use]
    pub fn expose(&self, id: KeyId) -> Option<&[u8]> {
        self.keys
            .iter()
            .find(|key| key.id == id)
            .map(|key| key.secret.as_slice())
    }

    /// A new key signs from now on. Says false, and changes nothing, when the ring holds [`KEYS_MAX`] keys already:
    /// dropping one would sign out whom it signed. Compromised keys make room first.
    #[must_use]
    pub fn rotate(&mut self, secret: &[u8], how: Rotation) -> bool {
        if self.keys.len() >= KEYS_MAX {
            self.keys.retain(|key| key.role != Role::Compromised);
        }
        if self.keys.len() >= KEYS_MAX && how != Rotation::Compromised {
            return false;
        }
        let next = self
            .keys
            .iter()
            .map(|key| key.id.0)
            .max()
            .map_or(0, |id| id.saturating_add(1));
        for key in self.keys.iter_mut().filter(|key| key.role == Role::Signing) {
            key.role = match how {
                Rotation::Overlap { until_s } => Role::Retired { until_s },
                Rotation::Compromised => Role::Compromised,
            };
        }
        self.keys.push(Key {
            id: KeyId(next),
            role: Role::Signing,
            secret: secret.to_vec(),
        });
        true
    }

    /// Forgets keys whose last token has expired. `in_use` are keys of generations that still run: they may be signing.
    pub fn expire(&mut self, now_s: u64, in_use: &[KeyId]) {
        self.keys.retain(|key| match key.role {
            Role::Signing | Role::Compromised => true,
            Role::Retired { until_s } => now_s < until_s || in_use.contains(&key.id),
        });
    }

    /// A generation stopped: its retired key may have signed until now, tokens that live `life_s`.
    pub fn stopped(&mut self, id: KeyId, now_s: u64, life_s: u64) {
        for key in self.keys.iter_mut().filter(|key| key.id == id) {
            if let Role::Retired { until_s } = &mut key.role {
                *until_s = (*until_s).max(now_s.saturating_add(life_s));
            }
        }
    }

    /// A token on its way to a program whose generation was started with `target`.
    ///
    /// `exp` is not judged: an expired token is expired for the program too, and gets the program's own answer, as it
    /// would have without a rotation.
    #[must_use]
    pub fn towards(&self, text: &str, target: KeyId) -> Outcome {
        let token = match Compact::read(text) {
            Ok(token) => token,
            Err(unreadable) => return Outcome::AsItIs(Reason::Unreadable(unreadable)),
        };
        let Some(own) = self.keys.iter().find(|key| key.id == target) else {
            return Outcome::AsItIs(Reason::NoKeyForIt);
        };
        if token.proved_by(&own.secret) {
            return Outcome::AsItIs(Reason::AlreadyItsOwn);
        }
        if own.role == Role::Compromised {
            return Outcome::AsItIs(Reason::NoKeyForIt);
        }
        let trusted = self
            .keys
            .iter()
            .filter(|key| key.id != target && key.role != Role::Compromised);
        if trusted.into_iter().any(|key| token.proved_by(&key.secret)) {
            Outcome::Signed(token.signed_with(&own.secret))
        } else {
            Outcome::AsItIs(Reason::NobodysToken)
        }
    }
}
