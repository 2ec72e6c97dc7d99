//! One process of a `[program:x]`: what depends on its number.

use super::Keys;
use super::program::Place;
use crate::argv::SplitError;
use crate::expand::{Val, Vars};
use crate::mapped::Text;
use crate::model::{self, Command, LogFile, LogTarget, ProcessDef, Program, Spanned, Template};
use crate::paths::{abspath, existing_dirpath, expanduser, join};
use crate::values;

/// Reads the process of this number; `None` after an error, so that a thousand processes complain once.
///
/// `vars` is carried from one process to the next: a variable that an earlier process set for itself and nobody else sets is still
/// known to `%(ENV_x)s` of the later ones. That is an accident of Supervisor's code, and its meaning.
pub(super) fn read(
    keys: &mut Keys<'_, '_>,
    place: &Place<'_>,
    vars: &mut Vars<'_>,
    number: i64,
    program: &Program,
) -> Option<ProcessDef> {
    let failed_before = std::mem::replace(&mut keys.failed, false);
    vars.set("process_num", Val::Int(number));
    vars.own_env.retain(|name, _| !place.env.contains_key(name));

    let mut environment = place.common.clone();
    let mut environment_span = None;
    if let Some(entry) = keys.entry("environment")
        && let Some(text) = keys.expanded(&entry.text, vars, entry)
    {
        environment_span = Some(entry.span());
        if let Some(own) = keys.environment(&text, entry) {
            vars.own_env.extend(own.clone());
            environment.extend(own);
        }
    }
    let directory = keys.optional("directory", vars, |dir| Ok(dir.to_string()));
    let stdout = log(keys, "stdout", vars);
    let stderr = log(keys, "stderr", vars);
    let stderr = if program.redirect_stderr.value {
        redirected(keys, stderr)
    } else {
        stderr
    };
    let command = command(keys, vars);
    let name = process_name(keys, place, vars);
    let env_file = env_file(keys, vars, directory.as_ref());
    let steadfast_command = template(keys, vars);

    let failed = std::mem::replace(&mut keys.failed, failed_before);
    keys.failed |= failed;
    if failed {
        return None;
    }
    let (Some(command), Some(name)) = (command, name) else {
        return None;
    };
    Some(ProcessDef {
        name,
        process_num: number,
        command,
        steadfast_command,
        environment,
        environment_span,
        directory,
        env_file,
        stdout,
        stderr,
    })
}

fn process_name(keys: &mut Keys<'_, '_>, place: &Place<'_>, vars: &Vars<'_>) -> Option<String> {
    let Some(entry) = keys.entry("process_name") else {
        return Some(place.name.to_string());
    };
    let stripped = strip_text(&entry.text);
    // What is wrong before the expansion was said for the program.
    values::name(stripped.as_str()).ok()?;
    let text = keys.expanded(&stripped, vars, entry)?;
    match values::expanded_name(text.as_str()) {
        Ok(name) => Some(name),
        Err(words) => {
            let hidden = entry.text.as_str().contains("%(ENV_");
            let words = if hidden {
                "what it stands for cannot be a name"
            } else {
                &words
            };
            let message = format!("`process_name` of [{}]: {words}", place.section.name);
            keys.error("conf.name", message, entry.span());
            None
        }
    }
}

fn strip_text(text: &Text) -> Text {
    let value = text.as_str();
    let inner = crate::tree::strip(value);
    let start = inner.as_ptr() as usize - value.as_ptr() as usize;
    let mut out = text.like();
    out.push_part(text, start..start + inner.len());
    out
}

fn command(keys: &mut Keys<'_, '_>, vars: &Vars<'_>) -> Option<Command> {
    let (text, span) = keys.text("command", vars)?;
    match Command::new(text.clone()) {
        Ok(command) => Some(command),
        Err(error) if keys.reader.keeps_unsplit => {
            let mut finding = split_finding(keys, "command", &error, &text, span);
            finding.severity = finding::Severity::Warning;
            keys.reader.findings.push(finding);
            Some(Command::unsplit(text, error))
        }
        Err(error) => {
            split_error(keys, "command", &error, &text, span);
            None
        }
    }
}

fn split_error(
    keys: &mut Keys<'_, '_>,
    key: &str,
    error: &SplitError,
    text: &Text,
    span: finding::Span,
) {
    let finding = split_finding(keys, key, error, text, span);
    keys.reader.findings.push(finding);
    keys.failed = true;
}

fn split_finding(
    keys: &Keys<'_, '_>,
    key: &str,
    error: &SplitError,
    text: &Text,
    span: finding::Span,
) -> finding::Finding {
    let place = error
        .range()
        .and_then(|range| text.span(range))
        .unwrap_or(span);
    let message = format!(
        "`{key}` of [{}] cannot be split into words: {}",
        keys.section.name,
        error.words()
    );
    let finding = finding::Finding::error("conf.command", message)
        .at(place)
        .effect("the program could never start");
    match error {
        SplitError::NoClosingQuotation(_) => {
            finding.hint("a `;` or `#` behind a blank begins a comment, even between quotes")
        }
        SplitError::NoEscapedCharacter(_) | SplitError::Empty => finding,
    }
}

/// `steadfast_command`, in which the places of our sockets are names as well.
fn template(keys: &mut Keys<'_, '_>, vars: &Vars<'_>) -> Option<Template> {
    keys.entry("steadfast_command")?;
    let mut vars = vars.clone();
    for place in ["socket", "port", "fd"] {
        vars.set(place, Val::Place);
    }
    let (text, span) = keys.text("steadfast_command", &vars)?;
    let template = match Template::new(text.clone()) {
        Ok(template) => template,
        Err(error) => {
            split_error(keys, "steadfast_command", &error, &text, span);
            return None;
        }
    };
    let found = template.places();
    if found.len() != 1 {
        let written: Vec<&str> = model::Place::ALL
            .into_iter()
            .map(model::Place::written)
            .collect();
        let message = format!(
            "`steadfast_command` of [{}] must name one of {}",
            keys.section.name,
            written.join(", ")
        );
        keys.error("conf.steadfast-command", message, span);
        return None;
    }
    Some(template)
}

/// `env_file`, absolute: it starts from the directory of the process, or from that of the configuration.
fn env_file(
    keys: &mut Keys<'_, '_>,
    vars: &Vars<'_>,
    directory: Option<&Spanned<String>>,
) -> Option<Spanned<String>> {
    let (env, files, here) = (keys.reader.env, keys.reader.files, keys.reader.here);
    keys.optional("env_file", vars, |path| {
        if path.is_empty() {
            return Err("a file name is missing".to_string());
        }
        let base = directory.map_or(here.to_string(), |dir| join(&env.cwd, dir));
        Ok(abspath(&expanduser(path, env, files), &base))
    })
}

/// A stream's log. Supervisor expands the file name twice, so `%%` is not enough for a percent sign there: kept, since both must
/// read the same.
fn log(keys: &mut Keys<'_, '_>, stream: &str, vars: &Vars<'_>) -> LogTarget {
    let key = format!("{stream}_logfile");
    let mut file = Spanned::default_of(LogFile::Auto);
    if let Some((once, span)) = keys.text(&key, vars)
        && let Some(entry) = keys.entry(&key)
    {
        match keys
            .expanded(&once, vars, entry)
            .map(|text| log_file(keys, text.as_str()))
        {
            Some(Ok(value)) => {
                file = Spanned {
                    value,
                    span: Some(span),
                }
            }
            Some(Err(words)) => keys.bad_value(&key, &words, span),
            None => {
                if let Some(finding) = keys.reader.findings.last_mut() {
                    finding.hint = Some(
                        "the name of a log file is expanded twice: a percent sign is `%%%%`"
                            .to_string(),
                    );
                }
            }
        }
    }
    let backups = keys
        .value(
            &format!("{stream}_logfile_backups"),
            10,
            vars,
            values::count32,
        )
        .value;
    let maxbytes_key = format!("{stream}_logfile_maxbytes");
    let maxbytes = keys.value(&maxbytes_key, 50 << 20, vars, values::byte_size);
    let syslog_key = format!("{stream}_syslog");
    let syslog = keys.value(&syslog_key, false, vars, values::boolean);
    // The old way of saying it.
    let by_name = file.value == LogFile::Path("syslog".to_string());
    if by_name {
        file.value = LogFile::None;
        let message = format!("`{key} = syslog` is deprecated in Supervisor");
        let finding = finding::Finding::note("conf.syslog", message)
            .at(file.span.clone())
            .fix(format!("write: {key} = NONE\n       {syslog_key} = true"));
        keys.reader.findings.push(finding);
    }
    let capture_maxbytes = keys
        .value(
            &format!("{stream}_capture_maxbytes"),
            0,
            vars,
            values::byte_size,
        )
        .value;
    let events_enabled = keys
        .value(
            &format!("{stream}_events_enabled"),
            false,
            vars,
            values::boolean,
        )
        .value;
    if file.value == LogFile::Auto && maxbytes.value == 0 {
        let message =
            format!("the AUTO log of {stream} grows without limit: `{maxbytes_key}` is 0");
        keys.warn("conf.unbounded-log", message, maxbytes.span.clone());
    }
    LogTarget {
        file,
        maxbytes: maxbytes.value,
        backups,
        syslog: syslog.value || by_name,
        capture_maxbytes,
        events_enabled,
    }
}

fn log_file(keys: &mut Keys<'_, '_>, text: &str) -> Result<LogFile, String> {
    match text.to_lowercase().as_str() {
        "none" | "off" => Ok(LogFile::None),
        "auto" => Ok(LogFile::Auto),
        "syslog" => Ok(LogFile::Path("syslog".to_string())),
        _ => existing_dirpath(text, keys.reader.env, keys.reader.files).map(LogFile::Path),
    }
}

fn redirected(keys: &mut Keys<'_, '_>, stderr: LogTarget) -> LogTarget {
    if let LogFile::Path(_) = stderr.file.value {
        let message =
            "`stderr_logfile` has no effect: redirect_stderr sends stderr where stdout goes";
        keys.warn(
            "conf.stderr-redirected",
            message.to_string(),
            stderr.file.span.clone(),
        );
    }
    LogTarget {
        file: Spanned {
            value: LogFile::None,
            span: stderr.file.span,
        },
        ..stderr
    }
}
