//! What programs get: signed tokens, claims, tokens signed again.
#![allow(missing_docs, reason = "a test")]

use session::claims::{Shape, Unfit};
use session::jws::{Alg, Compact, Unreadable, sign};
use session::keyring::{KeyId, Keyring, Outcome, Reason, Role, Rotation};
use session::{Admission, JWT_BYTES_MAX, KEYS_MAX, Sid, UserId};

/// RFC 7515 appendix A.1: header, payload and signature as printed there.
const RFC_7515_A1: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Its key, a JWK `k`.
const RFC_7515_A1_KEY: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const KEY: &[u8] = b"a key of some length, not secret at all";

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text)
        .expect("base64url")
}

fn encode(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

#[test]
fn the_rfc_example() {
    let token = Compact::read(RFC_7515_A1).expect("readable");
    assert_eq!(token.alg(), Alg::Hs256);
    assert!(token.proved_by(&base64(RFC_7515_A1_KEY)));
    assert!(!token.proved_by(KEY));
    assert_eq!(token.claims().expect("claims")["iss"], "joe");
    assert_eq!(
        token.signed_with(&base64(RFC_7515_A1_KEY)),
        RFC_7515_A1,
        "signing it again changes no byte"
    );
}

/// Made with Python's hmac and hashlib.
#[test]
fn the_longer_algorithms() {
    let claims = r#"{"sub":"ada"}"#;
    assert_eq!(
        sign(Alg::Hs384, KEY, claims),
        "eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEifQ.ddicSRnKCJTEcNmR_ieS5SG3xFXsMbtFo_v7ZsxFgV16Rq5cjk7XlYeAqokJ5iL-"
    );
    assert_eq!(
        sign(Alg::Hs512, KEY, claims),
        "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEifQ.mM5V1aOly-fyfBngGGEfxLFHcqEKXj4aIBKLwa6I7UvLQ25QQLPgDFmF56mjq_OQgeM1yp-RStwqe219QAIEeA"
    );
}

/// What reading says about a token with this header.
fn check(header: &str) -> Option<Unreadable> {
    Compact::read(&format!("{}.{}.", encode(header), encode("{}"))).err()
}

#[test]
fn what_we_do_not_read() {
    for alg in [
        "none", "None", "NONE", "RS256", "ES256", "PS256", "EdDSA", "hs256", "HS1", "",
    ] {
        assert_eq!(
            check(&format!(r#"{{"alg":"{alg}"}}"#)),
            Some(Unreadable::Algorithm),
            "{alg}"
        );
    }
    assert_eq!(
        check(r#"{"alg":"HS256","crit":["exp"]}"#),
        Some(Unreadable::Critical)
    );
    assert_eq!(
        check(r#"{"alg":"HS256","crit":[]}"#),
        Some(Unreadable::Critical)
    );
    assert_eq!(
        check(r#"{"alg":"HS256","b64":false}"#),
        Some(Unreadable::Critical)
    );
    for header in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"alg":1}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"HS256"}x"#,
    ] {
        assert_eq!(check(header), Some(Unreadable::NotCompact), "{header}");
    }
    assert_eq!(
        check(r#"{"alg":"HS256","kid":"../../etc/passwd"}"#),
        None,
        "kid is never looked up"
    );
    for text in ["", ".", "..", "a.b", "a.b.c.d", "sf1.c.x.y"] {
        assert!(Compact::read(text).is_err(), "{text}");
    }
    assert_eq!(
        Compact::read(&"a".repeat(JWT_BYTES_MAX + 1)).err(),
        Some(Unreadable::TooLong)
    );
}

#[test]
fn signatures_have_one_spelling() {
    let token = sign(Alg::Hs256, KEY, "{}");
    assert!(Compact::read(&token).is_ok_and(|it| it.proved_by(KEY)));
    let (input, _) = token.rsplit_once('.').expect("three parts");
    for end in input.len() + 1..token.len() {
        assert!(
            !Compact::read(&token[..end]).is_ok_and(|it| it.proved_by(KEY)),
            "truncated after {end}"
        );
    }
    for more in ["=", "A", "\n"] {
        assert!(
            !Compact::read(&format!("{token}{more}")).is_ok_and(|it| it.proved_by(KEY)),
            "{more:?}"
        );
    }
}

fn admission() -> Admission {
    Admission {
        session: Sid([7; 16]),
        user: UserId::parse("42").expect("a user id"),
        at_ms: 0,
        touch: None,
    }
}

fn claims(text: &str) -> serde_json::Value {
    serde_json::Value::Object(Shape::parse(text).expect("claims").claims(
        &admission(),
        1000,
        [1; 16],
    ))
}

#[test]
fn claims_as_libraries_want_them() {
    let plain = claims("");
    assert_eq!(
        (&plain["sub"], &plain["iat"], &plain["exp"]),
        (&"42".into(), &940.into(), &1300.into())
    );
    assert_eq!(plain.as_object().map(serde_json::Map::len), Some(4));
    assert!(plain.get("aud").is_none());
    let simple = claims("simplejwt");
    assert_eq!(
        (&simple["token_type"], &simple["user_id"]),
        (&"access".into(), &"42".into())
    );
    let flask = claims("flask-jwt-extended");
    assert_eq!(
        (&flask["type"], &flask["fresh"], &flask["nbf"]),
        (&"access".into(), &false.into(), &940.into())
    );
    let mapped = claims(r#"uid:user, sid:session, role="member""#);
    assert_eq!(
        (&mapped["uid"], &mapped["role"]),
        (&"42".into(), &"member".into())
    );
    assert_eq!(mapped["sid"], Sid([7; 16]).to_string());
    assert_eq!(claims(r#"simplejwt, aud="orders""#)["aud"], "orders");
}

#[test]
fn claims_that_are_refused() {
    assert_eq!(Shape::parse("sub:user"), Err(Unfit::Reserved("sub".into())));
    for aud in ["aud:user", "aud:session", r#"aud="""#] {
        assert_eq!(
            Shape::parse(aud),
            Err(Unfit::Reserved("aud".into())),
            "{aud}"
        );
    }
    assert_eq!(
        Shape::parse("nonsense"),
        Err(Unfit::Word("nonsense".into()))
    );
    assert_eq!(Shape::parse("a:b"), Err(Unfit::Word("a:b".into())));
    assert_eq!(Shape::parse("a=b"), Err(Unfit::Word("a=b".into())));
    assert_eq!(
        Shape::parse("a:user,a:session"),
        Err(Unfit::TooMany("a".into()))
    );
    let many: Vec<_> = (0..40).map(|i| format!("c{i}:user")).collect();
    assert_eq!(
        Shape::parse(&many.join(",")),
        Err(Unfit::TooMany("c16".into()))
    );
}

#[test]
fn a_dispatch_token_is_signed_for_its_program() {
    let token = Shape::default().token(&admission(), Alg::Hs256, KEY, 1000, [1; 16]);
    let read = Compact::read(&token).expect("readable");
    assert!(read.proved_by(KEY));
    assert_eq!(read.claims().expect("claims")["sub"], "42");
}

const LATER: Rotation = Rotation::Overlap { until_s: 100 };

#[test]
fn tokens_are_signed_again_for_the_key_that_is_known() {
    let mut ring = Keyring::new(b"zero");
    assert!(ring.rotate(b"one", LATER));
    let (zero, one) = (KeyId(0), KeyId(1));
    for alg in [Alg::Hs256, Alg::Hs384, Alg::Hs512] {
        let old = sign(alg, b"zero", "{\"exp\":1}");
        let Outcome::Signed(new) = ring.towards(&old, one) else {
            panic!("signed again")
        };
        assert_eq!(
            new,
            sign(alg, b"one", "{\"exp\":1}"),
            "same alg, same claims"
        );
        assert_eq!(
            ring.towards(&new, zero),
            Outcome::Signed(old.clone()),
            "towards an old instance"
        );
        assert_eq!(
            ring.towards(&old, zero),
            Outcome::AsItIs(Reason::AlreadyItsOwn)
        );
    }
    let strange = sign(Alg::Hs256, b"other", "{}");
    assert_eq!(
        ring.towards(&strange, one),
        Outcome::AsItIs(Reason::NobodysToken)
    );
    assert_eq!(
        ring.towards("opaque", one),
        Outcome::AsItIs(Reason::Unreadable(Unreadable::NotCompact))
    );
    assert_eq!(
        ring.towards(&strange, KeyId(9)),
        Outcome::AsItIs(Reason::NoKeyForIt)
    );
}

#[test]
fn a_compromised_key_opens_nothing() {
    let mut ring = Keyring::new(b"zero");
    assert!(ring.rotate(b"one", Rotation::Compromised));
    let forged = sign(Alg::Hs256, b"zero", "{\"sub\":\"admin\"}");
    assert_eq!(
        ring.towards(&forged, KeyId(1)),
        Outcome::AsItIs(Reason::NobodysToken)
    );
    let good = sign(Alg::Hs256, b"one", "{}");
    assert_eq!(
        ring.towards(&good, KeyId(0)),
        Outcome::AsItIs(Reason::NoKeyForIt)
    );
}

#[test]
fn a_ring_is_bounded_and_drops_nobody() {
    let mut ring = Keyring::new(b"0");
    for n in 1..KEYS_MAX {
        assert!(ring.rotate(&[n as u8], LATER));
    }
    assert!(!ring.rotate(b"one more", LATER), "refused, not dropped");
    assert!(
        ring.rotate(b"an emergency", Rotation::Compromised),
        "a leaked key is replaced always"
    );
    ring.expire(99, &[]);
    assert_eq!(
        ring.keys()
            .iter()
            .filter(|it| matches!(it.role, Role::Retired { .. }))
            .count(),
        KEYS_MAX - 1
    );
    ring.expire(100, &[KeyId(3)]);
    let left: Vec<_> = ring.keys().iter().map(|it| it.id.0).collect();
    assert_eq!(left, [3, 8, 9], "in use, compromised, signing");
    assert!(
        !format!("{ring:?}").contains("emergency") && !format!("{ring:?}").contains("[97"),
        "Debug shows it"
    );
    assert_eq!(
        Keyring::from_keys([(KeyId(0), Role::Compromised, vec![1])]),
        None
    );
    let twice = [
        (KeyId(0), Role::Signing, vec![1]),
        (KeyId(0), Role::Compromised, vec![2]),
    ];
    assert_eq!(Keyring::from_keys(twice), None);
}
