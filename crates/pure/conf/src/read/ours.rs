//! Our own keys of `[program:x]`, and `[steadfast]`. Supervisor ignores them all.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use finding::Span;

use super::program::Place;
use super::{Keys, Reader, here_vars, not_supported, tokens};
use crate::expand::{EnvMap, Vars};
use crate::mapped::Text;
use crate::model::{
    AutoRestart, Guard, Listen, Program, Ready, Repeat, Replace, Signal, Spanned, Steadfast,
    Tokens, Unhealthy,
};
use crate::paths::{abspath, expanduser};
use crate::tree::{is_space, strip};
use crate::values::{self, shown};

/// A start that is not ready by then has failed: long enough for an application that loads models.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// What is in flight gets this long to finish before the stop signal.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a start may follow a stop so that the two are a restart.
const RESTART_WINDOW: Duration = Duration::from_secs(5);
/// Items of one list. Each has its place in the file, which takes time to find in a long line.
const LIST_ITEMS_MAX: usize = 10_000;
/// Descriptors 0, 1 and 2 are the streams.
const READY_FD_MIN: i32 = 3;

/// A program in which nothing is set.
pub(super) fn defaults(place: &Place<'_>) -> Program {
    Program {
        name: String::new(),
        group: String::new(),
        kind: crate::model::ProgramKind::Program,
        header: place.section.header.clone(),
        priority: Spanned::default_of(999),
        autostart: Spanned::default_of(true),
        autorestart: Spanned::default_of(AutoRestart::Unexpected),
        startsecs: Spanned::default_of(1),
        startretries: Spanned::default_of(3),
        exitcodes: Spanned::default_of(vec![0]),
        stopsignal: Spanned::default_of(Signal::TERM),
        stopwaitsecs: Spanned::default_of(10),
        stopasgroup: Spanned::default_of(false),
        killasgroup: Spanned::default_of(false),
        user: None,
        umask: None,
        redirect_stderr: Spanned::default_of(false),
        serverurl: None,
        numprocs: Spanned::default_of(1),
        numprocs_start: Spanned::default_of(0),
        listen: Spanned::default_of(Listen::Own),
        secrets: Vec::new(),
        tokens: Tokens::default(),
        prove: None,
        prove_user: None,
        ready: None,
        ready_host: Spanned::default_of("localhost".to_string()),
        ready_timeout: Spanned::default_of(READY_TIMEOUT),
        keepalive: None,
        unhealthy: Spanned::default_of(Unhealthy::Report),
        replace: Spanned::default_of(Replace::Hold),
        drain_timeout: Spanned::default_of(DRAIN_TIMEOUT),
        restart_window: Spanned::default_of(RESTART_WINDOW),
        depends_on: Vec::new(),
        repeat: Spanned::default_of(Repeat::Safe),
        extras: crate::model::Extras::default(),
        processes: Vec::new(),
    }
}

/// Reads our keys that are the same for all processes.
pub(super) fn program(keys: &mut Keys<'_, '_>, vars: &Vars<'_>, out: &mut Program) {
    out.listen = keys.value("listen", Listen::Own, vars, listen);
    out.ready_host = keys.value("ready_host", "localhost".to_string(), vars, host);
    out.ready_timeout = keys.value("ready_timeout", READY_TIMEOUT, vars, positive);
    out.keepalive = keys
        .optional("keepalive", vars, values::duration)
        .filter(|every| !every.is_zero());
    out.unhealthy = keys.value("unhealthy", Unhealthy::Report, vars, unhealthy);
    out.replace = keys.value("replace", Replace::Hold, vars, |text| {
        match lower(text).as_str() {
            "hold" => Ok(Replace::Hold),
            "overlap" => Ok(Replace::Overlap),
            _ => Err(format!("{} is neither hold nor overlap", shown(text))),
        }
    });
    out.drain_timeout = keys.value("drain_timeout", DRAIN_TIMEOUT, vars, values::duration);
    out.restart_window = keys.value("restart_window", RESTART_WINDOW, vars, values::duration);
    out.repeat = keys.value("repeat", Repeat::Safe, vars, |text| {
        match lower(text).as_str() {
            "safe" => Ok(Repeat::Safe),
            "idempotent" => Ok(Repeat::Idempotent),
            _ => Err(format!("{} is neither safe nor idempotent", shown(text))),
        }
    });
    if out.repeat.value == Repeat::Idempotent {
        let finding = not_supported("`repeat = idempotent`").at(out.repeat.span.clone());
        keys.reader.findings.push(finding);
    }
    out.ready = ready(keys, vars);
    out.secrets = tokens::secrets(keys, vars);
    out.tokens = tokens::tokens(keys, vars, &out.secrets);
    out.prove = keys.optional("prove", vars, tokens::path);
    out.prove_user = keys.optional("prove_user", vars, |text| match strip(text) {
        "" => Err("a user is missing".to_owned()),
        user => Ok(user.to_owned()),
    });
    tokens::check_prove(keys, out);
    out.depends_on = names(keys, "depends_on", vars, |_| Ok(()));
    out.extras = super::extras::read(keys, vars);
}

fn lower(text: &str) -> String {
    strip(text).to_lowercase()
}

fn listen(text: &str) -> Result<Listen, String> {
    match lower(text).as_str() {
        "own" => Ok(Listen::Own),
        "held" => Ok(Listen::Held),
        "gateway" => Ok(Listen::Gateway),
        _ => Err(format!("{} is none of own, held, gateway", shown(text))),
    }
}

pub(super) fn host(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != '/');
    if fits {
        Ok(text.to_string())
    } else {
        Err(format!("{} is not a host", shown(text)))
    }
}

pub(super) fn positive(text: &str) -> Result<Duration, String> {
    values::duration(text).and_then(|time| {
        if time.is_zero() {
            Err("it must be longer than 0".to_string())
        } else {
            Ok(time)
        }
    })
}

fn unhealthy(text: &str) -> Result<Unhealthy, String> {
    let wrong = || format!("{} is neither `report` nor `restart after 3`", shown(text));
    let lower = lower(text);
    let mut words = lower.split(is_space).filter(|word| !word.is_empty());
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some("report"), None, None, None) => Ok(Unhealthy::Report),
        (Some("restart"), Some("after"), Some(number), None) => {
            let number: u32 = number.parse().map_err(|_| wrong())?;
            if number == 0 {
                Err(wrong())
            } else {
                Ok(Unhealthy::RestartAfter(number))
            }
        }
        _ => Err(wrong()),
    }
}

/// `http:PATH | tcp | notify | fd:N | log:REGEX | exec:CMD`.
fn ready(keys: &mut Keys<'_, '_>, vars: &Vars<'_>) -> Option<Spanned<Ready>> {
    let (text, span) = keys.text("ready", vars)?;
    let text = text.as_str();
    match parse_ready(text) {
        Ok(value) => Some(Spanned {
            value,
            span: Some(span),
        }),
        Err(words) => {
            keys.bad_value("ready", &words, span);
            None
        }
    }
}

/// A path that can be asked for.
pub(super) fn ready_path(path: &str) -> Option<String> {
    let fits = path.starts_with('/')
        && !path.starts_with("//")
        && path.chars().all(|c| c.is_ascii_graphic() && c != '#');
    fits.then(|| path.to_string())
}

fn parse_ready(text: &str) -> Result<Ready, String> {
    match text {
        "tcp" => return Ok(Ready::Tcp),
        "notify" => return Ok(Ready::Notify),
        _ => {}
    }
    if let Some(command) = text.strip_prefix("exec:") {
        let words = crate::argv::split(command).map_err(|error| error.words().to_string())?;
        return Ok(Ready::Exec(
            words.into_iter().map(|word| word.value).collect(),
        ));
    }
    if let Some(path) = text.strip_prefix("http:") {
        let path = ready_path(path).ok_or_else(|| {
            format!(
                "{} is not a path like `http:/api/health` (the address is the program's own)",
                shown(text)
            )
        })?;
        return Ok(Ready::Http { path });
    }
    if let Some(number) = text.strip_prefix("fd:") {
        let number = number.parse().ok().filter(|number| *number >= READY_FD_MIN);
        return number.map(Ready::Fd).ok_or_else(|| {
            format!(
                "{} is not a descriptor from {READY_FD_MIN} on, like `fd:3`",
                shown(text)
            )
        });
    }
    if let Some(regex) = text.strip_prefix("log:") {
        return match regex_lite::Regex::new(regex) {
            _ if regex.is_empty() => Err("an empty pattern fits every line".to_string()),
            Ok(_) => Ok(Ready::Log(regex.to_string())),
            Err(error) => Err(format!(
                "{} is not a regular expression: {error}",
                shown(regex)
            )),
        };
    }
    Err(format!(
        "{} is none of http:/path, tcp, notify, fd:3, log:regex, exec:command",
        shown(text)
    ))
}

/// A list of names, separated by commas or blanks, each with its place.
pub(super) fn names(
    keys: &mut Keys<'_, '_>,
    key: &str,
    vars: &Vars<'_>,
    check: impl Fn(&str) -> Result<(), String>,
) -> Vec<Spanned<String>> {
    let Some((text, span)) = keys.text(key, vars) else {
        return Vec::new();
    };
    let mut seen = HashSet::new();
    let mut names: Vec<Spanned<String>> = Vec::new();
    for (name, place) in list_items(keys, key, &text, &span, |c| c == ',' || is_space(c)) {
        if name.is_empty() || !seen.insert(name.clone()) {
            continue;
        }
        match check(&name) {
            Ok(()) => names.push(Spanned {
                value: name,
                span: place,
            }),
            Err(words) => {
                let message = format!("`{key}` of [{}]: {words}", keys.section.name);
                keys.error("conf.value", message, place);
            }
        }
    }
    names
}

/// [`items`], unless there are too many.
pub(super) fn list_items(
    keys: &mut Keys<'_, '_>,
    key: &str,
    text: &Text,
    whole: &Span,
    separator: impl Fn(char) -> bool,
) -> Vec<(String, Option<Span>)> {
    let separators = text.as_str().chars().filter(|c| separator(*c)).count();
    if separators >= LIST_ITEMS_MAX {
        let message = format!(
            "`{key}` of [{}] has more than {LIST_ITEMS_MAX} items",
            keys.section.name
        );
        keys.error("conf.too-much", message, whole.clone());
        return Vec::new();
    }
    items(text, whole, separator)
}

/// The parts of a text between separators, stripped, each with its place.
fn items(
    text: &Text,
    whole: &Span,
    separator: impl Fn(char) -> bool,
) -> Vec<(String, Option<Span>)> {
    let value = text.as_str();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for (at, c) in value.char_indices().filter(|(_, c)| separator(*c)) {
        ranges.push(start..at);
        start = at + c.len_utf8();
    }
    ranges.push(start..value.len());
    ranges
        .into_iter()
        .map(|range| {
            let part = &value[range.clone()];
            let inner = strip(part);
            let start = range.start + (inner.as_ptr() as usize - part.as_ptr() as usize);
            let span = if inner.is_empty() {
                None
            } else {
                text.span(start..start + inner.len())
            };
            (
                inner.to_string(),
                Some(span.unwrap_or_else(|| whole.clone())),
            )
        })
        .collect()
}

/// Supervisor's list: split at commas only; an empty value has no items, an empty item is one.
pub(super) fn comma_items(
    keys: &mut Keys<'_, '_>,
    key: &str,
    text: &Text,
    whole: &Span,
) -> Vec<(String, Option<Span>)> {
    if text.as_str().is_empty() {
        return Vec::new();
    }
    list_items(keys, key, text, whole, |c| c == ',')
}

pub(super) fn is_variable(name: &str) -> bool {
    name.chars()
        .enumerate()
        .all(|(i, c)| c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit()))
}

/// `[steadfast]`.
pub(super) fn steadfast(reader: &mut Reader<'_>, env: &EnvMap) -> Option<Steadfast> {
    let ini = reader.ini;
    let section = ini.section("steadfast")?;
    let vars = here_vars(reader, env);
    let (machine, files, here) = (reader.env, reader.files, reader.here);
    let dir = |path: &str| match path.is_empty() {
        true => Err("a directory is missing".to_string()),
        false => Ok(abspath(&expanduser(path, machine, files), here)),
    };
    let mut keys = Keys::new(reader, section);
    let guard = keys.value("guard", Guard::Refuse, &vars, |text| {
        match lower(text).as_str() {
            "refuse" => Ok(Guard::Refuse),
            "warn" => Ok(Guard::Warn),
            "off" => Ok(Guard::Off),
            _ => Err(format!("{} is none of refuse, warn, off", shown(text))),
        }
    });
    Some(Steadfast {
        header: section.header.clone(),
        guard,
        state_dir: keys.optional("state_dir", &vars, dir),
        notify: keys.optional("notify", &vars, super::extras::notify),
    })
}
