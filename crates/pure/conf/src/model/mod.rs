//! The typed model: what a configuration says, with the place of everything that can be complained about.
//!
//! Names of fields are the names of keys. A [`Spanned`] value without a span is a default. Times of Supervisor's own keys are
//! whole seconds as there; times of our keys are [`Duration`]s.

mod command;
mod extras;
mod gateway;
mod program;
mod settings;
mod tokens;
mod value;

pub use crate::argv::Word;
pub use command::{Command, Place, Template};
pub use extras::{Extras, LogFormat, LogPrefix, Notify};
pub use gateway::{Gateway, Limits, ListenAddr, Route, Upstream, UpstreamAddr};
pub use program::{
    AutoRestart, FastCgi, FastCgiSocket, Group, Listen, LogTarget, Pool, ProcessDef, Program,
    ProgramKind, Ready, Repeat, Replace, Unhealthy,
};
pub use settings::{Ctl, Guard, InetHttp, LogLevel, Login, Steadfast, Supervisord, UnixHttp};
pub use tokens::{Auth, Fallbacks, Sessions, TOKEN_LIFETIME, Tokens};
pub use value::{LogFile, Signal, Spanned, User};

use std::collections::BTreeSet;

/// Everything that a configuration says. What had an error is left out (a program, a gateway) or has its default (a setting).
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The file as it was named.
    pub path: String,
    /// `%(here)s`: the absolute directory of the file.
    pub here: String,
    /// Whether anything was left out: there is at least one error among the findings.
    pub has_errors: bool,
    /// `[supervisord]`, defaults if it is missing.
    pub supervisord: Supervisord,
    /// `[unix_http_server]`, usually one.
    pub unix_http: Vec<UnixHttp>,
    /// `[inet_http_server]`, at most one in practice.
    pub inet_http: Vec<InetHttp>,
    /// `[supervisorctl]` of the main file (`supervisorctl` does not follow includes).
    pub ctl: Option<Ctl>,
    /// Programs in their groups, in the order of groups. A program that two groups name is here twice, as in Supervisor.
    pub programs: Vec<Program>,
    /// Groups by priority, then name: the order in which Supervisor starts them.
    pub groups: Vec<Group>,
    /// `[steadfast]`; without it Supervisor's behaviour is kept where ours would differ.
    pub steadfast: Option<Steadfast>,
    /// `[gateway:x]`. The derived one, for `listen = gateway`, is not here.
    pub gateways: Vec<Gateway>,
    /// `[upstream:x]`.
    pub upstreams: Vec<Upstream>,
    /// `[sessions]`; without it there are sessions only where a gateway's `auth` needs them.
    pub sessions: Option<Sessions>,
    /// What must not be opened because of an error elsewhere.
    pub closed: Closed,
}

/// What a gateway with an error would have guarded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closed {
    /// Programs whose own address (`listen = gateway`) stays closed.
    pub programs: BTreeSet<String>,
    /// Addresses at which nothing is opened.
    pub listen: Vec<ListenAddr>,
}

impl Model {
    /// The program of this name, in whichever group comes first.
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|p| p.name == name)
    }

    /// The group of this name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|g| g.name == name)
    }

    /// The programs of a group, in the order of its `programs`.
    pub fn programs_of<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a Program> + 'a {
        self.programs.iter().filter(|p| p.group == group.name)
    }
}
