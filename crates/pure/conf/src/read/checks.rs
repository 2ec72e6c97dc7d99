//! What only the whole model can tell: names that meet, dependencies, keys that need one another.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use finding::{Finding, Span};

use super::{Reader, Shut};
use crate::ini::Ini;
use crate::model::{Auth, Gateway, Listen, ListenAddr, Model, Program, Ready, Replace, Unhealthy};
use crate::suggest::did_you_mean;

/// Checks the model; what turns out to be wrong is taken out of it.
pub(super) fn check(reader: &mut Reader<'_>, model: &mut Model) {
    process_names(reader, model);
    for program in &model.programs {
        together(reader, program);
    }
    overlap(reader, model);
    super::depends::check(reader, model);
    gateways(reader, model);
    signers(reader, model);
    for program in &model.programs {
        drain(reader, program, model);
    }
    // A group that a program made for itself goes with it.
    let present: HashSet<(&str, &str)> = model
        .programs
        .iter()
        .map(|p| (p.group.as_str(), p.name.as_str()))
        .collect();
    for group in &mut model.groups {
        let name = group.name.clone();
        group
            .programs
            .retain(|program| present.contains(&(name.as_str(), program.as_str())));
    }
    model
        .groups
        .retain(|group| group.explicit || !group.programs.is_empty());
}

/// Of two processes of one name in a group, Supervisor keeps the last.
fn process_names(reader: &mut Reader<'_>, model: &mut Model) {
    let mut last: HashMap<(String, String), (usize, usize)> = HashMap::new();
    let mut doomed: HashSet<(usize, usize)> = HashSet::new();
    for (p, program) in model.programs.iter().enumerate() {
        for (i, process) in program.processes.iter().enumerate() {
            if let Some(before) = last.insert((program.group.clone(), process.name.clone()), (p, i))
            {
                doomed.insert(before);
                let message = format!(
                    "two processes of the group {} are named {}; the last one counts",
                    program.group, process.name
                );
                let mut finding =
                    Finding::warning("conf.duplicate-process", message).at(program.header.clone());
                if let Some(other) = model.programs.get(before.0).filter(|_| before.0 != p) {
                    finding = finding.related("the other is here", other.header.clone());
                }
                reader.findings.push(finding);
            }
        }
    }
    for (p, program) in model.programs.iter_mut().enumerate() {
        let mut index = 0;
        program.processes.retain(|_| {
            let keep = !doomed.contains(&(p, index));
            index += 1;
            keep
        });
    }
}

/// Keys that do nothing without another.
fn together(reader: &mut Reader<'_>, program: &Program) {
    let name = format!("[program:{}]", program.name);
    let mut useless = |span: &Option<Span>, key: &str, why: &str| {
        if let Some(span) = span {
            let message = format!("`{key}` of {name} has no effect: {why}");
            reader
                .findings
                .push(Finding::warning("conf.no-effect", message).at(span.clone()));
        }
    };
    if program.ready.is_none() {
        useless(&program.ready_host.span, "ready_host", "`ready` is not set");
    }
    // Alone, `prove` is a check by a connect and a token.
    if program.ready.is_none() && program.prove.is_none() {
        useless(
            &program.ready_timeout.span,
            "ready_timeout",
            "`ready` is not set",
        );
        if let Some(keepalive) = &program.keepalive {
            useless(
                &keepalive.span,
                "keepalive",
                "it repeats the check of `ready`, which is not set",
            );
        }
    } else if let Some(Ready::Fd(_) | Ready::Log(_) | Ready::Notify) =
        program.ready.as_ref().map(|ready| &ready.value)
        && let Some(keepalive) = &program.keepalive
    {
        useless(
            &keepalive.span,
            "keepalive",
            "this kind of `ready` says it once and cannot be asked again",
        );
    }
    if program.keepalive.is_none() && matches!(program.unhealthy.value, Unhealthy::RestartAfter(_))
    {
        useless(
            &program.unhealthy.span,
            "unhealthy",
            "`keepalive` is not set, so nobody looks",
        );
    }
    if program.listen.value == Listen::Own {
        let template = program
            .processes
            .first()
            .and_then(|process| process.steadfast_command.as_ref());
        useless(
            &template.and_then(|template| template.span()),
            "steadfast_command",
            "`listen` is own, so `command` is run",
        );
    }
    if program.listen.value != Listen::Gateway {
        useless(
            &program.drain_timeout.span,
            "drain_timeout",
            "only the gateway drains, and `listen` is not gateway",
        );
        useless(
            &program.repeat.span,
            "repeat",
            "only the gateway repeats requests, and `listen` is not gateway",
        );
    }
}

/// Two processes behind one held socket answer a check over the network in turn: the new one could not be told from the old one.
fn overlap(reader: &mut Reader<'_>, model: &mut Model) {
    model.programs.retain(|program| {
        let ready = program.ready.as_ref().map(|ready| &ready.value);
        let over_network = matches!(ready, Some(Ready::Http { .. } | Ready::Tcp) | None);
        let wrong = program.replace.value == Replace::Overlap && program.listen.value == Listen::Held && over_network;
        if wrong {
            let message = format!("[program:{}]: overlap cannot tell the new process from the old one on a held socket", program.name);
            let finding = Finding::error("conf.overlap", message)
                .at(program.replace.span.clone())
                .fix("write: listen = gateway, or ready = fd:3, or replace = hold");
            reader.findings.push(finding);
        }
        !wrong
    });
}

/// Routes must lead somewhere, and no two gateways may want one address.
fn gateways(reader: &mut Reader<'_>, model: &mut Model) {
    let programs: BTreeMap<&str, &Program> = model
        .programs
        .iter()
        .map(|p| (p.name.as_str(), p))
        .collect();
    model.upstreams.retain(|upstream| {
        let both = programs.get(upstream.name.as_str());
        if let Some(program) = both {
            let message = format!(
                "[upstream:{}] has the name of a program; routes could not tell them apart",
                upstream.name
            );
            let finding = Finding::error("conf.ambiguous-name", message)
                .at(upstream.header.clone())
                .related("the program is here", program.header.clone());
            reader.findings.push(finding);
        }
        both.is_none()
    });
    let upstreams: BTreeSet<&str> = model.upstreams.iter().map(|u| u.name.as_str()).collect();
    let mut taken: HashMap<ListenAddr, Span> = HashMap::new();
    model.gateways.retain(|gateway| {
        let mut right = true;
        for route in &gateway.routes {
            let target = route.target.as_str();
            if upstreams.contains(target) {
                continue;
            }
            let finding = match programs.get(target) {
                Some(program) if program.listen.value == Listen::Gateway => continue,
                Some(program) => {
                    let message = format!("[gateway:{}] leads to {target}, which keeps its own port", gateway.name);
                    Finding::error("conf.route", message)
                        .related("the program is here", program.header.clone())
                        .fix(format!("write in [program:{target}]: listen = gateway"))
                }
                None if left_out(reader.ini, target) => {
                    let message = format!("[gateway:{}] leads to {target}, which has an error", gateway.name);
                    Finding::error("conf.route", message)
                }
                None => {
                    let names = programs.keys().chain(upstreams.iter()).copied();
                    let near = did_you_mean(target, names).map(|near| format!("; did you mean `{near}`?"));
                    let message = format!(
                        "[gateway:{}] leads to {target}, which is neither a program nor an upstream{}",
                        gateway.name,
                        near.unwrap_or_default()
                    );
                    Finding::error("conf.route", message)
                }
            };
            reader.findings.push(finding.at(route.span.clone()));
            right = false;
        }
        right &= forward_auth(reader, gateway, &programs, &upstreams);
        for address in &gateway.listen {
            let here = address.span.clone().unwrap_or_else(|| gateway.header.clone());
            if let Some(other) = taken.insert(address.value.clone(), here.clone()) {
                let message = format!("[gateway:{}] wants an address that is already listened on", gateway.name);
                reader.findings.push(Finding::error("conf.address-twice", message).at(here).related("the other is here", other));
                right = false;
            }
        }
        if !right {
            reader.shut.extend(Shut::of(gateway));
        }
        right
    });
}

/// Whether a section is there and was left out, which was said.
fn left_out(ini: &Ini, name: &str) -> bool {
    let kinds = ["program", "upstream"];
    kinds
        .iter()
        .any(|kind| ini.section(&format!("{kind}:{name}")).is_some())
}

/// Whom a proxy asks about must exist.
fn forward_auth(
    reader: &mut Reader<'_>,
    gateway: &Gateway,
    programs: &BTreeMap<&str, &Program>,
    upstreams: &BTreeSet<&str>,
) -> bool {
    let Some(target) = &gateway.forward_auth else {
        return true;
    };
    let name = target.value.as_str();
    if programs.contains_key(name) || upstreams.contains(name) {
        return true;
    }
    let names = programs.keys().chain(upstreams.iter()).copied();
    let near = did_you_mean(name, names).map(|near| format!("; did you mean `{near}`?"));
    let message = format!(
        "[gateway:{}] answers for {name}, which is neither a program nor an upstream{}",
        gateway.name,
        near.unwrap_or_default()
    );
    reader
        .findings
        .push(Finding::error("conf.forward-auth", message).at(target.span.clone()));
    false
}

/// A gateway that knows who is signed in tells the program by a token, for which it needs the program's key.
fn signers(reader: &mut Reader<'_>, model: &mut Model) {
    let keys_of = |name: &str| {
        let program = model.program(name);
        let upstream = model.upstreams.iter().find(|it| it.name == name);
        program
            .map(|it| (&it.secrets, &it.tokens, it.header.clone()))
            .or_else(|| upstream.map(|it| (&it.secrets, &it.tokens, it.header.clone())))
    };
    let mut wrong = Vec::new();
    for gateway in &model.gateways {
        let mut told: Vec<(&str, &Option<Span>)> = Vec::new();
        if gateway.auth.value != Auth::Off {
            let routes = gateway.routes.iter();
            told.extend(routes.map(|route| (route.target.as_str(), &gateway.auth.span)));
        }
        if let Some(target) = &gateway.forward_auth {
            told.push((target.value.as_str(), &target.span));
        }
        told.sort_by_key(|(name, _)| *name);
        told.dedup_by_key(|(name, _)| *name);
        for (name, span) in told {
            let Some((secrets, tokens, header)) = keys_of(name) else {
                continue;
            };
            if tokens.signer(secrets).is_some() {
                continue;
            }
            let what = format!(
                "[gateway:{}] tells {name} who is signed in, by a token",
                gateway.name
            );
            let finding = if secrets.is_empty() {
                Finding::warning(
                    "conf.no-key",
                    format!("{what}, and {name} names no key to sign it with"),
                )
                .at(span.clone())
                .effect(format!("{name} is not told who is signed in"))
                .fix("write: secrets = SECRET_KEY")
            } else {
                wrong.push(gateway.name.clone());
                super::tokens::which_signs(&what, secrets, span.clone())
            };
            reader.findings.push(finding.related("it is here", header));
        }
    }
    // What `[sessions]` says cannot be used, which was said: who needs it is left out with it.
    let said = reader.ini.section("sessions").is_some() || reader.wrong.near_sessions;
    let no_sessions = said && model.sessions.is_none();
    model.gateways.retain(|gateway| {
        let needs = gateway.auth.value != Auth::Off || gateway.forward_auth.is_some();
        let without = no_sessions && needs;
        let stays = !(without || wrong.contains(&gateway.name));
        if !stays {
            reader.shut.extend(Shut::of(gateway));
        }
        stays
    });
}

/// Requests that wait longer than `hold` fail: a drain and a stop that may take as long already use it up.
fn drain(reader: &mut Reader<'_>, program: &Program, model: &Model) {
    if program.listen.value != Listen::Gateway || program.replace.value != Replace::Hold {
        return;
    }
    let routed = model
        .gateways
        .iter()
        .filter(|g| g.routes.iter().any(|route| route.target == program.name));
    let hold = routed
        .map(|gateway| gateway.hold.value)
        .min()
        .unwrap_or(Duration::from_secs(30));
    let longest = program
        .drain_timeout
        .value
        .saturating_add(Duration::from_secs(program.stopwaitsecs.value));
    if longest >= hold {
        let message = format!(
            "[program:{}]: drain_timeout and stopwaitsecs may take {} s together, as long as requests may wait (hold, {} s)",
            program.name,
            longest.as_secs(),
            hold.as_secs()
        );
        let span = program
            .drain_timeout
            .span
            .clone()
            .or_else(|| program.stopwaitsecs.span.clone());
        let finding = Finding::warning("conf.hold-too-short", message)
            .at(span.or_else(|| Some(program.header.clone())))
            .effect("requests that wait through a slow stop get 503");
        reader.findings.push(finding);
    }
}
