//! The keyring: keys that live in the state directory, and values that lost a disagreement.
//!
//! One JSON file, version 1, readable by its owner only, replaced whole. A reader refuses a newer version rather than
//! rewrite what it does not understand. There is no master key beside it: a key that lies beside what it locks is
//! theatre.

use crate::error::{Error, Step};
use crate::replace;
use crate::secret::{Random, Secret, hex};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a kept value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It signs, unless a stronger place names another.
    Signs,
    /// Tokens that it signed still verify; it signs nothing any more.
    Verifies,
}

/// The version that this code writes.
const VERSION: u32 = 1;

/// Old values of one name that are kept; the oldest goes first. A value that changes at every start (made at import)
/// must not grow the file without end.
const VERIFY_ONLY_MAX: usize = 16;

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
}

/// One kept value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) id: u32,
    pub(crate) status: Status,
    pub(crate) value: Secret,
    pub(crate) from: String,
    pub(crate) since_unix_s: u64,
}

/// The keyring in memory.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    pub(crate) keys: Vec<Key>,
    changed: bool,
}

pub(crate) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("keyring.json")
}

/// Holds everyone else off while keys are read, made and written.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "open as long as the lock is held")] File);

impl Lock {
    /// Makes the state directory if needed and waits for the lock in it.
    pub(crate) fn take(state_dir: &Path) -> Result<Self, Error> {
        if !state_dir.is_dir() {
            let made = DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(state_dir);
            made.map_err(|e| Error::io(Step::MakeStateDir, state_dir, &e))?;
        }
        let path = state_dir.join("keys.lock");
        let fail = |e: &std::io::Error| Error::io(Step::Lock, &path, e);
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(replace::KEY_FILE_MODE)
            .open(&path);
        let file = opened.map_err(|e| fail(&e))?;
        flock(&file, FlockOperation::LockExclusive).map_err(|e| fail(&e.into()))?;
        Ok(Self(file))
    }
}

impl Keyring {
    /// The keyring of this directory; an empty one if there is none yet.
    pub(crate) fn read(state_dir: &Path) -> Result<Self, Error> {
        let path = path(state_dir);
        let text = match replace::read(&path) {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(Self::default()),
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
        });
        Ok(Self {
            keys: keys.collect(),
            changed: false,
        })
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
        });
        let path = path(state_dir);
        let disk = Disk {
            steadfast_keyring: VERSION,
            keys: keys.collect(),
        };
        let text = serde_json::to_string_pretty(&disk)
            .map_err(|e| Error::io(Step::WriteKeyring, &path, &e.into()))?;
        replace::by_rename(&path, &text, None, random)
            .map_err(|e| Error::io(Step::WriteKeyring, &path, &e))?;
        self.changed = false;
        Ok(())
    }

    /// The value that signs.
    pub(crate) fn signing(&self, name: &str) -> Option<&Key> {
        self.keys
            .iter()
            .find(|k| k.name == name && k.status == Status::Signs)
    }

    /// Every kept value of this name, oldest first.
    pub(crate) fn kept<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a Key> {
        self.keys.iter().filter(move |k| k.name == name)
    }

    /// Makes this value the one that signs; the one before verifies only.
    pub(crate) fn sign_with(&mut self, name: &str, value: &Secret, from: &str, now_unix_s: u64) {
        self.demote(name, Some(value));
        self.keys.retain(|k| !(k.name == name && k.value == *value));
        self.push(name, value, Status::Signs, from, now_unix_s);
    }

    /// Keeps a value for verification. True if it was not kept before.
    pub(crate) fn keep(&mut self, name: &str, value: &Secret, from: &str, now_unix_s: u64) -> bool {
        if value.expose().is_empty()
            || self
                .keys
                .iter()
                .any(|k| k.name == name && k.value == *value)
        {
            return false;
        }
        self.push(name, value, Status::Verifies, from, now_unix_s);
        let old: Vec<_> = self
            .kept(name)
            .filter(|k| k.status == Status::Verifies)
            .map(|k| k.id)
            .collect();
        if old.len() > VERIFY_ONLY_MAX {
            self.keys
                .retain(|k| !(k.name == name && k.status == Status::Verifies && k.id == old[0]));
        }
        true
    }

    /// The signing value, unless it is this one, verifies only from now on. True if that changed something.
    pub(crate) fn demote(&mut self, name: &str, unless: Option<&Secret>) -> bool {
        let mut demoted = false;
        for key in self
            .keys
            .iter_mut()
            .filter(|k| k.name == name && k.status == Status::Signs)
        {
            if unless != Some(&key.value) {
                key.status = Status::Verifies;
                demoted = true;
            }
        }
        self.changed |= demoted;
        demoted
    }

    fn push(&mut self, name: &str, value: &Secret, status: Status, from: &str, now_unix_s: u64) {
        let id = self
            .keys
            .iter()
            .filter(|k| k.name == name)
            .map(|k| k.id)
            .max()
            .unwrap_or(0)
            .saturating_add(1);
        self.keys.push(Key {
            name: name.to_owned(),
            id,
            status,
            value: value.clone(),
            from: from.to_owned(),
            since_unix_s: now_unix_s,
        });
        self.changed = true;
    }
}

/// Eight hexadecimal digits by which people can tell two keys apart without seeing them.
pub(crate) fn fingerprint(value: &Secret) -> String {
    let digest =
        Sha256::digest([b"steadfast key fingerprint\0", value.expose().as_bytes()].concat());
    hex(&digest[..4])
}
