//! The files of a store, and whether what stands there may be believed.
//!
//! The marker is written after the database: a start that was cut short leaves a database without marker, which is
//! taken for what it is; never a marker without database, which is an alarm.

use crate::error::{Failure, OpenError, Step};
use crate::schema::{self, About, Dumb, meta};
use rusqlite::Connection;
use session::{Alarm, StoreId};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Longer than a marker is.
const MARKER_BYTES_MAX: u64 = 256;

/// Which file stands under a name: device and inode.
pub(crate) type FileId = (u64, u64);

/// The files inside the state directory.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    dir: PathBuf,
    /// The store, for people, where it is no file in this directory.
    store: Option<String>,
}

impl Place {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
            store: None,
        }
    }
    /// Where a store that is named like this keeps its marker.
    pub(crate) fn of(dir: &Path, store: &str) -> Self {
        Self {
            dir: dir.to_path_buf(),
            store: Some(store.to_owned()),
        }
    }
    pub(crate) fn database(&self) -> PathBuf {
        self.dir.join("sessions.db")
    }
    pub(crate) fn count(&self) -> PathBuf {
        self.dir.join("sessions.count")
    }
    /// The database file that stands there now.
    pub(crate) fn file(&self) -> Result<FileId, Failure> {
        let meta = fs::metadata(self.database()).map_err(Failure::at(Step::Files))?;
        Ok((meta.dev(), meta.ino()))
    }
    /// Whether no database stands there.
    pub(crate) fn gone(&self) -> bool {
        fs::metadata(self.database()).is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }
    /// Opens the database that stands there now for writing, if it is the same store with its sessions: put back from
    /// a copy, or written anew by a tool. Nothing is made.
    pub(crate) fn reopen(&self, id: StoreId) -> Result<(Connection, About), Failure> {
        let said = |dumb: Dumb| match dumb {
            Dumb::Failed(failure) => failure,
            Dumb::Unreadable(detail) => Failure::new(Step::Open, detail),
        };
        let mut db = schema::open_writer(&self.database(), false).map_err(said)?;
        schema::migrate(&mut db, None).map_err(said)?;
        let about = schema::about(&db).map_err(said)?;
        if about.id == id && !about.lost_rows {
            return Ok((db, about));
        }
        Err(Failure::new(
            Step::Files,
            "the database was replaced by another store",
        ))
    }
    fn marker(&self) -> PathBuf {
        self.dir.join("sessions.id")
    }

    pub(crate) fn distrusted(&self, alarm: Alarm, detail: impl Into<String>) -> OpenError {
        OpenError::Distrusted {
            alarm,
            store: match &self.store {
                Some(store) => store.clone(),
                None => self.database().display().to_string(),
            },
            detail: detail.into(),
        }
    }

    fn told(&self, dumb: Dumb) -> OpenError {
        match dumb {
            Dumb::Unreadable(detail) => self.distrusted(Alarm::Unreadable, detail),
            Dumb::Failed(failure) => OpenError::Failed(failure),
        }
    }

    /// The id in the marker. None: there is no marker.
    pub(crate) fn marked(&self) -> Result<Option<StoreId>, OpenError> {
        let read = sys::files::regular(&self.marker()).and_then(|file| {
            let mut text = String::new();
            file.take(MARKER_BYTES_MAX).read_to_string(&mut text)?;
            Ok(text)
        });
        match read {
            Ok(text) => match StoreId::parse(text.trim_end()) {
                Some(id) => Ok(Some(id)),
                None => {
                    Err(self.distrusted(Alarm::Unreadable, "sessions.id is not as we write it"))
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::new(Step::Files, error).into()),
        }
    }

    /// Written beside, synced, renamed, and the directory synced: there is a whole marker or none.
    pub(crate) fn mark(&self, id: StoreId) -> Result<(), Failure> {
        let staged = self.dir.join("sessions.id.new");
        let write = || -> std::io::Result<()> {
            match fs::remove_file(&staged) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&staged)?;
            writeln!(file, "{id}")?;
            file.sync_all()?;
            self.hand_over(&file).map_err(std::io::Error::other)?;
            fs::rename(&staged, self.marker())?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(Failure::at(Step::Files))
    }

    /// Whether a database stands there. SQLite leaves a file without content when a first start is cut short.
    fn stands(&self) -> Result<bool, OpenError> {
        match fs::metadata(self.database()) {
            Ok(meta) => Ok(meta.len() > 0),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Failure::new(Step::Files, error).into()),
        }
    }

    /// Opens what stands there by the table of the crate's documentation.
    pub(crate) fn open(&self, new_id: StoreId) -> Result<(Connection, About), OpenError> {
        self.make_dir()?;
        let marked = self.marked()?;
        if !self.stands()? {
            return match marked {
                Some(id) => Err(self.distrusted(Alarm::Missing, format!("store {id}"))),
                None => self.make(new_id),
            };
        }
        let mut db = schema::open_writer(&self.database(), false).map_err(|it| self.told(it))?;
        schema::migrate(&mut db, None).map_err(|it| self.told(it))?;
        let about = schema::about(&db).map_err(|it| self.told(it))?;
        match marked {
            Some(id) if id != about.id => {
                Err(self.distrusted(Alarm::Foreign, format!("store {}, not {id}", about.id)))
            }
            _ if about.lost_rows => {
                Err(self.distrusted(Alarm::Empty, format!("store {}", about.id)))
            }
            Some(_) => Ok((db, about)),
            None => {
                self.mark(about.id)?;
                Ok((db, about))
            }
        }
    }

    pub(crate) fn make_dir(&self) -> Result<(), Failure> {
        if self.dir.is_dir() {
            return Ok(());
        }
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir);
        made.map_err(Failure::at(Step::Files))?;
        // Its name is in the directory above, and must be on the disk before anything in it is acknowledged.
        let above = self.dir.parent().filter(|dir| !dir.as_os_str().is_empty());
        let synced = File::open(above.unwrap_or(Path::new("."))).and_then(|dir| dir.sync_all());
        synced.map_err(Failure::at(Step::Files))
    }

    /// A command that root runs makes files for the directory's owner, not for root: the gateway has to write them.
    /// SQLite does the same for the files beside its database. This very file, and only if it has no other name: whoever
    /// owns the directory could give himself any file of root's by a link.
    pub(crate) fn hand_over(&self, file: &File) -> Result<(), Failure> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let dir = fs::metadata(&self.dir).map_err(Failure::at(Step::Files))?;
        match sys::files::give(file, dir.uid(), dir.gid()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::new(
                Step::Files,
                format!(
                    "a file in {} has another name elsewhere as well (a hard link); remove that or this one",
                    self.dir.display()
                ),
            )),
            Err(error) => Err(Failure::new(Step::Files, error)),
        }
    }

    fn make(&self, id: StoreId) -> Result<(Connection, About), OpenError> {
        // Made by us first, so that it is never readable by others, not even for a moment.
        let made = sys::files::private(&self.database());
        self.hand_over(&made.map_err(Failure::at(Step::Files))?)?;
        let mut db = schema::open_writer(&self.database(), true).map_err(|it| self.told(it))?;
        schema::migrate(&mut db, Some(id)).map_err(|it| self.told(it))?;
        let about = schema::about(&db).map_err(|it| self.told(it))?;
        self.mark(about.id)?;
        Ok((db, about))
    }

    /// Sets the database aside under a name that no store has.
    fn set_aside(&self) -> Result<(), Failure> {
        for n in 0..u32::MAX {
            let aside = self.dir.join(format!("sessions.db.forgotten-{n}"));
            if aside.exists() {
                continue;
            }
            for suffix in ["", "-wal", "-shm"] {
                let from = self.dir.join(format!("sessions.db{suffix}"));
                let to = self.dir.join(format!("sessions.db.forgotten-{n}{suffix}"));
                match fs::rename(from, to) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(Failure::new(Step::Files, error)),
                }
            }
            return Ok(());
        }
        Ok(())
    }
}

/// Which store a configuration means, for people: the file of `sqlite:DIRECTORY`, or `postgres HOST:PORT/DATABASE` of a
/// URL. No user, no password: two that are named alike are the same store.
#[must_use]
pub fn named(store: &str) -> String {
    match store.strip_prefix("sqlite:") {
        Some(dir) => Place::new(Path::new(dir)).database().display().to_string(),
        None => crate::postgres::said::name_of(store),
    }
}

/// `sessions forget-store`: what stands there now is the store, and tokens of any other are invalid from now on.
/// This signs people out, by command. A database that cannot be read is set aside, not deleted. Returns the store's id.
///
/// # Errors
/// The system or SQLite says no; nothing that was readable is lost.
pub fn forget(dir: &Path, new_id: StoreId) -> Result<StoreId, Failure> {
    let place = Place::new(dir);
    let plain = |error: OpenError| match error {
        OpenError::Failed(failure) => failure,
        OpenError::Distrusted { .. } => Failure::new(Step::Open, error),
    };
    let told = |dumb: Dumb| plain(place.told(dumb));
    place.make_dir()?;
    let kept = if place.stands().map_err(plain)? {
        readable(&place)
    } else {
        Err(Dumb::Unreadable(String::new()))
    };
    let (db, about) = match kept {
        Ok(kept) => kept,
        Err(Dumb::Failed(failure)) => return Err(failure),
        Err(Dumb::Unreadable(_)) => {
            place.set_aside()?;
            place.make(new_id).map_err(plain)?
        }
    };
    schema::set(&db, meta::OTHERS_FORGOTTEN, 1_i64).map_err(|it| told(schema::dumb(it)))?;
    if about.lost_rows {
        schema::set(&db, meta::ROWS, 0_i64).map_err(|it| told(schema::dumb(it)))?;
    }
    place.mark(about.id)?;
    Ok(about.id)
}

fn readable(place: &Place) -> Result<(Connection, About), Dumb> {
    let mut db = schema::open_writer(&place.database(), false)?;
    schema::migrate(&mut db, None)?;
    let about = schema::about(&db)?;
    Ok((db, about))
}
