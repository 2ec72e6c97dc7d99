//! A store that is open while its database is emptied or replaced under it: never a mass sign-out.
#![allow(missing_docs, reason = "a test")]

mod kit;
#[path = "kit/server.rs"]
mod server;

use kit::{ID, NOW_MS, OTHER, at, session, signed_in, user, verdict};
use server::Server;
use session::judge::{addressed, sweep};
use session::revoke::Scope;
use session::rotating::Refresh;
use session::{
    Alarm, Hidden, Kind, Policy, Refusal, SWEEP_LATE_MS, StoreId, Token, Unsure, Verdict, Why,
};
use store::{OpenError, Postgres, RefreshAsk, Refreshed, Store as _, UserChange};
use tokio_postgres::Client;

const FOREIGN: &str = "UPDATE steadfast.meta SET id = '\\x0102030405060708';";
const REMOVED: &str = "DROP SCHEMA IF EXISTS steadfast CASCADE";

async fn connected(server: &Server) -> Client {
    let made = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await;
    let (client, driver) = made.expect("connected");
    tokio::spawn(driver);
    client
}

fn ask(token: &Token) -> RefreshAsk {
    let Token::Rotating(token) = token.clone() else {
        panic!("rotating")
    };
    let (a, r) = (Hidden::new([1; 32]), [1; 16]);
    RefreshAsk {
        ask: Refresh { token, a, r },
        context: String::new(),
        policy: Policy::default(),
        time: at(0),
        realm: session::Realm::default(),
        traffic: session::Traffic::Active,
    }
}

/// What is said of the session when it is asked for, and when it is refreshed.
async fn said(store: &Postgres, cookie: &Token, chain: &Token) -> [Verdict; 3] {
    let refreshed = match store.refresh(ask(chain)).await.expect("an answer") {
        Refreshed::Unknown(unsure) => Verdict::Unknown(unsure),
        Refreshed::Refused(refusal) => Verdict::Invalid(refusal),
        Refreshed::Granted(_) => panic!("granted"),
    };
    [
        verdict(store, cookie, at(0)).await,
        verdict(store, chain, at(0)).await,
        refreshed,
    ]
}

/// A store with two sessions in it, while another connection does this to the database.
async fn check_in_place(server: &Server, sql: &str) -> [Verdict; 3] {
    let client = connected(server).await;
    client.batch_execute(REMOVED).await.expect("removed");
    let dir = tempfile::tempdir().expect("a directory");
    let opened = Postgres::open(&server.url(), dir.path(), ID, StoreId([1; 8])).await;
    let store = opened.expect("the store opens");
    let mut tokens = Vec::new();
    for (n, kind) in [(1, Kind::Cookie), (2, Kind::Rotating)] {
        let (row, token) = session(n, kind, "ada");
        store.insert(row).await.expect("kept");
        assert!(signed_in(&store, &token).await);
        tokens.push(token);
    }
    client.batch_execute(sql).await.expect("runs");
    let before = said(&store, &tokens[0], &tokens[1]).await;
    let believed = before.iter().all(|it| matches!(it, Verdict::Invalid(_)));
    let shelf = store.shelf_now().await;
    match &shelf {
        Ok(shelf) => assert_eq!(shelf.ours == ID, believed),
        Err(OpenError::Distrusted { .. }) => assert!(!believed, "operators are told"),
        Err(OpenError::Failed(failure)) => panic!("{failure}"),
    }
    // Nor is it made to look whole again by a write, and none is acknowledged that the right store knows nothing of.
    let far = sweep(Policy::default(), at(SWEEP_LATE_MS + 1)).expect("the clocks agree");
    let add = UserChange::Add {
        hash: String::new(),
    };
    let revoked = store.revoke(Scope::User(user("ada")), Why::Revoked, NOW_MS);
    assert_eq!(revoked.await.is_ok(), believed);
    assert_eq!(store.sweep(far).await.is_ok(), believed);
    assert_eq!(
        store.change_user(user("ada"), add, NOW_MS).await.is_ok(),
        believed
    );
    let (row, _) = session(3, Kind::Cookie, "bob");
    assert_eq!(store.insert(row).await.is_ok(), believed);
    assert_eq!(said(&store, &tokens[0], &tokens[1]).await, before);
    before
}

#[tokio::test]
async fn a_store_that_was_emptied_or_replaced_in_place_is_unknown() {
    let server = Server::start();
    let unknown = |alarm| [alarm; 3].map(|it| Verdict::Unknown(Unsure::Distrusted(it)));
    let emptied = "DELETE FROM steadfast.session;";
    assert_eq!(
        check_in_place(&server, emptied).await,
        unknown(Alarm::Empty)
    );
    assert_eq!(
        check_in_place(&server, "TRUNCATE steadfast.session").await,
        unknown(Alarm::Empty)
    );
    assert_eq!(
        check_in_place(&server, &format!("{emptied} {FOREIGN}")).await,
        unknown(Alarm::Foreign)
    );
    let nothing = format!("{emptied} DELETE FROM steadfast.meta");
    assert_eq!(
        check_in_place(&server, &nothing).await,
        unknown(Alarm::Unreadable)
    );
    // Somebody took the two out and said so: that is how a sweep does it.
    let swept = format!("{emptied} UPDATE steadfast.meta SET used = FALSE");
    assert_eq!(
        check_in_place(&server, &swept).await,
        [Refusal::NotFound; 3].map(Verdict::Invalid)
    );
}

#[tokio::test]
async fn a_database_that_was_dropped_and_made_anew_is_unknown_until_the_old_one_is_back() {
    let server = Server::start();
    let client = connected(&server).await;
    let dir = tempfile::tempdir().expect("a directory");
    let opened = Postgres::open(&server.url(), dir.path(), ID, StoreId([1; 8])).await;
    let store = opened.expect("the store opens");
    let (row, token) = session(1, Kind::Cookie, "ada");
    store.insert(row).await.expect("kept");
    assert!(signed_in(&store, &token).await);
    let moved = "ALTER SCHEMA steadfast RENAME TO away";
    client.batch_execute(moved).await.expect("moved");
    let gone = verdict(&store, &token, at(0)).await;
    assert_eq!(gone, Verdict::Unknown(Unsure::Unreachable));
    let second = tempfile::tempdir().expect("a directory");
    let other = Postgres::open(&server.url(), second.path(), OTHER, StoreId([2; 8])).await;
    assert_eq!(other.expect("opens").shelf().ours, OTHER);
    // What was prepared for the old tables fails once on each connection.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let foreign = Verdict::Unknown(Unsure::Distrusted(Alarm::Foreign));
    loop {
        let said = verdict(&store, &token, at(0)).await;
        if said == foreign {
            break;
        }
        assert_eq!(said, Verdict::Unknown(Unsure::Unreachable));
        assert!(std::time::Instant::now() < until, "it stays {said:?}");
    }
    let (row, late) = session(2, Kind::Cookie, "ada");
    assert!(store.insert(row).await.is_err());
    let back = format!("{REMOVED}; ALTER SCHEMA away RENAME TO steadfast");
    client.batch_execute(&back).await.expect("moved back");
    while !signed_in(&store, &token).await {
        let said = verdict(&store, &token, at(0)).await;
        assert!(!matches!(said, Verdict::Invalid(_)), "{said:?}");
        assert!(std::time::Instant::now() < until, "it stays {said:?}");
    }
    assert_eq!(addressed(&late, store.shelf()), Ok(()));
    let said = verdict(&store, &late, at(0)).await;
    assert_eq!(said, Verdict::Invalid(Refusal::NotFound), "never granted");
}
