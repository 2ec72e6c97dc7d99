//! Supervisor's remote interface, both ends of it: what its clients talk to, and its client.
//!
//! ```text
//!   supervisorctl (real or [`ctl`]) ──XML-RPC over HTTP──▶ [`serve`] ── [`methods`] ──▶ control::Control
//!   xmlrpc.client, other tools        Unix socket or TCP     limits,      names, states,     (the daemon)
//!                                                            password     faults
//! ```
//! This room only translates. What a command does is decided in the daemon, behind the same [`control::Control`]
//! that `steadfast` itself uses; what is decided here is what Supervisor would *say*: which name means what, which
//! fault has which number and text. It was written from Supervisor 4.3.0's own source and is held to it by tests
//! with the real `supervisorctl`, Python's `xmlrpc.client`, and the real supervisord beside it.
//!
//! *Invariant*: nothing is looked up by a name from outside but in the table of methods and in the list of
//! processes. *Invariant*: no body, head, depth, count, connection or time without a bound.

pub mod command;
pub mod ctl;
pub mod flags;
mod getopt;
pub mod logfile;
pub mod methods;
pub mod names;
mod server;
pub mod xmlrpc;

pub use ctl::{Answered, pid_at, repr};
pub use server::{
    Auth, BODY_MS_MAX, CONNECTIONS_MAX, FOLLOWERS_MAX, HEAD_BYTES_MAX, HEAD_MS_MAX, Listener, serve,
};
