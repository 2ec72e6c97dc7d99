//! The lines of the file. These types are the disk's own: `wire` may change its numbers, these names stay.

use serde::{Deserialize, Serialize};
use wire::{Counts, Transition};

/// Version of the lines. A reader takes any version and skips the lines that it cannot make sense of.
pub const LINE_VERSION: u32 = 1;
/// Bytes kept of each free text: enough for the last lines of a traceback; a crash loop must not fill the
/// file with them.
pub const TEXT_BYTES_MAX: usize = 2 * 1024;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// [`LINE_VERSION`].
    pub v: u32,
    /// When it happened, wall clock, ms. Replayed transitions keep their original time.
    pub at_ms: u64,
    /// When it was written, wall clock, ms; set by the ledger. Rises through the file (but for clock changes).
    #[serde(default)]
    pub noted_ms: u64,
    /// Process (`backend`, `group:name`); empty = the whole installation.
    #[serde(default)]
    pub process: String,
    /// What.
    pub what: What,
}

/// A keeper's life: its pid may be used again, its start time not with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeper {
    /// Its pid.
    pub pid: i32,
    /// Start time as in `/proc/PID/stat` (clock ticks since boot), or anything else that differs between lives.
    pub started: u64,
}

/// Kinds of entries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A change of state of a process.
    Transition(Happened),
    /// The configuration changed.
    Config {
        /// What differs, a line each (`environment +LOG_LEVEL`); values that look secret are masked.
        changes: Vec<String>,
        /// Who made it effective: `update by root (pts/0)`.
        by: String,
    },
    /// A person or a tool asked for something.
    Command {
        /// `restart backend`.
        command: String,
        /// `root (pts/0)`, `XML-RPC user`.
        by: String,
        /// 0 done, 1 not as wished, 2 could not; None = it had only begun.
        exit: Option<u8>,
        /// The error, if any.
        #[serde(default)]
        text: String,
    },
    /// Something about Steadfast itself: the daemon started, was replaced, adopted keepers, lost one.
    Note {
        /// Words.
        text: String,
    },
    /// First line of a segment: what was known when the last one was full. Not shown to people.
    Marks {
        /// One for each slot.
        marks: Vec<Mark>,
    },
}

/// The last transition of a slot that is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Slot.
    pub slot: u32,
    /// Its keeper.
    pub keeper: Keeper,
    /// Number of the transition.
    pub seq: u64,
}

/// A [`wire::Transition`], as words.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Happened {
    /// Slot.
    pub slot: u32,
    /// Keeper's pid.
    pub keeper_pid: i32,
    /// Keeper's start time.
    pub keeper_started: u64,
    /// Number of the transition.
    pub seq: u64,
    /// Supervisor's state before.
    pub from: String,
    /// Supervisor's state after.
    pub to: String,
    /// Generation.
    pub generation: u64,
    /// Pid of the process that it is about.
    pub pid: i32,
    /// Why, [`wire::Why`] in words.
    pub why: String,
    /// Why, in more words.
    pub text: String,
    /// For an end: exit status, or -signal.
    pub exit: Option<i32>,
    /// For an end: whether it was expected.
    pub expected: bool,
    /// For an end: how long it lived.
    pub lived_ms: u64,
    /// For becoming ready: how long nothing was ready before.
    pub away_ms: u64,
    /// For becoming ready: from start to ready.
    pub took_ms: u64,
    /// A replacement by overlap.
    pub replaced: bool,
    /// Back-off count.
    pub tries: u32,
    /// Last lines of output, the answer of a check, leftovers.
    pub note: String,
    /// Requests that the gateways counted since the slot exists: all,
    pub requests: u64,
    /// those that waited,
    pub waited: u64,
    /// those that failed,
    pub failed: u64,
    /// and those of the failed that the program may have run.
    pub may_have_run: u64,
}

impl Happened {
    /// The keeper that told it.
    pub fn keeper(&self) -> Keeper {
        Keeper {
            pid: self.keeper_pid,
            started: self.keeper_started,
        }
    }
    /// Something about a state that did not change: ready before or after RUNNING, the old generation of an
    /// overlap gone, a replacement refused. `note` says which.
    pub fn is_remark(&self) -> bool {
        self.from == self.to && !self.replaced
    }
    /// A process was started.
    pub fn is_start(&self) -> bool {
        self.to == "STARTING" && !self.is_remark()
    }
    /// A process is RUNNING now (or took over in an overlap).
    pub fn is_running(&self) -> bool {
        self.to == "RUNNING" && !self.is_remark()
    }
    /// The remark that a process is ready, where that is not the moment at which it is RUNNING.
    pub fn is_ready_remark(&self) -> bool {
        self.is_remark() && self.note == "ready"
    }
    /// A process ended.
    pub fn is_end(&self) -> bool {
        self.exit.is_some()
    }
    /// The counts.
    pub fn counts(&self) -> Counts {
        Counts {
            requests: self.requests,
            waited: self.waited,
            failed: self.failed,
            longest_wait_ms: 0,
            may_have_run: self.may_have_run,
        }
    }
}

impl Entry {
    /// A transition that `keeper` of `slot` reported for `process`.
    pub fn transition(process: &str, slot: u32, keeper: Keeper, transition: &Transition) -> Entry {
        let t = transition;
        Entry::at(
            t.wall_ms,
            process,
            What::Transition(Happened {
                slot,
                keeper_pid: keeper.pid,
                keeper_started: keeper.started,
                seq: t.seq,
                from: t.from.to_string(),
                to: t.to.to_string(),
                generation: t.generation,
                pid: t.pid,
                why: t.cause.why.to_string(),
                text: t.cause.text.clone(),
                exit: t.exit,
                expected: t.expected,
                lived_ms: t.lived_ms,
                away_ms: t.away_ms,
                took_ms: t.took_ms,
                replaced: t.replaced,
                tries: t.tries,
                note: t.note.clone(),
                requests: t.counts.requests,
                waited: t.counts.waited,
                failed: t.counts.failed,
                may_have_run: t.counts.may_have_run,
            }),
        )
    }

    /// The definition of `process` changed at `at_ms`.
    pub fn config(at_ms: u64, process: &str, changes: Vec<String>, by: &str) -> Entry {
        let by = by.to_owned();
        Entry::at(at_ms, process, What::Config { changes, by })
    }

    /// A command for `process` (empty = all) ended at `at_ms`, or began (`exit` None).
    pub fn command(
        at_ms: u64,
        process: &str,
        command: &str,
        by: &str,
        exit: Option<u8>,
        text: &str,
    ) -> Entry {
        let what = What::Command {
            command: command.to_owned(),
            by: by.to_owned(),
            exit,
            text: text.to_owned(),
        };
        Entry::at(at_ms, process, what)
    }

    /// Something about Steadfast itself, or a slot of it.
    pub fn note(at_ms: u64, process: &str, text: &str) -> Entry {
        let text = text.to_owned();
        Entry::at(at_ms, process, What::Note { text })
    }

    fn at(at_ms: u64, process: &str, what: What) -> Entry {
        Entry {
            v: LINE_VERSION,
            at_ms,
            noted_ms: 0,
            process: process.to_owned(),
            what,
        }
    }

    /// The transition, if it is one.
    pub fn happened(&self) -> Option<&Happened> {
        match &self.what {
            What::Transition(happened) => Some(happened),
            What::Config { .. } | What::Command { .. } | What::Note { .. } | What::Marks { .. } => {
                None
            }
        }
    }

    /// Masks what looks secret and cuts what is long, in every free text.
    pub(crate) fn made_safe(mut self) -> Entry {
        let mut texts: Vec<&mut String> = vec![];
        match &mut self.what {
            What::Transition(h) => texts.extend([&mut h.text, &mut h.note]),
            What::Config { changes, by } => {
                texts.extend(changes.iter_mut());
                texts.push(by);
            }
            What::Command {
                command, by, text, ..
            } => texts.extend([command, by, text]),
            What::Note { text } => texts.push(text),
            What::Marks { .. } => {}
        }
        for text in texts {
            *text = safe(text);
        }
        self
    }
}

/// The text, masked line by line (first, so that a cut never parts a value from the name that gives it away),
/// then cut at [`TEXT_BYTES_MAX`]. The end is kept: the last lines of an output say what went wrong.
fn safe(text: &str) -> String {
    let masked: Vec<String> = text.split('\n').map(finding::mask_line).collect();
    let masked = masked.join("\n");
    let mut start = masked.len().saturating_sub(TEXT_BYTES_MAX);
    if start == 0 {
        return masked;
    }
    while !masked.is_char_boundary(start) {
        start += 1;
    }
    format!("…{}", &masked[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_get_in_and_the_end_of_a_long_text_stays() {
        let changes = vec!["environment SECRET_KEY=hunter2 LOG_LEVEL=debug".to_owned()];
        let entry = Entry::config(1, "backend", changes, "update by root").made_safe();
        let json = serde_json::to_string(&entry).expect("json");
        assert!(!json.contains("hunter2"), "{json}");
        assert!(json.contains("LOG_LEVEL=debug"), "{json}");

        let long = format!("{}é\nModuleNotFoundError", "x".repeat(10_000));
        let cut = safe(&long);
        assert!(cut.len() <= TEXT_BYTES_MAX + "…".len());
        assert!(cut.ends_with("ModuleNotFoundError"));
    }

    #[test]
    fn a_line_of_an_older_and_of_a_newer_build_is_read() {
        let old = r#"{"v":1,"at_ms":5,"process":"b","what":{"kind":"transition","seq":3,"to":"RUNNING"}}"#;
        let entry: Entry = serde_json::from_str(old).expect("old");
        assert_eq!(entry.happened().map(|h| h.seq), Some(3));
        let new = r#"{"v":2,"at_ms":5,"process":"b","zone":"x","what":{"kind":"note","text":"t","mood":1}}"#;
        assert!(serde_json::from_str::<Entry>(new).is_ok());
        let unknown = r#"{"v":2,"at_ms":5,"process":"b","what":{"kind":"dream"}}"#;
        assert!(
            serde_json::from_str::<Entry>(unknown).is_err(),
            "the reader skips it"
        );
    }
}
