//! What Steadfast's own ledger tells of a program: why it ended each time, what its definition was.
//!
//! The ledger is read like a log, by whoever may read it; the daemon is not asked.

use std::path::PathBuf;

use ledger::{Entry, Filter};
use rundir::{Identity, Layout};

use crate::scene::{Config, ours, procs};

/// Entries of one program: a crash loop makes some thousand in a day, and the newest say enough.
const ENTRIES_MAX: usize = 500;
/// How far back a removed flag is remembered.
const BACK_S: u64 = 30 * 86_400;

/// Where the ledger of a configuration is; `None` if there is none.
pub(crate) fn dir(config: &Config, around: &conf::Environment) -> Option<PathBuf> {
    let ours = config.loaded.model.steadfast.as_ref();
    let set = ours.and_then(|s| s.state_dir.as_ref());
    let dir = match set {
        Some(dir) => PathBuf::from(&dir.value),
        None => told(config).or_else(|| usual(config, around))?,
    };
    dir.join(ledger::FILE_NAME).is_file().then_some(dir)
}

/// What the running daemon was told.
fn told(config: &Config) -> Option<PathBuf> {
    let daemon = config.daemon.as_ref().filter(|d| d.is_ours())?;
    let tree = procs::tree(daemon.pid);
    tree.iter().find_map(|process| {
        let mut words = process.argv.iter();
        words.find(|word| *word == "--state-dir")?;
        words.next().map(PathBuf::from)
    })
}

/// Where it is if nobody says otherwise.
fn usual(config: &Config, around: &conf::Environment) -> Option<PathBuf> {
    let main = config.loaded.tree.first()?;
    let path = PathBuf::from(&main.path).canonicalize().ok()?;
    Some(Layout::of(&Identity::File(path), &ours::surroundings(around)).state)
}

/// The entries of a program, oldest first. A ledger that may not be read tells nothing.
pub(crate) fn of(dir: &std::path::Path, program: &conf::Program, now_unix_s: u64) -> Vec<Entry> {
    let since_ms = now_unix_s.saturating_sub(BACK_S) * 1_000;
    let filter = Filter::last(ENTRIES_MAX).since(since_ms);
    let mut found = Vec::new();
    for process in &program.processes {
        let name = match program.group == process.name {
            true => process.name.clone(),
            false => format!("{}:{}", program.group, process.name),
        };
        found.extend(ledger::read(dir, &filter.clone().of(&name)).unwrap_or_default());
    }
    found.sort_by_key(|entry| entry.at_ms);
    found
}
