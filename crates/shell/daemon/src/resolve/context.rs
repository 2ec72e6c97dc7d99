//! What a configuration is resolved against, and what comes out.

use std::collections::BTreeMap;
use std::path::Path;

use finding::Finding;

use crate::model::Active;

/// What is there.
pub(crate) struct Context<'a> {
    /// The model in force: numbers and AUTO logs stay.
    pub(crate) before: &'a Active,
    /// Environment that programs inherit.
    pub(crate) base_env: &'a BTreeMap<String, String>,
    /// Run directory, for sockets.
    pub(crate) run_dir: &'a Path,
    /// Default of `state_dir`.
    pub(crate) state_dir: &'a Path,
    /// Values of keys that processes run with; None: nobody can say.
    pub(crate) in_use: Option<&'a secrets::InUse>,
    /// Make no file.
    pub(crate) dry: bool,
}

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// The candidate.
    pub(crate) active: Active,
    /// What is wrong or worth knowing beyond what the reader found.
    pub(crate) findings: Vec<Finding>,
    /// Programs that are left out, each with its error, which is among the findings too.
    pub(crate) left_out: Vec<(String, Finding)>,
    /// For people: keys that were found or made, `SECRET_KEY made, kept in …`.
    pub(crate) keys: Vec<String>,
}
