//! The probes: a scene in, hits out. They open nothing and ask nobody.

pub(crate) mod applied;
pub(crate) mod config;
pub(crate) mod dev;
pub(crate) mod edits;
pub(crate) mod evidence;
pub(crate) mod health;
pub(crate) mod ignore;
pub(crate) mod keys;
pub(crate) mod live;
pub(crate) mod production;
pub(crate) mod runtime;
pub(crate) mod told;
