//! Pings and verifications are passive: a page that is only open keeps no session from ending.
#![allow(missing_docs, reason = "a test")]

mod kit;

use kit::http::ask;
use kit::{config, signed_in, until, worker};
use serde_json::json;
use session::Kind;

/// Sets the time at which sessions of the store were seen last back, in another process's place.
fn age(dir: &std::path::Path) {
    let db = rusqlite::Connection::open(dir.join("sessions.db")).expect("opened");
    let sql = "UPDATE session SET seen_ms = created_ms - 3600000";
    assert!(db.execute(sql, []).expect("written") > 0);
}

/// Who was seen how long after an hour before the sign-in: 0 if only `age` was at it.
fn renewed_ms(dir: &std::path::Path, user: &str) -> i64 {
    let db = rusqlite::Connection::open(dir.join("sessions.db")).expect("opened");
    let sql = "SELECT seen_ms - created_ms + 3600000 FROM session WHERE user = ?1";
    db.query_row(sql, [user], |row| row.get(0)).expect("a row")
}

#[tokio::test]
async fn what_a_page_does_by_itself_keeps_no_session_from_idling_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = worker(&config(dir.path())).await;
    let opened = signed_in(&accounts, "ada", Kind::Cookie).await;
    let cookie = opened.token.expose();
    let other = signed_in(&accounts, "bob", Kind::Bearer).await;
    age(dir.path());
    let passive = |path| {
        let asked = ask("GET", path).cookie(&cookie);
        asked.with("steadfast-passive", "1")
    };
    // From the store, and from the cache.
    for _ in 0..2 {
        let verify = ask("GET", "/verify").cookie(&cookie).to(&accounts).await;
        assert_eq!(verify.status, 200);
        for path in ["/me", "/sessions"] {
            assert_eq!(passive(path).to(&accounts).await.status, 200);
        }
    }
    // What is written is written in order.
    let token = other.token.expose();
    let me = ask("GET", "/me").bearer(&token).to(&accounts).await;
    assert_eq!(me.status, 200);
    until("who did something was seen", || async {
        renewed_ms(dir.path(), "bob") > 0
    })
    .await;
    assert_eq!(renewed_ms(dir.path(), "ada"), 0);
    // Anything else than a 1 says nothing.
    let me = ask("GET", "/me")
        .cookie(&cookie)
        .with("steadfast-passive", "0");
    assert_eq!(me.to(&accounts).await.status, 200);
    until("so she was", || async { renewed_ms(dir.path(), "ada") > 0 }).await;
}

#[tokio::test]
async fn an_open_page_refreshes_and_its_session_idles_out_all_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = worker(&config(dir.path())).await;
    let opened = signed_in(&accounts, "ada", Kind::Rotating).await;
    age(dir.path());
    let body = json!({"token": opened.token.expose(), "a": "A".repeat(43)});
    let refresh = || ask("POST", "/refresh").json(body.clone());
    // The second is a repeat.
    for _ in 0..2 {
        let said = refresh().with("steadfast-passive", "1").to(&accounts).await;
        assert_eq!(said.status, 200, "{}", said.text);
        assert_eq!(renewed_ms(dir.path(), "ada"), 0);
    }
    // Who does not say that nobody is there is believed to be: a script that refreshes by hand.
    assert_eq!(refresh().to(&accounts).await.status, 200);
    assert!(renewed_ms(dir.path(), "ada") > 0);
}
