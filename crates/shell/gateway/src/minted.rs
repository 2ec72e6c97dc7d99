//! Tokens that were made a moment ago, by session and key: a page's requests cost one signature.
//!
//! In two halves ([`Halves`]): the young one becomes the old one when it is full or its time is over, so that memory is
//! bounded and nothing stays that [`fresh`] would refuse anyway.
//!
//! *Invariant*: this decides nothing about a session. Who asks here was admitted already, and has looked at the count
//! of revocations since. A key of another generation has entries of its own.

use session::claims::fresh;
use session::keyring::KeyId;
use session::{Admission, Halves, JWT_REUSE_S, Sid, UserId};

use crate::limits::MINTED_MAX;

/// See the module.
pub(crate) struct Minted {
    made: Halves<(Sid, KeyId), Made>,
    /// The young half began then, Unix seconds.
    since_s: u64,
}

struct Made {
    user: UserId,
    at_s: u64,
    line: Vec<u8>,
}

impl Default for Minted {
    fn default() -> Minted {
        Minted {
            made: Halves::new(MINTED_MAX),
            since_s: 0,
        }
    }
}

/// The lines hold tokens.
impl std::fmt::Debug for Minted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Minted")
            .field("made", &self.made.len())
            .finish_non_exhaustive()
    }
}

impl Minted {
    /// The line that was made for this session and key, if a request may still leave with it.
    pub(crate) fn get(&self, admission: &Admission, key: KeyId, now_s: u64) -> Option<&[u8]> {
        let of = (admission.session, key);
        let made = self.made.peek(&of)?;
        (made.user == admission.user && fresh(made.at_s, now_s)).then_some(&made.line)
    }

    pub(crate) fn put(&mut self, admission: &Admission, key: KeyId, now_s: u64, line: Vec<u8>) {
        let over = !(self.since_s..self.since_s + JWT_REUSE_S).contains(&now_s);
        if over {
            self.made.turn();
        }
        let made = Made {
            user: admission.user.clone(),
            at_s: now_s,
            line,
        };
        if self.made.put((admission.session, key), made) || over {
            self.since_s = now_s;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(session: u32, user: &str) -> Admission {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&session.to_be_bytes());
        Admission {
            session: Sid(id),
            user: UserId::parse(user).expect("a user"),
            at_ms: 0,
            touch: None,
        }
    }

    #[test]
    fn only_the_same_session_user_and_key_and_only_for_a_moment() {
        let mut minted = Minted::default();
        let ada = admission(1, "ada");
        minted.put(&ada, KeyId(1), 100, b"line".to_vec());
        let line = Some(b"line".as_slice());
        assert_eq!(minted.get(&ada, KeyId(1), 100), line);
        assert_eq!(minted.get(&ada, KeyId(1), 99 + JWT_REUSE_S), line);
        assert_eq!(
            minted.get(&ada, KeyId(1), 100 + JWT_REUSE_S),
            None,
            "too old"
        );
        assert_eq!(
            minted.get(&ada, KeyId(1), 99),
            None,
            "the clock was set back"
        );
        assert_eq!(minted.get(&ada, KeyId(2), 100), None, "another generation");
        assert_eq!(minted.get(&admission(2, "ada"), KeyId(1), 100), None);
        assert_eq!(minted.get(&admission(1, "bob"), KeyId(1), 100), None);
        // A half that turned in between costs nobody a token.
        minted.put(&admission(2, "bob"), KeyId(1), 105, b"other".to_vec());
        minted.put(&admission(3, "eve"), KeyId(1), 110, b"third".to_vec());
        assert_eq!(
            minted.get(&admission(2, "bob"), KeyId(1), 111),
            Some(b"other".as_slice())
        );
    }

    #[test]
    fn memory_is_bounded_and_what_is_over_goes() {
        let mut minted = Minted::default();
        for n in 0..MINTED_MAX as u32 * 5 {
            minted.put(&admission(n, "ada"), KeyId(1), 100, b"line".to_vec());
            assert!(minted.made.len() <= 2 * MINTED_MAX);
        }
        for now_s in [100 + JWT_REUSE_S, 100 + 2 * JWT_REUSE_S] {
            minted.put(&admission(0, "ada"), KeyId(1), now_s, b"line".to_vec());
        }
        assert_eq!(minted.made.len(), 2);
    }
}
