//! Sessions in a store: kept, found, refreshed, ended, swept.
#![allow(missing_docs, reason = "a test")]

mod kit;

use kit::{NOW_MS, at, listed, listing, opened, session, signed_in, user, verdict};
use session::judge::sweep;
use session::revoke::{Line, Scope};
use session::rotating::Refresh;
use session::token::Link;
use session::{
    Hidden, Kind, Policy, Refusal, SWEEP_LATE_MS, Token, Traffic, Unsure, Verdict, Why, hash,
};
use store::{Answer, RefreshAsk, Refreshed, Sqlite, Store as _};

fn count(store: &Sqlite) -> u64 {
    match store.line() {
        Ok(Line::Local { count }) => count,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sign_in_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut rows = Vec::new();
    let store = opened(dir.path());
    for (n, kind) in [(1, Kind::Cookie), (2, Kind::Bearer), (3, Kind::Rotating)] {
        let (row, token) = session(n, kind, "ada");
        store.insert(row.clone()).await.expect("kept");
        rows.push((row, token));
    }
    let clone = store.clone();
    for store in [&store, &clone, &opened(dir.path())] {
        for (row, token) in &rows {
            assert_eq!(store.find(token).await, Answer::Row(Box::new(row.clone())));
            assert!(signed_in(store, token).await);
        }
    }
    let (_, unknown) = session(9, Kind::Cookie, "ada");
    assert_eq!(
        verdict(&store, &unknown, at(0)).await,
        Verdict::Invalid(Refusal::NotFound)
    );
    assert_eq!(opened(dir.path()).seen_ms(), NOW_MS);
}

#[tokio::test]
async fn one_write_that_fails_takes_no_other_along() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let (row, token) = session(1, Kind::Cookie, "ada");
    let (other, other_token) = session(2, Kind::Cookie, "ada");
    let (first, again, second) = tokio::join!(
        store.insert(row.clone()),
        store.insert(row),
        store.insert(other)
    );
    assert!(
        first.is_ok() && again.is_err() && second.is_ok(),
        "{first:?} {again:?} {second:?}"
    );
    assert!(signed_in(&store, &token).await && signed_in(&store, &other_token).await);
}

#[tokio::test]
async fn the_database_holds_no_token() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let mut secrets = Vec::new();
    for (n, kind) in [(1, Kind::Cookie), (2, Kind::Bearer), (3, Kind::Rotating)] {
        let (row, token) = session(n, kind, "ada");
        store.insert(row).await.expect("kept");
        let secret = match &token {
            Token::Cookie(it) | Token::Bearer(it) => it.secret.clone(),
            Token::Rotating(it) => match store.refresh(ask(it, 1, 1)).await {
                Ok(Refreshed::Granted(link)) => link.t,
                other => panic!("{other:?}"),
            },
        };
        secrets.push((secret, token.expose()));
    }
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(dir.path()).expect("readable") {
        let path = entry.expect("an entry").path();
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &path.metadata().expect("metadata").permissions(),
        );
        assert_eq!(mode & 0o077, 0, "{} is open to others", path.display());
        bytes.extend(std::fs::read(path).expect("readable"));
    }
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|it| it == needle);
    assert!(holds(b"ada"), "the search finds what is there");
    for (secret, text) in secrets {
        assert!(!holds(secret.expose()) && !holds(text.as_bytes()));
    }
}

#[tokio::test]
async fn what_is_replaced_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let (old, old_token) = session(1, Kind::Cookie, "ada");
    let (new, new_token) = session(2, Kind::Cookie, "ada");
    let replaced = old.id;
    store.insert(old).await.expect("kept");
    let before = count(&store);
    store.insert(new).await.expect("kept");
    let scope = Scope::One(replaced);
    let revoked = store.revoke(scope, Why::Replaced, at(0).now_ms).await;
    assert_eq!(revoked.expect("kept").ended, 1);
    assert_eq!(
        verdict(&store, &old_token, at(0)).await,
        Verdict::Invalid(Refusal::Ended(Why::Replaced))
    );
    assert!(signed_in(&store, &new_token).await);
    assert!(count(&store) > before, "caches learn of it");
}

#[tokio::test]
async fn revocations() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let other_process = opened(dir.path());
    let mut tokens = Vec::new();
    let mut ids = Vec::new();
    for (n, name) in [(1, "ada"), (2, "ada"), (3, "ada"), (4, "bob")] {
        let (row, token) = session(n, Kind::Cookie, name);
        ids.push(row.id);
        store.insert(row).await.expect("kept");
        tokens.push(token);
    }
    let others = Scope::Others {
        user: user("ada"),
        realm: session::Realm::default(),
        keep: ids[0],
    };
    for (scope, living) in [
        (Scope::One(ids[1]), [true, false, true, true]),
        (others, [true, false, false, true]),
        (Scope::User(user("ada")), [false, false, false, true]),
    ] {
        let before = count(&other_process);
        let done = store
            .revoke(scope.clone(), Why::Revoked, NOW_MS)
            .await
            .expect("acknowledged");
        assert_eq!(done.ended, 1, "{scope:?} ends one that was alive");
        assert_eq!(
            count(&other_process),
            done.count,
            "other processes see the count at once"
        );
        assert!(done.count > before);
        for (token, living) in tokens.iter().zip(living) {
            assert_eq!(signed_in(&other_process, token).await, living, "{scope:?}");
        }
    }
    let again = store
        .revoke(Scope::One(ids[1]), Why::SignedOut, NOW_MS)
        .await
        .expect("acknowledged");
    assert_eq!(again.ended, 0, "already so");
    assert_eq!(
        verdict(&store, &tokens[1], at(0)).await,
        Verdict::Invalid(Refusal::Ended(Why::Revoked))
    );
    let living = listed(&store, None).await;
    assert_eq!(
        living.iter().map(|it| it.user.as_str()).collect::<Vec<_>>(),
        ["bob"]
    );
    assert_eq!(listed(&store, Some("ada")).await, []);
}

fn ask(token: &Link, ci: u8, draw: u8) -> RefreshAsk {
    let a = Hidden::new(hash(&[token.t.expose().as_slice(), &[ci]].concat()));
    RefreshAsk {
        ask: Refresh {
            token: token.clone(),
            a,
            r: [draw; 16],
        },
        context: format!("client {ci}"),
        policy: Policy::default(),
        time: at(0),
        realm: session::Realm::default(),
        traffic: session::Traffic::Active,
    }
}

/// Guesses cost the disk nothing.
#[tokio::test]
async fn a_refresh_that_is_refused_writes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let (row, Token::Rotating(first)) = session(1, Kind::Rotating, "ada") else {
        panic!("rotating")
    };
    store.insert(row).await.expect("kept");
    let db = rusqlite::Connection::open(dir.path().join("sessions.db")).expect("opens");
    // Another number after each commit of somebody else that changed something.
    let version = || -> i64 {
        let read = db.query_row("PRAGMA data_version", [], |line| line.get(0));
        read.expect("a number")
    };
    let before = version();
    let (_, Token::Rotating(stranger)) = session(9, Kind::Rotating, "eve") else {
        panic!("rotating")
    };
    let forged = Link {
        tag: Hidden::new([0; 32]),
        ..first.clone()
    };
    for token in [&stranger, &forged] {
        let later = RefreshAsk {
            time: at(60_000),
            ..ask(token, 1, 1)
        };
        let said = store.refresh(later).await;
        assert!(matches!(said, Ok(Refreshed::Refused(_))), "{said:?}");
    }
    assert_eq!(version(), before);
    granted(&store, &first, 1, 1).await;
    assert_ne!(version(), before);
}

async fn granted(store: &Sqlite, token: &Link, ci: u8, draw: u8) -> Link {
    match store.refresh(ask(token, ci, draw)).await {
        Ok(Refreshed::Granted(link)) => link,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn refreshes_are_durable_and_can_be_repeated() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let (row, Token::Rotating(first)) = session(1, Kind::Rotating, "ada") else {
        panic!("rotating")
    };
    store.insert(row).await.expect("kept");
    let mut links = vec![first];
    for draw in 1..10 {
        let last = links.last().expect("a link").clone();
        // Two tabs at once, and once more after a restart: the same child.
        let (one, two) = tokio::join!(
            granted(&store, &last, 1, draw),
            granted(&store, &last, 1, draw + 100)
        );
        assert_eq!(one, two);
        assert_eq!(granted(&opened(dir.path()), &last, 1, 200).await, one);
        links.push(one);
    }
    let back = links.len() - 5;
    assert_eq!(
        granted(&store, &links[back], 1, 77).await,
        links[back + 1],
        "storage from four generations ago"
    );
    let foreign = Link {
        tag: Hidden::new([0; 32]),
        ..links[9].clone()
    };
    assert_eq!(
        store.refresh(ask(&foreign, 1, 1)).await,
        Ok(Refreshed::Refused(Refusal::Malformed))
    );
    assert!(
        signed_in(&store, &Token::Rotating(links[9].clone())).await,
        "the session lives"
    );
}

#[tokio::test]
async fn a_page_that_is_only_open_refreshes_and_renews_no_idle_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let (row, Token::Rotating(first)) = session(1, Kind::Rotating, "ada") else {
        panic!("rotating")
    };
    store.insert(row).await.expect("kept");
    let asked = |traffic| RefreshAsk {
        time: at(100_000),
        traffic,
        ..ask(&first, 1, 1)
    };
    // The second is a repeat: its row is written in another place.
    for (traffic, seen_ms) in [
        (Traffic::Passive, at(0).now_ms),
        (Traffic::Passive, at(0).now_ms),
        (Traffic::Active, at(100_000).now_ms),
    ] {
        let granted = store.refresh(asked(traffic)).await;
        assert!(matches!(granted, Ok(Refreshed::Granted(_))), "{granted:?}");
        let Answer::Row(row) = store.find(&Token::Rotating(first.clone())).await else {
            panic!("a row")
        };
        assert_eq!(row.seen_ms, seen_ms, "{traffic:?}");
    }
}

#[tokio::test]
async fn theft_ends_the_session_and_is_recorded() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let (row, Token::Rotating(first)) = session(1, Kind::Rotating, "ada") else {
        panic!("rotating")
    };
    let (id, token) = (row.id, Token::Rotating(first.clone()));
    store.insert(row).await.expect("kept");
    let stolen = granted(&store, &first, 2, 1).await;
    let before = count(&store);
    let theft = Refreshed::Refused(Refusal::Ended(Why::Theft));
    assert_eq!(store.refresh(ask(&first, 1, 2)).await, Ok(theft.clone()));
    assert!(count(&store) > before);
    assert_eq!(
        store.refresh(ask(&stolen, 2, 3)).await,
        Ok(theft),
        "the thief too"
    );
    let Answer::Row(row) = store.find(&token).await else {
        panic!("a row")
    };
    let ended = row.ended.expect("ended");
    assert_eq!(
        (row.id, row.context.as_str(), ended.other.as_deref()),
        (id, "client 2", Some("client 1"))
    );
}

#[tokio::test]
async fn a_store_from_a_backup_is_unknown_not_theft() {
    let dir = tempfile::tempdir().expect("a directory");
    let (row, Token::Rotating(first)) = session(1, Kind::Rotating, "ada") else {
        panic!("rotating")
    };
    let store = opened(dir.path());
    store.insert(row.clone()).await.expect("kept");
    let mut last = first;
    for draw in 1..4 {
        last = granted(&store, &last, 1, draw).await;
    }
    let restored = tempfile::tempdir().expect("a directory");
    let old = opened(restored.path());
    old.insert(row).await.expect("kept");
    assert_eq!(
        old.refresh(ask(&last, 1, 9)).await,
        Ok(Refreshed::Unknown(Unsure::StoreBehind))
    );
    assert_eq!(
        verdict(&old, &Token::Rotating(last), at(0)).await,
        Verdict::Unknown(Unsure::StoreBehind)
    );
}

#[tokio::test]
async fn the_sweep_comes_seven_days_late() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let policy = Policy::default();
    let (row, token) = session(1, Kind::Cookie, "ada");
    store.insert(row).await.expect("kept");
    let (ended, _) = session(2, Kind::Cookie, "ada");
    let id = ended.id;
    store.insert(ended).await.expect("kept");
    store
        .revoke(Scope::One(id), Why::SignedOut, NOW_MS)
        .await
        .expect("acknowledged");
    let swept = |ms: u64| sweep(policy, at(ms)).expect("the clocks agree");
    assert_eq!(store.sweep(swept(SWEEP_LATE_MS)).await, Ok(0));
    assert_eq!(
        store.sweep(swept(SWEEP_LATE_MS + 1)).await,
        Ok(1),
        "the one that was ended"
    );
    let idle = policy.idle_ms + policy.leeway_ms;
    assert_eq!(store.sweep(swept(idle + SWEEP_LATE_MS)).await, Ok(0));
    assert!(matches!(
        verdict(&store, &token, at(idle + 1)).await,
        Verdict::Invalid(Refusal::Idle)
    ));
    assert_eq!(store.sweep(swept(idle + SWEEP_LATE_MS + 1)).await, Ok(1));
    drop(store);
    let (row, _) = session(3, Kind::Cookie, "ada");
    opened(dir.path())
        .insert(row)
        .await
        .expect("a swept store is not taken for one that lost its sessions");
}

#[tokio::test]
async fn a_user_of_one_realm_is_nobody_in_another() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let forum = session::Realm::parse("forum").expect("a name");
    let (mut there, there_token) = session(1, Kind::Cookie, "1");
    let (here, here_token) = session(2, Kind::Cookie, "1");
    let (mut chain, chain_token) = session(3, Kind::Rotating, "1");
    there.realm = forum.clone();
    chain.realm = forum.clone();
    for row in [&there, &here, &chain] {
        store.insert(row.clone()).await.expect("kept");
    }
    assert_eq!(
        store.find(&there_token).await,
        Answer::Row(Box::new(there.clone()))
    );
    let Token::Rotating(link) = &chain_token else {
        panic!("rotating")
    };
    let refused = Refreshed::Refused(Refusal::OtherRealm);
    assert_eq!(store.refresh(ask(link, 1, 1)).await, Ok(refused));
    let own = RefreshAsk {
        realm: forum.clone(),
        ..ask(link, 1, 1)
    };
    assert!(matches!(
        store.refresh(own).await,
        Ok(Refreshed::Granted(_))
    ));
    let within = Scope::Within {
        user: user("1"),
        realm: forum,
    };
    let done = store.revoke(within, Why::SignedOut, NOW_MS).await;
    assert_eq!(done.expect("acknowledged").ended, 2);
    assert!(signed_in(&store, &here_token).await);
    let done = store
        .revoke(Scope::User(user("1")), Why::Revoked, NOW_MS)
        .await;
    assert_eq!(done.expect("acknowledged").ended, 1);
}

#[tokio::test]
async fn rows_from_before_there_were_realms_are_of_the_nameless_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let (row, token) = session(1, Kind::Cookie, "ada");
    opened(dir.path()).insert(row).await.expect("kept");
    rusqlite::Connection::open(dir.path().join("sessions.db"))
        .expect("opens")
        .execute_batch("ALTER TABLE session DROP COLUMN realm; PRAGMA user_version = 2;")
        .expect("as it was");
    let store = opened(dir.path());
    assert!(signed_in(&store, &token).await, "nobody is signed out");
    let living = listed(&store, None).await;
    assert_eq!(living[0].realm, session::Realm::default());
}

#[tokio::test]
async fn accounts_end_their_sessions() {
    let dir = tempfile::tempdir().expect("a directory");
    kit::accounts_end_their_sessions(&opened(dir.path())).await;
}

#[tokio::test]
async fn a_list_comes_in_pages_and_is_read_on_another_thread() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    kit::a_list_comes_in_pages(&store).await;
    // Whoever asks could do something else meanwhile. Not at each time, where the other thread is quick.
    let mut waited = false;
    for _ in 0..1000 {
        // Or tokio would make it wait, who lets nobody do too much in one go.
        tokio::task::yield_now().await;
        let mut list = Box::pin(store.list(listing(None)));
        waited |= std::future::poll_fn(|context| {
            std::task::Poll::Ready(list.as_mut().poll(context).is_pending())
        })
        .await;
        if waited {
            break;
        }
    }
    assert!(waited, "it was read on the thread that asked");
}
