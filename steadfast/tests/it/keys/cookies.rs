//! What an app signs otherwise than as a JWT in a place that the gateway knows: nobody but the app can take it over a
//! rotation, and nothing says otherwise. Flask's sessions, for real.

use super::app::{App, bearer, start};
use crate::harness::venv;
use crate::signed_in::people;

fn flask(keys: &str) -> App {
    let gunicorn = venv("gunicorn").display().to_string();
    let command = format!("{gunicorn} cookies:app --bind 127.0.0.1:@PORT@ --workers 1");
    start(&command, keys)
}

/// Somebody's cookie of Flask, and a JWT of the same sign-in.
fn sign_in(app: &App) -> (String, String) {
    let body = r#"{"user":"ann"}"#;
    let answer = people::try_ask(app.port, "POST", "/api/auth/login", "", body);
    let (status, head, body) = answer.expect("an answer");
    assert_eq!(status, 200, "{body}");
    let cookie = people::cookie(&head).expect("a cookie");
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    (cookie, body["token"].as_str().expect("a token").to_owned())
}

#[test]
fn a_cookie_of_flask_ends_with_its_key_and_nobody_is_told_otherwise() {
    let app = flask("");
    let (cookie, token) = sign_in(&app);
    assert_eq!(app.status("/me", &cookie), 200);
    let said = app.say(&["secrets", "rotate", "SECRET_KEY"]);
    assert!(
        !said.text().contains("nobody was signed out"),
        "{}",
        said.text()
    );
    let last = said.stdout.lines().last().unwrap_or_default();
    assert_eq!(
        last,
        "app  JWTs in Authorization go on; cookies and links that it signs with SECRET_KEY itself do not, unless it reads \
         older values: secrets_fallbacks = SECRET_KEY_FALLBACKS:json"
    );
    // Both are true.
    assert_eq!(app.status("/api/auth/verify", &bearer(&token)), 200);
    assert_eq!(app.status("/me", &cookie), 401);
    // What was said to write brings it back, since the old value still verifies.
    let config = format!(
        "{}secrets_fallbacks = SECRET_KEY_FALLBACKS:json\n",
        app.config
    );
    app.installation.configure(&config).expect("written");
    app.say(&["update"]);
    assert_eq!(app.status("/me", &cookie), 200);
}

#[test]
fn with_older_values_flask_keeps_its_cookies_and_that_is_said() {
    let app = flask("secrets_fallbacks = SECRET_KEY_FALLBACKS:json\n");
    let (cookie, token) = sign_in(&app);
    for _ in 0..2 {
        let said = app.say(&["secrets", "rotate", "SECRET_KEY"]);
        let last = said.stdout.lines().last().unwrap_or_default();
        assert_eq!(last, "nobody was signed out", "{}", said.text());
        assert_eq!(app.status("/me", &cookie), 200);
        assert_eq!(app.status("/api/auth/verify", &bearer(&token)), 200);
    }
}

#[test]
fn a_cookie_with_a_jwt_goes_on_where_it_is_named() {
    let app = flask("jwt_cookie = access_token_cookie\n");
    let (_, token) = sign_in(&app);
    let cookie = format!("Cookie: access_token_cookie={token}\r\n");
    let said = app.say(&["secrets", "rotate", "SECRET_KEY"]).stdout;
    assert!(
        said.contains(
            "JWTs in Authorization and in the cookie access_token_cookie go on; other cookies"
        ),
        "{said}"
    );
    assert_eq!(app.status("/api/auth/verify", &cookie), 200);
}
