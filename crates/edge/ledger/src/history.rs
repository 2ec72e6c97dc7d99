//! Entries in words, one line each. Pure.

use crate::entry::{Entry, Happened, What};
use crate::words::{Zone, duration};

/// Columns of the process's name before it pushes the rest to the right: `steadfast:gateway` fits.
const NAME_COLUMNS: usize = 17;

/// The lines of `steadfast history`: a date where the day changes, then time, process and what happened.
/// Texts from outside are shown with control characters escaped.
pub fn history(entries: &[Entry], zone: Zone) -> Vec<String> {
    let mut lines = Vec::new();
    let mut today = String::new();
    for entry in entries {
        let Some(words) = say(&entry.what) else {
            continue;
        };
        let date = zone.date(entry.at_ms);
        if date != today {
            lines.push(date.clone());
            today = date;
        }
        let process = match entry.process.as_str() {
            "" => "-".to_owned(),
            name => finding::escape(name),
        };
        let time = zone.time(entry.at_ms);
        lines.push(
            format!("  {time}  {process:<NAME_COLUMNS$}  {words}")
                .trim_end()
                .to_owned(),
        );
    }
    lines
}

fn say(what: &What) -> Option<String> {
    Some(match what {
        What::Transition(happened) => say_happened(happened),
        What::Config { changes, by } => {
            let changes: Vec<String> = changes.iter().map(|c| one_line(c)).collect();
            format!(
                "configuration changed: {} ({})",
                changes.join("; "),
                one_line(by)
            )
        }
        What::Command {
            command,
            by,
            exit,
            text,
        } => {
            let end = match exit {
                None => "begun".to_owned(),
                Some(0) => "done".to_owned(),
                Some(1) => "not as wished".to_owned(),
                Some(_) => "could not".to_owned(),
            };
            let text = if text.is_empty() {
                String::new()
            } else {
                format!(": {}", first_line(text))
            };
            format!("{} by {}: {end}{text}", one_line(command), one_line(by))
        }
        What::Note { text } => one_line(text),
        What::Marks { .. } => return None,
    })
}

fn say_happened(h: &Happened) -> String {
    let why = reason(h);
    if h.replaced {
        return format!("replaced without a gap, pid {}  {why}", h.pid);
    }
    if h.is_remark() {
        return remark(h);
    }
    match h.to.as_str() {
        "STARTING" if h.tries > 1 => format!("starting, try {}  {why}", h.tries),
        "STARTING" => format!("starting  {why}"),
        "RUNNING" => format!("running {}", ready_words(h)),
        "STOPPING" => format!("stopping, pid {}  {why}", h.pid),
        _ => {
            let word = match h.to.as_str() {
                "FATAL" => "given up",
                "BACKOFF" => "ended before it was ready",
                "STOPPED" => "stopped",
                _ => "ended",
            };
            match ending(h) {
                Some(end) if why.ends_with(&end) => {
                    format!("{word}, lived {}  {why}", duration(h.lived_ms))
                }
                Some(end) => format!("{word}, {end}, lived {}  {why}", duration(h.lived_ms)),
                None => format!("{word}  {why}"),
            }
        }
    }
}

fn remark(h: &Happened) -> String {
    if h.is_ready_remark() {
        return format!("ready {}", ready_words(h));
    }
    match ending(h) {
        Some(end) => format!(
            "generation {} left, {end}, lived {}",
            h.generation,
            duration(h.lived_ms)
        ),
        None => one_line(&h.note),
    }
}

/// `after 1.4 s, pid 2203, away 1.4 s`.
fn ready_words(h: &Happened) -> String {
    let mut words = format!("after {}, pid {}", duration(h.took_ms), h.pid);
    if h.away_ms > 0 {
        words += &format!(", away {}", duration(h.away_ms));
    }
    words
}

/// `status 1`, `SIGKILL`.
pub(crate) fn ending(h: &Happened) -> Option<String> {
    h.exit.map(|exit| match exit {
        0.. => format!("status {exit}"),
        _ => wire::signals::name(exit.saturating_neg()),
    })
}

/// Why, in words: `operator: restart by root (pts/0)`, `killed by the kernel, out of memory (1.9 GB)`.
pub(crate) fn reason(h: &Happened) -> String {
    let text = one_line(&h.text);
    let with = |word: &str| match text.as_str() {
        "" => word.to_owned(),
        // `not ready within 60 s: …` says it already.
        text if text.starts_with(word) => text.to_owned(),
        text => format!("{word}: {text}"),
    };
    match h.why.as_str() {
        "crash" if text.is_empty() => match ending(h) {
            Some(end) => format!("crash: {end}"),
            None => "crash".to_owned(),
        },
        "out of memory" => match text.as_str() {
            "" => "killed by the kernel, out of memory".to_owned(),
            text => format!("killed by the kernel, out of memory ({text})"),
        },
        "exit" => with("ended by itself"),
        "keeper lost" => with("its keeper ended"),
        "removed" => with("removed from the configuration"),
        "" | "unknown" => match text.as_str() {
            "" => "reason not known".to_owned(),
            text => text.to_owned(),
        },
        other => with(other),
    }
}

/// The first line that says something, escaped: of an answer it is the reason, and output follows.
pub(crate) fn first_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    finding::escape(line.unwrap_or("").trim())
}

/// The last line that says something, escaped: of a traceback it is the one that names the error.
pub(crate) fn one_line(text: &str) -> String {
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    finding::escape(line.unwrap_or("").trim())
}
