//! Effects: what a POST does that must not happen twice, written to an append-only file.
//!
//! The line is written in one `write` before the answer, so a SIGKILL at any moment leaves either the whole
//! line or none: the file is the truth about what ran, whatever the clients were told.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Appends ids.
pub(super) struct Effects {
    file: Option<File>,
}

impl Effects {
    /// Into the file at `path`; None counts nothing.
    pub(super) fn open(path: Option<&Path>) -> std::io::Result<Effects> {
        let file = path
            .map(|path| OpenOptions::new().create(true).append(true).open(path))
            .transpose()?;
        Ok(Effects { file })
    }

    /// The effect of the POST with this id happens.
    pub(super) fn happen(&mut self, id: &str) -> std::io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(format!("{id}\n").as_bytes()),
            None => Ok(()),
        }
    }
}

/// How often each id is in the file; an absent file is an empty one.
pub fn count_effects(path: &Path) -> HashMap<String, u32> {
    let text = std::fs::read(path).unwrap_or_default();
    let mut counts = HashMap::new();
    for line in String::from_utf8_lossy(&text).lines() {
        // The first word is the id: other apps write more behind it.
        if let Some(id) = line.split_whitespace().next() {
            *counts.entry(id.to_owned()).or_insert(0) += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_that_happened_twice_is_counted_twice_across_lives() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("effects.log");
        for id in ["a", "b", "a"] {
            let mut life = Effects::open(Some(&path)).expect("opens");
            life.happen(id).expect("written");
        }
        let counts = count_effects(&path);
        assert_eq!(
            (counts.get("a"), counts.get("b"), counts.get("c")),
            (Some(&2), Some(&1), None)
        );
        assert!(count_effects(&dir.path().join("absent")).is_empty());
    }
}
