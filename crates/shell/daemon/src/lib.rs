//! The daemon: configuration in, orders and commands out.
//!
//! ```text
//!              control.sock (JSON lines) ─┐
//!   Supervisor's sockets (crate supervisord) ─┤ control::Control
//!                                          ▼
//!   root ◄── Order / Tell ──► daemon ◄── Command / Report ──► keepers
//!                               │ plan::reconcile(active model, facts) -> steps
//!                               ├── active.json   what is wanted, written before acting
//!                               └── ledger        what happened, written before it is acknowledged
//! ```
//! One thread, one state in one cell, tasks beside each other. Decisions are elsewhere: what has to be done and in which
//! order in `plan`, what a configuration means in `conf` and [`resolve`], what a process does in its keeper. The daemon may
//! be killed at any moment: keepers go on, the next daemon finds `active.json` and asks them what is true.
//!
//! It is the only one that binds listeners, looks users up, reads configurations and numbers slots.
//!
//! *Invariant*: nothing is done to a slot before the model that asks for it is on disk. *Invariant*: no cell is borrowed
//! across an await. *Invariant*: nothing here prints; lines go to the [`Printer`].

mod activity;
mod adopt;
mod autologs;
mod boot;
mod calls;
mod check;
mod commands;
mod describe;
mod digits;
mod execute;
mod extras;
mod first;
mod foreground;
mod fronts;
mod guard;
mod in_use;
mod keepers;
mod keys;
mod left;
mod lines;
mod links;
mod listeners;
mod machine;
mod memory;
mod model;
mod names;
mod news;
mod opening;
mod options;
mod outside;
mod overrides;
mod places;
mod pools;
mod reach;
mod report;
mod resolve;
mod restarts;
mod rival;
mod rotation;
mod settle;
mod shutdown;
mod signals;
mod snapshot;
mod state;
mod stores;
mod summary;
mod syslog;
mod tend;
mod turns;
mod vital;
#[cfg(test)]
mod waits;

pub use check::{Checked, check};
pub use foreground::{Ahead, ahead};
pub use keys::{ProgramKeys, keys, sessions};
pub use options::{DaemonOptions, Printer, Say, Source};
pub use rotation::rotate_at_rest;

/// Runs the daemon until root closes its socket or everything was shut down; returns the exit status (2: it could not
/// begin, and has said why).
pub fn run(options: DaemonOptions, printer: Printer) -> i32 {
    // It reads all keys.
    sys::dumps::none();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(why) => {
            printer(Say::Err(format!(
                "error: cannot start the daemon's loop: {why}"
            )));
            return 2;
        }
    };
    let local = tokio::task::LocalSet::new();
    let status = local.block_on(&runtime, boot::main(options, printer));
    drop(local);
    // A read of a log that is still under way holds nothing up.
    runtime.shutdown_background();
    status
}
