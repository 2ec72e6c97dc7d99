//! The writer: append, rotate, remember.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::entry::{Entry, LINE_VERSION, Mark, What};
use crate::read::{Filter, read};
use crate::segments::{FILE_BYTES_MAX, FILE_NAME, old_path};

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is in the file.
    New,
    /// It was in the file already (a transition that was replayed).
    Known,
}

/// The open ledger. There is one writer: the daemon.
#[derive(Debug)]
pub struct Ledger {
    dir: PathBuf,
    file: File,
    /// Length up to which the file consists of whole lines.
    size: u64,
    /// A write failed half way: the file may be longer than `size`.
    torn: bool,
    marks: BTreeMap<u32, Mark>,
    file_bytes_max: u64,
}

impl Ledger {
    /// Opens or makes `dir/ledger.jsonl` (0600; the directory must exist), cuts off a torn last line and reads
    /// which transitions it has. A torn line was never acknowledged, so its keeper sends it again.
    pub fn open(dir: &Path) -> io::Result<Ledger> {
        Ledger::open_bounded(dir, FILE_BYTES_MAX)
    }

    pub(crate) fn open_bounded(dir: &Path, file_bytes_max: u64) -> io::Result<Ledger> {
        let mut file = open_file(&dir.join(FILE_NAME))?;
        let (size, marks) = survey(&mut file)?;
        let mut ledger = Ledger {
            dir: dir.to_owned(),
            file,
            size,
            torn: true,
            marks,
            file_bytes_max,
        };
        ledger.mend()?;
        Ok(ledger)
    }

    /// Writes `entry` at wall time `now_ms`, unless it is a transition that is in the file already. On an error
    /// nothing of it counts as written: do not acknowledge the transition, it will be sent again.
    pub fn append(&mut self, entry: &Entry, now_ms: u64) -> io::Result<Written> {
        let mark = mark_of(entry);
        if mark.is_some_and(|mark| self.knows(&mark)) {
            return Ok(Written::Known);
        }
        let mut entry = entry.clone().made_safe();
        entry.noted_ms = now_ms;
        let line = line_of(&entry)?;
        self.mend()?;
        if self.size > 0 && self.size + line.len() as u64 > self.file_bytes_max {
            self.rotate(now_ms)?;
        }
        self.write(&line)?;
        if let Some(mark) = mark {
            self.marks.insert(mark.slot, mark);
        }
        Ok(Written::New)
    }

    /// Flushes to the disk. For shutdown; see the crate's words on fsync.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Reads entries; see [`read`].
    pub fn read(&self, filter: &Filter) -> io::Result<Vec<Entry>> {
        read(&self.dir, filter)
    }

    /// The highest transition of `slot` that is in the file, for the acknowledgement after an adoption.
    pub fn last(&self, slot: u32) -> Option<Mark> {
        self.marks.get(&slot).copied()
    }

    fn knows(&self, mark: &Mark) -> bool {
        let last = self.marks.get(&mark.slot);
        last.is_some_and(|last| last.keeper == mark.keeper && mark.seq <= last.seq)
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(line) {
            self.torn = true;
            return Err(error);
        }
        self.size += line.len() as u64;
        Ok(())
    }

    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.size)?;
            self.torn = false;
        }
        Ok(())
    }

    /// The full segment becomes `.1` (the one before it goes), and a new one begins with the marks.
    fn rotate(&mut self, now_ms: u64) -> io::Result<()> {
        self.file.sync_data()?;
        let path = self.dir.join(FILE_NAME);
        std::fs::rename(&path, old_path(&self.dir))?;
        self.file = open_file(&path)?;
        self.size = 0;
        let marks = self.marks.values().copied().collect();
        let entry = Entry {
            v: LINE_VERSION,
            at_ms: now_ms,
            noted_ms: now_ms,
            process: String::new(),
            what: What::Marks { marks },
        };
        self.write(&line_of(&entry)?)
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    options.open(path)
}

fn line_of(entry: &Entry) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    Ok(line)
}

fn mark_of(entry: &Entry) -> Option<Mark> {
    entry.happened().map(|happened| Mark {
        slot: happened.slot,
        keeper: happened.keeper(),
        seq: happened.seq,
    })
}

/// Length of the whole lines, and the marks in them. A segment is bounded, so it is read at once.
fn survey(file: &mut File) -> io::Result<(u64, BTreeMap<u32, Mark>)> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    // A file of ours never gets near twice the bound; of anything longer the front is enough to go on.
    file.take(2 * FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    let whole = bytes
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let mut marks = BTreeMap::new();
    for line in bytes[..whole].split(|b| *b == b'\n') {
        let Ok(entry) = serde_json::from_slice::<Entry>(line) else {
            continue;
        };
        if let What::Marks { marks: known } = &entry.what {
            marks.extend(known.iter().map(|mark| (mark.slot, *mark)));
        }
        if let Some(mark) = mark_of(&entry) {
            marks.insert(mark.slot, mark);
        }
    }
    Ok((whole as u64, marks))
}
