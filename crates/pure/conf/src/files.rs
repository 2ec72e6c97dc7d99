//! What the reader needs from the machine, as a trait: this crate opens nothing itself.
//!
//! [`MapFiles`] is the machine of tests and of configurations that exist only in memory.

use std::collections::{BTreeMap, BTreeSet};

/// Files and accounts as the caller sees them. Paths are absolute, in the caller's notation, `/` between names.
pub trait Files {
    /// The content of a regular file, or why there is none. More than `bytes_max` bytes is [`ReadError::TooLarge`], unread.
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, ReadError>;

    /// The names in a directory, in any order, without `.` and `..`; empty if it cannot be listed.
    fn list(&self, dir: &str) -> Vec<DirEntry>;

    /// What a path names, symbolic links followed; `None` if there is nothing or it cannot be seen.
    fn kind(&self, path: &str) -> Option<Kind>;

    /// The account of a user name, or of a numeric user id written as a number.
    fn account(&self, user: &str) -> Option<Account>;

    /// The id of a group name, or of a numeric group id written as a number, if that group exists.
    fn group_id(&self, group: &str) -> Option<u32>;
}

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// There is no such file.
    NotFound,
    /// We may not read it.
    Denied,
    /// It is a directory, a socket, a device.
    NotAFile,
    /// It is larger than asked for.
    TooLarge,
    /// Anything else, in words.
    Other(String),
}

impl ReadError {
    /// The reason in words that follow "cannot be read: ".
    pub fn words(&self) -> String {
        match self {
            ReadError::NotFound => "there is no such file".to_string(),
            ReadError::Denied => "permission denied".to_string(),
            ReadError::NotAFile => "it is not a regular file".to_string(),
            ReadError::TooLarge => format!("it is larger than {} MB", crate::FILE_BYTES_MAX >> 20),
            ReadError::Other(words) => words.clone(),
        }
    }
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without its directory.
    pub name: String,
    /// Whether it is a directory (or a symbolic link to one).
    pub is_dir: bool,
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// Anything that is not a directory.
    File,
}

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Id of the user's first group.
    pub gid: u32,
    /// Home directory.
    pub home: String,
}

/// The values outside the file that its meaning depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Environment variables, for `%(ENV_X)s` and `~`.
    pub env: BTreeMap<String, String>,
    /// Working directory, absolute: what relative paths start from.
    pub cwd: String,
    /// The machine's node name, for `%(host_node_name)s`.
    pub hostname: String,
}

/// A machine made of maps, for tests. Directories exist as soon as a file or directory below them does; `/` and `/dev` always.
#[derive(Debug, Clone, Default)]
pub struct MapFiles {
    files: BTreeMap<String, Vec<u8>>,
    denied: BTreeSet<String>,
    dirs: BTreeSet<String>,
    accounts: Vec<Account>,
    groups: BTreeMap<String, u32>,
}

impl MapFiles {
    /// A machine with `/`, `/dev`, `/tmp` and the account and group `root`.
    pub fn new() -> MapFiles {
        let root = Account {
            name: "root".into(),
            uid: 0,
            gid: 0,
            home: "/root".into(),
        };
        let mut machine = MapFiles {
            accounts: vec![root],
            ..MapFiles::default()
        };
        machine.groups.insert("root".into(), 0);
        for dir in ["/", "/dev", "/tmp"] {
            machine.dirs.insert(dir.into());
        }
        machine
    }

    /// The same machine with this file.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> MapFiles {
        self.add_parents(path);
        self.files.insert(path.to_string(), content.into());
        self
    }

    /// The same machine with this directory.
    #[must_use]
    pub fn dir(mut self, path: &str) -> MapFiles {
        self.add_parents(path);
        self.dirs.insert(path.to_string());
        self
    }

    /// The same machine, where this file may not be read.
    #[must_use]
    pub fn denied(mut self, path: &str) -> MapFiles {
        self.denied.insert(path.to_string());
        self.file(path, "")
    }

    /// The same machine with this account; its group has the same name.
    #[must_use]
    pub fn user(mut self, name: &str, uid: u32, gid: u32, home: &str) -> MapFiles {
        self.accounts.push(Account {
            name: name.into(),
            uid,
            gid,
            home: home.into(),
        });
        self.groups.insert(name.into(), gid);
        self
    }

    fn add_parents(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            self.dirs.insert(if at == 0 {
                "/".to_string()
            } else {
                path[..at].to_string()
            });
        }
    }
}

impl Files for MapFiles {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
        if self.denied.contains(path) {
            return Err(ReadError::Denied);
        }
        match self.files.get(path) {
            Some(content) if content.len() as u64 > bytes_max => Err(ReadError::TooLarge),
            Some(content) => Ok(content.clone()),
            None if self.dirs.contains(path) => Err(ReadError::NotAFile),
            None => Err(ReadError::NotFound),
        }
    }

    fn list(&self, dir: &str) -> Vec<DirEntry> {
        let prefix = if dir.ends_with('/') {
            dir.to_string()
        } else {
            format!("{dir}/")
        };
        let below = |path: &String| {
            path.strip_prefix(&prefix)
                .filter(|n| !n.is_empty() && !n.contains('/'))
                .map(str::to_string)
        };
        let files = self.files.keys().filter_map(below).map(|name| DirEntry {
            name,
            is_dir: false,
        });
        let dirs = self
            .dirs
            .iter()
            .filter_map(below)
            .map(|name| DirEntry { name, is_dir: true });
        files.chain(dirs).collect()
    }

    fn kind(&self, path: &str) -> Option<Kind> {
        let trimmed = if path.len() > 1 {
            path.trim_end_matches('/')
        } else {
            path
        };
        if self.dirs.contains(trimmed) {
            return Some(Kind::Dir);
        }
        self.files.contains_key(path).then_some(Kind::File)
    }

    fn account(&self, user: &str) -> Option<Account> {
        let uid: Option<u32> = user.parse().ok();
        self.accounts
            .iter()
            .find(|a| a.name == user || Some(a.uid) == uid)
            .cloned()
    }

    fn group_id(&self, group: &str) -> Option<u32> {
        let gid: Option<u32> = group.parse().ok();
        self.groups
            .iter()
            .find(|(name, id)| *name == group || Some(**id) == gid)
            .map(|(_, id)| *id)
    }
}
