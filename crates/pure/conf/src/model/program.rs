//! `[program:x]`, `[eventlistener:x]`, `[fcgi-program:x]`, the groups and the processes that they make.

use std::collections::BTreeMap;
use std::time::Duration;

use finding::Span;

use super::command::{Command, Template};
use super::extras::Extras;
use super::tokens::Tokens;
use super::value::{LogFile, Signal, Spanned, User};

/// A `[program:x]` in one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// Name of the program: the `x`.
    pub name: String,
    /// Name of the group: that of the program if no `[group:x]` names it.
    pub group: String,
    /// What kind of section it is.
    pub kind: ProgramKind,
    /// The line of the section.
    pub header: Span,
    /// Order of start (ascending) and stop (descending).
    pub priority: Spanned<i64>,
    /// Start with the daemon.
    pub autostart: Spanned<bool>,
    /// Start again after an exit.
    pub autorestart: Spanned<AutoRestart>,
    /// Seconds to stay up to count as started.
    pub startsecs: Spanned<u64>,
    /// Starts in a row that may fail before FATAL.
    pub startretries: Spanned<u64>,
    /// Exit statuses that are expected.
    pub exitcodes: Spanned<Vec<u8>>,
    /// The signal to stop with.
    pub stopsignal: Spanned<Signal>,
    /// Seconds from the stop signal to SIGKILL.
    pub stopwaitsecs: Spanned<u64>,
    /// The stop signal goes to the whole process group.
    pub stopasgroup: Spanned<bool>,
    /// SIGKILL goes to the whole process group.
    pub killasgroup: Spanned<bool>,
    /// The user to run as.
    pub user: Option<Spanned<User>>,
    /// Umask of the process.
    pub umask: Option<Spanned<u32>>,
    /// stderr goes where stdout goes.
    pub redirect_stderr: Spanned<bool>,
    /// `SUPERVISOR_SERVER_URL` for the process; `None` for AUTO.
    pub serverurl: Option<Spanned<String>>,
    /// How many processes.
    pub numprocs: Spanned<u32>,
    /// Number of the first.
    pub numprocs_start: Spanned<i64>,

    /// Who holds the listening socket.
    pub listen: Spanned<Listen>,
    /// Names of secrets to be found or made, kept and handed over.
    pub secrets: Vec<Spanned<String>>,
    /// What it says about its tokens.
    pub tokens: Tokens,
    /// Path that answers 2xx for a token that the program accepts; readiness waits for it.
    pub prove: Option<Spanned<String>>,
    /// User of that token, `steadfast` by default: for programs that look their users up.
    pub prove_user: Option<Spanned<String>>,
    /// When the program counts as ready.
    pub ready: Option<Spanned<Ready>>,
    /// Host header of the readiness check, `localhost` by default.
    pub ready_host: Spanned<String>,
    /// How long until a start without readiness has failed.
    pub ready_timeout: Spanned<Duration>,
    /// Repeats the readiness check while running; `None` (or 0 in the file) for never.
    pub keepalive: Option<Spanned<Duration>>,
    /// What a failed keepalive does.
    pub unhealthy: Spanned<Unhealthy>,
    /// How a restart replaces the process.
    pub replace: Spanned<Replace>,
    /// How long requests in flight may take to finish before the stop signal.
    pub drain_timeout: Spanned<Duration>,
    /// How long requests may still wait after an operator's stop that a start follows.
    pub restart_window: Spanned<Duration>,
    /// Programs that must be ready first.
    pub depends_on: Vec<Spanned<String>>,
    /// Which requests may be sent again.
    pub repeat: Spanned<Repeat>,
    /// Further keys of ours.
    pub extras: Extras,

    /// The processes, sorted by name.
    pub processes: Vec<ProcessDef>,
}

/// The kinds of sections that define processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramKind {
    /// `[program:x]`.
    Program,
    /// `[eventlistener:x]`.
    EventListener(Pool),
    /// `[fcgi-program:x]`.
    FastCgi(FastCgi),
}

impl ProgramKind {
    /// The word before the colon in the name of the section.
    pub fn word(&self) -> &'static str {
        match self {
            ProgramKind::Program => "program",
            ProgramKind::EventListener(_) => "eventlistener",
            ProgramKind::FastCgi(_) => "fcgi-program",
        }
    }
}

/// What the processes of an `[eventlistener:x]` share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Events that wait for a listener; when there are more the oldest is lost.
    pub buffer_size: Spanned<u32>,
    /// Names of types and families in capital letters, sorted, each once: `events`, then our own `steadfast_events`.
    pub events: Spanned<Vec<String>>,
}

impl Pool {
    /// The types that the names stand for.
    pub fn kinds(&self) -> events::Kinds {
        let kinds = self
            .events
            .iter()
            .filter_map(|name| events::Kinds::of(name));
        kinds.fold(events::Kinds::default(), events::Kinds::union)
    }
}

/// The socket of an `[fcgi-program:x]`, which its processes have as their standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FastCgi {
    /// Where it listens.
    pub socket: Spanned<FastCgiSocket>,
    /// Connections that may wait; `None` for as many as the system allows.
    pub backlog: Option<Spanned<u32>>,
}

/// See [`FastCgi`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FastCgiSocket {
    /// `tcp://HOST:PORT`.
    Tcp {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// `unix:///PATH`.
    Unix {
        /// Normalized path.
        path: String,
        /// `socket_owner`; `None` = the program's user.
        owner: Option<(u32, Option<u32>)>,
        /// `socket_mode`.
        mode: u32,
    },
}

/// A `[group:x]`, or the group that a program makes for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Order of start and stop among groups.
    pub priority: i64,
    /// Names of its programs, in the order written.
    pub programs: Vec<String>,
    /// Whether a `[group:x]` section made it.
    pub explicit: bool,
}

/// One process of a program.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessDef {
    /// Name within the group.
    pub name: String,
    /// Its number: `%(process_num)d`.
    pub process_num: i64,
    /// What to run, as the file says (the real supervisord would run the same).
    pub command: Command,
    /// What to run with a socket of ours in it, from `steadfast_command`.
    pub steadfast_command: Option<Template>,
    /// Variables set for it: `[supervisord]`'s, then its own. Not those of `env_file`.
    pub environment: BTreeMap<String, String>,
    /// Where its own `environment` stands.
    pub environment_span: Option<Span>,
    /// Directory to change to, as written; relative to the daemon's.
    pub directory: Option<Spanned<String>>,
    /// File with further variables, absolute: a relative one starts from `directory`, without one from `%(here)s`.
    pub env_file: Option<Spanned<String>>,
    /// Where stdout goes.
    pub stdout: LogTarget,
    /// Where stderr goes; [`LogFile::None`] with `redirect_stderr`.
    pub stderr: LogTarget,
}

/// Where one output stream of a process goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    /// The file.
    pub file: Spanned<LogFile>,
    /// Rotation size in bytes, 0 for never.
    pub maxbytes: u64,
    /// Rotated files kept.
    pub backups: u32,
    /// Lines go to the system's log as well.
    pub syslog: bool,
    /// Bytes of a part between Supervisor's marks that become an event; 0 = none do.
    pub capture_maxbytes: u64,
    /// All of it becomes events.
    pub events_enabled: bool,
}

/// Whether an exit is followed by a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoRestart {
    /// Never.
    Never,
    /// After exits that `exitcodes` does not name, and signals.
    Unexpected,
    /// Always.
    Always,
}

/// Who holds the port: the ladder of the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// The program, as under Supervisor.
    Own,
    /// The keeper; the program inherits it.
    Held,
    /// The gateway.
    Gateway,
}

/// When a program counts as ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// A GET of this path (with its query) answers 2xx.
    Http {
        /// Begins with `/`.
        path: String,
    },
    /// A connection is accepted.
    Tcp,
    /// The program writes a newline to this descriptor.
    Fd(i32),
    /// A line of its output matches this regular expression, which was checked.
    Log(String),
    /// The program says `READY=1` on NOTIFY_SOCKET (sd_notify(3)).
    Notify,
    /// This command, run in the program's directory, as its user and with its environment, exits with 0.
    Exec(Vec<String>),
}

/// What happens when keepalive fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unhealthy {
    /// It is said.
    Report,
    /// It is restarted after so many failures in a row.
    RestartAfter(u32),
}

/// How a restart replaces a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// Requests wait while the old one stops and the new one starts.
    Hold,
    /// The new one is ready before the old one stops.
    Overlap,
}

/// Which requests may be sent again after the program took them and died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// GET, HEAD, OPTIONS.
    Safe,
    /// PUT and DELETE without conditions as well.
    Idempotent,
}
