//! A browser that once signed in as somebody: others' wrong passwords do not lock it out.
//!
//! The cookie proves one thing, that a sign-in of this user succeeded in this browser; it is no credential and signs
//! nobody in. Wrong passwords from it are counted for it alone, by its nonce, so a stolen one buys few guesses.
//!
//! ```text
//! 1.nonce.mac      mac = HMAC(key, nonce|"device"|user), key of the store, shared by all gateways
//! ```

use crate::mac::{Hidden, hmac};
use crate::row::UserId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

/// Tells one device from another: 128 random bits.
pub type Nonce = [u8; 16];

/// The cookie's value for a browser in which this user has just signed in.
#[must_use]
pub fn mint(key: &Hidden, user: &UserId, nonce: Nonce) -> String {
    let mac = mac(key, user, nonce);
    format!("1.{}.{}", BASE64.encode(nonce), BASE64.encode(mac.expose()))
}

/// The device, if this user signed in there before.
#[must_use]
pub fn known(key: &Hidden, user: &UserId, value: &str) -> Option<Nonce> {
    let (nonce, sent) = value.strip_prefix("1.")?.split_once('.')?;
    let nonce = crate::token::Sid::parse(nonce)?.0;
    let sent = crate::token::hidden(sent)?;
    (mac(key, user, nonce) == sent).then_some(nonce)
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
        let value = mint(&key, &ada, [7; 16]);
        assert_eq!(known(&key, &ada, &value), Some([7; 16]));
        assert_eq!(known(&key, &bob, &value), None);
        assert_eq!(known(&other, &ada, &value), None);
        for end in 0..value.len() {
            assert_eq!(known(&key, &ada, &value[..end]), None, "cut after {end}");
        }
        assert_eq!(known(&key, &ada, &format!("{value}A")), None);
    }
}
