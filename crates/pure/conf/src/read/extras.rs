//! The keys of [`crate::extras`].

use std::time::Duration;

use super::Keys;
use crate::argv;
use crate::expand::Vars;
use crate::model::{Extras, LogFormat, LogPrefix, Notify};
use crate::paths::{abspath, expanduser};
use crate::tree::strip;
use crate::values::{self, shown};

/// Bytes of a `log_prefix`: it stands on every line.
const PREFIX_BYTES_MAX: usize = 128;
/// The least `memory_max`: below it nothing starts.
const MEMORY_BYTES_MIN: u64 = 1 << 20;

pub(super) fn read(keys: &mut Keys<'_, '_>, vars: &Vars<'_>) -> Extras {
    Extras {
        restart_delay: keys.value("restart_delay", Duration::ZERO, vars, values::duration),
        oneshot: keys.value("oneshot", false, vars, values::boolean),
        essential: keys.value("essential", false, vars, values::boolean),
        log_prefix: keys
            .optional("log_prefix", vars, log_prefix)
            .and_then(|prefix| {
                Some(crate::model::Spanned {
                    value: prefix.value?,
                    span: prefix.span,
                })
            }),
        log_format: keys.value("log_format", LogFormat::Plain, vars, |text| {
            match strip(text).to_lowercase().as_str() {
                "plain" => Ok(LogFormat::Plain),
                "json" => Ok(LogFormat::Json),
                _ => Err(format!("{} is neither plain nor json", shown(text))),
            }
        }),
        memory_max: keys
            .optional("memory_max", vars, |text| match values::byte_size(text)? {
                bytes @ 1..MEMORY_BYTES_MIN => Err(format!(
                    "{bytes} bytes are less than any program needs; write it like `500MB`"
                )),
                bytes => Ok(bytes),
            })
            .filter(|bytes| bytes.value > 0),
        reload_signal: keys.optional("reload_signal", vars, values::signal),
        notify: keys.optional("notify", vars, notify),
        keepalive_url: keys.optional("keepalive_url", vars, url),
        maintenance_page: page(keys, vars),
    }
}

/// A path of a page, absolute; it starts from the directory of the configuration.
pub(super) fn page(
    keys: &mut Keys<'_, '_>,
    vars: &Vars<'_>,
) -> Option<crate::model::Spanned<String>> {
    let (env, files, here) = (keys.reader.env, keys.reader.files, keys.reader.here);
    keys.optional("maintenance_page", vars, |path| match strip(path) {
        "" => Err("a file name is missing".to_string()),
        path => Ok(abspath(&expanduser(path, env, files), here)),
    })
}

/// `true`, `false` or the text itself.
fn log_prefix(text: &str) -> Result<Option<LogPrefix>, String> {
    match values::boolean(text) {
        Ok(true) => return Ok(Some(LogPrefix::Name)),
        Ok(false) => return Ok(None),
        Err(_) => {}
    }
    if text.len() > PREFIX_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!(
            "a prefix is one line of at most {PREFIX_BYTES_MAX} bytes"
        ));
    }
    Ok((!text.is_empty()).then(|| LogPrefix::Text(text.to_string())))
}

/// `https://…`, `http://…`, or a command.
pub(super) fn notify(text: &str) -> Result<Notify, String> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return url(text).map(Notify::Url);
    }
    let words = argv::split(text).map_err(|error| error.words().to_string())?;
    Ok(Notify::Command(
        words.into_iter().map(|word| word.value).collect(),
    ))
}

/// An address that can be asked. It may hold a token: it is not repeated in the message.
fn url(text: &str) -> Result<String, String> {
    let text = strip(text);
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let fits = rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && rest.chars().all(|c| c.is_ascii_graphic() && c != '#')
    });
    if fits {
        Ok(text.to_string())
    } else {
        Err("it is not an address like `https://example.org/path`".to_string())
    }
}
