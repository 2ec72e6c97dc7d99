//! The run directory itself: made with the right owners, checked at each use.

use std::fs::Metadata;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Layout, write_atomically};

/// Bytes that a Unix socket's path may have (108 with its end).
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// The longest name below `RUN/ID`: `/slots/4294967295/app/18446744073709551615.sock` in theory; slots and generations of
/// eight digits are more than any installation sees.
const LONGEST_NAME_BELOW: usize = "/slots/12345678/app/12345678.sock".len();
/// Bytes of the largest `active.json` that is read: 1000 programs with large environments stay far below.
const ACTIVE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// `info.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// Real path of the configuration; empty for `run -- COMMAND`.
    pub config: String,
    /// The command of `run -- COMMAND`, for people.
    pub command: String,
    /// Root's pid.
    pub root_pid: i32,
    /// Our version.
    pub version: String,
}

/// The directory of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// `slots/N`.
    pub dir: PathBuf,
}

impl Slot {
    /// Where its keeper listens for the daemon.
    pub fn control(&self) -> PathBuf {
        self.dir.join("control")
    }
    /// Where its keeper listens for gateways.
    pub fn events(&self) -> PathBuf {
        self.dir.join("events")
    }
    /// The program's own directory.
    pub fn app(&self) -> PathBuf {
        self.dir.join("app")
    }
}

/// Who reaches the sockets of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The program's user: it makes them.
    pub owner: u32,
    /// The group that passes through to them, a gateway's; None: only its owner and root do.
    pub group: Option<u32>,
}

/// As [`RunDir::reach`], of a run directory by its path.
pub fn reach(run_dir: &Path, number: u32) -> Option<Reach> {
    let app = run_dir.join(format!("slots/{number}/app"));
    let meta = std::fs::symlink_metadata(app).ok()?;
    Some(Reach {
        owner: meta.uid(),
        group: (meta.mode() & 0o010 != 0).then_some(meta.gid()),
    })
}

/// A run directory that exists and is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
    uid: u32,
}

impl RunDir {
    /// Makes the run directory of `layout`, or checks the one that is there.
    pub fn create(layout: &Layout) -> Result<RunDir, Error> {
        let uid = rustix::process::geteuid().as_raw();
        if layout.run.as_os_str().len() + LONGEST_NAME_BELOW > SOCKET_PATH_BYTES_MAX {
            return Err(Error::PathTooLong(layout.run.clone()));
        }
        if let Some(base) = layout.run.parent() {
            if let Some(above) = base.parent() {
                let _ = std::fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o755)
                    .create(above);
            }
            make(base, uid, passable(uid))?;
        }
        make(&layout.run, uid, passable(uid))?;
        make(&layout.run.join("slots"), uid, passable(uid))?;
        Ok(RunDir {
            path: layout.run.clone(),
            uid,
        })
    }

    /// The run directory at `path`, which must exist and be ours.
    pub fn open(path: &Path) -> Result<RunDir, Error> {
        RunDir::open_of(path, rustix::process::geteuid().as_raw())
    }

    /// The run directory at `path`, which must exist and be that user's.
    pub fn open_of(path: &Path, uid: u32) -> Result<RunDir, Error> {
        check(path, uid)?;
        check(&path.join("slots"), uid)?;
        Ok(RunDir {
            path: path.to_path_buf(),
            uid,
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where commands are taken.
    pub fn control_socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    /// The directory of slot `number`, which need not exist.
    pub fn slot(&self, number: u32) -> Slot {
        Slot {
            dir: self.path.join("slots").join(number.to_string()),
        }
    }

    /// Numbers of the slots that have a directory, sorted.
    pub fn slots(&self) -> Result<Vec<u32>, Error> {
        let dir = self.path.join("slots");
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&dir).map_err(|why| Error::Look(dir.clone(), why))? {
            let entry = entry.map_err(|why| Error::Look(dir.clone(), why))?;
            numbers.extend(
                entry
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse::<u32>().ok()),
            );
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes the directory of a slot. `owner` is the program's user; `gateway_gid` the group of the gateway, which alone
    /// may pass through to the program's sockets. Only root can give directories away; others own all they run.
    pub fn create_slot(
        &self,
        number: u32,
        owner: Option<u32>,
        gateway_gid: Option<u32>,
    ) -> Result<Slot, Error> {
        let slot = self.slot(number);
        make(&slot.dir, self.uid, passable(self.uid))?;
        let app = slot.app();
        match std::fs::DirBuilder::new().mode(0o700).create(&app) {
            Ok(()) => {}
            Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {
                if !look(&app)?.is_dir() {
                    return Err(Error::NotADirectory(app));
                }
            }
            Err(why) => return Err(Error::MakeDirectory(app, why)),
        }
        let owner = owner.filter(|_| self.uid == 0).unwrap_or(self.uid);
        let group = gateway_gid.filter(|_| self.uid == 0);
        self.give(&app, Reach { owner, group })?;
        Ok(slot)
    }

    /// Who reaches the program's sockets of a slot now; None if it has no directory.
    pub fn reach(&self, number: u32) -> Option<Reach> {
        reach(&self.path, number)
    }

    /// Brings the directory of a slot in line, and its keeper's socket for gateways with it.
    pub fn hand(&self, number: u32, reach: Reach) -> Result<(), Error> {
        let slot = self.slot(number);
        let (app, events) = (slot.app(), slot.events());
        if !look(&app)?.is_dir() {
            return Err(Error::NotADirectory(app));
        }
        if self.uid == 0 && std::fs::symlink_metadata(&events).is_ok() {
            // Ours, in a directory of ours: nobody else can have put anything in its place.
            std::os::unix::fs::lchown(&events, Some(self.uid), reach.group.or(Some(0)))
                .map_err(|why| Error::Chown(events.clone(), why))?;
            set_mode(&events, if reach.group.is_some() { 0o660 } else { 0o600 })?;
        }
        self.give(&app, reach)
    }

    fn give(&self, app: &Path, reach: Reach) -> Result<(), Error> {
        if self.uid == 0 {
            std::os::unix::fs::lchown(app, Some(reach.owner), reach.group)
                .map_err(|why| Error::Chown(app.to_path_buf(), why))?;
        }
        set_mode(app, if reach.group.is_some() { 0o710 } else { 0o700 })
    }

    /// Removes the directory of a slot whose keeper has left.
    pub fn remove_slot(&self, number: u32) -> Result<(), Error> {
        let dir = self.slot(number).dir;
        match std::fs::remove_dir_all(&dir) {
            Ok(()) => Ok(()),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(why) => Err(Error::Write(dir, why)),
        }
    }

    /// Writes `info.json`.
    pub fn write_info(&self, info: &Info) -> Result<(), Error> {
        let path = self.path.join("info.json");
        let bytes = serde_json::to_vec_pretty(info)
            .map_err(|why| Error::Malformed(path.clone(), why.to_string()))?;
        write_atomically(&path, &bytes)
    }

    /// Reads `info.json`; None if there is none.
    pub fn read_info(&self) -> Result<Option<Info>, Error> {
        let path = self.path.join("info.json");
        let Some(bytes) = read(&path)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|why| Error::Malformed(path, why.to_string()))
    }

    /// Writes the active model; call it before acting on it.
    pub fn write_active(&self, bytes: &[u8]) -> Result<(), Error> {
        write_atomically(&self.path.join("active.json"), bytes)
    }

    /// Reads the active model; None if there is none.
    pub fn read_active(&self) -> Result<Option<Vec<u8>>, Error> {
        read(&self.path.join("active.json"))
    }

    /// Writes what event listeners are still to hear. Not flushed to the disk: keepers, who know what happened, do not
    /// survive the machine either.
    pub fn write_events(&self, bytes: &[u8]) -> Result<(), Error> {
        crate::write::replace(&self.path.join("events.json"), bytes, false)
    }

    /// Reads it; None if there is none.
    pub fn read_events(&self) -> Result<Option<Vec<u8>>, Error> {
        read(&self.path.join("events.json"))
    }

    /// Removes what was owed to somebody, events and news: a first start owes nobody anything.
    pub fn remove_owed(&self) {
        for name in ["events.json", "news.json"] {
            let _ = std::fs::remove_file(self.path.join(name));
        }
    }

    /// Writes the news that are under way to somebody; like [`RunDir::write_events`] for those who live on.
    pub fn write_news(&self, bytes: &[u8]) -> Result<(), Error> {
        crate::write::replace(&self.path.join("news.json"), bytes, false)
    }

    /// Reads them; None if there are none.
    pub fn read_news(&self) -> Result<Option<Vec<u8>>, Error> {
        read(&self.path.join("news.json"))
    }

    /// Takes away what says that something runs: the end of a shutdown.
    pub fn clear(&self) -> Result<(), Error> {
        for name in [
            "active.json",
            "info.json",
            "events.json",
            "news.json",
            "control.sock",
        ] {
            let path = self.path.join(name);
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => {}
                Err(why) => return Err(Error::Write(path, why)),
            }
        }
        for number in self.slots()? {
            self.remove_slot(number)?;
        }
        Ok(())
    }
}

/// Directories of root are passed through by programs and gateways of other users; those of a user by nobody else.
fn passable(uid: u32) -> u32 {
    if uid == 0 { 0o711 } else { 0o700 }
}

fn make(path: &Path, uid: u32, mode: u32) -> Result<(), Error> {
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => set_mode(path, mode),
        Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => check(path, uid),
        Err(why) => Err(Error::MakeDirectory(path.to_path_buf(), why)),
    }
}

fn check(path: &Path, uid: u32) -> Result<(), Error> {
    let meta = look(path)?;
    if !meta.is_dir() {
        return Err(Error::NotADirectory(path.to_path_buf()));
    }
    if meta.uid() != uid {
        return Err(Error::ForeignOwner(path.to_path_buf(), meta.uid()));
    }
    // Sticky directories (a base that is /tmp itself) protect what is ours in them.
    if meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0 {
        return Err(Error::Writable(path.to_path_buf(), meta.mode() & 0o7777));
    }
    Ok(())
}

fn look(path: &Path) -> Result<Metadata, Error> {
    std::fs::symlink_metadata(path).map_err(|why| Error::Look(path.to_path_buf(), why))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|why| Error::Chown(path.to_path_buf(), why))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    use std::io::Read;
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(Error::Read(path.to_path_buf(), why)),
    };
    let mut bytes = Vec::new();
    match file.take(ACTIVE_BYTES_MAX).read_to_end(&mut bytes) {
        Ok(_) => Ok(Some(bytes)),
        Err(why) => Err(Error::Read(path.to_path_buf(), why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identity, Surroundings};

    fn layout(base: &Path) -> Layout {
        let surroundings = Surroundings {
            run_dir: Some(base.into()),
            ..Surroundings::here()
        };
        Layout::of(&Identity::File(PathBuf::from("/etc/x.conf")), &surroundings)
    }

    #[test]
    fn directories_are_made_and_found_again() {
        let dir = tempfile::tempdir().expect("directory");
        let layout = layout(&dir.path().join("deep/base"));
        let run = RunDir::create(&layout).expect("made");
        assert_eq!(RunDir::create(&layout).expect("again"), run);
        assert_eq!(RunDir::open(&layout.run).expect("open"), run);
        let slot = run.create_slot(3, None, None).expect("slot");
        run.create_slot(12, None, None).expect("slot");
        assert!(slot.app().is_dir());
        assert_eq!(run.slots().expect("list"), [3, 12]);
        run.remove_slot(3).expect("removed");
        assert_eq!(run.slots().expect("list"), [12]);
        run.write_active(b"{}").expect("written");
        assert_eq!(
            run.read_active().expect("read").as_deref(),
            Some(&b"{}"[..])
        );
        let mode = std::fs::metadata(layout.run.join("active.json"))
            .expect("there")
            .mode()
            & 0o777;
        assert_eq!(mode, 0o600);
        run.clear().expect("cleared");
        assert_eq!(run.read_active().expect("read"), None);
        assert!(run.slots().expect("list").is_empty());
    }

    #[test]
    fn a_slot_changes_hands() {
        let dir = tempfile::tempdir().expect("directory");
        let run = RunDir::create(&layout(dir.path())).expect("made");
        let slot = run.create_slot(3, Some(1), None).expect("slot");
        std::fs::write(slot.events(), "").expect("written");
        let own = std::fs::metadata(dir.path()).expect("there").uid();
        // Only root gives anything away.
        let (owner, gid) = if own == 0 { (1, 34) } else { (own, 0) };
        let reach = |owner, group| Some(Reach { owner, group });
        assert_eq!(run.reach(3), reach(owner, None));
        assert_eq!(run.reach(4), None, "there is none");
        if own != 0 {
            return;
        }
        let wanted = Reach {
            owner: 33,
            group: Some(gid),
        };
        run.hand(3, wanted).expect("handed");
        assert_eq!(run.reach(3), Some(wanted));
        let meta = std::fs::metadata(slot.events()).expect("there");
        let socket = (meta.uid(), meta.gid(), meta.mode() & 0o777);
        assert_eq!(
            socket,
            (0, gid, 0o660),
            "ours, and the gateway's to connect to"
        );
        run.hand(
            3,
            Reach {
                owner: 0,
                group: None,
            },
        )
        .expect("back");
        assert_eq!(run.reach(3), reach(0, None));
        let meta = std::fs::metadata(slot.events()).expect("there");
        assert_eq!((meta.gid(), meta.mode() & 0o777), (0, 0o600));
        // A program that may write there has put something else in its place.
        std::fs::remove_dir(slot.app()).expect("removed");
        std::os::unix::fs::symlink("/tmp", slot.app()).expect("linked");
        assert!(run.hand(3, wanted).is_err());
    }

    #[test]
    fn what_others_could_forge_is_refused() {
        let dir = tempfile::tempdir().expect("directory");
        let layout = layout(dir.path());
        std::os::unix::fs::symlink("/tmp", &layout.run).expect("link");
        assert!(matches!(
            RunDir::create(&layout),
            Err(Error::NotADirectory(_))
        ));
        std::fs::remove_file(&layout.run).expect("removed");
        std::fs::create_dir(&layout.run).expect("made");
        set_mode(&layout.run, 0o777).expect("mode");
        assert!(matches!(
            RunDir::create(&layout),
            Err(Error::Writable(_, 0o777))
        ));
        let long = Layout {
            run: PathBuf::from(format!("/tmp/{}", "x".repeat(90))),
            ..layout
        };
        assert!(matches!(RunDir::create(&long), Err(Error::PathTooLong(_))));
    }

    #[test]
    fn a_damaged_info_is_named() {
        let dir = tempfile::tempdir().expect("directory");
        let run = RunDir::create(&layout(dir.path())).expect("made");
        assert_eq!(run.read_info().expect("none"), None);
        let info = Info {
            config: "/a".into(),
            root_pid: 3,
            ..Info::default()
        };
        run.write_info(&info).expect("written");
        assert_eq!(run.read_info().expect("read"), Some(info));
        std::fs::write(run.path().join("info.json"), "{").expect("damaged");
        let error = run.read_info().expect_err("damaged").to_string();
        assert!(error.contains("info.json is damaged"), "{error}");
    }
}
