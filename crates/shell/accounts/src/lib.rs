//! The HTTP API over [`session`] and [`store`]: who is signed in, sign-in and sign-out, users and their passwords.
//!
//! A gateway worker holds one [`Accounts`]. It asks it about the credential of each request, tells it of sign-ins that
//! programs grant, and gives it the requests under the prefix of the API, already read whole.

use bytes::Bytes;
use routes::Sessions;
use session::cookie::Channel;
use session::judge::Traffic;
use session::revoke::Scope;
use session::{Kind, Sid, Token, Unsure, UserId, Verdict, Why};

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
}

/// A session that was just opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// For the client, once.
    pub token: Token,
    /// Its public name.
    pub session: Sid,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Accounts {}

impl Accounts {
    /// Opens the store. One that cannot be reached is no error: verdicts are *unknown* until it can.
    ///
    /// # Errors
    /// If the configuration makes no sense; in a complete sentence without a password in it.
    pub async fn open(_config: &Sessions) -> Result<Accounts, String> {
        Err("not built yet".to_owned())
    }

    /// The verdict about the text of a token (cookie value or bearer). `fresh`: no cached verdict beyond the lease.
    pub async fn verify(&self, _token: &str, _traffic: Traffic, _fresh: bool) -> Verdict {
        Verdict::Unknown(Unsure::Unreachable)
    }

    /// As [`Accounts::verify`], with the session that the verdict is about. An *invalid* names it too where the store
    /// still has its row (ended, expired): a client believes a 401 only about the session that it has.
    pub async fn verify_named(
        &self,
        token: &str,
        traffic: Traffic,
        fresh: bool,
    ) -> (Verdict, Option<Sid>) {
        let verdict = self.verify(token, traffic, fresh).await;
        let session = match &verdict {
            Verdict::Valid(admission) => Some(admission.session),
            Verdict::Invalid(_) | Verdict::Unknown(_) => None,
        };
        (verdict, session)
    }

    /// Counts up whenever a session may have ended, here or at another gateway, and at least once a minute: open
    /// WebSockets and event streams are then verified again. It never yields if nothing ever ends.
    #[must_use]
    pub fn ended(&self) -> tokio::sync::watch::Receiver<u64> {
        tokio::sync::watch::channel(0).1
    }

    /// Opens a session for a user that a program (or a password) vouches for; ends the one it replaces.
    ///
    /// # Errors
    /// If it is not known to be kept: the caller answers 503, whatever the program said.
    pub async fn sign_in(
        &self,
        _user: UserId,
        _kind: Kind,
        _caller: &Caller,
        _replaces: Option<Sid>,
    ) -> Result<Opened, Unsure> {
        Err(Unsure::Unreachable)
    }

    /// Ends sessions; when it returns, nothing verified from now on is valid.
    ///
    /// # Errors
    /// If it is not known to be kept.
    pub async fn sign_out(&self, _scope: Scope, _why: Why) -> Result<(), Unsure> {
        Err(Unsure::Unreachable)
    }

    /// Answers a request under the prefix of the API. Its body is whole, at most 64 KiB.
    pub async fn api(
        &self,
        _request: http::Request<Bytes>,
        _caller: &Caller,
    ) -> http::Response<Bytes> {
        http::Response::new(Bytes::new())
    }
}
