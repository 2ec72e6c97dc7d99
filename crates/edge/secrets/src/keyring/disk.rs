//! The keyring on disk: one JSON file, version 1, readable by its owner only, replaced whole. A reader refuses a newer
//! version rather than rewrite what it does not understand. There is no master key beside it: a key that lies beside what
//! it locks is theatre.

use super::{Key, Keyring, Status, path};
use crate::error::{Error, Step};
use crate::replace;
use crate::secret::{Random, Secret};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;

/// The version that this code writes.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Disk {
    steadfast_keyring: u32,
    keys: Vec<DiskKey>,
}

#[derive(Serialize, Deserialize)]
struct DiskKey {
    name: String,
    /// Counts up per name, from 1.
    id: u32,
    status: Status,
    value: String,
    /// Where the value came from, in words.
    from: String,
    since_unix_s: u64,
    /// The env file or `program:NAME`; empty: it lives here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    scope: String,
    /// It verifies until then; 0: no end yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    until_unix_s: u64,
    /// It is retired: it verifies so long after the last process with it has stopped. 0: it is not, or was retired by
    /// a version that set the end at once.
    #[serde(default, skip_serializing_if = "is_zero")]
    life_s: u64,
    /// It was set, and no program was given it yet.
    #[serde(default, skip_serializing_if = "is_false")]
    unused: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(said: &bool) -> bool {
    !*said
}

impl Keyring {
    /// The keyring of this directory; an empty one if there is none yet.
    pub(crate) fn read(state_dir: &Path) -> Result<Self, Error> {
        let path = path(state_dir);
        let read = sys::named::Named::find(&path).and_then(|named| replace::read(&named));
        let text = match read {
            Ok(Some((text, _))) => text,
            Ok(None) => return Ok(Self::default()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::io(Step::ReadKeyring, path, &error)),
        };
        // serde's messages quote what they found, which may be a key: only the place is passed on.
        let disk: Disk = serde_json::from_str(&text).map_err(|e| Error::Keyring {
            path: path.clone(),
            why: format!("line {}, column {}", e.line(), e.column()),
        })?;
        if disk.steadfast_keyring != VERSION {
            let why = format!(
                "it is of version {}, this program knows {VERSION}",
                disk.steadfast_keyring
            );
            return Err(Error::Keyring { path, why });
        }
        let keys = disk.keys.into_iter().map(|k| Key {
            name: k.name,
            id: k.id,
            status: k.status,
            value: Secret::new(k.value),
            from: k.from,
            since_unix_s: k.since_unix_s,
            scope: k.scope,
            until_unix_s: k.until_unix_s,
            life_s: k.life_s,
            unused: k.unused,
        });
        Ok(Self {
            keys: keys.collect(),
            changed: false,
        })
    }

    /// Writes it as it was read: what was written since did not come to be.
    pub(crate) fn put_back(
        mut self,
        state_dir: &Path,
        random: &mut dyn Random,
    ) -> Result<(), Error> {
        self.changed = true;
        self.write(state_dir, random)
    }

    /// Writes it, if it changed.
    pub(crate) fn write(&mut self, state_dir: &Path, random: &mut dyn Random) -> Result<(), Error> {
        if !self.changed {
            return Ok(());
        }
        let keys = self.keys.iter().map(|k| DiskKey {
            name: k.name.clone(),
            id: k.id,
            status: k.status,
            value: k.value.expose().to_owned(),
            from: k.from.clone(),
            since_unix_s: k.since_unix_s,
            scope: k.scope.clone(),
            until_unix_s: k.until_unix_s,
            life_s: k.life_s,
            unused: k.unused,
        });
        let path = path(state_dir);
        let disk = Disk {
            steadfast_keyring: VERSION,
            keys: keys.collect(),
        };
        let text = serde_json::to_string_pretty(&disk)
            .map_err(|e| Error::io(Step::WriteKeyring, &path, &e.into()))?;
        replace::by_rename(&path, &text, random)
            .map_err(|e| Error::io(Step::WriteKeyring, &path, &e))?;
        self.changed = false;
        Ok(())
    }
}
