//! Every bound of waiting and repeating, with its reason.

/// Requests that may wait in one worker: more than a machine's users send while a program restarts.
pub const WAITING_MAX: u32 = 10_000;
/// Bytes that they may take in one worker: 10,000 requests with an ordinary head.
pub const WAITING_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Share of either that one client may take, so that nobody fills the queue alone.
pub const CLIENT_SHARE_PERCENT: u64 = 25;
/// Requests that are sent again after the program had read them, at most: one for the crash they met, one more in case
/// that they met another's crash.
pub const REPEATS_MAX: u8 = 2;
/// Unanswered requests that a program which has just become ready gets at once.
pub const WINDOW_FIRST: u32 = 8;
/// Ceiling of that window, which grows by one with each answer.
pub const WINDOW_MAX: u32 = 256;
/// A full window in which no request was answered for so long is given up for one twice as wide: eight slow requests
/// must not hold everybody up.
pub const WINDOW_STILL_MS: u64 = 1_000;
/// A probe is waited for so long at most: it may be a client whose body trickles in before the connect.
pub const PROBE_ALONE_MS: u64 = 1_000;
/// First wait after a failed connect: a crashed program is back within tens of milliseconds.
pub const PROBE_FIRST_MS: u64 = 5;
/// Longest wait between two tries to connect.
pub const PROBE_MAX_MS: u64 = 100;
/// A suspect has the program for itself for so long at most; a request that kills does it at once, and a slow one
/// must not hold everybody up.
pub const SUSPECT_ALONE_MS: u64 = 1_000;
/// `Retry-After` of a request that waited too long or found no room: the program is on its way.
pub const RETRY_SOON_S: u32 = 1;
/// `Retry-After` while a program is down: somebody has to act first.
pub const RETRY_DOWN_S: u32 = 5;
