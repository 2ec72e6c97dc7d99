//! What a gateway needs of keys: the ring of each program or upstream that names one, and where sessions are kept.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use conf::{Spanned, Tokens};
use finding::Finding;
use routes::{Jwt, JwtKey, Sessions};
use secrets::{Kept, Request, SystemRandom};
use session::claims::{Shape, Unfit};

use super::context::{Context, Resolved};

/// Directory of what gateways keep about sessions, in `state_dir`.
const SESSIONS_DIR: &str = "sessions";

/// How long a retired key of these tokens verifies.
pub(crate) fn life_s(tokens: &Tokens) -> u64 {
    tokens
        .lifetime
        .as_ref()
        .map_or(conf::TOKEN_LIFETIME, |life| life.value)
        .as_secs()
}

/// The tokens of a program or an upstream; None where no key of it signs.
pub(super) fn jwt(
    section: &str,
    tokens: &Tokens,
    ring: &[Kept],
    reads_all: bool,
    findings: &mut Vec<Finding>,
) -> Option<Jwt> {
    if ring.is_empty() {
        return None;
    }
    let defaults = Jwt::default();
    let text = |value: &Option<Spanned<String>>| value.as_ref().map(|value| value.value.clone());
    Some(Jwt {
        alg: text(&tokens.alg).unwrap_or(defaults.alg),
        keys: ring.iter().map(key).collect(),
        reads_all,
        cookie: text(&tokens.cookie),
        claims: claims(section, tokens, findings),
        life_s: life_s(tokens),
    })
}

fn key(kept: &Kept) -> JwtKey {
    JwtKey {
        id: kept.id,
        signs: kept.signs,
        until_s: kept.until_unix_s,
        compromised: kept.compromised,
        secret: kept.secret.expose().to_owned(),
    }
}

/// `claims`, checked; a wrong one is said and left out.
fn claims(section: &str, tokens: &Tokens, findings: &mut Vec<Finding>) -> String {
    let Some(claims) = &tokens.claims else {
        return String::new();
    };
    let why = match Shape::parse(&claims.value) {
        Ok(_) => return claims.value.clone(),
        Err(Unfit::Word(word)) => format!(
            "`{}` is none of plain, simplejwt, flask-jwt-extended, name:user, name:session, name=\"text\"",
            finding::escape(&word)
        ),
        Err(Unfit::Reserved(name)) => format!("the claim {name} is not free to choose"),
        Err(Unfit::TooMany(name)) => {
            format!(
                "{} comes twice, or there are too many",
                finding::escape(&name)
            )
        }
    };
    let finding = Finding::error("claims", format!("`claims` of [{section}]: {why}"))
        .at(claims.span.clone())
        .effect("the usual claims are used");
    if !findings.contains(&finding) {
        findings.push(finding);
    }
    String::new()
}

/// The tokens of an upstream. Its key is found like a program's, and never made: its program has one already, and would
/// refuse whatever another one signs.
///
/// # Errors
/// If a key of it is in no place; then it has no place behind a gateway.
pub(super) fn upstream(
    upstream: &conf::Upstream,
    context: &Context<'_>,
    out: &mut Resolved,
) -> Result<Option<Jwt>, Box<Finding>> {
    let Some(signer) = upstream.tokens.signer(&upstream.secrets) else {
        return Ok(None);
    };
    let signer = signer.to_owned();
    let section = format!("upstream:{}", upstream.name);
    let names: Vec<String> = upstream
        .secrets
        .iter()
        .map(|name| name.value.clone())
        .collect();
    let environment = secrets::Env::new();
    let state_dir = out.active.settings.state_dir.clone();
    let request = Request {
        program: &section,
        names: &names,
        environment: &environment,
        env_file: upstream
            .env_file
            .as_ref()
            .map(|path| Path::new(&path.value)),
        state_dir: Path::new(&state_dir),
        owner: None,
        now_unix_s: sys::clock::wall_ms() / 1000,
        life_s: life_s(&upstream.tokens),
        in_use: context.in_use,
    };
    for name in &upstream.secrets {
        if let Ok(None) = secrets::find(&request, &name.value) {
            let mut finding = without_key(upstream, name, &request);
            if context.dry {
                // Asked on another machine, or by another user, it may be there where it runs.
                finding.severity = finding::Severity::Warning;
            }
            return Err(Box::new(finding));
        }
    }
    let resolved = if context.dry {
        secrets::inspect(&request)
    } else {
        secrets::resolve(&request, &mut SystemRandom)
    };
    let ring = resolved.and_then(|resolved| {
        for warning in &resolved.warnings {
            let span = upstream
                .env_file
                .as_ref()
                .and_then(|path| path.span.clone());
            let text = format!("[{section}] {warning}");
            out.findings
                .push(Finding::warning("secrets", text).at(span));
        }
        secrets::ring(&request, &signer)
    });
    match ring {
        Ok(ring) => {
            let reads_all = upstream.tokens.fallbacks.is_some();
            Ok(jwt(
                &section,
                &upstream.tokens,
                &ring,
                reads_all,
                &mut out.findings,
            ))
        }
        Err(why) => {
            let span = upstream.secrets.first().and_then(|name| name.span.clone());
            let finding = Finding::error("secrets", format!("[{section}] {why}")).at(span);
            Err(Box::new(finding))
        }
    }
}

fn without_key(
    upstream: &conf::Upstream,
    name: &Spanned<String>,
    request: &Request<'_>,
) -> Finding {
    let place = request.env_file.map_or_else(
        || "and it names no env_file".to_owned(),
        |path| match path.exists() {
            true => format!("and {} does not set it", path.display()),
            false => format!("and {} does not exist", path.display()),
        },
    );
    let message = format!(
        "[upstream:{}] nobody here knows its {}, {place}",
        upstream.name, name.value
    );
    Finding::error("secrets", message)
        .at(name.span.clone())
        .effect("its program would refuse every token that another key signs, so the upstream is left out")
        .hint(format!(
            "name the file that its program reads (env_file = /path/.env), or give the value: steadfast secrets set {} --program upstream:{}",
            name.value, upstream.name
        ))
}

/// Where sessions are kept; None where nothing asks for them. The database's directory belongs to the gateway's user.
pub(super) fn sessions(
    model: &conf::Model,
    owner: Option<(u32, u32)>,
    dry: bool,
    out: &mut Resolved,
) -> Option<Sessions> {
    if !keeps_sessions(model) {
        return None;
    }
    let kept = settings(model, Path::new(&out.active.settings.state_dir));
    let dir = Path::new(&kept.state_dir);
    if !dry && let Err(why) = make(dir, owner) {
        let text = format!("sessions cannot be kept in {}: {why}", dir.display());
        let span = model.sessions.as_ref().map(|own| own.header.clone());
        out.findings.push(Finding::error("sessions", text).at(span));
    }
    Some(kept)
}

/// Whether anything asks for sessions.
pub(crate) fn keeps_sessions(model: &conf::Model) -> bool {
    let asked = model.gateways.iter().any(|gateway| {
        let signs = gateway.login.is_some() || gateway.logout.is_some();
        *gateway.auth != conf::Auth::Off || gateway.forward_auth.is_some() || signs
    });
    model.sessions.is_some() || asked
}

/// What the configuration says about sessions, the rest by default.
pub(crate) fn settings(model: &conf::Model, state_dir: &Path) -> Sessions {
    let defaults = Sessions::default();
    let ms = |time: &Option<Spanned<std::time::Duration>>, default: u64| {
        time.as_ref().map_or(default, |time| {
            u64::try_from(time.value.as_millis()).unwrap_or(u64::MAX)
        })
    };
    let own = model.sessions.as_ref();
    let store = own.map_or("sqlite", |own| own.store.value.as_str());
    let dir = state_dir.join(SESSIONS_DIR);
    let store = if store == "sqlite" {
        format!("sqlite:{}", dir.display())
    } else {
        store.to_owned()
    };
    Sessions {
        store,
        state_dir: dir.display().to_string(),
        prefix: own
            .and_then(|own| own.prefix.as_ref())
            .map_or(defaults.prefix, |prefix| prefix.value.clone()),
        origins: own.map_or_else(Vec::new, |own| {
            own.origins.iter().map(|it| it.value.clone()).collect()
        }),
        idle_ms: own.map_or(defaults.idle_ms, |own| {
            ms(&own.idle_timeout, defaults.idle_ms)
        }),
        absolute_ms: own.map_or(defaults.absolute_ms, |own| {
            ms(&own.absolute_timeout, defaults.absolute_ms)
        }),
    }
}

/// Makes the directory, for the gateway's user alone; who is not us must be able to pass through those above.
fn make(dir: &Path, owner: Option<(u32, u32)>) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    let own = sys::users::own_uid();
    let Some((uid, gid)) = owner.filter(|(uid, _)| *uid != own) else {
        return Ok(());
    };
    std::os::unix::fs::chown(dir, Some(uid), Some(gid))?;
    // Files that were made while the gateway ran as somebody else.
    for entry in std::fs::read_dir(dir)?.flatten() {
        // Not what only has another name here.
        sys::files::hand_over(&entry.path(), uid, gid)?;
    }
    // Passing through is not reading: what lies in them has modes of its own (0600).
    for above in dir.ancestors().skip(1).take(2) {
        let meta = std::fs::metadata(above)?;
        if meta.uid() == own && meta.mode() & 0o001 == 0 {
            let mode = std::fs::Permissions::from_mode(meta.mode() & 0o7777 | 0o011);
            std::fs::set_permissions(above, mode)?;
        }
    }
    Ok(())
}
