//! The optional mode in which each refresh replaces the token, without the usual harm: the answer to a refresh gets
//! lost, or two tabs refresh at once, and the user is signed out.
//!
//! ```text
//! client   keeps {t, ci} in one transaction; ci is a non-extractable HMAC key; sends t and a = HMAC(ci, t);
//!          reads its storage again before, persists the answer before using it
//! wire     sid.c.t.tag, tag = HMAC(k_s, c|t); k_s random per session
//! row      k_s, c, H(t), child?(H, H(a), r), past[4] likewise; no plaintext
//! child    HMAC(t, "sf1"|sid|c+1|a|r), r random per parent: derived, so a lost answer can be repeated
//! ```
//! The table ([`act`] is it, [`place`] finds the line):
//!
//! | presented | its child was made for | what happens |
//! |---|---|---|
//! | current | nobody yet | store the child, commit, answer |
//! | current | the same `a` | the same answer, however late |
//! | current | another `a` | **theft** |
//! | child | - | c += 1, the parent goes into past, then as current without child |
//! | past | the same `a` | its own child |
//! | past | another `a` | **theft** |
//! | older than past, tag valid | - | **theft** |
//! | tag invalid | - | `invalid_grant`, the session lives |
//! | tag valid, but not in this row's history | - | *unknown*: the row is an old copy |
//!
//! The last line is ours to add: the plan has no word for a store that was restored from a backup, and a client
//! that is ahead of it is not at fault. Theft ends this session only; both contexts are recorded by the caller.
//!
//! *Inv1* no clock, grace or derivation key that would have to rotate takes part. *Inv2* an honest client is never
//! signed out, by loss, races or a roll-back of its storage by up to [`PAST_MAX`]; a request that comes late counts as
//! storage of that age. *Inv3* theft is noticed once both have presented the same parent. Limit: whoever copies t *and*
//! ci is not noticed.
//!
//! A successor that were merely random could not be repeated (Inv2 breaks when an answer is lost); a derived one
//! without `a` would be the same for a thief, who could walk along unnoticed (Inv3 breaks). The models show both.

use crate::limits::PAST_MAX;
use crate::mac::{Hidden, hash, hmac, same};
use crate::token::Link;

/// What a row keeps of a token that it handed out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Child {
    /// H(t) of the child.
    pub hash: [u8; 32],
    /// H(a) of the client that it was made for.
    pub asked_by: [u8; 32],
    /// Random per parent: a database from before cannot foretell the child.
    pub r: [u8; 16],
}

/// A parent whose child was presented.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Past {
    /// H(t) of the parent.
    pub hash: [u8; 32],
    /// The child that was presented.
    pub child: Child,
}

/// The chain of one session as a store keeps it: no plaintext of any token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Chain {
    /// k_s, of the tags. It makes no token: a leaked database can at most fake a theft.
    pub key: Hidden,
    /// The generation of the current token.
    pub c: u32,
    /// H(t) of the current token.
    pub hash: [u8; 32],
    /// The successor, once somebody asked for it.
    pub child: Option<Child>,
    /// The last parents, newest first: `past[i]` is generation `c - 1 - i`. At most [`PAST_MAX`].
    pub past: Vec<Past>,
}

/// A request for a successor.
#[derive(Debug, Clone)]
pub struct Refresh {
    /// The token.
    pub token: Link,
    /// HMAC(ci, t) by the client.
    pub a: Hidden,
    /// Fresh randomness from the caller, used if a child is made.
    pub r: [u8; 16],
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Store this chain, commit, and only when that was acknowledged answer with the token.
    Commit(Chain, Link),
    /// Answer with the token; nothing changes.
    Repeat(Link),
    /// End the session and record both contexts; answer `invalid_grant`.
    Theft,
    /// Answer `invalid_grant`; the session lives.
    InvalidGrant,
    /// Answer 503: this row never saw the token although we made it. An alarm.
    Behind,
}

/// Which line of the table a token is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The current token, without a child.
    Current,
    /// The current token; its child was made for the same client.
    CurrentOwn,
    /// The current token; its child was made for another client.
    CurrentOther,
    /// The child of the current token.
    Child,
    /// A remembered parent (index in `past`) of the same client.
    PastOwn(usize),
    /// A remembered parent whose child was made for another client.
    PastOther,
    /// Genuine, and older than every remembered parent.
    Older,
    /// Not made by us.
    Forged,
    /// Made by us, and not in this row's history.
    Stray,
}

/// What a token is without asking for a successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Current, child or remembered parent.
    Known,
    /// Older than every remembered parent.
    Older,
    /// Not made by us.
    Forged,
    /// Made by us, not in this row's history.
    Stray,
}

impl Chain {
    /// The chain of a new session whose first token hashes to `hash`.
    #[must_use]
    pub const fn new(key: Hidden, hash: [u8; 32]) -> Self {
        Self {
            key,
            c: 0,
            hash,
            child: None,
            past: Vec::new(),
        }
    }

    /// What the token is, whoever presents it.
    #[must_use]
    pub fn standing(&self, token: &Link) -> Standing {
        match place(self, token, None) {
            Place::Current | Place::CurrentOwn | Place::CurrentOther | Place::Child => {
                Standing::Known
            }
            Place::PastOwn(_) | Place::PastOther => Standing::Known,
            Place::Older => Standing::Older,
            Place::Forged => Standing::Forged,
            Place::Stray => Standing::Stray,
        }
    }
}

/// One refresh: find the line of the table, do what it says.
pub fn refresh(chain: &Chain, ask: &Refresh) -> Step {
    act(chain, ask, place(chain, &ask.token, Some(&ask.a)))
}

/// The line of the table that a token is on. Without `a` nobody is the same client.
#[must_use]
pub fn place(chain: &Chain, token: &Link, a: Option<&Hidden>) -> Place {
    if !token.genuine(&chain.key) {
        return Place::Forged;
    }
    let presented = hash(token.t.expose());
    let asked_by = a.map(|a| hash(a.expose()));
    let own = |child: &Child| asked_by.is_some_and(|it| same(&it, &child.asked_by));
    let Some(age) = chain.c.checked_sub(token.c) else {
        let next = chain.c.checked_add(1) == Some(token.c);
        let known = chain
            .child
            .as_ref()
            .is_some_and(|child| same(&child.hash, &presented));
        return if next && known {
            Place::Child
        } else {
            Place::Stray
        };
    };
    if age == 0 {
        return match &chain.child {
            _ if !same(&chain.hash, &presented) => Place::Stray,
            None => Place::Current,
            Some(child) if own(child) => Place::CurrentOwn,
            Some(_) => Place::CurrentOther,
        };
    }
    let index = usize::try_from(age - 1).unwrap_or(usize::MAX);
    match chain.past.get(index) {
        None => Place::Older,
        Some(past) if !same(&past.hash, &presented) => Place::Stray,
        Some(past) if own(&past.child) => Place::PastOwn(index),
        Some(_) => Place::PastOther,
    }
}

/// The table.
pub fn act(chain: &Chain, ask: &Refresh, place: Place) -> Step {
    match place {
        Place::Current => grow(chain.clone(), ask),
        Place::CurrentOwn => repeat(chain, ask, chain.child.as_ref()),
        Place::CurrentOther => Step::Theft,
        Place::Child => match advance(chain) {
            Some(next) => grow(next, ask),
            None => Step::Behind,
        },
        Place::PastOwn(index) => repeat(chain, ask, chain.past.get(index).map(|past| &past.child)),
        Place::PastOther => Step::Theft,
        Place::Older => Step::Theft,
        Place::Forged => Step::InvalidGrant,
        Place::Stray => Step::Behind,
    }
}

/// Makes the child of the current token, which has none.
fn grow(mut chain: Chain, ask: &Refresh) -> Step {
    let Some(answer) = derive(&chain, ask, ask.r) else {
        return Step::InvalidGrant;
    };
    let hash_of_child = hash(answer.t.expose());
    chain.child = Some(Child {
        hash: hash_of_child,
        asked_by: hash(ask.a.expose()),
        r: ask.r,
    });
    Step::Commit(chain, answer)
}

/// Makes the child of the presented token again, as it was made the first time.
fn repeat(chain: &Chain, ask: &Refresh, child: Option<&Child>) -> Step {
    match child.and_then(|child| derive(chain, ask, child.r)) {
        Some(answer) => Step::Repeat(answer),
        None => Step::Behind,
    }
}

/// The child was presented: it is the current token now.
fn advance(chain: &Chain) -> Option<Chain> {
    let child = chain.child.clone()?;
    let mut past = Vec::with_capacity(PAST_MAX);
    past.push(Past {
        hash: chain.hash,
        child: child.clone(),
    });
    past.extend(chain.past.iter().take(PAST_MAX - 1).cloned());
    Some(Chain {
        key: chain.key.clone(),
        c: chain.c.checked_add(1)?,
        hash: child.hash,
        child: None,
        past,
    })
}

/// HMAC(t, "sf1"|sid|c+1|a|r). None after 2^32 generations, which no absolute timeout lets a session reach.
fn derive(chain: &Chain, ask: &Refresh, r: [u8; 16]) -> Option<Link> {
    let Refresh { token, a, .. } = ask;
    let c = token.c.checked_add(1)?;
    let t = hmac(
        token.t.expose(),
        &[b"sf1", &token.session.0, &c.to_be_bytes(), a.expose(), &r],
    );
    Some(Link::tagged(
        token.store,
        token.session,
        c,
        Hidden::new(t),
        &chain.key,
    ))
}
