//! May this request use the browser's cookie? One decision for login, the API and every route with `auth`.
//!
//! | request | Sec-Fetch-Site | Origin | |
//! |---|---|---|---|
//! | GET, HEAD, OPTIONS without Upgrade, not a login | - | - | pass |
//! | other | same-origin, none | - | pass |
//! | other | another value, or absent | the gateway's own, or listed in `origins` | pass |
//! | other | another value, or absent | another, `null`, several | 403 |
//! | other | absent | absent | 403 |
//!
//! A request that brings its own `Authorization` and no session cookie carries nothing that a browser adds by itself:
//! there is nothing to forge, and clients that are not browsers send neither header. It passes, but not as a login.

/// What the decision needs of a request.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The method, as sent.
    pub method: &'a str,
    /// Whether it asks for an upgrade (WebSocket).
    pub upgrade: bool,
    /// Whether it signs somebody in.
    pub login: bool,
    /// Whether its only credential is an `Authorization` header.
    pub bearer_only: bool,
    /// Values of all `Sec-Fetch-Site` headers.
    pub fetch_site: &'a [&'a str],
    /// Values of all `Origin` headers.
    pub origin: &'a [&'a str],
}

/// Why a request is refused with 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forged {
    /// Neither header: no browser of today sends such a request.
    NeitherHeader,
    /// Likewise, for a login, where no other credential stands in for them.
    NeitherAtLogin,
    /// It comes from another site, whose origin is not listed.
    OtherOrigin,
    /// A header was sent twice.
    Repeated,
}

impl Forged {
    /// One sentence for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NeitherHeader => {
                "The request names no origin. Send Origin (no browser: Sec-Fetch-Site: same-origin), or use a bearer token."
            }
            Self::NeitherAtLogin => {
                "The sign-in names no origin. Send Origin; what is no browser sends Sec-Fetch-Site: same-origin."
            }
            Self::OtherOrigin => {
                "The request comes from another origin. Add it to origins to allow it."
            }
            Self::Repeated => "The request names its origin twice.",
        }
    }
}

/// The first line of the table: it passes, wherever it comes from.
#[must_use]
pub fn is_harmless(method: &str, upgrade: bool, login: bool) -> bool {
    !login && !upgrade && matches!(method, "GET" | "HEAD" | "OPTIONS")
}

/// The decision. `own` is the gateway's origin for this request (`https://host[:port]`, from what the listener vouches
/// for); `origins` are those of the configuration. Origins are compared as browsers write them (RFC 6454 section 6.2).
///
/// # Errors
/// Answer 403 with the reason.
pub fn decide(asked: Asked<'_>, own: &str, origins: &[String]) -> Result<(), Forged> {
    if is_harmless(asked.method, asked.upgrade, asked.login) {
        return Ok(());
    }
    if asked.bearer_only && !asked.login {
        return Ok(());
    }
    let site = single(asked.fetch_site)?;
    let origin = single(asked.origin)?;
    if matches!(site, Some("same-origin" | "none")) {
        return Ok(());
    }
    match origin {
        Some(origin)
            if same_origin(origin, own) || origins.iter().any(|it| same_origin(origin, it)) =>
        {
            Ok(())
        }
        Some(_) => Err(Forged::OtherOrigin),
        None if site.is_some() => Err(Forged::OtherOrigin),
        None if asked.login => Err(Forged::NeitherAtLogin),
        None => Err(Forged::NeitherHeader),
    }
}

fn single<'a>(values: &[&'a str]) -> Result<Option<&'a str>, Forged> {
    match values {
        [] => Ok(None),
        [value] => Ok(Some(value.trim())),
        _ => Err(Forged::Repeated),
    }
}

/// `null` is nobody's origin, also when somebody listed it.
fn same_origin(sent: &str, known: &str) -> bool {
    sent.contains("://") && sent.eq_ignore_ascii_case(known.trim_end_matches('/'))
}
