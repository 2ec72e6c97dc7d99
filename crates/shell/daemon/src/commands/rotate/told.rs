//! What is told in the end.

use control::{Body, Done, Outcome, RotatedKey};
use plan::Key;
use secrets::{How as Treatment, Old, Rotated};

use super::{Begun, Wanted};
use crate::rotation::{left_to_do, still_signed_in, words};

/// Collected on the way.
#[derive(Default)]
pub(super) struct Report {
    lines: Vec<String>,
    pub(super) outcomes: Vec<Outcome>,
}

impl Report {
    pub(super) fn line(&mut self, key: &Key, text: &str) {
        self.lines.push(format!("{key}  {text}"));
    }

    pub(super) fn done(mut self, wanted: &Wanted<'_>, begun: &Begun) -> Done {
        self.lines.extend(left_to_do(&begun.upstreams, wanted.name));
        match wanted.how {
            Treatment::Overlap => {
                let lines = still_signed_in(&begun.affected, wanted.name);
                self.lines.extend(lines);
            }
            Treatment::Compromised => self.lines.push(format!(
                "whoever held a token of the old {} has to sign in again; sessions of the gateway go on",
                wanted.name
            )),
        }
        Done::ok(self.body(wanted, begun))
    }

    pub(super) fn failed(self, wanted: &Wanted<'_>, begun: &Begun, why: String) -> Done {
        let error = format!(
            "{why}\nthe new {} is kept, the old one still verifies where it is in use; mend it and run: steadfast update",
            wanted.name
        );
        Done {
            exit: 1,
            error,
            body: self.body(wanted, begun),
        }
    }

    fn body(self, wanted: &Wanted<'_>, begun: &Begun) -> Body {
        let homes = begun.homes.iter();
        let mut lines: Vec<String> = homes.map(|home| words(wanted.name, home)).collect();
        lines.extend(self.lines);
        let home = |home: &Rotated| RotatedKey {
            home: home.origin.to_string(),
            new_id: home.new_id,
            old_id: home.old_id,
            until_s: match home.old {
                Old::Until(until_s) => Some(until_s),
                Old::InUse { .. } | Old::Nothing => None,
            },
            in_use: matches!(home.old, Old::InUse { .. }),
            programs: home.programs.clone(),
        };
        Body::Rotated {
            name: wanted.name.to_owned(),
            homes: begun.homes.iter().map(home).collect(),
            outcomes: self.outcomes,
            lines,
        }
    }
}
