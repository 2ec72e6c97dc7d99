//! What differs beside programs: the gateway, where sessions are kept, what the file tells the daemon itself.

use plan::Step;
use routes::Sessions;

use super::steps::reason;
use crate::execute::Ended;
use crate::model::{Active, Server, Settings};

/// The gateway's processes that are others in `after`.
pub(super) fn gateways(before: &Active, after: &Active) -> Vec<String> {
    let slots = after.slots.iter().filter(|slot| slot.first);
    let lines = slots.filter_map(|slot| {
        let old = before.slot(&slot.key());
        let old = old.filter(|old| old.spec.hash != slot.spec.hash)?;
        let restart = Step::Restart {
            slot: old.key(),
            after: Vec::new(),
        };
        let reason = reason(before, after, &restart)?;
        Some(format!("{}  changed ({reason})", slot.key()))
    });
    lines.collect()
}

/// What was done to the gateway's processes.
pub(super) fn done_to_gateways(before: &Active, after: &Active, results: &[Ended]) -> Vec<String> {
    let of_ours = |result: &&Ended| {
        let known = |model: &Active| model.slot(&result.key).is_some_and(|slot| slot.first);
        result.is_well() && (known(before) || known(after))
    };
    let lines = results.iter().filter(of_ours).filter_map(|result| {
        let word = match &result.step {
            Step::Restart { .. } => "replaced",
            Step::Start { .. } => "started",
            Step::Stop { .. } => "stopped",
            Step::Bind { .. }
            | Step::Spawn { .. }
            | Step::Install { .. }
            | Step::Remove { .. }
            | Step::Drop { .. } => return None,
        };
        let reason = reason(before, after, &result.step);
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        Some(format!("{}  {word}{reason}", result.key))
    });
    lines.collect()
}

/// What another store means for people.
pub(crate) const ANOTHER_STORE: &str = "sessions and users stay in the old one: nobody can sign in, and who is signed in gets \
     a 503, until `steadfast sessions forget-store`; then people sign in again";

/// The names of two stores, if sessions are kept in another one.
pub(crate) fn another_store(
    before: Option<&Sessions>,
    after: Option<&Sessions>,
) -> Option<(String, String)> {
    let (old, new) = (store::named(&before?.store), store::named(&after?.store));
    (old != new).then_some((old, new))
}

/// The same as a line, with what it means.
pub(super) fn store_line(before: &Active, after: &Active) -> Option<String> {
    let sessions = |model: &Active| model.gateway.sessions.clone();
    let (old, new) = another_store(sessions(before).as_ref(), sessions(after).as_ref())?;
    let means = ANOTHER_STORE.replacen(", until ", ",\n    until ", 1);
    Some(format!(
        "[sessions]  another store: {old} -> {new}\n    {means}"
    ))
}

/// What the file tells the daemon itself and only `reload` makes true, one for each section.
pub(super) fn own(before: &Settings, after: &Settings) -> Vec<&'static str> {
    let servers = |settings: &Settings, unix: bool| -> Vec<Server> {
        let servers = settings.servers.iter();
        servers
            .filter(|server| server.unix.is_empty() != unix)
            .cloned()
            .collect()
    };
    let log = |settings: &Settings| {
        (
            settings.logfile.clone(),
            settings.logfile_bytes_max,
            settings.logfile_backups,
            settings.loglevel,
        )
    };
    let mut sections = Vec::new();
    for (name, unix) in [("[unix_http_server]", true), ("[inet_http_server]", false)] {
        if servers(before, unix) != servers(after, unix) {
            sections.push(name);
        }
    }
    if log(before) != log(after) {
        sections.push("[supervisord]");
    }
    sections
}

/// The same as lines, where nothing was done about it.
pub(super) fn own_due(before: &Settings, after: &Settings) -> Vec<String> {
    let due = |name: &str| format!("{name}  changed; it counts after: steadfast reload");
    own(before, after).into_iter().map(due).collect()
}
