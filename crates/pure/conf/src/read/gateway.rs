//! `[gateway:x]` and `[upstream:x]`.

use std::time::Duration;

use finding::Span;

use super::group::name_of;
use super::ours::list_items;
use super::{Keys, Reader, here_vars, not_supported, sections};
use crate::expand::Vars;
use crate::gateway::{Gateway, Limits, ListenAddr, Route, Upstream, UpstreamAddr};
use crate::known::Kind;
use crate::load::EnvMap;
use crate::model::Spanned;
use crate::tree::{is_space, strip};
use crate::values::{self, shown};

/// How long a request may wait.
const HOLD: Duration = Duration::from_secs(30);
/// How many requests may wait, per worker.
const HOLD_MAX: u32 = 10_000;
/// Workers of one gateway; each is a process with a slot of its own.
const WORKERS_MAX: u32 = 64;

/// Every `[gateway:x]` without an error.
pub(super) fn gateways(reader: &mut Reader<'_>, env: &EnvMap) -> Vec<Gateway> {
    let ini = reader.ini;
    let mut out = Vec::new();
    for (section, own) in sections(ini, Kind::Gateway) {
        let Some(name) = name_of(reader, section, own) else {
            continue;
        };
        let vars = here_vars(reader, env);
        let mut keys = Keys::new(reader, section);
        let gateway = Gateway {
            name,
            header: section.header.clone(),
            listen: list(&mut keys, "listen", &vars, listen_addr),
            routes: routes(&mut keys, &vars),
            hold: keys.value("hold", HOLD, &vars, values::duration),
            hold_max: keys.value("hold_max", HOLD_MAX, &vars, values::count32),
            workers: keys.value("workers", 1, &vars, workers),
            trust: keys
                .entry("trust")
                .map(|_| list(&mut keys, "trust", &vars, trusted)),
            user: keys.user("user", &vars),
            limits: limits(&mut keys, &vars),
            maintenance_page: super::extras::page(&mut keys, &vars),
        };
        if let Some(auth) = keys
            .optional("auth", &vars, |text| Ok(strip(text).to_lowercase()))
            .filter(|auth| auth.value != "off")
        {
            let finding = not_supported(&format!("`auth = {}`", finding::escape(&auth.value)))
                .at(auth.span.clone());
            keys.reader.findings.push(finding);
        }
        if gateway.routes.is_empty() && !keys.failed {
            let finding = finding::Finding::error(
                "conf.no-route",
                format!("[{}] has no `route`", section.name),
            )
            .at(section.header.clone())
            .fix("write: route = / -> the name of a program");
            keys.reader.findings.push(finding);
            keys.failed = true;
        }
        if !keys.failed {
            out.push(gateway);
        }
    }
    out
}

/// Every `[upstream:x]` without an error.
pub(super) fn upstreams(reader: &mut Reader<'_>, env: &EnvMap) -> Vec<Upstream> {
    let ini = reader.ini;
    let mut out = Vec::new();
    for (section, own) in sections(ini, Kind::Upstream) {
        let Some(name) = name_of(reader, section, own) else {
            continue;
        };
        let vars = here_vars(reader, env);
        let mut keys = Keys::new(reader, section);
        let connect = keys.optional("connect", &vars, upstream_addr);
        if connect.is_none() && keys.entry("connect").is_none() {
            keys.error(
                "conf.missing-key",
                format!("[{}] has no `connect`", section.name),
                section.header.clone(),
            );
        }
        out.extend(connect.map(|connect| Upstream {
            name,
            header: section.header.clone(),
            connect,
        }));
    }
    out
}

fn limits(keys: &mut Keys<'_, '_>, vars: &Vars<'_>) -> Limits {
    Limits {
        body_bytes_max: keys.optional("body_max", vars, values::byte_size),
        hold_bytes_max: keys.optional("hold_bytes_max", vars, values::byte_size),
        head_timeout: keys.optional("head_timeout", vars, values::duration),
        idle_timeout: keys.optional("idle_timeout", vars, values::duration),
        answer_timeout: keys.optional("answer_timeout", vars, values::duration),
        connections_max: keys.optional("connections_max", vars, values::count32),
    }
}

fn workers(text: &str) -> Result<u32, String> {
    let number = values::count32(text)?;
    if (1..=WORKERS_MAX).contains(&number) {
        Ok(number)
    } else {
        Err(format!(
            "{} is not between 1 and {WORKERS_MAX}",
            shown(text)
        ))
    }
}

/// A list, separated by commas or blanks, each item read on its own.
fn list<T>(
    keys: &mut Keys<'_, '_>,
    key: &str,
    vars: &Vars<'_>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Vec<Spanned<T>> {
    let Some((text, span)) = keys.text(key, vars) else {
        return Vec::new();
    };
    let found = list_items(keys, key, &text, &span, |c| c == ',' || is_space(c));
    read_items(keys, key, found, read)
}

fn read_items<T>(
    keys: &mut Keys<'_, '_>,
    key: &str,
    items: Vec<(String, Option<Span>)>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Vec<Spanned<T>> {
    let mut out = Vec::new();
    for (item, span) in items.into_iter().filter(|(item, _)| !item.is_empty()) {
        match read(&item) {
            Ok(value) => out.push(Spanned { value, span }),
            Err(words) => keys.error(
                "conf.value",
                format!("`{key}` of [{}]: {words}", keys.section.name),
                span,
            ),
        }
    }
    out
}

/// `HOST/PATH -> name`, one a line.
fn routes(keys: &mut Keys<'_, '_>, vars: &Vars<'_>) -> Vec<Spanned<Route>> {
    let Some((text, span)) = keys.text("route", vars) else {
        return Vec::new();
    };
    let lines = list_items(keys, "route", &text, &span, |c| c == '\n');
    read_items(keys, "route", lines, route)
}

fn route(text: &str) -> Result<Route, String> {
    let wrong = |what: &str| {
        format!(
            "{} {what}; a route is like `example.org/api -> backend`",
            shown(text)
        )
    };
    let (place, target) = text.split_once("->").ok_or_else(|| wrong("has no `->`"))?;
    let (place, target) = (strip(place), strip(target));
    if target.is_empty() || target.contains(is_space) || target.contains("->") {
        return Err(wrong("does not name one program"));
    }
    let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let path = if path.is_empty() { "/" } else { path };
    if !path
        .chars()
        .all(|c| c.is_ascii_graphic() && !"?#*".contains(c))
    {
        return Err(wrong("has a path with characters that no path prefix has"));
    }
    let host = match host {
        "" | "*" => None,
        host if is_host(host) => Some(host.to_ascii_lowercase()),
        host if host.contains(':') => {
            return Err(format!("{} is a host without port in a route", shown(host)));
        }
        host => return Err(format!("{} is not a host name", shown(host))),
    };
    Ok(Route {
        host,
        path: path.to_string(),
        target: target.to_string(),
    })
}

/// A host name or address as it stands in a Host header, without its port.
fn is_host(host: &str) -> bool {
    let v6 = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match v6 {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        }
    }
}

fn tcp(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let host = match host {
        "" | "*" => String::new(),
        host if is_host(host) => host.trim_matches(['[', ']']).to_ascii_lowercase(),
        _ => return None,
    };
    Some((host, port))
}

fn unix(text: &str) -> Option<Result<String, String>> {
    let path = text.strip_prefix("unix:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    Some(if path.starts_with('/') {
        Ok(path.to_string())
    } else {
        Err(format!("{} needs an absolute path", shown(text)))
    })
}

fn listen_addr(text: &str) -> Result<ListenAddr, String> {
    if let Some(path) = unix(text) {
        return path.map(ListenAddr::Unix);
    }
    let (host, port) =
        tcp(text).ok_or_else(|| format!("{} is neither HOST:PORT nor unix:PATH", shown(text)))?;
    Ok(ListenAddr::Tcp { host, port })
}

fn upstream_addr(text: &str) -> Result<UpstreamAddr, String> {
    if let Some(path) = unix(text) {
        return path.map(UpstreamAddr::Unix);
    }
    let found = tcp(text).filter(|(host, _)| !host.is_empty());
    let (host, port) =
        found.ok_or_else(|| format!("{} is neither HOST:PORT nor unix:PATH", shown(text)))?;
    Ok(UpstreamAddr::Tcp { host, port })
}

/// An address, a network, `*` or `unix`.
fn trusted(text: &str) -> Result<String, String> {
    if text == "unix" || text == "*" {
        return Ok(text.to_string());
    }
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let wrong = || {
        format!(
            "{} is none of an address, a network like `10.0.0.0/8`, `*`, `unix`",
            shown(text)
        )
    };
    let address: std::net::IpAddr = address.parse().map_err(|_| wrong())?;
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    let fits = bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= bits_max));
    if fits {
        Ok(text.to_string())
    } else {
        Err(wrong())
    }
}
