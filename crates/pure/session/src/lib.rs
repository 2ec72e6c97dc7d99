//! Who is signed in: nobody is signed out but by a real authentication error.
//!
//! ```text
//!  what came          what the store says              clocks
//!  (Credential) ──┐   (Found)                ┌── (Time: runs or frozen)
//!                 ▼                          ▼
//!               judge ─────────────────────────► Verdict
//!                                                  ├─ Valid(Admission)   go on; fixed until the answer
//!                                                  ├─ Invalid(Refusal)   401: a real authentication error
//!                                                  └─ Unknown(Unsure)    503: ask again, nobody is signed out
//! ```
//! *Invalid* is said only by a store that can be trusted about this very token. Everything else (the store cannot be
//! read, the token names another store, the store is behind its tokens) is *unknown*, on every layer.
//!
//! * [`token`] is what clients hold: opaque, naming its store, parsed strictly.
//! * [`mod@judge`] decides; [`clocks`] says whether time may be believed; [`revoke`] says how long a cached verdict may be
//!   used, and when a revocation may be acknowledged.
//! * [`rotating`] is the optional protocol for clients without a gateway on the way: one table.
//! * [`cookie`] and [`csrf`] are the rules of browsers; [`device`] tells a browser that was here before.
//! * [`jws`], [`claims`] and [`keyring`] make what programs read: a token for each request, signed with the key that
//!   their generation was started with.
//!
//! *Invariants*, proven by exhaustive models and random deep runs (`tests/`): no clock and no derivation key takes part
//! in rotation; an honest client is never signed out by loss, races or an old copy of its storage; theft is noticed
//! once both have presented the same parent; nothing is valid after its acknowledged revocation, but up to
//! [`STALE_MS_MAX`] under partition. *Invariant*: no clock, randomness or I/O here; each is an argument.
//! *Invariant*: a row holds hashes; a database that leaks yields no token.

pub mod claims;
pub mod clocks;
pub mod cookie;
pub mod csrf;
pub mod device;
mod halves;
pub mod judge;
pub mod jws;
pub mod keyring;
mod limits;
mod mac;
pub mod revoke;
pub mod rotating;
mod row;
pub mod token;
mod verdict;

pub use clocks::{Clocks, Expiry, Reading, Time};
pub use halves::Halves;
pub use judge::{Found, Policy, Traffic, judge, judge_chain, open};
pub use limits::*;
pub use mac::{Hidden, hash, same};
pub use row::{Credential, Ended, Entropy, Realm, Row, UserId, Why};
pub use token::{Kind, Sid, StoreId, Token};
pub use verdict::{Admission, Alarm, Refusal, Touch, Unsure, Verdict};
