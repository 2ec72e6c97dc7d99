//! The promise, shown: a sample web app, load against it, faults, and the table that says whether it held.
//!
//! ```text
//!   demo ── installation ── `steadfast run -c …` as a child, in a directory of its own
//!     ├── load ── client        users in a thread of their own; every request is logged with its end
//!     ├── fault                 one strike at a time, each waits until it is over
//!     └── report                strikes + log + effects of the app -> table, JSON, verdict
//!   app                         the supervised program itself: another process, same binary
//! ```
//! The storm uses Steadfast from outside only: its command line, signals, HTTP. It shares no state with what it
//! tests, so it would work the same against a real backend; the integration tests use `installation`, `load`
//! and `client` with a real uvicorn.
//!
//! *Invariant*: nothing here prints. Text goes to the writer that the caller hands in.

pub mod app;
pub mod client;
pub mod demo;
pub mod fault;
pub mod installation;
pub mod load;
pub mod ports;
pub mod procfs;
pub mod report;
pub mod wait;
