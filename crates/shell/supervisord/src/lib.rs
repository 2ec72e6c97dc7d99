//! Supervisor's remote interface.

pub mod logfile;
pub mod methods;
pub mod names;
mod server;
pub mod xmlrpc;

pub use server::{
    Auth, BODY_MS_MAX, CONNECTIONS_MAX, FOLLOWERS_MAX, HEAD_BYTES_MAX, HEAD_MS_MAX, Listener, serve,
};
