//! Root and keeper: the two roles that must not fail. No async runtime, no serde, one thread each.
//!
//! ```text
//!   root    PID 1 in a container. Forks the daemon (exec) and the keepers (no exec), reaps, forwards signals,
//!           holds duplicates of the listeners. Decides nothing.
//!   keeper  one per slot, forked from root without exec (so a thousand of them share their pages): keeps the
//!           process, its pipes and logs, its listeners, its checks, its life-cycle machine (`process`).
//! ```
//! Both are a loop of *wait, translate, decide, act* over poll(2). Whatever the daemon does, however often it
//! dies, a keeper goes on; whatever happens to root outside a container, a keeper goes on.
//!
//! *Invariant*: nothing here opens a network listener, looks up a user, or parses JSON or supervisord.conf.

mod checks;
mod drains;
mod format;
mod keeper;
mod links;
mod logs;
mod notify;
mod plain;
mod probe;
mod prove;
mod root;
mod start;
mod syslog;

pub use keeper::{KeeperOptions, run as run_keeper};
pub use root::{RootOptions, Starter, run as run_root};
