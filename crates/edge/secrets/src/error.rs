//! What can go wrong, one step each. No error ever holds a value of a key.

use std::path::{Path, PathBuf};

/// The step that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Getting random bytes.
    Random,
    /// Reading an env file.
    ReadEnvFile,
    /// Writing an env file.
    WriteEnvFile,
    /// Making the state directory.
    MakeStateDir,
    /// Taking the lock of the state directory.
    Lock,
    /// Reading the keyring.
    ReadKeyring,
    /// Writing the keyring.
    WriteKeyring,
}

/// Why a key could not be read, made or kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The system refused a step.
    Io {
        /// The step.
        step: Step,
        /// The file or directory.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// Somebody holds the lock of the keys.
    Locked {
        /// The lock.
        path: PathBuf,
        /// Who, if that can be seen.
        holder: Option<String>,
    },
    /// Somebody else could have chosen the keys.
    NotOurs {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// An env file is larger than the limit, or no UTF-8 text.
    NotAnEnvFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The keyring cannot be understood. It is left as it is: writing a new one would lose keys.
    Keyring {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// No key of this name is kept anywhere.
    NoSuchKey {
        /// Its name.
        name: String,
    },
    /// A name that cannot be a variable's.
    BadName {
        /// The name.
        name: String,
    },
    /// A value that cannot be written to an env file and read back the same by every reader.
    BadValue {
        /// The key's name.
        name: String,
        /// What is wrong with it; not the value.
        why: String,
    },
    /// So many values still verify that another one would push one out.
    TooManyKeys {
        /// The key's name.
        name: String,
        /// How many may.
        verify_max: usize,
    },
    /// The value was given up as compromised: it would be kept, but verify nothing.
    GivenUp {
        /// The key's name.
        name: String,
    },
    /// The environment sets the key: another value would be kept, but never used.
    SetInEnvironment {
        /// The key's name.
        name: String,
    },
}

impl Error {
    pub(crate) fn io(step: Step, path: impl AsRef<Path>, error: &std::io::Error) -> Self {
        Self::Io {
            step,
            path: path.as_ref().to_owned(),
            why: error.to_string(),
        }
    }

    /// This one, and what went wrong in undoing what was done before it.
    pub(crate) fn and(self, also: &Self) -> Self {
        match self {
            Self::Io { step, path, why } => Self::Io {
                step,
                path,
                why: format!(
                    "{why}; and the value that was to be put there stays in the keyring: {also}"
                ),
            },
            other => other,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io {
                step: Step::Random,
                why,
                ..
            } => write!(f, "the system gives no random bytes: {why}"),
            Self::Io { step, path, why } => {
                let what = match step {
                    Step::Random => "random bytes",
                    Step::ReadEnvFile => "cannot read the env file",
                    Step::WriteEnvFile => "cannot write the env file",
                    Step::MakeStateDir => "cannot make the state directory",
                    Step::Lock => "cannot lock the keys",
                    Step::ReadKeyring => "cannot read the keyring",
                    Step::WriteKeyring => "cannot write the keyring",
                };
                write!(f, "{what} {}: {why}", path.display())
            }
            Self::Locked { path, holder } => {
                let holder = holder.as_deref().unwrap_or("another process");
                write!(
                    f,
                    "{} is held by {holder}, which changes keys or was stopped while it did; end it and try again",
                    path.display()
                )
            }
            Self::NotOurs { path, why } => {
                write!(f, "keys are not kept in {}: it {why}", path.display())
            }
            Self::NotAnEnvFile { path, why } => {
                write!(f, "{} is no env file: {why}", path.display())
            }
            Self::Keyring { path, why } => {
                write!(
                    f,
                    "the keyring {} cannot be understood ({why}); it was left as it is",
                    path.display()
                )
            }
            Self::NoSuchKey { name } => write!(f, "no key named {name} is kept"),
            Self::BadName { name } => write!(f, "{name:?} cannot be the name of a variable"),
            Self::BadValue { name, why } => write!(f, "this value of {name} cannot be kept: {why}"),
            Self::TooManyKeys { name, verify_max } => write!(
                f,
                "{name} was rotated so often that {verify_max} old values still verify; wait until one of them has ended (steadfast secrets list), or give a shorter token_lifetime"
            ),
            Self::GivenUp { name } => write!(
                f,
                "this value of {name} was given up as compromised: whoever knows it would be believed again; take another one"
            ),
            Self::SetInEnvironment { name } => {
                write!(
                    f,
                    "{name} is set in the environment, which beats every file; change it there"
                )
            }
        }
    }
}

impl std::error::Error for Error {}
