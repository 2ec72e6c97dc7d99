//! The process that the doctor runs in, as it sees it.

use std::collections::BTreeMap;
use std::io::{Read, Write};

/// What the doctor gets from the process that it runs in.
pub struct Io<'a> {
    /// Data: the report.
    pub out: &'a mut dyn Write,
    /// The rest.
    pub err: &'a mut dyn Write,
    /// Standard input: read only for a password that was asked for.
    pub input: &'a mut dyn Read,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Working directory, absolute.
    pub cwd: String,
    /// Seconds since 1970.
    pub now_unix_s: u64,
}
