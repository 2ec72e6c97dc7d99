//! The tables in PostgreSQL, in a schema of their own, and every statement.

use super::said;
use crate::chain;
use crate::error::{Failure, Step};
use crate::rows::why_of;
use session::{Credential, Ended, Realm, Row, Sid, StoreId, UserId};
use tokio_postgres::{Client, GenericClient};

/// Migration i leads from version i to i + 1. Never edited once released; only appended to.
const MIGRATIONS: [&str; 4] = ["
    CREATE TABLE steadfast.meta (
        one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
        version BIGINT NOT NULL,
        id BYTEA NOT NULL,
        used BOOLEAN NOT NULL DEFAULT FALSE,
        others_forgotten BOOLEAN NOT NULL DEFAULT FALSE
    );
    CREATE TABLE steadfast.revocation (one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one), count BIGINT NOT NULL);
    INSERT INTO steadfast.revocation (count) VALUES (0);
    CREATE TABLE steadfast.gateway (name BYTEA PRIMARY KEY, confirmed BIGINT NOT NULL, until_ms BIGINT NOT NULL);
    CREATE TABLE steadfast.session (
        id BYTEA PRIMARY KEY,
        user_id TEXT NOT NULL,
        kind BIGINT NOT NULL,
        hash BYTEA,
        chain BYTEA,
        created_ms BIGINT NOT NULL,
        seen_ms BIGINT NOT NULL,
        context TEXT NOT NULL,
        ended_ms BIGINT,
        ended_why BIGINT,
        ended_other TEXT
    ) WITH (fillfactor = 80);
    CREATE UNIQUE INDEX session_by_hash ON steadfast.session (hash) WHERE hash IS NOT NULL;
    CREATE INDEX session_by_user ON steadfast.session (user_id);
", "
    CREATE TABLE steadfast.account (
        name TEXT PRIMARY KEY,
        hash TEXT NOT NULL,
        disabled BOOLEAN NOT NULL,
        created_ms BIGINT NOT NULL,
        changed_ms BIGINT NOT NULL
    );
    CREATE TABLE steadfast.setting (name TEXT PRIMARY KEY, value BYTEA NOT NULL);
", "
    ALTER TABLE steadfast.session ADD COLUMN realm TEXT NOT NULL DEFAULT '';
", "
    CREATE TABLE steadfast.throttle (slot BIGINT PRIMARY KEY, whole_ms BIGINT NOT NULL);
"];

/// Two gateways that start at once must not both make the tables.
const LOCK: &str = "SELECT pg_advisory_xact_lock(6001215)";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, kind, hash, chain, created_ms, seen_ms, context, ended_ms, ended_why, ended_other, realm ",
            "FROM steadfast.session ",
            $rest
        )
    };
}

pub(crate) const BY_ID: &str = select!("WHERE id = $1");
pub(crate) const BY_IDS: &str = select!("WHERE id = ANY($1)");
pub(crate) const BY_HASH: &str = select!("WHERE hash = $1");
/// See [`crate::listing`].
pub(crate) const LIST_OF: &str = select!(
    "WHERE user_id = $1 AND ended_why IS NULL AND realm = $2 AND created_ms >= $3 AND seen_ms >= $4 \
     AND (seen_ms, id) < ($5, $6) ORDER BY seen_ms DESC, id DESC LIMIT $7"
);
pub(crate) const LIST: &str = select!(
    "WHERE id > $1 AND ended_why IS NULL AND created_ms >= $2 AND seen_ms >= $3 ORDER BY id LIMIT $4"
);
pub(crate) const INSERT: &str = "INSERT INTO steadfast.session \
    (id, user_id, kind, hash, chain, created_ms, seen_ms, context, realm) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
/// Said once: afterwards it changes no row and waits for nobody.
pub(crate) const USED: &str = "UPDATE steadfast.meta SET used = TRUE WHERE NOT used";
pub(crate) const UNUSED: &str = "UPDATE steadfast.meta SET used = FALSE WHERE used AND NOT EXISTS (SELECT 1 FROM steadfast.session)";
/// Whose store it is, whether it has lost its sessions, and whether others were forgotten.
pub(crate) const STANDS: &str = "SELECT id, used AND NOT EXISTS (SELECT 1 FROM steadfast.session), others_forgotten FROM steadfast.meta";
pub(crate) const FORGET: &str = "UPDATE steadfast.meta SET others_forgotten = TRUE";
/// Only while the chain is the one that was read.
pub(crate) const SET_CHAIN: &str = "UPDATE steadfast.session \
    SET chain = $2, context = $3, seen_ms = greatest(seen_ms, $4) WHERE id = $1 AND chain = $5 AND ended_why IS NULL";
/// The same for a group. In the order of ids, so that two groups never wait for each other in a circle.
pub(crate) const SET_CHAINS: &str = "WITH asked AS MATERIALIZED (SELECT s.id AS id, a.chain, a.context, a.seen_ms \
    FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bigint[], $5::bytea[]) AS a(id, chain, context, seen_ms, old) \
    JOIN steadfast.session s ON s.id = a.id AND s.chain = a.old AND s.ended_why IS NULL ORDER BY s.id FOR UPDATE OF s) \
    UPDATE steadfast.session s SET chain = asked.chain, context = asked.context, seen_ms = greatest(s.seen_ms, asked.seen_ms) \
    FROM asked WHERE s.id = asked.id RETURNING s.id";
pub(crate) const TOUCH: &str = "UPDATE steadfast.session SET seen_ms = $2 WHERE id = $1 AND seen_ms < $2 AND ended_why IS NULL";
/// The same for a batch. Rows that somebody else holds are passed over: they are being touched, refreshed or ended, and
/// two batches that waited for each other's rows would wait for ever.
pub(crate) const TOUCHES: &str = "WITH due AS MATERIALIZED (SELECT s.id AS id, a.seen_ms AS seen_ms \
    FROM unnest($1::bytea[], $2::bigint[]) AS a(id, seen_ms) \
    JOIN steadfast.session s ON s.id = a.id AND s.seen_ms < a.seen_ms AND s.ended_why IS NULL FOR UPDATE OF s SKIP LOCKED) \
    UPDATE steadfast.session s SET seen_ms = greatest(s.seen_ms, due.seen_ms) FROM due WHERE s.id = due.id";
pub(crate) const END: &str = "UPDATE steadfast.session SET ended_ms = $2, ended_why = $3, ended_other = $4 \
    WHERE id = $1 AND ended_why IS NULL";
pub(crate) const REVOKE: &str = "UPDATE steadfast.session SET ended_ms = $4, ended_why = $5 \
    WHERE ended_why IS NULL AND ($1::bytea IS NULL OR id = $1) AND ($2::text IS NULL OR user_id = $2) \
    AND ($1::bytea IS NOT NULL OR $2::text IS NOT NULL) AND ($3::bytea IS NULL OR id <> $3) \
    AND ($6::text IS NULL OR realm = $6)";
/// Never below the clock: a database that was set back (a copy, a replica that lagged) must not count where gateways have
/// been already, or what they cached under that number would count again.
pub(crate) const RAISE: &str = "UPDATE steadfast.revocation \
    SET count = greatest(count + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) RETURNING count";
pub(crate) const SWEEP: &str = "DELETE FROM steadfast.session WHERE id IN (SELECT id FROM steadfast.session \
    WHERE (ended_why IS NOT NULL AND ended_ms < $1) OR created_ms < $2 OR seen_ms < $3 LIMIT $4)";
/// Confirms what was applied, asks for the newest count, and forgets gateways that are long gone.
///
/// `FOR SHARE` is what makes it one step: a revocation that is being committed is waited for and seen, and one that
/// comes later waits until this lease can be seen. Without it a lease with the old count could appear after the
/// revoker had looked for leases.
pub(crate) const RENEW: &str = "WITH r AS (SELECT count FROM steadfast.revocation FOR SHARE), \
    clock AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms), \
    gone AS (DELETE FROM steadfast.gateway WHERE until_ms < (SELECT ms FROM clock) - 3600000 AND name <> $1), \
    mine AS (INSERT INTO steadfast.gateway SELECT $1, $2, ms + $3 FROM clock, r \
        ON CONFLICT (name) DO UPDATE SET confirmed = excluded.confirmed, until_ms = excluded.until_ms) \
    SELECT r.count, clock.ms FROM r, clock";
pub(crate) const PEERS: &str = "SELECT confirmed, until_ms, (extract(epoch FROM clock_timestamp()) * 1000)::bigint \
    FROM steadfast.gateway WHERE name <> $1";

/// What a database says about itself.
pub(crate) struct About {
    pub(crate) id: StoreId,
    pub(crate) others_forgotten: bool,
    pub(crate) seen_ms: u64,
    pub(crate) lost_rows: bool,
}

pub(crate) enum Stands {
    /// No tables of ours, and none were to be made.
    Nothing,
    /// A version that we do not know, or tables that are not as we make them.
    Newer(String),
    Store(About),
}

/// Reads it; makes or migrates the tables under a lock.
pub(crate) async fn about(db: &mut Client, new_id: Option<StoreId>) -> Result<Stands, Failure> {
    let at = said::at(Step::Migrate);
    let open = db.transaction().await.map_err(&at)?;
    open.execute(LOCK, &[]).await.map_err(&at)?;
    let stands = open
        .query_one("SELECT to_regclass('steadfast.meta') IS NOT NULL", &[])
        .await
        .map_err(&at)?;
    if !stands.try_get::<_, bool>(0).map_err(&at)? {
        let Some(id) = new_id else {
            return Ok(Stands::Nothing);
        };
        open.batch_execute("CREATE SCHEMA IF NOT EXISTS steadfast")
            .await
            .map_err(&at)?;
        open.batch_execute(MIGRATIONS[0]).await.map_err(&at)?;
        let sql = "INSERT INTO steadfast.meta (version, id) VALUES (1, $1)";
        open.execute(sql, &[&id.0.as_slice()]).await.map_err(&at)?;
    }
    let known = open
        .query_opt("SELECT version FROM steadfast.meta", &[])
        .await
        .map_err(&at)?;
    let known = known.map(|line| line.try_get::<_, i64>(0)).transpose();
    let known = usize::try_from(known.map_err(&at)?.unwrap_or(0)).unwrap_or(0);
    // What is newer than we are, or not as we make it, is not touched: `read` says so.
    if let (true, Some(steps)) = (known > 0, MIGRATIONS.get(known..))
        && !steps.is_empty()
    {
        for step in steps {
            open.batch_execute(step).await.map_err(&at)?;
        }
        let version = i64::try_from(MIGRATIONS.len()).unwrap_or(0);
        open.execute("UPDATE steadfast.meta SET version = $1", &[&version])
            .await
            .map_err(&at)?;
    }
    let found = read(&open).await?;
    open.commit().await.map_err(&at)?;
    Ok(found)
}

async fn read(db: &impl GenericClient) -> Result<Stands, Failure> {
    let sql = "SELECT version, id, others_forgotten, used AND NOT EXISTS (SELECT 1 FROM steadfast.session), \
               coalesce((SELECT max(created_ms) FROM steadfast.session), 0) FROM steadfast.meta";
    let at = said::at(Step::Open);
    let Some(line) = db.query_opt(sql, &[]).await.map_err(&at)? else {
        return Ok(Stands::Newer("its meta table is empty".into()));
    };
    let version: i64 = line.try_get(0).map_err(&at)?;
    if usize::try_from(version) != Ok(MIGRATIONS.len()) {
        return Ok(Stands::Newer(format!(
            "version {version}, and we know {}",
            MIGRATIONS.len()
        )));
    }
    let id: Vec<u8> = line.try_get(1).map_err(&at)?;
    let Ok(id) = id.try_into() else {
        return Ok(Stands::Newer("its id has another length".into()));
    };
    Ok(Stands::Store(About {
        id: StoreId(id),
        others_forgotten: line.try_get(2).map_err(&at)?,
        lost_rows: line.try_get(3).map_err(&at)?,
        seen_ms: u64::try_from(line.try_get::<_, i64>(4).map_err(&at)?).unwrap_or(0),
    }))
}

/// Reads one line of a `select!`. What cannot be read is an error, never a missing row.
pub(crate) fn row(line: &tokio_postgres::Row) -> Result<Row, String> {
    let said = |error: tokio_postgres::Error| said::words(&error);
    let wrong = |what: &str| format!("{what} is not as we write it");
    let time = |i: usize| {
        let value: i64 = line.try_get(i).map_err(said)?;
        u64::try_from(value).map_err(|_| wrong("a time"))
    };
    let hash = || -> Result<[u8; 32], String> {
        let bytes: Vec<u8> = line.try_get(3).map_err(said)?;
        bytes.try_into().map_err(|_| wrong("a hash"))
    };
    let credential = match line.try_get::<_, i64>(2).map_err(said)? {
        1 => Credential::Cookie(hash()?),
        2 => Credential::Bearer(hash()?),
        3 => {
            let bytes: Vec<u8> = line.try_get(4).map_err(said)?;
            Credential::Rotating(chain::decode(&bytes).ok_or_else(|| wrong("a chain"))?)
        }
        _ => return Err(wrong("a kind")),
    };
    let ended = match line.try_get::<_, Option<i64>>(9).map_err(said)? {
        None => None,
        Some(why) => {
            let why = why_of(why).ok_or_else(|| wrong("a reason"))?;
            Some(Ended {
                at_ms: time(8)?,
                why,
                other: line.try_get(10).map_err(said)?,
            })
        }
    };
    let id: Vec<u8> = line.try_get(0).map_err(said)?;
    let user: &str = line.try_get(1).map_err(said)?;
    let realm: &str = line.try_get(11).map_err(said)?;
    Ok(Row {
        id: Sid(id.try_into().map_err(|_| wrong("an id"))?),
        user: UserId::parse(user).ok_or_else(|| wrong("a user"))?,
        credential,
        created_ms: time(5)?,
        seen_ms: time(6)?,
        context: line.try_get(7).map_err(said)?,
        realm: Realm::parse(realm).ok_or_else(|| wrong("a realm"))?,
        ended,
    })
}
