//! What is asked, what is answered, what is warned about.

use crate::home::Volatile;
use crate::in_use::InUse;
use crate::keyring::{Clock, Status, View};
use crate::secret::Secret;
use crate::strength::Weakness;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An environment: names to values.
pub type Env = BTreeMap<String, String>;

/// Whose keys are wanted, and where to look.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The program, for messages.
    pub program: &'a str,
    /// Names of its keys (`secrets = …`).
    pub names: &'a [String],
    /// The environment that it would get (inherited, and `environment = …`).
    pub environment: &'a Env,
    /// Its env file, absolute.
    pub env_file: Option<&'a Path>,
    /// Where keys are kept that have no env file.
    pub state_dir: &'a Path,
    /// Who owns an env file that is made anew: the program's user and group, so that the app can read it itself.
    pub owner: Option<(u32, u32)>,
    /// Seconds since 1970, for the record.
    pub now_unix_s: u64,
    /// How long the longest token lives that it signs: a value that does not sign any more verifies for so long.
    pub life_s: u64,
    /// Values that processes run with; `None`: nobody can say.
    pub in_use: Option<&'a InUse>,
}

impl Request<'_> {
    pub(crate) fn view<'a>(&self, name: &'a str) -> View<'a> {
        View {
            name,
            file: self.file_scope(),
            program: format!("program:{}", self.program),
        }
    }

    /// The scope of what stands in its env file.
    pub(crate) fn file_scope(&self) -> String {
        let Some(path) = self.env_file else {
            return String::new();
        };
        // The same whether it is there or not: its values are found by it.
        let named = sys::named::Named::find(path);
        let real = named.as_ref().map_or(path, |named| named.path());
        real.display().to_string()
    }

    /// The scope of a value that was found there.
    pub(crate) fn scope(&self, origin: &Origin) -> String {
        match origin {
            Origin::Environment => format!("program:{}", self.program),
            Origin::EnvFile(_) => self.file_scope(),
            Origin::StateDir(_) => String::new(),
        }
    }

    pub(crate) fn clock(&self) -> Clock {
        Clock {
            now_s: self.now_unix_s,
            life_s: self.life_s,
        }
    }
}

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The environment of the program.
    Environment,
    /// The env file.
    EnvFile(PathBuf),
    /// The keyring in the state directory.
    StateDir(PathBuf),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Environment => f.write_str("the environment"),
            Self::EnvFile(path) | Self::StateDir(path) => write!(f, "{}", path.display()),
        }
    }
}

/// One key, to be handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Name of the variable.
    pub name: String,
    /// The value.
    pub secret: Secret,
    /// Where it lives.
    pub origin: Origin,
    /// True if it was made just now.
    pub made: bool,
}

/// Something the operator should know. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The env file does not exist.
    NoEnvFile(PathBuf),
    /// A line of the env file says nothing.
    Line {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// Two places name different values.
    Disagree {
        /// The key.
        name: String,
        /// The place that counts.
        wins: Origin,
        /// The place whose value verifies only.
        loses: Origin,
    },
    /// A value that was given up as compromised is in use again.
    Compromised {
        /// The key.
        name: String,
        /// Where it came from.
        origin: Origin,
    },
    /// The key is weak.
    Weak {
        /// The key.
        name: String,
        /// Why.
        why: Weakness,
    },
    /// The key's home does not last.
    Volatile {
        /// The key.
        name: String,
        /// Its file.
        path: PathBuf,
        /// In what way.
        how: Volatile,
    },
    /// Others than the owner and its group may read the key's file.
    Readable {
        /// The file.
        path: PathBuf,
    },
}

impl Warning {
    /// The key that it is about; `None`: a file.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::NoEnvFile(_) | Self::Line { .. } | Self::Readable { .. } => None,
            Self::Disagree { name, .. }
            | Self::Compromised { name, .. }
            | Self::Weak { name, .. }
            | Self::Volatile { name, .. } => Some(name),
        }
    }
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoEnvFile(path) => write!(f, "the env file {} does not exist", path.display()),
            Self::Line { path, line, why } => {
                write!(f, "{}:{line}: {why}; the line is skipped", path.display())
            }
            Self::Disagree { name, wins, loses } => write!(
                f,
                "{name} differs between {wins} and {loses}: {wins} counts, the other value verifies old tokens only"
            ),
            Self::Compromised { name, origin } => write!(
                f,
                "{name} in {origin} is a value that was given up as compromised: make a new one with: steadfast secrets rotate {name} --compromised"
            ),
            Self::Weak { name, why } => write!(f, "{name} is weak: {why}"),
            Self::Volatile { name, path, how } => {
                write!(f, "{name} is kept in {}, {how}", path.display())
            }
            Self::Readable { path } => write!(
                f,
                "everyone on this machine can read {}: chmod o-rwx it",
                path.display()
            ),
        }
    }
}

/// What a program gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Variables of the env file that its environment does not set itself; keys excluded.
    pub env_file: BTreeMap<String, Secret>,
    /// Its keys, in the order asked for.
    pub keys: Vec<Value>,
    /// Values that verify only, by name of the key.
    pub verify_only: Vec<(String, Secret)>,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
}

impl Resolved {
    /// All variables to add to the program's environment.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let files = self
            .env_file
            .iter()
            .map(|(name, value)| (name.as_str(), value));
        files.chain(self.keys.iter().map(|key| (key.name.as_str(), &key.secret)))
    }
}

/// A key as [`find`] sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The value that counts.
    pub secret: Secret,
    /// Where it lives.
    pub origin: Origin,
    /// Other values, strongest first, and where they are.
    pub losers: Vec<(Secret, Origin)>,
}

/// One value of a key, with its number: what a gateway needs to sign, and to sign again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number, from 1; it stays with the value.
    pub id: u32,
    /// The value that programs get now.
    pub signs: bool,
    /// It verifies until then, Unix seconds; 0: no end yet.
    pub until_unix_s: u64,
    /// It was retired: so long after the last process with it has stopped it ends. 0: it was not.
    pub life_s: u64,
    /// It leaked.
    pub compromised: bool,
    /// The value.
    pub secret: Secret,
}

/// A key in a listing: no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Number of the kept value, from 1; 0 if the value is not in the keyring.
    pub id: u32,
    /// What it does.
    pub status: Status,
    /// Where it lives; `None` if there is none yet.
    pub origin: Option<Origin>,
    /// Eight digits to tell values apart; empty if there is none yet.
    pub fingerprint: String,
    /// The programs that name it.
    pub programs: Vec<String>,
    /// Where it is put if it has to be made.
    pub home: Origin,
    /// What is wrong with it.
    pub weak: Vec<Weakness>,
    /// When the keyring took it in, in seconds since 1970.
    pub since_unix_s: Option<u64>,
    /// Until when it verifies, in seconds since 1970; `None`: no end yet.
    pub until_unix_s: Option<u64>,
    /// It was set, and no program was given it yet: that is what `steadfast update` is for.
    pub unused: bool,
}
