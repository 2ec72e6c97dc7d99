//! Whose sessions count where.
//!
//! A session says who somebody is by the id that one program gave, and another program may give the same id to somebody
//! else. So sessions count within a realm. An installation that names none has one, and that is right where one program
//! knows the people, or where programs share a key and can forge for each other anyway. Where gateways lead to programs
//! with keys of their own, somebody who chose a name at one would be that name's owner at the other: then each gateway
//! says which realm it is of, and those that mean to share say the same one.

use std::collections::{BTreeMap, BTreeSet};

use conf::{Auth, Gateway};
use finding::Finding;
use routes::Jwt;

/// What a program's tokens are signed with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Known(&'a str),
    /// Not made yet, as in a dry run: programs that keep it in one file will share it.
    ToCome {
        name: &'a str,
        home: &'a str,
    },
}

/// Gateways that would share their sessions although nobody said so, and realms that share a cookie.
pub(super) fn check(
    model: &conf::Model,
    jwts: &BTreeMap<String, Jwt>,
    findings: &mut Vec<Finding>,
) {
    let admitting: Vec<(&Gateway, BTreeSet<Key<'_>>)> = model
        .gateways
        .iter()
        .filter(|gateway| admits(gateway))
        .map(|gateway| (gateway, keys(model, jwts, gateway)))
        .collect();
    for (at, (gateway, own)) in admitting.iter().enumerate() {
        let other = admitting[..at].iter().find(|(other, theirs)| {
            let said = gateway.realm.is_some() && other.realm.is_some();
            let both = !own.is_empty() && !theirs.is_empty();
            !said && both && own.union(theirs).count() > 1
        });
        if let Some((other, _)) = other {
            findings.push(shared(gateway, other));
        }
    }
}

fn admits(gateway: &Gateway) -> bool {
    let asks = gateway.auth.value != Auth::Off;
    asks || gateway.login.is_some() || gateway.forward_auth.is_some()
}

/// The keys of the programs and upstreams that it leads to, or speaks for.
fn keys<'a>(
    model: &'a conf::Model,
    jwts: &'a BTreeMap<String, Jwt>,
    gateway: &Gateway,
) -> BTreeSet<Key<'a>> {
    let routed = gateway.routes.iter().map(|route| route.target.as_str());
    let spoken_for = gateway.forward_auth.iter().map(|it| it.value.as_str());
    let key = |target: &str| {
        let signing = jwts
            .get(target)
            .and_then(|jwt| jwt.keys.iter().find(|key| key.signs));
        signing
            .map(|key| Key::Known(&key.secret))
            .or_else(|| to_come(model, target))
    };
    routed.chain(spoken_for).filter_map(key).collect()
}

fn to_come<'a>(model: &'a conf::Model, target: &str) -> Option<Key<'a>> {
    let program = model.program(target).map(|it| {
        let file = it.processes.first().and_then(|it| it.env_file.as_ref());
        (&it.tokens, &it.secrets, file, it.name.as_str())
    });
    let upstream = || {
        let mut all = model.upstreams.iter();
        let it = all.find(|it| it.name == target)?;
        Some((
            &it.tokens,
            &it.secrets,
            it.env_file.as_ref(),
            it.name.as_str(),
        ))
    };
    let (tokens, secrets, file, section) = program.or_else(upstream)?;
    Some(Key::ToCome {
        name: tokens.signer(secrets)?,
        home: file.map_or(section, |file| file.value.as_str()),
    })
}

fn shared(gateway: &Gateway, other: &Gateway) -> Finding {
    let (one, two) = (&other.name, &gateway.name);
    let span = gateway.realm.as_ref().and_then(|realm| realm.span.clone());
    let message = format!(
        "[gateway:{one}] and [gateway:{two}] share their sessions, and their programs have keys of their own"
    );
    Finding::error("realm", message)
        .at(span.unwrap_or_else(|| gateway.header.clone()))
        .related("the other one", other.header.clone())
        .effect("who signs in at one program is let in at the other, as whoever has that user id there")
        .fix(format!(
            "write: realm = {one} and realm = {two}; or the same name in both, if their user ids mean the same people"
        ))
}
