//! Users with a password of ours, and settings that all processes share: types, and how SQLite keeps them.
//!
//! A changed password and an account that is disabled or removed end the user's sessions in the same commit: there is no
//! moment in which the one is true and the other is not.

use crate::rows::ms;
use rusqlite::{Connection, OptionalExtension, Row as Line, params};
use session::{UserId, Why};

/// One account.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Its name, exactly as it was added.
    pub name: UserId,
    /// The password's hash as a PHC string: it holds its algorithm's parameters.
    pub hash: String,
    /// Nobody can sign in.
    pub disabled: bool,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// When the password or `disabled` was changed last. Unix milliseconds.
    pub changed_ms: u64,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

/// A change of one account.
#[derive(Clone, PartialEq, Eq)]
pub enum UserChange {
    /// A new one; not done if there is one of that name.
    Add {
        /// PHC string.
        hash: String,
    },
    /// Another password: ends all sessions of the user.
    Password {
        /// PHC string.
        hash: String,
    },
    /// The same password under other parameters: ends nothing. Not done if the hash is another one by now.
    Rehash {
        /// The PHC string that was verified.
        old: String,
        /// The same password's new one.
        new: String,
    },
    /// Nobody can sign in; ends all sessions of the user.
    Disable,
    /// As before.
    Enable,
    /// No account any more; ends all sessions of the user. The name may be added again.
    Remove,
}

impl UserChange {
    /// Why the user's sessions end by it. None: they go on.
    #[must_use]
    pub const fn ends(&self) -> Option<Why> {
        match self {
            Self::Password { .. } => Some(Why::Revoked),
            Self::Disable | Self::Remove => Some(Why::Disabled),
            Self::Add { .. } | Self::Rehash { .. } | Self::Enable => None,
        }
    }
}

pub(crate) fn read(line: &Line<'_>) -> rusqlite::Result<User> {
    let wrong = |column| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, "not as we write it".into())
    };
    let time = |column: usize| {
        let value: i64 = line.get(column)?;
        u64::try_from(value).map_err(|_| wrong(column))
    };
    Ok(User {
        name: UserId::parse(&line.get::<_, String>(0)?).ok_or_else(|| wrong(0))?,
        hash: line.get(1)?,
        disabled: line.get(2)?,
        created_ms: time(3)?,
        changed_ms: time(4)?,
    })
}

pub(crate) fn one(db: &Connection, name: &UserId) -> rusqlite::Result<Option<User>> {
    let sql = "SELECT name, hash, disabled, created_ms, changed_ms FROM user WHERE name = ?1";
    db.prepare_cached(sql)?
        .query_row([name.as_str()], read)
        .optional()
}

pub(crate) fn all(db: &Connection, most: usize) -> rusqlite::Result<Vec<User>> {
    let sql =
        "SELECT name, hash, disabled, created_ms, changed_ms FROM user ORDER BY name LIMIT ?1";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(sql)?;
    let found = statement.query_map([most], read)?;
    found.collect()
}

/// Says whether it was done. Ending sessions is the caller's part of the same transaction.
pub(crate) fn change(
    db: &Connection,
    name: &UserId,
    change: &UserChange,
    at_ms: u64,
) -> rusqlite::Result<bool> {
    let (name, at) = (name.as_str(), ms(at_ms));
    let changed = match change {
        UserChange::Add { hash } => db.execute(
            "INSERT INTO user (name, hash, disabled, created_ms, changed_ms) VALUES (?1, ?2, 0, ?3, ?3) \
             ON CONFLICT (name) DO NOTHING",
            params![name, hash, at],
        ),
        UserChange::Password { hash } => db.execute(
            "UPDATE user SET hash = ?2, changed_ms = ?3 WHERE name = ?1",
            params![name, hash, at],
        ),
        UserChange::Rehash { old, new } => db.execute(
            "UPDATE user SET hash = ?3 WHERE name = ?1 AND hash = ?2",
            params![name, old, new],
        ),
        UserChange::Disable => db.execute(
            "UPDATE user SET disabled = 1, changed_ms = ?2 WHERE name = ?1",
            params![name, at],
        ),
        UserChange::Enable => db.execute(
            "UPDATE user SET disabled = 0, changed_ms = ?2 WHERE name = ?1",
            params![name, at],
        ),
        UserChange::Remove => db.execute("DELETE FROM user WHERE name = ?1", params![name]),
    };
    Ok(changed? == 1)
}

/// A setting's bytes.
pub(crate) fn setting(db: &Connection, name: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    db.prepare_cached("SELECT value FROM setting WHERE name = ?1")?
        .query_row([name], |line| line.get(0))
        .optional()
}

/// Sets it; returns what stands there afterwards.
pub(crate) fn set(
    db: &Connection,
    name: &str,
    value: &[u8],
    keep: bool,
) -> rusqlite::Result<Vec<u8>> {
    let sql = if keep {
        "INSERT INTO setting VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING"
    } else {
        "INSERT INTO setting VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2"
    };
    db.execute(sql, params![name, value])?;
    setting(db, name).map(Option::unwrap_or_default)
}
