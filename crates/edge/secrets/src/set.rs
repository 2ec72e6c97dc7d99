//! A value that somebody brings: set, imported, or retired elsewhere.

use crate::envfile;
use crate::envtext::EnvText;
use crate::error::Error;
use crate::keyring::{self, Key, Keyring, Status};
use crate::lock::Lock;
use crate::look::{check_name, look};
use crate::model::{Origin, Request};
use crate::secret::{Random, Secret};

/// Gives a key another value, where it lives; the value before verifies only, unless it was set so as well and no program
/// was given it. Programs get it at their next start.
///
/// # Errors
/// If the environment sets it, the value was given up as compromised, it cannot be written, or a file cannot be.
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

/// When a value ends that verifies and signs nothing any more, or not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Then, Unix seconds.
    Until(u64),
    /// It was retired, and something ran with it: so many seconds after the last process with it has stopped.
    After(u64),
    /// Nobody knows: it is to sign, or is found in another place as well.
    Open,
}

/// Takes in values that verify in another installation. Returns how many were not known here.
///
/// # Errors
/// If the keyring cannot be read or written.
pub fn admit(
    request: &Request<'_>,
    name: &str,
    values: &[(Secret, End)],
    random: &mut dyn Random,
) -> Result<usize, Error> {
    check_name(name)?;
    let _lock = Lock::take(request.state_dir)?;
    let mut ring = Keyring::read(request.state_dir)?;
    let view = request.view(name);
    let mut taken = 0;
    for (value, end) in values {
        let (until_unix_s, life_s) = match *end {
            End::Until(until_s) => (until_s, 0),
            // At least something, which tells it from a value that is kept without an end.
            End::After(life_s) => (0, life_s.max(1)),
            End::Open => (0, 0),
        };
        let over = matches!(end, End::Until(until_s) if *until_s <= request.now_unix_s);
        if over || value.expose().is_empty() || ring.find(&view, value).is_some() {
            continue;
        }
        ring.admit(Key {
            until_unix_s,
            life_s,
            ..verifies(request, name, value)
        });
        taken += 1;
    }
    ring.write(request.state_dir, random)?;
    Ok(taken)
}

/// Without an end.
pub(crate) fn verifies(request: &Request<'_>, name: &str, value: &Secret) -> Key {
    Key {
        name: name.to_owned(),
        id: 0,
        status: Status::Verifies,
        value: value.clone(),
        from: "imported".to_owned(),
        since_unix_s: request.now_unix_s,
        scope: request.file_scope(),
        until_unix_s: 0,
        life_s: 0,
        unused: false,
    }
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
    if ring
        .find(&view, value)
        .is_some_and(|key| key.status == Status::Compromised)
    {
        return Err(Error::GivenUp {
            name: name.to_owned(),
        });
    }
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

/// The value as an env file has it.
pub(crate) fn quoted(name: &str, value: &Secret) -> Result<String, Error> {
    envfile::quote(value.expose()).ok_or_else(|| Error::BadValue {
        name: name.to_owned(),
        why: "an env file cannot hold quotes, backslashes, ${ or control characters so that all readers agree".to_owned(),
    })
}

/// Puts a value where the key lives, as the one that signs. What was there before must be in the ring already: it is
/// written first, when nothing but the renaming of the file is left to be done, and put back if that fails.
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
    let text = envfile::replace(&file.text, name, &quoted(name, value)?);
    let prepared = file.prepare(text, request, random)?;
    let before = Keyring::read(request.state_dir)?;
    ring.sign_with(&view, value, &request.file_scope(), from, clock);
    ring.write(request.state_dir, random)?;
    if let Err(error) = file.commit(prepared) {
        return Err(match before.put_back(request.state_dir, random) {
            Ok(()) => error,
            Err(also) => error.and(&also),
        });
    }
    Ok(Origin::EnvFile(path.to_owned()))
}
