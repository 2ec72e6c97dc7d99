//! Living sessions, a page at a time.
//!
//! One user's come newest activity first. Everybody's come in the order of their ids, which never change: a session that is
//! used while page after page is read stays in its place, so none is missed. A page says where the next one begins; nothing
//! is held open between two.

use crate::rows::{self, COLUMNS, ms};
use rusqlite::{Connection, params};
use session::{Kind, Realm, Row, Sid, UserId};
use std::sync::LazyLock;

/// One session in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its public name.
    pub id: Sid,
    /// Whose.
    pub user: UserId,
    /// How its token travels.
    pub kind: Kind,
    /// Unix milliseconds of the sign-in.
    pub created_ms: u64,
    /// Unix milliseconds of the last activity, up to a minute late.
    pub seen_ms: u64,
    /// Address and agent.
    pub context: String,
    /// Where it counts.
    pub realm: Realm,
}

impl From<Row> for Listed {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            kind: row.credential.kind(),
            user: row.user,
            created_ms: row.created_ms,
            seen_ms: row.seen_ms,
            context: row.context,
            realm: row.realm,
        }
    }
}

/// The session behind which a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    /// Its last activity, as it was listed.
    pub seen_ms: u64,
    /// Its public name.
    pub id: Sid,
}

/// Which sessions are asked for.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Those of this user in this realm; None: everybody's.
    pub of: Option<(UserId, Realm)>,
    /// Older ones are over, although nobody has ended them. Unix milliseconds.
    pub created_from_ms: u64,
    /// Likewise those that were not used since.
    pub seen_from_ms: u64,
    /// None: the first page.
    pub after: Option<After>,
    /// How many at most, at least 1.
    pub rows_max: usize,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order of the list.
    pub sessions: Vec<Listed>,
    /// Where the next page begins; None: there is none.
    pub next: Option<After>,
}

impl Page {
    /// Of rows that were asked for by [`Listing::limit`].
    pub(crate) fn of(mut sessions: Vec<Listed>, listing: &Listing) -> Self {
        let more = sessions.len() > listing.rows_max;
        sessions.truncate(listing.rows_max);
        let last = sessions.last().filter(|_| more);
        Self {
            next: last.map(|last| After {
                seen_ms: last.seen_ms,
                id: last.id,
            }),
            sessions,
        }
    }
}

impl Listing {
    /// One more than wanted: whether there is a next page.
    pub(crate) fn limit(&self) -> i64 {
        i64::try_from(self.rows_max.saturating_add(1)).unwrap_or(i64::MAX)
    }

    /// Every row of one user is behind this, or before it: newest first.
    pub(crate) fn before(&self) -> (i64, &[u8]) {
        match &self.after {
            Some(after) => (ms(after.seen_ms), &after.id.0),
            None => (i64::MAX, &[]),
        }
    }

    /// Every id is behind this.
    pub(crate) fn behind(&self) -> &[u8] {
        self.after.as_ref().map_or(&[], |after| &after.id.0)
    }
}

/// `+`: by the user's rows, which are few, and not by the index of last-seen.
static OF_USER: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM session WHERE user = ?1 AND ended_why IS NULL AND realm = ?2 AND created_ms >= ?3 \
         AND +seen_ms >= ?4 AND (+seen_ms, id) < (?5, ?6) ORDER BY seen_ms DESC, id DESC LIMIT ?7"
    )
});
static OF_ALL: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM session WHERE id > ?1 AND ended_why IS NULL AND created_ms >= ?2 AND +seen_ms >= ?3 \
         ORDER BY id LIMIT ?4"
    )
});

pub(crate) fn page(db: &Connection, listing: &Listing) -> rusqlite::Result<Page> {
    let (created, seen) = (ms(listing.created_from_ms), ms(listing.seen_from_ms));
    let listed = |line: &rusqlite::Row<'_>| rows::read(line).map(Listed::from);
    let limit = listing.limit();
    let found: rusqlite::Result<Vec<Listed>> = match &listing.of {
        Some((user, realm)) => {
            let (seen_ms, id) = listing.before();
            let (user, realm) = (user.as_str(), realm.as_str());
            let asked = params![user, realm, created, seen, seen_ms, id, limit];
            db.prepare_cached(&OF_USER)?
                .query_map(asked, listed)?
                .collect()
        }
        None => db
            .prepare_cached(&OF_ALL)?
            .query_map(params![listing.behind(), created, seen, limit], listed)?
            .collect(),
    };
    Ok(Page::of(found?, listing))
}
