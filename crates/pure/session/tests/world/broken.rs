//! Protocols that people use instead, and that the same worlds must catch.

use session::Hidden;
use session::hash;
use session::rotating::{Chain, Child, Refresh, Step, refresh};
use session::token::Link;

/// The usual rotation: a random successor. A parent that comes again is taken for theft, for it cannot be repeated.
pub(crate) fn random_successor(chain: &Chain, ask: &Refresh) -> Step {
    let same_for_all = Refresh {
        a: Hidden::new([0; 32]),
        ..ask.clone()
    };
    match refresh(chain, &same_for_all) {
        Step::Commit(mut next, answer) => {
            let t = Hidden::new(hash(&[b"random".as_slice(), &ask.r].concat()));
            let link = Link::tagged(answer.store, answer.session, answer.c, t, &chain.key);
            next.child = Some(Child {
                hash: hash(link.t.expose()),
                asked_by: [0; 32],
                r: ask.r,
            });
            Step::Commit(next, link)
        }
        Step::Repeat(_) => Step::Theft,
        other @ (Step::Theft | Step::InvalidGrant | Step::Behind) => other,
    }
}

/// A derived successor that does not depend on who asks.
pub(crate) fn without_a(chain: &Chain, ask: &Refresh) -> Step {
    refresh(
        chain,
        &Refresh {
            a: Hidden::new([0; 32]),
            ..ask.clone()
        },
    )
}
