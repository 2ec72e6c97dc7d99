//! The keyring: every value that a key had, each with its number.
//!
//! ```text
//!          rotate, set, another value in the file      the last process      every token that
//!                                                     with it has stopped      it signed has expired
//!   signs ──────────────────────────────► verifies ────────────────► verifies(until) ────────────► gone
//!     └─ rotate --compromised ─► compromised      verifies nothing, is never handed out again
//! ```
//! The model of it is `session::keyring`, and a test holds both side by side.
//!
//! A value has a *scope*: the env file that it came from, the program in whose environment it stood, or none if it lives
//! here. Two apps may each have a `SECRET_KEY` in an env file of their own; a token of one must never be signed again for
//! the other. Numbers count up per name, whatever the scope, and stay with their value.

mod disk;

use crate::in_use::{Ended, InUse};
use crate::secret::{Secret, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// What a kept value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It signs, unless a stronger place names another.
    Signs,
    /// Tokens that it signed still verify; it signs nothing any more.
    Verifies,
    /// It leaked: it verifies nothing and is never used again. It is kept so that it is recognised.
    Compromised,
}

/// Where a value comes from that is to verify before it signs anywhere: it never signs because nothing else is left.
pub(crate) const ANNOUNCED: &str = "announced";

/// Old values of one name that are kept; the oldest goes first. A value that changes at every start (made at import)
/// must not grow the file without end.
const VERIFY_ONLY_MAX: usize = 16;

/// One kept value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) id: u32,
    pub(crate) status: Status,
    pub(crate) value: Secret,
    pub(crate) from: String,
    pub(crate) since_unix_s: u64,
    pub(crate) scope: String,
    pub(crate) until_unix_s: u64,
    pub(crate) life_s: u64,
    pub(crate) unused: bool,
}

/// Which values of a name one program may see: those that live here, those of its env file, those of its environment.
#[derive(Debug, Clone)]
pub(crate) struct View<'a> {
    pub(crate) name: &'a str,
    pub(crate) file: String,
    pub(crate) program: String,
}

impl View<'_> {
    pub(crate) fn sees(&self, key: &Key) -> bool {
        key.name == self.name
            && (key.scope.is_empty() || key.scope == self.file || key.scope == self.program)
    }
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

impl Keyring {
    /// The value that signs: that of the env file before that of this directory.
    pub(crate) fn signing(&self, view: &View<'_>) -> Option<&Key> {
        let keys = self.keys.iter();
        let signs = keys.filter(|k| view.sees(k) && k.status == Status::Signs);
        signs.max_by_key(|k| !k.scope.is_empty())
    }

    /// Every kept value that the view sees, oldest first.
    pub(crate) fn kept<'a>(
        &'a self,
        view: &'a View<'_>,
    ) -> impl DoubleEndedIterator<Item = &'a Key> {
        self.keys.iter().filter(|k| view.sees(k))
    }

    /// The value, if the view sees it.
    pub(crate) fn find(&self, view: &View<'_>, value: &Secret) -> Option<&Key> {
        self.keys.iter().find(|k| view.sees(k) && k.value == *value)
    }

    /// Makes this value the one that signs; the one before verifies only, until then. A value that is known keeps its
    /// number: programs that were started with it are known by it.
    pub(crate) fn sign_with(
        &mut self,
        view: &View<'_>,
        value: &Secret,
        scope: &str,
        from: &str,
        clock: Clock,
    ) {
        self.demote(view, Some(value), clock);
        let known = self
            .keys
            .iter()
            .position(|k| view.sees(k) && k.value == *value);
        let Some(at) = known else {
            self.push(view.name, value, Status::Signs, scope, from, clock.now_s);
            return;
        };
        let key = &mut self.keys[at];
        if key.status != Status::Verifies && key.scope == scope {
            return;
        }
        // A compromised value that came back is handed out, since nothing else is there, and stays marked.
        if key.status == Status::Verifies {
            key.status = Status::Signs;
        }
        key.until_unix_s = 0;
        key.life_s = 0;
        from.clone_into(&mut key.from);
        scope.clone_into(&mut key.scope);
        let key = self.keys.remove(at);
        self.keys.push(key);
        self.changed = true;
    }

    /// Keeps a value for verification. True if it was not kept before.
    pub(crate) fn keep(
        &mut self,
        view: &View<'_>,
        value: &Secret,
        scope: &str,
        from: &str,
        clock: Clock,
    ) -> bool {
        if value.expose().is_empty() || self.find(view, value).is_some() {
            return false;
        }
        self.push(view.name, value, Status::Verifies, scope, from, clock.now_s);
        let old: Vec<u32> = self
            .keys
            .iter()
            .filter(|k| k.name == view.name && k.scope == scope && k.status == Status::Verifies)
            .map(|k| k.id)
            .collect();
        if old.len() > VERIFY_ONLY_MAX {
            self.keys.retain(|k| {
                !(k.name == view.name && k.status == Status::Verifies && k.id == old[0])
            });
        }
        true
    }

    /// The signing values, unless it is this one, verify only from now on. True if that changed something.
    pub(crate) fn demote(
        &mut self,
        view: &View<'_>,
        unless: Option<&Secret>,
        clock: Clock,
    ) -> bool {
        let mut demoted = false;
        for key in self
            .keys
            .iter_mut()
            .filter(|k| view.sees(k) && k.status == Status::Signs)
        {
            if unless != Some(&key.value) {
                key.retire(clock);
                demoted = true;
            }
        }
        self.forget_unused();
        self.changed |= demoted;
        demoted
    }

    /// A value verifies nothing any more, at once.
    pub(crate) fn compromise(&mut self, view: &View<'_>, value: &Secret) {
        for key in self
            .keys
            .iter_mut()
            .filter(|k| view.sees(k) && k.value == *value)
        {
            key.status = Status::Compromised;
            key.until_unix_s = 0;
            key.life_s = 0;
            self.changed = true;
        }
    }

    /// A value does not sign any more.
    pub(crate) fn retire(&mut self, view: &View<'_>, value: &Secret, clock: Clock) {
        for key in self
            .keys
            .iter_mut()
            .filter(|k| view.sees(k) && k.value == *value && k.status != Status::Compromised)
        {
            key.retire(clock);
            self.changed = true;
        }
        self.forget_unused();
    }

    /// A value that was set waits for its first program: replaced before, it has signed nothing and proves nothing.
    pub(crate) fn is_unused(&mut self, view: &View<'_>, value: &Secret, unused: bool) {
        let theirs = self.keys.iter_mut();
        for key in theirs.filter(|k| view.sees(k) && k.value == *value && k.unused != unused) {
            key.unused = unused;
            self.changed = true;
        }
    }

    fn forget_unused(&mut self) {
        let before = self.keys.len();
        self.keys
            .retain(|k| !(k.unused && k.status == Status::Verifies));
        self.changed |= before != self.keys.len();
    }

    /// Ends follow the processes: a retired value gets one when its last process has stopped, loses it when one runs
    /// with it after all, and is forgotten when it is over. Nothing happens where nobody knows what runs.
    pub(crate) fn settle(&mut self, in_use: Option<&InUse>, clock: Clock) -> Vec<Ended> {
        let Some(in_use) = in_use else {
            return Vec::new();
        };
        let mut new = Vec::new();
        for key in self.keys.iter_mut().filter(|k| k.is_retired()) {
            match (in_use.has(&key.name, key.id), key.until_unix_s) {
                (true, 0) | (false, 1..) => continue,
                (true, 1..) => key.retire(Clock {
                    life_s: key.life_s.max(clock.life_s),
                    ..clock
                }),
                (false, 0) => {
                    key.until_unix_s = clock.now_s.saturating_add(key.life_s);
                    new.push((key.name.clone(), key.id));
                }
            }
            self.changed = true;
        }
        let before = self.keys.len();
        self.keys.retain(|k| !is_over(k, clock.now_s));
        self.changed |= before != self.keys.len();
        let ended = self
            .keys
            .iter()
            .filter(|k| k.is_retired() && k.until_unix_s != 0);
        ended
            .map(|key| Ended {
                name: key.name.clone(),
                id: key.id,
                until_unix_s: key.until_unix_s,
                new: new.contains(&(key.name.clone(), key.id)),
            })
            .collect()
    }

    /// The number that the next value of this name gets.
    pub(crate) fn next_id(&self, name: &str) -> u32 {
        let ids = self.keys.iter().filter(|k| k.name == name).map(|k| k.id);
        ids.max().unwrap_or(0).saturating_add(1)
    }

    /// Takes a value in as it was kept elsewhere, under a number of its own.
    pub(crate) fn admit(&mut self, key: Key) {
        let id = self.next_id(&key.name);
        self.keys.push(Key { id, ..key });
        self.changed = true;
    }

    fn push(
        &mut self,
        name: &str,
        value: &Secret,
        status: Status,
        scope: &str,
        from: &str,
        now_unix_s: u64,
    ) {
        self.keys.push(Key {
            name: name.to_owned(),
            id: self.next_id(name),
            status,
            value: value.clone(),
            from: from.to_owned(),
            since_unix_s: now_unix_s,
            scope: scope.to_owned(),
            until_unix_s: 0,
            life_s: 0,
            unused: false,
        });
        self.changed = true;
    }
}

/// Every token that it signed has expired.
pub(crate) fn is_over(key: &Key, now_s: u64) -> bool {
    key.status == Status::Verifies && key.until_unix_s != 0 && key.until_unix_s <= now_s
}

/// Now, and how long the longest token lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) now_s: u64,
    pub(crate) life_s: u64,
}

impl Key {
    fn retire(&mut self, clock: Clock) {
        self.status = Status::Verifies;
        self.until_unix_s = 0;
        // At least something, which tells it from a value that is kept without an end.
        self.life_s = clock.life_s.max(1);
    }

    /// Unlike a value that lost against another place, which verifies for as long as it is found there.
    fn is_retired(&self) -> bool {
        self.status == Status::Verifies && (self.until_unix_s != 0 || self.life_s != 0)
    }
}

/// Eight hexadecimal digits by which people can tell two keys apart without seeing them.
pub(crate) fn fingerprint(value: &Secret) -> String {
    let digest =
        Sha256::digest([b"steadfast key fingerprint\0", value.expose().as_bytes()].concat());
    hex(&digest[..4])
}
