//! Values as types: Supervisor's `datatypes`, and durations for our own keys.
//!
//! A reader gets the expanded text and answers with the value or with what is wrong, as the end of a sentence that begins with the
//! key: "`abc` is not a whole number".

use std::time::Duration;
use wire::signals::NAMES;

use crate::model::{AutoRestart, LogLevel, Signal};
use crate::tree::strip;

/// Text in messages is cut here, in characters.
const SHOWN_CHARS_MAX: usize = 60;

/// A value as it is quoted in a message, cut if it is long.
pub(crate) fn shown(value: &str) -> String {
    if value.chars().count() <= SHOWN_CHARS_MAX {
        return format!("`{value}`");
    }
    format!(
        "`{}…`",
        value.chars().take(SHOWN_CHARS_MAX).collect::<String>()
    )
}

/// Python's `int(text, radix)`: blanks around, a sign, digits with single `_` between them. Out of range is its own error.
fn int(text: &str, radix: u32) -> Result<i64, bool> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let digits = match (radix, digits.get(..2)) {
        (8, Some("0o" | "0O")) => digits[2..].strip_prefix('_').unwrap_or(&digits[2..]),
        (_, _) => digits,
    };
    let well_formed = !digits.is_empty()
        && digits
            .split('_')
            .all(|run| !run.is_empty() && run.chars().all(|c| c.is_digit(radix)));
    if !well_formed {
        return Err(false);
    }
    let magnitude = i64::from_str_radix(&digits.replace('_', ""), radix).map_err(|_| true)?;
    Ok(if negative { -magnitude } else { magnitude })
}

fn int_words(text: &str, what: &str) -> impl FnOnce(bool) -> String {
    let shown = shown(text);
    move |too_large| {
        if too_large {
            format!("{shown} is out of range")
        } else {
            format!("{shown} is not {what}")
        }
    }
}

/// `integer`.
pub(crate) fn integer(text: &str) -> Result<i64, String> {
    int(text, 10).map_err(int_words(text, "a whole number"))
}

/// A whole number that makes sense from 0 on. Supervisor takes negative ones and treats them as 0, so they are 0 here, too.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    integer(text).map(|number| u64::try_from(number).unwrap_or(0))
}

/// Like [`count`], for what is kept in 32 bits.
pub(crate) fn count32(text: &str) -> Result<u32, String> {
    let number = count(text)?;
    u32::try_from(number).map_err(|_| format!("{} is out of range", shown(text)))
}

/// A user or group as it is looked up: a number in any spelling that Python reads, else the name as it stands.
pub(crate) fn owner(text: &str) -> String {
    int(text, 10).map_or_else(|_| text.to_string(), |number| number.to_string())
}

/// `boolean`.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err(format!("{} is neither true nor false", shown(text))),
    }
}

/// `auto_restart`.
pub(crate) fn auto_restart(text: &str) -> Result<AutoRestart, String> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(AutoRestart::Always),
        "no" | "false" | "off" | "0" => Ok(AutoRestart::Never),
        "unexpected" => Ok(AutoRestart::Unexpected),
        _ => Err(format!(
            "{} is none of true, false, unexpected",
            shown(text)
        )),
    }
}

/// `byte_size`: bytes, or with KB, MB, GB (1024 each); negative is 0, which means without limit.
pub(crate) fn byte_size(text: &str) -> Result<u64, String> {
    let lower = text.to_lowercase();
    let units = [("kb", 1u64 << 10), ("mb", 1 << 20), ("gb", 1 << 30)];
    let unit = units
        .into_iter()
        .find_map(|(suffix, factor)| Some((lower.strip_suffix(suffix)?, factor)));
    let (digits, factor) = unit.unwrap_or((&lower, 1));
    let number = int(digits, 10).map_err(int_words(
        text,
        "a size in bytes like `1048576`, `512KB`, `50MB` or `1GB`",
    ))?;
    let number = u64::try_from(number).unwrap_or(0);
    number
        .checked_mul(factor)
        .ok_or_else(|| format!("{} is out of range", shown(text)))
}

/// `octal_type`, for modes and umasks; bits above 0o7777 mean nothing to the system and are dropped.
pub(crate) fn octal(text: &str) -> Result<u32, String> {
    let number = int(text, 8).map_err(int_words(text, "an octal number like `022`"))?;
    Ok(u32::try_from(number & 0o7777).unwrap_or(0))
}

/// `list_of_exitcodes`.
pub(crate) fn exit_codes(text: &str) -> Result<Vec<u8>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let code = |item: &str| {
        let number = int(item, 10).map_err(int_words(strip(item), "a whole number"))?;
        u8::try_from(number).map_err(|_| {
            format!(
                "{} is not an exit status: they go from 0 to 255",
                shown(strip(item))
            )
        })
    };
    text.split(',').map(code).collect()
}

/// `logging_level`.
pub(crate) fn log_level(text: &str) -> Result<LogLevel, String> {
    Ok(match text.to_lowercase().as_str() {
        "blather" => LogLevel::Blather,
        "trace" => LogLevel::Trace,
        "debug" => LogLevel::Debug,
        "info" => LogLevel::Info,
        "warn" => LogLevel::Warn,
        "error" => LogLevel::Error,
        "critical" => LogLevel::Critical,
        _ => {
            return Err(format!(
                "{} is none of critical, error, warn, info, debug, trace, blather",
                shown(text)
            ));
        }
    })
}

impl Signal {
    /// SIGTERM.
    pub const TERM: Signal = Signal(15);

    /// The name without `SIG`: `TERM`.
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(_, number)| *number == self.0)
            .map_or("?", |(name, _)| name)
    }
}

/// `signal_number`: a number or a name, with or without `SIG`, in any case. Supervisor also takes 0, which ends nothing: refused.
pub(crate) fn signal(text: &str) -> Result<Signal, String> {
    let name = strip(text).to_uppercase();
    let bare = name.strip_prefix("SIG").unwrap_or(&name);
    let found = match int(text, 10) {
        Ok(wanted) => NAMES
            .iter()
            .find(|(_, number)| i64::from(*number) == wanted),
        Err(_) => NAMES.iter().find(|(known, _)| *known == bare),
    };
    found.map(|(_, number)| Signal(*number)).ok_or_else(|| {
        format!(
            "{} is not a signal like TERM, INT, QUIT or HUP",
            shown(text)
        )
    })
}

/// `inet_address`: `HOST:PORT`, `*:PORT` or `PORT`; the host in lower case, empty for every address.
pub(crate) fn inet_address(text: &str) -> Result<(String, u16), String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let number = int(port, 10)
        .ok()
        .and_then(|number| u16::try_from(number).ok())
        .filter(|port| *port > 0);
    let Some(port) = number else {
        return Err(format!(
            "{} is not HOST:PORT with a port from 1 to 65535",
            shown(text)
        ));
    };
    let host = host.to_lowercase();
    Ok((if host == "*" { String::new() } else { host }, port))
}

/// `process_or_group_name`, and no control characters, which would break every list the name stands in.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let name = strip(text);
    expanded_name(name)
}

/// The same for a name after its expansion, when nothing is stripped off any more.
pub(crate) fn expanded_name(name: &str) -> Result<String, String> {
    if let Some(c) = name.chars().find(|c| " :/".contains(*c)) {
        return Err(format!(
            "{} cannot be a name: it contains `{c}`",
            shown(name)
        ));
    }
    if name.is_empty() {
        return Err("a name is missing".to_string());
    }
    if name.chars().any(char::is_control) {
        let why = "it contains a line break or another control character (is the line below indented by mistake?)";
        return Err(format!(
            "{} cannot be a name: {why}",
            shown(&finding::escape(name))
        ));
    }
    Ok(name.to_string())
}

/// The longest duration, 100 years in milliseconds: beyond it, arithmetic on times would need care everywhere.
const DURATION_MS_MAX: f64 = 100.0 * 366.0 * 86_400_000.0;

/// `30s`, `5 min`, `500ms`, `1.5 h`, `2d`; a plain number is seconds.
///
/// # Errors
/// That it is no time, in words.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "{} is not a time like `30s`, `500ms`, `5 min`, `1h` or `30`",
            shown(text)
        )
    };
    let text_in = strip(text);
    let digits = text_in
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
        .count();
    let factor = match strip(&text_in[digits..]) {
        "ms" => 1.0,
        "" | "s" | "sec" | "second" | "seconds" => 1_000.0,
        "m" | "min" | "minute" | "minutes" => 60_000.0,
        "h" | "hour" | "hours" => 3_600_000.0,
        "d" | "day" | "days" => 86_400_000.0,
        _ => return Err(wrong()),
    };
    let number: f64 = text_in[..digits].parse().map_err(|_| wrong())?;
    let ms = (number * factor).round();
    if ms > DURATION_MS_MAX {
        return Err(format!("{} is out of range", shown(text)));
    }
    // Between 0 and the bound above, so the cast is exact.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded above, never negative"
    )]
    Ok(Duration::from_millis(ms as u64))
}
