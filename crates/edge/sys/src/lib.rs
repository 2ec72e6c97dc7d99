//! The only unsafe code of Steadfast: fork, exec, signals, descriptor passing, user lookups.
//!
//! *Invariant*: every other crate denies `unsafe_code`. What stands here is mechanism only; who is started,
//! stopped or killed, and when, is decided elsewhere.
#![allow(unsafe_code)]

pub mod clock;
pub mod dumps;
pub mod fds;
pub mod files;
pub mod heap;
pub mod memfd;
pub mod named;
pub mod proc;
pub mod seq;
pub mod shared;
pub mod signal;
pub mod spawn;
pub mod syslog;
pub mod users;
pub mod writers;
