//! What the tests of the store share.
#![allow(dead_code, reason = "each test file uses its part")]

use session::judge::open;
use session::revoke::Scope;
use session::token::StoreId;
use session::{
    Entropy, Expiry, Hidden, Kind, Policy, Realm, Row, Time, Token, Traffic, UserId, Verdict, Why,
    hash, judge, judge_chain,
};
use std::path::Path;
use store::{Listed, Listing, Sqlite, Store, UserChange};

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

/// All living sessions of this user in the nameless realm, or everybody's, on one page.
pub(crate) fn listing(name: Option<&str>) -> Listing {
    Listing {
        of: name.map(|name| (user(name), Realm::default())),
        created_from_ms: 0,
        seen_from_ms: 0,
        after: None,
        rows_max: 10_000,
    }
}

pub(crate) async fn listed(store: &impl Store, name: Option<&str>) -> Vec<Listed> {
    let page = store.list(listing(name)).await.expect("a list");
    assert_eq!(page.next, None);
    page.sessions
}

/// Each page of at most `rows_max`, to the end.
async fn pages(store: &impl Store, mut listing: Listing) -> Vec<Vec<Listed>> {
    let mut all = Vec::new();
    loop {
        let page = store.list(listing.clone()).await.expect("a page");
        all.push(page.sessions);
        match page.next {
            None => return all,
            next => listing.after = next,
        }
    }
}

/// A list is whole, in its order and of nobody else, however many pages it has.
pub(crate) async fn a_list_comes_in_pages(store: &impl Store) {
    let forum = Realm::parse("forum").expect("a realm");
    for n in 0..16 {
        let (mut row, _) = session(n, Kind::Cookie, "ada");
        // Some were last seen in the same millisecond.
        row.seen_ms += u64::from(n % 5);
        match n {
            12 => row.realm = forum.clone(),
            13 => row.user = user("eve"),
            14 => row.created_ms -= 1,
            15 => row.seen_ms = NOW_MS - 1,
            _ => {}
        }
        store.insert(row).await.expect("kept");
    }
    let (ended, _) = session(16, Kind::Cookie, "ada");
    let id = ended.id;
    store.insert(ended).await.expect("kept");
    let done = store.revoke(Scope::One(id), Why::SignedOut, NOW_MS).await;
    assert_eq!(done.expect("acknowledged").ended, 1);
    let asked = |name| Listing {
        created_from_ms: NOW_MS,
        seen_from_ms: NOW_MS,
        rows_max: 5,
        ..listing(name)
    };
    let own = pages(store, asked(Some("ada"))).await;
    let sizes: Vec<usize> = own.iter().map(Vec::len).collect();
    assert_eq!(sizes, [5, 5, 2]);
    let own: Vec<Listed> = own.into_iter().flatten().collect();
    assert!(own.iter().all(|it| it.user == user("ada")));
    let order: Vec<_> = own.iter().map(|it| (it.seen_ms, it.id)).collect();
    assert!(order.is_sorted_by(|a, b| a > b), "newest first: {order:?}");

    let all = pages(store, asked(None)).await;
    let all: Vec<Listed> = all.into_iter().flatten().collect();
    let ids: Vec<u8> = all.iter().map(|it| it.id.0[3]).collect();
    assert_eq!(ids, (0..14).collect::<Vec<u8>>(), "each once");
    let exactly = Listing {
        rows_max: 14,
        ..asked(None)
    };
    assert_eq!(pages(store, exactly).await.len(), 1, "no empty page");
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
        let all = listed(store, None).await;
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
