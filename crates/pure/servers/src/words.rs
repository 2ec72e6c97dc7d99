//! Words of a command line, each knowing where it stands, and the environment as the server will see it.

use std::collections::{BTreeMap, BTreeSet};

/// An environment: names to values.
pub type Env = BTreeMap<String, String>;

/// Where something stands, so that it can be underlined and edited.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Word `i` of argv, whole.
    Word(usize),
    /// Bytes of word `word` of argv (a command inside `sh -c '…'`).
    Inside {
        /// Index of the word in argv.
        word: usize,
        /// First byte within that word.
        start: usize,
        /// Byte after the last.
        end: usize,
    },
    /// The environment variable of this name.
    Env(String),
}

/// One word of a (possibly inner) command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) at: Place,
}

/// Tokens of an argv as given.
pub(crate) fn tokens(argv: &[String]) -> Vec<Token> {
    argv.iter()
        .enumerate()
        .map(|(i, text)| Token {
            text: text.clone(),
            at: Place::Word(i),
        })
        .collect()
}

/// The environment of the server itself: the given one, changed by `env A=B`, `A=B cmd` in a shell, `env -i`, `-u`.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeenEnv {
    base: Env,
    inline: BTreeMap<String, (String, Place)>,
    removed: BTreeSet<String>,
    cleared: bool,
}

impl SeenEnv {
    pub(crate) fn new(base: &Env) -> Self {
        Self {
            base: base.clone(),
            ..Self::default()
        }
    }

    pub(crate) fn assign(&mut self, name: &str, value: &str, at: Place) {
        self.removed.remove(name);
        self.inline.insert(name.to_owned(), (value.to_owned(), at));
    }

    pub(crate) fn unset(&mut self, name: &str) {
        self.inline.remove(name);
        self.removed.insert(name.to_owned());
    }

    pub(crate) fn clear(&mut self) {
        self.inline.clear();
        self.cleared = true;
    }

    /// True if the command line itself throws the environment away, so that variables of ours would be lost.
    pub(crate) fn is_cleared(&self) -> bool {
        self.cleared
    }

    /// True if the command line removes this variable.
    pub(crate) fn is_unset(&self, name: &str) -> bool {
        self.removed.contains(name)
    }

    /// The value that the server sees, and where it was set.
    pub(crate) fn get(&self, name: &str) -> Option<(&str, Place)> {
        if let Some((value, at)) = self.inline.get(name) {
            return Some((value, at.clone()));
        }
        if self.cleared || self.removed.contains(name) {
            return None;
        }
        self.base
            .get(name)
            .map(|value| (value.as_str(), Place::Env(name.to_owned())))
    }

    /// The assignments on the command line, by name.
    pub(crate) fn inline_place(&self, name: &str) -> Option<&Place> {
        self.inline.get(name).map(|(_, at)| at)
    }
}

/// Splits `NAME=value`; `None` if the word is no assignment by the shell's rule for names.
pub(crate) fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let mut chars = name.chars();
    let head = chars.next()?;
    let ok = (head.is_ascii_alphabetic() || head == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    ok.then_some((name, value))
}

/// The last component of a path.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// click's reading of a switch in a variable.
pub(crate) fn click_true(value: &str) -> bool {
    matches!(
        value.trim().to_lowercase().as_str(),
        "1" | "true" | "t" | "yes" | "y" | "on"
    )
}
