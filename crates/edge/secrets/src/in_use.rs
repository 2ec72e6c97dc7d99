//! Which values are in use: those that a process was started with that runs, or that is started again as it was.
//!
//! A retired value may sign for as long as one of them lives, so its end is not known before the last one has stopped.
//! Only who keeps the processes knows; whoever does not (`secrets set` on the command line) says so, and then nothing
//! ends and nothing is forgotten.

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InUse {
    /// Name of the key and number of the value; without a name: whatever it is called.
    values: Vec<(Option<String>, u32)>,
}

impl InUse {
    /// Nothing runs.
    #[must_use]
    pub const fn nothing() -> Self {
        Self { values: Vec::new() }
    }

    /// A process has this value. `name`: of its key, or `None` if nobody can say any more. Number 0 is none.
    pub fn add(&mut self, name: Option<&str>, id: u32) {
        let value = (name.map(str::to_owned), id);
        if id != 0 && !self.values.contains(&value) {
            self.values.push(value);
        }
    }

    /// Whether a process has it.
    #[must_use]
    pub fn has(&self, name: &str, id: u32) -> bool {
        self.values
            .iter()
            .any(|(of, number)| *number == id && of.as_deref().is_none_or(|of| of == name))
    }
}

/// A retired value whose last process has stopped: when it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its key.
    pub name: String,
    /// Its number.
    pub id: u32,
    /// It verifies until then, Unix seconds.
    pub until_unix_s: u64,
    /// It got this end just now.
    pub new: bool,
}
