//! The table: what becomes of a request in each stage at each event.

use crate::limits::{RETRY_DOWN_S, RETRY_SOON_S};

/// How far a request got; the columns of the design's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// In the queue, or released and not sent yet.
    Waiting,
    /// One send over a Unix socket, and no proof that it was read.
    Sent,
    /// The program may have read it.
    Handed,
    /// The client has the first byte of the final head.
    Begun,
    /// A WebSocket or an event stream.
    Stream,
    /// Answered, aborted, ended or left.
    Over,
}

/// How a connection ended, as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A Unix socket was reset after one send and before any answer: the program has not read the request. `fresh`: the
    /// connection was opened for this request, so the program accepts and drops; the next try waits a little.
    Unread {
        /// See above.
        fresh: bool,
    },
    /// End of file, a reset after a second send, or TCP: the program may have read it.
    Read,
}

/// What happened to a request, or to its program; the rows of the design's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// There is no connection to be had (ENOENT, ECONNREFUSED, EAGAIN, a time-out of connect).
    ConnectFailed,
    /// The connection ended before the answer was complete.
    Ended(Proof),
    /// A new generation is current; the old one finishes.
    Overlap,
    /// The program is drained for a restart.
    HoldDrain,
    /// An operator stopped the program, its window is over, or it is FATAL.
    Down(Why),
    /// The hold or a bound of waiting is reached.
    Bound(Why),
    /// The program answered with a 5xx of its own.
    OwnError,
    /// The program answered with something that is not HTTP.
    BadAnswer,
    /// No answer in time, or no progress of a body.
    TimedOut,
    /// The client has gone.
    ClientGone,
    /// This worker is being replaced.
    Leaving,
    /// This worker's time is over.
    LeaveOver,
}

/// Whether a request that was handed over may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// Its method allows it, its body is still there, and it was not repeated too often.
    May,
    /// It was repeated as often as allowed: it probably kills the program.
    Spent,
    /// Its method does not allow it, or its body is gone.
    Never,
}

/// Where in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before all others: it was released once.
    Front,
    /// In the order of arrival.
    Back,
}

/// An answer of ours instead of the program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// 502: the program had read it when it ended.
    MayHaveRun,
    /// 502: the program ended each time that it was given this request.
    Spent,
    /// 502: the program's answer is not HTTP.
    BadAnswer,
    /// 503: it waited as long as it may.
    HoldOver,
    /// 503: too many wait.
    NoRoom,
    /// 503: an operator stopped the program, or it ended and is not started again.
    Stopped,
    /// 503: the program does not start.
    Fatal,
    /// 503: this worker's time is over.
    Leaving,
    /// 504: no answer in time.
    TimedOut,
}

impl Why {
    /// HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Why::MayHaveRun | Why::Spent | Why::BadAnswer => 502,
            Why::HoldOver | Why::NoRoom | Why::Stopped | Why::Fatal | Why::Leaving => 503,
            Why::TimedOut => 504,
        }
    }

    /// Seconds for `Retry-After`.
    pub fn retry_after_s(self) -> Option<u32> {
        match self {
            Why::MayHaveRun | Why::Spent | Why::BadAnswer | Why::TimedOut => None,
            Why::HoldOver | Why::NoRoom | Why::Leaving => Some(RETRY_SOON_S),
            Why::Stopped | Why::Fatal => Some(RETRY_DOWN_S),
        }
    }

    /// One line for the client and for the note in the log.
    pub fn text(self) -> &'static str {
        match self {
            Why::MayHaveRun => "the program ended while it had this request; it may have run",
            Why::Spent => "the program ended each time it was given this request",
            Why::BadAnswer => "the program's answer is not valid HTTP",
            Why::HoldOver => "the program is not ready yet; this request waited as long as it may",
            Why::NoRoom => "the program is not ready yet, and too many requests wait already",
            Why::Stopped => "the program is stopped",
            Why::Fatal => "the program does not start",
            Why::Leaving => "this gateway is being replaced; try again",
            Why::TimedOut => "the program did not answer in time",
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send it to this slot now.
    Forward(usize),
    /// It waits.
    Park(Place),
    /// It waits at the front, and one of its repeats is used up.
    Repeat,
    /// It goes on as it is.
    Stay,
    /// Answer in the program's place.
    Answer(Why),
    /// Cut the client's connection: a broken answer must not look whole.
    Abort,
    /// End the stream to the client as cleanly as its protocol allows.
    EndStream,
    /// Nobody wants the answer: out of the queue, the program's connection is closed.
    Leave,
}

/// The table. Every pair is decided here and nowhere else.
pub fn decide(stage: Stage, event: Event, repeats: Repeats) -> Verdict {
    use Event as E;
    use Stage as S;
    match (stage, event) {
        // A request that waits, or was not sent yet.
        (S::Waiting, E::ConnectFailed | E::Ended(_)) => Verdict::Park(Place::Front),
        // Its release finds the new generation, or the one that starts after the drain.
        (S::Waiting, E::Overlap | E::HoldDrain | E::Leaving) => Verdict::Stay,
        (S::Waiting, E::Down(why) | E::Bound(why)) => Verdict::Answer(why),
        (S::Waiting, E::OwnError | E::BadAnswer | E::TimedOut) => Verdict::Stay,
        (S::Waiting, E::LeaveOver) => Verdict::Answer(Why::Leaving),

        // Sent, and not known to be read: the outcome on its connection is the truth.
        (S::Sent, E::Ended(Proof::Unread { .. }) | E::ConnectFailed) => Verdict::Park(Place::Front),
        (S::Sent | S::Handed, E::Ended(Proof::Read)) => match repeats {
            Repeats::May => Verdict::Repeat,
            Repeats::Spent => Verdict::Answer(Why::Spent),
            Repeats::Never => Verdict::Answer(Why::MayHaveRun),
        },
        // It finishes within drain_timeout; what the keeper cuts then ends its connection, which is the row above.
        (
            S::Sent | S::Handed,
            E::Overlap | E::HoldDrain | E::Down(_) | E::Bound(_) | E::Leaving,
        ) => Verdict::Stay,
        (S::Sent | S::Handed, E::OwnError) => Verdict::Stay,
        (S::Sent | S::Handed, E::BadAnswer) => Verdict::Answer(Why::BadAnswer),
        (S::Sent | S::Handed, E::TimedOut) => Verdict::Answer(Why::TimedOut),
        (S::Sent | S::Handed, E::LeaveOver) => Verdict::Answer(Why::MayHaveRun),

        // Handed over: an answer was under way or the kernel cannot tell, so "unread" is no proof any more.
        (S::Handed, E::Ended(Proof::Unread { .. }) | E::ConnectFailed) => match repeats {
            Repeats::May => Verdict::Repeat,
            Repeats::Spent => Verdict::Answer(Why::Spent),
            Repeats::Never => Verdict::Answer(Why::MayHaveRun),
        },

        // The client has the beginning of an answer.
        (S::Begun, E::Ended(_) | E::BadAnswer | E::TimedOut | E::LeaveOver) => Verdict::Abort,
        (S::Begun, E::ConnectFailed | E::Overlap | E::HoldDrain | E::Down(_)) => Verdict::Stay,
        (S::Begun, E::Bound(_) | E::OwnError | E::Leaving) => Verdict::Stay,

        // A WebSocket or an event stream: it never holds a restart up.
        (S::Stream, E::Ended(_) | E::HoldDrain | E::Down(_) | E::TimedOut | E::LeaveOver) => {
            Verdict::EndStream
        }
        (S::Stream, E::BadAnswer) => Verdict::Abort,
        (S::Stream, E::ConnectFailed | E::Overlap | E::Bound(_) | E::OwnError | E::Leaving) => {
            Verdict::Stay
        }

        (S::Waiting | S::Sent | S::Handed | S::Begun | S::Stream, E::ClientGone) => Verdict::Leave,

        // Nothing happens to what is over.
        (
            S::Over,
            E::ConnectFailed
            | E::Ended(_)
            | E::Overlap
            | E::HoldDrain
            | E::Down(_)
            | E::Bound(_)
            | E::OwnError
            | E::BadAnswer
            | E::TimedOut
            | E::ClientGone
            | E::Leaving
            | E::LeaveOver,
        ) => Verdict::Stay,
    }
}
