//! Supervisor's activity log: one file, its format, its rotation.
//!
//! A log that cannot be written must not stop anything: the first failure is said once, then lines are dropped until a
//! write works again.

use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::describe::Local;
use crate::lines::Level;
use crate::model::Settings;

/// The log.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
    bytes_max: u64,
    backups: u32,
    least: u32,
    failed: bool,
}

impl Activity {
    /// Opens the log that the settings name; without one nothing is logged. The error is for people.
    pub(crate) fn open(settings: &Settings) -> (Activity, Option<String>) {
        let mut log = Activity {
            path: PathBuf::from(&settings.logfile),
            bytes_max: settings.logfile_bytes_max,
            backups: settings.logfile_backups,
            least: settings.loglevel,
            ..Activity::default()
        };
        let error = log.reopen().err();
        (log, error)
    }

    /// Closes and opens the file (after somebody else rotated it).
    pub(crate) fn reopen(&mut self) -> Result<(), String> {
        self.file = None;
        if self.path.as_os_str().is_empty() {
            return Ok(());
        }
        // A FIFO that somebody put in its place would stop the daemon.
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NONBLOCK;
        let opened = sys::files::open(&self.path, flags, Mode::from_raw_mode(0o666));
        let file = opened.map(File::from).and_then(waiting);
        let file =
            file.map_err(|why| format!("cannot write the log {}: {why}", self.path.display()))?;
        let meta = file.metadata().ok();
        self.bytes = meta.as_ref().map_or(0, |meta| meta.len());
        if meta.is_some_and(|meta| !is_regular(&meta)) {
            self.bytes_max = 0;
        }
        self.file = Some(file);
        Ok(())
    }

    /// Removes its contents (Supervisor's `clearLog`).
    pub(crate) fn clear(&mut self) -> Result<(), String> {
        let removed = sys::named::remove(&self.path);
        removed.map_err(|why| format!("cannot remove {}: {why}", self.path.display()))?;
        self.reopen()
    }

    /// Path, or empty.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The line as it stands in the log (without its end), if its level is wanted; it is written as well.
    pub(crate) fn write(
        &mut self,
        level: Level,
        text: &str,
        wall_ms: u64,
        utc_offset_s: i32,
    ) -> Option<String> {
        if level.number() < self.least {
            return None;
        }
        let line = format!(
            "{} {} {text}",
            Local::of(wall_ms, utc_offset_s).stamp(),
            level.word()
        );
        self.append(&line);
        Some(line)
    }

    fn append(&mut self, line: &str) {
        let Some(file) = &mut self.file else { return };
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        self.failed = file.write_all(&bytes).is_err();
        if self.failed {
            return;
        }
        self.bytes += bytes.len() as u64;
        // As in Supervisor: the line that reaches the limit is the last one of its file.
        if self.bytes_max > 0 && self.bytes >= self.bytes_max {
            self.rotate();
        }
    }

    fn rotate(&mut self) {
        self.file = None;
        let _ = match self.backups {
            0 => sys::named::remove(&self.path),
            backups => sys::named::rotate(&self.path, backups),
        };
        self.failed = self.reopen().is_err();
    }
}

/// What its owner may let stand (a pipe of ours or of root's, as standard output is) is waited for when it is full.
fn waiting(file: File) -> std::io::Result<File> {
    let meta = file.metadata()?;
    if [0, sys::users::own_uid()].contains(&meta.uid()) {
        rustix::fs::fcntl_setfl(&file, OFlags::APPEND)?;
    }
    Ok(file)
}

fn is_regular(meta: &std::fs::Metadata) -> bool {
    let kind = meta.file_type();
    !(kind.is_fifo() || kind.is_char_device() || kind.is_socket() || kind.is_block_device())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(dir: &Path, bytes_max: u64, backups: u32) -> Activity {
        let settings = Settings {
            logfile: dir.join("a.log").display().to_string(),
            logfile_bytes_max: bytes_max,
            logfile_backups: backups,
            loglevel: 20,
            ..Settings::default()
        };
        let (log, error) = Activity::open(&settings);
        assert_eq!(error, None);
        log
    }

    #[test]
    fn lines_are_supervisors_and_levels_count() {
        let dir = tempfile::tempdir().expect("directory");
        let mut log = log(dir.path(), 0, 0);
        log.least = 30;
        assert_eq!(log.write(Level::Info, "no", 0, 0), None);
        let line = log.write(Level::Critical, "yes", 1_795_568_523_456, 0);
        assert_eq!(line.as_deref(), Some("2026-11-25 01:02:03,456 CRIT yes"));
        let text = std::fs::read_to_string(log.path()).expect("read");
        assert_eq!(text, "2026-11-25 01:02:03,456 CRIT yes\n");
        log.clear().expect("cleared");
        assert_eq!(std::fs::read_to_string(log.path()).expect("read"), "");
    }

    #[test]
    fn it_rotates_and_keeps_so_many() {
        let dir = tempfile::tempdir().expect("directory");
        let mut log = log(dir.path(), 40, 2);
        for number in 0..5 {
            log.write(Level::Info, &format!("a line number {number}"), 0, 0);
        }
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
        assert_eq!(read("a.log"), "");
        assert!(read("a.log.1").ends_with("number 4\n"));
        assert!(read("a.log.2").ends_with("number 3\n"));
        assert!(!dir.path().join("a.log.3").exists());
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_said_and_stops_nothing() {
        let settings = Settings {
            logfile: "/no/such/dir/a.log".into(),
            loglevel: 20,
            ..Settings::default()
        };
        let (mut log, error) = Activity::open(&settings);
        assert!(
            error
                .expect("said")
                .starts_with("cannot write the log /no/such/dir/a.log")
        );
        assert!(log.write(Level::Info, "goes on", 0, 0).is_some());
    }
}
