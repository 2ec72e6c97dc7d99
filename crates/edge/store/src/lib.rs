//! Where sessions are kept. Acknowledged is kept; unsure is said to be unsure; nothing is ever made anew in silence.
//!
//! ```text
//!  gateways ──find──► reader (own connection each)          never waits for the writer: WAL
//!     │
//!     ├──list──► reader of its own, on another thread, one at a time
//!     │
//!     └──insert, refresh, revoke, touch──► one writer thread
//!            BEGIN … everything that is queued, at most 2 ms … COMMIT (fsync) ─► count of revocations ─► answers
//! ```
//! *Durability*: WAL with `synchronous = FULL`; an answer leaves only after the commit that holds it. While one commit
//! waits for the disk the next group gathers: under load a commit serves many, alone it serves one without waiting.
//!
//! *Identity*: a store has an id, written into every token and into a marker beside the database. What stands there is
//! compared before it is believed:
//!
//! | marker | database | |
//! |---|---|---|
//! | - | - | the first start: both are made |
//! | - | ours by format | a start that was cut short: the marker is made |
//! | id | - | alarm: missing |
//! | id | another id | alarm: foreign |
//! | id | the same, but its sessions are gone | alarm: empty |
//! | any | cannot be read, or is newer than we are | alarm: unreadable |
//!
//! An alarm means *unknown* for every token, until the database is back (it is looked at again) or [`forget`] is
//! called by command. Malformed tokens are never looked up; tokens of another store are judged by `session`.
//!
//! [`Postgres`] is the same for several machines: its transactions and conditional writes stand for the
//! writer, leases for the count.
//!
//! *Bugs*: whatever serves for good here is started again after a panic ([`bugs`]), and who was being served is
//! told that it is not known.
//!
//! *Invariant*: a row holds hashes and chains, never a token. *Invariant*: the count of revocations is raised between
//! commit and acknowledgement. *Invariant*: an error is never "there is none".

mod chain;
mod count;
mod error;
mod limits;
mod listing;
mod place;
mod postgres;
mod reader;
mod refresh;
mod rows;
mod schema;
mod sqlite;
mod store;
mod users;
mod writer;

pub use error::{Failure, OpenError, Step};
pub use limits::*;
pub use listing::{After, Listed, Listing, Page};
pub use place::{forget, named};
pub use postgres::{News, Postgres, Renewed};
pub use sqlite::Sqlite;
pub use store::{Answer, RefreshAsk, Refreshed, Revoked, Store};
pub use users::{User, UserChange};
