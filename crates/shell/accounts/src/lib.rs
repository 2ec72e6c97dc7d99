//! The HTTP API over [`session`] and [`store`]: who is signed in, sign-in and sign-out, users and their passwords.
//!
//! A gateway worker holds one [`Accounts`]. It asks it about the credential of each request, tells it of sign-ins that
//! programs grant, and gives it the requests under the prefix of the API, already read whole.
//!
//! ```text
//!  gateway worker ── verify ──► cache (rows, bounded) ── recall: may it be used? ──► store
//!        │                                                    ▲ count of revocations, read first
//!        ├─ sign_in, sign_out ──► store: durable, then acknowledged
//!        └─ api ──► router ──► CSRF, CORS, RFC 9457 ──► the same calls, and passwords on threads of their own
//! ```
//! *Invariant*: what the store did not say is *unknown* (503), on every path. *Invariant*: a cached verdict is used
//! only as `session::revoke::recall` allows. *Invariant*: passwords are hashed on other threads than verdicts.

mod api;
mod client;
mod code;
mod common;
mod door;
mod field;
mod kept;
mod limits;
mod now;
mod passwords;
mod tend;
mod throttle;
mod together;
mod users;
mod verdicts;

#[cfg(test)]
#[path = "../../../edge/store/tests/kit/server.rs"]
mod server;

use axum::Router;
use door::Door;
use passwords::Pool;
use routes::Sessions;
use session::cookie::Channel;
use session::judge::{Traffic, open};
use session::revoke::Scope;
use session::{
    Admission, Entropy, Hidden, Policy, Realm, Sid, StoreId, Token, Unsure, UserId, Verdict, Why,
};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use store::Store as _;
use throttle::Throttle;

pub use code::Code;
pub use door::Trouble;
pub use session::Kind;
pub use store::Listed;
pub use users::Account;

/// How often the end of a session that was replaced is tried: longer than a writer of another process keeps ours waiting.
const REPLACED_TRIES_MAX: u32 = 5;
const REPLACED_PAUSE: Duration = Duration::from_secs(2);

/// Who asks, as the gateway knows it: never from a header that the client may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Address of the client, a trusted proxy's word included.
    pub address: String,
    /// Its User-Agent, as it was sent.
    pub agent: String,
    /// Which cookie name and attributes apply.
    pub channel: Channel,
    /// The origin that the client sees: `https://app.example`.
    pub origin: String,
    /// Of the gateway that it asks: sessions that begin count there, and those of another one are none.
    pub realm: Realm,
    /// A verdict that nobody can confirm is *unknown* there: also what the API says.
    pub fresh: bool,
}

/// A session that was just opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// For the client, once.
    pub token: Token,
    /// Its public name.
    pub session: Sid,
}

/// An extension of an answer of the API: it opened a session for a client that had one. Whoever writes the answer ends one
/// of them: the old one when the client has the head ([`Accounts::replaced`]), the new one if it has gone before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instead {
    /// The new one.
    pub opened: Sid,
    /// The one that the client came with.
    pub old: Sid,
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct Accounts {
    door: Arc<Door>,
    config: Arc<Sessions>,
    /// Begun by the first password.
    throttle: Arc<OnceLock<Mutex<Throttle>>>,
    /// Started by the first password.
    pool: Arc<OnceLock<Result<Pool, String>>>,
    device_key: Arc<Mutex<Option<(StoreId, Hidden)>>>,
    /// None in the clone that the router itself holds.
    router: Option<Router>,
}

/// Whether this process serves, or carries out a command and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Gateway,
    Command,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Accounts {
    /// Opens the store. One that cannot be reached is no error: verdicts are *unknown* until it can.
    ///
    /// # Errors
    /// If the configuration makes no sense; in a complete sentence without a password in it.
    pub async fn open(config: &Sessions) -> Result<Accounts, String> {
        Accounts::start(config, Role::Gateway).await
    }

    /// As [`Accounts::open`], for a command: it holds no lease that others would wait for, and tends nothing.
    ///
    /// # Errors
    /// As there.
    pub async fn command(config: &Sessions) -> Result<Accounts, String> {
        Accounts::start(config, Role::Command).await
    }

    async fn start(config: &Sessions, role: Role) -> Result<Accounts, String> {
        let policy = Policy {
            idle_ms: config.idle_ms,
            absolute_ms: config.absolute_ms,
            ..Policy::default()
        };
        let door = Door::new(kept::Place::parse(config)?, policy, role).await;
        let mut accounts = Accounts {
            door,
            config: Arc::new(config.clone()),
            throttle: Arc::default(),
            pool: Arc::default(),
            device_key: Arc::default(),
            router: None,
        };
        accounts.router = Some(api::router(accounts.clone()));
        Ok(accounts)
    }

    pub(crate) fn router(&self) -> Router {
        match &self.router {
            Some(router) => router.clone(),
            None => api::router(self.clone()),
        }
    }

    /// `sessions forget-store`: what stands there now is the store; tokens of any other are invalid from now on. This
    /// signs people out, by command. Returns the store's id.
    ///
    /// # Errors
    /// In a complete sentence.
    pub async fn forget(config: &Sessions) -> Result<String, String> {
        let forgotten = kept::Place::parse(config)?.forget().await;
        forgotten
            .map(|id| id.to_string())
            .map_err(|failure| failure.to_string())
    }

    /// The verdict about the text of a token (cookie value or bearer) in the nameless realm. `fresh`: no cached verdict
    /// beyond the lease.
    pub async fn verify(&self, token: &str, traffic: Traffic, fresh: bool) -> Verdict {
        match verdicts::parsed(token) {
            Ok(token) => {
                let realm = Realm::default();
                self.identify(&token, &realm, traffic, fresh).await.0
            }
            Err(verdict) => verdict,
        }
    }

    /// The verdict in this realm, with the public name of the session that the token names, also where it is over: a
    /// client believes a 401 only about the session that it has. Of a session of another realm nothing is told.
    pub async fn identify(
        &self,
        token: &Token,
        realm: &Realm,
        traffic: Traffic,
        fresh: bool,
    ) -> (Verdict, Option<Sid>) {
        self.door.verify(token, realm, traffic, fresh).await
    }

    /// As [`Accounts::identify`] for what the cache may answer now, without waiting for anybody: a *valid* with the
    /// count of revocations that was read before it. None: ask [`Accounts::identify`].
    #[must_use]
    pub fn recalled(
        &self,
        token: &Token,
        realm: &Realm,
        traffic: Traffic,
    ) -> Option<(Admission, u64)> {
        self.door.recalled(token, realm, traffic)
    }

    /// How many revocations there were so far. Read it before [`Accounts::verify`]; 0 when it is not known.
    #[must_use]
    pub fn revocations(&self) -> u64 {
        self.door.revocations().unwrap_or(0)
    }

    /// Whether an admitted request has to be asked about again ([`Accounts::still`]) before it leaves for its program:
    /// sessions were ended since the count `admitted`, or it has `waited` and this gateway has lost its lease.
    #[must_use]
    pub fn overtaken(&self, admitted: u64, waited: bool) -> bool {
        self.door.overtaken(admitted, waited)
    }

    /// Whether this session is known to be over: its WebSocket or event stream is to be closed.
    pub async fn over(&self, session: Sid) -> bool {
        self.door.over(session).await
    }

    /// An admitted request leaves for its program after a wait: valid still, unless its session was ended since the
    /// count `admitted`. Time is not judged again. `fresh`: *unknown* if nobody can say.
    pub async fn still(&self, admission: Admission, admitted: u64, fresh: bool) -> Verdict {
        self.door.still(admission, admitted, fresh).await
    }

    /// Before a gateway ends: with a store of several machines, nobody who ends a session waits for this one any more.
    pub async fn leave(&self) {
        self.door.leave().await;
    }

    /// What is wrong with the store, in a sentence for operators. None: it is open and answers.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.door.trouble()
    }

    /// The same, and when it begins and ends.
    #[must_use]
    pub fn troubles(&self) -> tokio::sync::watch::Receiver<Option<Trouble>> {
        self.door.troubles()
    }

    /// Counts up whenever a session may have ended, here or at another gateway, and at least once a minute: open
    /// WebSockets and event streams are then verified again. It never yields if nothing ever ends.
    #[must_use]
    pub fn ended(&self) -> tokio::sync::watch::Receiver<u64> {
        self.door.news()
    }

    /// Opens a session for a user that a program (or a password) vouches for, in the realm of the gateway that was asked.
    /// One that it replaces is ended when the client is told of it ([`Accounts::replaced`]).
    ///
    /// # Errors
    /// If it is not known to be kept: the caller answers 503, whatever the program said.
    pub async fn sign_in(
        &self,
        user: UserId,
        kind: Kind,
        caller: &Caller,
    ) -> Result<Opened, Unsure> {
        let kept = self.door.kept_now().await?;
        let random = Entropy {
            id: kept::random(),
            secret: Hidden::new(kept::random()),
            key: Hidden::new(kept::random()),
        };
        let (store, time) = (kept.shelf().ours, self.door.time());
        let (mut row, token) = open(store, kind, user, random, &context(caller), time);
        row.realm = caller.realm.clone();
        let session = row.id;
        kept.insert(row).await.map_err(|_| Unsure::Unreachable)?;
        Ok(Opened { token, session })
    }

    /// Another session was opened in its place, and its holder has been told of that: it ends, in the background. If the
    /// store cannot end it now, it ends by time: nobody has its cookie any more. Who wants to see its end may wait for what
    /// is returned.
    pub fn replaced(&self, old: Option<Sid>) -> Option<tokio::task::JoinHandle<()>> {
        let old = old?;
        let accounts = self.clone();
        Some(tokio::spawn(async move {
            for _ in 0..REPLACED_TRIES_MAX {
                let ended = accounts.end(Scope::One(old), Why::Replaced).await;
                if ended.is_ok() {
                    return;
                }
                tokio::time::sleep(REPLACED_PAUSE).await;
            }
        }))
    }

    /// Ends sessions; when it returns, nothing verified from now on is valid.
    ///
    /// # Errors
    /// If it is not known to be kept.
    pub async fn sign_out(&self, scope: Scope, why: Why) -> Result<(), Unsure> {
        self.end(scope, why).await.map(|_| ())
    }

    pub(crate) async fn end(&self, scope: Scope, why: Why) -> Result<usize, Unsure> {
        let kept = self.door.kept_now().await?;
        let now_ms = self.door.time().now_ms;
        match kept.revoke(scope, why, now_ms).await {
            Ok(revoked) => Ok(revoked.ended),
            Err(_) => Err(Unsure::Unreachable),
        }
    }

    /// The cookie's Max-Age, seconds.
    #[must_use]
    pub fn max_age_s(&self) -> u64 {
        self.config.absolute_ms / 1000
    }
}

/// The OpenAPI document of the API.
#[must_use]
pub fn openapi() -> String {
    api::document()
}

/// What a session remembers of its client.
fn context(caller: &Caller) -> String {
    format!("{} {}", caller.address, caller.agent)
}
