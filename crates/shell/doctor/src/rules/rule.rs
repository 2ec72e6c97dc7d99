//! What a rule is.

use finding::Severity;

use crate::model::Hit;
use crate::scene::{Scene, Subject};

/// A hit, and the index of the subject that it is about.
pub(crate) type About = (Option<usize>, Hit);

/// How a rule looks.
pub(crate) enum Probe {
    /// At each program.
    Each(fn(&Scene, &Subject) -> Vec<Hit>),
    /// At everything; a hit names the subject that it is about, if there is one.
    All(fn(&Scene) -> Vec<About>),
}

/// What applies a fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Apply {
    /// The configuration changed: the supervisor reads it again.
    Update,
    /// The program reads the change at its next start.
    Restart,
    /// Nothing: it counts at once, or a person decides.
    Nothing,
}

/// A rule.
pub(crate) struct Rule {
    pub(crate) code: &'static str,
    pub(crate) title: &'static str,
    pub(crate) severity: Severity,
    /// What it does to users.
    pub(crate) users: &'static str,
    pub(crate) what: &'static str,
    pub(crate) why: &'static str,
    pub(crate) found: &'static str,
    pub(crate) fix: &'static str,
    pub(crate) ignore: &'static str,
    pub(crate) apply: Apply,
    /// Rules whose finding about the same program explains this one.
    pub(crate) follows: &'static [&'static str],
    pub(crate) probe: Probe,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code)
    }
}
