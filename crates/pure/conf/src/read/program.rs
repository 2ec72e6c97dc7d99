//! `[program:x]`: what is the same for all its processes.

use std::collections::BTreeMap;

use super::{Keys, Reader, ours, process};
use crate::expand::{EnvMap, Val, Vars};
use crate::ini::Section;
use crate::model::{AutoRestart, Program, Signal};
use crate::values;

/// Processes of one program. Each takes a keeper; a number beyond this is a slip of the keyboard.
pub(super) const PROCESSES_MAX: u32 = 10_000;

/// A program where it stands: its section, its name, the group it is read for.
pub(super) struct Place<'p> {
    pub(super) section: &'p Section,
    pub(super) name: &'p str,
    pub(super) group: &'p str,
    /// Whether a `[group:x]` names it.
    pub(super) grouped: bool,
    /// For `%(ENV_x)s`.
    pub(super) env: &'p EnvMap,
    /// `environment` of `[supervisord]`.
    pub(super) common: &'p BTreeMap<String, String>,
}

/// Reads a program for one group; `None` if anything about it is an error.
pub(super) fn read(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<Program> {
    let vars = Vars::new(place.env)
        .with("here", reader.here)
        .with("program_name", place.name)
        .with("host_node_name", reader.env.hostname.clone())
        .with("group_name", place.group);
    let few = super::here_vars(reader, place.env);
    let mut keys = Keys::new(reader, place.section);
    // For a program that is its own group, Supervisor reads the priority once more, when it knows fewer names.
    if !place.grouped {
        keys.value("priority", 0, &few, values::integer);
    }
    let mut program = base(&mut keys, place, &vars);
    ours::program(&mut keys, &vars, &mut program);
    checked(&mut keys, &program);
    // Without a process Supervisor never looks for the command.
    if keys.entry("command").is_none() && program.numprocs.value > 0 {
        let finding = finding::Finding::error(
            "conf.no-command",
            format!("[{}] has no `command`", place.section.name),
        )
        .at(place.section.header.clone())
        .fix("write: command = the program and its arguments");
        keys.reader.findings.push(finding);
        keys.failed = true;
    }
    let numprocs = program.numprocs.value;
    let mut vars = vars;
    vars.set("numprocs", Val::Int(i64::from(numprocs)));
    if !keys.failed || numprocs == 1 {
        for index in 0..numprocs {
            let number = program
                .numprocs_start
                .value
                .saturating_add(i64::from(index));
            match process::read(&mut keys, place, &mut vars, number, &program) {
                Some(def) => program.processes.push(def),
                None => break,
            }
        }
    }
    if keys.failed {
        return None;
    }
    program.processes.sort_by(|a, b| a.name.cmp(&b.name));
    Some(program)
}

fn base(keys: &mut Keys<'_, '_>, place: &Place<'_>, vars: &Vars<'_>) -> Program {
    let stopasgroup = keys.value("stopasgroup", false, vars, values::boolean);
    let killasgroup = keys.value("killasgroup", stopasgroup.value, vars, values::boolean);
    let serverurl = keys.optional("serverurl", vars, |url| Ok(url.to_string()));
    Program {
        name: place.name.to_string(),
        group: place.group.to_string(),
        header: place.section.header.clone(),
        priority: keys.value("priority", 999, vars, values::integer),
        autostart: keys.value("autostart", true, vars, values::boolean),
        autorestart: keys.value(
            "autorestart",
            AutoRestart::Unexpected,
            vars,
            values::auto_restart,
        ),
        startsecs: keys.value("startsecs", 1, vars, values::count),
        startretries: keys.value("startretries", 3, vars, values::count),
        exitcodes: keys.value("exitcodes", vec![0], vars, values::exit_codes),
        stopsignal: keys.value("stopsignal", Signal::TERM, vars, values::signal),
        stopwaitsecs: keys.value("stopwaitsecs", 10, vars, values::count),
        stopasgroup,
        killasgroup,
        user: keys.user("user", vars),
        umask: keys.optional("umask", vars, values::octal),
        redirect_stderr: keys.value("redirect_stderr", false, vars, values::boolean),
        serverurl: serverurl
            .filter(|url| !url.is_empty() && !crate::tree::strip(url).eq_ignore_ascii_case("auto")),
        numprocs: keys.value("numprocs", 1, vars, values::count32),
        numprocs_start: keys.value("numprocs_start", 0, vars, values::integer),
        processes: Vec::new(),
        ..ours::defaults(place)
    }
}

/// Supervisor's rules about several keys together, and the warnings for what it does in silence.
fn checked(keys: &mut Keys<'_, '_>, program: &Program) {
    let name = keys.section.name.clone();
    if program.stopasgroup.value && !program.killasgroup.value {
        let span = program
            .killasgroup
            .span
            .clone()
            .or_else(|| program.stopasgroup.span.clone());
        keys.error(
            "conf.stopasgroup",
            format!("[{name}]: stopasgroup = true needs killasgroup = true"),
            span,
        );
    }
    let numprocs = program.numprocs.value;
    if numprocs > PROCESSES_MAX {
        let message = format!(
            "[{name}]: {numprocs} processes are more than the {PROCESSES_MAX} that one program may have"
        );
        keys.error("conf.value", message, program.numprocs.span.clone());
    }
    if numprocs == 0 {
        keys.warn(
            "conf.no-process",
            format!("[{name}] has no process: numprocs is not positive"),
            program.numprocs.span.clone(),
        );
    }
    let process_name = keys.entry("process_name");
    let raw_name = process_name.map_or("%(program_name)s", |entry| entry.text.as_str());
    if let Err(words) = values::name(raw_name) {
        let span = process_name.map(|entry| entry.span());
        keys.error(
            "conf.name",
            format!("`process_name` of [{name}]: {words}"),
            span,
        );
    } else if numprocs > 1 && !raw_name.contains("%(process_num)") {
        let span = process_name
            .map(|entry| entry.span())
            .or_else(|| program.numprocs.span.clone());
        let finding = finding::Finding::error(
            "conf.process-name",
            format!("[{name}] has {numprocs} processes, which need different names"),
        )
        .at(span)
        .fix("write: process_name = %(program_name)s_%(process_num)02d");
        keys.reader.findings.push(finding);
        keys.failed = true;
    }
    clamp_warnings(keys, program);
}

/// Negative numbers are taken, as Supervisor does, and mean 0, as there.
fn clamp_warnings(keys: &mut Keys<'_, '_>, program: &Program) {
    let counts = [
        (
            "startsecs",
            &program.startsecs.span,
            program.startsecs.value,
        ),
        (
            "startretries",
            &program.startretries.span,
            program.startretries.value,
        ),
        (
            "stopwaitsecs",
            &program.stopwaitsecs.span,
            program.stopwaitsecs.value,
        ),
    ];
    for (key, span, value) in counts {
        let negative = keys
            .entry(key)
            .is_some_and(|entry| entry.text.as_str().starts_with('-'));
        if value == 0 && negative {
            keys.warn(
                "conf.negative",
                format!("a negative `{key}` means 0"),
                span.clone(),
            );
        }
    }
}
