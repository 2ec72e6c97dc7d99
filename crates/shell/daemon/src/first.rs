//! A first start: the file decides.

use finding::{Finding, Report, Severity, WIDTH_COLUMNS_MAX};
use ledger::Entry;
use tokio::net::UnixListener;
use wire::{Cause, Why};

use crate::lines::Level;
use crate::model::Active;
use crate::opening::{CouldNot, config_path, open_fronts, open_ledger, up};
use crate::options::Say;
use crate::state::Shared;
use crate::{autologs, commands, machine, pools, rival, summary};

/// A first start: the file decides.
pub(crate) async fn first(daemon: &Shared) -> Result<UnixListener, CouldNot> {
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
    commands::finish_rotations(daemon, &loaded.model, &before);
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
    pools::begin(daemon);
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
async fn rival(daemon: &Shared, loaded: &conf::Loaded, before: &Active) -> Option<rival::Rival> {
    if loaded.unreadable || before.config.is_empty() {
        return None;
    }
    let settings = crate::resolve::settings_of(&loaded.model, &daemon.state_dir);
    rival::look(&settings, &before.config, daemon.root_pid).await
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
