//! `steadfast secrets`: names, homes and strength of keys; a value only where it is asked for by name.

use crate::args::Secrets;
use crate::{check, printer};
use secrets::{Request, Secret, SystemRandom};
use std::io::Read;
use std::path::Path;

/// Bytes of a value read from standard input: a private key in PEM form fits many times.
const VALUE_BYTES_MAX: u64 = 64 * 1024;

/// Carries out `secrets list|show|set`. Returns the exit status.
pub(crate) fn run(action: Secrets, config: Option<&Path>, json: bool) -> u8 {
    match try_run(action, config, json) {
        Ok(status) => status,
        Err(text) => {
            printer::note(&format!("steadfast: {text}"));
            2
        }
    }
}

fn try_run(action: Secrets, config: Option<&Path>, json: bool) -> Result<u8, String> {
    let path = match config {
        Some(path) => path.to_owned(),
        None => match rundir::Installation::find(None) {
            rundir::Found::One(installation) if !installation.info.config.is_empty() => {
                installation.info.config.into()
            }
            _ => crate::run::found()?,
        },
    };
    let Some(text) = check::utf8(&path) else {
        return Ok(2);
    };
    let programs = daemon::keys(text, &check::environment())?;
    let now_unix_s = sys::clock::wall_ms() / 1000;
    let requests: Vec<Request<'_>> = programs
        .iter()
        .map(|keys| keys.request(now_unix_s))
        .collect();
    match action {
        Secrets::List => list(&requests, json),
        Secrets::Show { name } => {
            let request = named(&requests, &name)?;
            let value = secrets::show(request, &name).map_err(|error| error.to_string())?;
            printer::out(value.expose());
            Ok(0)
        }
        Secrets::Set { name } => set(named(&requests, &name)?, &name),
    }
}

fn named<'a, 'b>(requests: &'a [Request<'b>], name: &str) -> Result<&'a Request<'b>, String> {
    let found = requests
        .iter()
        .find(|request| request.names.iter().any(|known| known == name));
    found.ok_or_else(|| {
        format!("no program names {name}; write `secrets = {name}` into its section")
    })
}

fn list(requests: &[Request<'_>], json: bool) -> Result<u8, String> {
    let rows = secrets::list(requests).map_err(|error| error.to_string())?;
    if json {
        let rows: Vec<serde_json::Value> = rows
            .iter()
            .map(|row| {
                serde_json::json!({
                    "name": row.name, "id": row.id, "status": status(row.status),
                    "home": row.origin.as_ref().map(ToString::to_string), "fingerprint": row.fingerprint,
                    "programs": row.programs, "weak": row.weak.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "since_s": row.since_unix_s, "until_s": row.until_unix_s,
                })
            })
            .collect();
        printer::json("secrets", serde_json::json!({ "secrets": rows }));
        return Ok(0);
    }
    if rows.is_empty() {
        printer::out("no program names a key; write `secrets = SECRET_KEY` into its section");
    }
    for row in rows {
        let home = row
            .origin
            .as_ref()
            .map_or("made at the first start".to_owned(), |origin| {
                format!("in {origin}")
            });
        let mut line = format!("{}  {}  {home}", row.name, status(row.status));
        if !row.fingerprint.is_empty() {
            line.push_str(&format!("  fingerprint {}", row.fingerprint));
        }
        line.push_str(&format!("  for {}", row.programs.join(", ")));
        printer::out(&line);
        row.weak
            .iter()
            .for_each(|weak| printer::out(&format!("    weak: {weak}")));
    }
    Ok(0)
}

fn status(status: secrets::Status) -> &'static str {
    match status {
        secrets::Status::Signs => "signs",
        secrets::Status::Verifies => "verifies",
        secrets::Status::Compromised => "compromised",
    }
}

fn set(request: &Request<'_>, name: &str) -> Result<u8, String> {
    let mut value = String::new();
    let read = std::io::stdin()
        .lock()
        .take(VALUE_BYTES_MAX)
        .read_to_string(&mut value);
    read.map_err(|error| format!("standard input: {error}"))?;
    let value = Secret::new(value.trim_end_matches(['\n', '\r']));
    let weak = secrets::strength(value.expose());
    let origin = secrets::set(request, name, &value, &mut SystemRandom)
        .map_err(|error| error.to_string())?;
    printer::note(&format!(
        "{name} is kept in {origin}; programs get it with: steadfast update"
    ));
    weak.iter()
        .for_each(|weak| printer::note(&format!("    weak: {weak}")));
    Ok(0)
}
