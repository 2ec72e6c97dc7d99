//! What can fail, one name for each step.

use session::Alarm;
use std::fmt;

/// What we were doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Making or reading the directory's files.
    Files,
    /// Opening the database.
    Open,
    /// Changing its tables to this version's.
    Migrate,
    /// Reading rows.
    Read,
    /// Writing rows.
    Write,
    /// Making them durable.
    Commit,
    /// Raising the count of revocations.
    Count,
    /// Handing the write to the writer: its queue is full or it has ended.
    Queue,
}

impl Step {
    const fn text(self) -> &'static str {
        match self {
            Self::Files => "cannot use the files of the session store",
            Self::Open => "cannot open the session store",
            Self::Migrate => "cannot bring the session store to this version",
            Self::Read => "cannot read sessions",
            Self::Write => "cannot write sessions",
            Self::Commit => "cannot make sessions durable",
            Self::Count => "cannot tell gateways of a revocation",
            Self::Queue => "cannot keep up with writing sessions",
        }
    }
}

/// A step failed. Whoever asked says *unknown* (503); nothing was acknowledged, although it may have been written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What we were doing.
    pub step: Step,
    /// What the system or SQLite said.
    pub detail: String,
}

impl Failure {
    pub(crate) fn new(step: Step, detail: impl fmt::Display) -> Self {
        Self {
            step,
            detail: detail.to_string(),
        }
    }

    /// For `map_err`: whoever was to answer has panicked.
    pub(crate) fn cut_short<E>(step: Step) -> impl Fn(E) -> Self {
        let text = "a bug of ours cut this short; the gateway's log says where";
        move |_| Self::new(step, text)
    }

    /// For `map_err`.
    pub(crate) fn at<E: fmt::Display>(step: Step) -> impl Fn(E) -> Self {
        move |error| Self::new(step, error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step.text(), self.detail)
    }
}

impl std::error::Error for Failure {}

/// Why a store was not opened. Both mean *unknown* for every token, and both may pass: open again later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenError {
    /// What stands there cannot be believed, until it is back or forgotten by command.
    Distrusted {
        /// What is wrong.
        alarm: Alarm,
        /// Which one is configured: the file, or `postgres HOST:PORT/DATABASE`.
        store: String,
        /// The store that was expected or found, or what SQLite said.
        detail: String,
    },
    /// The system said no.
    Failed(Failure),
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Distrusted {
                alarm,
                store,
                detail,
            } => {
                let what = match alarm {
                    Alarm::Missing => "is missing",
                    Alarm::Empty => "has lost its sessions",
                    Alarm::Foreign => "is another store than before",
                    Alarm::Unreadable => "cannot be read",
                };
                write!(f, "the session store {store} {what} ({detail}). ")?;
                f.write_str(match alarm {
                    Alarm::Missing | Alarm::Foreign => {
                        "Bring the old one back (was `store` changed?), or sign everyone out with: "
                    }
                    Alarm::Empty | Alarm::Unreadable => {
                        "Bring it back, or sign everyone out with: "
                    }
                })?;
                f.write_str("steadfast sessions forget-store")
            }
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}
