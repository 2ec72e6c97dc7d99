//! What a head says about who asks: origin, channel, credentials. Nothing is believed here that only the client says.

use std::borrow::Cow;
use std::net::IpAddr;

use accounts::Caller;
use h1::Kind;
use h1::request::{RequestHead, Upgrade};
use session::cookie::{self, Channel, Sent, text};
use session::csrf::{self, Forged};
use session::judge::Traffic;
use session::{Realm, Token};

use crate::forward::Origin;
use crate::site::Site;

/// How tokens of ours begin.
const OURS: &str = "sf1.";

/// How the request came, as far as the listener or a trusted proxy vouches for it.
pub(crate) fn channel(from: &Origin<'_>) -> Channel {
    if from.proto == b"https" {
        return Channel::Https;
    }
    match from.near && is_loopback_name(from.host) {
        true => Channel::LoopbackHttp,
        false => Channel::Http,
    }
}

fn is_loopback_name(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else {
        return false;
    };
    let name = crate::site::bare_name(host);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let below = name.len().checked_sub(".localhost".len());
    let last = below.and_then(|at| name.get(at..)).unwrap_or(name);
    last.eq_ignore_ascii_case(".localhost")
        || name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The gateway's own origin, as a browser writes it: no default port.
pub(crate) fn own_origin(from: &Origin<'_>) -> String {
    let host = String::from_utf8_lossy(from.host).to_ascii_lowercase();
    let proto = String::from_utf8_lossy(from.proto);
    let default = if from.proto == b"https" {
        ":443"
    } else {
        ":80"
    };
    let host = host.strip_suffix(default).unwrap_or(&host);
    format!("{proto}://{host}")
}

/// The origin that the request names, if it is one that may act here.
pub(crate) fn known_origin(
    site: &Site,
    head: &RequestHead,
    buf: &[u8],
    from: &Origin<'_>,
) -> Option<String> {
    let mut named = head.lines.values(buf, Kind::Origin);
    let origin = std::str::from_utf8(named.next()?).ok()?;
    let listed = csrf::Asked {
        method: "POST",
        upgrade: false,
        login: true,
        bearer_only: false,
        fetch_site: &[],
        origin: &[origin],
    };
    let known = csrf::decide(listed, &own_origin(from), site.origins()).is_ok();
    (known && named.next().is_none()).then(|| origin.to_owned())
}

/// What the decision about forged requests needs beyond the head.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Act<'a> {
    /// Another method than the head's: what a proxy asks about.
    pub(crate) method: Option<&'a str>,
    /// It signs somebody in.
    pub(crate) login: bool,
    /// No cookie takes part.
    pub(crate) bearer_only: bool,
}

/// Whether this request may use the browser's cookie.
pub(crate) fn forged(
    site: &Site,
    head: &RequestHead,
    buf: &[u8],
    from: &Origin<'_>,
    act: Act<'_>,
) -> Option<Forged> {
    let method = act.method.unwrap_or_else(|| method_text(head, buf));
    let text = |line: &h1::Line| std::str::from_utf8(line.value().of(buf)).unwrap_or("null");
    let lines = head.lines.as_slice();
    let named = |name: &'static [u8]| {
        lines
            .iter()
            .filter(move |line| line.name().of(buf).eq_ignore_ascii_case(name))
    };
    let upgrade = head.upgrade != Upgrade::None || named(b"sec-websocket-key").next().is_some();
    if csrf::is_harmless(method, upgrade, act.login) {
        return None;
    }
    let fetch_site: Vec<&str> = named(b"sec-fetch-site").map(text).collect();
    let origin: Vec<&str> = named(b"origin").map(text).collect();
    let asked = csrf::Asked {
        method,
        upgrade,
        login: act.login,
        bearer_only: act.bearer_only,
        fetch_site: &fetch_site,
        origin: &origin,
    };
    // Most of the others are decided without the origins.
    if csrf::decide(asked, "", &[]).is_ok() {
        return None;
    }
    csrf::decide(asked, &own_origin(from), site.origins()).err()
}

fn method_text<'a>(head: &RequestHead, buf: &'a [u8]) -> &'a str {
    // The codec lets only capitals and hyphens pass.
    std::str::from_utf8(head.method_text.of(buf)).unwrap_or("POST")
}

/// The session cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InCookie {
    None,
    /// None in it: no token of ours.
    One(Option<Token>),
    /// They differ: somebody plants cookies. Those of them that are tokens of ours.
    Several(Vec<Token>),
}

/// Finds the session cookie.
pub(crate) fn in_cookie(head: &RequestHead, buf: &[u8], channel: Channel) -> InCookie {
    if !head.has(Kind::Cookie) {
        return InCookie::None;
    }
    let mut values = head.lines.values(buf, Kind::Cookie);
    if let (Some(first), None) = (values.next(), values.next()) {
        return found(channel, &[&text(first)]);
    }
    let all: Vec<Cow<'_, str>> = head.lines.values(buf, Kind::Cookie).map(text).collect();
    let all: Vec<&str> = all.iter().map(AsRef::as_ref).collect();
    found(channel, &all)
}

fn found(channel: Channel, headers: &[&str]) -> InCookie {
    match cookie::find(channel, headers.iter().copied()) {
        Sent::None => InCookie::None,
        Sent::One(value) => InCookie::One(Token::parse(value)),
        Sent::Several => {
            let all = cookie::every(channel, headers.iter().copied());
            InCookie::Several(all.into_iter().filter_map(Token::parse).collect())
        }
    }
}

/// `Authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InHeader {
    None,
    /// A bearer token that begins like ours; None in it: it is none all the same.
    Ours(Option<Token>),
    /// Another bearer token.
    Bearer,
    /// Another scheme.
    Other,
}

/// Looks at the Authorization line (the codec lets only one pass).
pub(crate) fn in_header(head: &RequestHead, buf: &[u8]) -> InHeader {
    let Some(value) = head.value(buf, Kind::Authorization) else {
        return InHeader::None;
    };
    let value = text(value);
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            let token = token.trim();
            match token.starts_with(OURS) {
                true => InHeader::Ours(Token::parse(token)),
                false => InHeader::Bearer,
            }
        }
        Some(_) | None => InHeader::Other,
    }
}

/// Whether somebody is there. Only the client can say that nobody did anything (`Steadfast-Passive: 1`, as the browser
/// client does with pings and verifications): a program's health path looks like any other. It is believed, for it can
/// only shorten the client's own session.
pub(crate) fn traffic(head: &RequestHead, buf: &[u8]) -> Traffic {
    let passive = |line: &h1::Line| {
        let name = line.name().of(buf);
        name.eq_ignore_ascii_case(b"steadfast-passive") && line.value().of(buf) == b"1"
    };
    match head.has(Kind::Steadfast) && head.lines.as_slice().iter().any(passive) {
        true => Traffic::Passive,
        false => Traffic::Active,
    }
}

/// Who asks, for the session that may begin.
/// `here`: whose sessions count, and whether a verdict has to be fresh.
pub(crate) fn caller(
    head: &RequestHead,
    buf: &[u8],
    from: &Origin<'_>,
    here: (&Realm, bool),
) -> Caller {
    let agent = head.lines.named(buf, "user-agent").unwrap_or_default();
    Caller {
        address: String::from_utf8_lossy(from.client).into_owned(),
        agent: text(agent).into_owned(),
        channel: channel(from),
        origin: own_origin(from),
        realm: here.0.clone(),
        fresh: here.1,
    }
}
