//! The ends of logs, and what reloaders and supervisors write into them. Bounded: a log of 5 GB costs as much as one of 256 kB.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use conf::ReadError;

use crate::disk;
use crate::time;

/// Bytes read from the end of a log: some thousand lines, read and searched within a few ms.
pub(crate) const TAIL_BYTES_MAX: u64 = 256 << 10;
/// A line longer than this is data.
const LINE_BYTES_MAX: usize = 2_000;
/// Distinct tracebacks that are told apart.
const TRACEBACKS_MAX: usize = 20;

/// What the names of the files of our own touch test begin with: what they cause is not the program's history.
pub(crate) const TOUCHED: &str = "steadfast_touch_";

/// A restart that a log tells of, caused by a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reload {
    /// The file that was named, if the reloader names it.
    pub(crate) file: Option<String>,
    /// The line.
    pub(crate) line: String,
    /// When, as the line says it: seconds since 1970, in the log's own time zone.
    pub(crate) at: Option<i64>,
}

/// What the end of a log tells.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    /// When the file was made and last written, in seconds since 1970: lines without a time are from between.
    pub(crate) born_unix_s: Option<u64>,
    pub(crate) written_unix_s: Option<u64>,
    /// A reloader announced itself after the last start.
    pub(crate) watcher: Option<String>,
    /// Restarts caused by files, oldest first.
    pub(crate) reloads: Vec<Reload>,
    /// Last lines of distinct tracebacks, with how often each came.
    pub(crate) tracebacks: BTreeMap<String, usize>,
    /// "Address already in use".
    pub(crate) port_taken: Option<String>,
    /// Requests of health paths, and how many of them were answered 2xx.
    pub(crate) pings: usize,
    pub(crate) pings_ok: usize,
    /// Supervisor's log: exits that were not asked for, by program, with the line of the last.
    pub(crate) exits: BTreeMap<String, Vec<(Option<i64>, String)>>,
    /// Supervisor's log: programs given up.
    pub(crate) gave_up: BTreeMap<String, String>,
    /// Supervisor's log: killed by a signal that it did not send.
    pub(crate) killed: BTreeMap<String, String>,
    /// The newest time stamp.
    pub(crate) newest: Option<i64>,
    /// The last line that is not empty.
    pub(crate) last: Option<String>,
    /// The text, to be searched for leaked keys.
    pub(crate) text: String,
}

/// Reads the end of a log.
pub(crate) fn read(path: &Path) -> Result<Log, ReadError> {
    let (text, size_bytes) = disk::tail(path, TAIL_BYTES_MAX)?;
    let mut log = parse(&text);
    log.path = path.to_path_buf();
    log.size_bytes = size_bytes;
    let unix_s = |time: std::time::SystemTime| {
        let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(since.as_secs())
    };
    if let Ok(meta) = std::fs::metadata(path) {
        log.born_unix_s = meta.created().ok().and_then(unix_s);
        log.written_unix_s = meta.modified().ok().and_then(unix_s);
    }
    log.text = text;
    Ok(log)
}

/// Understands the lines of a log.
pub(crate) fn parse(text: &str) -> Log {
    let mut log = Log::default();
    let mut in_traceback = false;
    // nodemon, told to talk, names the file in the line before.
    let mut changed = None;
    for line in text.lines() {
        let line = cut(line);
        if !line.trim().is_empty() {
            log.last = Some(line.trim().to_owned());
        }
        let at = stamp(line);
        log.newest = at.or(log.newest);
        if let Some(files) = between(line, "[nodemon] files triggering change check: ", "") {
            changed = files.split(',').next_back().map(|f| f.trim().to_owned());
        }
        if let Some(mut reload) = reload(line) {
            reload.at = at;
            reload.file = reload.file.or(changed.take());
            let is_ours = |file: &String| file.contains(TOUCHED);
            if !reload.file.as_ref().is_some_and(is_ours) {
                log.reloads.push(reload);
            }
        } else if announces(line) {
            log.watcher = Some(line.trim().to_owned());
        }
        if line.to_ascii_lowercase().contains("address already in use") {
            log.port_taken = Some(line.trim().to_owned());
        }
        ping(&mut log, line);
        supervisor(&mut log, line);
        if line.starts_with("Traceback (most recent call last)") {
            in_traceback = true;
        } else if in_traceback && !line.starts_with([' ', '\t']) && !line.is_empty() {
            in_traceback = false;
            if log.tracebacks.len() < TRACEBACKS_MAX || log.tracebacks.contains_key(line) {
                *log.tracebacks.entry(line.to_owned()).or_default() += 1;
            }
        }
    }
    log
}

/// The time that a line begins with, also in brackets: `[2026-01-31 21:14:02 +0000] [7] [INFO] …`.
fn stamp(line: &str) -> Option<i64> {
    time::stamp(line.strip_prefix('[').unwrap_or(line))
}

fn cut(line: &str) -> &str {
    let end = (0..=LINE_BYTES_MAX.min(line.len()))
        .rev()
        .find(|i| line.is_char_boundary(*i));
    &line[..end.unwrap_or(0)]
}

/// Words between two others.
fn between<'a>(line: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = line.split_once(before)?.1;
    Some(if after.is_empty() {
        rest
    } else {
        rest.split_once(after)?.0
    })
}

/// A line that says that a file caused a restart, and which.
fn reload(line: &str) -> Option<Reload> {
    let named = |file: &str| {
        let first = file.trim().trim_matches(['\'', '"']);
        Some(Reload {
            file: (!first.is_empty()).then(|| first.to_owned()),
            line: line.trim().to_owned(),
            at: None,
        })
    };
    // uvicorn: "WatchFiles detected changes in 'server.py'. Reloading...", also StatReload, WatchGodReload
    if let Some(files) = between(line, " detected changes in ", ". Reloading") {
        return named(files.split(',').next_back().unwrap_or(files));
    }
    // werkzeug: " * Detected change in '/app/x.py', reloading"
    if let Some(file) = between(line, "* Detected change in ", ", reloading") {
        return named(file);
    }
    // django: "/app/x.py changed, reloading."
    if let Some(file) = line.trim().strip_suffix(" changed, reloading.")
        && file.contains(['/', '.'])
    {
        return named(file.split_whitespace().next_back().unwrap_or(file));
    }
    // gunicorn: "Worker reloading: /app/x.py modified"
    if let Some(file) = between(line, "Worker reloading: ", " modified") {
        return named(file);
    }
    if line.contains("[nodemon] restarting due to changes")
        || line.contains("Changes detected, reloading workers")
    {
        return named("");
    }
    // node --watch: "Restarting 'server.js'"
    if let Some(file) = line
        .trim()
        .strip_prefix("Restarting '")
        .and_then(|r| r.strip_suffix('\''))
    {
        return named(file);
    }
    // vite: "12:00:00 [vite] vite.config.js changed, restarting server..."
    if let Some(file) = between(line, "[vite] ", " changed, restarting server") {
        return named(file);
    }
    None
}

/// A line by which a reloader announces itself.
fn announces(line: &str) -> bool {
    const SIGNS: &[&str] = &[
        "Will watch for changes in these directories",
        "Started reloader process",
        "* Restarting with stat",
        "* Restarting with watchdog",
        "Watching for file changes with",
        "[nodemon] watching path",
        "[nodemon] starting",
        "* Debugger is active!",
    ];
    SIGNS.iter().any(|sign| line.contains(sign))
}

/// A request of a health path in an access log.
fn ping(log: &mut Log, line: &str) {
    let Some(request) =
        between(line, "\"GET ", " HTTP/").or_else(|| between(line, "\"HEAD ", " HTTP/"))
    else {
        return;
    };
    let path = request.split('?').next().unwrap_or(request);
    const PATHS: &[&str] = &[
        "/health", "/healthz", "/ping", "/livez", "/readyz", "/alive",
    ];
    if !PATHS.iter().any(|p| path.ends_with(p)) {
        return;
    }
    log.pings += 1;
    let status = line
        .split_once(" HTTP/")
        .and_then(|(_, rest)| rest.split_once('"'))
        .and_then(|(_, rest)| rest.split_whitespace().next());
    if status.is_some_and(|s| s.starts_with('2')) {
        log.pings_ok += 1;
    }
}

/// Supervisor's own log: `2026-01-31 21:14:02,123 WARN exited: backend (exit status 1; not expected)`.
fn supervisor(log: &mut Log, line: &str) {
    let Some(stamp) = time::stamp(line) else {
        return;
    };
    if let Some(rest) = between(line, " exited: ", "") {
        let (name, how) = rest.split_once(' ').unwrap_or((rest, ""));
        if how.contains("not expected") {
            log.exits
                .entry(name.to_owned())
                .or_default()
                .push((Some(stamp), line.to_owned()));
            if how.contains("terminated by SIGKILL") {
                log.killed.insert(name.to_owned(), line.to_owned());
            }
        }
    }
    if let Some(rest) = between(line, " gave up: ", "") {
        let name = rest.split(' ').next().unwrap_or(rest);
        log.gave_up.insert(name.to_owned(), line.to_owned());
    }
    if let Some(rest) = between(line, " success: ", "") {
        let name = rest.split(' ').next().unwrap_or(rest);
        log.gave_up.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reloaders_are_known_by_their_words() {
        for (line, file) in [
            (
                "WARNING:  WatchFiles detected changes in 'server.py'. Reloading...",
                Some("server.py"),
            ),
            (
                "WARNING:  StatReload detected changes in 'a.py', 'b.py'. Reloading...",
                Some("b.py"),
            ),
            (
                " * Detected change in '/app/x.py', reloading",
                Some("/app/x.py"),
            ),
            ("/app/x.py changed, reloading.", Some("/app/x.py")),
            (
                "[2026-01-01 00:00:00 +0000] [7] [INFO] Worker reloading: /app/m.py modified",
                Some("/app/m.py"),
            ),
            ("[nodemon] restarting due to changes...", None),
            (
                "[nodemon] files triggering change check: lib/a.js\n[nodemon] restarting due to changes...",
                Some("lib/a.js"),
            ),
            ("Restarting 'server.js'", Some("server.js")),
            (
                "1:00:00 PM [vite] vite.config.js changed, restarting server...",
                Some("vite.config.js"),
            ),
        ] {
            let log = parse(line);
            assert_eq!(log.reloads.len(), 1, "{line}");
            assert_eq!(log.reloads[0].file.as_deref(), file, "{line}");
        }
        for line in [
            "INFO:     Application startup complete.",
            "user changed, reloading the cart",
            "WARNING:  WatchFiles detected changes in 'steadfast_touch_7.py'. Reloading...",
            "Restarting the queue",
        ] {
            assert!(parse(line).reloads.is_empty(), "{line}");
        }
    }

    #[test]
    fn pings_exits_and_tracebacks_are_counted() {
        let log = parse(concat!(
            "INFO: 127.0.0.1:1 - \"GET /api/health HTTP/1.1\" 200 OK\n",
            "INFO: 127.0.0.1:1 - \"GET /api/health HTTP/1.1\" 503 Service Unavailable\n",
            "INFO: 127.0.0.1:1 - \"GET /wealth HTTP/1.1\" 200 OK\n",
            "2026-01-31 21:14:02,123 WARN exited: backend (exit status 1; not expected)\n",
            "2026-01-31 21:14:03,123 INFO gave up: backend entered FATAL state, too many start retries too quickly\n",
            "2026-01-31 21:14:09,123 WARN exited: worker (terminated by SIGKILL; not expected)\n",
            "Traceback (most recent call last):\n  File \"x\", line 1\nValueError: no\n",
        ));
        assert_eq!((log.pings, log.pings_ok), (2, 1));
        assert_eq!(log.exits["backend"].len(), 1);
        assert!(log.gave_up.contains_key("backend") && log.killed.contains_key("worker"));
        assert_eq!(log.tracebacks.get("ValueError: no"), Some(&1));
    }
}
