//! What every store can do.

use crate::error::{Failure, OpenError};
use crate::listing::{Listing, Page};
use crate::users::{User, UserChange};
use session::judge::{Policy, Shelf, Sweep};
use session::revoke::{Line, Scope};
use session::rotating::Refresh;
use session::token::Link;
use session::{
    Alarm, Found, Realm, Refusal, Row, Sid, Time, Token, Touch, Traffic, Unsure, UserId, Why,
};
use std::future::Future;

/// What a store says about a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Its row.
    Row(Box<Row>),
    /// There is none, in a store that can be trusted.
    Nothing,
    /// It did not answer.
    Unreachable(Failure),
    /// What stands there is not to be believed.
    Distrusted(Alarm),
}

impl Answer {
    /// For `session::judge`.
    #[must_use]
    pub fn found(&self) -> Found<'_> {
        match self {
            Self::Row(row) => Found::Row(row),
            Self::Nothing => Found::Nothing,
            Self::Unreachable(_) => Found::Unreachable,
            Self::Distrusted(alarm) => Found::Distrusted(*alarm),
        }
    }
}

/// A refresh of a rotating session.
#[derive(Debug, Clone)]
pub struct RefreshAsk {
    /// Token, `a` and fresh randomness.
    pub ask: Refresh,
    /// Address and agent, as `session::judge::bounded` makes it.
    pub context: String,
    /// Timeouts.
    pub policy: Policy,
    /// Now.
    pub time: Time,
    /// Of the gateway that was asked: a session of another one is none here.
    pub realm: Realm,
    /// Passive: an open page refreshes by itself, and that does not renew idle time.
    pub traffic: Traffic,
}

impl RefreshAsk {
    /// When the session was used last, as far as this refresh can say: a row keeps what is later.
    pub(crate) fn seen_ms(&self) -> u64 {
        match self.traffic {
            Traffic::Active => self.time.now_ms,
            Traffic::Passive => 0,
        }
    }
}

/// What came of it. Whatever it says is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// The successor.
    Granted(Link),
    /// 400 `invalid_grant`. Theft has ended the session.
    Refused(Refusal),
    /// 503.
    Unknown(Unsure),
}

/// What a revocation did. It is acknowledged: nothing verified from now on is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// How many sessions it ended. Which they are is not told: there may be many, and whoever holds one open looks itself.
    pub ended: usize,
    /// Revocations so far.
    pub count: u64,
}

/// A store of sessions. Every write is durable when its future is ready with `Ok`; `Err` says that it is not known
/// whether it was written, and the caller says *unknown* (503): also a sign-in that the program had granted.
pub trait Store: Send + Sync {
    /// Which store this is.
    fn shelf(&self) -> Shelf;

    /// What is known of revocations, to be read before [`Store::find`] and before a cached verdict is used.
    ///
    /// # Errors
    /// Cached verdicts may not be used then.
    fn line(&self) -> Result<Line, Failure>;

    /// Follows files that were put in the place of ours. To be called at least every [`crate::TEND_MS_MAX`] by a process that
    /// keeps verdicts.
    fn tend(&self) {}

    /// Looks a token up. It must name this store.
    fn find(&self, token: &Token) -> impl Future<Output = Answer> + Send;

    /// Looks a session up by its public name.
    fn look(&self, id: Sid) -> impl Future<Output = Answer> + Send;

    /// What the database says about itself now: another store may stand there, or others were forgotten by command.
    ///
    /// # Errors
    /// *Distrusted*: it has lost its sessions, or says nothing that could be believed.
    fn shelf_now(&self) -> impl Future<Output = Result<Shelf, OpenError>> + Send;

    /// Keeps a new session. One that it replaces is ended afterwards ([`Store::revoke`]): whoever asks may be told *unknown*
    /// while the write goes on, and must have his old session then.
    fn insert(&self, row: Row) -> impl Future<Output = Result<(), Failure>> + Send;

    /// One refresh: read, decide, write and commit without anybody in between.
    fn refresh(&self, ask: RefreshAsk) -> impl Future<Output = Result<Refreshed, Failure>> + Send;

    /// Ends sessions; ready when no verification that starts now can still say valid.
    fn revoke(
        &self,
        scope: Scope,
        why: Why,
        at_ms: u64,
    ) -> impl Future<Output = Result<Revoked, Failure>> + Send;

    /// Renews last-seen. Nobody waits for it.
    fn touch(&self, id: Sid, touch: Touch);

    /// Living sessions, a page at a time. On a machine's own store it is read on another thread: a user may have
    /// many, and whoever asks gives verdicts meanwhile.
    fn list(&self, listing: Listing) -> impl Future<Output = Result<Page, Failure>> + Send;

    /// One account, by its name.
    fn user(&self, name: &UserId) -> impl Future<Output = Result<Option<User>, Failure>> + Send;

    /// All accounts by name, at most [`crate::LIST_ROWS_MAX`].
    fn users(&self) -> impl Future<Output = Result<Vec<User>, Failure>> + Send;

    /// Changes one account; with it end the sessions of which [`UserChange::ends`] speaks, as in [`Store::revoke`].
    /// Says whether it was done: there was such a user, or, for a new one, there was none.
    fn change_user(
        &self,
        name: UserId,
        change: UserChange,
        at_ms: u64,
    ) -> impl Future<Output = Result<bool, Failure>> + Send;

    /// A setting that all processes share.
    fn setting(
        &self,
        name: &'static str,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Failure>> + Send;

    /// Sets it, or keeps the one that is there; returns what stands there afterwards.
    fn set_setting(
        &self,
        name: &'static str,
        value: Vec<u8>,
        keep: bool,
    ) -> impl Future<Output = Result<Vec<u8>, Failure>> + Send;

    /// Deletes what is over for a week, at most [`crate::SWEEP_ROWS_MAX`] rows; says how many.
    fn sweep(&self, limits: Sweep) -> impl Future<Output = Result<usize, Failure>> + Send;

    /// The latest time that was stamped, for `session::Clocks::start`. Unix milliseconds; 0: none.
    fn seen_ms(&self) -> u64;
}
