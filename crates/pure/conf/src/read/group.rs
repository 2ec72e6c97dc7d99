//! `[group:x]`, and the group that each other program makes for itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use finding::{Finding, Span};

use super::program::{self, Place};
use super::{Keys, Reader, here_vars, sections};
use crate::expand::EnvMap;
use crate::ini::{Ini, Section};
use crate::known::Kind;
use crate::model::{Group, Program};
use crate::values;

/// What the name of a FastCGI program's section begins with.
const FASTCGI: &str = "fcgi-program:";

/// A group with the place where it was made, until the order of groups is known.
pub(super) struct Made {
    pub(super) group: Group,
    pub(super) header: Span,
    pub(super) programs: Vec<Program>,
}

impl Made {
    /// The group that a program outside of every `[group:x]` makes for itself, by its own name.
    pub(super) fn of_one(section: &Section, program: Program, priority: i64) -> Made {
        Made {
            group: Group {
                name: program.name.clone(),
                priority,
                programs: vec![program.name.clone()],
                explicit: false,
            },
            header: section.header.clone(),
            programs: vec![program],
        }
    }
}

/// Programs and groups, in the order of groups: by priority, then name. Of two groups of one name the first counts, as in Supervisor.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    env: &EnvMap,
    common: &BTreeMap<String, String>,
) -> (Vec<Program>, Vec<Group>) {
    let ini = reader.ini;
    let mut made: Vec<Made> = Vec::new();
    let mut grouped: HashSet<&str> = HashSet::new();
    for (section, own) in sections(ini, Kind::Group) {
        made.extend(explicit(reader, section, own, env, common, &mut grouped));
    }
    for (section, own) in sections(ini, Kind::Program) {
        if grouped.contains(section.name.as_str()) {
            continue;
        }
        made.extend(alone(reader, section, own, env, common, program::read));
    }
    for (section, own) in sections(ini, Kind::EventListener) {
        made.extend(super::listener::read(reader, section, own, env, common));
    }
    for (section, own) in sections(ini, Kind::FcgiProgram) {
        if !grouped.contains(section.name.as_str()) {
            let read = super::fastcgi::member;
            made.extend(alone(reader, section, own, env, common, read));
        }
    }
    made.sort_by(|a, b| (a.group.priority, &a.group.name).cmp(&(b.group.priority, &b.group.name)));
    first_of_each_name(reader, made)
}

/// A program that is a group of its own.
fn alone(
    reader: &mut Reader<'_>,
    section: &Section,
    own: &str,
    env: &EnvMap,
    common: &BTreeMap<String, String>,
    read: fn(&mut Reader<'_>, &Place<'_>) -> Option<Program>,
) -> Option<Made> {
    let name = name_of(reader, section, own)?;
    let place = Place {
        section,
        name: &name,
        group: &name,
        grouped: false,
        env,
        common,
    };
    let program = read(reader, &place)?;
    let priority = program.priority.value;
    Some(Made::of_one(section, program, priority))
}

/// A name that Supervisor accepts, or an error at the header.
pub(super) fn name_of(reader: &mut Reader<'_>, section: &Section, own: &str) -> Option<String> {
    match values::name(own) {
        Ok(name) => Some(name),
        Err(words) => {
            let finding = Finding::error("conf.name", format!("[{}]: {words}", section.name))
                .at(section.header.clone());
            reader.findings.push(finding);
            None
        }
    }
}

fn explicit<'a>(
    reader: &mut Reader<'a>,
    section: &'a Section,
    own: &str,
    env: &EnvMap,
    common: &BTreeMap<String, String>,
    grouped: &mut HashSet<&'a str>,
) -> Option<Made> {
    let ini = reader.ini;
    let name = name_of(reader, section, own);
    let vars = here_vars(reader, env);
    let mut keys = Keys::new(reader, section);
    let priority = keys.value("priority", 999, &vars, values::integer).value;
    let members: Vec<(String, Option<Span>)> = match keys.text("programs", &vars) {
        Some((text, span)) => super::ours::comma_items(&mut keys, "programs", &text, &span),
        None => Vec::new(),
    };
    if members.is_empty() && !keys.failed {
        keys.warn(
            "conf.empty-group",
            format!("[{}] has no programs", section.name),
            section.header.clone(),
        );
    }
    let mut seen = HashSet::new();
    let mut made = Made {
        group: Group {
            name: name.clone().unwrap_or_default(),
            priority,
            programs: Vec::new(),
            explicit: true,
        },
        header: section.header.clone(),
        programs: Vec::new(),
    };
    for (member, span) in members {
        let Some(program_section) = member_section(&mut keys, ini, &member, span.clone()) else {
            continue;
        };
        grouped.insert(program_section.name.as_str());
        if !seen.insert(member.clone()) {
            keys.warn(
                "conf.duplicate-member",
                format!("[{}] names {member} twice", section.name),
                span,
            );
            continue;
        }
        let Some(group) = &name else { continue };
        let program_name = crate::tree::strip(&member).to_string();
        let Some(program_name) = name_of(keys.reader, program_section, &program_name) else {
            continue;
        };
        let place = Place {
            section: program_section,
            name: &program_name,
            group,
            grouped: true,
            env,
            common,
        };
        let read = match program_section.name.starts_with(FASTCGI) {
            true => super::fastcgi::member(keys.reader, &place),
            false => program::read(keys.reader, &place),
        };
        if let Some(program) = read {
            made.group.programs.push(program_name);
            made.programs.push(program);
        }
    }
    name.map(|_| made)
}

/// The section of a member.
fn member_section<'a>(
    keys: &mut Keys<'_, 'a>,
    ini: &'a Ini,
    member: &str,
    span: Option<Span>,
) -> Option<&'a Section> {
    let group = &keys.section.name;
    let program = ini.section(&format!("program:{member}"));
    let fcgi = ini.section(&format!("{FASTCGI}{member}"));
    match (program, fcgi) {
        (Some(program), None) => Some(program),
        (None, Some(fcgi)) => Some(fcgi),
        (Some(_), Some(_)) => {
            let message =
                format!("[{group}] names {member}, which is both a program and a FastCGI program");
            keys.error("conf.ambiguous-program", message, span);
            None
        }
        (None, None) => {
            let known = sections(ini, Kind::Program).map(|(_, own)| own);
            let mut message =
                format!("[{group}] names `{member}`, but there is no [program:{member}]");
            if let Some(near) = crate::suggest::did_you_mean(member, known) {
                message.push_str(&format!("; did you mean `{near}`?"));
            }
            keys.error("conf.unknown-program", message, span);
            None
        }
    }
}

fn first_of_each_name(reader: &mut Reader<'_>, made: Vec<Made>) -> (Vec<Program>, Vec<Group>) {
    let mut programs = Vec::new();
    let mut groups = Vec::new();
    let mut headers: HashMap<String, Span> = HashMap::new();
    for one in made {
        if let Some(first) = headers.get(&one.group.name) {
            let message = format!(
                "there are two groups of the name {}; the one with the lower priority counts",
                one.group.name
            );
            reader.findings.push(
                Finding::warning("conf.duplicate-group", message)
                    .at(one.header)
                    .related("the other is here", first.clone()),
            );
            continue;
        }
        headers.insert(one.group.name.clone(), one.header);
        programs.extend(one.programs);
        groups.push(one.group);
    }
    (programs, groups)
}
