//! `supervisord.conf`, read by exactly the rules of Supervisor 4.3, with our own keys and sections in the same file.

pub mod argv;
mod command;
mod files;
mod gateway;
mod mapped;
pub mod model;

pub use command::{Command, Place, Places, Template, Word};
pub use files::{Account, DirEntry, Environment, Files, Kind, MapFiles, ReadError};
pub use mapped::{FileText, Text};
pub use model::*;

/// The largest file that is read, in bytes: 16 MiB is beyond any configuration written by people or by generators.
pub const FILE_BYTES_MAX: u64 = 16 << 20;
