//! One request: may it wait, may it be repeated, when is it released.
//!
//! The gateway promises that nobody notices a restart, and that no effect happens twice. Both are decided here,
//! without sockets and without a clock: the shell tells what happened ([`Event`]) and does what it is told
//! ([`Verdict`]). A request is always in one of these stages:
//!
//! ```text
//!                      ┌──────────────── unread: any method ───────────────┐
//!                      ▼                                                   │
//!  arrives ──queue── Waiting ──release──► (connect) ──one send, ≤ 4 KiB──► Sent
//!     │                ▲  │                    │                           │ second send, EOF,
//!     │ gate open,     │  │ 503                │ over TCP, or > 4 KiB      │ or answer byte
//!     │ queue empty    │  ▼                    ▼                           ▼
//!     └────────────────┼─Over ◄──504, 502─── Handed ◄──────────────────────┘
//!                      │                       │  │
//!                      └─repeatable, < 2 times─┘  │ first byte of the final head went to the client
//!                                                 ▼
//!                                     Begun (abort when broken) / Stream (WebSocket, event stream: ended)
//! ```
//! * [`table`] is the table of the design, one `match` over every (stage, event) pair.
//! * [`Program`] is the queue of one target with its pace, its suspects and its view of the keepers' words.
//! * [`Room`] bounds what waits in the whole worker.
//!
//! *Invariants*, checked by random event sequences: a request ends exactly once; a request that may not be repeated
//! is never sent again after the program had read it; never two suspects are handed over at once; nobody passes a
//! queue that is not empty, save for suspects in it that wait for another; the bounds hold.

mod drains;
mod limits;
mod pace;
mod program;
mod request;
mod room;
pub mod table;
mod view;

pub use drains::Drained;
pub use limits::*;
pub use program::{Key, Program, Turn};
pub use request::Request;
pub use room::{Client, Room};
pub use table::{Event, Place, Proof, Repeats, Stage, Verdict, Why, decide};
pub use view::{Gate, Slot};
