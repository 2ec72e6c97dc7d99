//! A user's own sessions: listed, in pages, and ended.

use crate::kit::http::ask;
use crate::kit::{config, signed_in, worker};
use crate::{verified, verified_bearer, with_ada};
use serde_json::json;
use session::Kind;
use std::collections::HashSet;

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
    assert_eq!(verified_bearer(&accounts, &bearer).await, 401);
    let others = json!({"keep_this": true});
    let said = ask("POST", "/logout-all")
        .own()
        .cookie(&cookie)
        .json(others)
        .to(&accounts)
        .await;
    assert_eq!((said.status, &said.json["ended"]), (200, &json!(1)));
    assert_eq!(verified(&accounts, &cookie).await, 200);
    let said = ask("POST", "/logout-all")
        .own()
        .cookie(&cookie)
        .to(&accounts)
        .await;
    assert_eq!((said.status, &said.json["ended"]), (200, &json!(1)));
    assert_eq!(verified(&accounts, &cookie).await, 401);
    let bobs = bob.token.expose();
    assert_eq!(verified(&accounts, &bobs).await, 200);
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
