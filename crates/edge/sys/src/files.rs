//! Files that root opens in somebody's directory: logs, pidfiles, env files, sockets.
//!
//! Whoever owns a directory puts into it what he likes, links among them; a link of his to a file of somebody else's
//! would let root write there for him. So a link is followed only if
//!
//! - it belongs to root or to us, who may do all this anyway (the rule of `fs.protected_symlinks`), or
//! - what it leads to belongs to the same user as the link: he gains nothing by it. Where it leads to nothing yet, that
//!   is the directory in which the file would be made.
//!
//! The rule holds for every part of the path, for a link in the place of a directory leads elsewhere just as well; a
//! `current -> releases/7` of the user who deploys goes on working. Links of the kernel (`/proc/self/fd/1`, which is what
//! `/dev/stdout` leads to) are the kernel's. What was looked at is what is opened: nothing is looked up by name twice.
//!
//! Who is not root opens files as always: nobody gains what he has not.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// Links that are followed for one path, as in the kernel.
pub(crate) const LINKS_MAX: u32 = 40;

/// `PROC_SUPER_MAGIC`.
const PROC_FS: u64 = 0x9fa0;

/// Where a process finds what it has open.
const OWN_FDS: &str = "/proc/self/fd";

const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What a path leads to.
enum Place {
    /// It, and where it stands: none for a directory that was reached by `/`, `.` or `..`, and for what the kernel links.
    There(OwnedFd, Option<Spot>),
    /// Nothing of this name is in this directory.
    Nothing(Spot),
}

/// A name in a directory.
#[derive(Debug)]
pub(crate) struct Spot {
    pub(crate) dir: OwnedFd,
    pub(crate) name: OsString,
}

/// Opens a file by the rules of the module; with [`OFlags::CREATE`], one that is not there is made.
///
/// # Errors
/// The system's, or a link that is not followed.
pub fn open(path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    if !looks() {
        return Ok(rustix::fs::open(path, flags | OFlags::CLOEXEC, mode)?);
    }
    open_as(path, flags, mode, 0)
}

/// Opens a regular file for reading, by the rules of the module. Never waits: whoever may put a FIFO in a file's place
/// could stop us by it.
///
/// # Errors
/// The system's, a link that is not followed, or something other than a file stands there.
pub fn regular(path: &Path) -> io::Result<File> {
    plain(open(
        path,
        OFlags::RDONLY | OFlags::NONBLOCK,
        Mode::empty(),
    )?)
}

/// The same through any link: for what nobody puts there who may not do everything anyway (configuration), and for what
/// is shown to nobody.
///
/// # Errors
/// As [`regular`].
pub fn regular_anywhere(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    plain(rustix::fs::open(path, flags, Mode::empty())?)
}

pub(crate) fn plain(fd: OwnedFd) -> io::Result<File> {
    let file = File::from(fd);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// Opens a file of ours for reading and writing that nobody else reads (0600), or makes it. A command may run as root in a
/// directory of somebody else's: a link in its place is not followed.
///
/// # Errors
/// The system's, or something other than a file stands there.
pub fn private(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no plain file",
        )),
    }
}

/// The socket at this path, to be reached by its descriptor ([`by_descriptor`]): that very file, whatever stands there
/// later. A link is none.
///
/// # Errors
/// The system's, or it is no socket.
pub fn socket(path: &Path) -> io::Result<(OwnedFd, Stat)> {
    socket_in(CWD, path)
}

fn socket_in(dir: BorrowedFd<'_>, path: &Path) -> io::Result<(OwnedFd, Stat)> {
    let fd = rustix::fs::openat(dir, path, LOOK, Mode::empty())?;
    let stat = rustix::fs::fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        let text = format!("{} is no socket", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok((fd, stat))
}

/// Gives the socket at this path a mode, and an owner if there is one to give. Only a socket that has no other name, in a
/// directory that is found by the rules of the module: whoever owns a part of the way could lead us to somebody else's.
///
/// # Errors
/// The system's, or something else stands there by now.
pub fn set_socket(path: &Path, mode: u32, owner: Option<(u32, Option<u32>)>) -> io::Result<()> {
    let named = crate::named::Named::of(path)?;
    let (fd, stat) = socket_in(named.dir(), named.name().as_ref())?;
    if stat.st_nlink != 1 {
        return Err(io::Error::other("it is not the socket that was made"));
    }
    let mode = Mode::from_raw_mode(mode);
    match rustix::fs::chmod(by_descriptor(&fd), mode) {
        // No /proc.
        Err(Errno::NOENT) => rustix::fs::chmod(path, mode)?,
        done => done?,
    }
    if let Some((uid, gid)) = owner {
        chown(&fd, uid, gid)?;
    }
    Ok(())
}

/// Gives a regular file to a user, if it has no other name: another one may be in a directory where that user may not go.
/// Says whether it did.
///
/// # Errors
/// The system's.
pub fn hand_over(path: &Path, uid: u32, gid: u32) -> io::Result<bool> {
    give(rustix::fs::open(path, LOOK, Mode::empty())?, uid, gid)
}

/// The same with a file that is open: that very one, whatever stands at its path by now.
///
/// # Errors
/// The system's.
pub fn give(file: impl AsFd, uid: u32, gid: u32) -> io::Result<bool> {
    let stat = rustix::fs::fstat(&file)?;
    let plain = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !plain || stat.st_nlink != 1 {
        return Ok(false);
    }
    if (stat.st_uid, stat.st_gid) != (uid, gid) {
        chown(file, uid, Some(gid))?;
    }
    Ok(true)
}

/// Who is not root need not look, and nobody can without /proc.
pub(crate) fn looks() -> bool {
    rustix::process::geteuid().is_root() && has_descriptors()
}

fn chown(fd: impl AsFd, uid: u32, gid: Option<u32>) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), gid.map(Gid::from_raw));
    Ok(rustix::fs::chownat(
        fd,
        "",
        Some(uid),
        gid,
        AtFlags::EMPTY_PATH,
    )?)
}

/// The name of what is open, whatever stands at its path by now. It leads nowhere on a machine without /proc.
pub fn by_descriptor(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("{OWN_FDS}/{}", fd.as_raw_fd()))
}

/// Whether [`by_descriptor`] leads anywhere.
pub fn has_descriptors() -> bool {
    Path::new(OWN_FDS).exists()
}

fn open_as(path: &Path, flags: OFlags, mode: Mode, ours: u32) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    match find(CWD, path, LINKS_MAX, ours)? {
        Place::There(fd, _) => Ok(rustix::fs::open(
            by_descriptor(&fd),
            flags - OFlags::CREATE - OFlags::NOFOLLOW,
            mode,
        )?),
        Place::Nothing(spot) if flags.contains(OFlags::CREATE) => Ok(rustix::fs::openat(
            &spot.dir,
            &spot.name,
            flags | OFlags::NOFOLLOW,
            mode,
        )?),
        Place::Nothing(_) => Err(Errno::NOENT.into()),
    }
}

/// Where the last part of the path stands, by the rules of the module, and what is there.
pub(crate) fn spot(path: &Path) -> io::Result<(Spot, Option<OwnedFd>)> {
    match find(CWD, path, LINKS_MAX, 0)? {
        Place::There(fd, Some(spot)) => Ok((spot, Some(fd))),
        Place::Nothing(spot) => Ok((spot, None)),
        Place::There(fd, None) => {
            // A link of the kernel: the file has a name of its own, if it has one.
            let path = std::fs::read_link(by_descriptor(&fd))?;
            match find(CWD, &path, LINKS_MAX, 0)? {
                Place::There(fd, Some(spot)) => Ok((spot, Some(fd))),
                Place::There(_, None) | Place::Nothing(_) => {
                    Err(io::Error::other("it is not a regular file"))
                }
            }
        }
    }
}

/// The directory at this path, by the rules of the module.
pub(crate) fn directory(path: &Path) -> io::Result<OwnedFd> {
    open(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
}

/// Goes along the path, part by part. `ours`: links of this user and of root are followed wherever they lead.
fn find(start: BorrowedFd<'_>, path: &Path, links: u32, ours: u32) -> io::Result<Place> {
    let from = |fd: BorrowedFd<'_>, name: &OsStr| rustix::fs::openat(fd, name, LOOK, Mode::empty());
    let root = path.is_absolute();
    let mut at = from(start, OsStr::new(if root { "/" } else { "." }))?;
    let mut stands = None;
    let mut parts = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .peekable();
    while let Some(part) = parts.next() {
        let (name, last) = (part.as_os_str(), parts.peek().is_none());
        // As a directory first: only so is one mounted that an automounter has in waiting.
        let way = LOOK | OFlags::DIRECTORY;
        let found = match rustix::fs::openat(&at, name, way, Mode::empty()) {
            Err(Errno::NOTDIR | Errno::LOOP) => from(at.as_fd(), name),
            found => found,
        };
        let fd = match found {
            Ok(fd) => fd,
            Err(Errno::NOENT) if last => {
                let name = name.to_owned();
                return Ok(Place::Nothing(Spot { dir: at, name }));
            }
            Err(why) => return Err(why.into()),
        };
        let stat = rustix::fs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            let dir = std::mem::replace(&mut at, fd);
            stands = (last && part != Component::ParentDir).then(|| Spot {
                dir,
                name: name.to_owned(),
            });
            continue;
        }
        // The filesystem's number has another type on each machine.
        #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)]
        if rustix::fs::fstatfs(&fd)?.f_type as u64 == PROC_FS {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            at = rustix::fs::openat(&at, name, flags, Mode::empty())?;
            stands = None;
            continue;
        }
        match followed(at.as_fd(), &fd, &stat, links, ours)? {
            Place::There(fd, spot) => (at, stands) = (fd, spot),
            nothing @ Place::Nothing(_) if last => return Ok(nothing),
            Place::Nothing(_) => return Err(Errno::NOENT.into()),
        }
    }
    Ok(Place::There(at, stands))
}

/// Where a link leads, if it is followed.
fn followed(
    dir: BorrowedFd<'_>,
    link: &OwnedFd,
    stat: &Stat,
    links: u32,
    ours: u32,
) -> io::Result<Place> {
    let links = links.checked_sub(1).ok_or(Errno::LOOP)?;
    let target = rustix::fs::readlinkat(link, "", Vec::new())?;
    let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
    let place = find(dir, &target, links, ours)?;
    let owner = match &place {
        Place::There(fd, _) | Place::Nothing(Spot { dir: fd, .. }) => rustix::fs::fstat(fd)?.st_uid,
    };
    if [0, ours, owner].contains(&stat.st_uid) {
        return Ok(place);
    }
    Err(io::Error::other(format!(
        "a link of uid {} leads to {}, which belongs to uid {owner}, and root does not follow it; name that path itself, \
         or let root make the link",
        stat.st_uid,
        target.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::geteuid;
    use std::os::unix::fs::{MetadataExt, symlink};

    const WRITE: OFlags = OFlags::WRONLY.union(OFlags::APPEND).union(OFlags::CREATE);
    /// Nobody on this machine: links of whoever runs the test are somebody's then.
    const NOBODY: u32 = 4_000_001;

    fn dir() -> PathBuf {
        let name = format!(
            "steadfast-files-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        );
        let dir = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("made");
        dir
    }

    /// Whether it is opened when these links are `ours`.
    fn opens(path: &Path, ours: u32) -> bool {
        open_as(path, WRITE, Mode::from_raw_mode(0o600), ours).is_ok()
    }

    #[test]
    fn a_private_file_is_ours_and_a_socket_is_one_and_no_links() {
        let dir = dir();
        let at = |name: &str| dir.join(name);
        private(&at("own")).expect("made").set_len(3).expect("long");
        let own = private(&at("own")).expect("there").metadata().expect("is");
        assert_eq!((own.len(), own.mode() & 0o777), (3, 0o600));
        let _listens = std::os::unix::net::UnixListener::bind(at("sock")).expect("bound");
        for (name, to) in [
            ("link", "own"),
            ("dangling", "later"),
            ("sock-link", "sock"),
        ] {
            symlink(to, at(name)).expect("linked");
        }
        for name in ["link", "dangling", "sock", "."] {
            assert!(private(&at(name)).is_err(), "{name}");
        }
        assert!(!at("later").exists());
        let (fd, stat) = socket(&at("sock")).expect("a socket");
        assert_eq!(stat.st_nlink, 1);
        assert!(std::os::unix::net::UnixStream::connect(by_descriptor(&fd)).is_ok());
        for name in ["own", "link", "sock-link", "none"] {
            assert!(socket(&at(name)).is_err(), "{name}");
        }
        let missing = socket(&at("none")).expect_err("none");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        std::fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn files_and_links_by_owner() {
        let dir = dir();
        let me = geteuid().as_raw();
        assert!(opens(&dir.join("new"), NOBODY), "made");
        assert!(opens(&dir.join("new"), NOBODY), "there");
        // My link to my file, to a file of mine that is not there yet, and through a directory of mine.
        symlink("new", dir.join("own")).expect("linked");
        symlink("later", dir.join("dangling")).expect("linked");
        symlink(".", dir.join("current")).expect("linked");
        for name in [
            "own",
            "dangling",
            "current/new",
            "current/current/other",
            "./../own",
        ] {
            let path = match name {
                "./../own" => dir
                    .join("current/..")
                    .join(dir.file_name().expect("a name"))
                    .join("own"),
                _ => dir.join(name),
            };
            assert!(opens(&path, NOBODY), "{name}");
        }
        assert!(dir.join("later").exists() && dir.join("other").exists());
        symlink("loop", dir.join("loop")).expect("linked");
        assert!(!opens(&dir.join("loop"), me));
        assert!(!opens(&dir.join("none/x"), me));
        assert_eq!(
            find(CWD, &dir.join("own"), LINKS_MAX, me)
                .map(|it| matches!(it, Place::There(..)))
                .ok(),
            Some(true)
        );
        std::fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn a_link_to_what_belongs_to_somebody_else_is_followed_for_root_and_us_only() {
        let dir = dir();
        // Files of root, and links of ours; as root, links of somebody and files of ours.
        let root = geteuid().is_root();
        symlink("/dev/null", dir.join("file")).expect("linked");
        symlink("/dev", dir.join("log")).expect("linked");
        let mine = if root {
            for name in ["file", "log"] {
                std::os::unix::fs::lchown(dir.join(name), Some(NOBODY), None).expect("given");
            }
            NOBODY
        } else {
            geteuid().as_raw()
        };
        for name in ["file", "log/null"] {
            assert!(!opens(&dir.join(name), NOBODY - 1), "{name}");
            assert!(opens(&dir.join(name), mine), "{name}: ours");
        }
        std::fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn what_the_kernel_links_is_followed() {
        for path in ["/dev/stdin", "/proc/self/fd/0", "/dev/fd/0"] {
            let found = open_as(Path::new(path), OFlags::PATH, Mode::empty(), NOBODY);
            assert!(found.is_ok(), "{path}: {found:?}");
        }
    }

    #[test]
    fn only_a_socket_and_only_a_file_with_one_name_is_given() {
        let dir = dir();
        let (file, socket) = (dir.join("file"), dir.join("socket"));
        std::fs::write(&file, "").expect("written");
        let before = std::fs::metadata(&file).expect("there").mode();
        symlink("file", dir.join("link")).expect("linked");
        assert!(set_socket(&dir.join("link"), 0o777, None).is_err());
        assert!(set_socket(&file, 0o777, None).is_err());
        assert_eq!(std::fs::metadata(&file).expect("there").mode(), before);
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
        set_socket(&socket, 0o640, None).expect("set");
        let mode = || std::fs::metadata(&socket).expect("there").mode() & 0o777;
        assert_eq!(mode(), 0o640);
        // Somebody's link in the place of the directory.
        symlink(".", dir.join("theirs")).expect("linked");
        let theirs = dir.join("theirs/socket");
        set_socket(&theirs, 0o600, None).expect("set");
        if geteuid().is_root() {
            std::os::unix::fs::lchown(dir.join("theirs"), Some(NOBODY), None).expect("given");
            assert!(set_socket(&theirs, 0o777, Some((NOBODY, None))).is_err());
        }
        assert_eq!(mode(), 0o600);
        let (uid, gid) = (geteuid().as_raw(), rustix::process::getegid().as_raw());
        assert!(hand_over(&file, uid, gid).expect("asked"));
        assert!(!hand_over(&dir.join("link"), uid, gid).expect("asked"));
        std::fs::hard_link(&file, dir.join("twice")).expect("linked");
        assert!(
            !hand_over(&file, uid, gid).expect("asked"),
            "it has another name"
        );
        std::fs::remove_dir_all(&dir).expect("removed");
    }
}
