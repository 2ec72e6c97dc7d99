//! The daemon: configuration in, orders and commands out.

mod activity;
mod autologs;
mod check;
mod describe;
mod guard;
mod keys;
mod lines;
mod listeners;
mod machine;
mod model;
mod names;
mod options;
mod resolve;

pub use check::{Checked, check};
pub use keys::{ProgramKeys, keys};
pub use options::{DaemonOptions, Printer, Say, Source};

/// Runs the daemon until root closes its socket or everything was shut down; returns the exit status (2: it could not
/// begin, and has said why).
pub fn run(options: DaemonOptions, printer: Printer) -> i32 {
    let _ = options;
    printer(Say::Err("steadfast: the daemon is not built yet".into()));
    2
}
