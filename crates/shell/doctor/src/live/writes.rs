//! Who writes below the directories of programs while the experiment lasts.

use std::io;
use std::path::{Path, PathBuf};

use sys::writers::Writers;

use crate::scene::Scene;
use crate::scene::shown::{Who, Written};

/// Directories that are listened to.
const DIRS_MAX: usize = 1_000;

/// Directories below a program's.
const DEPTH_MAX: usize = 6;

/// Writes that are taken at one look.
const WRITES_MAX: usize = 2_000;

/// Different writers and files that are kept.
const KEPT_MAX: usize = 200;

/// Bytes of a command line that are shown.
const COMMAND_BYTES_MAX: usize = 200;

/// A queue of writes, and whose directories they are in.
pub(crate) struct Listening<'a> {
    writers: Writers,
    scene: &'a Scene,
}

impl<'a> Listening<'a> {
    /// Listens below directories.
    ///
    /// # Errors
    /// Why it cannot be seen.
    pub(crate) fn new<'d>(
        scene: &'a Scene,
        dirs: impl Iterator<Item = &'d PathBuf>,
    ) -> Result<Listening<'a>, &'static str> {
        let writers = Writers::listen().map_err(|why| match why.kind() {
            io::ErrorKind::PermissionDenied => "not visible without CAP_SYS_ADMIN",
            io::ErrorKind::Unsupported => "not visible, this kernel has no fanotify",
            _ => "not visible, fanotify is not to be had here",
        })?;
        let mut left = DIRS_MAX;
        for dir in dirs {
            add(&writers, dir, 0, &mut left);
        }
        Ok(Listening { writers, scene })
    }

    /// What was written since the last look, not by us.
    pub(crate) fn take(&self) -> Vec<Written> {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let writes = self.writers.take(WRITES_MAX).into_iter();
        let others = writes.filter(|w| w.pid != own && w.pid > 0);
        let told = others.filter_map(|write| {
            let is_in = |dir: &PathBuf| write.path.starts_with(dir);
            let mut subjects = self.scene.subjects.iter();
            let subject = subjects.find(|s| s.dir.as_ref().is_some_and(is_in))?;
            let command = sys::proc::command_line(write.pid, COMMAND_BYTES_MAX);
            Some(Written {
                who: Who::of(subject),
                pid: write.pid,
                command: finding::mask_line(&command),
                path: write.path,
                times: 1,
            })
        });
        told.collect()
    }
}

/// A directory and those below it.
fn add(writers: &Writers, dir: &Path, depth: usize, left: &mut usize) {
    if *left == 0 || writers.add(dir).is_err() {
        return;
    }
    *left -= 1;
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) && depth < DEPTH_MAX {
            add(writers, &entry.path(), depth + 1, left);
        }
    }
}

/// Counts what is the same together.
pub(crate) fn merge(mut all: Vec<Written>, new: Vec<Written>) -> Vec<Written> {
    for write in new {
        let room = all.len() < KEPT_MAX;
        let same = |w: &&mut Written| w.pid == write.pid && w.path == write.path;
        if let Some(known) = all.iter_mut().find(same) {
            known.times += 1;
            // A process that is seen alive once is named.
            if known.command.is_empty() {
                known.command = write.command;
            }
        } else if room {
            all.push(write);
        }
    }
    all
}
