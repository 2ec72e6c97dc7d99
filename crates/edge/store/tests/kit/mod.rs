//! What the tests of the store share.
#![allow(dead_code, reason = "each test file uses its part")]

use session::judge::open;
use session::token::StoreId;
use session::{
    Entropy, Expiry, Hidden, Kind, Policy, Row, Time, Token, Traffic, UserId, Verdict, hash, judge,
    judge_chain,
};
use std::path::Path;
use store::{Sqlite, Store, UserChange};

pub(crate) const ID: StoreId = StoreId(*b"store..1");
pub(crate) const OTHER: StoreId = StoreId(*b"store..2");
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

pub(crate) fn at(ms: u64) -> Time {
    Time {
        now_ms: NOW_MS + ms,
        expiry: Expiry::Runs,
    }
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user id")
}

/// Session number n of this user.
pub(crate) fn session(n: u32, kind: Kind, name: &str) -> (Row, Token) {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&n.to_be_bytes());
    let bytes = |label: u8| Hidden::new(hash(&[&n.to_be_bytes()[..], &[label]].concat()));
    open(
        ID,
        kind,
        user(name),
        Entropy {
            id,
            secret: bytes(1),
            key: bytes(2),
        },
        "10.0.0.1 Firefox",
        at(0),
    )
}

pub(crate) fn opened(dir: &Path) -> Sqlite {
    Sqlite::open(dir, ID).expect("the store opens")
}

/// The verdict of the store about this token at this time.
pub(crate) async fn verdict(store: &impl Store, token: &Token, time: Time) -> Verdict {
    let answer = store.find(token).await;
    let (found, policy) = (answer.found(), Policy::default());
    match token {
        Token::Cookie(it) => judge(it, Kind::Cookie, found, policy, time, Traffic::Active),
        Token::Bearer(it) => judge(it, Kind::Bearer, found, policy, time, Traffic::Active),
        Token::Rotating(it) => judge_chain(it, found, policy, time, Traffic::Active),
    }
}

pub(crate) async fn signed_in(store: &impl Store, token: &Token) -> bool {
    matches!(verdict(store, token, at(0)).await, Verdict::Valid(_))
}

/// A changed password and an account that is disabled or removed end the sessions of that user, whatever their realm, and of
/// nobody else.
pub(crate) async fn accounts_end_their_sessions(store: &impl Store) {
    let change = |name: &str, change| store.change_user(user(name), change, NOW_MS);
    let hash = |text: &str| text.to_owned();
    for (name, n) in [("ada", 90), ("eve", 91)] {
        let add = UserChange::Add { hash: hash("one") };
        assert_eq!(change(name, add.clone()).await, Ok(true));
        assert_eq!(change(name, add).await, Ok(false), "there already");
        let (row, _) = session(n, Kind::Cookie, name);
        store.insert(row).await.expect("kept");
    }
    let mut forum = session(92, Kind::Bearer, "ada").0;
    forum.realm = session::Realm::parse("forum").expect("a realm");
    store.insert(forum).await.expect("kept");
    let living = async || {
        let all = store.list(None).await.expect("a list");
        let mut all: Vec<u8> = all.iter().map(|it| it.id.0[3]).collect();
        all.retain(|n| (90..100).contains(n));
        all.sort_unstable();
        all
    };
    let (old, new) = (hash("one"), hash("two"));
    assert_eq!(
        change("ada", UserChange::Rehash { old, new }).await,
        Ok(true)
    );
    assert_eq!(living().await, [90, 91, 92], "the password is the same");
    let password = UserChange::Password {
        hash: hash("three"),
    };
    assert_eq!(change("ada", password).await, Ok(true));
    assert_eq!(living().await, [91]);
    let (row, _) = session(93, Kind::Cookie, "ada");
    store.insert(row).await.expect("kept");
    assert_eq!(change("ada", UserChange::Disable).await, Ok(true));
    assert_eq!(living().await, [91]);
    assert_eq!(change("nobody", UserChange::Disable).await, Ok(false));
    assert_eq!(change("ada", UserChange::Enable).await, Ok(true));
    let ada = store
        .user(&user("ada"))
        .await
        .expect("read")
        .expect("there");
    assert_eq!((ada.hash.as_str(), ada.disabled), ("three", false));
    let (row, _) = session(94, Kind::Cookie, "ada");
    store.insert(row).await.expect("kept");
    assert_eq!(change("ada", UserChange::Remove).await, Ok(true));
    assert_eq!(living().await, [91]);
    assert_eq!(store.user(&user("ada")).await, Ok(None));
    assert_eq!(change("ada", UserChange::Remove).await, Ok(false), "gone");
    let add = UserChange::Add { hash: hash("four") };
    assert_eq!(change("ada", add).await, Ok(true), "the name is free");
}
