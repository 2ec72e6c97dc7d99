//! Tokens that the app's own library refuses: expired, not yet valid, of another issuer. The gateway proves and signs by
//! the key alone, so what an app refuses for another reason it must go on refusing, for that very reason, also of a token
//! that was signed again.

use super::app::{App, bearer, start};
use crate::harness::{node_modules, venv};
use session::jws::{Alg, sign};

const HOUR_S: u64 = 3_600;

/// A token of this key: claims by name, and what the app is expected to say (None: it takes it).
fn tokens(key: &str, reasons: &[&'static str; 3]) -> Vec<(String, Option<&'static str>)> {
    let now_s = sys::clock::wall_ms() / 1000;
    let (soon, before) = (now_s + HOUR_S, now_s - HOUR_S);
    let ours = "https://app.example";
    let [expired, immature, foreign] = *reasons;
    [
        (soon, before, ours, None),
        (before, before, ours, Some(expired)),
        (soon + HOUR_S, soon, ours, Some(immature)),
        (soon, before, "https://other.example", Some(foreign)),
    ]
    .into_iter()
    .map(|(exp, nbf, iss, refused)| {
        let claims = format!(r#"{{"sub":"ann","iss":"{iss}","exp":{exp},"nbf":{nbf}}}"#);
        (sign(Alg::Hs256, key.as_bytes(), &claims), refused)
    })
    .collect()
}

fn key(app: &App) -> String {
    let said = app.say(&["secrets", "show", "SECRET_KEY"]);
    said.stdout.trim().to_owned()
}

/// Each is refused for its reason, before a rotation, after it, and signed with the new key.
fn assert_refused(app: &App, reasons: &[&'static str; 3]) {
    let check = |tokens: &[(String, Option<&str>)], when: &str| {
        for (token, refused) in tokens {
            let (status, body) = app.get("/api/auth/verify", &bearer(token));
            match refused {
                None => assert_eq!(status, 200, "{when}: {body}"),
                Some(reason) => assert!(
                    status == 401 && body.contains(reason),
                    "{when}: {reason}: {status} {body}"
                ),
            }
        }
    };
    let old = tokens(&key(app), reasons);
    check(&old, "before a rotation");
    app.say(&["secrets", "rotate", "SECRET_KEY"]);
    check(&old, "signed again after a rotation");
    check(&tokens(&key(app), reasons), "signed with the new key");
    app.say(&["secrets", "rotate", "SECRET_KEY", "--compromised"]);
    for (token, _) in old {
        assert_eq!(app.status("/api/auth/verify", &bearer(&token)), 401);
    }
}

#[test]
fn pyjwt_refuses_what_is_expired_not_yet_valid_or_of_another_issuer() {
    let uvicorn = venv("uvicorn").display().to_string();
    let app = start(
        &format!("{uvicorn} issuer:app --host 127.0.0.1 --port @PORT@ --workers 1"),
        "",
    );
    assert_refused(
        &app,
        &[
            "ExpiredSignatureError",
            "ImmatureSignatureError",
            "InvalidIssuerError",
        ],
    );
}

#[test]
fn jose_refuses_what_is_expired_not_yet_valid_or_of_another_issuer() {
    let modules = node_modules().display().to_string();
    let app = start(
        "node issuer.cjs",
        &format!("environment = PORT=\"@PORT@\",NODE_PATH=\"{modules}\"\n"),
    );
    assert_refused(
        &app,
        &[
            "ERR_JWT_EXPIRED",
            "ERR_JWT_CLAIM_VALIDATION_FAILED nbf",
            "ERR_JWT_CLAIM_VALIDATION_FAILED iss",
        ],
    );
}
