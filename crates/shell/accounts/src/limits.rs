//! Every bound of this crate, with its unit in the name and its reason.

/// Verdicts that are remembered, per half of the cache: two halves of 32768 rows are about 20 MB in each worker.
pub(crate) const CACHE_ENTRIES_MAX: usize = 32_768;
/// How often a store that did not open is tried again (it comes back by itself, and nobody waits long for it), and how
/// often an open one is asked whether sessions ended: what closes WebSockets and event streams.
pub(crate) const LOOK_MS: u64 = 250;
/// Long-lived connections are looked at once more after this, for sessions end by time as well.
pub(crate) const NEWS_MS: u64 = 60_000;
/// Tokens of other stores make us look at ours this often at most: a look is a file that is opened, 0.4 ms.
pub(crate) const STRANGER_MS_MIN: u64 = 25;
/// How often a lease is renewed and the store's identity is looked at: several times in a lease.
pub(crate) const TEND_MS: u64 = 1_000;
/// Sessions on one page of the API's list: reading one costs its worker some microseconds, and nobody else waits for more
/// than a millisecond or two.
pub(crate) const PAGE_ROWS_MAX: usize = 500;
/// Sessions that a command reads at once: nobody waits for it, and fewer questions are quicker.
pub(crate) const COMMAND_ROWS_MAX: usize = 10_000;
/// How often what is over is deleted.
pub(crate) const SWEEP_MS: u64 = 60 * 60 * 1000;
/// The first sweep waits for the rush after a start.
pub(crate) const FIRST_SWEEP_MS: u64 = 60_000;
