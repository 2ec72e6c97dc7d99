//! Changes to a command line: words dropped, replaced, added; within `sh -c '…'` by byte ranges of the script.

use crate::words::Place;
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Drop,
    Become(Vec<String>),
}

/// A set of changes, by place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Edits {
    changes: BTreeMap<Place, Change>,
}

impl Edits {
    pub(crate) fn drop(&mut self, at: &Place) {
        self.changes.insert(at.clone(), Change::Drop);
    }

    /// In place of the word there, these words.
    pub(crate) fn become_words(&mut self, at: &Place, words: Vec<String>) {
        self.changes.insert(at.clone(), Change::Become(words));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes
            .keys()
            .all(|place| matches!(place, Place::Env(_)))
    }

    /// The command line with the changes made.
    pub(crate) fn apply(&self, argv: &[String]) -> Vec<String> {
        let mut out = Vec::with_capacity(argv.len());
        for (i, word) in argv.iter().enumerate() {
            match self.changes.get(&Place::Word(i)) {
                Some(Change::Drop) => {}
                Some(Change::Become(words)) => out.extend(words.iter().cloned()),
                None => out.push(self.script(i, word)),
            }
        }
        out
    }

    /// Changes inside word `i`, from its end to its start so that ranges stay true.
    fn script(&self, i: usize, script: &str) -> String {
        let mut out = script.to_owned();
        for (place, change) in self.changes.iter().rev() {
            let Place::Inside { word, start, end } = place else {
                continue;
            };
            if *word != i || out.get(*start..*end).is_none() {
                continue;
            }
            match change {
                Change::Become(words) => out.replace_range(*start..*end, &words.join(" ")),
                Change::Drop => {
                    let head = out[..*start].trim_end_matches([' ', '\t']).len();
                    let from = if head == 0 { *start } else { head };
                    out.replace_range(from..*end, "");
                }
            }
        }
        out.trim_start_matches([' ', '\t']).to_owned()
    }
}
