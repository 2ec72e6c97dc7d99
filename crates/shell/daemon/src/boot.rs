//! The beginning: a first start, or an adoption of what lives.
//!
//! ```text
//! root's welcome ──> keepers alive? ──no──> the file: read, checked, resolved ──┐
//!                        │yes                                                   ├──> settle ──> serve
//!                        └──> active.json wins; listeners and outputs renewed ──┘
//! ```

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use finding::{Finding, Report, Severity, WIDTH_COLUMNS_MAX};
use ledger::{Entry, Ledger};
use plan::Intent;
use rundir::{Info, RunDir};
use rustix::fs::{Mode, OFlags};
use tokio::sync::Notify;
use wire::{Cause, Order, Why};

use crate::activity::Activity;
use crate::commands::{self, Handle};
use crate::lines::Level;
use crate::links::{keeper, root};
use crate::machine;
use crate::model::Active;
use crate::options::{DaemonOptions, Say, Source};
use crate::state::{Daemon, Mood, Shared, State};
use crate::{adopt, autologs, fronts, listeners, settle, summary};

/// Exit status: it could not begin. Root ends with it if nothing is kept.
const COULD_NOT: i32 = 2;

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

/// What the last daemon left.
pub(crate) struct Found {
    /// The model, if it could be read.
    pub(crate) active: Option<Active>,
    /// Why it could not.
    pub(crate) damaged: Option<String>,
    /// Keepers by the number of their slot.
    pub(crate) alive: Vec<(u32, keeper::Opened)>,
}

/// Runs the daemon; returns its exit status.
pub(crate) async fn main(options: DaemonOptions, printer: crate::options::Printer) -> i32 {
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
            tokio::task::spawn_local(commands::serve(daemon.clone(), calls));
            tokio::task::spawn_local(fronts::serve_control(control, handle));
            tokio::task::spawn_local(settle::retry(daemon.clone()));
            tokio::task::spawn_local(crate::tend::tend(daemon.clone()));
            tokio::task::spawn_local(crate::pools::serve(daemon.clone()));
            tokio::task::spawn_local(crate::in_use::follow(daemon.clone()));
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

async fn begin(daemon: &Shared, restarted: bool) -> Result<tokio::net::UnixListener, CouldNot> {
    let found = look(daemon).await?;
    let adopt = !found.alive.is_empty() || (restarted && found.active.is_some());
    if adopt {
        adopt::adopted(daemon, found, restarted).await
    } else {
        first(daemon).await
    }
}

/// What is there: the model that was active, and keepers that answer.
async fn look(daemon: &Shared) -> Result<Found, CouldNot> {
    let (mut active, mut damaged) = (None, None);
    match daemon.run_dir.read_active() {
        Ok(Some(bytes)) => match Active::from_bytes(&bytes) {
            Ok(read) => active = Some(read),
            Err(why) => damaged = Some(format!("active.json cannot be used: {why}")),
        },
        Ok(None) => {}
        Err(why) => damaged = Some(why.to_string()),
    }
    let mut tasks = Vec::new();
    for number in daemon
        .run_dir
        .slots()
        .map_err(|why| CouldNot(format!("error: {why}")))?
    {
        let (dir, epoch) = (daemon.run_dir.slot(number).dir, daemon.epoch);
        tasks.push(tokio::task::spawn_local(async move {
            (number, keeper::open(&dir, epoch, Duration::ZERO).await)
        }));
    }
    let mut alive = Vec::new();
    for task in tasks {
        if let Ok((number, Ok(opened))) = task.await {
            alive.push((number, opened));
        }
    }
    Ok(Found {
        active,
        damaged,
        alive,
    })
}

/// A first start: the file decides.
async fn first(daemon: &Shared) -> Result<tokio::net::UnixListener, CouldNot> {
    for number in daemon.run_dir.slots().unwrap_or_default() {
        let _ = daemon.run_dir.remove_slot(number);
    }
    let mut before = Active {
        base_env: machine::own_env(),
        ..Active::default()
    };
    before.config = config_path(daemon);
    let loaded = commands::load(daemon, &before.base_env);
    let own = &loaded.model.supervisord;
    let rival = rival(daemon, &loaded, &before).await;
    if let Some(rival) = rival.as_ref().filter(|_| !daemon.as_supervisord) {
        return Err(CouldNot(rival.words(&before.config)));
    }
    // The files of one who lives are not old.
    let cleared = if own.nocleanup || loaded.unreadable || rival.is_some() {
        None
    } else {
        autologs::clear(&own.childlogdir, &own.identifier)
    };
    open_ledger(
        daemon,
        loaded
            .model
            .steadfast
            .as_ref()
            .and_then(|ours| ours.state_dir.as_ref())
            .map(|dir| &*dir.value),
    );
    let candidate = commands::candidate(daemon, &loaded, &before, false);
    let worth: Vec<Finding> = candidate
        .report
        .findings()
        .iter()
        .filter(|found| found.severity != Severity::Note)
        .cloned()
        .collect();
    if !worth.is_empty() {
        let text = Report::new(worth).render_text(WIDTH_COLUMNS_MAX);
        (daemon.printer)(Say::Err(text.trim_end().to_owned()));
    }
    let errors = candidate.report.has_errors();
    let nothing = candidate.resolved.active.slots.is_empty();
    // A warning for us, since nothing of the file is left out; under its name we do as Supervisor does.
    let no_section = |found: &Finding| found.code == "conf.no-supervisord";
    // What only we find wrong leaves one program out, as everywhere; Supervisor would know nothing of it.
    let read = loaded.findings.iter();
    let refused = read.clone().any(Finding::is_error) || read.clone().any(no_section);
    if loaded.unreadable || (errors && nothing) || (refused && daemon.as_supervisord) {
        return Err(CouldNot(String::new()));
    }
    daemon.state.borrow_mut().active = commands::first_start(&candidate);
    crate::pools::begin(daemon);
    daemon
        .keep()
        .map_err(|why| CouldNot(format!("error: {why}")))?;
    let control = open_fronts(daemon, None, &parsed(daemon, &loaded)).await?;
    if daemon.as_supervisord && daemon.detached {
        daemon.log(Level::Info, "daemonizing the supervisord process");
        if let Some(dir) = &loaded.model.supervisord.directory {
            daemon.log(Level::Info, &format!("set current directory: '{dir}'"));
        }
    }
    if let Some(why) = cleared {
        daemon.log(Level::Warn, &why);
    }
    if errors {
        daemon.log(
            Level::Error,
            "what has an error was left out; see: steadfast check",
        );
    }
    daemon.log(
        Level::Info,
        &format!("supervisord started with pid {}", daemon.root_pid),
    );
    daemon.note(&Entry::note(
        sys::clock::wall_ms(),
        "",
        &format!("started with pid {}", daemon.root_pid),
    ));
    for line in summary::lines(&daemon.state.borrow().active, &candidate.resolved.keys) {
        daemon.show(line);
    }
    up(
        daemon,
        Cause {
            why: Why::Boot,
            text: "autostart".to_owned(),
        },
    );
    Ok(control)
}

/// Whoever runs this file already.
async fn rival(
    daemon: &Shared,
    loaded: &conf::Loaded,
    before: &Active,
) -> Option<crate::rival::Rival> {
    if loaded.unreadable || before.config.is_empty() {
        return None;
    }
    let settings = crate::resolve::settings_of(&loaded.model, &daemon.state_dir);
    crate::rival::look(&settings, &before.config, daemon.root_pid).await
}

/// What Supervisor's activity log begins with: as whom it runs, which files it read.
fn parsed(daemon: &Shared, loaded: &conf::Loaded) -> Vec<(Level, String)> {
    let mut lines = Vec::new();
    let own = &loaded.model.supervisord;
    let uid = sys::users::own_uid();
    if own.user.is_none() && uid == 0 && daemon.as_supervisord {
        let text = "Supervisor is running as root.  Privileges were not dropped because no user is specified in the \
                    config file.  If you intend to run as root, you can set user=root in the config file to avoid \
                    this message.";
        lines.push((Level::Critical, text.to_owned()));
    }
    let config = config_path(daemon);
    let here = std::path::Path::new(&config).parent();
    let unmatched = loaded.findings.iter();
    let unmatched = unmatched.filter(|found| found.code == "conf.include-empty");
    lines.extend(unmatched.filter_map(|found| {
        let pattern = found.message.split('`').nth(1)?;
        let pattern = here?.join(pattern);
        let text = format!("No file matches via include \"{}\"", pattern.display());
        Some((Level::Warn, text))
    }));
    lines.extend(loaded.tree.iter().skip(1).map(|file| {
        let text = format!("Included extra file \"{}\" during parsing", file.path);
        (Level::Info, text)
    }));
    if let Some(user) = own.user.as_ref().filter(|user| user.uid == uid) {
        let text = format!("Set uid to user {} succeeded", user.uid);
        lines.push((Level::Info, text));
    }
    lines
}

/// Logs, sockets, files: everything through which we are reached.
pub(crate) async fn open_fronts(
    daemon: &Shared,
    kept: Option<std::os::fd::OwnedFd>,
    first_lines: &[(Level, String)],
) -> Result<tokio::net::UnixListener, CouldNot> {
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
            settle::again()
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
    if crate::rival::holds_pidfile(&settings.pidfile, daemon.root_pid) {
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

/// Its directory may be somebody's: not through a link of his.
fn write_pid(path: &str, pid: i32) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
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

impl State {
    fn empty(kept: BTreeMap<String, std::os::fd::OwnedFd>) -> State {
        State {
            active: Active::default(),
            file: None,
            keepers: BTreeMap::new(),
            listeners: BTreeMap::new(),
            sockets: BTreeMap::new(),
            failed_listeners: BTreeMap::new(),
            trouble: BTreeMap::new(),
            mood: Mood::Running,
            servers: BTreeMap::new(),
            kept,
            ledger: None,
            activity: Activity::default(),
            watchers: Vec::new(),
            memory: Default::default(),
            forking: Default::default(),
            making: BTreeMap::new(),
            leaving: BTreeSet::new(),
            numbers: 0,
            rotating: None,
            news: Default::default(),
            store: crate::stores::Told::default(),
            restarts: BTreeMap::new(),
            samples: BTreeMap::new(),
            pools: Default::default(),
        }
    }
}
