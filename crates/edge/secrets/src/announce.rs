//! A value that is going to sign on several machines: each of them verifies it before it signs on the first.

use crate::envtext::EnvText;
use crate::error::Error;
use crate::keyring::{self, Key, Keyring, Status};
use crate::lock::Lock;
use crate::look::{check_name, look};
use crate::model::Request;
use crate::rotate::room_for_one_more;
use crate::secret::{Random, Secret};
use crate::set::verifies;

/// What a value is that was to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// It verifies from now on, under this number.
    Verifies(u32),
    /// It did already.
    AlreadySo(u32),
    /// It is the one that signs.
    Signs,
    /// It was given up as compromised, and verifies nothing.
    Compromised,
}

/// Takes in a value that is going to sign, here or on another machine: it verifies beside the one that signs, without an
/// end, and signs nothing until it is [`crate::set`] or [`crate::import`]ed.
///
/// # Errors
/// If no value signs yet (this one would have to), too many verify, or the keyring cannot be read or written.
pub fn announce(
    request: &Request<'_>,
    name: &str,
    value: &Secret,
    random: &mut dyn Random,
) -> Result<Announced, Error> {
    check_name(name)?;
    if value.expose().trim().is_empty() {
        return Err(Error::BadValue {
            name: name.to_owned(),
            why: "it is empty".to_owned(),
        });
    }
    let _lock = Lock::take(request.state_dir)?;
    let mut ring = Keyring::read(request.state_dir)?;
    let view = request.view(name);
    let Some(found) = look(request, name, &EnvText::read(request)?, &ring) else {
        return Err(Error::NoSuchKey {
            name: name.to_owned(),
        });
    };
    let known = ring.find(&view, value).map(|key| (key.id, key.status));
    match known {
        _ if found.secret == *value => return Ok(Announced::Signs),
        Some((_, Status::Compromised)) => return Ok(Announced::Compromised),
        Some((id, Status::Signs | Status::Verifies)) => return Ok(Announced::AlreadySo(id)),
        None => {}
    }
    room_for_one_more(request, name, &ring)?;
    let id = ring.next_id(name);
    ring.admit(Key {
        from: keyring::ANNOUNCED.to_owned(),
        ..verifies(request, name, value)
    });
    ring.write(request.state_dir, random)?;
    Ok(Announced::Verifies(id))
}
