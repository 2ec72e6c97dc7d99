//! Rows in and out of the table.

use crate::chain;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row as Line, ToSql, params};
use session::revoke::Scope;
use session::{Credential, Ended, Realm, Row, Sid, UserId, Why};

pub(crate) const COLUMNS: &str = "id, user, kind, hash, chain, created_ms, seen_ms, context, ended_ms, ended_why, ended_other, realm";

/// Numbers on disk: never reused.
pub(crate) const fn why_number(why: Why) -> i64 {
    match why {
        Why::SignedOut => 1,
        Why::Revoked => 2,
        Why::Replaced => 3,
        Why::Disabled => 4,
        Why::Theft => 5,
    }
}

pub(crate) const fn why_of(number: i64) -> Option<Why> {
    match number {
        1 => Some(Why::SignedOut),
        2 => Some(Why::Revoked),
        3 => Some(Why::Replaced),
        4 => Some(Why::Disabled),
        5 => Some(Why::Theft),
        _ => None,
    }
}

/// SQLite's integers are signed; times are far below that.
pub(crate) fn ms(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads one line. What cannot be read is an error, never a missing row.
pub(crate) fn read(line: &Line<'_>) -> rusqlite::Result<Row> {
    let wrong = |column: usize, kind: Type| {
        rusqlite::Error::FromSqlConversionFailure(column, kind, "not as we write it".into())
    };
    let hash = || line.get::<_, [u8; 32]>(3);
    let credential = match line.get::<_, i64>(2)? {
        1 => Credential::Cookie(hash()?),
        2 => Credential::Bearer(hash()?),
        3 => {
            let bytes: Vec<u8> = line.get(4)?;
            Credential::Rotating(chain::decode(&bytes).ok_or_else(|| wrong(4, Type::Blob))?)
        }
        _ => return Err(wrong(2, Type::Integer)),
    };
    let time = |column: usize| {
        u64::try_from(line.get::<_, i64>(column)?).map_err(|_| wrong(column, Type::Integer))
    };
    let ended = match line.get::<_, Option<i64>>(9)? {
        None => None,
        Some(why) => {
            let why = why_of(why).ok_or_else(|| wrong(9, Type::Integer))?;
            Some(Ended {
                at_ms: time(8)?,
                why,
                other: line.get(10)?,
            })
        }
    };
    Ok(Row {
        id: Sid(line.get(0)?),
        user: UserId::parse(&line.get::<_, String>(1)?).ok_or_else(|| wrong(1, Type::Text))?,
        credential,
        created_ms: time(5)?,
        seen_ms: time(6)?,
        context: line.get(7)?,
        ended,
        realm: Realm::parse(&line.get::<_, String>(11)?).ok_or_else(|| wrong(11, Type::Text))?,
    })
}

pub(crate) fn by_id(db: &Connection, id: Sid) -> rusqlite::Result<Option<Row>> {
    let sql = format!("SELECT {COLUMNS} FROM session WHERE id = ?1");
    db.prepare_cached(&sql)?
        .query_row([id.0.as_slice()], read)
        .optional()
}

pub(crate) fn by_hash(db: &Connection, hash: [u8; 32]) -> rusqlite::Result<Option<Row>> {
    let sql = format!("SELECT {COLUMNS} FROM session WHERE hash = ?1");
    db.prepare_cached(&sql)?
        .query_row([hash.as_slice()], read)
        .optional()
}

pub(crate) fn insert(db: &Connection, row: &Row) -> rusqlite::Result<()> {
    let (kind, hash, chain) = match &row.credential {
        Credential::Cookie(hash) => (1, Some(hash.as_slice()), None),
        Credential::Bearer(hash) => (2, Some(hash.as_slice()), None),
        Credential::Rotating(chain) => (3, None, Some(chain::encode(chain))),
    };
    let sql = "INSERT INTO session (id, user, kind, hash, chain, created_ms, seen_ms, context, realm) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let (id, user) = (row.id.0.as_slice(), row.user.as_str());
    let (created, seen) = (ms(row.created_ms), ms(row.seen_ms));
    db.prepare_cached(sql)?.execute(params![
        id,
        user,
        kind,
        hash,
        chain,
        created,
        seen,
        row.context,
        row.realm.as_str()
    ])?;
    Ok(())
}

pub(crate) fn set_chain(
    db: &Connection,
    id: Sid,
    chain: &session::rotating::Chain,
    context: &str,
    seen_ms: u64,
) -> rusqlite::Result<()> {
    let sql =
        "UPDATE session SET chain = ?2, context = ?3, seen_ms = max(seen_ms, ?4) WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![
        id.0.as_slice(),
        chain::encode(chain),
        context,
        ms(seen_ms)
    ])?;
    Ok(())
}

/// Ends one session if it is not ended. Says whether it did.
pub(crate) fn end(db: &Connection, id: Sid, ended: &Ended) -> rusqlite::Result<bool> {
    let sql = "UPDATE session SET ended_ms = ?2, ended_why = ?3, ended_other = ?4 WHERE id = ?1 AND ended_why IS NULL";
    let changed = params![
        id.0.as_slice(),
        ms(ended.at_ms),
        why_number(ended.why),
        ended.other
    ];
    Ok(db.prepare_cached(sql)?.execute(changed)? == 1)
}

pub(crate) fn touch(db: &Connection, id: Sid, at_ms: u64) -> rusqlite::Result<()> {
    let sql =
        "UPDATE session SET seen_ms = ?2 WHERE id = ?1 AND seen_ms < ?2 AND ended_why IS NULL";
    db.prepare_cached(sql)?
        .execute(params![id.0.as_slice(), ms(at_ms)])?;
    Ok(())
}

/// Ends the living sessions that are meant: one statement for all of them, for other writes wait meanwhile. How many.
pub(crate) fn end_all(
    db: &Connection,
    scope: &Scope,
    why: Why,
    at_ms: u64,
) -> rusqlite::Result<usize> {
    let (at, why) = (ms(at_ms), why_number(why));
    let end = |which: &str, asked: &[&dyn ToSql]| {
        let sql = format!(
            "UPDATE session SET ended_ms = ?1, ended_why = ?2 WHERE ended_why IS NULL AND {which}"
        );
        db.prepare_cached(&sql)?.execute(asked)
    };
    match scope {
        Scope::One(id) => end("id = ?3", &[&at, &why, &id.0]),
        Scope::User(user) => end("user = ?3", &[&at, &why, &user.as_str()]),
        Scope::Within { user, realm } => {
            let asked: [&dyn ToSql; 4] = [&at, &why, &user.as_str(), &realm.as_str()];
            end("user = ?3 AND realm = ?4", &asked)
        }
        Scope::Others { user, realm, keep } => {
            let asked: [&dyn ToSql; 5] = [&at, &why, &user.as_str(), &realm.as_str(), &keep.0];
            end("user = ?3 AND realm = ?4 AND id <> ?5", &asked)
        }
    }
}
