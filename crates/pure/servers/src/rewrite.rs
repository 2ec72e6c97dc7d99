//! A command line that takes a socket. Places that are known only when the program starts stay symbolic ([`Word`]) until
//! [`Rewrite::fill`].

use crate::quote::shell_line;
use crate::server::Trust;
use crate::words::Env;

/// One word of a rewritten command line, or the value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// As it is.
    Text(String),
    /// The Unix socket's path between these.
    Socket {
        /// Text before it.
        before: String,
        /// Text after it.
        after: String,
    },
    /// The loopback port between these.
    Port {
        /// Text before it.
        before: String,
        /// Text after it.
        after: String,
    },
    /// The inherited descriptor number between these.
    Fd {
        /// Which of the server's addresses it is: an index into [`Server::binds`] (0 for `steadfast_command`).
        index: usize,
        /// Text before it.
        before: String,
        /// Text after it.
        after: String,
    },
}

/// A change to the environment that the program is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvChange {
    /// Set, replacing what is there.
    Set {
        /// Name.
        name: String,
        /// Value.
        value: Word,
    },
    /// Not passed on.
    Remove {
        /// Name.
        name: String,
    },
}

/// Where the program will be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    /// On a Unix socket that it makes itself.
    Unix,
    /// On a loopback TCP port that it binds itself.
    Tcp,
    /// On descriptors that it inherits, this many.
    Inherited(usize),
}

/// How to start the program so that it takes the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// The command line.
    pub argv: Vec<Word>,
    /// Changes to the environment.
    pub env: Vec<EnvChange>,
    /// The umask to start it with, if its own would lock the gateway out of its socket.
    pub umask: Option<u32>,
    /// What kind of address it will have.
    pub address: AddressKind,
    /// Whose forwarded headers the gateway must believe in its place.
    pub trusts: Trust,
    /// What the operator should know: one sentence each, without a full stop.
    pub notes: Vec<String>,
}

/// The places, once they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// The Unix socket's path.
    pub socket: Option<String>,
    /// The loopback port.
    pub port: Option<u16>,
    /// Descriptor numbers, one per address of the server.
    pub fds: Vec<u32>,
}

/// A command ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Words.
    pub argv: Vec<String>,
    /// Whole environment.
    pub env: Env,
    /// Umask, if it differs from the configured one.
    pub umask: Option<u32>,
}

/// Why a server cannot be handed a socket, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// One sentence, without a full stop.
    pub reason: String,
    /// What to write.
    pub hint: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.reason, self.hint)
    }
}

impl std::error::Error for Refusal {}

impl Word {
    fn fill(&self, places: &Places) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Socket { before, after } => {
                Some(format!("{before}{}{after}", places.socket.as_ref()?))
            }
            Self::Port { before, after } => Some(format!("{before}{}{after}", places.port?)),
            Self::Fd {
                index,
                before,
                after,
            } => Some(format!("{before}{}{after}", places.fds.get(*index)?)),
        }
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn socket(before: &str) -> Self {
        Self::Socket {
            before: before.to_owned(),
            after: String::new(),
        }
    }

    pub(crate) fn port(before: &str) -> Self {
        Self::Port {
            before: before.to_owned(),
            after: String::new(),
        }
    }

    pub(crate) fn fd(index: usize, before: &str) -> Self {
        Self::Fd {
            index,
            before: before.to_owned(),
            after: String::new(),
        }
    }
}

impl Rewrite {
    /// The command with its places filled in; `None` if one that it needs is missing.
    pub fn fill(&self, places: &Places, env: &Env) -> Option<Command> {
        let argv = self
            .argv
            .iter()
            .map(|word| word.fill(places))
            .collect::<Option<_>>()?;
        let mut env = env.clone();
        for change in &self.env {
            match change {
                EnvChange::Set { name, value } => {
                    env.insert(name.clone(), value.fill(places)?);
                }
                EnvChange::Remove { name } => {
                    env.remove(name);
                }
            }
        }
        Some(Command {
            argv,
            env,
            umask: self.umask,
        })
    }

    /// What will be run, for people: `FORWARDED_ALLOW_IPS=* uvicorn server:app --uds /run/…`. `None` as in `fill`.
    pub fn shown(&self, places: &Places) -> Option<String> {
        let mut words = Vec::new();
        for change in &self.env {
            if let EnvChange::Set { name, value } = change {
                words.push(format!("{name}={}", value.fill(places)?));
            }
        }
        for word in &self.argv {
            words.push(word.fill(places)?);
        }
        Some(shell_line(&words))
    }
}

pub(crate) fn refusal(reason: &str, hint: &str) -> Refusal {
    Refusal {
        reason: reason.to_owned(),
        hint: hint.to_owned(),
    }
}
