//! The HTTP API, as clients see it: sign-in, verdicts, what is described. Lists of sessions, and origins, have files of their own.
#![allow(missing_docs, reason = "a test")]

#[path = "../kit/mod.rs"]
mod kit;
mod lists;
mod origins;

use accounts::{Accounts, Code};

use kit::http::{Said, ask};
use kit::{config, signed_in, until, worker};
use serde_json::json;
use session::Kind;
use session::cookie::Channel;
use std::fs;

const PASSWORD: &str = "correct horse battery";

async fn with_ada(dir: &std::path::Path) -> Accounts {
    let accounts = worker(&config(dir)).await;
    accounts.add_user("ada", PASSWORD).await.expect("added");
    accounts
}

async fn login(accounts: &Accounts, mode: &str) -> Said {
    let body = json!({"username": "ada", "password": PASSWORD, "mode": mode});
    ask("POST", "/login").own().json(body).to(accounts).await
}

/// What `verify` says of a cookie.
async fn verified(accounts: &Accounts, cookie: &str) -> u16 {
    ask("GET", "/verify")
        .cookie(cookie)
        .to(accounts)
        .await
        .status
}

/// The same of a token in a header.
async fn verified_bearer(accounts: &Accounts, token: &str) -> u16 {
    ask("GET", "/verify")
        .bearer(token)
        .to(accounts)
        .await
        .status
}

#[tokio::test]
async fn a_browser_signs_in_is_verified_and_signs_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = with_ada(dir.path()).await;
    let body = json!({"username": "ada", "password": PASSWORD});
    let said = ask("POST", "/login").own().json(body).to(&accounts).await;
    assert_eq!(said.status, 200, "{}", said.text);
    assert_eq!(said.json["valid"], true);
    assert_eq!(
        (&said.json["user"], &said.json["mode"]),
        (&json!("ada"), &json!("cookie"))
    );
    assert!(said.json.get("token").is_none(), "scripts never see it");
    let set = said
        .headers
        .get_all("set-cookie")
        .iter()
        .next()
        .expect("set");
    let set = set.to_str().expect("text");
    for part in [
        "; Path=/",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Max-Age=7776000",
    ] {
        assert!(set.contains(part), "{set}");
    }
    let cookie = said.cookie("steadfast-local").expect("a cookie");
    let session = said.json["session"].clone();

    let verify = || {
        ask("GET", "/verify")
            .cookie(&cookie)
            .with("steadfast-nonce", "N-1_x")
    };
    let said = verify().to(&accounts).await;
    assert_eq!(said.status, 200);
    let wanted = json!({
        "valid": true, "session": session, "user": "ada", "source": "gateway", "nonce": "N-1_x"
    });
    assert_eq!(said.json, wanted);
    assert_eq!(said.header("steadfast-nonce"), "N-1_x");
    assert_eq!(said.header("steadfast-source"), "gateway");
    assert_eq!(
        said.header("steadfast-session"),
        session.as_str().expect("text")
    );
    assert_eq!(said.header("cache-control"), "no-store");

    let me = ask("GET", "/me").cookie(&cookie).to(&accounts).await;
    assert_eq!(
        (&me.json["user"], &me.json["session"]),
        (&json!("ada"), &session)
    );
    assert!(
        me.json["created_at_s"].as_u64() > Some(1_700_000_000),
        "{}",
        me.text
    );
    assert!(me.json["seen_at_s"].as_u64() >= me.json["created_at_s"].as_u64());

    let out = ask("POST", "/logout")
        .own()
        .cookie(&cookie)
        .to(&accounts)
        .await;
    assert_eq!(out.status, 204);
    assert_eq!(out.cookie("steadfast-local").as_deref(), Some(""));
    let said = verify().to(&accounts).await;
    assert_eq!((said.status, said.code()), (401, "invalid_token"));
    assert_eq!(
        (&said.json["valid"], &said.json["session"]),
        (&json!(false), &session)
    );
    assert_eq!(said.json["nonce"], "N-1_x");
    assert_eq!(
        said.header("steadfast-session"),
        session.as_str().expect("text")
    );
    let challenge = said.header("www-authenticate");
    assert!(
        challenge.starts_with("Bearer realm=\"steadfast\", error=\"invalid_token\""),
        "{challenge}"
    );
    assert_eq!(
        said.cookie("steadfast-local").as_deref(),
        Some(""),
        "it is good for nothing"
    );
    let again = ask("POST", "/logout").own().to(&accounts).await;
    assert_eq!(again.status, 204, "also without a session");
}

#[tokio::test]
async fn without_a_credential_there_is_no_error_code_and_a_ping_needs_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = worker(&config(dir.path())).await;
    let said = ask("GET", "/verify").to(&accounts).await;
    assert_eq!((said.status, said.code()), (401, "no_credential"));
    assert_eq!(
        said.header("www-authenticate"),
        "Bearer realm=\"steadfast\""
    );
    let said = ask("GET", "/ping").to(&accounts).await;
    assert_eq!((said.status, said.json), (200, json!({"ok": true})));
    assert_eq!(ask("GET", "/nothing").to(&accounts).await.status, 404);
    assert_eq!(
        ask("GET", "/x")
            .at("/_steadfastx/ping")
            .to(&accounts)
            .await
            .status,
        404
    );
    let said = ask("GET", "/login").to(&accounts).await;
    assert_eq!((said.status, said.code()), (405, "method_not_allowed"));
    assert_eq!(ask("HEAD", "/ping").to(&accounts).await.status, 200);
}

#[tokio::test]
async fn other_clients_have_a_bearer_and_a_cookie_is_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = with_ada(dir.path()).await;
    let said = login(&accounts, "bearer").await;
    let token = said.json["token"].as_str().expect("a token").to_owned();
    assert!(token.starts_with("sf1.b."), "{token}");
    assert!(said.cookie("steadfast-local").is_none());
    let said = ask("GET", "/verify").bearer(&token).to(&accounts).await;
    assert_eq!(
        (said.status, &said.json["nonce"]),
        (200, &serde_json::Value::Null)
    );
    let cookie = login(&accounts, "cookie")
        .await
        .cookie("steadfast-local")
        .expect("a cookie");
    for (how, said) in [
        (
            "a cookie as a bearer",
            ask("GET", "/verify").bearer(&cookie).to(&accounts).await,
        ),
        (
            "a bearer as a cookie",
            ask("GET", "/verify").cookie(&token).to(&accounts).await,
        ),
        (
            "truncated",
            ask("GET", "/verify")
                .bearer(&token[..token.len() - 1])
                .to(&accounts)
                .await,
        ),
        (
            "oversized",
            ask("GET", "/verify")
                .bearer(&"a".repeat(9000))
                .to(&accounts)
                .await,
        ),
        (
            "a program's",
            ask("GET", "/verify")
                .bearer("eyJhbGciOiJub25lIn0.e30.")
                .to(&accounts)
                .await,
        ),
    ] {
        assert_eq!((said.status, said.code()), (401, "invalid_token"), "{how}");
    }
    let said = ask("POST", "/logout").bearer(&token).to(&accounts).await;
    assert_eq!(said.status, 204);
    assert_eq!(verified_bearer(&accounts, &token).await, 401);
    assert_eq!(verified(&accounts, &cookie).await, 200);
    // A stale cookie does not hide a good header.
    let token = login(&accounts, "bearer").await.json["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let said = ask("GET", "/verify")
        .cookie("sf1.c.x.y")
        .bearer(&token)
        .to(&accounts)
        .await;
    assert_eq!(said.status, 200);
    // Planted cookies are no authentication error.
    let said = ask("GET", "/verify")
        .cookie(&cookie)
        .cookie("sf1.c.x.y")
        .to(&accounts)
        .await;
    assert_eq!((said.status, said.code()), (400, "several_cookies"));
}

#[tokio::test]
async fn logout_with_several_cookies_ends_each_of_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = with_ada(dir.path()).await;
    let mut cookies = Vec::new();
    for user in ["ada", "eve", "bob"] {
        let opened = signed_in(&accounts, user, Kind::Cookie).await;
        cookies.push(opened.token.expose());
    }
    let out = ask("POST", "/logout")
        .own()
        .cookie(&cookies[0])
        .cookie("sf1.c.x.y")
        .cookie(&cookies[1])
        .cookie(&cookies[0]);
    let out = out.to(&accounts).await;
    assert_eq!(
        (out.status, out.cookie("steadfast-local")),
        (204, Some(String::new()))
    );
    for (cookie, status) in cookies.iter().zip([401, 401, 200]) {
        let said = ask("GET", "/verify").cookie(cookie).to(&accounts).await;
        assert_eq!(said.status, status);
    }
}

#[tokio::test]
async fn a_rotating_session_refreshes_repeats_and_notices_theft() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = with_ada(dir.path()).await;
    let first = login(&accounts, "rotating").await.json["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    assert!(first.starts_with("sf1.r."), "{first}");
    let a = |n: char| n.to_string().repeat(43);
    let refresh =
        |token: &str, a: String| ask("POST", "/refresh").json(json!({"token": token, "a": a}));
    let one = refresh(&first, a('A')).to(&accounts).await;
    assert_eq!(one.status, 200, "{}", one.text);
    let second = one.json["token"].as_str().expect("a token").to_owned();
    let again = refresh(&first, a('A')).to(&accounts).await;
    assert_eq!(
        again.json, one.json,
        "the answer was lost, the client asks again"
    );
    assert_eq!(verified_bearer(&accounts, &second).await, 200);
    let bad = refresh(&second, "!".into()).to(&accounts).await;
    assert_eq!((bad.status, bad.code()), (400, "bad_request"));
    for text in ["x", "sf1.b.AAAAAAAAAAA.x", &first[..first.len() - 2]] {
        let said = refresh(text, a('A')).to(&accounts).await;
        assert_eq!(
            (said.status, &said.json["error"]),
            (400, &json!("invalid_grant")),
            "{text}"
        );
    }
    assert_eq!(verified_bearer(&accounts, &second).await, 200, "it lives");
    let thief = refresh(&first, a('E')).to(&accounts).await;
    assert_eq!(
        (thief.status, &thief.json["error"]),
        (400, &json!("invalid_grant"))
    );
    assert_eq!(
        thief.header("steadfast-session"),
        one.json["session"].as_str().expect("text")
    );
    assert_eq!(
        verified_bearer(&accounts, &second).await,
        401,
        "theft ended it"
    );
}

#[tokio::test]
async fn a_login_brings_a_new_session_ends_the_sent_one_and_needs_https_for_a_cookie() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = with_ada(dir.path()).await;
    let planted = signed_in(&accounts, "eve", Kind::Cookie)
        .await
        .token
        .expose();
    let body = json!({"username": "ada", "password": PASSWORD});
    let said = ask("POST", "/login")
        .own()
        .cookie(&planted)
        .json(body.clone())
        .to(&accounts)
        .await;
    let cookie = said.cookie("steadfast-local").expect("a cookie");
    assert_ne!(cookie, planted);
    until("fixation: the planted one ends", async || {
        let said = ask("GET", "/verify").cookie(&planted).to(&accounts).await;
        said.status == 401
    })
    .await;
    let mut plain = ask("POST", "/login").own().json(body.clone());
    plain.caller.channel = Channel::Http;
    let said = plain.to(&accounts).await;
    assert_eq!((said.status, said.code()), (403, "plain_http"));
    let mut https = ask("POST", "/login")
        .with("sec-fetch-site", "same-origin")
        .json(body);
    https.caller.channel = Channel::Https;
    let said = https.to(&accounts).await;
    let set = said.header("set-cookie");
    assert!(
        set.starts_with("__Host-steadfast=") && set.contains("; Secure"),
        "{set}"
    );
}

#[tokio::test]
async fn a_lost_store_is_a_503_on_every_path_and_removes_no_cookie() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let accounts = with_ada(&state).await;
    let cookie = signed_in(&accounts, "ada", Kind::Cookie)
        .await
        .token
        .expose();
    let rotating = signed_in(&accounts, "ada", Kind::Rotating)
        .await
        .token
        .expose();
    fs::rename(&state, dir.path().join("aside")).expect("moved away");
    fs::create_dir(&state).expect("made");
    fs::copy(
        dir.path().join("aside/sessions.id"),
        state.join("sessions.id"),
    )
    .expect("copied");
    let late = worker(&config(&state)).await;
    let user = json!({"username": "ada", "password": PASSWORD});
    let asked = [
        ask("POST", "/login").own().json(user),
        ask("GET", "/verify").cookie(&cookie),
        ask("GET", "/me").cookie(&cookie),
        ask("GET", "/sessions").cookie(&cookie),
        ask("POST", "/logout").own().cookie(&cookie),
        ask("POST", "/logout-all").own().cookie(&cookie),
        ask("DELETE", "/sessions/AAAAAAAAAAAAAAAAAAAAAA")
            .own()
            .cookie(&cookie),
        ask("POST", "/refresh").json(json!({"token": rotating, "a": "A".repeat(43)})),
    ];
    for one in asked {
        let said = one.to(&late).await;
        assert_eq!(
            (said.status, said.code()),
            (503, "unknown"),
            "{}",
            said.text
        );
        assert!(said.headers.get("set-cookie").is_none());
    }
    let said = ask("GET", "/verify").cookie("x").to(&late).await;
    assert_eq!(said.status, 401, "no token of any store");
}

#[tokio::test]
async fn the_description_is_the_one_in_docs() {
    let text = accounts::openapi();
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../docs/api/openapi.json"
    );
    if std::env::var_os("STEADFAST_BLESS").is_some() {
        fs::write(path, format!("{text}\n")).expect("written");
    }
    let kept = fs::read_to_string(path).expect("docs/api/openapi.json");
    assert_eq!(
        kept,
        format!("{text}\n"),
        "write it anew: STEADFAST_BLESS=1 cargo test -p accounts the_description"
    );
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = worker(&config(dir.path())).await;
    let said = ask("GET", "/openapi.json").to(&accounts).await;
    assert_eq!(said.text, text);
    for path in [
        "/ping",
        "/login",
        "/verify",
        "/refresh",
        "/logout",
        "/logout-all",
        "/me",
        "/sessions",
        "/sessions/{id}",
        "/client.js",
    ] {
        assert!(said.json["paths"].get(path).is_some(), "{path}");
    }
    let described = &said.json["components"]["schemas"]["Code"];
    let names: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(described["enum"], json!(names));
    let text = described["description"].as_str().expect("a text");
    for code in Code::ALL {
        let line = format!("* `{}` ({})", code.name(), code.status().as_u16());
        assert!(text.contains(&line), "{line}");
    }
}

#[tokio::test]
async fn the_client_for_browsers_is_served_once_and_again_when_it_changed() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = worker(&config(dir.path())).await;
    let said = ask("GET", "/client.js").to(&accounts).await;
    assert_eq!(said.status, 200);
    assert!(said.text.contains("createSession"), "{}", said.text.len());
    let kind = said.header("content-type");
    assert!(kind.starts_with("text/javascript"), "{kind}");
    let etag = said.header("etag");
    assert!(etag.len() > 10, "{etag}");
    let again = ask("GET", "/client.js").with("if-none-match", etag);
    assert_eq!(again.to(&accounts).await.status, 304);
    let other = ask("GET", "/client.js").with("if-none-match", "\"other\"");
    assert_eq!(other.to(&accounts).await.status, 200);
}
