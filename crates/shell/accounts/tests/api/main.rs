//! The HTTP API, as clients see it.
#![allow(missing_docs, reason = "a test")]

mod kit;

use accounts::{Accounts, Code};

use kit::http::{Said, ask};
use kit::{config, signed_in, until, worker};
use serde_json::json;
use session::Kind;
use session::cookie::Channel;
use std::collections::HashSet;
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
    assert_eq!(
        ask("GET", "/verify")
            .bearer(&token)
            .to(&accounts)
            .await
            .status,
        401
    );
    assert_eq!(
        ask("GET", "/verify")
            .cookie(&cookie)
            .to(&accounts)
            .await
            .status,
        200
    );
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
    assert_eq!(
        ask("GET", "/verify")
            .bearer(&second)
            .to(&accounts)
            .await
            .status,
        200
    );
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
    assert_eq!(
        ask("GET", "/verify")
            .bearer(&second)
            .to(&accounts)
            .await
            .status,
        200,
        "it lives"
    );
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
        ask("GET", "/verify")
            .bearer(&second)
            .to(&accounts)
            .await
            .status,
        401,
        "theft ended it"
    );
}

#[tokio::test]
async fn a_user_sees_and_ends_own_sessions_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = with_ada(dir.path()).await;
    let mine: Vec<_> = [Kind::Cookie, Kind::Bearer, Kind::Rotating]
        .into_iter()
        .map(|kind| signed_in(&accounts, "ada", kind))
        .collect();
    let mut own = Vec::new();
    for opening in mine {
        own.push(opening.await);
    }
    let bob = signed_in(&accounts, "bob", Kind::Cookie).await;
    let cookie = own[0].token.expose();
    let list = ask("GET", "/sessions").cookie(&cookie).to(&accounts).await;
    let rows = list.json["sessions"].as_array().expect("rows");
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert_eq!(row["user"], "ada");
        assert_eq!(row["current"], row["id"] == own[0].session.to_string());
        assert_eq!(row["context"], "127.0.0.1 Firefox");
    }
    let end = |id: String| {
        ask("DELETE", &format!("/sessions/{id}"))
            .own()
            .cookie(&cookie)
    };
    let (bobs, nobodys) = (bob.session.to_string(), "A".repeat(22));
    for other in [bobs, nobodys, "x".into(), "%ff".into()] {
        let said = end(other).to(&accounts).await;
        assert_eq!((said.status, said.code()), (404, "not_found"));
    }
    assert_eq!(
        end(own[1].session.to_string()).to(&accounts).await.status,
        204
    );
    assert_eq!(
        end(own[1].session.to_string()).to(&accounts).await.status,
        404,
        "only once"
    );
    let bearer = own[1].token.expose();
    assert_eq!(
        ask("GET", "/verify")
            .bearer(&bearer)
            .to(&accounts)
            .await
            .status,
        401
    );
    let others = json!({"keep_this": true});
    let said = ask("POST", "/logout-all")
        .own()
        .cookie(&cookie)
        .json(others)
        .to(&accounts)
        .await;
    assert_eq!((said.status, &said.json["ended"]), (200, &json!(1)));
    assert_eq!(
        ask("GET", "/verify")
            .cookie(&cookie)
            .to(&accounts)
            .await
            .status,
        200
    );
    let said = ask("POST", "/logout-all")
        .own()
        .cookie(&cookie)
        .to(&accounts)
        .await;
    assert_eq!((said.status, &said.json["ended"]), (200, &json!(1)));
    assert_eq!(
        ask("GET", "/verify")
            .cookie(&cookie)
            .to(&accounts)
            .await
            .status,
        401
    );
    let bobs = bob.token.expose();
    assert_eq!(
        ask("GET", "/verify")
            .cookie(&bobs)
            .to(&accounts)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn another_site_can_do_nothing_with_a_browsers_cookie() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = with_ada(dir.path()).await;
    let cookie = login(&accounts, "cookie")
        .await
        .cookie("steadfast-local")
        .expect("a cookie");
    let user = json!({"username": "ada", "password": PASSWORD});
    for (method, path) in [
        ("POST", "/login"),
        ("POST", "/logout"),
        ("POST", "/logout-all"),
        ("DELETE", "/sessions/x"),
        ("POST", "/refresh"),
    ] {
        for headers in [
            vec![],
            vec![("origin", "https://evil.example")],
            vec![("origin", "null")],
            vec![
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://evil.example"),
            ],
            vec![
                ("sec-fetch-site", "same-site"),
                ("origin", "http://localhost:8001"),
            ],
        ] {
            let mut asked = ask(method, path).cookie(&cookie).json(user.clone());
            for (name, value) in headers {
                asked = asked.with(name, value);
            }
            let said = asked.to(&accounts).await;
            assert_eq!(
                (said.status, said.code()),
                (403, "forged"),
                "{method} {path}"
            );
            assert_eq!(said.header("access-control-allow-origin"), "");
        }
    }
    assert_eq!(
        ask("GET", "/verify")
            .cookie(&cookie)
            .to(&accounts)
            .await
            .status,
        200
    );
    // A form cannot say that it sends JSON.
    let form = ask("POST", "/login")
        .own()
        .with("content-type", "text/plain");
    let said = form.raw(&user.to_string()).to(&accounts).await;
    assert_eq!((said.status, said.code()), (415, "unsupported_media_type"));
    let said = ask("POST", "/login")
        .own()
        .json(json!({"username": "ada"}))
        .to(&accounts)
        .await;
    assert_eq!((said.status, said.code()), (400, "bad_request"));
    assert!(!said.text.contains("ada"));
    // A login is never exempt, whatever it brings.
    let said = ask("POST", "/login")
        .bearer("x")
        .json(user)
        .to(&accounts)
        .await;
    assert_eq!(said.status, 403);
}

#[tokio::test]
async fn listed_origins_are_told_so_and_no_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = with_ada(dir.path()).await;
    for (origin, allowed) in [
        ("https://app.example", true),
        ("http://localhost:8000", true),
        ("https://app.example.evil", false),
        ("null", false),
    ] {
        let preflight = ask("OPTIONS", "/login")
            .with("origin", origin)
            .with("access-control-request-method", "POST");
        let said = preflight.to(&accounts).await;
        assert_eq!(said.status, 204);
        let said_to = if allowed { origin } else { "" };
        assert_eq!(said.header("access-control-allow-origin"), said_to);
        assert_eq!(
            said.header("access-control-allow-methods").contains("POST"),
            allowed
        );
        for ours in ["Steadfast-Nonce", "Steadfast-Passive", "Authorization"] {
            let headers = said.header("access-control-allow-headers");
            assert_eq!(headers.contains(ours), allowed, "{ours}");
        }
        let said = ask("GET", "/verify")
            .with("origin", origin)
            .to(&accounts)
            .await;
        assert_eq!(said.header("access-control-allow-origin"), said_to);
        assert_eq!(
            said.header("access-control-allow-credentials"),
            if allowed { "true" } else { "" }
        );
        assert_eq!(
            said.header("access-control-expose-headers")
                .contains("Steadfast-Nonce"),
            allowed
        );
    }
    let user = json!({"username": "ada", "password": PASSWORD});
    let said = ask("POST", "/login")
        .with("sec-fetch-site", "same-site")
        .with("origin", "https://app.example")
        .json(user)
        .to(&accounts)
        .await;
    assert_eq!(said.status, 200);
}

#[tokio::test]
async fn nonces_are_echoed_only_when_they_are_plain() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = worker(&config(dir.path())).await;
    let long = "a".repeat(65);
    for nonce in ["", "a b", "a\"b", "ä", long.as_str()] {
        let said = ask("GET", "/ping")
            .with("steadfast-nonce", nonce)
            .to(&accounts)
            .await;
        assert_eq!(
            (
                said.header("steadfast-nonce"),
                said.header("steadfast-source")
            ),
            ("", "")
        );
    }
    let twice = ask("GET", "/ping")
        .with("steadfast-nonce", "a")
        .with("steadfast-nonce", "b");
    assert_eq!(twice.to(&accounts).await.header("steadfast-nonce"), "");
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

/// So many more sessions of ada's, as the one that she has.
fn multiply(dir: &std::path::Path, more: u32) {
    let db = rusqlite::Connection::open(dir.join("sessions.db")).expect("opens");
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {more}) \
         INSERT INTO session SELECT randomblob(16), user, kind, randomblob(32), chain, created_ms, seen_ms - i / 3, \
         context, ended_ms, ended_why, ended_other, realm \
         FROM n, (SELECT * FROM session WHERE user = 'ada' AND ended_why IS NULL LIMIT 1); \
         UPDATE meta SET value = value + {more} WHERE name = 'rows';"
    );
    db.execute_batch(&sql).expect("written");
}

#[tokio::test]
async fn ten_thousand_sessions_are_listed_in_pages_and_ended_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = worker(&config(dir.path())).await;
    let ada = signed_in(&accounts, "ada", Kind::Bearer).await;
    signed_in(&accounts, "bob", Kind::Cookie).await;
    multiply(dir.path(), 10_100);
    let token = ada.token.expose();
    let page = |query: &str| ask("GET", &format!("/sessions{query}")).bearer(&token);
    let (mut rows, mut query) = (Vec::new(), String::new());
    loop {
        let said = page(&query).to(&accounts).await;
        assert_eq!(said.status, 200, "{}", said.text);
        let part = said.json["sessions"].as_array().expect("rows");
        assert!((1..=500).contains(&part.len()), "{}", part.len());
        rows.extend(part.clone());
        let Some(next) = said.json.get("next") else {
            break;
        };
        query = format!("?x=1&after={}", next.as_str().expect("a text"));
    }
    let seen = rows.iter().map(|row| row["seen_at_s"].as_u64());
    assert!(seen.is_sorted_by(|a, b| a >= b), "newest activity first");
    let ids: HashSet<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!((rows.len(), ids.len()), (10_101, 10_101));
    assert!(rows.iter().all(|row| row["user"] == "ada"));
    let current = rows.iter().filter(|row| row["current"] == true);
    assert_eq!(current.count(), 1);
    for wrong in ["?after=", "?after=1", "?after=x.y", "?after=1.x"] {
        let said = page(wrong).to(&accounts).await;
        assert_eq!((said.status, said.code()), (400, "bad_request"), "{wrong}");
    }
    let all = accounts.sessions().await.expect("listed");
    assert_eq!(all.len(), 10_102, "a command sees everybody's");
    assert!(all.is_sorted_by(|a, b| a.seen_ms >= b.seen_ms));

    let rest = json!({"keep_this": true});
    let said = ask("POST", "/logout-all").own().bearer(&token).json(rest);
    let said = said.to(&accounts).await;
    assert_eq!((said.status, &said.json["ended"]), (200, &json!(10_100)));
    assert_eq!(accounts.sessions().await.expect("listed").len(), 2);
    multiply(dir.path(), 10_100);
    assert_eq!(accounts.revoke_user("ada").await, Ok(10_101));
    assert_eq!(page("").to(&accounts).await.status, 401);
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
