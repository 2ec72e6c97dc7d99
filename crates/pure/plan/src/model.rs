//! What is wanted, what is seen, what is to be done.

use std::collections::{BTreeMap, BTreeSet};

/// Name of a slot: Supervisor's group and process. Its `Display` is Supervisor's (`group:process`, or one name).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Group.
    pub group: String,
    /// Process.
    pub process: String,
}

impl Key {
    /// A key.
    pub fn new(group: impl Into<String>, process: impl Into<String>) -> Key {
        Key {
            group: group.into(),
            process: process.into(),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&wire::spec::label(&self.group, &self.process))
    }
}

/// One slot as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub key: Key,
    /// Name of the program, which dependencies use.
    pub program: String,
    /// Identity of the definition.
    pub hash: String,
    /// Whether it should run.
    pub up: bool,
    /// Priority of the group: lower starts earlier.
    pub group_priority: i64,
    /// Priority within the group.
    pub priority: i64,
    /// A gateway: before everything else.
    pub first: bool,
    /// Names of programs all of whose processes must be ready before this one starts.
    pub depends_on: Vec<String>,
    /// Addresses that are bound for it.
    pub listeners: Vec<String>,
}

/// Everything that should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// In any order, each key once.
    pub slots: Vec<Slot>,
}

/// One slot as its keeper tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// A keeper lives and answers.
    pub kept: bool,
    /// Hash of what runs, or of the next start if nothing runs; empty = nothing installed yet.
    pub hash: String,
    /// Hash of a definition that a replacement refused; empty = none.
    pub refused: String,
    /// The keeper wants it up (it runs, or it is between two lives, or it ended by itself).
    pub wanted: bool,
}

/// Everything that is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Slots that have a directory, kept or not.
    pub slots: BTreeMap<Key, Seen>,
    /// Addresses that are bound.
    pub listeners: BTreeSet<String>,
}

/// Why it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Boot, adoption, a lost keeper: bring in line, leave alone what is settled.
    Settle,
    /// An operator's update: definitions that were refused are tried again.
    Update,
    /// Supervisor's reload: everything that should run is replaced.
    Replace,
}

/// One thing to do. Steps of one slot are done in their order; steps of different slots begin in their order and run
/// beside each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Bind this address.
    Bind {
        /// Address.
        listener: String,
    },
    /// Make the slot's directory and fork a keeper.
    Spawn {
        /// Slot.
        slot: Key,
    },
    /// Hand the definition (and its listeners) to the keeper.
    Install {
        /// Slot.
        slot: Key,
    },
    /// Start it, once the others have done their steps and are ready.
    Start {
        /// Slot.
        slot: Key,
        /// What it waits for.
        after: Vec<Key>,
    },
    /// Replace what runs (or start it if nothing runs), likewise.
    Restart {
        /// Slot.
        slot: Key,
        /// What it waits for.
        after: Vec<Key>,
    },
    /// Stop it, once the others have stopped.
    Stop {
        /// Slot.
        slot: Key,
        /// Dependants that are stopped first.
        after: Vec<Key>,
    },
    /// End its keeper and remove its directory.
    Remove {
        /// Slot.
        slot: Key,
    },
    /// Close this address.
    Drop {
        /// Address.
        listener: String,
    },
}

impl Step {
    /// The slot that it is about; None for listeners.
    pub fn slot(&self) -> Option<&Key> {
        match self {
            Step::Spawn { slot }
            | Step::Install { slot }
            | Step::Start { slot, .. }
            | Step::Restart { slot, .. }
            | Step::Stop { slot, .. }
            | Step::Remove { slot } => Some(slot),
            Step::Bind { .. } | Step::Drop { .. } => None,
        }
    }
}
