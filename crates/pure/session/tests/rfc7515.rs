//! The examples of RFC 7515, as printed there: one is ours to read (A.1, also in `programs`), the others are refused,
//! each for its own reason, and passed on byte for byte.
#![allow(missing_docs, reason = "a test")]

use session::jws::{Alg, Compact, Unreadable, sign};
use session::keyring::{KeyId, Keyring, Outcome, Reason};

/// The claims of A.1, A.2, A.3 and A.5.
const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const A1_HEADER: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
const A1_SIGNATURE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const A1_KEY: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const RS256: &str = "eyJhbGciOiJSUzI1NiJ9";
const A2_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
/// The public modulus of A.2's key: what a confused reader would take for a shared secret.
const A2_MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const ES256: &str = "eyJhbGciOiJFUzI1NiJ9";
const A3_SIGNATURE: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const A4: &str = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
/// `{"alg":"none"}`, and no signature.
const NONE: &str = "eyJhbGciOiJub25lIn0";
/// Appendix E: `none`, and a `crit` that names what nobody knows.
const E: &str = "eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0.RkFJTA.";

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text)
        .expect("base64url")
}

/// Keys that an attacker would like to be taken: A.1's, A.2's public one, and none at all.
fn ring() -> Keyring {
    let mut ring = Keyring::new(&base64(A1_KEY));
    let later = session::keyring::Rotation::Overlap { until_s: u64::MAX };
    assert!(ring.rotate(&base64(A2_MODULUS), later));
    assert!(ring.rotate(b"a key of today", later));
    ring
}

/// It is refused for this reason: nobody's, never signed again, and the program gets what was sent.
fn check(token: &str, why: Unreadable) {
    assert_eq!(Compact::read(token).err(), Some(why), "{token}");
    for key in [0, 1, 2] {
        let outcome = ring().towards(token, KeyId(key));
        assert_eq!(outcome, Outcome::AsItIs(Reason::Unreadable(why)), "{token}");
    }
}

#[test]
fn a1_is_read_and_signed_again() {
    let token = format!("{A1_HEADER}.{CLAIMS}.{A1_SIGNATURE}");
    let Outcome::Signed(new) = ring().towards(&token, KeyId(2)) else {
        panic!("a retired key proves it")
    };
    let input = format!("{A1_HEADER}.{CLAIMS}.");
    assert!(new.starts_with(&input), "the same header and claims: {new}");
    assert!(Compact::read(&new).is_ok_and(|it| it.proved_by(b"a key of today")));
}

#[test]
fn a2_to_a5_have_algorithms_that_are_not_taken() {
    check(
        &format!("{RS256}.{CLAIMS}.{A2_SIGNATURE}"),
        Unreadable::Algorithm,
    );
    check(
        &format!("{ES256}.{CLAIMS}.{A3_SIGNATURE}"),
        Unreadable::Algorithm,
    );
    check(A4, Unreadable::Algorithm);
    check(&format!("{NONE}.{CLAIMS}."), Unreadable::Algorithm);
    // `none` with a signature is no better.
    check(
        &format!("{NONE}.{CLAIMS}.{A1_SIGNATURE}"),
        Unreadable::Algorithm,
    );
}

#[test]
fn a6_and_a7_are_json_and_not_compact() {
    let a6 = format!(
        r#"{{"payload":"{CLAIMS}","signatures":[{{"protected":"{RS256}","header":{{"kid":"2010-12-29"}},"signature":"{A2_SIGNATURE}"}},{{"protected":"{ES256}","header":{{"kid":"e9bc097a-ce51-4036-9562-d2ade882db0d"}},"signature":"{A3_SIGNATURE}"}}]}}"#
    );
    let a7 = format!(
        r#"{{"payload":"{CLAIMS}","protected":"{ES256}","header":{{"kid":"e9bc097a-ce51-4036-9562-d2ade882db0d"}},"signature":"{A3_SIGNATURE}"}}"#
    );
    // A.1 in A.7's form: a reader of JSON would find it proved.
    let ours = format!(
        r#"{{"payload":"{CLAIMS}","protected":"{A1_HEADER}","signature":"{A1_SIGNATURE}"}}"#
    );
    for text in [a6, a7, ours] {
        check(&text, Unreadable::NotCompact);
    }
}

#[test]
fn detached_content_proves_nothing() {
    // Appendix F: the claims are somewhere else. Nobody says where, so nobody signed this.
    let text = format!("{A1_HEADER}..{A1_SIGNATURE}");
    let outcome = ring().towards(&text, KeyId(2));
    assert_eq!(outcome, Outcome::AsItIs(Reason::NobodysToken));
}

#[test]
fn an_unknown_extension_that_is_critical_is_refused() {
    check(E, Unreadable::Critical);
    // The same with our algorithm and a signature that is right: only `crit` speaks against it.
    let header = r#"{"alg":"HS256","crit":["http://example.com/UNDEFINED"],"http://example.com/UNDEFINED":true}"#;
    let input = format!("{}.{CLAIMS}", encode(header));
    check(
        &with_signature(&input, &base64(A1_KEY)),
        Unreadable::Critical,
    );
}

#[test]
fn a_public_key_is_no_shared_secret() {
    // A.2 with `alg` changed, signed by an HMAC over its public modulus. Only who was given that as *the* key believes it.
    let forged = sign(Alg::Hs256, &base64(A2_MODULUS), r#"{"iss":"joe"}"#);
    let ring = Keyring::new(&base64(A1_KEY));
    let outcome = ring.towards(&forged, KeyId(0));
    assert_eq!(outcome, Outcome::AsItIs(Reason::NobodysToken));
    // A.2's own text is not read as HS256 under any key that is known here.
    let text = format!("{RS256}.{CLAIMS}.{A2_SIGNATURE}");
    assert!(Compact::read(&text).is_err());
}

fn encode(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

/// Any header, signed with HMAC-SHA256.
fn with_signature(input: &str, key: &[u8]) -> String {
    use base64::Engine as _;
    use hmac::Mac as _;
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).expect("any length");
    mac.update(input.as_bytes());
    let signature =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{input}.{signature}")
}
