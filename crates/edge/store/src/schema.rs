//! The tables, and how older ones become these.

use crate::error::{Failure, Step};
use crate::limits::{READ_WAIT_MS, WRITE_WAIT_MS};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use session::{Alarm, StoreId};
use std::path::Path;
use std::time::Duration;

/// "SFSS": a database with another number is not ours, whatever its tables are called.
pub(crate) const APPLICATION_ID: i64 = 0x5346_5353;

/// Migration i leads from version i to i + 1. Never edited once released; only appended to.
const MIGRATIONS: [&str; 3] = ["
    CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value ANY NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE session (
        id BLOB PRIMARY KEY NOT NULL,
        user TEXT NOT NULL,
        kind INTEGER NOT NULL,
        hash BLOB,
        chain BLOB,
        created_ms INTEGER NOT NULL,
        seen_ms INTEGER NOT NULL,
        context TEXT NOT NULL,
        ended_ms INTEGER,
        ended_why INTEGER,
        ended_other TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX session_by_hash ON session (hash) WHERE hash IS NOT NULL;
    CREATE INDEX session_by_user ON session (user);
    CREATE INDEX session_by_seen ON session (seen_ms);
", "
    CREATE TABLE user (
        name TEXT PRIMARY KEY NOT NULL,
        hash TEXT NOT NULL,
        disabled INTEGER NOT NULL,
        created_ms INTEGER NOT NULL,
        changed_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE setting (name TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
", "
    ALTER TABLE session ADD COLUMN realm TEXT NOT NULL DEFAULT '';
"];

/// Names in `meta`.
pub(crate) mod meta {
    /// The store's id, 8 bytes.
    pub(crate) const ID: &str = "id";
    /// How many rows `session` has: an empty table with another number has lost them.
    pub(crate) const ROWS: &str = "rows";
    /// Revocations so far.
    pub(crate) const REVOCATIONS: &str = "revocations";
    /// Which file of the count was raised last: its inode. Missing: none was yet.
    pub(crate) const COUNT_FILE: &str = "count_file";
    /// 1: tokens of other stores are invalid.
    pub(crate) const OTHERS_FORGOTTEN: &str = "others_forgotten";
    /// The latest time that was stamped, Unix milliseconds.
    pub(crate) const SEEN_MS: &str = "seen_ms";
}

/// What a database says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) id: StoreId,
    pub(crate) others_forgotten: bool,
    pub(crate) revocations: u64,
    pub(crate) seen_ms: u64,
    /// Its table is empty although rows were counted.
    pub(crate) lost_rows: bool,
}

impl About {
    /// Why it is not to be believed as the store with this id.
    pub(crate) fn alarm(&self, ours: StoreId) -> Option<Alarm> {
        if self.id != ours {
            Some(Alarm::Foreign)
        } else if self.lost_rows {
            Some(Alarm::Empty)
        } else {
            None
        }
    }
}

/// Why a database does not say anything about itself.
#[derive(Debug)]
pub(crate) enum Dumb {
    /// Not a database, damaged, of another application, newer.
    Unreadable(String),
    /// Locked, no permission, the disk fails: it may be good.
    Failed(Failure),
}

/// Opens what stands there, through no link in its place: a command may run as root in a directory that the gateway's user
/// owns. The directory itself may be reached by links.
fn open(path: &Path, more: OpenFlags) -> Result<Connection, Dumb> {
    let failed = |error| Dumb::Failed(Failure::new(Step::Files, error));
    let resolved = match (path.parent(), path.file_name()) {
        (Some(dir), Some(name)) => dir.canonicalize().map_err(failed)?.join(name),
        (_, _) => path.to_owned(),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    Connection::open_with_flags(resolved, flags | more).map_err(dumb)
}

/// Opens for writing. Makes the file if `create`.
pub(crate) fn open_writer(path: &Path, create: bool) -> Result<Connection, Dumb> {
    let more = match create {
        true => OpenFlags::SQLITE_OPEN_CREATE,
        false => OpenFlags::empty(),
    };
    let db = open(path, more)?;
    db.busy_timeout(Duration::from_millis(WRITE_WAIT_MS))
        .map_err(dumb)?;
    // Read before anything is set: a file that is no database, or another application's, must not be touched. One that says
    // nothing yet may be in the making: [`migrate`] waits for that.
    let (_, application) = versions(&db)?;
    whose(application, application == 0)?;
    if create || application == APPLICATION_ID {
        db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
            .map_err(dumb)?;
    }
    db.pragma_update(None, "synchronous", "FULL")
        .map_err(dumb)?;
    db.pragma_update(None, "foreign_keys", false)
        .map_err(dumb)?;
    Ok(db)
}

/// Opens for reading.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, Dumb> {
    let db = open(path, OpenFlags::empty())?;
    db.busy_timeout(Duration::from_millis(READ_WAIT_MS))
        .map_err(dumb)?;
    db.pragma_update(None, "query_only", true).map_err(dumb)?;
    Ok(db)
}

/// The version of the tables, and whose database it is.
fn versions(db: &Connection) -> Result<(usize, i64), Dumb> {
    let version = db
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(dumb)?;
    let application = db
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(dumb)?;
    Ok((version, application))
}

/// Whether it may be ours; `made`: it is being made, and says nothing yet.
fn whose(application: i64, made: bool) -> Result<(), Dumb> {
    match application {
        APPLICATION_ID => Ok(()),
        0 if made => Ok(()),
        0 => Err(Dumb::Unreadable("a database without our tables".into())),
        _ => Err(Dumb::Unreadable("another application's database".into())),
    }
}

/// Brings a new or older database to this version. A newer one is not touched.
pub(crate) fn migrate(db: &mut Connection, new_id: Option<StoreId>) -> Result<(), Dumb> {
    if versions(db)? == (MIGRATIONS.len(), APPLICATION_ID) {
        return Ok(());
    }
    // Workers start together: the first one migrates, the others wait here and then find nothing to do.
    let change = db
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(dumb)?;
    let (version, application) = versions(&change)?;
    let fresh = version == 0 && application == 0;
    whose(application, fresh && new_id.is_some())?;
    let Some(steps) = MIGRATIONS.get(version..) else {
        return Err(Dumb::Unreadable(format!(
            "version {version}, and we know {}",
            MIGRATIONS.len()
        )));
    };
    if steps.is_empty() {
        return Ok(());
    }
    for step in steps {
        change.execute_batch(step).map_err(dumb)?;
    }
    if let (true, Some(id)) = (fresh, new_id) {
        change
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(dumb)?;
        set(&change, meta::ID, id.0.as_slice()).map_err(dumb)?;
        for name in [
            meta::ROWS,
            meta::REVOCATIONS,
            meta::OTHERS_FORGOTTEN,
            meta::SEEN_MS,
        ] {
            set(&change, name, 0_i64).map_err(dumb)?;
        }
    }
    change
        .pragma_update(None, "user_version", MIGRATIONS.len())
        .map_err(dumb)?;
    change.commit().map_err(dumb)
}

/// What it says about itself.
pub(crate) fn about(db: &Connection) -> Result<About, Dumb> {
    let id: Vec<u8> = get(db, meta::ID)?;
    let id = id
        .try_into()
        .map_err(|_| Dumb::Unreadable("its id has another length".into()))?;
    let rows: i64 = get(db, meta::ROWS)?;
    let any = db
        .query_row("SELECT EXISTS (SELECT 1 FROM session)", [], |row| {
            row.get::<_, bool>(0)
        })
        .map_err(dumb)?;
    Ok(About {
        id: StoreId(id),
        others_forgotten: get::<i64>(db, meta::OTHERS_FORGOTTEN)? != 0,
        revocations: u64::try_from(get::<i64>(db, meta::REVOCATIONS)?).unwrap_or(0),
        seen_ms: u64::try_from(get::<i64>(db, meta::SEEN_MS)?).unwrap_or(0),
        lost_rows: rows > 0 && !any,
    })
}

fn get<T: rusqlite::types::FromSql>(db: &Connection, name: &str) -> Result<T, Dumb> {
    let found = noted(db, name).map_err(dumb)?;
    found.ok_or_else(|| Dumb::Unreadable(format!("it has no {name}")))
}

/// A value of `meta`, if it is there.
pub(crate) fn noted<T: rusqlite::types::FromSql>(
    db: &Connection,
    name: &str,
) -> rusqlite::Result<Option<T>> {
    let sql = "SELECT value FROM meta WHERE name = ?1";
    db.query_row(sql, [name], |row| row.get(0)).optional()
}

pub(crate) fn set(
    db: &Connection,
    name: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
        params![name, value],
    )?;
    Ok(())
}

/// Adds to a number in `meta`; returns the new one.
pub(crate) fn add(db: &Connection, name: &str, by: i64) -> rusqlite::Result<i64> {
    let sql = "UPDATE meta SET value = value + ?2 WHERE name = ?1 RETURNING value";
    db.prepare_cached(sql)?
        .query_row(params![name, by], |row| row.get(0))
}

/// Sorts SQLite's errors: what says that the file is wrong, and what says that the moment is.
pub(crate) fn dumb(error: rusqlite::Error) -> Dumb {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, TypeMismatch};
    let wrong = match &error {
        rusqlite::Error::SqliteFailure(code, text) => {
            let no_table = text
                .as_deref()
                .is_some_and(|text| text.starts_with("no such"));
            no_table || matches!(code.code, DatabaseCorrupt | NotADatabase | TypeMismatch)
        }
        rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..) => {
            true
        }
        _ => false,
    };
    if wrong {
        Dumb::Unreadable(error.to_string())
    } else {
        Dumb::Failed(Failure::new(Step::Open, error))
    }
}
