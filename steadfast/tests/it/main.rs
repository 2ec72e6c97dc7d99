//! The promise, shown on real parts: the whole binary, real uvicorn, gunicorn and Node, the real supervisorctl
//! and supervisord, users under load. See `harness` for what a test stands on.
//!
//! `cargo xtask test` makes the venv that they need. STEADFAST_LONG=1 makes the load tests as long as the
//! figures in the README were measured (24 s each instead of 8 s).

mod asked_for;
mod bad_input;
mod compatibility;
mod console;
mod crashes;
mod differential;
mod events;
mod gateway;
mod harness;
mod json;
mod kept;
mod keys;
mod listens;
mod manners;
mod people;
mod pid1;
mod replace;
mod restarts;
mod signed_in;
mod stores;
mod storm_itself;
mod systemd;
mod users;
