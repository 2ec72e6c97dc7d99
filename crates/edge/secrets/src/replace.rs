//! Replaces a file's content so that a crash leaves the old one or the new one.
//!
//! Staged: a new file beside it, owner, group and mode as they must be, synced; then renamed over it, and the
//! directory synced. A leftover of a crash in between is removed at the next write. All of it happens in the directory in
//! which the file was found, whatever its owner does with the path meanwhile.

use crate::secret::{Random, hex};
use rustix::fs::{FileType, Gid, Mode, OFlags, Uid};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use sys::named::Named;

/// Who may read a file of keys that we make.
pub(crate) const KEY_FILE_MODE: u32 = 0o600;

/// Others never read a file with a key in it, and its group never writes it. Group members who may read it today still
/// may: it is how an app that runs as another user reads its own `.env`, and locking it out would be an outage.
const KEPT_BITS: u32 = 0o740;

/// Largest file that is read whole; an env file or keyring of this size is a mistake or an attack.
pub(crate) const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Which file it is: device and inode.
pub(crate) type FileId = (u64, u64);

/// A staged file. Dropped before it was renamed, it is taken away again.
pub(crate) struct Staged {
    at: Arc<Named>,
    staged: OsString,
    id: FileId,
    committed: bool,
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.committed {
            let _ = self.at.remove(&self.staged);
        }
    }
}

/// The file's text, and which file that is; `None` if it does not exist.
pub(crate) fn read(named: &Named) -> Result<Option<(String, FileId)>> {
    let file = match named.read() {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let id = id(&file)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Error::other("it is larger than 1 MiB"));
    }
    Ok(Some((text, id)))
}

fn id(file: &File) -> Result<FileId> {
    let meta = file.metadata()?;
    Ok((meta.dev(), meta.ino()))
}

/// Owner, group and mode of a file with a key in it: those it has, less what others had; for a new one the given owner.
fn access(target: &Named, owner: Option<(u32, u32)>) -> (Option<(u32, u32)>, u32) {
    match target.stat() {
        Ok(Some(stat)) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            (Some((stat.st_uid, stat.st_gid)), stat.st_mode & KEPT_BITS)
        }
        Ok(_) | Err(_) => (owner, KEY_FILE_MODE),
    }
}

/// Writes the new content beside the target.
pub(crate) fn stage(
    target: &Arc<Named>,
    text: &str,
    owner: Option<(u32, u32)>,
    random: &mut dyn Random,
) -> Result<Staged> {
    let name = target.name().to_str();
    let prefix = format!(
        ".{}.steadfast-",
        name.ok_or_else(|| Error::other("its name is not text"))?
    );
    remove_leftovers(target, &prefix);
    let mut tail = [0_u8; 8];
    random.fill(&mut tail).map_err(Error::other)?;
    let staged = OsString::from(format!("{prefix}{}", hex(&tail)));
    let mut file = target.create(&staged, KEY_FILE_MODE)?;
    let staged = Staged {
        at: target.clone(),
        staged,
        id: id(&file)?,
        committed: false,
    };
    fill(&mut file, text, access(target, owner))?;
    Ok(staged)
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

fn remove_leftovers(target: &Named, prefix: &str) {
    for name in target.names().unwrap_or_default() {
        if name.to_str().is_some_and(|name| name.starts_with(prefix)) {
            let _ = target.remove(&name);
        }
    }
}

impl Staged {
    /// Puts the new content in the target's place. Returns which file stands there now.
    pub(crate) fn commit(mut self) -> Result<FileId> {
        self.at.rename(&self.staged, self.at.name())?;
        self.committed = true;
        // It stands there now, whatever the directory says to this: an error would be taken for one that changed nothing.
        let _unsure = self.at.sync();
        Ok(self.id)
    }
}

/// Replaces a file of ours by rename.
pub(crate) fn by_rename(target: &Path, text: &str, random: &mut dyn Random) -> Result<()> {
    let target = Arc::new(Named::find(target)?);
    stage(&target, text, None, random)?.commit()?;
    target.sync()
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

/// A file that cannot be replaced, opened to be written: the one that was read, if it still stands there.
pub(crate) fn in_place(target: &Named, read: FileId) -> Result<File> {
    let file = target.write(OFlags::empty())?;
    match id(&file)? == read {
        true => Ok(file),
        false => Err(Error::other("it was replaced meanwhile; try again")),
    }
}

/// Writes the text where the old one is: what goes on from it is added at its end by one write, another one is written
/// over it, and then the end is cut.
pub(crate) fn rewrite(file: &mut File, old: &str, text: &str) -> Result<()> {
    tighten(file);
    match text.strip_prefix(old) {
        Some(more) => {
            rustix::fs::fcntl_setfl(&*file, OFlags::APPEND)?;
            file.write_all(more.as_bytes())?;
        }
        None => {
            file.write_all(text.as_bytes())?;
            file.set_len(text.len() as u64)?;
        }
    }
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
        let text = || std::fs::read_to_string(&target).unwrap();
        let files = || std::fs::read_dir(dir.path()).unwrap().count();
        std::fs::write(&target, "OLD=1\n").unwrap();
        let named = Arc::new(Named::find(&target).unwrap());
        let staged = stage(&named, "NEW=1\n", None, &mut SystemRandom).unwrap();
        std::mem::forget(staged);
        assert_eq!((text().as_str(), files()), ("OLD=1\n", 2));

        by_rename(&target, "NEW=2\n", &mut SystemRandom).unwrap();
        assert_eq!((text().as_str(), files()), ("NEW=2\n", 1));
        let given_up = stage(&named, "NEW=3\n", None, &mut SystemRandom).unwrap();
        drop(given_up);
        assert_eq!((text().as_str(), files()), ("NEW=2\n", 1));
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
            by_rename(&target, "x", &mut SystemRandom).unwrap();
            assert_eq!(
                std::fs::metadata(&target).unwrap().mode() & 0o777,
                after,
                "{before:o}"
            );
        }
    }

    #[test]
    fn a_file_in_place_is_the_one_that_was_read() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("f");
        let text = || std::fs::read_to_string(&target).unwrap();
        std::fs::write(&target, "A=1\n").unwrap();
        let named = Named::find(&target).unwrap();
        let (old, id) = read(&named).unwrap().unwrap();
        let mut file = in_place(&named, id).unwrap();
        rewrite(&mut file, &old, "A=1\nB=2\n").unwrap();
        assert_eq!(text(), "A=1\nB=2\n");
        let mut file = in_place(&named, id).unwrap();
        rewrite(&mut file, "A=1\nB=2\n", "B=3\n").unwrap();
        assert_eq!(text(), "B=3\n");
        std::fs::rename(&target, dir.path().join("old")).unwrap();
        std::fs::write(&target, "C=1\n").unwrap();
        assert!(in_place(&named, id).is_err());
        assert_eq!(text(), "C=1\n");
    }

    #[test]
    fn what_is_no_file_or_too_large_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let read = |path: &Path| read(&Named::find(path).unwrap());
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
