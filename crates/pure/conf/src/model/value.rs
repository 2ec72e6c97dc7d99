//! Values that sections of several kinds have.

use std::ops::Deref;

use finding::Span;

/// A value and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands; `None` for a default.
    pub span: Option<Span>,
}

impl<T> Spanned<T> {
    /// A value that was not set.
    pub fn default_of(value: T) -> Spanned<T> {
        Spanned { value, span: None }
    }

    /// Whether the file sets it.
    pub fn is_set(&self) -> bool {
        self.span.is_some()
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFile {
    /// A file of the daemon's choosing in `childlogdir`, removed at the next start.
    Auto,
    /// Not logged.
    None,
    /// This path, `~` replaced; relative ones start from the daemon's directory. `/dev/stdout` and `/dev/stderr` are root's.
    Path(String),
}

/// A signal number, one of those that Supervisor accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(pub i32);

/// A user, looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// As written: a name or a number.
    pub written: String,
    /// User id.
    pub uid: u32,
    /// First group's id.
    pub gid: u32,
    /// Login name.
    pub name: String,
    /// Home directory.
    pub home: String,
}
