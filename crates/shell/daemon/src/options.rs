//! How the daemon is started.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Where the model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A configuration file, as it was named.
    File(PathBuf),
    /// `run -- COMMAND…`: one program behind the gateway.
    Command(Vec<String>),
}

/// What the hidden role `__daemon` was told.
#[derive(Debug)]
pub struct DaemonOptions {
    /// The socket to root (descriptor 3).
    pub root: OwnedFd,
    /// The run directory, which exists.
    pub run_dir: PathBuf,
    /// Where the state of this installation lives, unless `state_dir` of the configuration says otherwise.
    pub state_dir: PathBuf,
    /// Configuration or command.
    pub source: Source,
    /// Development flags are not looked at.
    pub dev: bool,
    /// Started under the name `supervisord`: its lines on stdout, and the guard only warns.
    pub as_supervisord: bool,
    /// Nobody watches stdout once everything was started (`--daemon`).
    pub detached: bool,
    /// Keys of `[supervisord]` from the command line, which beat the file's.
    pub settings: Vec<(String, String)>,
}

/// One line for people. The binary's printer decides how it looks; the daemon never writes to a terminal itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// To stdout.
    Out(String),
    /// To stderr.
    Err(String),
}

/// Where lines go.
pub type Printer = Box<dyn Fn(Say)>;
