//! `steadfast secrets`: names, homes and strength of keys; a value only where it is asked for by name.

use crate::args::Secrets;
use crate::{check, printer};

#[path = "secrets_carry.rs"]
mod carry;

use secrets::{Request, Secret, SystemRandom};
use std::io::Read;
use std::path::Path;

/// Bytes of a value read from standard input: an export of many keys fits.
const VALUE_BYTES_MAX: u64 = 1024 * 1024;

/// Carries out `secrets …`. Returns the exit status.
pub(crate) fn run(action: Secrets, config: Option<&Path>, json: bool) -> u8 {
    match try_run(action, config, json) {
        Ok(status) => status,
        Err(text) => {
            printer::error(&text);
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
    if let Secrets::Rotate { name, compromised } = &action {
        return rotate(name, *compromised, (&path, text), json);
    }
    let programs = daemon::keys(text, &check::environment())?;
    let now_unix_s = sys::clock::wall_ms() / 1000;
    let requests: Vec<Request<'_>> = programs
        .iter()
        .map(|keys| keys.request(now_unix_s, None))
        .collect();
    match action {
        Secrets::List => list(&requests, json),
        Secrets::Show { name, program } => {
            let request = named(&requests, &name, program.as_deref())?;
            let value = secrets::show(request, &name).map_err(|error| error.to_string())?;
            printer::out(value.expose());
            Ok(0)
        }
        Secrets::Set {
            name,
            program,
            weak,
        } => set(named(&requests, &name, program.as_deref())?, &name, weak),
        Secrets::Rotate { .. } => unreachable!("done before"),
        Secrets::Import {
            name,
            program,
            weak,
            stdin,
            verify_only,
        } => {
            let one = name.as_deref().map(|name| carry::One {
                name,
                program: program.as_deref(),
                verify_only,
            });
            carry::import(&requests, one, stdin, weak)
        }
        Secrets::Export { names, stdout } => carry::export(&requests, &names, stdout),
    }
}

/// By the daemon, if there is one: it restarts the programs. Else on disk, for their next start.
fn rotate(
    name: &str,
    compromised: bool,
    (path, text): (&Path, &str),
    json: bool,
) -> Result<u8, String> {
    let running = match rundir::Installation::find(Some(path)) {
        rundir::Found::One(installation) => rundir::Lock::holder(&installation.run).is_some(),
        _ => false,
    };
    if running {
        let command = control::Command::RotateKey {
            name: name.to_owned(),
            compromised,
        };
        return Ok(crate::commands::rotate(Some(path), json, command));
    }
    let how = if compromised {
        secrets::How::Compromised
    } else {
        secrets::How::Overlap
    };
    match daemon::rotate_at_rest(text, &check::environment(), name, how) {
        Ok(lines) => {
            if json {
                let fields = serde_json::json!({ "name": name, "lines": lines, "exit": 0 });
                printer::json("rotated", fields);
            } else {
                lines.iter().for_each(|line| printer::out(line));
            }
            Ok(0)
        }
        Err(why) => {
            printer::error(&why);
            Ok(1)
        }
    }
}

/// The program whose key is meant: any of those that share it, since they share its home.
pub(crate) fn named<'a, 'b>(
    requests: &'a [Request<'b>],
    name: &str,
    program: Option<&str>,
) -> Result<&'a Request<'b>, String> {
    let all = requests
        .iter()
        .filter(|request| request.names.iter().any(|known| known == name));
    let all: Vec<&Request<'_>> = all.collect();
    let Some(first) = all.first() else {
        return Err(format!(
            "no program names {name}; write `secrets = {name}` into its section"
        ));
    };
    if let Some(program) = program {
        let of = |wanted: &str| {
            all.iter()
                .find(|request| request.program == wanted)
                .copied()
        };
        return of(program)
            .or_else(|| of(&format!("upstream:{program}")))
            .ok_or_else(|| {
                let names: Vec<&str> = all.iter().map(|request| request.program).collect();
                format!(
                    "{program} does not name {name}; those that do: {}",
                    names.join(", ")
                )
            });
    }
    let mut homes: Vec<(String, Vec<&str>)> = Vec::new();
    for request in &all {
        let home = home(request, name)?;
        match homes.iter_mut().find(|(known, _)| *known == home) {
            Some((_, programs)) => programs.push(request.program),
            None => homes.push((home, vec![request.program])),
        }
    }
    if homes.len() < 2 {
        return Ok(first);
    }
    let lines = homes.iter().filter_map(|(home, programs)| {
        Some(format!(
            "  --program {}  in {home}, for {}",
            programs.first()?,
            programs.join(", ")
        ))
    });
    let lines: Vec<String> = lines.collect();
    Err(format!(
        "there are {} keys named {name}; say which one:\n{}",
        homes.len(),
        lines.join("\n")
    ))
}

/// Where a key of this name lives, or will, in words that differ where the homes do.
fn home(request: &Request<'_>, name: &str) -> Result<String, String> {
    let found = secrets::find(request, name).map_err(|why| why.to_string())?;
    Ok(match (found.map(|found| found.origin), request.env_file) {
        (Some(secrets::Origin::Environment), _) => {
            format!("the environment of {}", request.program)
        }
        (_, Some(path)) => {
            let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            real.display().to_string()
        }
        (Some(origin), None) => origin.to_string(),
        (None, None) => request.state_dir.join("keyring.json").display().to_string(),
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
    let state = |row: &secrets::Listed| match row.id {
        0 if row.origin.is_none() => "no key yet".to_owned(),
        0 => status(row.status).to_owned(),
        // What only verifies lies in the keyring; this one was put back.
        id if row.status == secrets::Status::Compromised && !of_keyring(row) => {
            format!("key {id}  compromised, and signs")
        }
        id if row.unused => format!("key {id}  signs after the next update"),
        id => format!("key {id}  {}", status(row.status)),
    };
    let until = |row: &secrets::Listed| {
        row.until_unix_s.map_or(String::new(), |until| {
            let date = ledger::Zone::UTC.date(until.saturating_mul(1000));
            format!(" until {date}")
        })
    };
    let (mut name_columns, mut state_columns) = (0, 0);
    for row in &rows {
        name_columns = name_columns.max(row.name.len());
        state_columns = state_columns.max(state(row).len() + until(row).len());
    }
    for row in rows {
        let home = row
            .origin
            .as_ref()
            .map_or_else(|| to_come(&row), |origin| format!("in {origin}"));
        let what = state(&row) + &until(&row);
        let mut line = format!("{:name_columns$}  {what:state_columns$}  {home}", row.name);
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

fn of_keyring(row: &secrets::Listed) -> bool {
    matches!(row.origin, Some(secrets::Origin::StateDir(_)) | None)
}

/// What becomes of a key that is in no place. Only the program of an upstream knows what its own is.
fn to_come(row: &secrets::Listed) -> String {
    let upstream = |program: &String| program.starts_with("upstream:");
    match row.programs.iter().all(upstream) {
        true => format!("is not in {}", row.home),
        false => format!("made at the first start, in {}", row.home),
    }
}

fn status(status: secrets::Status) -> &'static str {
    match status {
        secrets::Status::Signs => "signs",
        secrets::Status::Verifies => "verifies",
        secrets::Status::Compromised => "compromised",
    }
}

fn set(request: &Request<'_>, name: &str, weak: bool) -> Result<u8, String> {
    // A key that is typed is on the screen of nobody.
    let what = format!("the value of {name}");
    let typed = match rustix::termios::isatty(std::io::stdin()) {
        true => crate::accounts_command::hidden(&format!("value of {name}: "), &what)?,
        false => input(&what)?,
    };
    let value = typed.trim_end_matches(['\n', '\r']);
    if value.is_empty() {
        return Err(format!("no value came; {name} was not changed"));
    }
    let value = Secret::new(value);
    refuse_weak(name, &value, weak)?;
    if is_so(request, name, &value)? {
        return Ok(0);
    }
    let kept = secrets::set(request, name, &value, &mut SystemRandom);
    kept_in(name, &kept.map_err(|error| error.to_string())?, &value);
    Ok(0)
}

/// A value that can be guessed lets anybody sign in as everybody, for as long as it verifies.
fn refuse_weak(name: &str, value: &Secret, weak: bool) -> Result<(), String> {
    let wrong = secrets::strength(value.expose());
    match wrong.first() {
        Some(first) if !weak => Err(format!(
            "{name} was not changed: {first}. A strong one: openssl rand -hex 32. To take this one all the same: --weak"
        )),
        Some(_) | None => Ok(()),
    }
}

/// Whether a key has this value already; then that is said, and nothing is to be done.
fn is_so(request: &Request<'_>, name: &str, value: &Secret) -> Result<bool, String> {
    let found = secrets::find(request, name).map_err(|error| error.to_string())?;
    let Some(found) = found.filter(|found| found.secret == *value) else {
        return Ok(false);
    };
    // One that stands in the environment is kept nowhere, and one that is kept elsewhere has to come here.
    let here = match (&found.origin, request.env_file) {
        (secrets::Origin::EnvFile(_), _) | (secrets::Origin::StateDir(_), None) => true,
        (secrets::Origin::StateDir(_), Some(_)) | (secrets::Origin::Environment, _) => false,
    };
    if here {
        printer::note(&format!(
            "{name} in {} has this value already",
            found.origin
        ));
    }
    Ok(here)
}

/// Says where a value is kept, and what is wrong with it.
fn kept_in(name: &str, origin: &secrets::Origin, value: &Secret) {
    printer::note(&format!(
        "{name} is kept in {origin}; programs get it with: steadfast update"
    ));
    secrets::strength(value.expose())
        .iter()
        .for_each(|weak| printer::warning(&format!("{name}: weak: {weak}")));
}

/// Standard input, whole. `what` it is, for an error.
pub(crate) fn input(what: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = std::io::stdin()
        .lock()
        .take(VALUE_BYTES_MAX)
        .read_to_end(&mut bytes);
    read.map_err(|error| format!("standard input: {error}"))?;
    crate::accounts_command::text(bytes, what).map_err(|why| {
        format!("{why}\n  an environment holds text: write the bytes of a key as base64 or hex")
    })
}
