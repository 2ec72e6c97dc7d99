//! The verdict about one credential.
//!
//! | what came | what the store says | verdict |
//! |---|---|---|
//! | nothing | - | invalid, no error code |
//! | not one of ours | - | invalid |
//! | names another store | - | unknown; invalid once that store was forgotten |
//! | names ours | did not answer, or is distrusted | unknown |
//! | names ours | no such row | invalid |
//! | names ours | of another realm | invalid, no error code: it is no credential here ([`within`]) |
//! | names ours | ended | invalid |
//! | names ours | too old, clocks agree | invalid |
//! | names ours | too old, clocks disagree | valid |
//! | names ours | good | valid |

use crate::clocks::{Expiry, Time};
use crate::limits::{
    ABSOLUTE_MS_DEFAULT, CONTEXT_BYTES_MAX, IDLE_MS_DEFAULT, LEEWAY_MS, SWEEP_LATE_MS,
    TOUCH_AT_ONCE_MS_MIN, TOUCH_MS_MIN,
};
use crate::mac::{hash, same};
use crate::rotating::{Chain, Standing};
use crate::row::{Credential, Entropy, Realm, Row, UserId};
use crate::token::{Kind, Link, Opaque, Sid, StoreId, Token};
use crate::verdict::{Admission, Alarm, Refusal, Touch, Unsure, Verdict};

/// How long sessions live. Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Without activity.
    pub idle_ms: u64,
    /// At all.
    pub absolute_ms: u64,
    /// Judged this much late.
    pub leeway_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            idle_ms: IDLE_MS_DEFAULT,
            absolute_ms: ABSOLUTE_MS_DEFAULT,
            leeway_ms: LEEWAY_MS,
        }
    }
}

/// Whether a request shows that somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Traffic {
    /// A person did something.
    Active,
    /// A ping, a background verification, a reconnect: does not renew idle time.
    Passive,
}

/// What the store says about a token.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    /// This is the row.
    Row(&'a Row),
    /// There is none, and the store can be trusted about it.
    Nothing,
    /// The store did not answer.
    Unreachable,
    /// The store answers, but is not to be believed.
    Distrusted(Alarm),
}

/// Which store we have, and what it says about tokens of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelf {
    /// The store that we have.
    pub ours: StoreId,
    /// `sessions forget-store` was said: other stores' tokens are invalid.
    pub others_forgotten: bool,
}

/// A session of another realm is none here, whatever else is true of it: what was found for the realm `here`, or the
/// verdict. Nothing is told about it, and nothing is written.
///
/// # Errors
/// [`Refusal::OtherRealm`].
pub fn within<'a>(found: Found<'a>, here: &Realm) -> Result<Found<'a>, Verdict> {
    match found {
        Found::Row(row) if row.realm != *here => Err(Verdict::Invalid(Refusal::OtherRealm)),
        Found::Row(_) | Found::Nothing | Found::Unreachable | Found::Distrusted(_) => Ok(found),
    }
}

/// Before the store is asked: does the token name it? `Err` is the verdict.
///
/// # Errors
/// *Unknown* for another store's token; *invalid* once that was forgotten by command.
pub fn addressed(token: &Token, shelf: Shelf) -> Result<(), Verdict> {
    if token.store() == shelf.ours {
        Ok(())
    } else if shelf.others_forgotten {
        Err(Verdict::Invalid(Refusal::ForgottenStore))
    } else {
        Err(Verdict::Unknown(Unsure::ForeignStore))
    }
}

/// The verdict about a cookie or bearer token that names our store ([`addressed`]).
pub fn judge(
    token: &Opaque,
    kind: Kind,
    found: Found<'_>,
    policy: Policy,
    time: Time,
    traffic: Traffic,
) -> Verdict {
    judge_hashed(&token.hash(), kind, found, policy, time, traffic)
}

/// [`judge`], where the token's hash is known already: it is what its row was looked up by.
pub fn judge_hashed(
    sent: &[u8; 32],
    kind: Kind,
    found: Found<'_>,
    policy: Policy,
    time: Time,
    traffic: Traffic,
) -> Verdict {
    let row = match believed(found) {
        Ok(row) => row,
        Err(verdict) => return verdict,
    };
    let (kept, kept_kind) = match &row.credential {
        Credential::Cookie(hash) => (hash, Kind::Cookie),
        Credential::Bearer(hash) => (hash, Kind::Bearer),
        Credential::Rotating(_) => return Verdict::Invalid(Refusal::WrongUse),
    };
    if !same(kept, sent) {
        return Verdict::Invalid(Refusal::NotFound);
    }
    if kept_kind != kind {
        return Verdict::Invalid(Refusal::WrongUse);
    }
    alive(row, policy, time, traffic)
}

/// The verdict about a rotating token that is presented as a credential: it changes nothing in its chain.
/// The current token, its child and remembered parents count, for a client may hold any of them by a lost answer.
pub fn judge_chain(
    token: &Link,
    found: Found<'_>,
    policy: Policy,
    time: Time,
    traffic: Traffic,
) -> Verdict {
    let row = match believed(found) {
        Ok(row) => row,
        Err(verdict) => return verdict,
    };
    let Credential::Rotating(chain) = &row.credential else {
        return Verdict::Invalid(Refusal::WrongUse);
    };
    if row.id != token.session {
        return Verdict::Invalid(Refusal::NotFound);
    }
    match chain.standing(token) {
        Standing::Known => alive(row, policy, time, traffic),
        Standing::Older => Verdict::Invalid(Refusal::Superseded),
        Standing::Forged => Verdict::Invalid(Refusal::Malformed),
        Standing::Stray => Verdict::Unknown(Unsure::StoreBehind),
    }
}

/// Only a row, or its absence in a store that can be trusted, leads on.
fn believed(found: Found<'_>) -> Result<&Row, Verdict> {
    match found {
        Found::Row(row) => Ok(row),
        Found::Nothing => Err(Verdict::Invalid(Refusal::NotFound)),
        Found::Unreachable => Err(Verdict::Unknown(Unsure::Unreachable)),
        Found::Distrusted(alarm) => Err(Verdict::Unknown(Unsure::Distrusted(alarm))),
    }
}

/// The row is the token's: is the session alive?
fn alive(row: &Row, policy: Policy, time: Time, traffic: Traffic) -> Verdict {
    if let Some(ended) = &row.ended {
        return Verdict::Invalid(Refusal::Ended(ended.why));
    }
    if let Some(refusal) = expired(row, policy, time) {
        return Verdict::Invalid(refusal);
    }
    let pause_ms = time.now_ms.saturating_sub(row.seen_ms);
    let touch = match traffic {
        Traffic::Active if pause_ms >= TOUCH_MS_MIN => Some(Touch {
            at_ms: time.now_ms,
            at_once: pause_ms >= TOUCH_AT_ONCE_MS_MIN,
        }),
        Traffic::Active | Traffic::Passive => None,
    };
    Verdict::Valid(Admission {
        session: row.id,
        user: row.user.clone(),
        at_ms: time.now_ms,
        touch,
    })
}

/// Whether its time is over. A stamp in the future counts as now.
#[must_use]
pub fn expired(row: &Row, policy: Policy, time: Time) -> Option<Refusal> {
    let since = living_since(policy, time);
    if row.created_ms < since.created_ms {
        Some(Refusal::Absolute)
    } else if row.seen_ms < since.seen_ms {
        Some(Refusal::Idle)
    } else {
        None
    }
}

/// Sessions that were created, or seen, before these times (Unix milliseconds) are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// Created before.
    pub created_ms: u64,
    /// Seen before.
    pub seen_ms: u64,
}

/// What time has ended by now: nothing while the clocks disagree.
#[must_use]
pub fn living_since(policy: Policy, time: Time) -> Since {
    let since = |limit_ms: u64| match time.expiry {
        Expiry::Frozen => 0,
        Expiry::Runs => {
            let limit_ms = limit_ms.saturating_add(policy.leeway_ms);
            time.now_ms.saturating_sub(limit_ms)
        }
    };
    Since {
        created_ms: since(policy.absolute_ms),
        seen_ms: since(policy.idle_ms),
    }
}

/// Rows that the sweep may delete: ended, or created, or seen before these times (Unix milliseconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// Ended before.
    pub ended_before_ms: u64,
    /// Created before.
    pub created_before_ms: u64,
    /// Seen before.
    pub seen_before_ms: u64,
}

/// What may be swept now: [`SWEEP_LATE_MS`] after its end. None while the clocks disagree.
#[must_use]
pub fn sweep(policy: Policy, time: Time) -> Option<Sweep> {
    match time.expiry {
        Expiry::Frozen => None,
        Expiry::Runs => {
            let late = time.now_ms.saturating_sub(SWEEP_LATE_MS);
            let before =
                |limit_ms: u64| late.saturating_sub(limit_ms.saturating_add(policy.leeway_ms));
            Some(Sweep {
                ended_before_ms: late,
                created_before_ms: before(policy.absolute_ms),
                seen_before_ms: before(policy.idle_ms),
            })
        }
    }
}

/// A new session and the token for its client. Login always makes a new id: nothing that the client sent goes in, so
/// that nobody can be made to use a session that somebody else knows (fixation). The session that came with the
/// login, if any, is to be ended as [`crate::Why::Replaced`] once the answer is certain.
#[must_use]
pub fn open(
    store: StoreId,
    kind: Kind,
    user: UserId,
    random: Entropy,
    context: &str,
    time: Time,
) -> (Row, Token) {
    let Entropy { id, secret, key } = random;
    let id = Sid(id);
    let (credential, token) = match kind {
        Kind::Cookie => (
            Credential::Cookie(hash(secret.expose())),
            Token::Cookie(Opaque { store, secret }),
        ),
        Kind::Bearer => (
            Credential::Bearer(hash(secret.expose())),
            Token::Bearer(Opaque { store, secret }),
        ),
        Kind::Rotating => {
            let chain = Chain::new(key.clone(), hash(secret.expose()));
            (
                Credential::Rotating(chain),
                Token::Rotating(Link::tagged(store, id, 0, secret, &key)),
            )
        }
    };
    let context = bounded(context);
    let row = Row {
        id,
        user,
        realm: Realm::default(),
        credential,
        created_ms: time.now_ms,
        seen_ms: time.now_ms,
        context,
        ended: None,
    };
    (row, token)
}

/// A context for a row: no controls, at most [`CONTEXT_BYTES_MAX`] bytes.
#[must_use]
pub fn bounded(context: &str) -> String {
    let mut text = String::new();
    for c in context.chars().filter(|c| !c.is_control()) {
        if text.len() + c.len_utf8() > CONTEXT_BYTES_MAX {
            break;
        }
        text.push(c);
    }
    text
}
