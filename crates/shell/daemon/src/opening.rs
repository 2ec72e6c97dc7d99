//! What a first start and an adoption have in common: everything through which we are reached is opened, then the work
//! begins.

use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use ledger::Ledger;
use plan::Intent;
use rundir::Info;
use rustix::fs::{Mode, OFlags};
use tokio::net::UnixListener;
use wire::{Cause, Order};

use crate::activity::Activity;
use crate::execute::again;
use crate::lines::Level;
use crate::options::{Say, Source};
use crate::state::Shared;
use crate::{fronts, listeners, rival, settle};

/// How long a start may take to begin before the prompt comes back all the same.
const BEGUN_MAX: Duration = Duration::from_secs(1);

/// Pause between two looks at whether all have begun.
const BEGUN_LOOK: Duration = Duration::from_millis(5);

/// A daemon that could not begin: complete sentences.
pub(crate) struct CouldNot(pub(crate) String);

impl From<String> for CouldNot {
    fn from(text: String) -> CouldNot {
        CouldNot(text)
    }
}

pub(crate) fn config_path(daemon: &Shared) -> String {
    match &daemon.source {
        Source::File(path) => path
            .canonicalize()
            .unwrap_or_else(|_| path.clone())
            .display()
            .to_string(),
        Source::Command(_) => String::new(),
    }
}

pub(crate) fn open_ledger(daemon: &Shared, dir: Option<&str>) {
    let dir = dir.map_or_else(|| daemon.state_dir.clone(), Into::into);
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir);
    match made.and_then(|()| Ledger::open(&dir)) {
        Ok(ledger) => daemon.state.borrow_mut().ledger = Some(ledger),
        Err(why) => (daemon.printer)(Say::Err(format!(
            "warning: no history is kept: {}: {why}",
            dir.display()
        ))),
    }
}

/// Logs, sockets, files: everything through which we are reached.
pub(crate) async fn open_fronts(
    daemon: &Shared,
    kept: Option<std::os::fd::OwnedFd>,
    first_lines: &[(Level, String)],
) -> Result<UnixListener, CouldNot> {
    let settings = daemon.state.borrow().active.settings.clone();
    let (activity, error) = Activity::open(&settings);
    daemon.state.borrow_mut().activity = activity;
    if let Some(why) = error {
        (daemon.printer)(Say::Err(format!("error: {why}")));
    }
    for (level, text) in first_lines {
        daemon.log(*level, text);
    }
    let control =
        fronts::open_control(daemon, kept).map_err(|why| CouldNot(format!("error: {why}")))?;
    let errors = fronts::serve_supervisor(daemon).await;
    if daemon.as_supervisord && daemon.state.borrow().keepers.is_empty() && !errors.is_empty() {
        let text = "Error: Another program is already listening on a port that one of our HTTP servers is configured to \
                    use.  Shut this program down first before starting supervisord.";
        return Err(CouldNot(format!("{text}\n{}", errors.join("\n"))));
    }
    for why in errors {
        (daemon.printer)(Say::Err(format!(
            "warning: {why}\n  everything else goes on without it; {}",
            again()
        )));
    }
    // What the daemon before this one has opened.
    let kept: Vec<String> = daemon.state.borrow().listeners.keys().cloned().collect();
    let kept = kept.iter().filter_map(|key| listeners::path_of(key));
    kept.for_each(|path| daemon.know_socket(&path));
    let command = match &daemon.source {
        Source::File(_) => String::new(),
        Source::Command(argv) => servers::quote_line(argv),
    };
    let info = Info {
        config: daemon.state.borrow().active.config.clone(),
        command,
        root_pid: daemon.root_pid,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    daemon
        .run_dir
        .write_info(&info)
        .map_err(|why| CouldNot(format!("error: {why}")))?;
    if rival::holds_pidfile(&settings.pidfile, daemon.root_pid) {
        let text = format!(
            "the pidfile {} is another supervisor's and stays as it is",
            settings.pidfile
        );
        daemon.log(Level::Critical, &text);
    } else if !settings.pidfile.is_empty()
        && let Err(why) = write_pid(&settings.pidfile, daemon.root_pid)
    {
        daemon.log(
            Level::Critical,
            &format!("could not write pidfile {}: {why}", settings.pidfile),
        );
    }
    Ok(control)
}

/// Its directory may be somebody's: not through a link of his, and no FIFO of his is waited for.
pub(crate) fn write_pid(path: &str, pid: i32) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK;
    let file = sys::files::open(path.as_ref(), flags, Mode::from_raw_mode(0o666))?;
    writeln!(std::fs::File::from(file), "{pid}")
}

/// From now on the daemon's end means that root starts another one; the work begins. Supervisor's users expect their
/// prompt back once commands are answered, ours once everything was started.
pub(crate) fn up(daemon: &Shared, cause: Cause) {
    daemon.root.order(&Order::Up {}, Vec::new());
    if daemon.as_supervisord {
        let daemon = daemon.clone();
        tokio::task::spawn_local(async move {
            let _ = tokio::time::timeout(BEGUN_MAX, begun(&daemon)).await;
            started(&daemon);
        });
    }
    let daemon = daemon.clone();
    tokio::task::spawn_local(async move {
        settle::settle(&daemon, Intent::Settle, Rc::new(move |_| cause.clone())).await;
        started(&daemon);
    });
}

/// Waits until everything that starts by itself has begun to: `supervisord && supervisorctl stop x` must find it so.
async fn begun(daemon: &Shared) {
    loop {
        let all = {
            let state = daemon.state.borrow();
            let mut slots = state.active.programs().filter(|slot| slot.up);
            slots.all(|slot| {
                let keeper = state.keepers.get(&slot.key());
                keeper.is_some_and(|keeper| keeper.facts.borrow().state != wire::State::Stopped)
            })
        };
        if all {
            return;
        }
        tokio::time::sleep(BEGUN_LOOK).await;
    }
}

/// Whoever started us may go.
fn started(daemon: &Shared) {
    if !daemon.started.replace(true) {
        daemon.root.order(&Order::Started {}, Vec::new());
    }
}
