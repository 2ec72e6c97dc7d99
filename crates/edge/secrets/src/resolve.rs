//! Finds a program's keys, makes those that are missing, keeps those that lost.

use crate::envfile;
use crate::envtext::EnvText;
use crate::error::Error;
use crate::home;
use crate::keyring::{self, Keyring, Lock, Status, fingerprint};
use crate::model::{Found, Listed, Origin, Request, Resolved, Value, Warning};
use crate::secret::{self, Random, Secret};
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
    for name in request.names {
        let key = match look(request, name, &file, &ring) {
            Some(found) => take(request, name, found, &mut ring, &mut resolved.warnings),
            None => make(request, name, &mut file, &mut ring, random)?,
        };
        weigh(&key, &mut resolved.warnings);
        resolved.keys.push(key);
    }
    ring.write(request.state_dir, random)?;
    file.report(&mut resolved.warnings);
    resolved.env_file = file.variables(request, request.names);
    for name in request.names {
        let signs = resolved
            .keys
            .iter()
            .find(|k| k.name == *name)
            .map(|k| k.secret.clone());
        let others = ring.kept(name).filter(|k| signs.as_ref() != Some(&k.value));
        resolved
            .verify_only
            .extend(others.map(|k| (name.clone(), k.value.clone())));
    }
    Ok(resolved)
}

/// The key that counts and those that lost, without making or keeping any.
///
/// # Errors
/// If a file is there and cannot be read.
pub fn find(request: &Request<'_>, name: &str) -> Result<Option<Found>, Error> {
    let ring = Keyring::read(request.state_dir)?;
    Ok(look(request, name, &EnvText::read(request)?, &ring))
}

/// The value of a key, on someone's explicit wish.
///
/// # Errors
/// If it is kept nowhere, or a file cannot be read.
pub fn show(request: &Request<'_>, name: &str) -> Result<Secret, Error> {
    find(request, name)?
        .map(|found| found.secret)
        .ok_or_else(|| Error::NoSuchKey {
            name: name.to_owned(),
        })
}

/// Every key that these programs name, and the values that verify only.
///
/// # Errors
/// If a file is there and cannot be read.
pub fn list(requests: &[Request<'_>]) -> Result<Vec<Listed>, Error> {
    let mut rows: Vec<Listed> = Vec::new();
    for request in requests {
        let ring = Keyring::read(request.state_dir)?;
        let file = EnvText::read(request)?;
        for name in request.names {
            let found = look(request, name, &file, &ring);
            add_row(
                &mut rows,
                request.program,
                signing_row(name, found.as_ref(), &ring),
            );
            for old in ring
                .kept(name)
                .filter(|k| found.as_ref().is_none_or(|f| f.secret != k.value))
            {
                add_row(
                    &mut rows,
                    request.program,
                    Listed {
                        name: name.clone(),
                        id: old.id,
                        status: Status::Verifies,
                        origin: Some(Origin::StateDir(keyring::path(request.state_dir))),
                        fingerprint: fingerprint(&old.value),
                        programs: Vec::new(),
                        weak: Vec::new(),
                        since_unix_s: Some(old.since_unix_s),
                    },
                );
            }
        }
    }
    Ok(rows)
}

/// Gives a key another value, where it lives; the value before verifies only. Programs get it at their next start.
///
/// # Errors
/// If the environment sets it, the value cannot be written, or a file cannot be.
pub fn set(
    request: &Request<'_>,
    name: &str,
    value: &Secret,
    random: &mut dyn Random,
) -> Result<Origin, Error> {
    check_name(name)?;
    if value.expose().trim().is_empty() {
        return Err(Error::BadValue {
            name: name.to_owned(),
            why: "it is empty".to_owned(),
        });
    }
    if request.environment.get(name).is_some_and(|v| !v.is_empty()) {
        return Err(Error::SetInEnvironment {
            name: name.to_owned(),
        });
    }
    let _lock = Lock::take(request.state_dir)?;
    let mut ring = Keyring::read(request.state_dir)?;
    let mut file = EnvText::read(request)?;
    let found = look(request, name, &file, &ring);
    if let Some(old) = found.as_ref().filter(|f| f.secret != *value) {
        ring.keep(
            name,
            &old.secret,
            &old.origin.to_string(),
            request.now_unix_s,
        );
        for (loser, origin) in &old.losers {
            ring.keep(name, loser, &origin.to_string(), request.now_unix_s);
        }
    }
    let origin = match request.env_file {
        Some(path) => {
            let quoted = envfile::quote(value.expose()).ok_or_else(|| Error::BadValue {
                name: name.to_owned(),
                why: "an env file cannot hold quotes, backslashes, ${ or control characters so that all readers agree".to_owned(),
            })?;
            // The old value is safe in the keyring before it leaves the file.
            ring.demote(name, Some(value));
            ring.write(request.state_dir, random)?;
            file.write(
                &envfile::replace(&file.text, name, &quoted),
                request,
                random,
            )?;
            Origin::EnvFile(path.to_owned())
        }
        None => {
            ring.sign_with(name, value, "set", request.now_unix_s);
            Origin::StateDir(keyring::path(request.state_dir))
        }
    };
    ring.write(request.state_dir, random)?;
    Ok(origin)
}

/// The order of precedence, in one place.
fn look(request: &Request<'_>, name: &str, file: &EnvText, ring: &Keyring) -> Option<Found> {
    let in_environment = request
        .environment
        .get(name)
        .filter(|v| !v.trim().is_empty());
    let in_file = file.get(name, request.environment).zip(file.path.clone());
    // A value that once lost is still better than a new one, which nobody's token was signed with.
    let in_ring = ring.signing(name).or_else(|| {
        let elsewhere = in_environment.is_some() || in_file.is_some();
        ring.kept(name).next_back().filter(|_| !elsewhere)
    });
    let mut all = Vec::new();
    all.extend(in_environment.map(|v| (Secret::new(v), Origin::Environment)));
    all.extend(in_file.map(|(v, path)| (Secret::new(v), Origin::EnvFile(path))));
    all.extend(in_ring.map(|k| {
        (
            k.value.clone(),
            Origin::StateDir(keyring::path(request.state_dir)),
        )
    }));
    let mut all = all.into_iter();
    let (secret, origin) = all.next()?;
    let losers = all.filter(|(value, _)| *value != secret).collect();
    Some(Found {
        secret,
        origin,
        losers,
    })
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
    for (value, loses) in losers {
        ring.keep(name, &value, &loses.to_string(), request.now_unix_s);
        warnings.push(Warning::Disagree {
            name: name.to_owned(),
            wins: origin.clone(),
            loses,
        });
    }
    match &origin {
        // The file is the key's home from now on.
        Origin::EnvFile(_) => {
            ring.demote(name, Some(&secret));
        }
        Origin::StateDir(_) if ring.signing(name).is_none() => {
            ring.sign_with(name, &secret, "kept", request.now_unix_s);
        }
        // A variable may be gone tomorrow: the kept key stays what it is.
        Origin::StateDir(_) | Origin::Environment => {}
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
    let origin = match file.path.clone() {
        Some(path) => {
            // An empty `NAME=` is filled in; a second line for it would be read by some and not by others.
            let text = envfile::replace(&file.text, name, secret.expose());
            file.write(&text, request, random)?;
            Origin::EnvFile(path)
        }
        None => {
            ring.sign_with(name, &secret, "made", request.now_unix_s);
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

fn signing_row(name: &str, found: Option<&Found>, ring: &Keyring) -> Listed {
    let kept = found.and_then(|f| {
        ring.keys
            .iter()
            .find(|k| k.name == name && k.value == f.secret)
    });
    Listed {
        name: name.to_owned(),
        id: kept.map_or(0, |k| k.id),
        status: Status::Signs,
        origin: found.map(|f| f.origin.clone()),
        fingerprint: found.map_or_else(String::new, |f| fingerprint(&f.secret)),
        programs: Vec::new(),
        weak: strength(found.map_or("", |f| f.secret.expose())),
        since_unix_s: kept.map(|k| k.since_unix_s),
    }
}

/// Programs that share a value share its row.
fn add_row(rows: &mut Vec<Listed>, program: &str, row: Listed) {
    let same = |r: &&mut Listed| {
        r.name == row.name && r.status == row.status && r.fingerprint == row.fingerprint
    };
    match rows.iter_mut().find(same) {
        Some(there) => there.programs.push(program.to_owned()),
        None => rows.push(Listed {
            programs: vec![program.to_owned()],
            ..row
        }),
    }
}

/// A name that every shell and every env file takes.
fn check_name(name: &str) -> Result<(), Error> {
    let mut chars = name.chars();
    let head = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if head && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(Error::BadName {
        name: name.chars().take(NAME_SHOWN_CHARS_MAX).collect(),
    })
}

/// A hostile name is shown only this far.
const NAME_SHOWN_CHARS_MAX: usize = 64;
