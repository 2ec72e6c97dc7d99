//! The store of several machines: a PostgreSQL database.
//!
//! A refresh writes only if nobody wrote since it read: that stands for SQLite's one writer. Refreshes that come
//! together are committed together (`group`). The count of revocations is a number in the database, and each gateway
//! follows it under a lease ([`Postgres::renew`], every second or so): it tells which revocations it has *applied*, and
//! is told the newest count. What it was told is confirmed by its next question, never by the answer that tells it: an
//! answer may be lost. A revocation is acknowledged when `session::revoke::acknowledge` says so.
//!
//! Connections are made when needed and dropped after an error: a database that comes back is used again by itself.
//! Times of leases are the database's; what a gateway compares with its own clock is counted from before it asked.

mod group;
mod listen;
mod listing;
mod pool;
pub(crate) mod said;
mod schema;
mod stands;
mod tls;
mod touches;
mod users;
mod wrong;

use crate::chain;
use crate::error::{Failure, OpenError, Step};
use crate::limits::SWEEP_ROWS_MAX;
use crate::listing::{Listing, Page};
use crate::place::Place;
use crate::refresh::{Change, plan};
use crate::rows::{ms, why_number};
use crate::store::{Answer, RefreshAsk, Refreshed, Revoked, Store};
use crate::users::{User, UserChange};
use group::Groups;
pub use listen::News;
use pool::Pool;
use session::judge::{Shelf, Sweep};
use session::revoke::{Acknowledge, Line, Peer, Scope, acknowledge, lease};
use session::{
    Alarm, Credential, Ended, LEASE_MS, Realm, Row, Sid, StoreId, Token, Touch, UserId, Why,
};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_postgres::Transaction;
use touches::Touches;

/// Refreshes of one session that collide this often in a row are not a browser's tabs.
const CONFLICTS_MAX: usize = 32;
/// How often a revocation looks whether every gateway has confirmed it.
const CONFIRM_POLL_MS: u64 = 20;

/// An open store. Clones share everything.
#[derive(Clone)]
pub struct Postgres {
    pool: Arc<Pool>,
    shelf: Shelf,
    seen_ms: u64,
    gateway: Arc<Gateway>,
    groups: Groups,
    touches: Touches,
}

/// This gateway's part of the lease.
struct Gateway {
    /// Its name among the others: random, new at each start.
    name: StoreId,
    /// Count and end of the lease: always read together.
    lease: Mutex<(u64, u64)>,
    /// The highest count that was applied here.
    applied: AtomicU64,
}

/// A lease was renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewed {
    /// Revocations so far.
    pub count: u64,
    /// The database's clock, Unix milliseconds: for `session::Clocks`, instead of the machine's own.
    pub wall_ms: u64,
}

impl Postgres {
    /// Opens the store behind this URL, or makes its tables at the first start. The marker stands in `dir`. `gateway`
    /// names this process among the gateways: 64 random bits. Runs inside a tokio runtime.
    ///
    /// # Errors
    /// Say *unknown* for every token and open again later.
    pub async fn open(
        url: &str,
        dir: &Path,
        new_id: StoreId,
        gateway: StoreId,
    ) -> Result<Self, OpenError> {
        let pool = Pool::new(url)?;
        let place = Place::of(dir, pool.name());
        place.make_dir()?;
        let marked = place.marked()?;
        let mut db = pool.lend().await?;
        let stands = schema::about(&mut db, marked.is_none().then_some(new_id)).await;
        let about = match stands.map_err(|failure| pool.named(failure))? {
            schema::Stands::Nothing => {
                let id = marked.map_or_else(String::new, |id| format!("store {id}"));
                return Err(place.distrusted(Alarm::Missing, id));
            }
            schema::Stands::Newer(detail) => {
                return Err(place.distrusted(Alarm::Unreadable, detail));
            }
            schema::Stands::Store(about) => about,
        };
        match marked {
            Some(id) if id != about.id => {
                return Err(
                    place.distrusted(Alarm::Foreign, format!("store {}, not {id}", about.id))
                );
            }
            _ if about.lost_rows => {
                return Err(place.distrusted(Alarm::Empty, format!("store {}", about.id)));
            }
            Some(_) => {}
            None => place.mark(about.id)?,
        }
        db.give_back();
        let shelf = Shelf {
            ours: about.id,
            others_forgotten: about.others_forgotten,
        };
        let gateway = Gateway {
            name: gateway,
            lease: Mutex::new((0, 0)),
            applied: AtomicU64::new(0),
        };
        let pool = Arc::new(pool);
        Ok(Self {
            groups: Groups::start(Arc::clone(&pool)),
            touches: Touches::start(Arc::clone(&pool)),
            pool,
            shelf,
            seen_ms: about.seen_ms,
            gateway: Arc::new(gateway),
        })
    }

    /// `sessions forget-store`: what stands there now is the store, and tokens of any other are invalid from now on.
    /// Makes the tables where there are none. Returns the store's id.
    ///
    /// # Errors
    /// The database says no, or its tables are of a newer version: those are not ours to remove.
    pub async fn forget(url: &str, dir: &Path, new_id: StoreId) -> Result<StoreId, Failure> {
        let pool = Pool::new(url)?;
        let place = Place::of(dir, pool.name());
        place.make_dir()?;
        let mut db = pool.lend().await?;
        let stands = schema::about(&mut db, Some(new_id)).await;
        let id = match stands.map_err(|failure| pool.named(failure))? {
            schema::Stands::Store(about) => about.id,
            schema::Stands::Nothing => {
                return Err(Failure::new(Step::Migrate, "its tables were not made"));
            }
            schema::Stands::Newer(detail) => {
                return Err(pool.named(Failure::new(Step::Open, detail)));
            }
        };
        db.execute(schema::FORGET, &[])
            .await
            .map_err(said::at(Step::Write))?;
        db.execute(schema::UNUSED, &[])
            .await
            .map_err(said::at(Step::Write))?;
        db.give_back();
        place.mark(id)?;
        Ok(id)
    }

    /// Renews the lease on cached verdicts. `asked_ms` is a clock that is never set, read by the caller just before.
    /// Call it every second; without it, cached verdicts become stale ones after [`LEASE_MS`].
    ///
    /// # Errors
    /// The lease runs out.
    pub async fn renew(&self, asked_ms: u64) -> Result<Renewed, Failure> {
        let db = self.pool.lend().await?;
        let applied = self.gateway.applied.load(Ordering::Acquire);
        let name = self.gateway.name.0.as_slice();
        let row = db
            .query_one(schema::RENEW, &[&name, &ms(applied), &ms(LEASE_MS)])
            .await;
        let row = row.map_err(said::at(Step::Count))?;
        let number = |i: usize| {
            row.try_get::<_, i64>(i)
                .map_err(said::at(Step::Count))
                .map(whole)
        };
        let renewed = Renewed {
            count: number(0)?,
            wall_ms: number(1)?,
        };
        db.give_back();
        self.apply(renewed.count, lease(asked_ms));
        Ok(renewed)
    }

    /// Gives the lease up: this gateway answers nothing any more, and nobody need wait for it. What it has seen of
    /// sessions is written.
    ///
    /// # Errors
    /// It runs out by itself.
    pub async fn leave(&self) -> Result<(), Failure> {
        self.touches.flush().await;
        let db = self.pool.lend().await?;
        let name = self.gateway.name.0.as_slice();
        db.execute("DELETE FROM steadfast.gateway WHERE name = $1", &[&name])
            .await
            .map_err(said::at(Step::Count))?;
        db.give_back();
        Ok(())
    }

    /// Waits until no gateway can use a verdict from before this count.
    async fn confirmed(&self, count: u64) -> Result<(), Failure> {
        loop {
            let db = self.pool.lend().await?;
            let name = self.gateway.name.0.as_slice();
            let rows = db
                .query(schema::PEERS, &[&name])
                .await
                .map_err(said::at(Step::Count))?;
            db.give_back();
            let mut peers = Vec::with_capacity(rows.len());
            let mut now_ms = 0;
            for row in &rows {
                let number = |i: usize| {
                    row.try_get::<_, i64>(i)
                        .map_err(said::at(Step::Count))
                        .map(whole)
                };
                peers.push(Peer {
                    confirmed: number(0)?,
                    until_ms: number(1)?,
                });
                now_ms = number(2)?;
            }
            match acknowledge(count, &peers, now_ms) {
                Acknowledge::Now => return Ok(()),
                Acknowledge::Wait { until_ms } => {
                    let wait_ms = until_ms.saturating_sub(now_ms).clamp(1, CONFIRM_POLL_MS);
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                }
            }
        }
    }

    /// Our own cache first, then the others.
    async fn raised(&self, count: u64) -> Result<(), Failure> {
        self.apply(count, 0);
        self.confirmed(count).await
    }

    /// From now on verdicts that were cached under an older count are not used here.
    fn apply(&self, count: u64, until_ms: u64) {
        let mut held = self
            .gateway
            .lease
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *held = (held.0.max(count), held.1.max(until_ms));
        drop(held);
        self.gateway.applied.fetch_max(count, Ordering::AcqRel);
    }

    /// Reads, decides, and writes only if nobody wrote in between: one commit, two questions. None: somebody did.
    async fn try_refresh(&self, ask: &RefreshAsk) -> Result<Option<Refreshed>, Failure> {
        let id = ask.ask.token.session;
        let key = id.0.as_slice();
        let mut db = self.pool.lend().await?;
        let read = db.prepared(schema::BY_ID).await?;
        let found = db
            .query_opt(&read, &[&key])
            .await
            .map_err(said::at(Step::Read))?;
        let row = found.as_ref().map(schema::row).transpose();
        let row = row.map_err(|detail| Failure::new(Step::Read, detail))?;
        let (change, answer) = plan(row.as_ref(), ask);
        let seen_ms = ms(ask.seen_ms());
        let done = match (change, row.map(|row| row.credential)) {
            (Change::Chain(new), Some(Credential::Rotating(old))) => {
                let write = db.prepared(schema::SET_CHAIN).await?;
                let (new, old) = (chain::encode(&new), chain::encode(&old));
                let done = db
                    .execute(&write, &[&key, &new, &ask.context, &seen_ms, &old])
                    .await;
                done.map_err(said::at(Step::Commit))? == 1
            }
            (Change::Seen, _) => {
                let write = db.prepared(schema::TOUCH).await?;
                db.execute(&write, &[&key, &seen_ms])
                    .await
                    .map_err(said::at(Step::Commit))?;
                true
            }
            // What was theft a moment ago is theft now: a chain only grows.
            (Change::End(ended), _) => {
                let open = self.begin(&mut db).await?;
                end(&open, id, &ended).await?;
                let count = raise(&open).await?;
                open.commit().await.map_err(said::at(Step::Commit))?;
                db.give_back();
                self.raised(count).await?;
                return Ok(Some(answer));
            }
            (Change::None | Change::Chain(_), _) => true,
        };
        db.give_back();
        Ok(done.then_some(answer))
    }
}

/// PostgreSQL's integers are signed.
fn whole(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

async fn end(open: &Transaction<'_>, id: Sid, ended: &Ended) -> Result<bool, Failure> {
    let id = id.0.as_slice();
    let done = open
        .execute(
            schema::END,
            &[&id, &ms(ended.at_ms), &why_number(ended.why), &ended.other],
        )
        .await;
    Ok(done.map_err(said::at(Step::Write))? == 1)
}

/// Ends the sessions that are meant and still live. How many.
async fn end_all(
    open: &Transaction<'_>,
    scope: &Scope,
    why: Why,
    at_ms: u64,
) -> Result<usize, Failure> {
    let (id, user, realm, keep) = match scope {
        Scope::One(id) => (Some(id.0.to_vec()), None, None, None),
        Scope::User(user) => (None, Some(user), None, None),
        Scope::Within { user, realm } => (None, Some(user), Some(realm), None),
        Scope::Others { user, realm, keep } => {
            (None, Some(user), Some(realm), Some(keep.0.to_vec()))
        }
    };
    let (user, realm) = (user.map(UserId::as_str), realm.map(Realm::as_str));
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&id, &user, &keep, &ms(at_ms), &why_number(why), &realm];
    let ended = open.execute(schema::REVOKE, &values).await;
    let ended = ended.map_err(said::at(Step::Write))?;
    Ok(usize::try_from(ended).unwrap_or(usize::MAX))
}

async fn raise(open: &Transaction<'_>) -> Result<u64, Failure> {
    let row = open
        .query_one(schema::RAISE, &[])
        .await
        .map_err(said::at(Step::Count))?;
    // Told with the commit, if there is one.
    open.execute("SELECT pg_notify($1, '')", &[&listen::CHANNEL])
        .await
        .map_err(said::at(Step::Count))?;
    row.try_get(0).map(whole).map_err(said::at(Step::Count))
}

impl Store for Postgres {
    fn shelf(&self) -> Shelf {
        self.shelf
    }

    fn line(&self) -> Result<Line, Failure> {
        let held = self
            .gateway
            .lease
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(Line::Leased {
            count: held.0,
            until_ms: held.1,
        })
    }

    async fn find(&self, token: &Token) -> Answer {
        let (sql, key) = match token {
            Token::Cookie(it) | Token::Bearer(it) => (schema::BY_HASH, it.hash().to_vec()),
            Token::Rotating(it) => (schema::BY_ID, it.session.0.to_vec()),
        };
        self.asked(sql, key)
            .await
            .unwrap_or_else(Answer::Unreachable)
    }

    async fn look(&self, id: Sid) -> Answer {
        let asked = self.asked(schema::BY_ID, id.0.to_vec()).await;
        asked.unwrap_or_else(Answer::Unreachable)
    }

    async fn shelf_now(&self) -> Result<Shelf, OpenError> {
        self.stands_now().await
    }

    async fn insert(&self, row: Row) -> Result<(), Failure> {
        let mut db = self.pool.lend().await?;
        let open = self.begin(&mut db).await?;
        let (kind, hash, chain) = match &row.credential {
            Credential::Cookie(hash) => (1_i64, Some(hash.to_vec()), None),
            Credential::Bearer(hash) => (2, Some(hash.to_vec()), None),
            Credential::Rotating(chain) => (3, None, Some(chain::encode(chain))),
        };
        let (id, user) = (row.id.0.as_slice(), row.user.as_str());
        let realm = row.realm.as_str();
        let (created, seen) = (ms(row.created_ms), ms(row.seen_ms));
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 9] = [
            &id,
            &user,
            &kind,
            &hash,
            &chain,
            &created,
            &seen,
            &row.context,
            &realm,
        ];
        open.execute(schema::INSERT, &values)
            .await
            .map_err(said::at(Step::Write))?;
        open.execute(schema::USED, &[])
            .await
            .map_err(said::at(Step::Write))?;
        open.commit().await.map_err(said::at(Step::Commit))?;
        db.give_back();
        Ok(())
    }

    async fn refresh(&self, ask: RefreshAsk) -> Result<Refreshed, Failure> {
        if let Some(answer) = self.groups.refresh(ask.clone()).await? {
            return self.sure(answer).await;
        }
        for _ in 0..CONFLICTS_MAX {
            if let Some(answer) = self.try_refresh(&ask).await? {
                return self.sure(answer).await;
            }
        }
        Err(Failure::new(
            Step::Write,
            "the session is refreshed by too many at once",
        ))
    }

    async fn revoke(&self, scope: Scope, why: Why, at_ms: u64) -> Result<Revoked, Failure> {
        let mut db = self.pool.lend().await?;
        let open = self.begin(&mut db).await?;
        let ended = end_all(&open, &scope, why, at_ms).await?;
        // Also when nothing was ended: who asks may be repeating a revocation whose acknowledgement was lost.
        let count = raise(&open).await?;
        open.commit().await.map_err(said::at(Step::Commit))?;
        db.give_back();
        self.raised(count).await?;
        Ok(Revoked { ended, count })
    }

    fn touch(&self, id: Sid, touch: Touch) {
        self.touches.touch(id, touch);
    }

    async fn list(&self, listing: Listing) -> Result<Page, Failure> {
        listing::page(self, &listing).await
    }

    async fn user(&self, name: &UserId) -> Result<Option<User>, Failure> {
        Ok(users::all(self, Some(name)).await?.pop())
    }

    async fn users(&self) -> Result<Vec<User>, Failure> {
        users::all(self, None).await
    }

    async fn change_user(
        &self,
        name: UserId,
        change: UserChange,
        at_ms: u64,
    ) -> Result<bool, Failure> {
        users::change(self, &name, &change, at_ms).await
    }

    async fn setting(&self, name: &'static str) -> Result<Option<Vec<u8>>, Failure> {
        users::setting(self, name).await
    }

    async fn set_setting(
        &self,
        name: &'static str,
        value: Vec<u8>,
        keep: bool,
    ) -> Result<Vec<u8>, Failure> {
        users::set(self, name, &value, keep).await
    }

    async fn sweep(&self, limits: Sweep) -> Result<usize, Failure> {
        let mut db = self.pool.lend().await?;
        let open = self.begin(&mut db).await?;
        let times = [
            limits.ended_before_ms,
            limits.created_before_ms,
            limits.seen_before_ms,
        ]
        .map(ms);
        let most = i64::try_from(SWEEP_ROWS_MAX).unwrap_or(i64::MAX);
        let done = open
            .execute(schema::SWEEP, &[&times[0], &times[1], &times[2], &most])
            .await;
        let gone = done.map_err(said::at(Step::Write))?;
        open.execute(schema::UNUSED, &[])
            .await
            .map_err(said::at(Step::Write))?;
        open.commit().await.map_err(said::at(Step::Commit))?;
        db.give_back();
        Ok(usize::try_from(gone).unwrap_or(usize::MAX))
    }

    fn seen_ms(&self) -> u64 {
        self.seen_ms
    }
}
