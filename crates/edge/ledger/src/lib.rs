//! What happened: every start and end of every process, with its reason, kept over restarts of everything.
//!
//! ```text
//!   keeper ──Happened──▶ daemon ──append──▶ state_dir/ledger.jsonl ──at 4 MiB──▶ ledger.jsonl.1
//!            ◀─Acknowledge─┘ (only after the append)             └──read──▶ history, explain
//! ```
//! One line is one [`Entry`] in JSON with a version, so that `tail -f`, `jq` and a build of last year can read
//! it. The file is 0600: it holds command lines and last words of programs. Values that look like secrets are
//! masked on the way in ([`finding::mask_line`]), so that no reader has to remember to do it.
//!
//! **Exactly once.** A keeper sends a transition until it is acknowledged, and the daemon may die between the
//! append and the acknowledgement. The ledger therefore knows the last `(keeper, seq)` of every slot, finds it
//! again when it is opened, and [`Ledger::append`] answers [`Written::Known`] to a repetition.
//!
//! **No fsync per line.** What a crash of the daemon (or of everything but the kernel) must not lose is safe in
//! the page cache once `write` returned. Only a power failure loses the last seconds, and it takes keepers, pids
//! and programs along. An fsync would hold the daemon's loop for as long as a busy disk likes, in the middle of
//! a restart, to save lines about processes that no longer exist. [`Ledger::sync`] is called at shutdown and
//! before a rotation.
//!
//! *Invariant*: only one process, the daemon, writes; any process that may read the file can read at any time.

mod entry;
mod explain;
mod file;
mod history;
mod read;
mod segments;
mod words;

pub use entry::{Entry, Happened, Keeper, LINE_VERSION, Mark, TEXT_BYTES_MAX, What};
pub use explain::{Memory, Now, explain};
pub use file::{Ledger, Written};
pub use history::history;
pub use read::{Filter, LINE_BYTES_MAX, read};
pub use segments::{FILE_BYTES_MAX, FILE_NAME};
pub use words::{Zone, ago, duration};

#[cfg(test)]
mod tests;
