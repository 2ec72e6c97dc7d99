//! `[supervisord]` and its servers, `[supervisorctl]`, `[steadfast]`.

use std::collections::BTreeMap;

use finding::Span;

use super::extras::Notify;
use super::value::{LogFile, Spanned, User};

/// `[supervisord]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Supervisord {
    /// The log of the daemon; [`LogFile::None`] with `syslog`.
    pub logfile: LogFile,
    /// `logfile = syslog`: it goes to the system's log.
    pub syslog: bool,
    /// Rotation size in bytes, 0 for never.
    pub logfile_maxbytes: u64,
    /// Rotated files kept.
    pub logfile_backups: u32,
    /// Least severe level logged.
    pub loglevel: LogLevel,
    /// File with the pid of root, normalized to an absolute path.
    pub pidfile: String,
    /// Umask of the daemon.
    pub umask: u32,
    /// Stay in the foreground.
    pub nodaemon: bool,
    /// No log on stdout in the foreground.
    pub silent: bool,
    /// Least number of file descriptors wanted.
    pub minfds: u64,
    /// Least number of processes wanted.
    pub minprocs: u64,
    /// Do not remove old AUTO logs at start.
    pub nocleanup: bool,
    /// Directory of AUTO logs.
    pub childlogdir: String,
    /// User to switch to at start.
    pub user: Option<Spanned<User>>,
    /// Directory to change to when detaching.
    pub directory: Option<String>,
    /// Strip escape sequences from logs of programs.
    pub strip_ansi: bool,
    /// Variables for every program, beaten by the program's own.
    pub environment: BTreeMap<String, String>,
    /// Name of this supervisor, in `getIdentification` and AUTO log names.
    pub identifier: String,
}

/// How much the daemon logs. Supervisor's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the words of the file")]
pub enum LogLevel {
    Blather,
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

/// `[unix_http_server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixHttp {
    /// Socket path, normalized.
    pub file: Spanned<String>,
    /// Mode of the socket, 0o700 by default.
    pub chmod: u32,
    /// Owner of the socket; group `None` leaves it.
    pub chown: Option<(u32, Option<u32>)>,
    /// User and password, plain or `{SHA}` and hexadecimal digits.
    pub login: Option<Login>,
}

/// `[inet_http_server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InetHttp {
    /// Host in lower case; empty for every address.
    pub host: String,
    /// Port.
    pub port: Spanned<u16>,
    /// User and password, plain or `{SHA}` and hexadecimal digits.
    pub login: Option<Login>,
}

/// A user and a password as the file has them.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// User.
    pub username: String,
    /// Password, plain or `{SHA}` and 40 hexadecimal digits.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .field("password", &"****")
            .finish()
    }
}

/// `[supervisorctl]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ctl {
    /// `unix:///path` (normalized) or `http://host:port`; `http://localhost:9001` by default.
    pub serverurl: String,
    /// User and password to log in with.
    pub login: Option<Login>,
    /// Prompt, `supervisor` by default.
    pub prompt: String,
    /// History file, normalized.
    pub history_file: Option<String>,
}

/// `[steadfast]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steadfast {
    /// Where the section begins.
    pub header: Span,
    /// What happens to development flags.
    pub guard: Spanned<Guard>,
    /// Where keys, sessions and the ledger live, absolute; `None` leaves it to the caller.
    pub state_dir: Option<Spanned<String>>,
    /// Who is told of trouble, where a program names nobody.
    pub notify: Option<Spanned<Notify>>,
}

/// What happens to development flags in production.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Refused (the default with `[steadfast]` in the file).
    Refuse,
    /// Named in a warning.
    Warn,
    /// Not looked at.
    Off,
}
