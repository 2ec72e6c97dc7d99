//! The beginning: a first start, or an adoption of what lives.
//!
//! ```text
//! root's welcome ──> keepers alive? ──no──> the file: read, checked, resolved ──┐
//!                        │yes                                                   ├──> settle ──> serve
//!                        └──> active.json wins; listeners and outputs renewed ──┘
//! ```

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rundir::RunDir;
use tokio::net::UnixListener;
use tokio::sync::Notify;

use crate::adopt::{self, look};
use crate::calls::Handle;
use crate::first::first;
use crate::links::root;
use crate::opening::CouldNot;
use crate::options::{DaemonOptions, Printer, Say};
use crate::state::{Daemon, Shared, State};
use crate::vital::vital;
use crate::{commands, fronts, pools, settle};

/// Exit status: it could not begin. Root ends with it if nothing is kept.
const COULD_NOT: i32 = 2;

/// Runs the daemon; returns its exit status.
pub(crate) async fn main(options: DaemonOptions, printer: Printer) -> i32 {
    let DaemonOptions {
        root,
        run_dir,
        state_dir,
        source,
        dev,
        as_supervisord,
        detached,
        settings,
    } = options;
    let welcome = match root::welcome(root).await {
        Ok(welcome) => welcome,
        Err(why) => {
            printer(Say::Err(format!("error: {why}")));
            return COULD_NOT;
        }
    };
    let run_dir = match RunDir::open(&run_dir) {
        Ok(run_dir) => run_dir,
        Err(why) => {
            printer(Say::Err(format!("error: {why}")));
            return COULD_NOT;
        }
    };
    let root::Welcome {
        conn,
        epoch,
        root_pid,
        restarted,
        listeners,
    } = welcome;
    let (link, orders) = root::Link::new();
    let (handle, calls) = Handle::new();
    let daemon = Rc::new(Daemon {
        run_dir,
        state_dir,
        source,
        dev,
        as_supervisord,
        detached,
        settings,
        started: Cell::new(false),
        printer,
        epoch,
        root_pid,
        root: link,
        handle: handle.clone(),
        state: RefCell::new(State::empty(listeners)),
        exit: Cell::new(None),
        regrouping: Cell::new(false),
        exiting: Notify::new(),
        exit_status: Cell::new(0),
        tended: Notify::new(),
        reloads: Cell::new(0),
        keys_moved: Notify::new(),
    });
    let serving = tokio::task::spawn_local(root::serve(daemon.clone(), conn, orders));
    match begin(&daemon, restarted).await {
        Ok(control) => {
            vital(&daemon, commands::serve(daemon.clone(), calls));
            vital(&daemon, fronts::serve_control(control, handle));
            vital(&daemon, settle::retry(daemon.clone()));
            vital(&daemon, crate::tend::tend(daemon.clone()));
            vital(&daemon, pools::serve(daemon.clone()));
            vital(&daemon, crate::in_use::follow(daemon.clone()));
        }
        Err(CouldNot(text)) => {
            daemon.exit.set(Some(COULD_NOT));
            if !text.is_empty() {
                (daemon.printer)(Say::Err(text));
            }
            return COULD_NOT;
        }
    }
    tokio::select! {
        // Root is gone; keepers go on, and the next root's daemon finds them.
        _ = serving => 0,
        () = daemon.exiting.notified() => daemon.exit.get().unwrap_or(0),
    }
}

async fn begin(daemon: &Shared, restarted: bool) -> Result<UnixListener, CouldNot> {
    let found = look(daemon).await?;
    let adopt = !found.alive.is_empty() || (restarted && found.active.is_some());
    if adopt {
        adopt::adopted(daemon, found, restarted).await
    } else {
        first(daemon).await
    }
}
