//! A name in a directory that is held open.
//!
//! Whoever owns a directory may move it away while root works in it, and put a link to somebody else's in its place. So
//! whoever reads a file and replaces it afterwards, rotates one or removes one, finds the directory once, by the rules of
//! [`crate::files`], and does the rest by its descriptor: it is the directory that was looked at, wherever it is by then.

use crate::files::{self, Spot};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// See the module.
#[derive(Debug)]
pub struct Named {
    dir: OwnedFd,
    name: OsString,
    /// What was there, where the rules hold.
    there: Option<OwnedFd>,
    path: PathBuf,
    /// Opening follows no link that was put there since.
    no_link: OFlags,
}

impl Named {
    /// Where the file at this path really is. It need not be there, its directory has to.
    ///
    /// # Errors
    /// The system's, or a link that is not followed.
    pub fn find(path: &Path) -> io::Result<Self> {
        if !files::looks() {
            return Self::of(&real(path, files::LINKS_MAX));
        }
        let (Spot { dir, name }, there) = files::spot(path)?;
        let path = std::fs::read_link(files::by_descriptor(&dir))?.join(&name);
        Ok(Self {
            dir,
            name,
            there,
            path,
            no_link: OFlags::NOFOLLOW,
        })
    }

    /// The name itself, whatever it is the name of: to rename or to remove it.
    ///
    /// # Errors
    /// As [`Named::find`].
    pub fn of(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(Errno::INVAL)?.to_owned();
        let above = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        Ok(Self {
            dir: files::directory(above.unwrap_or(Path::new(".")))?,
            name,
            there: None,
            path: path.to_owned(),
            no_link: OFlags::empty(),
        })
    }

    /// The path at which it was found, for people.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its directory, as a place.
    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The name in its directory.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// Opens the regular file that was found, for reading. Never waits.
    ///
    /// # Errors
    /// The system's, or it is no regular file.
    pub fn read(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let found = match &self.there {
            Some(there) => rustix::fs::open(files::by_descriptor(there), flags, Mode::empty()),
            None => self.open(flags),
        };
        files::plain(found?)
    }

    /// Opens the regular file that has the name now, for writing: `more` says how.
    ///
    /// # Errors
    /// As [`Named::read`].
    pub fn write(&self, more: OFlags) -> io::Result<File> {
        files::plain(self.open(OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | more)?)
    }

    fn open(&self, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        rustix::fs::openat(&self.dir, &self.name, flags | self.no_link, Mode::empty())
    }

    /// What has the name now, a link itself too; None: nothing.
    ///
    /// # Errors
    /// The system's.
    pub fn stat(&self) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }

    /// Its directory.
    ///
    /// # Errors
    /// The system's.
    pub fn directory(&self) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(&self.dir)?)
    }

    /// Makes a file of this name beside it, for writing.
    ///
    /// # Errors
    /// The system's, also if something has that name.
    pub fn create(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&self.dir, name, flags, Mode::from_raw_mode(mode));
        Ok(File::from(made?))
    }

    /// Renames in the directory.
    ///
    /// # Errors
    /// The system's.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.dir, from, &self.dir, to)?)
    }

    /// Removes a file of this name from the directory.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.dir, name, AtFlags::empty())?)
    }

    /// The names in the directory.
    ///
    /// # Errors
    /// The system's.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::new(self.opened()?)? {
            names.push(OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned());
        }
        Ok(names)
    }

    /// Waits until the names in the directory are on the disk.
    ///
    /// # Errors
    /// The system's.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.opened()?)?)
    }

    /// The directory itself: what we hold is a place only.
    fn opened(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.dir, ".", flags, Mode::empty())
    }
}

/// Where a path leads, also if nothing is there yet.
fn real(path: &Path, links: u32) -> PathBuf {
    let above = || path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let above = || above().unwrap_or(Path::new("."));
    match (std::fs::canonicalize(path), std::fs::read_link(path)) {
        (Ok(real), _) => real,
        (Err(_), Ok(to)) if links > 0 => real(&above().join(to), links - 1),
        (Err(_), Ok(_) | Err(_)) => match (above().canonicalize(), path.file_name()) {
            (Ok(dir), Some(name)) => dir.join(name),
            (Ok(_) | Err(_), _) => path.to_owned(),
        },
    }
}

/// Removes the file at this path; of a link, the link.
///
/// # Errors
/// The system's, or a link in the place of its directory that is not followed.
pub fn remove(path: &Path) -> io::Result<()> {
    let named = Named::of(path)?;
    named.remove(named.name())
}

/// Supervisor's RotatingFileHandler: `x` becomes `x.1`, what was that `x.2`, and so on up to `backups`; the last one goes.
/// What cannot be renamed stays.
///
/// # Errors
/// The directory cannot be reached.
pub fn rotate(path: &Path, backups: u32) -> io::Result<()> {
    let named = Named::of(path)?;
    let numbered = |number: u32| match number {
        0 => named.name.clone(),
        number => {
            let mut name = named.name.clone();
            name.push(format!(".{number}"));
            name
        }
    };
    for number in (0..backups).rev() {
        let _ = named.rename(&numbered(number), &numbered(number + 1));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn dir(name: &str) -> PathBuf {
        let name = format!("steadfast-named-{name}-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("made");
        dir
    }

    fn text(path: impl AsRef<Path>) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// `a` is moved away and leads to `b` from now on.
    fn swap(dir: &Path) {
        std::fs::rename(dir.join("a"), dir.join("was-a")).expect("moved");
        symlink("b", dir.join("a")).expect("linked");
    }

    #[test]
    fn a_directory_stays_the_one_that_was_looked_at() {
        let dir = dir("swapped");
        for (name, said) in [("a", "ours"), ("b", "theirs")] {
            std::fs::create_dir(dir.join(name)).expect("made");
            std::fs::write(dir.join(name).join("file"), said).expect("written");
        }
        let named = Named::find(&dir.join("a/file")).expect("found");
        let gone = Named::find(&dir.join("a/none")).expect("found");
        let log = Named::of(&dir.join("a/file")).expect("found");
        swap(&dir);
        assert_eq!(
            io::read_to_string(named.read().expect("opened")).expect("text"),
            "ours"
        );
        named
            .write(OFlags::APPEND)
            .expect("opened")
            .write_all(b" still")
            .expect("written");
        assert!(gone.stat().expect("asked").is_none());
        drop(gone.create(gone.name(), 0o600).expect("made"));
        assert_eq!(gone.stat().expect("asked").expect("there").st_size, 0);
        log.rename(log.name(), OsStr::new("file.1"))
            .expect("renamed");
        log.remove(OsStr::new("none")).expect("removed");
        log.sync().expect("synced");
        assert_eq!(text(dir.join("was-a/file.1")), "ours still");
        let mut names = log.names().expect("read");
        names.retain(|name| !name.as_bytes().starts_with(b"."));
        assert_eq!(names, ["file.1"]);
        assert_eq!(std::fs::read_dir(dir.join("b")).expect("read").count(), 1);
        assert_eq!(text(dir.join("b/file")), "theirs");
        std::fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn a_link_that_leads_nowhere_yet_leads_where_it_will() {
        let dir = dir("dangling").canonicalize().expect("there");
        symlink("b", dir.join("a")).expect("linked");
        symlink("later", dir.join("link")).expect("linked");
        symlink("loop", dir.join("loop")).expect("linked");
        std::fs::create_dir(dir.join("b")).expect("made");
        symlink("../link", dir.join("b/link")).expect("linked");
        for (path, leads) in [("link", "later"), ("a/link", "later"), ("a/none", "b/none")] {
            let (path, leads) = (dir.join(path), dir.join(leads));
            assert_eq!(Named::find(&path).expect("found").path(), leads);
            assert_eq!(real(&path, 40), leads);
        }
        assert_eq!(real(&dir.join("loop"), 40), dir.join("loop"));
        assert!(Named::find(&dir.join("none/file")).is_err());
        std::fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn logs_rotate_and_the_last_one_goes() {
        let dir = dir("rotated");
        let log = dir.join("x.log");
        for said in ["1", "2", "3", "4"] {
            std::fs::write(&log, said).expect("written");
            rotate(&log, 2).expect("rotated");
        }
        assert_eq!(text(dir.join("x.log.1")) + &text(dir.join("x.log.2")), "43");
        assert_eq!(std::fs::read_dir(&dir).expect("read").count(), 2);
        remove(&dir.join("x.log.1")).expect("removed");
        assert!(remove(&dir.join("x.log.1")).is_err());
        std::fs::remove_dir_all(dir).expect("removed");
    }

    /// Where root works for somebody: his link in the place of his directory leads it nowhere.
    #[test]
    fn root_rotates_and_removes_nothing_behind_somebodys_link() {
        let dir = dir("linked");
        for name in ["a", "b"] {
            std::fs::create_dir(dir.join(name)).expect("made");
            std::fs::write(dir.join(name).join("x.log"), name).expect("written");
        }
        swap(&dir);
        if std::fs::metadata(&dir).expect("there").uid() == 0 {
            std::os::unix::fs::lchown(dir.join("a"), Some(4_000_001), None).expect("given");
            assert!(rotate(&dir.join("a/x.log"), 1).is_err());
            assert!(remove(&dir.join("a/x.log")).is_err());
            assert_eq!(text(dir.join("b/x.log")), "b");
        }
        std::fs::remove_dir_all(dir).expect("removed");
    }
}
