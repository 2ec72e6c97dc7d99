//! `[fcgi-program:x]`: a program whose processes take connections from one socket, their standard input.

use finding::{Finding, Span};

use super::program::{self, Place};
use super::{Keys, Reader, here_vars};
use crate::expand::Vars;
use crate::model::{FastCgi, FastCgiSocket, Listen, Program, ProgramKind, Replace, Spanned};
use crate::paths::normalize;
use crate::values::{self, shown};

/// Mode of a Unix socket without `socket_mode`.
const MODE: u32 = 0o700;
/// The kernel's field for a backlog in Supervisor's eyes.
const BACKLOG_MAX: i64 = 65_535;

/// Reads a program of any group. Supervisor gives those that a `[group:x]` names no socket at all; with ours they work.
pub(super) fn member(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<Program> {
    let few = here_vars(reader, place.env);
    let mut keys = Keys::new(reader, place.section);
    let socket = socket(&mut keys, place, &few);
    let failed = keys.failed;
    let mut program = program::read(reader, place)?;
    program.kind = ProgramKind::FastCgi(socket.filter(|_| !failed)?);
    program.listen = Spanned::default_of(Listen::Own);
    program.replace = Spanned::default_of(Replace::Hold);
    Some(program)
}

fn socket(keys: &mut Keys<'_, '_>, place: &Place<'_>, few: &Vars<'_>) -> Option<FastCgi> {
    let (machine, files) = (keys.reader.env, keys.reader.files);
    let backlog = keys.optional("socket_backlog", few, |text| match values::integer(text)? {
        number @ 1..=BACKLOG_MAX => Ok(number as u32),
        _ => Err(format!(
            "{} is not between 1 and {BACKLOG_MAX}",
            shown(text)
        )),
    });
    let owner = keys.optional("socket_owner", few, |owner| {
        super::http::chown(owner, files)
    });
    let mode = keys.optional("socket_mode", few, values::octal);
    let vars = few.clone().with("program_name", place.name);
    let Some((text, span)) = keys
        .text("socket", &vars)
        .filter(|(text, _)| !text.as_str().is_empty())
    else {
        if !keys.failed {
            let message = format!("[{}] has no `socket`", place.section.name);
            let finding = Finding::error("conf.missing-key", message)
                .at(place.section.header.clone())
                .fix("write: socket = unix:///path/to/socket, or socket = tcp://127.0.0.1:9000");
            keys.reader.findings.push(finding);
            keys.failed = true;
        }
        return None;
    };
    let value = match text.as_str().strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => FastCgiSocket::Unix {
            path: normalize(path, machine, files),
            owner: owner.map(|owner| owner.value),
            mode: mode.map_or(MODE, |mode| mode.value),
        },
        Some(path) => {
            let words = format!(
                "the path {} of the Unix socket is not absolute",
                shown(path)
            );
            return refused(keys, &words, span);
        }
        None => {
            for set in [
                owner.and_then(|owner| owner.span),
                mode.and_then(|mode| mode.span),
            ]
            .into_iter()
            .flatten()
            {
                keys.error(
                    "conf.value",
                    format!(
                        "`socket_owner` and `socket_mode` of [{}] are for a Unix socket",
                        place.section.name
                    ),
                    set,
                );
            }
            match tcp(text.as_str()) {
                Some((host, port)) => FastCgiSocket::Tcp { host, port },
                None => {
                    let words = format!(
                        "{} is neither tcp://HOST:PORT nor unix:///PATH",
                        shown(text.as_str())
                    );
                    return refused(keys, &words, span);
                }
            }
        }
    };
    Some(FastCgi {
        socket: Spanned {
            value,
            span: Some(span),
        },
        backlog,
    })
}

fn refused(keys: &mut Keys<'_, '_>, words: &str, span: Span) -> Option<FastCgi> {
    keys.bad_value("socket", words, span);
    None
}

/// `tcp://HOST:PORT`, without blanks or further colons in the host.
fn tcp(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.strip_prefix("tcp://")?.split_once(':')?;
    let wrong = host.is_empty() || host.contains(crate::tree::is_space);
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if wrong || !digits {
        return None;
    }
    let port = port.parse().ok().filter(|port| *port > 0)?;
    Some((host.to_owned(), port))
}
