//! `[gateway:x]` and `[upstream:x]`.

use std::time::Duration;

use finding::{Finding, Span};

use super::group::name_of;
use super::ours::{host, list_items, ready_path};
use super::{Keys, Reader, Shut, here_vars, sections, tokens};
use crate::expand::{EnvMap, Vars};
use crate::ini::Section;
use crate::known::Kind;
use crate::model::{Auth, Gateway, Limits, ListenAddr, Route, Spanned, Upstream, UpstreamAddr};
use crate::paths::{abspath, expanduser};
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
            let shut = shut(reader, section, env);
            reader.shut.push(shut);
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
            auth: keys.value("auth", Auth::Off, &vars, tokens::auth),
            open: list(&mut keys, "open", &vars, tokens::open_path),
            login: keys.optional("login", &vars, tokens::plain_path),
            logout: keys.optional("logout", &vars, tokens::plain_path),
            realm: keys.optional("realm", &vars, tokens::realm),
            fresh: keys.value("fresh", false, &vars, values::boolean),
            forward_auth: keys.optional("forward_auth", &vars, |text| Ok(strip(text).to_owned())),
        };
        signing_in(&mut keys, &gateway);
        if gateway.routes.is_empty() && gateway.forward_auth.is_none() && !keys.failed {
            let finding = Finding::error(
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
        } else if may_ask(reader, section, &gateway) {
            let shut = shut(reader, section, env);
            reader.shut.push(shut);
        }
    }
    super::closed::near_gateways(reader, env);
    out
}

/// Whether a gateway with an error may have been meant to ask for a sign-in.
fn may_ask(reader: &Reader<'_>, section: &Section, gateway: &Gateway) -> bool {
    let said = reader.ini.entry(section, "auth").is_some();
    reader.wrong.sections.contains(&section.name)
        || *gateway.auth != Auth::Off
        || (said && !gateway.auth.is_set())
}

/// What a section would have opened, as far as it can be read. Its errors were said, or it is nearly a `[gateway:x]`.
pub(super) fn shut(reader: &mut Reader<'_>, section: &Section, env: &EnvMap) -> Shut {
    let vars = here_vars(reader, env);
    let said = std::mem::take(reader.findings);
    let mut keys = Keys::new(reader, section);
    let listen = list(&mut keys, "listen", &vars, listen_addr);
    keys.failed = false;
    let routes = routes(&mut keys, &vars);
    let whole = !keys.failed && !routes.is_empty();
    *reader.findings = said;
    Shut {
        section: section.name.clone(),
        header: section.header.clone(),
        listen: listen.into_iter().map(|at| at.value).collect(),
        targets: whole.then(|| routes.into_iter().map(|it| it.value.target).collect()),
    }
}

/// Whether a path is a prefix or below it.
fn under(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where `open` opens nothing: one warning for the key, or one for each path.
fn open(keys: &mut Keys<'_, '_>, gateway: &Gateway) {
    let section = keys.section.name.clone();
    let idle = match gateway.auth.value {
        _ if gateway.forward_auth.is_some() => Some("a forward-auth listener proxies nothing"),
        Auth::Off => Some("auth is off, so everything is open"),
        Auth::Optional => Some("auth is optional, so everything is open"),
        Auth::Required => None,
    };
    for path in &gateway.open {
        let meets = |route: &Spanned<Route>| {
            under(&path.value, &route.path) || under(&route.path, &path.value)
        };
        let why = match idle {
            Some(why) => why,
            None if gateway.routes.iter().any(meets) => continue,
            None => "none of its routes leads there",
        };
        let message = match idle {
            Some(_) => format!("`open` of [{section}] has no effect: {why}"),
            None => format!(
                "`open = {}` of [{section}] has no effect: {why}",
                path.value
            ),
        };
        keys.warn("conf.no-effect", message, path.span.clone());
        if idle.is_some() {
            return;
        }
    }
}

/// What only makes sense together, and a forward-auth listener that strangers could ask.
fn signing_in(keys: &mut Keys<'_, '_>, gateway: &Gateway) {
    let section = keys.section.name.clone();
    let forward = gateway.forward_auth.is_some();
    let paths = [("login", &gateway.login), ("logout", &gateway.logout)];
    for (key, path) in paths {
        let mut routes = gateway.routes.iter();
        if let Some(path) = path
            && (forward || !routes.any(|route| under(&path.value, &route.path)))
        {
            let why = if forward {
                "a forward-auth listener proxies nothing"
            } else {
                "none of its routes leads there"
            };
            let message = format!("`{key}` of [{section}] has no effect: {why}");
            keys.warn("conf.no-effect", message, path.span.clone());
        }
    }
    open(keys, gateway);
    let Some(target) = &gateway.forward_auth else {
        return;
    };
    if let Some(route) = gateway.routes.first() {
        let message = format!(
            "[{section}] has both `route` and `forward_auth`; give each a gateway of its own"
        );
        keys.error("conf.forward-auth", message, route.span.clone());
    }
    if gateway.listen.is_empty() {
        let finding = Finding::error("conf.forward-auth", format!("[{section}] has no `listen`"))
            .at(target.span.clone())
            .fix("write: listen = 127.0.0.1:9011");
        keys.reader.findings.push(finding);
        keys.failed = true;
    }
    for address in gateway.listen.iter().filter(|at| !is_private(&at.value)) {
        let message = format!(
            "[{section}] would answer forward-auth on a public address, where anyone could get tokens"
        );
        let finding = Finding::error("conf.forward-auth", message)
            .at(address.span.clone())
            .fix(format!(
                "write: listen = 127.0.0.1:{}, or listen = unix:/run/steadfast-auth.sock",
                match &address.value {
                    ListenAddr::Tcp { port, .. } => *port,
                    ListenAddr::Unix(_) => 9011,
                }
            ));
        keys.reader.findings.push(finding);
        keys.failed = true;
    }
}

/// Loopback or a Unix socket.
fn is_private(at: &ListenAddr) -> bool {
    match at {
        ListenAddr::Unix(_) => true,
        ListenAddr::Tcp { host, .. } => {
            host == "localhost"
                || host
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
    }
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
        let (machine, files, here) = (keys.reader.env, keys.reader.files, keys.reader.here);
        let env_file = keys.optional("env_file", &vars, |path| match path.is_empty() {
            true => Err("a file is missing".to_string()),
            false => Ok(abspath(&expanduser(path, machine, files), here)),
        });
        let ready = keys.optional("ready", &vars, upstream_ready);
        let ready = ready.and_then(|ready| {
            let span = ready.span.clone();
            let value = ready.value.map(|value| Spanned { value, span });
            if value.is_none() {
                let message = format!("`ready = tcp` of [{}] has no effect", section.name);
                let finding = Finding::warning("conf.no-effect", message).at(ready.span.clone());
                let why = "a connect is tried anyway; http:/path asks it";
                keys.reader.findings.push(finding.hint(why));
            }
            value
        });
        let ready_host = keys.value("ready_host", "localhost".to_string(), &vars, host);
        useless(&mut keys, ready.is_some());
        let secrets = tokens::secrets(&mut keys, &vars);
        let tokens = tokens::tokens(&mut keys, &vars, &secrets);
        if keys.failed {
            continue;
        }
        out.extend(connect.map(|connect| Upstream {
            name,
            header: section.header.clone(),
            connect,
            ready,
            ready_host,
            secrets,
            env_file,
            tokens,
        }));
    }
    out
}

/// What a program's section may say and an upstream's has no use for.
fn useless(keys: &mut Keys<'_, '_>, asked: bool) {
    let of_others = "whoever runs the upstream starts it, and restarts it when it hangs";
    let unasked = "`ready` is not set";
    for (key, has_use, why) in [
        ("ready_host", asked, unasked),
        ("ready_timeout", false, of_others),
        ("keepalive", false, of_others),
    ] {
        let Some(entry) = keys.entry(key).filter(|_| !has_use) else {
            continue;
        };
        let message = format!("`{key}` of [{}] has no effect: {why}", keys.section.name);
        keys.warn("conf.no-effect", message, entry.key_span());
    }
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
pub(super) fn list<T>(
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
pub(super) fn is_host(host: &str) -> bool {
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

/// None: that a connection is possible, which is tried anyway.
fn upstream_ready(text: &str) -> Result<Option<String>, String> {
    if text == "tcp" {
        return Ok(None);
    }
    text.strip_prefix("http:")
        .and_then(ready_path)
        .map(Some)
        .ok_or_else(|| {
            format!(
                "{} is not `http:` with a path: somebody else runs it, so it can only be asked (a connect is tried anyway)",
                shown(text)
            )
        })
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
