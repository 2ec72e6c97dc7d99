//! What the processes of an installation are, read from /proc: by a word in their environment.
//!
//! Keepers outlive everything and belong to nobody once root was killed, so neither parents nor pidfiles find
//! them all. The environment does: every process of an installation inherits its `STEADFAST_RUN_DIR`.

use std::path::Path;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its pid.
    pub pid: i32,
    /// Its parent's pid.
    pub parent: i32,
    /// Its command line.
    pub argv: Vec<String>,
}

impl Process {
    /// Is one of the words of the command line `word`?
    pub fn has(&self, word: &str) -> bool {
        self.argv.iter().any(|each| each == word)
    }
}

/// Living processes whose environment or command line mentions `word`, and those below them in the tree; zombies
/// are dead.
pub fn mentioning(word: &str) -> Vec<Process> {
    let own = std::process::id() as i32;
    let all = all();
    let mut found: Vec<i32> = all
        .iter()
        .map(|process| process.pid)
        .filter(|pid| *pid != own && mentions(*pid, word))
        .collect();
    loop {
        let below = |process: &&Process| {
            found.contains(&process.parent) && !found.contains(&process.pid) && process.pid != own
        };
        let more: Vec<i32> = all
            .iter()
            .filter(below)
            .map(|process| process.pid)
            .collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    all.into_iter()
        .filter(|process| found.contains(&process.pid))
        .collect()
}

/// All living processes, by pid.
fn all() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut all: Vec<Process> = pids.filter_map(read).collect();
    all.sort_by_key(|process| process.pid);
    all
}

fn mentions(pid: i32, word: &str) -> bool {
    ["environ", "cmdline"].iter().any(|file| {
        std::fs::read(format!("/proc/{pid}/{file}"))
            .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(word))
    })
}

/// A living process; None for zombies and for pids that are gone.
pub fn read(pid: i32) -> Option<Process> {
    let (state, parent) = state_and_parent(pid)?;
    if state == 'Z' || state == 'X' {
        return None;
    }
    let argv = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let argv = String::from_utf8_lossy(&argv)
        .split_terminator('\0')
        .map(str::to_owned)
        .collect();
    Some(Process { pid, parent, argv })
}

/// Lives it (a zombie does not)?
pub fn lives(pid: i32) -> bool {
    read(pid).is_some()
}

fn state_and_parent(pid: i32) -> Option<(char, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(") ")?.1;
    let mut words = after_name.split(' ');
    let state = words.next()?.chars().next()?;
    Some((state, words.next()?.parse().ok()?))
}

/// User and system time in clock ticks.
pub fn cpu_ticks(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let words: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let user: u64 = words.get(11)?.parse().ok()?;
    let system: u64 = words.get(12)?.parse().ok()?;
    Some(user + system)
}

/// A field of `smaps_rollup` in kB (`Pss`, `Private_Dirty`).
pub fn memory_kb(pid: i32, field: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find(|line| {
        line.strip_prefix(field)
            .is_some_and(|rest| rest.starts_with(':'))
    })?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Sends a signal; false if there is no such process.
pub fn signal(pid: i32, signal: rustix::process::Signal) -> bool {
    rustix::process::Pid::from_raw(pid)
        .is_some_and(|pid| rustix::process::kill_process(pid, signal).is_ok())
}

/// Is `path` a socket that exists?
pub fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|data| data.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_found_by_its_environment_and_lives_until_it_is_reaped_or_not() {
        let mut child = std::process::Command::new("sleep")
            .arg("30")
            .env("STORM_PROCFS_TEST", "word-of-this-test")
            .spawn()
            .expect("sleep starts");
        let pid = child.id() as i32;
        let found = crate::wait::until(crate::wait::PATIENCE, || {
            let found = mentioning("word-of-this-test");
            found
                .iter()
                .find(|each| each.pid == pid && each.has("30"))
                .cloned()
        });
        assert_eq!(
            found.map(|each| each.parent),
            Some(std::process::id() as i32)
        );
        assert!(memory_kb(pid, "Pss").is_some() && cpu_ticks(pid).is_some());
        assert!(signal(pid, rustix::process::Signal::KILL));
        let gone = crate::wait::until(crate::wait::PATIENCE, || (!lives(pid)).then_some(()));
        assert!(gone.is_some(), "a zombie counts as dead");
        child.wait().expect("reaped");
    }
}
