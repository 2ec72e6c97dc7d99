//! What is true now: the run directory of an installation.
//!
//! ```text
//! BASE                /run/steadfast · $XDG_RUNTIME_DIR/steadfast · /tmp/steadfast-UID     ($STEADFAST_RUN_DIR replaces it)
//!   ID                hash of the configuration's real path and the user
//!     lock            flocked by root for as long as it lives, holds its pid
//!     info.json       which configuration this is, for commands that are given none
//!     active.json     what the daemon wants to be true, written before it acts
//!     control.sock    commands
//!     slots/N         ours: control and events sockets of a keeper
//!     slots/N/app     the program's: the sockets of its generations
//! ```
//! Names of programs may be hostile and socket paths end at 108 bytes, so slots are numbered. Whoever could write in a
//! directory above a socket could put a forged one in its place; so every directory is checked to be a real directory of
//! the right owner that nobody else may write to, each time it is used, and never merely trusted because it exists.
//!
//! A pidfile is not evidence (a pid is reused); the lock is: it lives exactly as long as somebody holds it open.

mod find;
mod layout;
mod lock;
mod place;
mod write;

pub use find::{Found, Installation};
pub use layout::{Identity, Layout, Surroundings};
pub use lock::{LOCK_WAIT, Lock};
pub use place::{Info, Reach, RunDir, Slot, reach};
pub use write::write_atomically;

use std::path::PathBuf;

/// What could not be done in the run directory.
#[derive(Debug)]
pub enum Error {
    /// The configuration's real path could not be found.
    Config(PathBuf, std::io::Error),
    /// A directory could not be made.
    MakeDirectory(PathBuf, std::io::Error),
    /// A directory could not be looked at.
    Look(PathBuf, std::io::Error),
    /// Something else than a directory stands there, or a symbolic link.
    NotADirectory(PathBuf),
    /// The directory belongs to somebody else (uid), who could put forged sockets there.
    ForeignOwner(PathBuf, u32),
    /// Others may write to the directory.
    Writable(PathBuf, u32),
    /// Owner or mode could not be set.
    Chown(PathBuf, std::io::Error),
    /// A file could not be written.
    Write(PathBuf, std::io::Error),
    /// A file could not be read.
    Read(PathBuf, std::io::Error),
    /// A file of ours that is not what we write.
    Malformed(PathBuf, String),
    /// The lock could not be taken for another reason than that somebody has it.
    Lock(PathBuf, std::io::Error),
    /// Somebody has the lock.
    AlreadyRunning {
        /// Pid in the lock file; 0 = not readable.
        pid: i32,
    },
    /// Socket paths in this directory would be too long for the kernel.
    PathTooLong(PathBuf),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Config(path, why) => {
                write!(f, "cannot find the configuration {}: {why}", path.display())
            }
            Error::MakeDirectory(path, why) => {
                write!(f, "cannot make the directory {}: {why}", path.display())
            }
            Error::Look(path, why) => write!(f, "cannot look at {}: {why}", path.display()),
            Error::NotADirectory(path) => {
                write!(
                    f,
                    "{} is not a directory (or a symbolic link to one); remove it and try again",
                    path.display()
                )
            }
            Error::ForeignOwner(path, uid) => write!(
                f,
                "{} belongs to another user (uid {uid}), who could intercept what runs there; remove it and try again",
                path.display()
            ),
            Error::Writable(path, mode) => write!(
                f,
                "others may write to {} (mode {mode:04o}); run: chmod go-w {}",
                path.display(),
                path.display()
            ),
            Error::Chown(path, why) => {
                write!(f, "cannot set owner and mode of {}: {why}", path.display())
            }
            Error::Write(path, why) => write!(f, "cannot write {}: {why}", path.display()),
            Error::Read(path, why) => write!(f, "cannot read {}: {why}", path.display()),
            Error::Malformed(path, why) => write!(f, "{} is damaged: {why}", path.display()),
            Error::Lock(path, why) => write!(f, "cannot lock {}: {why}", path.display()),
            Error::AlreadyRunning { pid: 0 } => write!(f, "already running"),
            Error::AlreadyRunning { pid } => write!(f, "already running (pid {pid})"),
            Error::PathTooLong(path) => write!(
                f,
                "{} is too long for Unix sockets; set STEADFAST_RUN_DIR to a shorter directory",
                path.display()
            ),
        }
    }
}

impl std::error::Error for Error {}
