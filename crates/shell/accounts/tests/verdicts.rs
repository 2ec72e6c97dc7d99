//! Verdicts of gateway workers over one store: what is cached, what ends, what is unknown.
#![allow(missing_docs, reason = "a test")]

mod kit;

use accounts::Accounts;
use kit::{caller, config, signed_in, until, user, verdict, worker};
use session::revoke::Scope;
use session::{Alarm, Kind, Realm, Refusal, Token, Traffic, Unsure, Verdict, Why};
use std::fs;

fn valid(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Valid(_))
}

#[tokio::test]
async fn what_is_recalled_without_the_store_is_valid_and_ends_with_the_next_revocation() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = config(dir.path());
    let (one, two) = (worker(&config).await, worker(&config).await);
    for kind in [Kind::Cookie, Kind::Bearer] {
        let ada = signed_in(&one, "ada", kind).await;
        let bob = signed_in(&one, "bob", kind).await;
        let recalled = |token: &Token| two.recalled(token, &Realm::default(), Traffic::Active);
        assert_eq!(recalled(&ada.token), None, "not seen yet");
        for opened in [&ada, &bob] {
            assert!(valid(&verdict(&two, &opened.token.expose()).await));
        }
        let (admission, count) = recalled(&ada.token).expect("seen");
        assert_eq!(
            (admission.session, admission.user),
            (ada.session, user("ada"))
        );
        assert_eq!(count, two.revocations());
        let (admission, _) = recalled(&bob.token).expect("seen");
        assert_eq!(admission.user, user("bob"));
        let other = Realm::parse("staff").expect("a realm");
        assert_eq!(two.recalled(&ada.token, &other, Traffic::Active), None);
        // The same secret as another kind, and in the name of another store, is another token.
        let (Token::Cookie(own) | Token::Bearer(own)) = ada.token.clone() else {
            panic!("{kind:?}");
        };
        let other = match kind {
            Kind::Cookie => Token::Bearer(own.clone()),
            Kind::Bearer | Kind::Rotating => Token::Cookie(own.clone()),
        };
        assert_eq!(recalled(&other), None);
        let mut foreign = own;
        foreign.store.0[0] ^= 1;
        assert_eq!(recalled(&Token::Cookie(foreign)), None);
        // Somebody else's end makes it ask once; its own ends it.
        let scope = Scope::One(bob.session);
        one.sign_out(scope, Why::SignedOut).await.expect("kept");
        assert_eq!((recalled(&ada.token), recalled(&bob.token)), (None, None));
        assert!(valid(&verdict(&two, &ada.token.expose()).await));
        assert!(recalled(&ada.token).is_some());
        assert!(!valid(&verdict(&two, &bob.token.expose()).await));
        assert_eq!(recalled(&bob.token), None);
    }
    let chain = signed_in(&one, "ada", Kind::Rotating).await;
    assert!(valid(&verdict(&two, &chain.token.expose()).await));
    assert_eq!(
        two.recalled(&chain.token, &Realm::default(), Traffic::Active),
        None,
        "a chain changes"
    );
}

#[tokio::test]
async fn a_sign_out_in_one_worker_ends_it_in_the_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = config(dir.path());
    let (one, two) = (worker(&config).await, worker(&config).await);
    for kind in [Kind::Cookie, Kind::Bearer, Kind::Rotating] {
        let opened = signed_in(&one, "ada", kind).await;
        let text = opened.token.expose();
        for worker in [&one, &two, &two] {
            let Verdict::Valid(admission) = verdict(worker, &text).await else {
                panic!("{kind:?}: signed in");
            };
            assert_eq!(admission.session, opened.session);
            assert_eq!(admission.user, user("ada"));
        }
        let mut news = two.ended();
        let before = *news.borrow_and_update();
        one.sign_out(Scope::One(opened.session), Why::SignedOut)
            .await
            .expect("kept");
        let ended = Verdict::Invalid(Refusal::Ended(Why::SignedOut));
        assert_eq!(verdict(&two, &text).await, ended, "{kind:?}");
        assert_eq!(verdict(&one, &text).await, ended, "{kind:?}");
        news.changed().await.expect("news");
        assert!(*news.borrow() > before);
        assert!(two.over(opened.session).await);
    }
}

#[tokio::test]
async fn a_new_sign_in_has_a_new_id_and_ends_the_one_that_was_sent() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = worker(&config(dir.path())).await;
    let old = signed_in(&accounts, "ada", Kind::Cookie).await;
    let new = accounts
        .sign_in(user("ada"), Kind::Cookie, &caller())
        .await
        .expect("kept");
    drop(accounts.replaced(Some(old.session)));
    assert_ne!(
        (old.session, old.token.expose()),
        (new.session, new.token.expose())
    );
    let replaced = Verdict::Invalid(Refusal::Ended(Why::Replaced));
    until("the old one ends", async || {
        verdict(&accounts, &old.token.expose()).await == replaced
    })
    .await;
    assert!(valid(&verdict(&accounts, &new.token.expose()).await));
}

#[tokio::test]
async fn a_request_that_waited_is_looked_at_again_for_revocation_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = worker(&config(dir.path())).await;
    let (ada, bob) = (
        signed_in(&accounts, "ada", Kind::Cookie).await,
        signed_in(&accounts, "bob", Kind::Cookie).await,
    );
    let admitted = accounts.revocations();
    let Verdict::Valid(a) = verdict(&accounts, &ada.token.expose()).await else {
        panic!("ada is signed in");
    };
    let Verdict::Valid(b) = verdict(&accounts, &bob.token.expose()).await else {
        panic!("bob is signed in");
    };
    accounts
        .sign_out(Scope::User(user("bob")), Why::Revoked)
        .await
        .expect("kept");
    assert!(valid(&accounts.still(a, admitted, true).await));
    let ended = Verdict::Invalid(Refusal::Ended(Why::Revoked));
    assert_eq!(accounts.still(b, admitted, false).await, ended);
}

#[tokio::test]
async fn a_store_that_goes_away_signs_nobody_out_and_comes_back_by_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = config(dir.path());
    let accounts = worker(&config).await;
    let seen = signed_in(&accounts, "ada", Kind::Cookie)
        .await
        .token
        .expose();
    let unseen = signed_in(&accounts, "bob", Kind::Cookie)
        .await
        .token
        .expose();
    assert!(valid(&verdict(&accounts, &seen).await));

    let aside = tempfile::tempdir().expect("a directory");
    let files: Vec<_> = fs::read_dir(dir.path())
        .expect("read")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().starts_with("sessions.db"))
        .collect();
    for name in &files {
        fs::rename(dir.path().join(name), aside.path().join(name)).expect("moved away");
    }
    assert!(valid(&verdict(&accounts, &seen).await), "it is cached");
    assert!(
        valid(&verdict(&accounts, &unseen).await),
        "the open file still says so"
    );
    let missing = Verdict::Unknown(Unsure::Distrusted(Alarm::Missing));
    let kept = accounts.sign_in(user("eve"), Kind::Cookie, &caller()).await;
    assert!(kept.is_err(), "what cannot be kept is not granted");

    let kind = |of: &Accounts| of.troubles().borrow().as_ref().map(|trouble| trouble.kind);
    until("operators are told", async || {
        kind(&accounts) == Some("missing")
    })
    .await;

    // A worker that starts now finds nothing to believe.
    let late = worker(&config).await;
    assert_eq!(kind(&late), Some("missing"));
    assert_eq!(verdict(&late, &seen).await, missing);
    assert!(late.trouble().expect("an alarm").contains("forget-store"));

    for name in &files {
        fs::rename(aside.path().join(name), dir.path().join(name)).expect("moved back");
    }
    assert!(valid(&verdict(&accounts, &unseen).await));
    until("the late worker opens", || async {
        valid(&verdict(&late, &seen).await)
    })
    .await;
    let again = accounts.sign_in(user("eve"), Kind::Cookie, &caller()).await;
    assert!(again.is_ok(), "the writer opens the file again");
    for gateway in [&accounts, &late] {
        until("it is told", async || kind(gateway).is_none()).await;
    }
}

#[tokio::test]
async fn a_new_store_in_place_of_the_old_one_is_told_until_it_is_back_or_forgotten() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = config(dir.path());
    let accounts = worker(&config).await;
    let token = signed_in(&accounts, "ada", Kind::Cookie)
        .await
        .token
        .expose();
    for entry in fs::read_dir(dir.path()).expect("read") {
        fs::remove_file(entry.expect("an entry").path()).expect("removed");
    }
    // The marker as well: nothing on the disk says that there ever was another one.
    let kind = || {
        accounts
            .troubles()
            .borrow()
            .as_ref()
            .map(|trouble| trouble.kind)
    };
    until("operators are told", async || kind() == Some("foreign")).await;
    let text = accounts.trouble().expect("trouble");
    assert!(
        text.contains("sessions.db is another store than before (store "),
        "{text}"
    );
    assert!(matches!(
        verdict(&accounts, &token).await,
        Verdict::Unknown(_)
    ));
    Accounts::forget(&config).await.expect("forgotten");
    until("it is over", async || kind().is_none()).await;
    until("people sign in again", async || {
        matches!(verdict(&accounts, &token).await, Verdict::Invalid(_))
    })
    .await;
}

#[tokio::test]
async fn a_copy_put_in_its_place_is_read_and_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = worker(&config(dir.path())).await;
    let before = signed_in(&accounts, "ada", Kind::Cookie)
        .await
        .token
        .expose();
    let copy = dir.path().join("copy");
    rusqlite::Connection::open(dir.path().join("sessions.db"))
        .and_then(|db| db.execute("VACUUM INTO ?1", [copy.to_str()]))
        .expect("copied");
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(dir.path().join(format!("sessions.db{suffix}")));
    }
    fs::rename(&copy, dir.path().join("sessions.db")).expect("put in its place");
    assert!(valid(&verdict(&accounts, &before).await));
    let after = signed_in(&accounts, "bob", Kind::Cookie)
        .await
        .token
        .expose();
    assert!(valid(&verdict(&accounts, &after).await));
    let other = worker(&config(dir.path())).await;
    assert!(
        valid(&verdict(&other, &after).await),
        "it was written into the copy"
    );
}

#[tokio::test]
async fn only_a_well_formed_token_of_another_store_is_unknown_and_after_forgetting_it_is_invalid() {
    let (here, there) = (
        tempfile::tempdir().expect("a directory"),
        tempfile::tempdir().expect("a directory"),
    );
    let config = config(here.path());
    let accounts = worker(&config).await;
    let own = signed_in(&accounts, "ada", Kind::Bearer)
        .await
        .token
        .expose();
    let other = worker(&kit::config(there.path())).await;
    let foreign = signed_in(&other, "ada", Kind::Bearer).await.token.expose();

    for text in [
        "",
        "x",
        "sf1.b",
        &own[..own.len() - 1],
        &own[1..],
        &"a".repeat(5000),
    ] {
        let said = verdict(&accounts, text).await;
        assert_eq!(said, Verdict::Invalid(Refusal::Malformed), "{text}");
    }
    let Some(Token::Bearer(mut parts)) = Token::parse(&own) else {
        panic!("a bearer token");
    };
    parts.secret = session::Hidden::new([7; 32]);
    let unknown = Token::Bearer(parts).expose();
    assert_eq!(
        verdict(&accounts, &unknown).await,
        Verdict::Invalid(Refusal::NotFound)
    );
    assert_eq!(
        verdict(&accounts, &foreign).await,
        Verdict::Unknown(Unsure::ForeignStore)
    );
    accounts::Accounts::forget(&config)
        .await
        .expect("forgotten");
    kit::until("the word about other stores", async || {
        verdict(&accounts, &foreign).await == Verdict::Invalid(Refusal::ForgottenStore)
    })
    .await;
    assert!(valid(&verdict(&accounts, &own).await), "ours go on");
}

fn database(dir: &std::path::Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("sessions.db")).expect("opens")
}

#[tokio::test]
async fn a_sign_in_that_nobody_waited_for_leaves_the_old_session() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = worker(&config(dir.path())).await;
    let old = signed_in(&accounts, "ada", Kind::Cookie).await;
    // Another process writes for a while.
    let other = database(dir.path());
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let caller = caller();
    let asked = async {
        let opened = accounts.sign_in(user("ada"), Kind::Cookie, &caller).await;
        drop(opened.map(|_| accounts.replaced(Some(old.session))));
    };
    let late = tokio::time::timeout(std::time::Duration::from_millis(50), asked).await;
    assert!(late.is_err(), "it was told unknown");
    other.execute_batch("COMMIT").expect("released");
    until("the write went on", async || {
        let sql = "SELECT count(*) FROM session WHERE user = 'ada'";
        let sessions: i64 = other.query_row(sql, [], |row| row.get(0)).expect("counted");
        sessions == 2
    })
    .await;
    // Whatever else the writer had is done when this is.
    signed_in(&accounts, "bob", Kind::Cookie).await;
    assert!(valid(&verdict(&accounts, &old.token.expose()).await));
}

#[tokio::test]
async fn a_store_that_was_emptied_or_replaced_in_place_signs_nobody_out() {
    let foreign = "UPDATE meta SET value = x'0102030405060708' WHERE name = 'id';";
    for (sql, alarm) in [
        ("DELETE FROM session;".to_owned(), Alarm::Empty),
        (format!("DELETE FROM session; {foreign}"), Alarm::Foreign),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let config = config(dir.path());
        let (one, two) = (worker(&config).await, worker(&config).await);
        let ada = signed_in(&one, "ada", Kind::Cookie).await;
        // One worker remembers her, the other has never seen her.
        assert!(valid(&verdict(&one, &ada.token.expose()).await));
        database(dir.path()).execute_batch(&sql).expect("runs");
        let unknown = Verdict::Unknown(Unsure::Distrusted(alarm));
        let said = verdict(&two, &ada.token.expose()).await;
        let distrusted = matches!(said, Verdict::Unknown(Unsure::Distrusted(_)));
        assert!(distrusted, "{said:?}");
        for accounts in [&one, &two] {
            until("the alarm is told", async || accounts.trouble().is_some()).await;
            assert_eq!(verdict(accounts, &ada.token.expose()).await, unknown);
        }
    }
}
