//! Supervisor's event system: what events there are, what a listener and we say to each other, who gets what.
//!
//! ```text
//!   program ── output ──> tap ── PROCESS_LOG, PROCESS_COMMUNICATION ──┐
//!   keeper ── transitions ── PROCESS_STATE ───────────────────────────┤
//!   daemon ── TICK, PROCESS_GROUP, REMOTE_COMMUNICATION, … ───────────┴──> hub ──> pool: buffer ──┐
//!                                                                                                │ header + payload
//!   listener's stdout ── READY, RESULT 2, OK ──> conversation ──> the keeper's word to the hub   ▼
//!                                                                                      listener's stdin
//!
//!             READY\n                       an event                    RESULT 2\nOK
//!   ACKNOWLEDGED ──────────> READY ──────────────────────> BUSY ──────────────────────> ACKNOWLEDGED
//!        └── anything else ──> UNKNOWN <── anything ──┘      └── a line without a number ──> UNKNOWN
//! ```
//! Two halves. The [`Conversation`] is kept where the listener is kept, by its keeper, so a daemon may die in the middle of
//! an event: the keeper knows which one is in work and how the last one ended. The [`Hub`] has serials, pools and buffers
//! and belongs to the daemon, which writes its [`Snapshot`] down.
//!
//! *Invariant*: nothing here reads a clock or a descriptor. *Invariant*: whatever a listener writes, what is kept of it is
//! bounded ([`LINE_BYTES_MAX`]); an event is in one place: a buffer, or one listener's hands.

mod conversation;
mod event;
mod hub;
mod kind;
mod tap;

pub use conversation::{Conversation, Heard, LINE_BYTES_MAX, ListenerState};
pub use event::{Event, envelope, text};
pub use hub::{Ended, Entry, How, Hub, PoolDef, Snapshot, Step};
pub use kind::{Kind, Kinds};
pub use tap::{Piece, Tap, strip_ansi};
