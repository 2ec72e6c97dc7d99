//! What a bug of ours may cost: those who were being served, and nobody after them.
//!
//! ```text
//!  panic ──► told, where and in what ([`tell`]) ──► unwinds ──┬── one connection, one write: that ends, nothing else
//!                                                             └── what serves for good: made again ([`again`], [`keep`])
//! ```
//! A thread or task that ended by a panic would leave the process half alive: it verifies, and nobody can sign in; or it
//! serves who is connected, and accepts nobody. So whatever serves for good is started again, at once, and a panic that
//! comes back within [`RESTART_MS`] waits for the rest of that. What it shares with others has to be as good after a
//! panic as before; where that is not so, the process has to end instead (the gateway's `torn`).

mod again;
mod told;

pub use again::{Pause, RESTART_MS, again, keep};
pub use told::tell;
