//! Growth: what a process uses more of at each look. A busy server uses more now and less then; a leak only ever more.
//!
//! Over a longer time the looks are taken together in a few parts, and the least of each part counts: what a collector of garbage
//! gives back again and again is no leak, however high it rises between.

use std::fs;
use std::time::Duration;

use crate::live::touch::Processes;
use crate::scene::Scene;
use crate::scene::shown::{Growth, Who};

/// Looks at which there must be more than at the one before. Fewer happen to everyone who is starting up.
const RISES_MIN: usize = 4;

/// Parts of the time after the first look.
const PARTS: usize = 5;

/// A server that warms up takes less than this within seconds.
const MEMORY_KB_MIN: u64 = 8 << 10;

/// Connections come and go; so many more in seconds, and none less at any look, are not let go of.
const FDS_MIN: u64 = 16;

/// One process at every look.
#[derive(Debug)]
struct Row {
    subject: usize,
    pid: i32,
    start_ticks: u64,
    memory_kb: Vec<u64>,
    fds: Vec<u64>,
}

/// The looks at all processes.
#[derive(Debug)]
pub(crate) struct Looks(Vec<Row>);

impl Looks {
    pub(crate) fn new(scene: &Scene, processes: &Processes) -> Looks {
        let mut rows = Vec::new();
        for (subject, processes) in (0..scene.subjects.len()).zip(processes) {
            rows.extend(processes.iter().map(|process| Row {
                subject,
                pid: process.pid,
                start_ticks: process.start_ticks,
                memory_kb: Vec::new(),
                fds: Vec::new(),
            }));
        }
        let mut looks = Looks(rows);
        looks.look();
        looks
    }

    pub(crate) fn look(&mut self) {
        for row in &mut self.0 {
            let same = sys::proc::stat(row.pid).is_some_and(|s| s.start_ticks == row.start_ticks);
            if !same {
                continue;
            }
            row.memory_kb.extend(memory_kb(row.pid));
            let fds = fs::read_dir(format!("/proc/{}/fd", row.pid)).ok();
            row.fds.extend(fds.map(|fds| fds.count() as u64));
        }
    }

    pub(crate) fn grown(self, scene: &Scene, time: Duration) -> Vec<Growth> {
        let mut found = Vec::new();
        for row in self.0 {
            let Some(subject) = scene.subjects.get(row.subject) else {
                continue;
            };
            for (what, values, min) in [
                ("memory", row.memory_kb, MEMORY_KB_MIN),
                ("descriptors", row.fds, FDS_MIN),
            ] {
                let values = parts(&values);
                if grows(&values, min) {
                    found.push(Growth {
                        who: Who::of(subject),
                        pid: row.pid,
                        what,
                        values,
                        within_s: time.as_secs(),
                    });
                }
            }
        }
        found
    }
}

/// The first look, then the least of each part of the time.
fn parts(values: &[u64]) -> Vec<u64> {
    let Some((first, rest)) = values.split_first() else {
        return Vec::new();
    };
    let mut out = vec![*first];
    out.extend((0..PARTS.min(rest.len())).filter_map(|part| {
        let at = |n: usize| n * rest.len() / PARTS.min(rest.len());
        rest.get(at(part)..at(part + 1))?.iter().min().copied()
    }));
    out
}

/// More at each look, and enough in all.
fn grows(values: &[u64], min: u64) -> bool {
    let rises = values.windows(2).filter(|w| w[1] > w[0]).count();
    let total = match (values.first(), values.last()) {
        (Some(first), Some(last)) => last.saturating_sub(*first),
        _ => 0,
    };
    rises >= RISES_MIN && rises + 1 == values.len() && total >= min
}

/// Resident memory (proc_pid_status(5)).
fn memory_kb(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_a_longer_time_the_least_counts() {
        assert!(parts(&[]).is_empty());
        assert_eq!(parts(&[1, 2, 3]), [1, 2, 3]);
        assert_eq!(parts(&[1, 2, 3, 4, 5, 6]), [1, 2, 3, 4, 5, 6]);
        // A collector gives back at every third look: no leak.
        let saw: Vec<u64> = (0..31).map(|n| 100 + n % 3 * 50).collect();
        assert!(!grows(&parts(&saw), 50));
        // The same with something kept each time.
        let leak: Vec<u64> = (0..31).map(|n| 100 + n % 3 * 50 + n * 4).collect();
        assert_eq!(parts(&leak).len(), 6);
        assert!(grows(&parts(&leak), 50));
    }

    #[test]
    fn only_what_never_falls_grows() {
        assert!(grows(&[10, 20, 30, 40, 50, 60], 50));
        assert!(!grows(&[10, 20, 30, 40, 50, 59], 50));
        assert!(!grows(&[10, 200, 30, 400, 500, 600], 50));
        assert!(!grows(&[10, 200, 200, 400, 500, 600], 50));
        assert!(!grows(&[10, 1000], 50));
        assert!(!grows(&[], 0));
        let own = i32::try_from(std::process::id()).expect("a pid");
        assert!(memory_kb(own).is_some_and(|kb| kb > 100));
    }
}
