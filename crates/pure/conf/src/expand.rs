//! `%(name)s` in values: Python's `value % expansions`, with the exact place of what cannot be expanded.
//!
//! All of Python's format is understood for the two types that occur, text and whole numbers: flags, width, precision, and the
//! conversions `s r a d i u o x X c f F` and `%%`. Two things that Python does are refused, because nobody can want them:
//! a `%s` without a name (Python writes out the whole dictionary, environment included) and `e`, `g` for numbers.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::mapped::Text;
use crate::suggest::did_you_mean;

/// The environment of `%(ENV_x)s`.
pub(crate) type EnvMap = BTreeMap<String, String>;

/// The widest field or longest precision, in characters: Python has no limit and would fill memory.
const FIELD_CHARS_MAX: usize = 10_000;

/// The longest expanded value, in bytes: far beyond what can be started (128 KiB for one argument).
const VALUE_BYTES_MAX: usize = 4 << 20;

/// A value that a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Val {
    Str(String),
    Int(i64),
    /// A place of `steadfast_command`, left as it stands.
    Place,
}

/// The names that may be used at one place of the file.
#[derive(Debug, Clone)]
pub(crate) struct Vars<'a> {
    /// For `%(ENV_x)s`: what was in the environment of the daemon and what `[supervisord]` adds.
    pub(crate) env: &'a BTreeMap<String, String>,
    /// For `%(ENV_x)s`, first: what the process's own `environment` sets.
    pub(crate) own_env: BTreeMap<String, String>,
    /// Every other name.
    pub(crate) names: Vec<(&'static str, Val)>,
}

impl<'a> Vars<'a> {
    pub(crate) fn new(env: &'a BTreeMap<String, String>) -> Vars<'a> {
        Vars {
            env,
            own_env: BTreeMap::new(),
            names: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Vars<'a> {
        self.set(name, Val::Str(value.into()));
        self
    }

    pub(crate) fn set(&mut self, name: &'static str, value: Val) {
        self.names.retain(|(known, _)| *known != name);
        self.names.push((name, value));
    }

    fn get(&self, name: &str) -> Option<Val> {
        if let Some((_, value)) = self.names.iter().find(|(known, _)| *known == name) {
            return Some(value.clone());
        }
        let variable = name.strip_prefix("ENV_")?;
        self.own_env
            .get(variable)
            .or_else(|| self.env.get(variable))
            .cloned()
            .map(Val::Str)
    }

    /// What to say about a name that is not known.
    fn unknown(&self, name: &str) -> String {
        if let Some(variable) = name.strip_prefix("ENV_") {
            return format!(
                "the variable {variable} is not set in the environment that this file is read in"
            );
        }
        if ["socket", "port", "fd"].contains(&name) {
            return format!("`%({name})s` exists only in `steadfast_command`");
        }
        let names = self.names.iter().map(|(known, _)| *known);
        match did_you_mean(name, names.clone()) {
            Some(near) => format!("`%({name})s` is not known here; did you mean `%({near})s`?"),
            None => {
                let known: Vec<String> = names.map(|name| format!("%({name})s")).collect();
                format!(
                    "`%({name})s` is not known here; known are {} and %(ENV_x)s",
                    known.join(", ")
                )
            }
        }
    }
}

/// Why a value cannot be expanded: what, where in the value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ExpandError {
    pub(crate) message: String,
    pub(crate) range: Range<usize>,
}

/// Expands every `%(…)…` of a text.
pub(crate) fn expand(text: &Text, vars: &Vars<'_>) -> Result<Text, ExpandError> {
    let value = text.as_str();
    let mut out = text.like();
    let mut at = 0;
    while let Some(found) = value[at..].find('%') {
        let start = at + found;
        out.push_part(text, at..start);
        let (spec, end) = parse(value, start)?;
        let fail = |message: String| ExpandError {
            message,
            range: start..end,
        };
        match spec {
            None => put(&mut out, text, "%", start..end),
            Some(spec) => match vars.get(&spec.name) {
                None => return Err(fail(vars.unknown(&spec.name))),
                Some(Val::Place) if &value[end - 1..end] == "s" && spec.is_plain() => {
                    out.push_part(text, start..end)
                }
                Some(Val::Place) => return Err(fail(format!("write it as `%({})s`", spec.name))),
                Some(val) => put(
                    &mut out,
                    text,
                    &format_value(&spec, &val).map_err(fail)?,
                    start..end,
                ),
            },
        }
        if out.as_str().len() > VALUE_BYTES_MAX {
            return Err(fail(format!(
                "the value is longer than {} MB when expanded",
                VALUE_BYTES_MAX >> 20
            )));
        }
        at = end;
    }
    out.push_part(text, at..value.len());
    Ok(out)
}

fn put(out: &mut Text, text: &Text, value: &str, range: Range<usize>) {
    match text.source(range) {
        Some(source) => out.push_for(value, source),
        None => out.push_part(&Text::unplaced(value), 0..value.len()),
    }
}

/// Replaces `%(here)s` as text, before any expansion: what Supervisor does to every section once there is an `[include]`.
pub(crate) fn replace_here(text: &Text, here: &str) -> Option<Text> {
    const HERE: &str = "%(here)s";
    let value = text.as_str();
    let mut out = text.like();
    let mut at = 0;
    for (start, _) in value.match_indices(HERE) {
        out.push_part(text, at..start);
        put(&mut out, text, here, start..start + HERE.len());
        at = start + HERE.len();
    }
    if at == 0 {
        return None;
    }
    out.push_part(text, at..value.len());
    Some(out)
}

#[derive(Default)]
struct Spec {
    name: String,
    minus: bool,
    plus: bool,
    blank: bool,
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

impl Spec {
    fn is_plain(&self) -> bool {
        self.width == 0
            && self.precision.is_none()
            && !(self.minus || self.plus || self.blank || self.zero || self.alternate)
    }
}

/// An error that reaches from the `%` at `start` to `end`, or to the end of the character there.
fn malformed(value: &str, start: usize, end: usize, message: &str) -> ExpandError {
    let end = (end..=value.len())
        .find(|at| value.is_char_boundary(*at))
        .unwrap_or(value.len());
    ExpandError {
        message: message.to_string(),
        range: start..end,
    }
}

/// The specification at a `%`, `None` for `%%`, and the byte behind it.
fn parse(value: &str, start: usize) -> Result<(Option<Spec>, usize), ExpandError> {
    let fail = |end: usize, message: &str| malformed(value, start, end, message);
    let bytes = value.as_bytes();
    match bytes.get(start + 1) {
        Some(b'%') => return Ok((None, start + 2)),
        Some(b'(') => {}
        Some(_) => {
            let message =
                "a `%` begins an expansion like `%(here)s`; for a percent sign write `%%`";
            return Err(fail(start + 2, message));
        }
        None => {
            return Err(fail(
                start + 1,
                "the value ends with a `%`; for a percent sign write `%%`",
            ));
        }
    }
    let Some(behind) = closing(bytes, start + 2) else {
        return Err(fail(value.len(), "the `)` of this `%(` is missing"));
    };
    let mut spec = Spec {
        name: value[start + 2..behind - 1].to_string(),
        ..Spec::default()
    };
    let at = field(&mut spec, value, start, behind)?;
    let Some(conversion) = value[at..].chars().next() else {
        let message =
            "this expansion is incomplete; after the `)` comes `s` for text or `d` for a number";
        return Err(fail(value.len(), message));
    };
    let end = at + conversion.len_utf8();
    if !"sradiuoxXcfF".contains(conversion) {
        let message =
            "after the `)` comes `s` for text or `d` for a number (also 02d and the like)";
        return Err(fail(end, message));
    }
    spec.conversion = conversion;
    Ok((Some(spec), end))
}

/// The byte behind the `)` that closes a name; parentheses inside of it are counted, as in Python.
fn closing(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 1usize;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

/// Flags, width, precision and the length that means nothing; answers the byte behind them.
fn field(spec: &mut Spec, value: &str, start: usize, mut at: usize) -> Result<usize, ExpandError> {
    let bytes = value.as_bytes();
    while let Some(flag) = bytes.get(at) {
        match flag {
            b'-' => spec.minus = true,
            b'+' => spec.plus = true,
            b' ' => spec.blank = true,
            b'0' => spec.zero = true,
            b'#' => spec.alternate = true,
            _ => break,
        }
        at += 1;
    }
    let number = |at: &mut usize| {
        let from = *at;
        while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
            *at += 1;
        }
        match &value[from..*at] {
            "" => Some(0),
            digits => digits.parse().ok().filter(|n| *n <= FIELD_CHARS_MAX),
        }
    };
    spec.width =
        number(&mut at).ok_or_else(|| malformed(value, start, at, "the width is too large"))?;
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        let precision = number(&mut at)
            .ok_or_else(|| malformed(value, start, at, "the precision is too large"))?;
        spec.precision = Some(precision);
    }
    Ok(at + usize::from(matches!(bytes.get(at), Some(b'h' | b'l' | b'L'))))
}

fn format_value(spec: &Spec, val: &Val) -> Result<String, String> {
    match (val, spec.conversion) {
        (Val::Str(text), 's') => Ok(pad_text(spec, text.clone())),
        (Val::Str(text), 'r' | 'a') => Ok(pad_text(spec, repr(text, spec.conversion == 'a'))),
        (Val::Str(text), 'c') if text.chars().count() == 1 => Ok(pad_text(spec, text.clone())),
        (Val::Str(_), conversion) => Err(format!(
            "`%({})` stands for text: write `s` after it, not `{conversion}`",
            spec.name
        )),
        (Val::Int(number), 's' | 'r' | 'a') => Ok(pad_text(spec, number.to_string())),
        (Val::Int(number), 'c') => match u32::try_from(*number).ok().and_then(char::from_u32) {
            Some(c) => Ok(pad_text(spec, c.to_string())),
            None => Err(format!("{number} is not a character")),
        },
        (Val::Int(number), 'f' | 'F') => Ok(pad_fraction(spec, *number)),
        (Val::Int(number), _) => Ok(pad_number(spec, *number)),
        (Val::Place, _) => Err("not a value".to_string()),
    }
}

fn fill(spec: &Spec, text: String) -> String {
    let missing = spec.width.saturating_sub(text.chars().count());
    if spec.minus {
        text + &" ".repeat(missing)
    } else {
        " ".repeat(missing) + &text
    }
}

fn pad_text(spec: &Spec, text: String) -> String {
    let cut = match spec.precision {
        Some(precision) if spec.conversion != 'c' => text.chars().take(precision).collect(),
        Some(_) | None => text,
    };
    fill(spec, cut)
}

fn sign(spec: &Spec, negative: bool) -> &'static str {
    match (negative, spec.plus, spec.blank) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

fn pad_number(spec: &Spec, number: i64) -> String {
    let magnitude = number.unsigned_abs();
    let digits = match spec.conversion {
        'o' => format!("{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        _ => magnitude.to_string(),
    };
    let digits = "0".repeat(spec.precision.unwrap_or(0).saturating_sub(digits.len())) + &digits;
    let prefix = match (spec.alternate, spec.conversion) {
        (true, 'o') => "0o",
        (true, 'x') => "0x",
        (true, 'X') => "0X",
        (_, _) => "",
    };
    zero_fill(spec, sign(spec, number < 0), prefix, digits)
}

fn pad_fraction(spec: &Spec, number: i64) -> String {
    let precision = spec.precision.unwrap_or(6);
    let mut digits = number.unsigned_abs().to_string();
    if precision > 0 || spec.alternate {
        digits.push('.');
        digits.push_str(&"0".repeat(precision));
    }
    zero_fill(spec, sign(spec, number < 0), "", digits)
}

fn zero_fill(spec: &Spec, sign: &str, prefix: &str, digits: String) -> String {
    let used = sign.len() + prefix.len() + digits.len();
    let zeros = if spec.zero && !spec.minus {
        spec.width.saturating_sub(used)
    } else {
        0
    };
    fill(spec, format!("{sign}{prefix}{}{digits}", "0".repeat(zeros)))
}

/// Python's `repr()` of a text, `ascii()` with `only_ascii`.
fn repr(text: &str, only_ascii: bool) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                out.push_str(&format!("\\x{:02x}", c as u32))
            }
            c if !c.is_ascii() && (only_ascii || c.is_control()) => match c as u32 {
                n @ 0..=0xff => out.push_str(&format!("\\x{n:02x}")),
                n @ 0x100..=0xffff => out.push_str(&format!("\\u{n:04x}")),
                n => out.push_str(&format!("\\U{n:08x}")),
            },
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}
