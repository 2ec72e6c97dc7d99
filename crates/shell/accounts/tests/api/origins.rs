//! Pages of other sites, origins that are listed, and nonces.

use crate::kit::http::ask;
use crate::kit::{config, worker};
use crate::{PASSWORD, login, verified, with_ada};
use serde_json::json;

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
    assert_eq!(verified(&accounts, &cookie).await, 200);
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
