//! Reading, from the end: what people ask for is nearly always the latest.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::entry::{Entry, What};
use crate::segments::{FILE_NAME, old_path};

/// Bytes of the longest line that is looked at: texts are cut far below, so anything longer is not ours.
pub const LINE_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one step towards the front: the last hundred lines in one read.
const STEP_BYTES: usize = 64 * 1024;

/// Which entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this process (`backend`, `group:name`), and of groups named in it (`group:*`); None = all.
    pub process: Option<String>,
    /// Only what happened at or after this wall time, ms.
    pub since_ms: u64,
    /// At most so many, the newest; 0 = no limit but the size of the files.
    pub limit: usize,
}

impl Filter {
    /// The last `limit` entries.
    pub fn last(limit: usize) -> Filter {
        Filter {
            limit,
            ..Filter::default()
        }
    }
    /// Only of `process`.
    pub fn of(mut self, process: &str) -> Filter {
        self.process = Some(process.to_owned());
        self
    }
    /// Only since `since_ms`.
    pub fn since(mut self, since_ms: u64) -> Filter {
        self.since_ms = since_ms;
        self
    }

    fn wants(&self, entry: &Entry) -> bool {
        let shown = !matches!(entry.what, What::Marks { .. });
        let process = self.process.as_deref().is_none_or(|name| {
            let of_group = name
                .strip_suffix(":*")
                .is_some_and(|group| entry.process.split(':').next() == Some(group));
            entry.process == name || of_group
        });
        shown && process && entry.at_ms >= self.since_ms
    }
}

/// The entries of the ledger in `dir` that `filter` wants, by the time they happened, newest last. A missing
/// ledger is an empty one; lines that are torn, newer than this build or not ours are skipped.
///
/// Reads from the end and stops as soon as it has enough: at `limit` entries, or at a line that was *written*
/// before `since_ms` (replayed transitions carry older times than their neighbours, so the time that an
/// entry happened could not end the search).
pub fn read(dir: &Path, filter: &Filter) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for path in [dir.join(FILE_NAME), old_path(dir)] {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let more = lines_backwards(&file, |line| {
            let Ok(entry) = serde_json::from_slice::<Entry>(line) else {
                return true;
            };
            let older = entry.noted_ms != 0 && entry.noted_ms < filter.since_ms;
            if filter.wants(&entry) {
                found.push(entry);
            }
            !older && (filter.limit == 0 || found.len() < filter.limit)
        })?;
        if !more {
            break;
        }
    }
    found.reverse();
    found.sort_by_key(|entry| entry.at_ms);
    Ok(found)
}

/// Calls `each` for the lines from the last to the first until it answers false; whether it never did.
fn lines_backwards(file: &File, mut each: impl FnMut(&[u8]) -> bool) -> io::Result<bool> {
    let mut at = file.metadata()?.len();
    // The front part of a line whose rest is still to come, i.e. everything before the last newline seen.
    let mut tail: Vec<u8> = Vec::new();
    let mut too_long = false;
    while at > 0 {
        let step = STEP_BYTES.min(usize::try_from(at).unwrap_or(STEP_BYTES));
        at -= step as u64;
        let mut chunk = vec![0; step];
        file.read_exact_at(&mut chunk, at)?;
        chunk.append(&mut tail);
        let mut end = chunk.len();
        while let Some(newline) = chunk[..end].iter().rposition(|b| *b == b'\n') {
            let line = &chunk[newline + 1..end];
            if !std::mem::take(&mut too_long) && !line.is_empty() && !each(line) {
                return Ok(false);
            }
            end = newline;
        }
        chunk.truncate(end);
        if chunk.len() > LINE_BYTES_MAX {
            too_long = true;
            chunk.clear();
        }
        tail = chunk;
    }
    Ok(too_long || tail.is_empty() || each(&tail))
}
