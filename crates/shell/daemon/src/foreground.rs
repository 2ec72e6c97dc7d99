//! Whether the name `supervisord` stays in the foreground: the file may say so.

use std::collections::BTreeMap;

use crate::machine::{Machine, environment};

/// `nodaemon = true` in `[supervisord]`: most container images say it there and start `supervisord` bare.
pub fn nodaemon(path: &str, env: &BTreeMap<String, String>) -> bool {
    let loaded = conf::load(path, &Machine::default(), &environment(env));
    loaded.model.supervisord.nodaemon
}
