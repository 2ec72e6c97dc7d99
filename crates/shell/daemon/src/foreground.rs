//! What has to be known of a file before there is a daemon: whether the name `supervisord` stays in the foreground, and as
//! whom it runs.

use std::collections::BTreeMap;

use crate::machine::{Machine, environment};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ahead {
    /// `nodaemon = true` in `[supervisord]`: most container images say it there and start `supervisord` bare.
    pub nodaemon: bool,
    /// `user` of `[supervisord]`, if there is such a user.
    pub user: Option<String>,
    /// There is a `[steadfast]` section.
    pub steadfast: bool,
    /// `minfds`.
    pub minfds: u64,
    /// `minprocs`.
    pub minprocs: u64,
}

/// Reads the file for it; `settings` of the command line beat it. What is wrong with it is told later, by the daemon.
pub fn ahead(path: &str, env: &BTreeMap<String, String>, settings: &[(String, String)]) -> Ahead {
    let mut model = conf::load(path, &Machine::default(), &environment(env)).model;
    crate::overrides::apply(&mut model.supervisord, settings, true);
    Ahead {
        nodaemon: model.supervisord.nodaemon,
        minfds: model.supervisord.minfds,
        minprocs: model.supervisord.minprocs,
        user: model.supervisord.user.map(|user| user.value.name),
        steadfast: model.steadfast.is_some(),
    }
}
