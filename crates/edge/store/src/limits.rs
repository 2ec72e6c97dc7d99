//! Every bound of this crate, with its unit in the name and its reason.

/// A group of writes gathers no longer than this before it is committed.
pub const GROUP_MS_MAX: u64 = 2;
/// Writes in one commit: bounds the time that the first of them waits for the last.
pub const GROUP_WRITES_MAX: usize = 512;
/// Writes that may wait for the writer. More is refused (503): the disk does not keep up.
pub const QUEUE_WRITES_MAX: usize = 16_384;
/// Last-seen writes wait for others this long. A crash costs them; see `session::Touch`.
pub const TOUCH_BATCH_MS: u64 = 10_000;
/// Last-seen writes that wait: beyond it they are written at once, memory stays bounded.
pub const TOUCHES_MAX: usize = 65_536;
/// How long a reader waits for a lock: readers run on the gateway's own threads.
pub const READ_WAIT_MS: u64 = 250;
/// How long the writer waits for another process that writes (a command).
pub const WRITE_WAIT_MS: u64 = 5_000;
/// How long the first revocation waits after the file of the count was replaced: every process looks for that several times
/// meanwhile ([`Store::tend`](crate::Store::tend)).
pub const COUNT_SETTLES_MS: u64 = 1_000;
/// How often a process has to call [`Store::tend`](crate::Store::tend), at least.
pub const TEND_MS_MAX: u64 = 300;
/// Accounts in one listing.
pub const LIST_ROWS_MAX: usize = 10_000;
/// Rows that one sweep deletes: the next one takes the rest, sign-ins do not wait for it.
pub const SWEEP_ROWS_MAX: usize = 5_000;
