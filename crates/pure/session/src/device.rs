//! A browser that once signed in as somebody: others' wrong passwords do not lock it out.
//!
//! The cookie proves one thing, that a sign-in of this user succeeded in this browser; it is no credential and signs
//! nobody in. Wrong passwords from it are counted for it alone, by its nonce, so a stolen one buys few guesses. People
//! who share a browser are each known in it: the cookie holds one proof for each of the last few, and names nobody.
//!
//! ```text
//! proof~proof~…      newest first; proof = 1.nonce.mac, mac = HMAC(key, nonce|"device"|user), key of the store, shared
//!                    by all gateways
//! ```

use crate::limits::DEVICE_USERS_MAX;
use crate::mac::{Hidden, hmac};
use crate::row::UserId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

/// Tells one device from another: 128 random bits.
pub type Nonce = [u8; 16];

/// Between proofs. No part of base64url, and nothing that a cookie's value must not hold.
const NEXT: char = '~';

/// One proof, as it was sent: believed only for whom its mac is right.
struct Proof {
    nonce: Nonce,
    mac: Hidden,
}

impl Proof {
    fn parse(text: &str) -> Option<Self> {
        let (nonce, mac) = text.strip_prefix("1.")?.split_once('.')?;
        let nonce = crate::token::Sid::parse(nonce)?.0;
        let mac = crate::token::hidden(mac)?;
        Some(Self { nonce, mac })
    }

    fn is_of(&self, key: &Hidden, user: &UserId) -> bool {
        mac(key, user, self.nonce) == self.mac
    }

    fn text(&self) -> String {
        let (nonce, mac) = (BASE64.encode(self.nonce), BASE64.encode(self.mac.expose()));
        format!("1.{nonce}.{mac}")
    }
}

/// The first few that can be read; nobody makes us look at more.
fn proofs(value: &str) -> impl Iterator<Item = Proof> {
    let few = value.split(NEXT).take(DEVICE_USERS_MAX);
    few.filter_map(Proof::parse)
}

/// The cookie's value for a browser in which this user has just signed in, and which sent these values before: others
/// who signed in there stay known.
#[must_use]
pub fn with(key: &Hidden, user: &UserId, nonce: Nonce, before: &[&str]) -> String {
    let own = Proof {
        nonce,
        mac: mac(key, user, nonce),
    };
    let mut all = vec![own.text()];
    for other in before.iter().flat_map(|value| proofs(value)) {
        // Made anew from what was read: nothing that a client wrote comes back to it as it was.
        let text = other.text();
        if all.len() < DEVICE_USERS_MAX && !other.is_of(key, user) && !all.contains(&text) {
            all.push(text);
        }
    }
    all.join(&NEXT.to_string())
}

/// The device, if this user signed in there before.
#[must_use]
pub fn known(key: &Hidden, user: &UserId, value: &str) -> Option<Nonce> {
    proofs(value)
        .find(|proof| proof.is_of(key, user))
        .map(|proof| proof.nonce)
}

/// The nonce has a fixed length, so that no two meanings share one text.
fn mac(key: &Hidden, user: &UserId, nonce: Nonce) -> Hidden {
    let parts = [&nonce[..], b"device", user.as_str().as_bytes()];
    Hidden::new(hmac(key.expose(), &parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_for_its_user_and_key_only() {
        let (key, other) = (Hidden::new([1; 32]), Hidden::new([2; 32]));
        let user = |name| UserId::parse(name).expect("a user");
        let (ada, bob) = (user("ada"), user("bob"));
        let value = with(&key, &ada, [7; 16], &[]);
        assert_eq!(known(&key, &ada, &value), Some([7; 16]));
        assert_eq!(known(&key, &bob, &value), None);
        assert_eq!(known(&other, &ada, &value), None);
        for end in 0..value.len() {
            assert_eq!(known(&key, &ada, &value[..end]), None, "cut after {end}");
        }
        assert_eq!(known(&key, &ada, &format!("{value}A")), None);
    }

    #[test]
    fn people_who_share_a_browser_are_each_known() {
        let (key, other) = (Hidden::new([1; 32]), Hidden::new([2; 32]));
        let user = |n: u8| UserId::parse(&format!("user{n}")).expect("a user");
        let mut value = String::new();
        for n in 0..6 {
            value = with(&key, &user(n), [n; 16], &[&value]);
            // Again: nobody stands there twice.
            value = with(&key, &user(n), [n; 16], &[&value]);
        }
        let who: Vec<_> = (0..6).map(|n| known(&key, &user(n), &value)).collect();
        let wanted = [
            None,
            None,
            Some([2; 16]),
            Some([3; 16]),
            Some([4; 16]),
            Some([5; 16]),
        ];
        assert_eq!(who, wanted, "the last {DEVICE_USERS_MAX}");
        assert_eq!(value.split(NEXT).count(), DEVICE_USERS_MAX);
        // What a client wrote is not written back, and a flood costs nothing.
        let junk = format!(
            "x\r\nSet-Cookie: a=b~1.A.B~{value}~{}",
            "1.A.B~".repeat(10_000)
        );
        let made = with(&key, &user(9), [9; 16], &[&junk, &value]);
        assert!(
            made.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)),
            "{made}"
        );
        assert!(made.len() < 300, "{}", made.len());
        // Proofs of another store are carried along, and prove nothing here.
        let foreign = with(&other, &user(0), [8; 16], &[]);
        assert_eq!(
            known(&key, &user(0), &with(&key, &user(1), [1; 16], &[&foreign])),
            None
        );
    }
}
