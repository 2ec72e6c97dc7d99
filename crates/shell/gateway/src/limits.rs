//! Every bound of the shell, with its reason. What an operator may change stands in [`routes::Listener`].

/// The head, with the body if both fit, that one send may carry for the kernel to prove it unread: servers read at
/// least a page at once, so a part of it cannot be left behind by one that has read it.
pub(crate) const SEND_PROOF_BYTES_MAX: usize = 4 * 1024;
/// Answers with a length up to this are read whole before the client gets a byte, so that a crash between head and body
/// can still be repeated (uvicorn writes them apart).
pub(crate) const WHOLE_ANSWER_BYTES_MAX: u64 = 16 * 1024;
/// Most of a request's body that is read while it waits.
pub(crate) const PARKED_BODY_BYTES_MAX: usize = 64 * 1024;
/// What a waiting request costs beside its bytes: its task, timer and place in the queue.
pub(crate) const PARKED_OVERHEAD_BYTES: u64 = 4 * 1024;
/// Buffer of a streamed body, each way: a socket's default buffer is not much larger.
pub(crate) const STREAM_BYTES: usize = 64 * 1024;
/// First size of a client's buffer: nearly all heads fit.
pub(crate) const CLIENT_BYTES_FIRST: usize = 4 * 1024;
/// First size of an upstream's buffer: a whole small answer with its head.
pub(crate) const UPSTREAM_BYTES_FIRST: usize = 20 * 1024;
/// Informational answers (102, 103) that are passed on for one request, over all its attempts; programs send one or two,
/// and what is beyond is dropped: they are hints.
pub(crate) const INTERIM_MAX: u8 = 8;
/// Bytes of those together: a page's links to preload, several times over.
pub(crate) const INTERIM_BYTES_MAX: usize = 8 * 1024;
/// Bytes of pipelined requests that are read ahead while an answer is awaited: enough to see a hang-up.
pub(crate) const AHEAD_BYTES_MAX: usize = 4 * 1024;
/// Buffers kept for the next connection; more are given back to the allocator.
pub(crate) const SPARE_BUFFERS_MAX: usize = 64;

/// Idle upstream connections are not used after this: servers close theirs at 2 to 6 s.
pub(crate) const UPSTREAM_IDLE_MS_MAX: u64 = 1_500;
/// Idle upstream connections kept per slot: more than the largest release window is never needed.
pub(crate) const UPSTREAM_IDLE_MAX: usize = 256;
/// Connect over TCP; a Unix socket answers at once.
pub(crate) const CONNECT_MS_MAX: u64 = 3_000;
/// Pauses between two questions whether an upstream is ready, first and longest; between them, the part of the time waited
/// so far that a pause is: as a keeper asks a program.
pub(crate) const READY_PAUSE_MS: (u64, u64) = (20, 1_000);
/// See [`READY_PAUSE_MS`].
pub(crate) const READY_PAUSE_PART: u64 = 8;
/// One question may take this long.
pub(crate) const READY_TRY_MS: u64 = 5_000;
/// A body (either way) has to move on within this time, by at least [`BODY_PROGRESS_BYTES_MIN`].
pub(crate) const BODY_PROGRESS_MS: u64 = 30_000;
/// See [`BODY_PROGRESS_MS`]: slower than the slowest modem is an attack or a dead peer.
pub(crate) const BODY_PROGRESS_BYTES_MIN: usize = 4 * 1024;
/// A WebSocket or an event stream on which nothing moves; apps ping at most every few minutes.
pub(crate) const STREAM_IDLE_MS_MAX: u64 = 3_600_000;
/// Lingering close: how long the client's last bytes are read and dropped, so that no reset overtakes the answer.
pub(crate) const LINGER_MS: u64 = 2_000;
/// Lingering close: how many of them.
pub(crate) const LINGER_BYTES_MAX: usize = 512 * 1024;

/// The body of a request to the API of sessions: names, passwords and tokens are short.
pub(crate) const API_BODY_BYTES_MAX: u64 = 64 * 1024;
/// The same as it is sent: chunks of a few bytes cost as much again.
pub(crate) const API_RAW_BYTES_MAX: usize = 2 * 64 * 1024;
/// A store has to answer within this time, or the answer is *unknown*: clients give up after 10 s or so.
pub(crate) const STORE_MS_MAX: u64 = 5_000;
/// Tokens for programs that are kept for a moment, per program, twice this at most: about 2 MB. A worker that serves
/// more sessions than this within seconds signs for each request, as without it.
pub(crate) const MINTED_MAX: usize = 4096;
/// Between two looks at the sessions of open streams.
pub(crate) const LOOK_MS_MIN: u64 = 250;
/// Bytes of a client's nonce: two UUIDs fit.
pub(crate) const NONCE_BYTES_MAX: usize = 64;

/// One client has this part of a worker's connections at most, as of the places to wait: proxies and this machine, which
/// speak for others, are not counted.
pub(crate) const CLIENT_SHARE: usize = 4;

/// The coarse clock: time-outs of seconds need no better, and an idle worker does not tick.
pub(crate) const TICK_MS: u64 = 100;
/// Pause of accept when descriptors or memory are used up.
pub(crate) const ACCEPT_PAUSE_MS: u64 = 100;
/// A worker counts as started after this time even if a keeper does not answer.
pub(crate) const SUBSCRIBE_MS_MAX: u64 = 1_000;
/// First and longest pause before a keeper is connected again.
pub(crate) const RECONNECT_MS: (u64, u64) = (10, 1_000);
/// Frames of one keeper that are acted on before others have their turn.
pub(crate) const FRAMES_AT_ONCE_MAX: u32 = 64;
/// Counts go to a keeper at most twice a second.
pub(crate) const COUNTS_MS_MIN: u64 = 500;
/// Notes of failed requests per second; the rest is only counted.
pub(crate) const NOTES_PER_SECOND_MAX: u32 = 20;
/// Bytes of a path in a note.
pub(crate) const NOTE_PATH_BYTES_MAX: usize = 200;
/// Bytes of the largest configuration.
pub(crate) const CONFIG_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A worker that a bug left with torn state ends after this at the latest: most answers are given by then, and who connects
/// meanwhile waits no longer than that.
pub(crate) const TORN_MS_MAX: u64 = 1_000;
/// Between two looks at whether all connections of a worker that is being replaced have gone.
pub(crate) const LEAVE_LOOK_MS: u64 = 20;
