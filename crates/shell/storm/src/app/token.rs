//! JSON Web Tokens (RFC 7519) with HS256 (RFC 7515), as an ordinary app makes them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// `{"alg":"HS256","typ":"JWT"}` in base64url.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

fn tag(key: &[u8], signed: &str) -> Hmac<Sha256> {
    // HMAC takes keys of any length; the fallback never happens and would verify nothing.
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
    mac.update(signed.as_bytes());
    mac
}

/// A token of `user`, times in seconds since 1970.
pub(super) fn issue(key: &[u8], user: &str, now_s: u64, lifetime_s: u64) -> String {
    let claims = serde_json::json!({"sub": user, "iat": now_s, "exp": now_s + lifetime_s});
    let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = URL_SAFE_NO_PAD.encode(tag(key, &signed).finalize().into_bytes());
    format!("{signed}.{signature}")
}

/// The user of a valid token, or why it is none.
pub(super) fn verify(key: &[u8], token: &str, now_s: u64) -> Result<String, &'static str> {
    let (signed, signature) = token.rsplit_once('.').ok_or("not a token")?;
    let (header, claims) = signed.split_once('.').ok_or("not a token")?;
    let header: serde_json::Value = decode(header).ok_or("header unreadable")?;
    if header["alg"] != "HS256" {
        return Err("not HS256");
    }
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| "signature unreadable")?;
    tag(key, signed)
        .verify_slice(&signature)
        .map_err(|_| "signed with another key")?;
    let claims: serde_json::Value = decode(claims).ok_or("claims unreadable")?;
    match claims["exp"].as_u64() {
        Some(end) if end > now_s => claims["sub"]
            .as_str()
            .map(str::to_owned)
            .ok_or("no user in it"),
        _ => Err("expired"),
    }
}

fn decode(part: &str) -> Option<serde_json::Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_verifies_under_its_key_until_it_expires_and_no_other() {
        let token = issue(b"key one", "ada", 1_000, 60);
        assert_eq!(verify(b"key one", &token, 1_059), Ok("ada".into()));
        assert_eq!(verify(b"key one", &token, 1_060), Err("expired"));
        assert_eq!(
            verify(b"key two", &token, 1_000),
            Err("signed with another key")
        );
    }

    #[test]
    fn the_token_of_rfc_7515_appendix_a1_has_its_signature() {
        let key = URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .expect("the RFC's key");
        let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = URL_SAFE_NO_PAD.encode(tag(&key, signed).finalize().into_bytes());
        assert_eq!(signature, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    #[test]
    fn rubbish_is_no_token() {
        for text in ["", "a", "a.b", "a.b.c", "....", "é.é.é"] {
            assert!(verify(b"k", text, 0).is_err(), "{text}");
        }
    }
}
