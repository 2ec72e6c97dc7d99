//! The store of several machines, on a real PostgreSQL.
#![allow(missing_docs, reason = "a test")]

mod kit;
#[path = "kit/server.rs"]
mod server;

use kit::{ID, NOW_MS, OTHER, at, listed, listing, session, user};
use server::Server;
use session::judge::sweep;
use session::revoke::{Cached, Line, Recall, Scope, recall};
use session::rotating::Refresh;
use session::token::Link;
use session::{
    Alarm, Hidden, Kind, LEASE_MS, Policy, Refusal, SWEEP_LATE_MS, StoreId, Token, Touch, Traffic,
    Why, hash,
};
use std::path::Path;
use std::time::{Duration, Instant};
use store::{Answer, OpenError, Postgres, RefreshAsk, Refreshed, Store as _};

async fn gateway(server: &Server, dir: &Path, name: u8) -> Postgres {
    Postgres::open(&server.url(), dir, ID, StoreId([name; 8]))
        .await
        .expect("the store opens")
}

async fn alive(store: &Postgres, token: &Token) -> Option<bool> {
    match store.find(token).await {
        Answer::Row(row) => Some(row.ended.is_none()),
        Answer::Nothing => Some(false),
        Answer::Unreachable(_) | Answer::Distrusted(_) => None,
    }
}

fn ask(token: &Link, ci: u8, draw: u8) -> RefreshAsk {
    let a = Hidden::new(hash(&[token.t.expose().as_slice(), &[ci]].concat()));
    let ask = Refresh {
        token: token.clone(),
        a,
        r: [draw; 16],
    };
    RefreshAsk {
        ask,
        context: format!("client {ci}"),
        policy: Policy::default(),
        time: at(0),
        realm: session::Realm::default(),
        traffic: session::Traffic::Active,
    }
}

#[tokio::test]
async fn sessions() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    let store = gateway(&server, dir.path(), 1).await;
    let mut tokens = Vec::new();
    for (n, kind) in [(1, Kind::Cookie), (2, Kind::Bearer), (3, Kind::Rotating)] {
        let (row, token) = session(n, kind, "ada");
        store.insert(row.clone()).await.expect("kept");
        assert_eq!(store.find(&token).await, Answer::Row(Box::new(row)));
        tokens.push(token);
    }
    assert!(
        store
            .insert(session(1, Kind::Cookie, "ada").0)
            .await
            .is_err(),
        "an id comes once"
    );
    let (new, token) = session(4, Kind::Cookie, "ada");
    store.insert(new).await.expect("kept");
    let replaced = Scope::One(session(1, Kind::Cookie, "ada").0.id);
    let revoked = store.revoke(replaced, Why::Replaced, at(0).now_ms).await;
    assert_eq!(revoked.expect("kept").ended, 1);
    assert_eq!(
        (alive(&store, &tokens[0]).await, alive(&store, &token).await),
        (Some(false), Some(true))
    );
    let Token::Rotating(first) = &tokens[2] else {
        panic!("rotating")
    };
    // Two tabs at once, on two connections: the second write finds that the row has changed, and decides anew.
    let (one, two) = tokio::join!(
        store.refresh(ask(first, 1, 1)),
        store.refresh(ask(first, 1, 2))
    );
    assert!(
        matches!(&one, Ok(Refreshed::Granted(_))) && one == two,
        "{one:?} {two:?}"
    );
    let Ok(Refreshed::Granted(second)) = &one else {
        panic!("{one:?}")
    };
    for (link, traffic, seen_ms) in [
        (first, Traffic::Passive, NOW_MS),
        (first, Traffic::Active, NOW_MS + 90_000),
        (second, Traffic::Passive, NOW_MS + 90_000),
    ] {
        let asked = RefreshAsk {
            time: at(90_000 + u64::from(link == second)),
            traffic,
            ..ask(link, 1, 1)
        };
        let granted = store.refresh(asked).await;
        assert!(matches!(granted, Ok(Refreshed::Granted(_))), "{granted:?}");
        let Answer::Row(row) = store.find(&tokens[2]).await else {
            panic!("a row")
        };
        assert_eq!(row.seen_ms, seen_ms, "{traffic:?}");
    }
    let theft = Refreshed::Refused(Refusal::Ended(Why::Theft));
    assert_eq!(store.refresh(ask(first, 2, 3)).await, Ok(theft));
    assert_eq!(alive(&store, &tokens[2]).await, Some(false));
    let id = session(2, Kind::Bearer, "ada").0.id;
    store.touch(
        id,
        Touch {
            at_ms: NOW_MS + 60_000,
            at_once: true,
        },
    );
    let until = Instant::now() + Duration::from_secs(60);
    while listed(&store, None)
        .await
        .iter()
        .all(|it| it.seen_ms != NOW_MS + 60_000)
    {
        assert!(Instant::now() < until, "last-seen is not written");
    }
    let done = store
        .revoke(
            Scope::Others {
                user: user("ada"),
                realm: session::Realm::default(),
                keep: id,
            },
            Why::Revoked,
            NOW_MS,
        )
        .await;
    assert_eq!(done.expect("acknowledged").ended, 1);
    assert_eq!(listed(&store, Some("ada")).await.len(), 1);
    let far = sweep(Policy::default(), at(SWEEP_LATE_MS + 1)).expect("the clocks agree");
    assert_eq!(store.sweep(far).await, Ok(3), "those that were ended");
}

/// Waits until this many sessions were seen at this time.
async fn seen(store: &Postgres, count: usize, at_ms: u64) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        // None while the database is away.
        let list = store.list(listing(None)).await.map(|page| page.sessions);
        let list = list.unwrap_or_default();
        let found = list.iter().filter(|it| it.seen_ms == at_ms).count();
        if found == count {
            return;
        }
        assert!(Instant::now() < until, "{found} of {count} were written");
    }
}

#[tokio::test]
async fn last_seen_of_many_sessions_is_few_transactions_and_survives_a_database_that_is_away() {
    const MANY: u32 = 300;
    let mut server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    let store = gateway(&server, dir.path(), 1).await;
    let mut ids = Vec::new();
    for n in 0..MANY {
        let (row, _) = session(n, Kind::Cookie, "ada");
        ids.push(row.id);
        store.insert(row).await.expect("kept");
    }
    let (client, driver) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls)
        .await
        .expect("connected");
    let driven = tokio::spawn(driver);
    let transactions = async || -> i64 {
        let sql = "SELECT pg_current_xact_id()::text::bigint";
        client.query_one(sql, &[]).await.expect("a number").get(0)
    };
    let touch = |at_ms, at_once| {
        for id in &ids {
            store.touch(*id, Touch { at_ms, at_once });
        }
    };
    let before = transactions().await;
    touch(NOW_MS + 60_000, true);
    seen(&store, ids.len(), NOW_MS + 60_000).await;
    let used = transactions().await - before;
    assert!(used < i64::from(MANY) / 3, "{used} transactions for {MANY}");
    // Nothing goes back, and nobody has to wait for the batch at the end.
    touch(NOW_MS + 50_000, false);
    touch(NOW_MS + 90_000, false);
    store.leave().await.expect("left");
    let kept = listed(&store, None).await;
    assert_eq!(kept[0].seen_ms, NOW_MS + 90_000);
    seen(&store, ids.len(), NOW_MS + 90_000).await;
    drop(client);
    driven.abort();
    server.kill();
    touch(NOW_MS + 120_000, true);
    tokio::task::yield_now().await;
    server.run();
    seen(&store, ids.len(), NOW_MS + 120_000).await;
}

#[tokio::test]
async fn a_server_that_dies_comes_back_by_itself() {
    let mut server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    let store = gateway(&server, dir.path(), 1).await;
    let mut tokens = Vec::new();
    for round in 0..3 {
        for n in 0..20 {
            let (row, token) = session(round * 100 + n, Kind::Cookie, "ada");
            store.insert(row).await.expect("kept");
            tokens.push(token);
        }
        server.kill();
        // Its connections end a moment after it; until then they answer, and truly.
        let until = Instant::now() + Duration::from_secs(60);
        while let Some(signed_in) = alive(&store, &tokens[0]).await {
            assert!(signed_in, "invalid because the server died");
            assert!(Instant::now() < until, "its connections outlive it");
        }
        assert!(
            store
                .insert(session(9999, Kind::Cookie, "ada").0)
                .await
                .is_err()
        );
        server.run();
        for token in &tokens {
            assert_eq!(
                alive(&store, token).await,
                Some(true),
                "an acknowledged sign-in survives"
            );
        }
    }
}

#[tokio::test]
async fn a_revocation_waits_for_leases() {
    let server = Server::start();
    let (here, there) = (
        tempfile::tempdir().expect("a directory"),
        tempfile::tempdir().expect("a directory"),
    );
    let one = gateway(&server, here.path(), 1).await;
    let two = gateway(&server, there.path(), 2).await;
    let (row, token) = session(1, Kind::Cookie, "ada");
    let id = row.id;
    one.insert(row).await.expect("kept");
    let begun = Instant::now();
    let now_ms = || u64::try_from(begun.elapsed().as_millis()).expect("milliseconds");
    let cached_use = |made: u64| {
        let line = two.line().expect("a line");
        recall(
            Cached {
                count: made,
                made_ms: 0,
            },
            line,
            true,
            now_ms(),
        ) == Recall::Use
    };
    // A gateway that follows: acknowledged as soon as it has confirmed.
    let renewed = two.renew(now_ms()).await.expect("renewed");
    assert!(cached_use(renewed.count));
    let revoking = one.revoke(Scope::One(id), Why::Revoked, NOW_MS);
    let following = async {
        loop {
            two.renew(now_ms()).await.expect("renewed");
            tokio::task::yield_now().await;
        }
    };
    let asked = Instant::now();
    tokio::select! {
        done = revoking => assert_eq!(done.expect("acknowledged").ended, 1),
        () = following => {}
    }
    assert!(
        asked.elapsed() < Duration::from_millis(LEASE_MS / 2),
        "{:?}",
        asked.elapsed()
    );
    assert!(
        !cached_use(renewed.count),
        "what was cached before is asked again"
    );
    assert_eq!(alive(&two, &token).await, Some(false));
    // A gateway that does not answer: acknowledged when its lease has run out, and it knows.
    let (row, _) = session(2, Kind::Cookie, "ada");
    let id = row.id;
    one.insert(row).await.expect("kept");
    let asked = Instant::now();
    let renewed = two.renew(now_ms()).await.expect("renewed");
    one.revoke(Scope::One(id), Why::Revoked, NOW_MS)
        .await
        .expect("acknowledged");
    assert!(
        asked.elapsed() >= Duration::from_millis(LEASE_MS - 1000),
        "{:?}",
        asked.elapsed()
    );
    assert!(
        !cached_use(renewed.count),
        "its lease has run out before the acknowledgement"
    );
    assert!(
        matches!(two.line(), Ok(Line::Leased { count, .. }) if count == renewed.count),
        "it was not told"
    );
}

#[tokio::test]
async fn identity() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    let store = gateway(&server, dir.path(), 1).await;
    store
        .insert(session(1, Kind::Cookie, "ada").0)
        .await
        .expect("kept");
    let second = tempfile::tempdir().expect("a directory");
    let other = Postgres::open(&server.url(), second.path(), OTHER, StoreId([2; 8]))
        .await
        .expect("opens");
    assert_eq!(
        other.shelf().ours,
        ID,
        "a second machine takes the store that stands there"
    );
    let alarm =
        async |dir: &Path| match Postgres::open(&server.url(), dir, OTHER, StoreId([3; 8])).await {
            Ok(_) => None,
            Err(OpenError::Distrusted { alarm, .. }) => Some(alarm),
            Err(OpenError::Failed(failure)) => panic!("{failure}"),
        };
    let (client, driver) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls)
        .await
        .expect("connected");
    tokio::spawn(driver);
    let run = async |sql: &str| client.batch_execute(sql).await.expect("runs");
    assert_eq!(alarm(dir.path()).await, None);
    run("DELETE FROM steadfast.session").await;
    assert_eq!(alarm(dir.path()).await, Some(Alarm::Empty));
    assert_eq!(
        Postgres::forget(&server.url(), dir.path(), OTHER).await,
        Ok(ID)
    );
    assert_eq!(alarm(dir.path()).await, None);
    run("UPDATE steadfast.meta SET used = FALSE, version = 99").await;
    assert_eq!(alarm(dir.path()).await, Some(Alarm::Unreadable));
    run("UPDATE steadfast.meta SET version = 4, id = '\\x0102030405060708'").await;
    assert_eq!(alarm(dir.path()).await, Some(Alarm::Foreign));
    run("DROP SCHEMA steadfast CASCADE").await;
    assert_eq!(
        alarm(dir.path()).await,
        Some(Alarm::Missing),
        "never made anew in silence"
    );
    assert_eq!(
        Postgres::forget(&server.url(), dir.path(), OTHER).await,
        Ok(OTHER)
    );
    let anew = Postgres::open(&server.url(), dir.path(), ID, ID)
        .await
        .expect("opens");
    assert_eq!(
        (anew.shelf().ours, anew.shelf().others_forgotten),
        (OTHER, true)
    );
    let error = Postgres::open("postgres://ada:secret@[", dir.path(), ID, ID)
        .await
        .err()
        .expect("no URL");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn realms() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    let store = gateway(&server, dir.path(), 1).await;
    let forum = session::Realm::parse("forum").expect("a name");
    let (mut there, there_token) = session(1, Kind::Cookie, "1");
    let (here, here_token) = session(2, Kind::Cookie, "1");
    there.realm = forum.clone();
    for row in [&there, &here] {
        store.insert(row.clone()).await.expect("kept");
    }
    assert_eq!(
        store.find(&there_token).await,
        Answer::Row(Box::new(there.clone()))
    );
    let within = Scope::Within {
        user: user("1"),
        realm: forum,
    };
    let done = store.revoke(within, Why::SignedOut, NOW_MS).await;
    assert_eq!(done.expect("acknowledged").ended, 1);
    assert_eq!(alive(&store, &here_token).await, Some(true));
    drop(store);
    // As it was before there were realms.
    let (db, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls)
        .await
        .expect("connected");
    let connection = tokio::spawn(connection);
    db.batch_execute(
        "ALTER TABLE steadfast.session DROP COLUMN realm; DROP TABLE steadfast.throttle; \
         UPDATE steadfast.meta SET version = 2",
    )
    .await
    .expect("as it was");
    drop(db);
    connection.await.expect("ended").expect("without an error");
    let store = gateway(&server, dir.path(), 1).await;
    assert_eq!(store.find(&here_token).await, Answer::Row(Box::new(here)));
}

#[tokio::test]
async fn accounts_end_their_sessions() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    let store = gateway(&server, dir.path(), 1).await;
    kit::accounts_end_their_sessions(&store).await;
}

#[tokio::test]
async fn a_store_that_cannot_be_used_says_which_it_is_and_what_the_server_said() {
    let mut server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    let said = async |url: &str| {
        let opened = Postgres::open(url, dir.path(), ID, StoreId([1; 8])).await;
        let text = opened.err().expect("it cannot be used").to_string();
        assert!(!text.contains("hunter2"), "{text}");
        text
    };
    let (client, driver) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls)
        .await
        .expect("connected");
    tokio::spawn(driver);
    let make = "CREATE ROLE ada LOGIN PASSWORD 'hunter2'; CREATE SCHEMA steadfast";
    client.batch_execute(make).await.expect("made");
    let host = server.as_store();
    let host = host.rsplit_once("host=").expect("a host").1;
    let url =
        |database: &str| format!("postgres:///{database}?user=ada&password=hunter2&host={host}");
    assert_eq!(
        said(&url("nodb")).await,
        format!(
            "cannot open the session store: postgres {host}:5432/nodb: database \"nodb\" does not exist"
        )
    );
    assert_eq!(
        said(&url("postgres")).await,
        format!(
            "cannot bring the session store to this version: postgres {host}:5432/postgres: \
             permission denied for schema steadfast"
        )
    );
    client
        .batch_execute("DROP SCHEMA steadfast")
        .await
        .expect("dropped");
    let opened = Postgres::open(&server.url(), dir.path(), ID, StoreId([1; 8])).await;
    drop(opened.expect("the store opens"));
    client
        .batch_execute("DROP SCHEMA steadfast CASCADE")
        .await
        .expect("dropped");
    let text = said(&server.url()).await;
    let begin = format!("the session store postgres {host}:5432/postgres is missing (");
    assert!(text.starts_with(&begin), "{text}");
    assert!(
        text.ends_with(": steadfast sessions forget-store"),
        "{text}"
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let text = said(&format!("postgres://ada:hunter2@{address}/app")).await;
    let begin = format!("cannot open the session store: postgres {address}/app: ");
    assert!(text.starts_with(&begin), "{text}");
    assert!(text.contains("Connection refused"), "{text}");
    server.kill();
    let text = said(&server.url()).await;
    assert!(text.contains(host), "{text}");
}

#[tokio::test]
async fn wrong_passwords_are_counted_for_all() {
    const MINUTE_MS: u64 = 60_000;
    let server = Server::start();
    let dirs = [1, 2].map(|_| tempfile::tempdir().expect("a directory"));
    let one = gateway(&server, dirs[0].path(), 1).await;
    let two = gateway(&server, dirs[1].path(), 2).await;
    let most = |slot| [(slot, 10 * MINUTE_MS)];
    assert_eq!(one.used(&most(7)).await, Ok(vec![]));
    // Two slots of one try may be one.
    let slots = [(7, MINUTE_MS), (9, MINUTE_MS), (9, MINUTE_MS)];
    for store in [&one, &two] {
        store.wrong(&slots).await.expect("counted");
    }
    for store in [&one, &two] {
        let used = store.used(&[most(7), most(9), most(8)].concat()).await;
        let mut used = used.expect("asked");
        used.sort_unstable();
        let minutes: Vec<_> = used
            .iter()
            .map(|(slot, left_ms)| (*slot, left_ms.div_ceil(MINUTE_MS)))
            .collect();
        assert_eq!(minutes, [(7, 2), (9, 4)]);
    }
    // No two wait for each other in a circle.
    let tries = (0..100).map(|n| {
        let store = if n % 2 == 0 { one.clone() } else { two.clone() };
        let slots = if n % 2 == 0 {
            [(1, 1), (2, 1)]
        } else {
            [(2, 1), (1, 1)]
        };
        tokio::spawn(async move { store.wrong(&slots).await })
    });
    for done in tries.collect::<Vec<_>>() {
        done.await.expect("ended").expect("counted");
    }
    // A clock that was set back: nothing is used up for longer than it takes to fill, and that is kept.
    one.wrong(&[(5, 1_000 * MINUTE_MS)]).await.expect("counted");
    for most_minutes in [10, 20] {
        let used = two
            .used(&[(5, most_minutes * MINUTE_MS)])
            .await
            .expect("asked");
        assert_eq!(used[0].1.div_ceil(MINUTE_MS), 10, "{most_minutes}");
    }
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    kit::a_list_comes_in_pages(&gateway(&server, dir.path(), 1).await).await;
}
