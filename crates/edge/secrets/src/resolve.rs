//! Finds a program's keys, makes those that are missing, keeps those that lost.

use crate::envfile;
use crate::envtext::EnvText;
use crate::error::Error;
use crate::home;
use crate::keyring::{self, Keyring, Status};
use crate::lock::Lock;
use crate::look::{check_name, find, look};
use crate::model::{Found, Origin, Request, Resolved, Value, Warning};
use crate::secret::{self, Random};
use crate::strength::strength;

/// Reads a program's env file, for programs without keys too. Writes nothing; that the file is missing is a warning
/// only where no key would be put into it.
///
/// # Errors
/// If the file is there and cannot be read.
pub fn load_env_file(request: &Request<'_>) -> Result<Resolved, Error> {
    let mut resolved = Resolved::default();
    let file = EnvText::read(request)?;
    file.report(&mut resolved.warnings);
    if !request.names.is_empty() {
        // It will be made together with the first key.
        resolved
            .warnings
            .retain(|w| !matches!(w, Warning::NoEnvFile(_)));
    }
    resolved.env_file = file.variables(request, &[]);
    Ok(resolved)
}

/// Finds or makes every key of a program, under the lock of the state directory.
///
/// # Errors
/// If a file cannot be read or written, or a name is none. What was there before stays as it was.
pub fn resolve(request: &Request<'_>, random: &mut dyn Random) -> Result<Resolved, Error> {
    if request.names.is_empty() {
        return load_env_file(request);
    }
    request.names.iter().try_for_each(|name| check_name(name))?;
    let _lock = Lock::take(request.state_dir)?;
    let mut ring = Keyring::read(request.state_dir)?;
    let mut file = EnvText::read(request)?;
    let mut resolved = Resolved::default();
    ring.settle(request.in_use, request.clock());
    for name in request.names {
        let key = match look(request, name, &file, &ring) {
            Some(found) => take(request, name, found, &mut ring, &mut resolved.warnings),
            None => make(request, name, &mut file, &mut ring, random)?,
        };
        ring.is_unused(&request.view(name), &key.secret, false);
        weigh(&key, &mut resolved.warnings);
        resolved.keys.push(key);
    }
    ring.settle(request.in_use, request.clock());
    ring.write(request.state_dir, random)?;
    file.report(&mut resolved.warnings);
    resolved.env_file = file.variables(request, request.names);
    for name in request.names {
        let signs = resolved
            .keys
            .iter()
            .find(|k| k.name == *name)
            .map(|k| k.secret.clone());
        let view = request.view(name);
        let others = ring
            .kept(&view)
            .filter(|k| signs.as_ref() != Some(&k.value) && k.status != Status::Compromised);
        resolved
            .verify_only
            .extend(others.map(|k| (name.clone(), k.value.clone())));
    }
    Ok(resolved)
}

/// What [`resolve`] would find and say. Writes nothing; a key that is missing is not among the keys.
///
/// # Errors
/// If a file is there and cannot be read.
pub fn inspect(request: &Request<'_>) -> Result<Resolved, Error> {
    let mut resolved = load_env_file(request)?;
    resolved
        .env_file
        .retain(|name, _| !request.names.contains(name));
    for name in request.names {
        let Some(found) = find(request, name)? else {
            EnvText::read(request)?.may_be_made()?;
            continue;
        };
        let losers = found.losers.iter().map(|(_, loses)| Warning::Disagree {
            name: name.clone(),
            wins: found.origin.clone(),
            loses: loses.clone(),
        });
        resolved.warnings.extend(losers);
        let key = Value {
            name: name.clone(),
            secret: found.secret,
            origin: found.origin,
            made: false,
        };
        weigh(&key, &mut resolved.warnings);
        resolved.keys.push(key);
    }
    Ok(resolved)
}

/// Takes an existing key; losers are kept for verification and reported.
fn take(
    request: &Request<'_>,
    name: &str,
    found: Found,
    ring: &mut Keyring,
    warnings: &mut Vec<Warning>,
) -> Value {
    let Found {
        secret,
        origin,
        losers,
    } = found;
    let (view, clock) = (request.view(name), request.clock());
    if ring
        .find(&view, &secret)
        .is_some_and(|key| key.status == Status::Compromised)
    {
        warnings.push(Warning::Compromised {
            name: name.to_owned(),
            origin: origin.clone(),
        });
    }
    for (value, loses) in losers {
        let scope = request.scope(&loses);
        ring.keep(&view, &value, &scope, &loses.to_string(), clock);
        warnings.push(Warning::Disagree {
            name: name.to_owned(),
            wins: origin.clone(),
            loses,
        });
    }
    let scope = request.scope(&origin);
    match &origin {
        // The file is the key's home from now on.
        Origin::EnvFile(path) => {
            ring.sign_with(&view, &secret, &scope, &path.display().to_string(), clock);
        }
        Origin::StateDir(_) if ring.signing(&view).is_none() => {
            ring.sign_with(&view, &secret, &scope, "kept", clock);
        }
        Origin::StateDir(_) => {}
        // A variable may be gone tomorrow: the kept key stays what it is; this one gets its number.
        Origin::Environment => {
            ring.keep(&view, &secret, &scope, "the environment", clock);
        }
    }
    Value {
        name: name.to_owned(),
        secret,
        origin,
        made: false,
    }
}

fn make(
    request: &Request<'_>,
    name: &str,
    file: &mut EnvText,
    ring: &mut Keyring,
    random: &mut dyn Random,
) -> Result<Value, Error> {
    let secret = secret::make(random)?;
    let (view, clock) = (request.view(name), request.clock());
    let origin = match file.path.clone() {
        Some(path) => {
            // An empty `NAME=` is filled in; a second line for it would be read by some and not by others.
            let text = envfile::replace(&file.text, name, secret.expose());
            let prepared = file.prepare(text, request, random)?;
            file.commit(prepared)?;
            ring.sign_with(&view, &secret, &request.file_scope(), "made", clock);
            Origin::EnvFile(path)
        }
        None => {
            ring.sign_with(&view, &secret, "", "made", clock);
            Origin::StateDir(keyring::path(request.state_dir))
        }
    };
    Ok(Value {
        name: name.to_owned(),
        secret,
        origin,
        made: true,
    })
}

fn weigh(key: &Value, warnings: &mut Vec<Warning>) {
    warnings.extend(
        strength(key.secret.expose())
            .into_iter()
            .map(|why| Warning::Weak {
                name: key.name.clone(),
                why,
            }),
    );
    if let Origin::EnvFile(path) | Origin::StateDir(path) = &key.origin
        && let Some(how) = home::volatile(path)
    {
        warnings.push(Warning::Volatile {
            name: key.name.clone(),
            path: path.clone(),
            how,
        });
    }
}
