//! Every bound of this crate, with its unit in the name and its reason.

/// A token is at most so long; longer text is refused unread, so that nobody makes us decode megabytes.
pub const TOKEN_BYTES_MAX: usize = 192;
/// A realm's name is at most so long: it is one word of a configuration.
pub const REALM_BYTES_MAX: usize = 64;
/// A user id is at most so long: e-mail addresses end at 254.
pub const USER_BYTES_MAX: usize = 256;
/// What is remembered of a client's context (address, agent): enough to recognise a device in a list.
pub const CONTEXT_BYTES_MAX: usize = 256;
/// A session without activity ends after this: two weeks, so that a holiday signs nobody out.
pub const IDLE_MS_DEFAULT: u64 = 14 * DAY_MS;
/// A session ends after this whatever happens; also the cookie's Max-Age. Browsers cap cookies at 400 days.
pub const ABSOLUTE_MS_DEFAULT: u64 = 90 * DAY_MS;
/// Expiry is judged this much late: last-seen writes are batched, and machines differ by seconds.
pub const LEEWAY_MS: u64 = 60_000;
/// Last-seen is renewed only when it is this old: one write a minute for the busiest client. Not above [`LEEWAY_MS`].
pub const TOUCH_MS_MIN: u64 = 30_000;
/// A last-seen that ends a longer pause than this is not batched: what a crash may cost stays below [`LEEWAY_MS`].
pub const TOUCH_AT_ONCE_MS_MIN: u64 = 45_000;
/// Wall clock and monotonic clock further apart than this: expiry is frozen until they agree.
pub const DRIFT_MS_MAX: u64 = 60_000;
/// A store that has seen times further ahead than this of a plausible clock has seen a wrong clock: 400 days, longer than
/// machines are switched off.
pub const AHEAD_MS_MAX: u64 = 400 * 24 * 60 * 60 * 1000;
/// 2026-01-01. A clock that is earlier was not set: this program is not so old.
pub const PAST_MS: u64 = 1_767_225_600_000;
/// Small differences are followed this often at most, so that slewing never adds up to a freeze.
pub const FOLLOW_MS_MIN: u64 = 60_000;
/// Expired and ended rows are kept this long: a clock that was wrong for a week costs nobody a session.
pub const SWEEP_LATE_MS: u64 = 7 * DAY_MS;
/// Without a lease a cached verdict is used at most this long.
pub const STALE_MS_MAX: u64 = 15 * 60_000;
/// A gateway's lease on its cache: how long a revocation waits for a gateway that does not confirm.
pub const LEASE_MS: u64 = 5_000;
/// Parents that a rotating session remembers: a client's storage may be that many generations old.
pub const PAST_MAX: usize = 4;
/// People whom a browser is known for: a family; each is 70 bytes of a cookie that every request brings.
pub const DEVICE_USERS_MAX: usize = 4;
/// Session cookies that one request can end: browsers hold one, whoever plants some needs few.
pub const COOKIES_MAX: usize = 8;
/// A program's token lives this long: it is made at dispatch.
pub const JWT_LIFE_S: u64 = 300;
/// A program's token is sent along with further requests of its session for this long: a page's requests cost one
/// signature, and a program has at least [`JWT_LIFE_S`] less this for its answer.
pub const JWT_REUSE_S: u64 = 10;
/// `iat` lies this far back: PyJWT refuses one in the future, and programs may run on another clock.
pub const JWT_BACK_S: u64 = 60;
/// A JWT longer than this is passed on unread: no header of that length reaches a program anyway.
pub const JWT_BYTES_MAX: usize = 8 * 1024;
/// Keys in a ring: the one that signs and those that verify until their last token expired.
pub const KEYS_MAX: usize = 9;
/// Claims that a program may ask for beside the standard ones.
pub const CLAIMS_MAX: usize = 16;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const _: () = assert!(
    TOUCH_MS_MIN < TOUCH_AT_ONCE_MS_MIN && TOUCH_AT_ONCE_MS_MIN < LEEWAY_MS,
    "a client in use must not expire between two last-seen writes"
);
