//! Which value of a key counts: the order of precedence, and what is read by it without making or keeping any.

use crate::envtext::EnvText;
use crate::error::Error;
use crate::keyring::{self, Keyring, Status};
use crate::model::{Found, Kept, Origin, Request};
use crate::secret::Secret;

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
            .rfind(|key| key.status != Status::Compromised && key.from != keyring::ANNOUNCED)
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
            life_s: key.life_s,
            compromised: key.status == Status::Compromised,
            secret: key.value.clone(),
        })
        .collect();
    if let Some(secret) = current.filter(|_| all.iter().all(|key| !key.signs)) {
        all.push(Kept {
            id: ring.next_id(name),
            signs: true,
            until_unix_s: 0,
            life_s: 0,
            compromised: false,
            secret: secret.clone(),
        });
    }
    Ok(all)
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
