//! One refresh as every store does it: what to change in the row, and what to say once that is durable.

use crate::store::{RefreshAsk, Refreshed};
use session::judge::expired;
use session::rotating::{Chain, Step, refresh};
use session::{Credential, Ended, Refusal, Row, Traffic, Unsure, Why};

/// What to change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    /// The chain, the context and last-seen.
    Chain(Chain),
    Seen,
    /// The end, and the count of revocations.
    End(Ended),
}

pub(crate) fn plan(row: Option<&Row>, asked: &RefreshAsk) -> (Change, Refreshed) {
    let refused = |refusal| (Change::None, Refreshed::Refused(refusal));
    let Some(row) = row else {
        return refused(Refusal::NotFound);
    };
    if row.realm != asked.realm {
        return refused(Refusal::OtherRealm);
    }
    let Credential::Rotating(chain) = &row.credential else {
        return refused(Refusal::WrongUse);
    };
    // Before anything is told about the session: only a holder of a genuine token is told why it ended.
    let step = refresh(chain, &asked.ask);
    if step == Step::InvalidGrant {
        return refused(Refusal::Malformed);
    }
    if let Some(ended) = &row.ended {
        return refused(Refusal::Ended(ended.why));
    }
    if let Some(refusal) = expired(row, asked.policy, asked.time) {
        return refused(refusal);
    }
    match step {
        Step::Commit(chain, link) => (Change::Chain(chain), Refreshed::Granted(link)),
        Step::Repeat(link) => match asked.traffic {
            Traffic::Active => (Change::Seen, Refreshed::Granted(link)),
            Traffic::Passive => (Change::None, Refreshed::Granted(link)),
        },
        Step::Theft => {
            let other = Some(asked.context.clone());
            let ended = Ended {
                at_ms: asked.time.now_ms,
                why: Why::Theft,
                other,
            };
            (
                Change::End(ended),
                Refreshed::Refused(Refusal::Ended(Why::Theft)),
            )
        }
        Step::InvalidGrant => refused(Refusal::Malformed),
        Step::Behind => (Change::None, Refreshed::Unknown(Unsure::StoreBehind)),
    }
}
