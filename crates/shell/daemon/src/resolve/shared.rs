//! Gateways that share an address: each keeps its routes with their `auth`, `login`, `logout` and `realm`; what is decided
//! before a request has a route can be said once only, and must not depend on which of them stands first in the file.

use std::collections::BTreeSet;

use conf::Gateway;
use finding::{Finding, Span};
use routes::{Auth, Listener, Route};

/// A key of `[gateway:x]` that belongs to the connection, what a listener has of it, and where the file says it.
type Key = (
    &'static str,
    fn(&Listener) -> String,
    fn(&Gateway) -> Option<Span>,
);

const KEYS: [Key; 9] = [
    ("trust", trust, |it| {
        it.trust.as_ref()?.first()?.span.clone()
    }),
    (
        "hold",
        |it| it.hold_ms.to_string(),
        |it| it.hold.span.clone(),
    ),
    (
        "hold_max",
        |it| it.hold_max.to_string(),
        |it| it.hold_max.span.clone(),
    ),
    (
        "hold_bytes_max",
        |it| it.hold_bytes_max.to_string(),
        |it| it.limits.hold_bytes_max.as_ref()?.span.clone(),
    ),
    (
        "head_timeout",
        |it| it.head_ms_max.to_string(),
        |it| it.limits.head_timeout.as_ref()?.span.clone(),
    ),
    (
        "idle_timeout",
        |it| it.idle_ms_max.to_string(),
        |it| it.limits.idle_timeout.as_ref()?.span.clone(),
    ),
    (
        "answer_timeout",
        |it| it.answer_ms_max.to_string(),
        |it| it.limits.answer_timeout.as_ref()?.span.clone(),
    ),
    (
        "body_max",
        |it| it.body_bytes_max.to_string(),
        |it| it.limits.body_bytes_max.as_ref()?.span.clone(),
    ),
    (
        "forward_auth",
        |it| it.forward_auth.clone().unwrap_or_default(),
        |it| it.forward_auth.as_ref()?.span.clone(),
    ),
];

fn trust(listener: &Listener) -> String {
    let peers: BTreeSet<&str> = listener.trusted.iter().map(String::as_str).collect();
    peers.into_iter().collect::<Vec<_>>().join(" ")
}

/// Says what two gateways say differently about one address.
pub(super) fn check(model: &conf::Model, listeners: &[Listener], findings: &mut Vec<Finding>) {
    let mut told = BTreeSet::new();
    for (at, two) in listeners.iter().enumerate() {
        for one in &listeners[..at] {
            if one.address != two.address || one.name == two.name {
                continue;
            }
            let named = |name: &str| model.gateways.iter().find(|it| it.name == name);
            let (Some(first), Some(second)) = (named(&one.name), named(&two.name)) else {
                continue;
            };
            for (key, value, span) in KEYS {
                if value(one) != value(two) && told.insert((&one.name, &two.name, key)) {
                    findings.push(differs(
                        key,
                        &two.address,
                        (first, span(first)),
                        (second, span(second)),
                    ));
                }
            }
            let realms = one
                .routes
                .iter()
                .any(|route| two.routes.iter().any(|other| two_realms(route, other)));
            if realms && told.insert((&one.name, &two.name, "realm")) {
                findings.push(one_cookie(&two.address, first, second));
            }
        }
    }
}

fn differs(
    key: &str,
    address: &str,
    (first, there): (&Gateway, Option<Span>),
    (second, here): (&Gateway, Option<Span>),
) -> Finding {
    let message = format!(
        "[gateway:{}] and [gateway:{}] share {address} and differ in `{key}`",
        first.name, second.name
    );
    Finding::error("gateway", message)
        .at(here.unwrap_or_else(|| second.header.clone()))
        .related(
            "the other one",
            there.unwrap_or_else(|| first.header.clone()),
        )
        .effect("it is decided before a request has a route, so only one of them could count")
        .fix(format!(
            "write the same `{key}` in both, or give one of them an address of its own"
        ))
}

/// Whether a browser would meet two realms under one host name, where it keeps one cookie.
fn two_realms(one: &Route, two: &Route) -> bool {
    let looks = |route: &Route| route.auth != Auth::Off || route.login.is_some();
    let meet = one.host.is_none() || two.host.is_none() || one.host == two.host;
    meet && looks(one) && looks(two) && one.realm != two.realm
}

fn one_cookie(address: &str, first: &Gateway, second: &Gateway) -> Finding {
    let span = |of: &Gateway| of.realm.as_ref().and_then(|realm| realm.span.clone());
    let message = format!(
        "[gateway:{}] and [gateway:{}] share {address} under one host name, and are of two realms",
        first.name, second.name
    );
    Finding::error("realm", message)
        .at(span(second).unwrap_or_else(|| second.header.clone()))
        .related("the other one", span(first).unwrap_or_else(|| first.header.clone()))
        .effect("a browser keeps one session cookie for a host name: a sign-in at one signs out at the other")
        .fix("give each a host name of its own: route = forum.example/ -> forum")
}
