//! Logs and the ledger: read beside the loop, since a read of megabytes must not hold a restart up.

use control::{Body, Channel, Done, Fault};
use ledger::Filter;
use supervisord::logfile;
use wire::Command;

use super::outcomes::{done, fault, meant, outcome};
use crate::lines::Level;
use crate::state::Shared;

/// Entries of history at most in one answer; more is read from the file itself.
const HISTORY_MAX: u32 = 10_000;

/// Which bytes of which log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) channel: Channel,
    pub(super) offset: i64,
    pub(super) length: i64,
    pub(super) tail: bool,
}

/// Bytes of a log by Supervisor's rules (options.py `readFile`, `tailFile`).
pub(super) async fn read(daemon: &Shared, wanted: Wanted<'_>) -> Done {
    let path = match path(daemon, wanted.name, wanted.channel) {
        Ok(path) => path,
        Err(why) => return Done::failed(1, why),
    };
    let Wanted {
        name,
        offset,
        length,
        tail,
        ..
    } = wanted;
    if tail {
        let file = path.clone();
        let tail = tokio::task::spawn_blocking(move || logfile::tail(&file, offset, length)).await;
        return match tail {
            Ok(tail) => Done::ok(Body::Log {
                text: tail.text,
                offset: tail.offset,
                overflow: tail.overflow,
                path,
            }),
            Err(why) => Done::failed(2, why.to_string()),
        };
    }
    if !logfile::exists(&path) {
        let of = if name.is_empty() {
            "the activity log"
        } else {
            name
        };
        return Done::failed(1, format!("{of} has no log file yet ({path})"));
    }
    let file = path.clone();
    match tokio::task::spawn_blocking(move || logfile::read(&file, offset, length)).await {
        Ok(Ok(text)) => {
            let end = offset
                .max(0)
                .saturating_add(i64::try_from(text.len()).unwrap_or(i64::MAX));
            let size = std::fs::metadata(&path)
                .map_or(end, |meta| i64::try_from(meta.len()).unwrap_or(i64::MAX));
            let end = if offset < 0 { size } else { end };
            Done::ok(Body::Log {
                text,
                offset: end,
                overflow: false,
                path,
            })
        }
        Ok(Err(logfile::ReadError::BadArguments)) => {
            Done::failed(2, "a negative offset needs length 0")
        }
        Ok(Err(logfile::ReadError::Failed)) => Done::failed(2, format!("cannot read {path}")),
        Err(why) => Done::failed(2, why.to_string()),
    }
}

fn path(daemon: &Shared, name: &str, channel: Channel) -> Result<String, String> {
    if name.is_empty() {
        let path = daemon.state.borrow().activity.path().display().to_string();
        let none = || "there is no activity log (logfile = NONE)".to_owned();
        return Some(path).filter(|path| !path.is_empty()).ok_or_else(none);
    }
    let (keys, bad) = meant(daemon, &[name.to_owned()]);
    if let Some(bad) = bad.first() {
        return Err(bad.text.clone());
    }
    let [key] = keys.as_slice() else {
        let names: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
        return Err(format!(
            "`{name}` means several processes; name one: {}",
            names.join(", ")
        ));
    };
    let state = daemon.state.borrow();
    let slot = state
        .active
        .slot(key)
        .ok_or_else(|| format!("there is no process `{name}`"))?;
    let sink = match channel {
        Channel::Stdout => &slot.spec.stdout,
        Channel::Stderr => &slot.spec.stderr,
    };
    match sink {
        wire::Sink::File { path, .. } => Ok(path.clone()),
        wire::Sink::Nowhere {} if channel == Channel::Stderr && slot.spec.redirect_stderr => Err(
            format!("{key} writes its errors to stdout (redirect_stderr)"),
        ),
        wire::Sink::Nowhere {} => Err(format!("{key} has no log (it is set to NONE)")),
        wire::Sink::RootStdout {} | wire::Sink::RootStderr {} | wire::Sink::Device { .. } => Err(
            format!("{key} logs to the output of steadfast itself, which cannot be read back"),
        ),
    }
}

/// Empties logs.
pub(super) async fn clear(daemon: &Shared, names: &[String], main: bool) -> Done {
    if main {
        // The last line of the old file, as in Supervisor.
        daemon.log(Level::Info, "reopening log file");
        let cleared = daemon.state.borrow_mut().activity.clear();
        return match cleared {
            Ok(()) => Done::ok(Body::Nothing),
            Err(why) => Done::failed(2, why),
        };
    }
    let (keys, mut outcomes) = meant(daemon, names);
    for key in keys {
        let answer = daemon
            .ask(&key, |op| Command::ClearLogs { op }, Vec::new())
            .await;
        let (status, text) = match answer {
            Ok((result, text)) => (fault(result, Fault::Success), text),
            Err(text) => (Fault::Failed, text),
        };
        outcomes.push(outcome(&key, status, text));
    }
    done(outcomes, &[])
}

/// The ledger's last entries.
pub(super) async fn history(daemon: &Shared, name: &str, limit: u32) -> Done {
    let mut filter = Filter::last(limit.min(HISTORY_MAX) as usize);
    if limit == 0 {
        filter.limit = HISTORY_MAX as usize;
    }
    if !name.is_empty() {
        let (keys, bad) = meant(daemon, &[name.to_owned()]);
        filter = match (keys.as_slice(), bad.first()) {
            ([only], _) => filter.of(&only.to_string()),
            // What is no longer configured still has a history.
            (_, Some(_)) => filter.of(name),
            (_, None) => filter.of(&format!("{}:*", name.split(':').next().unwrap_or(name))),
        };
    }
    let dir = daemon.ledger_dir();
    match tokio::task::spawn_blocking(move || ledger::read(&dir, &filter)).await {
        Ok(Ok(entries)) => {
            let entries = entries
                .iter()
                .filter_map(|entry| serde_json::to_value(entry).ok())
                .collect();
            Done::ok(Body::History { entries })
        }
        Ok(Err(why)) => Done::failed(2, format!("cannot read the ledger: {why}")),
        Err(why) => Done::failed(2, why.to_string()),
    }
}
