//! The session cookie: its name says how it may travel.
//!
//! `__Host-` (RFC 6265bis section 4.1.3.2) makes browsers refuse it without Secure, with a Domain, or with a Path
//! other than `/`: no other host can plant one. Plain http on loopback cannot have Secure cookies everywhere, so it
//! uses another name, and that name counts for nothing on https. Plain http elsewhere has no session cookie at all.

use crate::limits::COOKIES_MAX;
use crate::token::Token;
use std::borrow::Cow;

/// The cookie's name on https.
pub const NAME: &str = "__Host-steadfast";
/// The cookie's name on http over loopback.
pub const LOOPBACK_NAME: &str = "steadfast-local";

/// The cookie that says who signed in from this browser before ([`crate::device`]), on https.
pub const DEVICE_NAME: &str = "__Host-steadfast-device";
/// The same on http over loopback.
pub const LOOPBACK_DEVICE_NAME: &str = "steadfast-device-local";
/// It lives as long as browsers keep any cookie: 400 days.
const DEVICE_AGE_S: u64 = 400 * 24 * 60 * 60;

/// A line of cookies as text: UTF-8, or each byte a letter, for cookies of others may hold anything, and ours stand in the
/// same line.
#[must_use]
pub fn text(line: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(line) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(line.iter().copied().map(char::from).collect()),
    }
}

/// How the request came, as far as the listener or a trusted proxy vouches for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// TLS, here or at a trusted proxy.
    Https,
    /// Plain http, from this machine, to a loopback name.
    LoopbackHttp,
    /// Plain http from elsewhere.
    Http,
}

impl Channel {
    /// The name of the session cookie. None: no sign-in by cookie here.
    #[must_use]
    pub const fn cookie_name(self) -> Option<&'static str> {
        match self {
            Self::Https => Some(NAME),
            Self::LoopbackHttp => Some(LOOPBACK_NAME),
            Self::Http => None,
        }
    }

    /// The name of the device's cookie. None: there is none here.
    #[must_use]
    pub const fn device_name(self) -> Option<&'static str> {
        match self {
            Self::Https => Some(DEVICE_NAME),
            Self::LoopbackHttp => Some(LOOPBACK_DEVICE_NAME),
            Self::Http => None,
        }
    }

    const fn secure(self) -> &'static str {
        match self {
            Self::Https => "; Secure",
            Self::LoopbackHttp | Self::Http => "",
        }
    }
}

/// The value of `Set-Cookie` that signs a browser in. `max_age_s` is the absolute timeout: the store ends sessions,
/// not the browser. None where no cookie may be set.
#[must_use]
pub fn set(channel: Channel, token: &Token, max_age_s: u64) -> Option<String> {
    let name = channel.cookie_name()?;
    let (value, secure) = (token.expose(), channel.secure());
    Some(format!(
        "{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly{secure}; SameSite=Lax"
    ))
}

/// The value of `Set-Cookie` that removes it.
#[must_use]
pub fn clear(channel: Channel) -> Option<String> {
    let name = channel.cookie_name()?;
    Some(format!(
        "{name}=; Path=/; Max-Age=0; HttpOnly{}; SameSite=Lax",
        channel.secure()
    ))
}

/// The value of `Set-Cookie` that makes a browser known. Strict: it is of use at logins only.
#[must_use]
pub fn set_device(channel: Channel, value: &str) -> Option<String> {
    let (name, secure) = (channel.device_name()?, channel.secure());
    Some(format!(
        "{name}={value}; Path=/; Max-Age={DEVICE_AGE_S}; HttpOnly{secure}; SameSite=Strict"
    ))
}

/// Every value of the device's cookie: one that is not ours proves nothing and harms nobody.
pub fn devices<'a>(
    channel: Channel,
    headers: impl IntoIterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    let name = channel.device_name();
    headers
        .into_iter()
        .flat_map(pairs)
        .filter(move |(cookie, _)| Some(*cookie) == name)
        .map(|(_, value)| value)
}

/// What the request's `Cookie` headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent<'a> {
    /// No session cookie.
    None,
    /// This value.
    One(&'a str),
    /// Several that differ: somebody plants cookies. Refused, and no session is ended by it.
    Several,
}

/// Finds the session cookie. `headers` are the values of all `Cookie` headers.
#[must_use]
pub fn find<'a>(channel: Channel, headers: impl IntoIterator<Item = &'a str>) -> Sent<'a> {
    let Some(name) = channel.cookie_name() else {
        return Sent::None;
    };
    let mut found = Sent::None;
    for (cookie, value) in headers.into_iter().flat_map(pairs) {
        if cookie == name {
            found = match found {
                Sent::None => Sent::One(value),
                Sent::One(before) if before == value => found,
                Sent::One(_) | Sent::Several => return Sent::Several,
            };
        }
    }
    found
}

/// Every session cookie, each value once: whoever signs out wants all of them over. At most [`COOKIES_MAX`].
pub fn every<'a>(channel: Channel, headers: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all: Vec<&str> = Vec::new();
    let Some(name) = channel.cookie_name() else {
        return all;
    };
    for (cookie, value) in headers.into_iter().flat_map(pairs) {
        if cookie == name && !all.contains(&value) && all.len() < COOKIES_MAX {
            all.push(value);
        }
    }
    all
}

/// The cookies of a header that are the program's business: all without ours, under either name.
pub fn others(header: &str) -> impl Iterator<Item = &str> {
    header
        .split(';')
        .map(bare)
        .filter(|part| !part.is_empty() && !is_ours(part))
}

/// Whether the header holds a cookie of ours.
#[must_use]
pub fn has_ours(header: &str) -> bool {
    header.split(';').any(|part| is_ours(bare(part)))
}

fn is_ours(part: &str) -> bool {
    let name = bare(part.split('=').next().unwrap_or_default());
    [NAME, LOOPBACK_NAME, DEVICE_NAME, LOOPBACK_DEVICE_NAME].contains(&name)
}

/// The header for the program: the same cookies without ours (either name: neither is a program's business).
/// None where nothing is left.
#[must_use]
pub fn without(header: &str) -> Option<String> {
    let kept: Vec<&str> = others(header).collect();
    (!kept.is_empty()).then(|| kept.join("; "))
}

fn pairs(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header
        .split(';')
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (bare(name), bare(value)))
}

/// Without the blanks that RFC 6265 section 5.2 knows, and no others: to a browser `\u{a0}__Host-steadfast` is a name without
/// the prefix, which any neighbouring host may set.
fn bare(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
