//! Which directories an installation has: a function of the configuration's path, the user and the environment.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::Error;

/// What makes an installation itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The real path of a configuration.
    File(PathBuf),
    /// `run -- COMMAND…` in a directory.
    Command(Vec<String>, PathBuf),
}

impl Identity {
    /// The identity of a configuration file: its real path, so that links and relative names lead to the same place.
    pub fn of_file(path: &Path) -> Result<Identity, Error> {
        match path.canonicalize() {
            Ok(real) => Ok(Identity::File(real)),
            Err(why) => Err(Error::Config(path.to_path_buf(), why)),
        }
    }

    /// Hash of identity and user: 16 hex digits. Sockets below it stay under 108 bytes in every usual base directory.
    pub fn id(&self, uid: u32) -> String {
        let mut hash = Fnv::default();
        match self {
            Identity::File(path) => {
                hash.part(b"file");
                hash.part(path.as_os_str().as_bytes());
            }
            Identity::Command(argv, directory) => {
                hash.part(b"command");
                hash.part(directory.as_os_str().as_bytes());
                for word in argv {
                    hash.part(word.as_bytes());
                }
            }
        }
        hash.part(&uid.to_le_bytes());
        format!("{:016x}", hash.0)
    }
}

/// FNV-1a, 64 bits: a name, not a proof; nobody gains anything by a collision with a configuration of his own.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn part(&mut self, bytes: &[u8]) {
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// What of user and environment decides about directories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Real user id.
    pub uid: u32,
    /// `STEADFAST_RUN_DIR`: replaces the base directory (tests, unusual hosts).
    pub run_dir: Option<OsString>,
    /// `STEADFAST_STATE_DIR`: replaces the base of the state.
    pub state_dir: Option<OsString>,
    /// `XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<OsString>,
    /// `XDG_STATE_HOME`.
    pub xdg_state_home: Option<OsString>,
    /// `HOME`.
    pub home: Option<OsString>,
}

impl Surroundings {
    /// Those of this process.
    pub fn here() -> Surroundings {
        Surroundings::of(|name| std::env::var_os(name))
    }

    /// Those of this process's user with variables as `var` has them; an empty one counts as none.
    pub fn of(var: impl Fn(&str) -> Option<OsString>) -> Surroundings {
        let var = |name: &str| var(name).filter(|value| !value.is_empty());
        Surroundings {
            uid: rustix::process::getuid().as_raw(),
            run_dir: var("STEADFAST_RUN_DIR"),
            state_dir: var("STEADFAST_STATE_DIR"),
            xdg_runtime_dir: var("XDG_RUNTIME_DIR"),
            xdg_state_home: var("XDG_STATE_HOME"),
            home: var("HOME"),
        }
    }

    /// Where the run directories of this user are.
    pub fn run_base(&self) -> PathBuf {
        if let Some(base) = &self.run_dir {
            return PathBuf::from(base);
        }
        if self.uid == 0 {
            return PathBuf::from("/run/steadfast");
        }
        match &self.xdg_runtime_dir {
            // A foreign one (sudo -u, su) is not ours to write to.
            Some(base) if owned(Path::new(base), self.uid) => PathBuf::from(base).join("steadfast"),
            _ => PathBuf::from(format!("/tmp/steadfast-{}", self.uid)),
        }
    }

    /// Where the states of this user are.
    pub fn state_base(&self) -> PathBuf {
        if let Some(base) = &self.state_dir {
            return PathBuf::from(base);
        }
        if let Some(base) = &self.run_dir {
            return PathBuf::from(base).join("state");
        }
        if self.uid == 0 {
            return PathBuf::from("/var/lib/steadfast");
        }
        match (&self.xdg_state_home, &self.home) {
            (Some(base), _) => PathBuf::from(base).join("steadfast"),
            (None, Some(home)) => PathBuf::from(home).join(".local/state/steadfast"),
            (None, None) => PathBuf::from(format!("/tmp/steadfast-{}/state", self.uid)),
        }
    }
}

fn owned(path: &Path, uid: u32) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_dir() && meta.uid() == uid)
}

/// The directories of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Its name.
    pub id: String,
    /// `BASE/ID`.
    pub run: PathBuf,
    /// Keys, sessions, ledger, unless `state_dir` of the configuration says otherwise.
    pub state: PathBuf,
}

impl Layout {
    /// The directories of `identity` for this user.
    pub fn of(identity: &Identity, surroundings: &Surroundings) -> Layout {
        let id = identity.id(surroundings.uid);
        Layout {
            run: surroundings.run_base().join(&id),
            state: surroundings.state_base().join(&id),
            id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_depends_on_path_user_and_words() {
        let file = |path: &str| Identity::File(PathBuf::from(path));
        assert_eq!(file("/a").id(0), file("/a").id(0));
        assert_ne!(file("/a").id(0), file("/a").id(1));
        assert_ne!(file("/a").id(0), file("/b").id(0));
        let command = |words: &[&str]| {
            Identity::Command(
                words.iter().map(|w| w.to_string()).collect(),
                PathBuf::from("/"),
            )
        };
        assert_ne!(command(&["ab", "c"]).id(0), command(&["a", "bc"]).id(0));
        assert_eq!(file("/a").id(0).len(), 16);
    }

    #[test]
    fn bases_follow_user_and_environment() {
        let root = Surroundings::default();
        assert_eq!(root.run_base(), Path::new("/run/steadfast"));
        assert_eq!(root.state_base(), Path::new("/var/lib/steadfast"));
        let user = Surroundings {
            uid: 4_000_001,
            home: Some("/home/a".into()),
            ..Surroundings::default()
        };
        assert_eq!(user.run_base(), Path::new("/tmp/steadfast-4000001"));
        assert_eq!(
            user.state_base(),
            Path::new("/home/a/.local/state/steadfast")
        );
        let foreign = Surroundings {
            xdg_runtime_dir: Some("/".into()),
            ..user.clone()
        };
        assert_eq!(foreign.run_base(), Path::new("/tmp/steadfast-4000001"));
        let test = Surroundings {
            run_dir: Some("/tmp/t".into()),
            ..root
        };
        assert_eq!(test.run_base(), Path::new("/tmp/t"));
        assert_eq!(test.state_base(), Path::new("/tmp/t/state"));
    }
}
