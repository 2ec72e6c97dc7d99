//! What the tests of the store share.
#![allow(dead_code, reason = "each test file uses its part")]

use session::judge::open;
use session::token::StoreId;
use session::{
    Entropy, Expiry, Hidden, Kind, Policy, Row, Time, Token, Traffic, UserId, Verdict, hash, judge,
    judge_chain,
};
use std::path::Path;
use store::{Answer, Sqlite, Store as _};

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
pub(crate) async fn verdict(store: &Sqlite, token: &Token, time: Time) -> Verdict {
    let answer: Answer = store.find(token).await;
    let (found, policy) = (answer.found(), Policy::default());
    match token {
        Token::Cookie(it) => judge(it, Kind::Cookie, found, policy, time, Traffic::Active),
        Token::Bearer(it) => judge(it, Kind::Bearer, found, policy, time, Traffic::Active),
        Token::Rotating(it) => judge_chain(it, found, policy, time, Traffic::Active),
    }
}

pub(crate) async fn signed_in(store: &Sqlite, token: &Token) -> bool {
    matches!(verdict(store, token, at(0)).await, Verdict::Valid(_))
}
