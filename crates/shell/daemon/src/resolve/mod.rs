//! From the configuration to definitions: users, addresses, sockets, environments, keys. What a keeper gets has nothing
//! left to look up.
//!
//! ```text
//! conf::Model ──program (per process)──> Slot { Spec, … } ──┐
//!            └──gateways─────────────────> GatewayDef ───────┴──> Active (a candidate, compared with the one in force)
//! ```
//! Everything wrong is said at once and what is wrong is left out. In a *dry* run (`check`, `reread`, `plan`) no file is
//! made: no log, no key.

mod advice;
mod config;
mod conflicts;
mod context;
mod difference;
mod environment;
mod fastcgi;
mod gateways;
mod handover;
mod inherit;
mod program;
mod realms;
mod settings;
mod shared;
mod sign_in;
mod spec;
mod tokens;
mod workers;

pub(crate) use context::{Context, Resolved};
pub(crate) use difference::{GroupChanges, difference, group_changes};
pub(crate) use settings::settings_of;
pub(crate) use tokens::{keeps_sessions, life_s, settings as session_settings};
pub(crate) use workers::{refresh_gateway, wanted_addresses};

use std::collections::{BTreeMap, BTreeSet};

use inherit::Asked;

use crate::digits::hash;

/// Resolves a whole configuration.
pub(crate) fn resolve(model: &conf::Model, context: &Context<'_>) -> Resolved {
    let mut out = Resolved::default();
    out.active.base_env = context.base_env.clone();
    out.active.next_slot = context.before.next_slot;
    out.active.config = context.before.config.clone();
    out.active.settings = settings::settings(model, context);
    let user = gateways::user(model, &mut out.findings);
    let routed: BTreeSet<&str> = model
        .gateways
        .iter()
        .flat_map(|gateway| &gateway.routes)
        .map(|route| route.target.as_str())
        .collect();
    let mut routable = BTreeMap::new();
    let mut jwts = BTreeMap::new();
    for program in &model.programs {
        let group_priority = model
            .group(&program.group)
            .map_or(999, |group| group.priority);
        let one = program::Program {
            model,
            program,
            group_priority,
            routed: routed.contains(program.name.as_str()),
        };
        match program::resolve(&one, context, user.as_ref(), &mut out) {
            Ok(made) => {
                let section = format!("program:{}", program.name);
                // Behind the gateway tokens are signed again even so: Django reads several keys, simplejwt in it reads one.
                let reads_all = program.tokens.fallbacks.is_some() && !program_is_gated(program);
                let jwt = tokens::jwt(
                    &section,
                    &program.tokens,
                    &made.ring,
                    reads_all,
                    &mut out.findings,
                );
                jwts.extend(jwt.map(|jwt| (program.name.clone(), jwt)));
                routable.insert(program.name.clone(), made.public);
                out.active.slots.extend(made.slots);
            }
            Err(finding) => {
                out.left_out
                    .push((program.name.clone(), (*finding).clone()));
                out.findings.push(*finding);
            }
        }
    }
    let gateway = gateways::definition(model, user, &routable, context, &mut out);
    out.active.gateway = gateway;
    out.active.gateway.jwts.extend(jwts);
    shared::check(model, &out.active.gateway.listeners, &mut out.findings);
    Asked::new(&out.active.gateway.listeners).notes(model, &out.active, &mut out.findings);
    let prefix = out.active.gateway.sessions.as_ref();
    let prefix = prefix.map_or_else(String::new, |sessions| sessions.prefix.clone());
    sign_in::notes(
        model,
        &out.active.gateway.listeners,
        &prefix,
        &mut out.findings,
    );
    realms::check(model, &out.active.gateway.jwts, &mut out.findings);
    conflicts::conflicts(model, context.base_env, &mut out.findings);
    out
}

fn program_is_gated(program: &conf::Program) -> bool {
    *program.listen == conf::Listen::Gateway
}

/// Hash of all files of a configuration as they were read.
pub(crate) fn stamp(loaded: &conf::Loaded) -> String {
    let mut all = Vec::new();
    for file in &loaded.tree {
        all.extend_from_slice(file.path.as_bytes());
        all.push(0);
        all.extend_from_slice(file.bytes());
        all.push(0);
    }
    hash(&all)
}

#[cfg(test)]
mod tests;
