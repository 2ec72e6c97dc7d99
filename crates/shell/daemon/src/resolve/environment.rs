//! The environment of a process: what it inherits, Supervisor's variables, its own, its env file, its keys.

use std::collections::BTreeMap;
use std::path::Path;

use conf::ProcessDef;
use finding::Finding;
use secrets::{Request, SystemRandom};

use super::context::{Context, Resolved};

/// What an environment was made of.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// All of it.
    pub(super) all: BTreeMap<String, String>,
    /// Names whose values are never shown or compared in words.
    pub(super) secret: Vec<String>,
    /// Number of the key that signs its tokens; 0: none.
    pub(super) key: u32,
    /// Every value of that key.
    pub(super) ring: Vec<secrets::Kept>,
    /// Names that `env_file` sets and nothing else beats.
    pub(super) from_file: Vec<String>,
}

/// The environment of one process.
pub(super) fn environment(
    model: &conf::Model,
    program: &conf::Program,
    process: &ProcessDef,
    context: &Context<'_>,
    out: &mut Resolved,
) -> Result<Made, Box<Finding>> {
    let mut all = context.base_env.clone();
    all.insert("SUPERVISOR_ENABLED".into(), "1".into());
    let own_url = program.serverurl.as_ref().map(|url| url.value.clone());
    if let Some(url) = own_url.or_else(|| super::settings::server_url(model)) {
        all.insert("SUPERVISOR_SERVER_URL".into(), url);
    }
    all.insert("SUPERVISOR_PROCESS_NAME".into(), process.name.clone());
    all.insert("SUPERVISOR_GROUP_NAME".into(), program.group.clone());
    all.extend(process.environment.clone());
    if program.secrets.is_empty() && process.env_file.is_none() {
        return Ok(Made {
            all,
            ..Made::default()
        });
    }

    let names: Vec<String> = program
        .secrets
        .iter()
        .map(|name| name.value.clone())
        .collect();
    let env_file = process
        .env_file
        .as_ref()
        .map(|path| Path::new(path.value.as_str()));
    let state_dir = Path::new(&out.active.settings.state_dir).to_path_buf();
    let request = Request {
        program: &program.name,
        names: &names,
        environment: &all,
        env_file,
        state_dir: &state_dir,
        owner: program.user.as_ref().map(|user| (user.uid, user.gid)),
        now_unix_s: sys::clock::wall_ms() / 1000,
        life_s: super::tokens::life_s(&program.tokens),
        in_use: context.in_use,
    };
    let failed = |why: secrets::Error| {
        let span = process.env_file.as_ref().and_then(|path| path.span.clone());
        let span = span.or_else(|| program.secrets.first().and_then(|name| name.span.clone()));
        Box::new(Finding::error("secrets", format!("[program:{}] {why}", program.name)).at(span))
    };
    let resolved = match context.dry {
        // A key counts as a key also where it stands in the env file, as in a real run.
        true => secrets::inspect(&request),
        false if names.is_empty() => secrets::load_env_file(&request),
        false => secrets::resolve(&request, &mut SystemRandom),
    };
    let resolved = resolved.map_err(failed)?;
    let span = process.env_file.as_ref().and_then(|path| path.span.clone());
    for warning in &resolved.warnings {
        let text = format!("[program:{}] {warning}", program.name);
        let span = span.clone().or_else(|| of_key(program, warning));
        tell(out, Finding::warning("secrets", text).at(span));
    }
    if context.dry {
        for note in super::advice::notes(program, &request, &resolved.keys) {
            tell(out, note);
        }
    }
    for key in &resolved.keys {
        let what = if key.made {
            "made, kept in"
        } else {
            "found in"
        };
        out.keys
            .push(format!("{}  {what} {}", key.name, key.origin));
    }
    let mut secret: Vec<String> = resolved.keys.iter().map(|key| key.name.clone()).collect();
    let from_file: Vec<String> = resolved.env_file.keys().cloned().collect();
    secret.extend(from_file.iter().cloned());
    let added: Vec<(String, String)> = resolved
        .variables()
        .map(|(name, value)| (name.to_owned(), value.expose().to_owned()))
        .collect();
    let ring = match program.tokens.signer(&program.secrets) {
        Some(signer) => secrets::ring(&request, signer).map_err(failed)?,
        None => Vec::new(),
    };
    all.extend(added);
    let mut made = Made {
        all,
        secret,
        key: 0,
        ring,
        from_file,
    };
    if !made.ring.is_empty() {
        made.key = made
            .ring
            .iter()
            .find(|key| key.signs)
            .map_or(0, |key| key.id);
        if let Some(fallbacks) = &program.tokens.fallbacks {
            let value = older(&made.ring, fallbacks.json);
            made.secret.push(fallbacks.name.clone());
            made.all.insert(fallbacks.name.clone(), value);
        }
    }
    Ok(made)
}

/// Once, however many processes it has.
fn tell(out: &mut Resolved, finding: Finding) {
    if !out.findings.contains(&finding) {
        out.findings.push(finding);
    }
}

/// Where a program without an env file names the key that a warning is about.
fn of_key(program: &conf::Program, warning: &secrets::Warning) -> Option<finding::Span> {
    let of = warning.key()?;
    let name = program.secrets.iter().find(|name| name.value == of)?;
    name.span.clone()
}

/// Older values that still verify, the newest first, as the app reads them.
fn older(ring: &[secrets::Kept], json: bool) -> String {
    let values: Vec<&str> = ring
        .iter()
        .rev()
        .filter(|key| !key.signs && !key.compromised)
        .map(|key| key.secret.expose())
        .collect();
    if json {
        serde_json::json!(values).to_string()
    } else {
        values.join(",")
    }
}
