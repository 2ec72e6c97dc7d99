//! The one writer: a thread that commits groups.
//!
//! It takes the first write that comes, then whatever is queued, for at most [`GROUP_MS_MAX`]; it never waits for more.
//! Each write has a savepoint of its own, so that one that fails takes no other along. After the commit the count of
//! revocations is raised, and only then is anybody answered.
//!
//! *A panic* (a bug of ours; it is in the gateway's log) ends the group in which it happened, not the thread, and not the
//! gateway: the gateway's end would fail every request in its hands, and most of them write nothing. The group's callers
//! are told that it is not known; whatever of it was acknowledged before is committed; its last-seen writes are lost, as
//! in a crash. The connection is dropped with the transaction, and the next group has a new one and raises the count
//! to what the database says: the panic may have come between a commit and its number. A panic that comes back with
//! every write pauses ([`Pause`]): it fills neither the log nor a core.

use crate::count::Count;
use crate::error::{Failure, Step};
use crate::limits::{
    COUNT_SETTLES_MS, GROUP_MS_MAX, GROUP_WRITES_MAX, QUEUE_WRITES_MAX, SWEEP_ROWS_MAX,
    TOUCH_BATCH_MS, TOUCHES_MAX,
};
use crate::place::{FileId, Place};
use crate::refresh::{Change, plan};
use crate::rows::{self, ms};
use crate::schema::{self, Dumb, meta};
use crate::store::{RefreshAsk, Refreshed, Revoked};
use crate::users::{self, UserChange};
use bugs::Pause;
use rusqlite::{Connection, Transaction, params};
use session::judge::Sweep;
use session::revoke::Scope;
use session::{Row, Sid, StoreId, Touch, UserId, Why};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

type Reply<T> = oneshot::Sender<Result<T, Failure>>;

pub(crate) enum Write {
    Insert(Box<Row>, Reply<()>),
    Refresh(Box<RefreshAsk>, Reply<Refreshed>),
    Revoke(Scope, Why, u64, Reply<Revoked>),
    Touch(Sid, Touch),
    User(UserId, UserChange, u64, Reply<bool>),
    Setting(&'static str, Vec<u8>, bool, Reply<Vec<u8>>),
    Sweep(Sweep, Reply<usize>),
    /// Writes and panics, as a bug of ours may.
    #[cfg(test)]
    Bug(&'static str, Reply<()>),
}

pub(crate) struct Writer {
    db: Connection,
    place: Place,
    id: StoreId,
    /// The file that was opened: another one under its name is opened anew if it is the same store. None: to be opened
    /// anew in any case.
    file: Option<FileId>,
    count: Arc<Count>,
    touches: HashMap<Sid, u64>,
    flush_at: Option<Instant>,
}

/// An answer that waits for the commit.
type Answer = Box<dyn FnOnce(Result<(), Failure>) + Send>;

impl Writer {
    pub(crate) fn start(
        db: Connection,
        place: Place,
        id: StoreId,
        count: Arc<Count>,
    ) -> Result<SyncSender<Write>, Failure> {
        let (sender, receiver) = sync_channel(QUEUE_WRITES_MAX);
        let file = Some(place.file()?);
        let writer = Self {
            db,
            place,
            id,
            file,
            count,
            touches: HashMap::new(),
            flush_at: None,
        };
        let thread = std::thread::Builder::new().name("session-store".into());
        thread
            .spawn(move || writer.run(&receiver))
            .map_err(Failure::at(Step::Queue))?;
        Ok(sender)
    }

    fn run(mut self, receiver: &Receiver<Write>) {
        let mut pause = Pause::default();
        loop {
            let first = match self.flush_at {
                None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => receiver.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            let over = matches!(first, Err(RecvTimeoutError::Disconnected));
            let work = || match first {
                Ok(write) => self.group(write, receiver),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    self.commit(Vec::new());
                }
            };
            // What a panic leaves of the writer is put right below.
            let done = catch_unwind(AssertUnwindSafe(work));
            if over {
                return;
            }
            if done.is_err() {
                self.file = None;
                self.touches.clear();
                self.flush_at = None;
                pause.rest(Instant::now());
            }
        }
    }

    fn group(&mut self, first: Write, receiver: &Receiver<Write>) {
        let until = Instant::now() + Duration::from_millis(GROUP_MS_MAX);
        let mut writes = Vec::new();
        let mut next = Some(first);
        let mut at_once = false;
        while let Some(write) = next {
            match write {
                Write::Touch(id, touch) => {
                    at_once |= touch.at_once || self.touches.len() >= TOUCHES_MAX;
                    let seen = self.touches.entry(id).or_insert(0);
                    *seen = (*seen).max(touch.at_ms);
                    self.flush_at
                        .get_or_insert(Instant::now() + Duration::from_millis(TOUCH_BATCH_MS));
                }
                other => writes.push(other),
            }
            let full = writes.len() >= GROUP_WRITES_MAX || Instant::now() >= until;
            next = if full { None } else { receiver.try_recv().ok() };
        }
        if at_once || !writes.is_empty() {
            self.commit(writes);
        }
    }

    /// One transaction: these writes, and the touches that wait.
    fn commit(&mut self, writes: Vec<Write>) {
        self.flush_at = None;
        let touches = std::mem::take(&mut self.touches);
        if writes.is_empty() && touches.is_empty() {
            return;
        }
        let (answers, done) = self.transact(writes, &touches);
        for answer in answers {
            answer(done.clone());
        }
    }

    fn transact(
        &mut self,
        writes: Vec<Write>,
        touches: &HashMap<Sid, u64>,
    ) -> (Vec<Answer>, Result<(), Failure>) {
        if let Err(failure) = self.still_ours() {
            return (writes.into_iter().map(refused).collect(), Err(failure));
        }
        let begun = self
            .db
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate);
        let mut open = match begun {
            Ok(open) => open,
            Err(error) => {
                let answers = writes.into_iter().map(refused).collect();
                return (answers, Err(Failure::new(Step::Write, error)));
            }
        };
        if let Err(failure) = believed(&open, self.id) {
            drop(open);
            return (writes.into_iter().map(refused).collect(), Err(failure));
        }
        let mut latest_ms = touches.values().copied().max().unwrap_or(0);
        let mut revocations = Raised {
            count: &self.count,
            above: 0,
            number: None,
        };
        let answers = writes
            .into_iter()
            .map(|write| apply(&mut open, write, &mut latest_ms, &mut revocations))
            .collect();
        let finish = || -> Result<(), Failure> {
            let wrote = touches
                .iter()
                .try_for_each(|(id, at_ms)| rows::touch(&open, *id, *at_ms));
            wrote
                .and_then(|()| stamp(&open, latest_ms))
                .map_err(Failure::at(Step::Write))?;
            let Some(number) = revocations.number else {
                return open.commit().map_err(Failure::at(Step::Commit));
            };
            if number <= revocations.above {
                let text = "the count of revocations is not as we write it";
                return Err(Failure::new(Step::Count, text));
            }
            let file = self.count.follow()?;
            let mut moved = noted(&open, file).map_err(Failure::at(Step::Write))?;
            open.commit().map_err(Failure::at(Step::Commit))?;
            // Between commit and acknowledgement.
            self.count.raise_to(number)?;
            if self.count.follow()? != file {
                self.count.raise_to(number)?;
                moved = true;
            }
            if moved {
                settles();
            }
            Ok(())
        };
        (answers, finish())
    }

    /// A database that was deleted or replaced under us would swallow what we write.
    fn still_ours(&mut self) -> Result<(), Failure> {
        let file = self.place.file()?;
        if Some(file) != self.file {
            let (db, about) = self.place.reopen(self.id)?;
            self.count.raise_to(about.revocations)?;
            self.db = db;
            self.file = Some(file);
        }
        Ok(())
    }
}

/// What was emptied or filled from another store in place would take a row, or say that a session is not there, and
/// look afterwards as if it had never been more.
fn believed(db: &Connection, ours: StoreId) -> Result<(), Failure> {
    match schema::about(db) {
        Ok(about) => match about.alarm(ours) {
            None => Ok(()),
            Some(alarm) => Err(Failure::new(
                Step::Files,
                format!("the database is not to be believed any more: {alarm:?}"),
            )),
        },
        Err(Dumb::Failed(failure)) => Err(failure),
        Err(Dumb::Unreadable(why)) => Err(Failure::new(Step::Read, why)),
    }
}

/// The answer of a write that was not even tried: the failure of its group, handed in by the caller.
fn refused(write: Write) -> Answer {
    fn with<T: Send + 'static>(reply: Reply<T>) -> Answer {
        Box::new(move |done| {
            let why = done
                .err()
                .unwrap_or_else(|| Failure::new(Step::Write, "it was not tried"));
            // Whoever asked may have gone.
            let _gone = reply.send(Err(why));
        })
    }
    match write {
        Write::Insert(_, reply) => with(reply),
        Write::Refresh(_, reply) => with(reply),
        Write::Revoke(_, _, _, reply) => with(reply),
        Write::User(_, _, _, reply) => with(reply),
        Write::Setting(_, _, _, reply) => with(reply),
        Write::Sweep(_, reply) => with(reply),
        Write::Touch(..) => Box::new(|_| ()),
        #[cfg(test)]
        Write::Bug(_, reply) => with(reply),
    }
}

/// Answers with `value` once the group is durable.
fn later<T: Send + 'static>(reply: Reply<T>, value: Result<T, Failure>) -> Answer {
    Box::new(move |done| {
        let _gone = reply.send(done.and(value));
    })
}

fn apply(
    open: &mut Transaction<'_>,
    write: Write,
    latest_ms: &mut u64,
    revocations: &mut Raised<'_>,
) -> Answer {
    match write {
        Write::Insert(row, reply) => {
            *latest_ms = (*latest_ms).max(row.seen_ms);
            later(reply, alone(open, revocations, |db, _| insert(db, &row)))
        }
        Write::Refresh(ask, reply) => {
            let done = alone(open, revocations, |db, raised| refreshed(db, &ask, raised));
            // Who is refused writes nothing, so that guesses cost the disk nothing.
            if matches!(done, Ok(Refreshed::Granted(_))) {
                *latest_ms = (*latest_ms).max(ask.time.now_ms);
            }
            later(reply, done)
        }
        Write::Revoke(scope, why, at_ms, reply) => later(
            reply,
            alone(open, revocations, |db, raised| {
                revoke(db, &scope, why, at_ms, raised)
            }),
        ),
        Write::User(name, change, at_ms, reply) => later(
            reply,
            alone(open, revocations, |db, raised| {
                change_user(db, &name, &change, at_ms, raised)
            }),
        ),
        Write::Setting(name, value, keep, reply) => later(
            reply,
            alone(open, revocations, |db, _| {
                users::set(db, name, &value, keep)
            }),
        ),
        Write::Sweep(limits, reply) => {
            later(reply, alone(open, revocations, |db, _| sweep(db, limits)))
        }
        Write::Touch(..) => Box::new(|_| ()),
        #[cfg(test)]
        Write::Bug(name, _reply) => {
            users::set(open, name, b"half", false).expect("written");
            panic!("a bug of the test's")
        }
    }
}

/// The number of the last revocation of a group.
struct Raised<'a> {
    count: &'a Count,
    /// What stood in the file before. A database that was put back from a copy, beside a clock that was set back, would else
    /// count where the file has been.
    above: u64,
    number: Option<u64>,
}

/// Gives every process the time to look which file of the count stands there.
#[expect(
    clippy::disallowed_methods,
    reason = "the others cannot be asked: what is waited for is their time"
)]
fn settles() {
    std::thread::sleep(Duration::from_millis(COUNT_SETTLES_MS));
}

/// Notes which file of the count is raised; says whether it was another one the last time.
fn noted(db: &Connection, (_, inode): FileId) -> rusqlite::Result<bool> {
    let inode = inode.cast_signed();
    let before: Option<i64> = schema::noted(db, meta::COUNT_FILE)?;
    if before != Some(inode) {
        schema::set(db, meta::COUNT_FILE, inode)?;
    }
    Ok(before.is_some_and(|before| before != inode))
}

/// In a savepoint of its own. A number that was rolled back is made again, so it must not reach the count.
fn alone<T>(
    open: &mut Transaction<'_>,
    revocations: &mut Raised<'_>,
    work: impl FnOnce(&Connection, &mut Raised<'_>) -> rusqlite::Result<T>,
) -> Result<T, Failure> {
    let mut raised = Raised {
        count: revocations.count,
        above: revocations.above,
        number: None,
    };
    let run = || {
        let inner = open.savepoint()?;
        let value = work(&inner, &mut raised)?;
        inner.commit()?;
        Ok(value)
    };
    let done = run().map_err(|error: rusqlite::Error| Failure::new(Step::Write, error));
    if done.is_ok() {
        revocations.number = raised.number.or(revocations.number);
        revocations.above = raised.above;
    }
    done
}

fn insert(db: &Connection, row: &Row) -> rusqlite::Result<()> {
    rows::insert(db, row)?;
    schema::add(db, meta::ROWS, 1)?;
    Ok(())
}

fn refreshed(
    db: &Connection,
    asked: &RefreshAsk,
    raised: &mut Raised<'_>,
) -> rusqlite::Result<Refreshed> {
    let id = asked.ask.token.session;
    let row = rows::by_id(db, id)?;
    let (change, answer) = plan(row.as_ref(), asked);
    match change {
        Change::None => {}
        Change::Chain(chain) => rows::set_chain(db, id, &chain, &asked.context, asked.seen_ms())?,
        Change::Seen => rows::touch(db, id, asked.time.now_ms)?,
        Change::End(ended) => {
            rows::end(db, id, &ended)?;
            raise(db, raised)?;
        }
    }
    Ok(answer)
}

fn revoke(
    db: &Connection,
    scope: &Scope,
    why: Why,
    at_ms: u64,
    raised: &mut Raised<'_>,
) -> rusqlite::Result<Revoked> {
    let ended = rows::end_all(db, scope, why, at_ms)?;
    // Also when nothing was ended: who asks may be repeating a revocation whose acknowledgement was lost.
    let count = raise(db, raised)?;
    Ok(Revoked { ended, count })
}

fn change_user(
    db: &Connection,
    name: &UserId,
    change: &UserChange,
    at_ms: u64,
    raised: &mut Raised<'_>,
) -> rusqlite::Result<bool> {
    let done = users::change(db, name, change, at_ms)?;
    if let (true, Some(why)) = (done, change.ends()) {
        revoke(db, &Scope::User(name.clone()), why, at_ms, raised)?;
    }
    Ok(done)
}

fn sweep(db: &Connection, limits: Sweep) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE (ended_why IS NOT NULL AND ended_ms < ?1) \
               OR created_ms < ?2 OR seen_ms < ?3 LIMIT ?4)";
    let most = i64::try_from(SWEEP_ROWS_MAX).unwrap_or(i64::MAX);
    let times = [
        limits.ended_before_ms,
        limits.created_before_ms,
        limits.seen_before_ms,
    ]
    .map(ms);
    let gone = db
        .prepare_cached(sql)?
        .execute(params![times[0], times[1], times[2], most])?;
    schema::add(db, meta::ROWS, -i64::try_from(gone).unwrap_or(0))?;
    Ok(gone)
}

/// The next number of the count: made in the transaction, so that each is used once. Never below the clock, so that a
/// database that was put back from a copy, or made anew beside an older count, does not count where it has been.
fn raise(db: &Connection, raised: &mut Raised<'_>) -> rusqlite::Result<u64> {
    let sql = "UPDATE meta SET value = max(value + 1, ?2, CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)) \
               WHERE name = ?1 RETURNING value";
    raised.above = raised.above.max(raised.count.held());
    let next: i64 = db.prepare_cached(sql)?.query_row(
        params![meta::REVOCATIONS, ms(raised.above.saturating_add(1))],
        |row| row.get(0),
    )?;
    let next = u64::try_from(next).unwrap_or(0);
    raised.number = Some(next);
    Ok(next)
}

fn stamp(db: &Connection, latest_ms: u64) -> rusqlite::Result<()> {
    let sql = "UPDATE meta SET value = ?2 WHERE name = ?1 AND value < ?2";
    db.prepare_cached(sql)?
        .execute(params![meta::SEEN_MS, ms(latest_ms)])?;
    Ok(())
}
