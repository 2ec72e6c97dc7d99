//! The types of events and their families, by the names that `events = …` uses.

/// A type of event that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    missing_docs,
    reason = "the names are those of Supervisor's documentation"
)]
pub enum Kind {
    ProcessStateStopped,
    ProcessStateExited,
    ProcessStateStarting,
    ProcessStateStopping,
    ProcessStateBackoff,
    ProcessStateFatal,
    ProcessStateRunning,
    ProcessStateUnknown,
    ProcessCommunicationStdout,
    ProcessCommunicationStderr,
    ProcessLogStdout,
    ProcessLogStderr,
    RemoteCommunication,
    SupervisorRunning,
    SupervisorStopping,
    Tick5,
    Tick60,
    Tick3600,
    ProcessGroupAdded,
    ProcessGroupRemoved,
    /// Ours: a generation took over from another while the process stayed RUNNING. Sent only to those who name it.
    Replaced,
}

/// Every type with its name, in an order that never changes: snapshots name types by it.
const NAMES: [(Kind, &str); 21] = [
    (Kind::ProcessStateStopped, "PROCESS_STATE_STOPPED"),
    (Kind::ProcessStateExited, "PROCESS_STATE_EXITED"),
    (Kind::ProcessStateStarting, "PROCESS_STATE_STARTING"),
    (Kind::ProcessStateStopping, "PROCESS_STATE_STOPPING"),
    (Kind::ProcessStateBackoff, "PROCESS_STATE_BACKOFF"),
    (Kind::ProcessStateFatal, "PROCESS_STATE_FATAL"),
    (Kind::ProcessStateRunning, "PROCESS_STATE_RUNNING"),
    (Kind::ProcessStateUnknown, "PROCESS_STATE_UNKNOWN"),
    (
        Kind::ProcessCommunicationStdout,
        "PROCESS_COMMUNICATION_STDOUT",
    ),
    (
        Kind::ProcessCommunicationStderr,
        "PROCESS_COMMUNICATION_STDERR",
    ),
    (Kind::ProcessLogStdout, "PROCESS_LOG_STDOUT"),
    (Kind::ProcessLogStderr, "PROCESS_LOG_STDERR"),
    (Kind::RemoteCommunication, "REMOTE_COMMUNICATION"),
    (Kind::SupervisorRunning, "SUPERVISOR_STATE_CHANGE_RUNNING"),
    (Kind::SupervisorStopping, "SUPERVISOR_STATE_CHANGE_STOPPING"),
    (Kind::Tick5, "TICK_5"),
    (Kind::Tick60, "TICK_60"),
    (Kind::Tick3600, "TICK_3600"),
    (Kind::ProcessGroupAdded, "PROCESS_GROUP_ADDED"),
    (Kind::ProcessGroupRemoved, "PROCESS_GROUP_REMOVED"),
    (Kind::Replaced, "REPLACED"),
];

/// Families: a name that stands for every type that begins with it.
const FAMILIES: [&str; 6] = [
    "PROCESS_STATE",
    "PROCESS_COMMUNICATION",
    "PROCESS_LOG",
    "SUPERVISOR_STATE_CHANGE",
    "TICK",
    "PROCESS_GROUP",
];

/// The name that stands for everything of Supervisor's.
const EVERYTHING: &str = "EVENT";

impl Kind {
    /// Every type.
    pub const ALL: [Kind; 21] = {
        let mut all = [Kind::Replaced; 21];
        let mut at = 0;
        while at < all.len() {
            all[at] = NAMES[at].0;
            at += 1;
        }
        all
    };

    /// Supervisor's name.
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    /// The type of this name; families are none.
    pub fn named(name: &str) -> Option<Kind> {
        NAMES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(kind, _)| *kind)
    }
}

/// A set of types: what a pool subscribes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(u32);

impl Kinds {
    /// The types that a name of `events` stands for, `None` for a word that is none. Capital letters do not matter.
    pub fn of(name: &str) -> Option<Kinds> {
        let name = name.to_uppercase();
        let mut kinds = Kinds::default();
        if name == EVERYTHING {
            let all = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Replaced);
            all.for_each(|kind| kinds.add(kind));
        } else if FAMILIES.contains(&name.as_str()) {
            let family = format!("{name}_");
            let members = Kind::ALL
                .into_iter()
                .filter(|kind| kind.name().starts_with(&family));
            members.for_each(|kind| kinds.add(kind));
        } else {
            kinds.add(Kind::named(&name)?);
        }
        Some(kinds)
    }

    /// Every word that [`Kinds::of`] knows, for suggestions.
    pub fn words() -> impl Iterator<Item = &'static str> {
        let names = NAMES.iter().map(|(_, name)| *name);
        names.chain(FAMILIES).chain([EVERYTHING])
    }

    /// Adds a type.
    pub fn add(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u32;
    }

    /// Both together.
    pub fn union(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    /// Whether the type is in it.
    pub fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(word: &str) -> Vec<&'static str> {
        let kinds = Kinds::of(word).expect(word);
        let members = Kind::ALL.into_iter().filter(|kind| kinds.has(*kind));
        members.map(Kind::name).collect()
    }

    #[test]
    fn a_family_is_its_members_and_everything_is_supervisors() {
        assert_eq!(names("tick"), ["TICK_5", "TICK_60", "TICK_3600"]);
        assert_eq!(names("PROCESS_STATE").len(), 8);
        assert_eq!(names("PROCESS_LOG_STDERR"), ["PROCESS_LOG_STDERR"]);
        assert_eq!(names("EVENT").len(), 20);
        assert!(!names("EVENT").contains(&"REPLACED"));
        assert_eq!(names("replaced"), ["REPLACED"]);
        assert_eq!(Kinds::of("PROCESS"), None);
        assert_eq!(Kinds::of(""), None);
    }
}
