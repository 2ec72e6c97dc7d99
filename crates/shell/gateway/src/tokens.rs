//! The tokens that one target reads: made at dispatch, and signed again where a rotation wants it.
//!
//! The program verifies with the key that its *generation* was started with, which its keeper publishes; that is not
//! always the one that signs for new generations. So every dispatch, and every repeat, asks for the key of the
//! connection that the request is about to leave on.
//!
//! A token that was made a moment ago for the same session and the same key is used again ([`minted`](crate::minted)):
//! it says what a new one would say. Whether the session still lives was asked before, for each request.

use std::cell::RefCell;
use std::collections::BTreeMap;

use routes::{Jwt, JwtKey};
use session::Admission;
use session::claims::Shape;
use session::jws::Alg;
use session::keyring::{KeyId, Keyring, Outcome, Role};

use crate::minted::Minted;

/// See the module.
#[derive(Debug)]
pub(crate) struct Tokens {
    alg: Alg,
    shape: Shape,
    keys: Vec<JwtKey>,
    ring: Keyring,
    /// No keeper tells its key: it reads the one that signs.
    fixed: Option<u32>,
    /// The ring holds no key but the target's own that may verify, or the target reads all of them.
    never_again: bool,
    /// See [`Jwt::reads_all`].
    reads_all: bool,
    /// No retired key is over before then, Unix seconds.
    until_s: u64,
    /// See [`Jwt::life_s`].
    life_s: u64,
    /// The keys of the generations of each slot, as its keeper told them.
    runs: RefCell<BTreeMap<usize, [u32; 3]>>,
    /// When the last generation with a retired key that has no end yet was gone: the rotation that retired it replaced
    /// this gateway first, and nobody tells it the end. Unix seconds; at the beginning, now.
    used: RefCell<Vec<(u32, u64)>>,
    /// A cookie in which the program keeps a token of its own.
    pub(crate) cookie: Option<String>,
    minted: RefCell<Minted>,
}

impl Tokens {
    /// From the configuration. `fixed`: a target without a keeper.
    ///
    /// # Errors
    /// What makes no sense in it, for a message that names the target.
    pub(crate) fn new(jwt: &Jwt, fixed: bool, now_s: u64) -> Result<Tokens, String> {
        let alg = Alg::parse(&jwt.alg)
            .ok_or_else(|| format!("alg {} is none of HS256, HS384, HS512", jwt.alg))?;
        let shape =
            Shape::parse(&jwt.claims).map_err(|unfit| format!("claims are wrong: {unfit:?}"))?;
        let ring = ring(jwt.keys.iter().map(|key| (key, key.until_s)))
            .ok_or("exactly one key must sign, and no number twice")?;
        let trusted = jwt.keys.iter().filter(|key| !key.compromised).count();
        let retired = jwt.keys.iter().filter(|key| !key.signs);
        let (endless, ending): (Vec<_>, Vec<_>) = retired.partition(|key| key.until_s == 0);
        let first = now_s.saturating_add(jwt.life_s);
        let ends = ending.iter().map(|key| key.until_s);
        Ok(Tokens {
            alg,
            shape,
            fixed: fixed.then(|| ring.signing().0),
            reads_all: jwt.reads_all,
            never_again: jwt.reads_all || trusted < 2,
            until_s: ends
                .chain(endless.first().map(|_| first))
                .min()
                .unwrap_or(u64::MAX),
            life_s: jwt.life_s,
            runs: RefCell::default(),
            used: RefCell::new(endless.iter().map(|key| (key.id, now_s)).collect()),
            keys: jwt.keys.clone(),
            ring,
            cookie: jwt.cookie.clone(),
            minted: RefCell::default(),
        })
    }

    /// The key to sign with for a generation with this one.
    fn key(&self, told: u32) -> KeyId {
        KeyId(self.fixed.unwrap_or(told))
    }

    /// The generations of a slot have these keys from now on; 0 is none.
    pub(crate) fn runs(&self, slot: usize, keys: [u32; 3], now_s: u64) {
        let before = self.runs.borrow_mut().insert(slot, keys);
        let mut used = self.used.borrow_mut();
        for (id, at_s) in used.iter_mut() {
            if before.is_some_and(|before| before.contains(id)) {
                *at_s = now_s;
            }
        }
    }

    /// When a key is over, Unix seconds.
    fn end_s(&self, key: &JwtKey) -> u64 {
        match key.until_s {
            _ if key.signs => u64::MAX,
            0 if self
                .runs
                .borrow()
                .values()
                .any(|keys| keys.contains(&key.id)) =>
            {
                u64::MAX
            }
            0 => {
                let used = self.used.borrow();
                let at_s = used.iter().find(|(id, _)| *id == key.id);
                at_s.map_or(0, |(_, at_s)| at_s.saturating_add(self.life_s))
            }
            until_s => until_s,
        }
    }

    /// Appends the line with the token for one request. False: the generation was started with a key that this gateway
    /// does not have. A compromised key still signs for a generation that knows no other: whoever stole it can forge
    /// for that generation anyway, and its users should not be refused until it is replaced.
    pub(crate) fn authorize(
        &self,
        lines: &mut Vec<u8>,
        admission: &Admission,
        told: u32,
        now_s: u64,
    ) -> bool {
        let key = self.key(told);
        let mut minted = self.minted.borrow_mut();
        if let Some(line) = minted.get(admission, key, now_s) {
            lines.extend_from_slice(line);
            return true;
        }
        let Some(secret) = self.ring.expose(key) else {
            return false;
        };
        let mut jti = [0; 16];
        if getrandom::fill(&mut jti).is_err() {
            return false;
        }
        let token = self.shape.token(admission, self.alg, secret, now_s, jti);
        let line = format!("Authorization: Bearer {token}\r\n");
        lines.extend_from_slice(line.as_bytes());
        minted.put(admission, key, now_s, line.into_bytes());
        true
    }

    /// The program's own token as its generation can read it; None: as it is.
    pub(crate) fn signed_again(&self, text: &str, told: u32, now_s: u64) -> Option<String> {
        if self.never_again {
            return None;
        }
        let target = self.key(told);
        let outcome = if now_s < self.until_s {
            self.ring.towards(text, target)
        } else {
            let ends = self.keys.iter().map(|key| (key, self.end_s(key)));
            let live = ends.filter(|(key, end_s)| key.id == target.0 || now_s < *end_s);
            ring(live)?.towards(text, target)
        };
        match outcome {
            Outcome::Signed(text) => Some(text),
            Outcome::AsItIs(_) => None,
        }
    }

    /// Whether a generation reads a key that this gateway does not have: it was started after this gateway.
    pub(crate) fn lacks(&self, told: u32) -> bool {
        told != 0 && !self.reads_all && self.ring.expose(self.key(told)).is_none()
    }

    /// Whether a token of the program may have to be signed again.
    pub(crate) fn signs_again(&self) -> bool {
        !self.never_again
    }
}

/// Of keys and their ends.
fn ring<'a>(keys: impl Iterator<Item = (&'a JwtKey, u64)>) -> Option<Keyring> {
    Keyring::from_keys(keys.map(|(key, until_s)| {
        let role = match (key.signs, key.compromised) {
            (true, _) => Role::Signing,
            (false, true) => Role::Compromised,
            (false, false) => Role::Retired { until_s },
        };
        (KeyId(key.id), role, key.secret.clone().into_bytes())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use session::jws::{Compact, sign};

    fn key(id: u32, signs: bool, until_s: u64) -> JwtKey {
        JwtKey {
            id,
            signs,
            until_s,
            secret: format!("secret-{id}"),
            ..JwtKey::default()
        }
    }

    fn tokens(keys: Vec<JwtKey>) -> Tokens {
        let jwt = Jwt {
            keys,
            ..Jwt::default()
        };
        Tokens::new(&jwt, false, 10).expect("makes sense")
    }

    #[test]
    fn towards_the_key_of_the_generation_and_only_while_the_old_one_verifies() {
        let tokens = tokens(vec![key(1, false, 100), key(2, true, 0)]);
        let old = sign(Alg::Hs256, b"secret-1", r#"{"sub":"ada"}"#);
        let again = tokens.signed_again(&old, 2, 99).expect("signed again");
        assert!(
            Compact::read(&again)
                .expect("a token")
                .proved_by(b"secret-2")
        );
        assert_eq!(tokens.signed_again(&old, 1, 99), None, "its own");
        assert_eq!(tokens.signed_again(&old, 2, 100), None, "over");
        assert_eq!(tokens.signed_again(&old, 0, 99), None, "no key of ours");
        let new = sign(Alg::Hs256, b"secret-2", r#"{"sub":"ada"}"#);
        let back = tokens
            .signed_again(&new, 1, 200)
            .expect("towards the old instance");
        assert!(
            Compact::read(&back)
                .expect("a token")
                .proved_by(b"secret-1")
        );
    }

    #[test]
    fn a_retired_key_without_an_end_is_over_when_tokens_of_its_last_generation_are() {
        let jwt = Jwt {
            keys: vec![key(1, false, 0), key(2, true, 0)],
            life_s: 50,
            ..Jwt::default()
        };
        let tokens = Tokens::new(&jwt, false, 1000).expect("makes sense");
        let old = sign(Alg::Hs256, b"secret-1", r#"{"sub":"ada"}"#);
        let verifies = |now_s| tokens.signed_again(&old, 2, now_s).is_some();
        assert!(verifies(1049) && !verifies(1050), "nothing ran with it");
        // A generation that stayed because its replacement failed, however long nobody asked it for anything.
        tokens.runs(0, [1, 2, 0], 1060);
        tokens.runs(1, [2, 0, 0], 1060);
        assert!(verifies(9000));
        tokens.runs(0, [2, 0, 0], 9000);
        assert!(verifies(9049) && !verifies(9050));
        tokens.runs(0, [2, 0, 0], 9100);
        assert!(!verifies(9100));
    }

    #[test]
    fn a_token_is_used_again_for_its_session_its_key_and_its_moment_only() {
        let tokens = tokens(vec![key(1, false, 0), key(2, true, 0)]);
        let ada = Admission {
            session: session::Sid([1; 16]),
            user: session::UserId::parse("ada").expect("a user"),
            at_ms: 0,
            touch: None,
        };
        let line = |told, now_s| {
            let mut lines = Vec::new();
            let found = tokens.authorize(&mut lines, &ada, told, now_s);
            found.then(|| String::from_utf8(lines).expect("text"))
        };
        let claims = |line: &str, key: &[u8]| {
            let token = line.strip_prefix("Authorization: Bearer ").expect("a line");
            let read = Compact::read(token.trim_end()).expect("a token");
            assert!(read.proved_by(key), "{line}");
            read.claims().expect("claims")
        };
        let first = line(1, 1000).expect("a token");
        assert_eq!(line(1, 1009).as_ref(), Some(&first));
        assert_eq!(claims(&first, b"secret-1")["exp"], 1300);
        let other = line(2, 1000).expect("a token");
        claims(&other, b"secret-2");
        let later = line(1, 1010).expect("a token");
        assert_eq!(claims(&later, b"secret-1")["exp"], 1310);
        let earlier = line(1, 900).expect("a token");
        assert_eq!(
            claims(&earlier, b"secret-1")["iat"],
            840,
            "the clock was set back"
        );
        assert_eq!(line(77, 1000), None);
    }

    #[test]
    fn a_configuration_that_makes_no_sense() {
        let jwt = |keys| Jwt {
            keys,
            ..Jwt::default()
        };
        for keys in [
            vec![],
            vec![key(1, true, 0), key(2, true, 0)],
            vec![key(1, true, 0), key(1, false, 0)],
        ] {
            assert!(Tokens::new(&jwt(keys), false, 0).is_err());
        }
        let odd = Jwt {
            alg: "none".into(),
            ..jwt(vec![key(1, true, 0)])
        };
        assert!(Tokens::new(&odd, false, 0).is_err());
    }
}
