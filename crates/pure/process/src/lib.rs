//! One slot: the life-cycle of the process that a keeper keeps, as a pure machine.
//!
//! ```text
//!             Start                 lived startsecs / check passed
//!   Down ───────────► Up (STARTING) ───────────────────► Up (RUNNING) ──┐ overlap: `next` is started beside
//!    ▲  ▲               │ exit, not ready                   │  │        │ it; ready ► becomes current, the
//!    │  │               ▼                                   │  │ exit   │ old one is `leaving`: drained, then
//!    │  └─ FATAL ◄─ Waiting (BACKOFF, or EXITED until the   │  ▼        │ stopped
//!    │              gap is over) ◄──────────────────────────┼─ autorestart
//!    │                                                      ▼ Stop, Restart, unhealthy
//!    └──────────── Stopping (signal, SIGKILL later) ◄── Draining (gateways finish what is in flight)
//! ```
//! The meanings of the states are Supervisor's ("Process States" in its manual, `supervisor/process.py`):
//! RUNNING after `startsecs`, BACKOFF when it ended before, FATAL after `startretries`, EXITED otherwise.
//! With a readiness check RUNNING means ready. What differs, and why: the pause before a start is counted from
//! the last *start* (`max(exit, start + gap)`), so a program that ran for a while is back in milliseconds
//! while one that dies at once still cannot spin. Nor can one that is ready and unhealthy at once: it waits for the
//! same pause, STOPPED.
//!
//! *Invariant*: no clock, process, socket or random number is known here. [`handle`] takes an event and the
//! time and returns [`Effect`]s; [`Slot::next_timer`] is the only reason to call it without an event.

mod end;
mod fact;
mod life;
mod overlap;
mod ready;
mod slot;
mod start;
mod stop;
mod table;

pub use slot::{CheckMode, Effect, Event, Now, Slot};
pub use table::{KILLING, handle};
