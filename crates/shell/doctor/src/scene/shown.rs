//! What experiments showed (`--live`).

use std::path::PathBuf;

use crate::scene::{Source, Subject};
use crate::time::duration;

/// Which program a result is about: it may be another process, or stand elsewhere in the scene, after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    source: Source,
    pub(crate) name: String,
}

impl Who {
    pub(crate) fn of(subject: &Subject) -> Who {
        Who {
            source: subject.source,
            name: subject.name.clone(),
        }
    }

    pub(crate) fn is(&self, subject: &Subject) -> bool {
        self.source == subject.source && self.name == subject.name
    }
}

/// What the experiments showed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live {
    pub(crate) tests: Vec<Test>,
    pub(crate) pings: Vec<Pings>,
    pub(crate) growth: Vec<Growth>,
    pub(crate) writes: Vec<Written>,
    pub(crate) restarts: Vec<Restart>,
    pub(crate) unseen: Vec<String>,
}

impl Live {
    pub(crate) fn any_restarted(&self) -> bool {
        self.tests.iter().any(|t| t.restarted)
    }

    /// The touch tests in words.
    pub(crate) fn words(&self) -> String {
        let words = self.tests.iter().map(Test::words);
        words.collect::<Vec<_>>().join("; ")
    }
}

/// One program's test.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    pub(crate) who: Who,
    /// The file that was made.
    pub(crate) file: PathBuf,
    pub(crate) pid: i32,
    /// When that process had started.
    pub(crate) start_unix_s: u64,
    pub(crate) restarted: bool,
    /// Its age before, and after if it is the same process.
    pub(crate) up_before_s: u64,
    pub(crate) up_s: u64,
}

impl Test {
    pub(crate) fn words(&self) -> String {
        let name = &self.who.name;
        if self.restarted {
            format!("{name}: a new file restarted it")
        } else {
            let up = duration(self.up_s);
            format!("{name}: pid {} stayed, up {up}", self.pid)
        }
    }
}

/// What came of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pings {
    pub(crate) who: Who,
    pub(crate) url: String,
    pub(crate) asked: usize,
    /// With 2xx.
    pub(crate) answered: usize,
    /// How long answers took, in microseconds, sorted; of every answer, whatever it was.
    pub(crate) took_us: Vec<u64>,
    /// Why the last one that failed did.
    pub(crate) failure: Option<String>,
}

impl Pings {
    pub(crate) fn min_us(&self) -> Option<u64> {
        self.took_us.first().copied()
    }

    pub(crate) fn median_us(&self) -> Option<u64> {
        self.took_us.get(self.took_us.len() / 2).copied()
    }

    pub(crate) fn max_us(&self) -> Option<u64> {
        self.took_us.last().copied()
    }

    /// `5 of 5 answered, min 0.8, median 1.1, max 3.0 ms`.
    pub(crate) fn words(&self) -> String {
        let mut words = format!("{} of {} answered", self.answered, self.asked);
        for (name, value) in [
            ("min", self.min_us()),
            ("median", self.median_us()),
            ("max", self.max_us()),
        ] {
            if let Some(us) = value {
                words.push_str(&format!(", {name} {}.{}", us / 1_000, us / 100 % 10));
            }
        }
        if !self.took_us.is_empty() {
            words.push_str(" ms");
        }
        words
    }
}

/// What grew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Growth {
    pub(crate) who: Who,
    pub(crate) pid: i32,
    /// `memory` or `descriptors`.
    pub(crate) what: &'static str,
    /// kB of memory, or a number of descriptors, at each look.
    pub(crate) values: Vec<u64>,
    /// Between the first look and the last.
    pub(crate) within_s: u64,
}

impl Growth {
    /// `pid 842: memory 120 MB at the first look, then 160, 201, 240 MB within 4s`.
    pub(crate) fn words(&self) -> String {
        let (divisor, unit) = match self.what {
            "memory" => (1 << 10, " MB"),
            _ => (1, ""),
        };
        let values: Vec<String> = self
            .values
            .iter()
            .map(|v| (v / divisor).to_string())
            .collect();
        let first = values.first().map_or("", String::as_str);
        let rest = values.get(1..).unwrap_or_default().join(", ");
        format!(
            "pid {}: {} {first}{unit} at the first look, then {rest}{unit} within {}",
            self.pid,
            self.what,
            duration(self.within_s)
        )
    }
}

/// Writes of one process to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) who: Who,
    pub(crate) pid: i32,
    /// Its command line; empty if it is gone already.
    pub(crate) command: String,
    pub(crate) path: PathBuf,
    pub(crate) times: usize,
}

impl Written {
    /// `pid 77 (python job.py) wrote /app/x.log, 3 times`.
    pub(crate) fn words(&self) -> String {
        let by = match self.command.as_str() {
            "" => "gone since",
            command => command,
        };
        let times = match self.times {
            1 => String::new(),
            times => format!(", {times} times"),
        };
        format!(
            "pid {} ({by}) wrote {}{times}",
            self.pid,
            self.path.display()
        )
    }
}

/// A restart that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restart {
    pub(crate) who: Who,
    pub(crate) command: String,
    pub(crate) pid_before: i32,
    pub(crate) pid_after: Option<i32>,
    /// From the command to the new process, and its answer if it answered before.
    pub(crate) took_ms: u64,
    /// Why it is not back.
    pub(crate) failure: Option<String>,
    /// Whether the token of before is valid now; `None` if none was asked for, or if that could not be asked.
    pub(crate) token_is_valid: Option<bool>,
    pub(crate) token_words: Option<String>,
}

impl Restart {
    /// `backend: pid 842 became 901 within 1.4 s; the token of before is valid`.
    pub(crate) fn words(&self) -> String {
        let (name, before) = (&self.who.name, self.pid_before);
        let mut words = match (&self.failure, self.pid_after) {
            (Some(why), _) => format!("{name}: pid {before} was restarted, and {why}"),
            (None, after) => {
                let after = after.map_or_else(|| "another".to_owned(), |pid| pid.to_string());
                let (s, tenth) = (self.took_ms / 1_000, self.took_ms / 100 % 10);
                format!("{name}: pid {before} became {after} within {s}.{tenth} s")
            }
        };
        if let Some(token) = &self.token_words {
            words.push_str(&format!("; {token}"));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_the_median() {
        let pings = Pings {
            who: Who {
                source: Source::Process,
                name: "a".to_owned(),
            },
            url: "http://h/".to_owned(),
            asked: 5,
            answered: 3,
            took_us: vec![800, 1_150, 3_000],
            failure: None,
        };
        assert_eq!(
            pings.words(),
            "3 of 5 answered, min 0.8, median 1.1, max 3.0 ms"
        );
    }
}
