//! `[sessions]`, and what programs, upstreams and gateways say about keys and tokens.

use super::gateway::list;
use super::{Keys, Reader, here_vars, ours};
use crate::expand::{EnvMap, Vars};
use crate::model::{Auth, Fallbacks, Sessions, Spanned, Tokens};
use crate::suggest::did_you_mean;
use crate::tree::strip;
use crate::values::shown;

/// Bytes of a cookie's or variable's name: far more than anyone writes by hand.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of a realm's name, as `session` takes it.
const REALM_BYTES_MAX: usize = 64;

/// The names in `secrets`.
pub(super) fn secrets(keys: &mut Keys<'_, '_>, vars: &Vars<'_>) -> Vec<Spanned<String>> {
    ours::names(keys, "secrets", vars, |name| variable(name).map(|_name| ()))
}

/// What a program or an upstream says about its tokens.
pub(super) fn tokens(
    keys: &mut Keys<'_, '_>,
    vars: &Vars<'_>,
    secrets: &[Spanned<String>],
) -> Tokens {
    let tokens = Tokens {
        signing: keys.optional("signing", vars, variable),
        alg: keys.optional("jwt_alg", vars, alg),
        claims: keys.optional("claims", vars, |text| Ok(strip(text).to_owned())),
        cookie: keys.optional("jwt_cookie", vars, cookie),
        fallbacks: keys.optional("secrets_fallbacks", vars, fallbacks),
        lifetime: keys.optional("token_lifetime", vars, ours::positive),
    };
    check_signing(keys, &tokens, secrets);
    if let Some(fallbacks) = &tokens.fallbacks
        && secrets.iter().any(|key| key.value == fallbacks.name)
    {
        let message = format!(
            "`secrets_fallbacks` of [{}] and `secrets` both name {}",
            keys.section.name, fallbacks.name
        );
        keys.error("conf.secrets", message, fallbacks.span.clone());
    }
    tokens
}

/// The key that signs must be one of the keys; what is said about tokens needs a key.
fn check_signing(keys: &mut Keys<'_, '_>, tokens: &Tokens, secrets: &[Spanned<String>]) {
    let section = keys.section.name.clone();
    if let Some(signing) = &tokens.signing
        && secrets.iter().all(|key| key.value != signing.value)
    {
        let message = format!(
            "`signing` of [{section}] names {}, which is not among its `secrets`",
            signing.value
        );
        let names = || secrets.iter().map(|key| key.value.as_str());
        let fix = match did_you_mean(&signing.value, names()).or_else(|| names().next()) {
            Some(known) => format!("write: signing = {known}"),
            None => format!("write: secrets = {}", signing.value),
        };
        let finding = finding::Finding::error("conf.signing", message)
            .at(signing.span.clone())
            .fix(fix);
        keys.reader.findings.push(finding);
        keys.failed = true;
        return;
    }
    if tokens.signer(secrets).is_some() {
        return;
    }
    let about: [(&str, Option<finding::Span>); 4] = [
        ("claims", span(&tokens.claims)),
        ("jwt_cookie", span(&tokens.cookie)),
        ("secrets_fallbacks", span(&tokens.fallbacks)),
        ("jwt_alg", span(&tokens.alg)),
    ];
    for (key, span) in about {
        let Some(span) = span else { continue };
        if secrets.is_empty() {
            let message = format!("`{key}` of [{section}] has no effect: it names no `secrets`");
            keys.warn("conf.no-effect", message, span);
        } else {
            let words = format!("`{key}` of [{section}] is about the key that signs");
            keys.reader
                .findings
                .push(which_signs(&words, secrets, span));
            keys.failed = true;
        }
    }
}

fn span<T>(value: &Option<Spanned<T>>) -> Option<finding::Span> {
    value.as_ref().and_then(|value| value.span.clone())
}

/// Several keys and no word about which of them signs.
pub(super) fn which_signs(
    what_for: &str,
    secrets: &[Spanned<String>],
    span: impl Into<Option<finding::Span>>,
) -> finding::Finding {
    let names: Vec<&str> = secrets.iter().map(|key| key.value.as_str()).collect();
    let message = format!(
        "{what_for}, and which of {} signs is not said",
        names.join(", ")
    );
    finding::Finding::error("conf.signing", message)
        .at(span)
        .fix(format!(
            "write: signing = {}",
            names.first().unwrap_or(&"SECRET_KEY")
        ))
}

/// `prove`: a path that the program answers with 2xx for a token that it accepts.
pub(super) fn path(text: &str) -> Result<String, String> {
    path_like(text, "/api/auth/verify")
}

fn path_like(text: &str, example: &str) -> Result<String, String> {
    let text = strip(text);
    let fits = text.starts_with('/')
        && !text.starts_with("//")
        && text.chars().all(|c| c.is_ascii_graphic() && c != '#');
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not a path like `{example}`", shown(text)))
    }
}

/// A path without a query, for `login` and `logout`.
pub(super) fn plain_path(text: &str) -> Result<String, String> {
    plain(text, "/api/login")
}

/// A path prefix, for `open`. What a program may read in two ways is never open, so it opens nothing as a prefix.
pub(super) fn open_path(text: &str) -> Result<String, String> {
    let path = plain(text, "/static")?;
    if path == "/" {
        return Err("`/` would open everything; that is auth = optional".to_owned());
    }
    let dots = |segment: &str| matches!(segment, "." | "..");
    let segments = path.strip_suffix('/').unwrap_or(&path).split('/').skip(1);
    let mut odd = segments.map(|segment| segment.is_empty() || dots(segment));
    if odd.any(|odd| odd) || path.contains(['%', ';', '\\', '*']) {
        return Err(format!(
            "{} is not a plain path like `/static`: no `%`, `;`, `\\`, `*`, `//`, `/./` or `/../` in it",
            shown(text)
        ));
    }
    Ok(path)
}

fn plain(text: &str, example: &str) -> Result<String, String> {
    let path = path_like(text, example)?;
    if path.contains('?') {
        return Err(format!("{} has a query; write the path alone", shown(text)));
    }
    Ok(path)
}

/// `realm`: a word, as `session` takes it.
pub(super) fn realm(text: &str) -> Result<String, String> {
    let name = strip(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.len() <= REALM_BYTES_MAX && name.chars().all(plain) {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "{} is not a name of up to {REALM_BYTES_MAX} letters, digits, `.`, `_` and `-`",
            shown(text)
        ))
    }
}

/// `auth`.
pub(super) fn auth(text: &str) -> Result<Auth, String> {
    match strip(text).to_lowercase().as_str() {
        "off" => Ok(Auth::Off),
        "optional" => Ok(Auth::Optional),
        "required" => Ok(Auth::Required),
        _ => Err(format!(
            "{} is none of required, optional, off",
            shown(text)
        )),
    }
}

fn variable(text: &str) -> Result<String, String> {
    let name = strip(text);
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && ours::is_variable(name) {
        Ok(name.to_owned())
    } else {
        Err(format!("{} is not the name of a variable", shown(text)))
    }
}

fn alg(text: &str) -> Result<String, String> {
    match strip(text).to_ascii_uppercase().as_str() {
        name @ ("HS256" | "HS384" | "HS512") => Ok(name.to_owned()),
        _ => Err(format!(
            "{} is none of HS256, HS384, HS512: one shared key signs and verifies",
            shown(text)
        )),
    }
}

/// RFC 6265 section 4.1.1: a token.
fn cookie(text: &str) -> Result<String, String> {
    let name = strip(text);
    let fits = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c));
    if fits {
        Ok(name.to_owned())
    } else {
        Err(format!("{} is not the name of a cookie", shown(text)))
    }
}

fn fallbacks(text: &str) -> Result<Fallbacks, String> {
    let wrong = || {
        format!(
            "{} is neither NAME:json nor NAME:csv, like `SECRET_KEY_FALLBACKS:json`",
            shown(text)
        )
    };
    let (name, form) = strip(text).split_once(':').ok_or_else(wrong)?;
    let json = match strip(form).to_lowercase().as_str() {
        "json" => true,
        "csv" => false,
        _ => return Err(wrong()),
    };
    Ok(Fallbacks {
        name: variable(name).map_err(|_| wrong())?,
        json,
    })
}

/// `[sessions]`.
pub(super) fn sessions(reader: &mut Reader<'_>, env: &EnvMap) -> Option<Sessions> {
    let ini = reader.ini;
    let section = ini.section("sessions")?;
    let vars = here_vars(reader, env);
    let mut keys = Keys::new(reader, section);
    let sessions = Sessions {
        header: section.header.clone(),
        store: keys.value("store", "sqlite".to_owned(), &vars, store),
        prefix: keys.optional("prefix", &vars, prefix),
        origins: list(&mut keys, "origins", &vars, origin),
        idle_timeout: keys.optional("idle_timeout", &vars, ours::positive),
        absolute_timeout: keys.optional("absolute_timeout", &vars, ours::positive),
    };
    if let (Some(idle), Some(absolute)) = (&sessions.idle_timeout, &sessions.absolute_timeout)
        && idle.value > absolute.value
    {
        let message =
            "`idle_timeout` of [sessions] has no effect: it is longer than `absolute_timeout`";
        keys.warn("conf.no-effect", message.to_owned(), idle.span.clone());
    }
    // Sessions in another store than the one that was meant would be worse than none.
    (!keys.failed).then_some(sessions)
}

/// The words never quote an address: it may hold a password.
fn store(text: &str) -> Result<String, String> {
    let text = strip(text);
    let wrong =
        || "it is neither `sqlite` nor an address like `postgres://user@host/database`".to_owned();
    if text.eq_ignore_ascii_case("sqlite") {
        return Ok("sqlite".to_owned());
    }
    let rest = text
        .strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"))
        .ok_or_else(wrong)?;
    if rest.is_empty() || rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(wrong());
    }
    Ok(text.to_owned())
}

fn prefix(text: &str) -> Result<String, String> {
    let path = plain(text, "/_steadfast")?;
    let path = path.strip_suffix('/').unwrap_or(&path);
    let segments = path.split('/').skip(1);
    let fits = !path.is_empty()
        && segments.into_iter().all(|part| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c))
        });
    if fits {
        Ok(path.to_owned())
    } else {
        Err(format!("{} is not a path like `/_steadfast`", shown(text)))
    }
}

/// RFC 6454 section 6.2: a scheme, a host, a port if it is not the scheme's own; as a browser writes it.
fn origin(text: &str) -> Result<String, String> {
    let wrong = || {
        format!(
            "{} is not an origin like `https://app.example` (no path, no wildcard)",
            shown(text)
        )
    };
    let lower = text.to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://").ok_or_else(wrong)?;
    let own = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return Err(wrong()),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let rest = rest.strip_suffix(own).unwrap_or(rest);
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (rest, None),
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if super::gateway::is_host(host) && port_fits {
        Ok(format!("{scheme}://{rest}"))
    } else {
        Err(wrong())
    }
}

/// A `prove` without a key, or with a readiness that nobody asks over the network.
pub(super) fn check_prove(keys: &mut Keys<'_, '_>, program: &crate::model::Program) {
    use crate::model::Ready;
    let section = keys.section.name.clone();
    let Some(prove) = &program.prove else {
        if let Some(user) = &program.prove_user {
            let message = format!("`prove_user` of [{section}] has no effect: `prove` is not set");
            keys.warn("conf.no-effect", message, user.span.clone());
        }
        return;
    };
    if program.secrets.is_empty() {
        let message = format!(
            "`prove` of [{section}] needs a key to sign a token with, and it names no `secrets`"
        );
        let finding = finding::Finding::error("conf.prove", message)
            .at(prove.span.clone())
            .fix("write: secrets = SECRET_KEY");
        keys.reader.findings.push(finding);
        keys.failed = true;
        return;
    }
    if program.tokens.signer(&program.secrets).is_none() {
        let words = format!("`prove` of [{section}] signs a token");
        let finding = which_signs(&words, &program.secrets, prove.span.clone());
        keys.reader.findings.push(finding);
        keys.failed = true;
    }
    let asked = program
        .ready
        .as_ref()
        .is_none_or(|ready| matches!(ready.value, Ready::Http { .. } | Ready::Tcp));
    if !asked {
        let message = format!(
            "`prove` of [{section}] asks the program over the network, and its `ready` does not"
        );
        let finding = finding::Finding::error("conf.prove", message)
            .at(prove.span.clone())
            .fix("write: ready = http:/a/path/of/its/health");
        keys.reader.findings.push(finding);
        keys.failed = true;
    }
}
