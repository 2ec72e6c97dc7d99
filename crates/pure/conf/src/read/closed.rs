//! What stays closed because of an error.
//!
//! A gateway with an error is left out; what it would have guarded must not be reached another way because of that: at its
//! address by another gateway that shares it, or at the own address of a program (`listen = gateway`), which asks for what
//! the gateways ask that lead there. So both stay closed. Who says in a gateway of its own, at another address, that a
//! program is open there is believed.

use std::collections::BTreeSet;

use finding::{Finding, Span};

use super::{Reader, gateway};
use crate::expand::EnvMap;
use crate::known::Kind;
use crate::model::{Auth, Closed, Gateway, Listen, ListenAddr, Model};

/// A gateway that is left out and may have asked for a sign-in.
#[derive(Debug)]
pub(crate) struct Shut {
    pub(super) section: String,
    pub(super) header: Span,
    /// Addresses of its own; empty: those of the programs it leads to.
    pub(super) listen: Vec<ListenAddr>,
    /// Where it leads; `None`: that could not be read.
    pub(super) targets: Option<BTreeSet<String>>,
}

impl Shut {
    /// One that was read; `None` if it asked for nothing.
    pub(super) fn of(gateway: &Gateway) -> Option<Shut> {
        let targets = gateway.routes.iter().map(|route| route.target.clone());
        (gateway.auth.value != Auth::Off).then(|| Shut {
            section: format!("gateway:{}", gateway.name),
            header: gateway.header.clone(),
            listen: gateway.listen.iter().map(|at| at.value.clone()).collect(),
            targets: Some(targets.collect()),
        })
    }

    fn leads_to(&self, target: &str) -> bool {
        self.targets.as_ref().is_none_or(|all| all.contains(target))
    }

    /// Whether another gateway would answer where this one should have.
    fn shares(&self, other: &Gateway) -> bool {
        let same = |at: &ListenAddr| other.listen.iter().any(|other| other.value == *at);
        let both_there = self.listen.is_empty() && other.listen.is_empty();
        self.listen.iter().any(same)
            || (both_there
                && other
                    .routes
                    .iter()
                    .any(|route| self.leads_to(&route.target)))
    }
}

/// Remembers gateways whose section is mistyped.
pub(super) fn near_gateways(reader: &mut Reader<'_>, env: &EnvMap) {
    let ini = reader.ini;
    for (name, kind) in std::mem::take(&mut reader.wrong.near) {
        if let (Kind::Gateway, Some(section)) = (kind, ini.section(&name)) {
            let shut = gateway::shut(reader, section, env);
            reader.shut.push(shut);
        }
        reader.wrong.near_sessions |= kind == Kind::Sessions;
    }
}

/// Takes out of the model what must not be open, and says what else must not be.
pub(super) fn close(reader: &mut Reader<'_>, model: &mut Model) {
    let mut closed = Closed::default();
    let (asking, all) = (reader.wrong.asking.clone(), reader.wrong.asking_all);
    let gated = |model: &Model| {
        let programs = model.programs.iter();
        let gated = programs.filter(|program| program.listen.value == Listen::Gateway);
        gated
            .map(|program| program.name.clone())
            .collect::<BTreeSet<_>>()
    };
    closed.programs.extend(asking.iter().cloned());
    if all {
        closed.programs.extend(gated(model));
    }
    if reader.wrong.asking_default {
        let routes = model.gateways.iter().flat_map(|gateway| &gateway.routes);
        let led: BTreeSet<&str> = routes.map(|route| route.target.as_str()).collect();
        let programs = model.programs.iter();
        let unled = programs.filter(|program| {
            program.listen.value == Listen::Gateway && !led.contains(program.name.as_str())
        });
        for program in unled {
            let message = format!(
                "[DEFAULT] wants a sign-in, and no gateway leads to [program:{}] to ask for it",
                program.name
            );
            let finding = Finding::error("conf.closed", message).at(program.listen.span.clone());
            let write = format!("write: a [gateway:x] with route = / -> {}", program.name);
            reader.findings.push(finding.fix(write));
            closed.programs.insert(program.name.clone());
        }
    }
    model.gateways.retain(|gateway| {
        let targets = gateway.routes.iter();
        let meant = all || targets.clone().any(|route| asking.contains(&route.target));
        let shut = meant && !gateway.auth.is_set() && gateway.forward_auth.is_none();
        if shut {
            let message = format!(
                "[gateway:{}] stays closed: a key about signing in stands where it does nothing",
                gateway.name
            );
            let finding = Finding::error("conf.closed", message).at(gateway.header.clone());
            reader.findings.push(finding.fix("write: auth = required"));
        }
        !shut
    });
    let mut todo = std::mem::take(&mut reader.shut);
    while let Some(shut) = todo.pop() {
        closed.listen.extend(shut.listen.iter().cloned());
        closed.programs.extend(match &shut.targets {
            Some(targets) => targets.clone(),
            None => gated(model),
        });
        model.gateways.retain(|gateway| {
            let goes = shut.shares(gateway);
            if goes {
                let message = format!(
                    "[gateway:{}] stays closed: it shares an address with [{}], which has an error",
                    gateway.name, shut.section
                );
                let finding = Finding::error("conf.closed", message).at(gateway.header.clone());
                reader
                    .findings
                    .push(finding.related("the other one is here", shut.header.clone()));
                todo.extend(Shut::of(gateway));
            }
            !goes
        });
    }
    for program in &model.programs {
        let own = program.listen.value == Listen::Gateway;
        if own && closed.programs.contains(&program.name) {
            let message = format!(
                "nobody is let in at the own address of [program:{}]: what would ask them to sign in has an error",
                program.name
            );
            let finding = Finding::warning("conf.closed", message).at(program.listen.span.clone());
            reader.findings.push(finding);
        }
    }
    model.closed = closed;
}
