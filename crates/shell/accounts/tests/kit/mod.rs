//! What the tests of accounts share.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod http;

use accounts::{Accounts, Caller, Opened};
use routes::Sessions;
use session::cookie::Channel;
use session::{Kind, Traffic, UserId, Verdict};
use std::future::Future;
use std::path::Path;
use std::time::Duration;

pub(crate) const ORIGIN: &str = "http://localhost:8000";

pub(crate) fn config(dir: &Path) -> Sessions {
    Sessions {
        store: format!("sqlite:{}", dir.display()),
        state_dir: dir.display().to_string(),
        origins: vec!["https://app.example".into()],
        ..Sessions::default()
    }
}

pub(crate) async fn worker(config: &Sessions) -> Accounts {
    Accounts::open(config).await.expect("a sound configuration")
}

pub(crate) fn caller() -> Caller {
    Caller {
        address: "127.0.0.1".into(),
        agent: "Firefox".into(),
        channel: Channel::LoopbackHttp,
        origin: ORIGIN.into(),
        realm: session::Realm::default(),
        fresh: false,
    }
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user id")
}

pub(crate) async fn signed_in(accounts: &Accounts, name: &str, kind: Kind) -> Opened {
    let opened = accounts.sign_in(user(name), kind, &caller()).await;
    opened.expect("kept")
}

pub(crate) async fn verdict(accounts: &Accounts, token: &str) -> Verdict {
    accounts.verify(token, Traffic::Active, false).await
}

/// What must come gets so long, a question that is never answered included.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a condition is looked at: it may be one that only time brings, so whoever waits leaves the core to others.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until it says so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let mut look = tokio::time::interval(LOOK);
    let said = async {
        while !check().await {
            look.tick().await;
        }
    };
    let late = |_| panic!("not within {PATIENCE:?}: {what}");
    tokio::time::timeout(PATIENCE, said)
        .await
        .unwrap_or_else(late);
}
