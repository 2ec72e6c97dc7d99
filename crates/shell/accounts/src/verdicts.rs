//! A verdict about a token: from the cache where that may be believed, else from the store.
//!
//! Only *valid* verdicts come from the cache, and they are judged anew with the time of now: a row that looks too old
//! here may have been used through another worker, so the store is asked before anybody is signed out.

use crate::door::{Door, locked, steady_ms};
use crate::kept::Kept;
use session::judge::{addressed, judge_hashed, within};
use session::revoke::{
    Cached, DispatchLook, Line, Recall, at_dispatch, overtaken, recall, without_answer,
    without_lease,
};
use session::{
    Admission, Found, Kind, Policy, Realm, Refusal, Row, Sid, Time, Token, Traffic, Unsure,
    Verdict, judge, judge_chain,
};
use std::sync::Arc;
use store::{Answer, Store as _};

/// SHA-256 of the secret: what the row keeps, too.
pub(crate) type Key = [u8; 32];

/// A row that was just looked up, so that most verifications ask nobody. What it is worth is decided by
/// [`session::revoke::recall`], never here.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    row: Row,
    cached: Cached,
}

impl Door {
    pub(crate) async fn verify(
        &self,
        token: &Token,
        realm: &Realm,
        traffic: Traffic,
        fresh: bool,
    ) -> (Verdict, Option<Sid>) {
        // A rotating token says itself which session it is of.
        let named = match token {
            Token::Rotating(it) => Some(it.session),
            Token::Cookie(_) | Token::Bearer(_) => None,
        };
        let mut kept = match self.kept_now().await {
            Ok(kept) => kept,
            Err(unsure) => return (Verdict::Unknown(unsure), named),
        };
        if let Err(verdict) = addressed(token, kept.shelf()) {
            // A command may have just said what is to be thought of other stores.
            if !matches!(verdict, Verdict::Unknown(_)) || !self.look_for_a_stranger(&kept).await {
                return (verdict, named);
            }
            kept = match self.kept() {
                Ok(kept) => kept,
                Err(unsure) => return (Verdict::Unknown(unsure), named),
            };
            if let Err(verdict) = addressed(token, kept.shelf()) {
                return (verdict, named);
            }
        }
        let (verdict, found) = self.ask(&kept, token, realm, traffic, fresh).await;
        match verdict {
            Verdict::Invalid(Refusal::OtherRealm) => (verdict, None),
            verdict => (verdict, found.or(named)),
        }
    }

    /// A verdict that needs no question to the store: *valid*, from the cache, with the count of revocations that was
    /// read for it. None: ask [`Door::verify`].
    pub(crate) fn recalled(
        &self,
        token: &Token,
        realm: &Realm,
        traffic: Traffic,
    ) -> Option<(Admission, u64)> {
        let key = key(token)?;
        let state = locked(&self.state);
        let kept = state.open()?;
        addressed(token, kept.shelf()).ok()?;
        let line = kept.line().ok()?;
        match self.remembered(kept, (token, &key), realm, line, traffic, false) {
            Some((admission, Recall::Use)) => Some((admission, count_of(line))),
            Some((_, Recall::Ask | Recall::AskElseUse)) | None => None,
        }
    }

    /// What the cache says about a token, and what that is worth.
    fn remembered(
        &self,
        kept: &Kept,
        (token, key): (&Token, &Key),
        realm: &Realm,
        line: Line,
        traffic: Traffic,
        fresh: bool,
    ) -> Option<(Admission, Recall)> {
        let (time, steady_ms) = self.moment();
        let mut cache = locked(&self.cache);
        let entry = cache.get(key)?;
        let found = within(Found::Row(&entry.row), realm).ok()?;
        let verdict = judge_hashed(key, token.kind(), found, self.policy, time, traffic);
        let Verdict::Valid(admission) = verdict else {
            return None;
        };
        let worth = recall(entry.cached, line, fresh, steady_ms);
        if worth == Recall::Use {
            touched(kept, entry, &admission);
        }
        Some((admission, worth))
    }

    async fn ask(
        &self,
        kept: &Arc<Kept>,
        token: &Token,
        realm: &Realm,
        traffic: Traffic,
        fresh: bool,
    ) -> (Verdict, Option<Sid>) {
        // Before the store is asked.
        let line = kept.line().ok();
        let key = key(token);
        let mut instead = None;
        if let (Some(key), Some(line)) = (&key, line) {
            match self.remembered(kept, (token, key), realm, line, traffic, fresh) {
                Some((admission, Recall::Use)) => {
                    let session = Some(admission.session);
                    return (Verdict::Valid(admission), session);
                }
                Some((admission, Recall::AskElseUse)) => instead = Some(admission),
                Some((_, Recall::Ask)) | None => {}
            }
        }
        let (time, now_ms) = self.moment();
        let answer = kept.find(token).await;
        if let Answer::Unreachable(_) = answer {
            let verdict = match (instead, line) {
                (Some(admission), _) => Verdict::Valid(admission),
                (None, Some(line)) => without_answer(line, fresh, now_ms),
                (None, None) => Verdict::Unknown(Unsure::Unreachable),
            };
            return (verdict, None);
        }
        let verdict = judged(token, realm, answer.found(), self.policy, time, traffic);
        let row = match answer {
            Answer::Row(row) => Some(*row),
            Answer::Nothing | Answer::Unreachable(_) | Answer::Distrusted(_) => None,
        };
        let session = row.as_ref().map(|row| row.id);
        match (verdict, row) {
            (Verdict::Valid(admission), Some(row)) => {
                let count = line.map(count_of);
                let mut entry = Entry {
                    row,
                    cached: Cached {
                        count: count.unwrap_or(0),
                        made_ms: now_ms,
                    },
                };
                touched(kept, &mut entry, &admission);
                if let (Some(key), Some(_)) = (key, count) {
                    locked(&self.cache).put(key, entry);
                }
                (Verdict::Valid(admission), session)
            }
            // The cache may hold it for its own realm.
            (verdict @ Verdict::Invalid(Refusal::OtherRealm), _) => (verdict, None),
            (verdict, _) => {
                if let Some(key) = key {
                    locked(&self.cache).remove(&key);
                }
                (verdict, session)
            }
        }
    }

    /// An admitted request leaves for its program: was its session ended since the count `admitted`?
    pub(crate) async fn still(&self, admission: Admission, admitted: u64, fresh: bool) -> Verdict {
        let kept = self.kept().ok();
        let line = kept.as_ref().and_then(|kept| kept.line().ok());
        let (Some(kept), Some(line)) = (kept, line) else {
            // The store was shut meanwhile.
            return match fresh {
                true => Verdict::Unknown(Unsure::NotFresh),
                false => Verdict::Valid(admission),
            };
        };
        if !overtaken(admitted, line, true, steady_ms) {
            return Verdict::Valid(admission);
        }
        let answer = kept.look(admission.session).await;
        let look = DispatchLook::from(answer.found());
        match count_of(line) {
            now if now == admitted => without_lease(admission, fresh, look),
            now => at_dispatch(admission, admitted, now, || look),
        }
    }

    /// Whether the session is known to be over. A store that does not answer ends nothing.
    pub(crate) async fn over(&self, session: Sid) -> bool {
        let Ok(kept) = self.kept() else { return false };
        match kept.look(session).await {
            Answer::Row(row) => row.ended.is_some(),
            Answer::Nothing => true,
            Answer::Unreachable(_) | Answer::Distrusted(_) => false,
        }
    }

    /// Whether the session of an admitted request has to be looked at again before it leaves.
    pub(crate) fn overtaken(&self, admitted: u64, waited: bool) -> bool {
        let state = locked(&self.state);
        let line = state.open().and_then(|kept| kept.line().ok());
        // Without a line there is nothing to compare with; `still` says so.
        line.is_none_or(|line| overtaken(admitted, line, waited, steady_ms))
    }

    pub(crate) fn revocations(&self) -> Option<u64> {
        locked(&self.state).open()?.line().ok().map(count_of)
    }
}

fn count_of(line: Line) -> u64 {
    match line {
        Line::Local { count } | Line::Leased { count, .. } => count,
    }
}

/// Renews last-seen if it is time, in the cached row as well.
fn touched(kept: &Kept, entry: &mut Entry, admission: &Admission) {
    if let Some(touch) = admission.touch {
        entry.row.seen_ms = entry.row.seen_ms.max(touch.at_ms);
        kept.touch(admission.session, touch);
    }
}

/// A chain changes with each refresh, so rotating tokens are always looked up.
fn key(token: &Token) -> Option<Key> {
    match token {
        Token::Cookie(it) | Token::Bearer(it) => Some(it.hash()),
        Token::Rotating(_) => None,
    }
}

fn judged(
    token: &Token,
    realm: &Realm,
    found: Found<'_>,
    policy: Policy,
    time: Time,
    traffic: Traffic,
) -> Verdict {
    let found = match within(found, realm) {
        Ok(found) => found,
        Err(verdict) => return verdict,
    };
    match token {
        Token::Cookie(it) => judge(it, Kind::Cookie, found, policy, time, traffic),
        Token::Bearer(it) => judge(it, Kind::Bearer, found, policy, time, traffic),
        Token::Rotating(it) => judge_chain(it, found, policy, time, traffic),
    }
}

/// What the text of a credential is. `expected`: how it came.
pub(crate) fn parsed(text: &str) -> Result<Token, Verdict> {
    Token::parse(text).ok_or(Verdict::Invalid(Refusal::Malformed))
}
