//! Replaces a file's content so that a crash leaves the old one or the new one.
//!
//! Staged: a new file beside it, owner, group and mode as they must be, synced; then renamed over it, and the
//! directory synced. A leftover of a crash in between is removed at the next write.

use crate::secret::{Random, hex};
use rustix::fs::{Gid, Mode, OFlags, Uid};
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Who may read a file of keys that we make.
pub(crate) const KEY_FILE_MODE: u32 = 0o600;

/// Others never read a file with a key in it, and its group never writes it. Group members who may read it today still
/// may: it is how an app that runs as another user reads its own `.env`, and locking it out would be an outage.
const KEPT_BITS: u32 = 0o740;

/// Largest file that is read whole; an env file or keyring of this size is a mistake or an attack.
pub(crate) const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A staged file that has not been renamed yet.
pub(crate) struct Staged {
    staged: PathBuf,
    target: PathBuf,
}

/// The file's text; `None` if it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<String>> {
    let file = match sys::files::open(path, OFlags::RDONLY, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Error::other("it is larger than 1 MiB"));
    }
    Ok(Some(text))
}

/// Owner, group and mode of a file with a key in it: those it has, less what others had; for a new one the given owner.
fn access(target: &Path, owner: Option<(u32, u32)>) -> (Option<(u32, u32)>, u32) {
    match std::fs::metadata(target) {
        Ok(meta) => (Some((meta.uid(), meta.gid())), meta.mode() & KEPT_BITS),
        Err(_) => (owner, KEY_FILE_MODE),
    }
}

fn prefix(target: &Path) -> Option<String> {
    Some(format!(".{}.steadfast-", target.file_name()?.to_str()?))
}

/// Writes the new content beside the target.
pub(crate) fn stage(
    target: &Path,
    text: &str,
    owner: Option<(u32, u32)>,
    random: &mut dyn Random,
) -> Result<Staged> {
    let dir = target
        .parent()
        .filter(|d| !d.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let prefix = prefix(target).ok_or_else(|| Error::other("its name is not text"))?;
    remove_leftovers(dir, &prefix);
    let mut tail = [0_u8; 8];
    random.fill(&mut tail).map_err(Error::other)?;
    let staged = dir.join(format!("{prefix}{}", hex(&tail)));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(KEY_FILE_MODE)
        .open(&staged)?;
    let filled = fill(&mut file, text, access(target, owner));
    if let Err(error) = filled {
        let _ = std::fs::remove_file(&staged);
        return Err(error);
    }
    Ok(Staged {
        staged,
        target: target.to_owned(),
    })
}

fn fill(file: &mut File, text: &str, (owner, mode): (Option<(u32, u32)>, u32)) -> Result<()> {
    if let Some((uid, gid)) = owner {
        let meta = file.metadata()?;
        if (meta.uid(), meta.gid()) != (uid, gid) {
            rustix::fs::fchown(&*file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
    }
    rustix::fs::fchmod(&*file, Mode::from_raw_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn remove_leftovers(dir: &Path, prefix: &str) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        if entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(prefix))
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

impl Staged {
    /// Puts the new content in the target's place.
    pub(crate) fn commit(self) -> Result<()> {
        if let Err(error) = std::fs::rename(&self.staged, &self.target) {
            let _ = std::fs::remove_file(&self.staged);
            return Err(error);
        }
        match self
            .target
            .parent()
            .filter(|d| !d.as_os_str().is_empty())
            .map(File::open)
        {
            Some(dir) => dir?.sync_all(),
            None => Ok(()),
        }
    }
}

/// Replaces by rename.
pub(crate) fn by_rename(
    target: &Path,
    text: &str,
    owner: Option<(u32, u32)>,
    random: &mut dyn Random,
) -> Result<()> {
    stage(target, text, owner, random)?.commit()
}

/// True if an error says that the file cannot be replaced but may be written: it is a mount point (EBUSY), its
/// directory may not be written or its owner not be given (EACCES, EPERM, EROFS).
pub(crate) fn only_in_place(error: &Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    use rustix::io::Errno;
    matches!(
        errno,
        Some(Errno::BUSY | Errno::XDEV | Errno::ACCESS | Errno::PERM | Errno::ROFS)
    )
}

/// Adds to the end of a file that cannot be replaced, by one write.
pub(crate) fn append_in_place(target: &Path, more: &str) -> Result<()> {
    let mut file = OpenOptions::new().append(true).open(target)?;
    tighten(&file);
    file.write_all(more.as_bytes())?;
    file.sync_all()
}

/// Writes the whole of a file that cannot be replaced: first the new text over the old, then the end is cut.
pub(crate) fn rewrite_in_place(target: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new().write(true).open(target)?;
    tighten(&file);
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}

/// Takes others' access away; who does not own the file cannot, and the caller warns about its mode.
fn tighten(file: &File) {
    if let Ok(meta) = file.metadata() {
        let _ = file.set_permissions(std::fs::Permissions::from_mode(meta.mode() & KEPT_BITS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SystemRandom;

    #[test]
    fn a_crash_between_write_and_rename_leaves_the_old_and_the_next_write_clears_up() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join(".env");
        std::fs::write(&target, "OLD=1\n").unwrap();
        let staged = stage(&target, "NEW=1\n", None, &mut SystemRandom).unwrap();
        let Staged { staged, .. } = staged;
        assert!(staged.exists());
        assert_eq!(read(&target).unwrap().unwrap(), "OLD=1\n");

        by_rename(&target, "NEW=2\n", None, &mut SystemRandom).unwrap();
        assert_eq!(read(&target).unwrap().unwrap(), "NEW=2\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn others_lose_their_bits_and_group_readers_keep_theirs() {
        let dir = tempfile::tempdir().unwrap();
        for (before, after) in [
            (0o644, 0o640),
            (0o666, 0o640),
            (0o600, 0o600),
            (0o660, 0o640),
        ] {
            let target = dir.path().join("f");
            std::fs::write(&target, "").unwrap();
            std::fs::set_permissions(&target, std::fs::Permissions::from_mode(before)).unwrap();
            by_rename(&target, "x", None, &mut SystemRandom).unwrap();
            assert_eq!(
                std::fs::metadata(&target).unwrap().mode() & 0o777,
                after,
                "{before:o}"
            );
        }
    }

    #[test]
    fn what_is_no_file_or_too_large_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).is_err());
        let big = dir.path().join("big");
        File::create(&big)
            .unwrap()
            .set_len(FILE_BYTES_MAX + 1)
            .unwrap();
        assert!(read(&big).unwrap_err().to_string().contains("1 MiB"));
        assert_eq!(read(&dir.path().join("none")).unwrap(), None);
    }
}
