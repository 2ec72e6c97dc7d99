//! What follows from `auth` and `login` and is easily overlooked: how people sign in at all, that cookies need https, that
//! tokens of a program's own are no sessions. All of it is worth a note, nothing of it is wrong.

use conf::{Auth, Gateway};
use finding::Finding;
use routes::Listener;

/// Says it, for each gateway of the file.
pub(super) fn notes(
    model: &conf::Model,
    listeners: &[Listener],
    prefix: &str,
    findings: &mut Vec<Finding>,
) {
    for gateway in model.gateways.iter().filter(|it| it.forward_auth.is_none()) {
        how(gateway, prefix, findings);
        own_tokens(model, gateway, findings);
        plain_http(gateway, listeners, findings);
    }
}

/// Nobody has to guess how to get in.
fn how(gateway: &Gateway, prefix: &str, findings: &mut Vec<Finding>) {
    if *gateway.auth != Auth::Required || gateway.login.is_some() {
        return;
    }
    let message = format!(
        "[gateway:{}] asks everyone to sign in and names no `login`: people sign in by POST {prefix}/login, those whom \
         `steadfast users add` has added",
        gateway.name
    );
    findings.push(
        Finding::note("sign-in", message)
            .at(gateway.auth.span.clone())
            .hint("if the program signs people in, name its path: login = /login"),
    );
}

/// Whoever holds a token that the program made itself is asked to sign in again.
fn own_tokens(model: &conf::Model, gateway: &Gateway, findings: &mut Vec<Finding>) {
    if *gateway.auth != Auth::Required {
        return;
    }
    let mut names: Vec<&str> = gateway
        .routes
        .iter()
        .map(|route| route.target.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let program = model.program(name).map(|it| (&it.secrets, &it.tokens));
        let upstream = model.upstreams.iter().find(|it| it.name == name);
        let named = program.or_else(|| upstream.map(|it| (&it.secrets, &it.tokens)));
        let Some(key) = named.and_then(|(secrets, tokens)| tokens.signer(secrets)) else {
            continue;
        };
        let message = format!(
            "[gateway:{}] lets sessions of its own in; a token that {name} signed itself with {key} is a 401 there",
            gateway.name
        );
        findings.push(
            Finding::note("sign-in", message)
                .at(gateway.auth.span.clone())
                .hint("if people hold such tokens: auth = optional until those have expired"),
        );
    }
}

/// A cookie is set over https, or on this machine.
fn plain_http(gateway: &Gateway, listeners: &[Listener], findings: &mut Vec<Finding>) {
    let signs_in = gateway.login.is_some() || *gateway.auth != Auth::Off;
    if !signs_in || gateway.trust.is_some() {
        return;
    }
    let mut own = listeners.iter().filter(|it| it.name == gateway.name);
    let Some(public) = own.find(|listener| !is_private(&listener.address)) else {
        return;
    };
    let message = format!(
        "[gateway:{}] signs people in on {}, and cookies need https: that works through a proxy that speaks it and is \
         trusted, and from this machine",
        gateway.name, public.address
    );
    let span = gateway.login.as_ref().and_then(|login| login.span.clone());
    findings.push(
        Finding::note("sign-in", message)
            .at(span.or_else(|| gateway.auth.span.clone()))
            .hint("name the proxy: trust = 127.0.0.1 (the default is what the program's server trusts)"),
    );
}

/// Loopback or a Unix socket.
fn is_private(address: &str) -> bool {
    if address.starts_with("unix:") {
        return true;
    }
    let host = address.rsplit_once(':').map_or("", |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|host| host.is_loopback())
}
