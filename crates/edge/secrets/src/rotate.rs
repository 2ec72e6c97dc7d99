//! A new key for one that exists, so that nobody is signed out, or so that a thief is.
//!
//! ```text
//!  keyring: the old value verifies until its last token has expired, the new one signs    (written and synced first)
//!  env file: the new value in the place of the old one                                    (renamed over it)
//! ```
//! A crash between the two leaves the old value in its file; there it counts, and the new one verifies only, as after any
//! other disagreement. If the old one is compromised, [`finish`] puts the new one there. Programs get the new value at their next start, which is the caller's business.

use crate::envtext::EnvText;
use crate::error::Error;
use crate::in_use::{Ended, InUse};
use crate::keyring::{self, Clock, Keyring, Status};
use crate::lock::Lock;
use crate::look::{check_name, look};
use crate::model::{Origin, Request};
use crate::secret::{self, Random, Secret};
use crate::set::put;
use std::collections::BTreeMap;
use std::path::Path;

/// Values of one name that verify beside the one that signs. A gateway tries each of them on a token that the signing
/// one does not prove; dropping one would sign out whom it signed.
pub const VERIFY_MAX: usize = 8;

/// What becomes of the old value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It verifies until its last token has expired.
    Overlap,
    /// It leaked: it verifies nothing any more, nor do those before it. Whoever learns of a leak after a rotation cannot
    /// tell which value it was of, and one that goes on verifying lets the thief in.
    Compromised,
}

/// What the old value still does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Old {
    /// It verifies until then, Unix seconds.
    Until(u64),
    /// It verifies: a process runs with it. `life_s` after the last of them has stopped, it does not any more.
    InUse {
        /// Seconds.
        life_s: u64,
    },
    /// It verifies nothing any more.
    Nothing,
}

/// One home of a key in which it was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// Where it lives.
    pub origin: Origin,
    /// Number of the new value.
    pub new_id: u32,
    /// Number of the old one.
    pub old_id: u32,
    /// Numbers of older ones that verified until now and were ended with it.
    pub ended: Vec<u32>,
    /// What becomes of the old one.
    pub old: Old,
    /// The programs that get it.
    pub programs: Vec<String>,
}

/// Gives a key a new value everywhere; `requests` are all programs that name it. Programs whose values were the same keep
/// having the same.
///
/// # Errors
/// If nobody has the key yet, an environment sets it, too many values still verify, or a file cannot be written. Then
/// nothing was changed, but for homes that were done before the one that failed.
pub fn rotate(
    requests: &[Request<'_>],
    name: &str,
    how: How,
    random: &mut dyn Random,
) -> Result<Vec<Rotated>, Error> {
    check_name(name)?;
    let Some(first) = requests.first() else {
        return Err(no_such(name));
    };
    let _lock = Lock::take(first.state_dir)?;
    let mut homes: BTreeMap<String, Vec<&Request<'_>>> = BTreeMap::new();
    for request in requests {
        homes.entry(request.file_scope()).or_default().push(request);
    }
    for programs in homes.values() {
        check(programs, name, how)?;
    }
    let mut made: Vec<(Secret, Secret)> = Vec::new();
    let mut done = Vec::new();
    for programs in homes.values() {
        done.push(one(programs, name, how, &mut made, random)?);
    }
    Ok(done)
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

/// Ends a rotation of a compromised key that was cut short between keyring and env file: the value that was to sign goes
/// into the file. Says whether there was one. A value that somebody put back by hand is none: once it was handed out, no
/// other one is meant to sign.
///
/// # Errors
/// If a file cannot be read or written.
pub fn finish(request: &Request<'_>, name: &str, random: &mut dyn Random) -> Result<bool, Error> {
    let _lock = Lock::take(request.state_dir)?;
    let ring = Keyring::read(request.state_dir)?;
    let mut file = EnvText::read(request)?;
    let view = request.view(name);
    let scope = request.file_scope();
    let new = ring.signing(&view).filter(|key| key.scope == scope);
    let Some(new) = new.map(|key| key.value.clone()) else {
        return Ok(false);
    };
    let found = look(request, name, &file, &ring);
    let given_up = found.is_some_and(|found| {
        let key = ring.find(&view, &found.secret);
        key.is_some_and(|key| key.status == Status::Compromised)
            && matches!(found.origin, Origin::EnvFile(_))
    });
    if given_up {
        let new = crate::set::quoted(name, &new)?;
        let text = crate::envfile::replace(&file.text, name, &new);
        let prepared = file.prepare(text, request, random)?;
        file.commit(prepared)?;
    }
    Ok(given_up)
}

fn no_such(name: &str) -> Error {
    Error::NoSuchKey {
        name: name.to_owned(),
    }
}

/// Everything that speaks against it, before anything is written.
fn check(programs: &[&Request<'_>], name: &str, how: How) -> Result<(), Error> {
    for request in programs {
        let ring = Keyring::read(request.state_dir)?;
        let found = look(request, name, &EnvText::read(request)?, &ring);
        match found.map(|found| found.origin) {
            None => return Err(no_such(name)),
            Some(Origin::Environment) => {
                return Err(Error::SetInEnvironment {
                    name: name.to_owned(),
                });
            }
            Some(Origin::EnvFile(_) | Origin::StateDir(_)) => {}
        }
        if how == How::Overlap {
            room_for_one_more(request, name, &ring)?;
        }
    }
    Ok(())
}

/// As many values verify as a gateway tries on a token, and no more.
pub(crate) fn room_for_one_more(
    request: &Request<'_>,
    name: &str,
    ring: &Keyring,
) -> Result<(), Error> {
    let view = request.view(name);
    let verify = ring
        .kept(&view)
        .filter(|key| key.status == Status::Verifies && !keyring::is_over(key, request.now_unix_s));
    if verify.count() < VERIFY_MAX {
        return Ok(());
    }
    Err(Error::TooManyKeys {
        name: name.to_owned(),
        verify_max: VERIFY_MAX,
    })
}

/// The programs of one home.
fn one(
    programs: &[&Request<'_>],
    name: &str,
    how: How,
    made: &mut Vec<(Secret, Secret)>,
    random: &mut dyn Random,
) -> Result<Rotated, Error> {
    let Some(&request) = programs.first() else {
        return Err(no_such(name));
    };
    let life_s = programs.iter().map(|it| it.life_s).max().unwrap_or(0);
    let clock = Clock {
        now_s: request.now_unix_s,
        life_s,
    };
    let view = request.view(name);
    let mut ring = Keyring::read(request.state_dir)?;
    let mut file = EnvText::read(request)?;
    ring.settle(request.in_use, clock);
    let old = look(request, name, &file, &ring).ok_or_else(|| no_such(name))?;
    for (value, origin) in old.losers.iter().chain([&(old.secret.clone(), old.origin)]) {
        ring.keep(
            &view,
            value,
            &request.scope(origin),
            &origin.to_string(),
            clock,
        );
    }
    let old_id = ring.find(&view, &old.secret).map_or(0, |key| key.id);
    let mut ended = Vec::new();
    match how {
        How::Overlap => ring.retire(&view, &old.secret, clock),
        How::Compromised => {
            let older: Vec<(u32, Secret)> = ring
                .kept(&view)
                .filter(|key| key.status == Status::Verifies && key.value != old.secret)
                .map(|key| (key.id, key.value.clone()))
                .collect();
            for (id, value) in older {
                ring.compromise(&view, &value);
                ended.push(id);
            }
            ring.compromise(&view, &old.secret);
        }
    }
    let known = made.iter().find(|(before, _)| *before == old.secret);
    let new = match known {
        Some((_, new)) => new.clone(),
        None => secret::make(random)?,
    };
    made.push((old.secret.clone(), new.clone()));
    let origin = put(
        request,
        name,
        &new,
        "rotated",
        (&mut ring, &mut file),
        random,
    )?;
    ring.settle(request.in_use, clock);
    ring.write(request.state_dir, random)?;
    let until_s = ring
        .find(&view, &old.secret)
        .map_or(0, |key| key.until_unix_s);
    Ok(Rotated {
        origin,
        new_id: ring.find(&view, &new).map_or(0, |key| key.id),
        old_id,
        ended,
        old: match (how, until_s) {
            (How::Compromised, _) => Old::Nothing,
            (How::Overlap, 0) => Old::InUse { life_s },
            (How::Overlap, until_s) => Old::Until(until_s),
        },
        programs: programs.iter().map(|it| it.program.to_owned()).collect(),
    })
}
