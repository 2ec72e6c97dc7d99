//! Keys of ours that change how a program is kept, in one place: what Supervisor's users have asked for for years.

use std::time::Duration;

use super::value::{Signal, Spanned};

/// Further keys of a `[program:x]`. All are off by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extras {
    /// `restart_delay`: pause before each start that follows an end by itself.
    pub restart_delay: Spanned<Duration>,
    /// `oneshot`: it runs to its end; what depends on it waits for its success.
    pub oneshot: Spanned<bool>,
    /// `essential`: everything ends, with its exit status, when it ends.
    pub essential: Spanned<bool>,
    /// `log_prefix`: text before each line of its output.
    pub log_prefix: Option<Spanned<LogPrefix>>,
    /// `log_format`: how its output is written.
    pub log_format: Spanned<LogFormat>,
    /// `memory_max`, bytes: beyond it the processes of its tree are replaced gracefully.
    pub memory_max: Option<Spanned<u64>>,
    /// `reload_signal`: what `steadfast reload PROGRAM` sends.
    pub reload_signal: Option<Spanned<Signal>>,
    /// `notify`: who is told of FATAL, a restart loop, a hang.
    pub notify: Option<Spanned<Notify>>,
    /// `keepalive_url`: asked by the daemon from outside, every `keepalive` (30 s without it).
    pub keepalive_url: Option<Spanned<String>>,
    /// `maintenance_page`, absolute: what a browser sees instead of our 503.
    pub maintenance_page: Option<Spanned<String>>,
}

impl Default for Extras {
    fn default() -> Extras {
        Extras {
            restart_delay: Spanned::default_of(Duration::ZERO),
            oneshot: Spanned::default_of(false),
            essential: Spanned::default_of(false),
            log_prefix: None,
            log_format: Spanned::default_of(LogFormat::Plain),
            memory_max: None,
            reload_signal: None,
            notify: None,
            keepalive_url: None,
            maintenance_page: None,
        }
    }
}

/// What stands before each line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPrefix {
    /// The name of the process (`true`).
    Name,
    /// This text.
    Text(String),
}

/// How output is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// As it comes.
    Plain,
    /// One JSON object a line.
    Json,
}

/// Who is told.
#[derive(Clone, PartialEq, Eq)]
pub enum Notify {
    /// `http://` or `https://`: the news is sent by POST. It may hold a token, so it is never shown whole.
    Url(String),
    /// A command: the news is on its standard input.
    Command(Vec<String>),
}

impl std::fmt::Debug for Notify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Notify::Url(_) => f.write_str("Url(****)"),
            Notify::Command(words) => write!(f, "Command({:?}, …)", words.first()),
        }
    }
}
