//! Supervisor's remote interface.

pub mod xmlrpc;
