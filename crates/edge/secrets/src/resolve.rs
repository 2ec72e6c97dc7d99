//! Finds a program's keys, makes those that are missing, keeps those that lost.

use crate::envfile;
use crate::envtext::EnvText;
use crate::error::Error;
use crate::home;
use crate::in_use::{Ended, InUse};
use crate::keyring::{self, Clock, Keyring, Status, View, fingerprint};
use crate::lock::Lock;
use crate::model::{Found, Kept, Listed, Origin, Request, Resolved, Value, Warning};
use crate::secret::{self, Random, Secret};
use crate::strength::strength;
use std::path::Path;

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

/// Processes have stopped, or run with other values than before: retired values get their ends, and those that are over
/// are forgotten. `life_s` is for values that were retired without one. Returns those that have an end.
///
/// # Errors
/// If the keyring cannot be read or written, or somebody holds its lock.
pub fn settle(
    state_dir: &Path,
    in_use: &InUse,
    now_unix_s: u64,
    life_s: u64,
    random: &mut dyn Random,
) -> Result<Vec<Ended>, Error> {
    if !keyring::path(state_dir).exists() {
        return Ok(Vec::new());
    }
    let _lock = Lock::take(state_dir)?;
    let mut ring = Keyring::read(state_dir)?;
    let clock = Clock {
        now_s: now_unix_s,
        life_s,
    };
    let ended = ring.settle(Some(in_use), clock);
    ring.write(state_dir, random)?;
    Ok(ended)
}

/// Every value of a key that still counts for something, oldest first; the one that programs get now is among them, also
/// where nothing was kept yet. Writes nothing.
///
/// # Errors
/// If a file is there and cannot be read.
pub fn ring(request: &Request<'_>, name: &str) -> Result<Vec<Kept>, Error> {
    let ring = Keyring::read(request.state_dir)?;
    let found = look(request, name, &EnvText::read(request)?, &ring);
    let current = found.as_ref().map(|found| &found.secret);
    let view = request.view(name);
    let mut all: Vec<Kept> = ring
        .kept(&view)
        .filter(|key| {
            let in_use = request.in_use.is_some_and(|it| it.has(name, key.id));
            !keyring::is_over(key, request.now_unix_s) || current == Some(&key.value) || in_use
        })
        .map(|key| Kept {
            id: key.id,
            signs: current == Some(&key.value),
            until_unix_s: key.until_unix_s,
            compromised: key.status == Status::Compromised,
            secret: key.value.clone(),
        })
        .collect();
    if let Some(secret) = current.filter(|_| all.iter().all(|key| !key.signs)) {
        all.push(Kept {
            id: ring.next_id(name),
            signs: true,
            until_unix_s: 0,
            compromised: false,
            secret: secret.clone(),
        });
    }
    Ok(all)
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
                signing_row(request, &request.view(name), found.as_ref(), &ring),
            );
            let view = request.view(name);
            for old in ring.kept(&view).filter(|k| {
                found.as_ref().is_none_or(|f| f.secret != k.value)
                    && !keyring::is_over(k, request.now_unix_s)
            }) {
                add_row(
                    &mut rows,
                    request.program,
                    Listed {
                        name: name.clone(),
                        id: old.id,
                        // What signs elsewhere only verifies here.
                        status: match old.status {
                            Status::Compromised => Status::Compromised,
                            Status::Signs | Status::Verifies => Status::Verifies,
                        },
                        origin: Some(Origin::StateDir(keyring::path(request.state_dir))),
                        fingerprint: fingerprint(&old.value),
                        programs: Vec::new(),
                        home: home_of(request),
                        weak: match old.status {
                            Status::Compromised => Vec::new(),
                            Status::Signs | Status::Verifies => strength(old.value.expose()),
                        },
                        since_unix_s: Some(old.since_unix_s),
                        until_unix_s: Some(old.until_unix_s).filter(|until| *until != 0),
                        unused: false,
                    },
                );
            }
        }
    }
    Ok(rows)
}

/// Gives a key another value, where it lives; the value before verifies only, unless it was set so as well and no program
/// was given it. Programs get it at their next start.
///
/// # Errors
/// If the environment sets it, the value cannot be written, or a file cannot be.
pub fn set(
    request: &Request<'_>,
    name: &str,
    value: &Secret,
    random: &mut dyn Random,
) -> Result<Origin, Error> {
    // The program of an upstream was given it before, by whoever runs that.
    let unused = !request.program.starts_with("upstream:");
    give(request, name, value, unused, random)
}

/// Likewise, with a value that has signed tokens somewhere else.
///
/// # Errors
/// As [`set`].
pub fn import(
    request: &Request<'_>,
    name: &str,
    value: &Secret,
    random: &mut dyn Random,
) -> Result<Origin, Error> {
    give(request, name, value, false, random)
}

fn give(
    request: &Request<'_>,
    name: &str,
    value: &Secret,
    unused: bool,
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
    let (view, clock) = (request.view(name), request.clock());
    if let Some(old) = found.as_ref().filter(|f| f.secret != *value) {
        let lost = old.losers.iter().map(|(value, origin)| (value, origin));
        for (value, origin) in lost.chain([(&old.secret, &old.origin)]) {
            let scope = request.scope(origin);
            ring.keep(&view, value, &scope, &origin.to_string(), clock);
            ring.retire(&view, value, clock);
        }
    }
    let is_known = ring.find(&view, value).is_some() || found.is_some_and(|f| f.secret == *value);
    // The keyring is written before the file, and a value that is marked late would count as used after a crash: harmless.
    let origin = put(request, name, value, "set", (&mut ring, &mut file), random)?;
    if !is_known || !unused {
        ring.is_unused(&view, value, unused);
    }
    ring.write(request.state_dir, random)?;
    Ok(origin)
}

/// Puts a value where the key lives, as the one that signs. What was there before must be in the ring already: it is
/// written first.
pub(crate) fn put(
    request: &Request<'_>,
    name: &str,
    value: &Secret,
    from: &str,
    (ring, file): (&mut Keyring, &mut EnvText),
    random: &mut dyn Random,
) -> Result<Origin, Error> {
    let (view, clock) = (request.view(name), request.clock());
    let Some(path) = request.env_file else {
        ring.sign_with(&view, value, "", from, clock);
        return Ok(Origin::StateDir(keyring::path(request.state_dir)));
    };
    let quoted = envfile::quote(value.expose()).ok_or_else(|| Error::BadValue {
        name: name.to_owned(),
        why: "an env file cannot hold quotes, backslashes, ${ or control characters so that all readers agree".to_owned(),
    })?;
    ring.sign_with(&view, value, &request.file_scope(), from, clock);
    ring.write(request.state_dir, random)?;
    file.write(
        &envfile::replace(&file.text, name, &quoted),
        request,
        random,
    )?;
    Ok(Origin::EnvFile(path.to_owned()))
}

/// The order of precedence, in one place.
pub(crate) fn look(
    request: &Request<'_>,
    name: &str,
    file: &EnvText,
    ring: &Keyring,
) -> Option<Found> {
    let view = request.view(name);
    let in_environment = request
        .environment
        .get(name)
        .filter(|v| !v.trim().is_empty());
    let in_file = file.get(name, request.environment).zip(file.path.clone());
    // A value that once lost is still better than a new one, which nobody's token was signed with.
    let in_ring = ring.signing(&view).or_else(|| {
        let elsewhere = in_environment.is_some() || in_file.is_some();
        ring.kept(&view)
            .rfind(|key| key.status != Status::Compromised)
            .filter(|_| !elsewhere)
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
            file.write(&text, request, random)?;
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

/// Where a key of it is kept that is made.
fn home_of(request: &Request<'_>) -> Origin {
    let file = request
        .env_file
        .map(|path| Origin::EnvFile(path.to_owned()));
    file.unwrap_or_else(|| Origin::StateDir(keyring::path(request.state_dir)))
}

fn signing_row(
    request: &Request<'_>,
    view: &View<'_>,
    found: Option<&Found>,
    ring: &Keyring,
) -> Listed {
    let kept = found.and_then(|f| ring.find(view, &f.secret));
    Listed {
        name: view.name.to_owned(),
        id: kept.map_or(0, |k| k.id),
        status: Status::Signs,
        origin: found.map(|f| f.origin.clone()),
        fingerprint: found.map_or_else(String::new, |f| fingerprint(&f.secret)),
        programs: Vec::new(),
        home: home_of(request),
        weak: found.map_or_else(Vec::new, |f| strength(f.secret.expose())),
        since_unix_s: kept.map(|k| k.since_unix_s),
        until_unix_s: None,
        unused: kept.is_some_and(|k| k.unused),
    }
}

/// Programs that share a value share its row; one that is still to be made, in one home.
fn add_row(rows: &mut Vec<Listed>, program: &str, row: Listed) {
    let same = |r: &&mut Listed| {
        r.name == row.name
            && r.status == row.status
            && r.fingerprint == row.fingerprint
            && (r.origin.is_some() || r.home == row.home)
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
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
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
