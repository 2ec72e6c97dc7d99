//! Who may pass, and as whom: the sessions' side of a worker.
//!
//! ```text
//!  head ─► admit ──► Pass ──► (waits) ──► look again ──► dispatch ──► program ──► settle ──► client
//!            │ no                             │ revoked     │ JWT with the           │ Sign-In kept,
//!            ▼ 401, 403, 503                  ▼ 401         │ generation's key       ▼ or 503
//! ```
//! A verdict about time is fixed at admission: a request that waits out a restart is not signed out by having waited.
//! The token for the program is made when the request leaves, so that it is fresh and fits the generation that reads
//! it. *Unknown* is a 503 on every way, never a 401. A head that signs somebody in is held back until the session is
//! known to be kept.
//!
//! *Invariant*: nothing here runs, and nothing is allocated, for a request to a listener without sessions that brings
//! no nonce.

pub(crate) mod admit;
pub(crate) mod api;
pub(crate) mod asked;
pub(crate) mod dispatch;
pub(crate) mod forward_auth;
pub(crate) mod marks;
pub(crate) mod page;
pub(crate) mod path;
pub(crate) mod settle;
pub(crate) mod streams;

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use accounts::{Accounts, Caller};
use session::cookie::Channel;
use session::csrf::Forged;
use session::judge::Traffic;
use session::{Admission, Realm, Sid, Token, Unsure, Verdict};
use tokio::sync::Notify;

use crate::door::marks::{Marks, Source};
use crate::door::streams::Open;
use crate::limits::STORE_MS_MAX;

/// What the listeners of a worker share about sessions.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) accounts: Accounts,
    pub(crate) config: routes::Sessions,
    open: RefCell<Vec<Open>>,
    look: Notify,
}

/// The place of a request's path among those that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// A path of the program.
    Plain,
    /// Where people sign in: `Steadfast-Sign-In` counts.
    Login,
    /// Where they sign out.
    Logout,
}

/// What was decided about a request at admission; it stays until its answer.
#[derive(Debug)]
pub(crate) struct Pass {
    /// Signed in, if so.
    pub(crate) admission: Option<Admission>,
    /// Revocations known before the verdict.
    count: u64,
    /// The route wants somebody to be signed in.
    required: bool,
    /// Sessions matter here: `Steadfast-Sign-Out` counts.
    open: bool,
    /// Sessions count here if they began in it.
    realm: Realm,
    /// See [`routes::Route::fresh`].
    fresh: bool,
    way: Way,
    /// Something was awaited since the session was looked at: a place in the queue, a body.
    waited: bool,
    /// A session cookie came, and may be taken away.
    cookie: bool,
    /// It is the cookie's session.
    by_cookie: bool,
    /// The client's Authorization is not for the program.
    drop_authorization: bool,
    /// The client's cookies are looked through for ours.
    clean_cookies: bool,
    /// Why an answer to this request may sign nobody in or out, although its method is safe.
    forged: Option<Forged>,
    channel: Channel,
    /// Only where somebody may sign in.
    caller: Option<Box<Caller>>,
    pub(crate) marks: Marks,
    /// Lines for the client that the answer of the program caused.
    lines: Vec<u8>,
    /// The head of an answer signed somebody in, and the client has not got it yet.
    signed: Option<Signed>,
    /// Session cookies that differ, on the logout path: whoever signs out wants each of them over.
    planted: Vec<Token>,
}

/// A sign-in whose answer is not certain yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed {
    opened: Sid,
    /// What the browser came with: it ends when the answer is certain, for until then it is all that the browser has.
    replaces: Option<Sid>,
}

impl Pass {
    /// Something was awaited: whether the session still lives is not known as it was.
    pub(crate) fn has_waited(&mut self) {
        self.waited = true;
    }

    /// Lines of an answer of ours in the program's place.
    pub(crate) fn gateway_lines(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        self.marks
            .write(&mut lines, Source::Gateway, self.session());
        lines
    }

    /// The session that was recognised.
    pub(crate) fn session(&self) -> Option<Sid> {
        self.admission.as_ref().map(|admission| admission.session)
    }
}

impl Door {
    /// Opens the store.
    ///
    /// # Errors
    /// If the configuration makes no sense.
    pub(crate) async fn open(config: routes::Sessions) -> Result<Door, String> {
        let accounts = Accounts::open(&config).await?;
        Ok(Door {
            accounts,
            config,
            open: RefCell::default(),
            look: Notify::new(),
        })
    }

    /// Revocations that are known now.
    pub(crate) fn count(&self) -> u64 {
        self.accounts.revocations()
    }

    /// The verdict about a token, and the session that it is about; *unknown* if it takes too long.
    pub(crate) async fn verify(
        &self,
        token: &Token,
        realm: &Realm,
        traffic: Traffic,
        fresh: bool,
    ) -> (Verdict, Option<Sid>) {
        let verify = self.accounts.identify(token, realm, traffic, fresh);
        let late = (Verdict::Unknown(Unsure::Unreachable), None);
        in_time(verify).await.unwrap_or(late)
    }
}

/// Whatever is asked of a store has to be answered in time: somebody waits.
pub(crate) async fn in_time<T>(asked: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::from_millis(STORE_MS_MAX), asked)
        .await
        .ok()
}
