//! The store of one machine: a SQLite file in the state directory.

use crate::count::Count;
use crate::error::{Failure, OpenError, Step};
use crate::limits::LIST_ROWS_MAX;
use crate::listing::{self, Listing, Page};
use crate::place::Place;
use crate::reader::{Reader, failed};
use crate::rows;
use crate::schema::{self, Dumb};
use crate::store::{Answer, RefreshAsk, Refreshed, Revoked, Store};
use crate::users::{self, User, UserChange};
use crate::writer::{Write, Writer};
use rusqlite::Connection;
use session::judge::{Shelf, Sweep};
use session::revoke::{Line, Scope};
use session::{Alarm, Row, Sid, StoreId, Token, Touch, UserId, Why};
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// An open store. Clones share the writer and have a reading connection of their own: one for each gateway worker.
pub struct Sqlite {
    place: Arc<Place>,
    shelf: Shelf,
    seen_ms: u64,
    count: Arc<Count>,
    writer: SyncSender<Write>,
    reader: Mutex<Reader>,
    /// For what may take long: one at a time, so that a storm of it takes one thread.
    lister: Arc<tokio::sync::Mutex<Reader>>,
}

impl Clone for Sqlite {
    fn clone(&self) -> Self {
        Self {
            place: Arc::clone(&self.place),
            shelf: self.shelf,
            seen_ms: self.seen_ms,
            count: Arc::clone(&self.count),
            writer: self.writer.clone(),
            reader: Mutex::new(self.reader().another()),
            lister: Arc::clone(&self.lister),
        }
    }
}

impl Sqlite {
    /// Opens the store in this directory, or makes it at the first start (with `new_id`, 64 random bits). Migrates.
    ///
    /// # Errors
    /// Say *unknown* for every token and open again later.
    pub fn open(dir: &Path, new_id: StoreId) -> Result<Self, OpenError> {
        let place = Place::new(dir);
        let (db, about) = place.open(new_id)?;
        let count = Arc::new(Count::open(&place, about.revocations)?);
        let writer = Writer::start(db, place.clone(), about.id, Arc::clone(&count))?;
        let shelf = Shelf {
            ours: about.id,
            others_forgotten: about.others_forgotten,
        };
        let place = Arc::new(place);
        let reader = Reader::new(Arc::clone(&place), about.id);
        Ok(Self {
            place,
            shelf,
            seen_ms: about.seen_ms,
            count,
            writer,
            lister: Arc::new(tokio::sync::Mutex::new(reader.another())),
            reader: Mutex::new(reader),
        })
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        // A reader that panicked left a connection that reads as well as before.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Failure> {
        self.reader().read(work).map_err(failed)
    }

    /// Looks for a row. Where there is none it is asked, in the same view of the database, whether this still is our
    /// store with its sessions: it may have been emptied, or filled from another one, under the same file.
    fn row(&self, find: impl Fn(&Connection) -> rusqlite::Result<Option<Row>>) -> Answer {
        let found = self.reader().read_or(|db| {
            if let Some(row) = find(db).map_err(schema::dumb)? {
                return Ok(Answer::Row(Box::new(row)));
            }
            let view = db.unchecked_transaction().map_err(schema::dumb)?;
            Ok(match find(&view).map_err(schema::dumb)? {
                Some(row) => Answer::Row(Box::new(row)),
                None => schema::about(&view)?
                    .alarm(self.shelf.ours)
                    .map_or(Answer::Nothing, Answer::Distrusted),
            })
        });
        match found {
            Ok(answer) => answer,
            Err(Dumb::Failed(_)) if self.place.gone() => Answer::Distrusted(Alarm::Missing),
            Err(Dumb::Failed(failure)) => Answer::Unreachable(failure),
            Err(Dumb::Unreadable(_)) => Answer::Distrusted(Alarm::Unreadable),
        }
    }

    async fn write<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, Failure>>) -> Write,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        self.writer
            .try_send(make(reply))
            .map_err(Failure::at(Step::Queue))?;
        answer.await.map_err(Failure::cut_short(Step::Write))?
    }
}

fn looked_up(db: &Connection, token: &Token) -> rusqlite::Result<Option<Row>> {
    match token {
        Token::Cookie(it) | Token::Bearer(it) => rows::by_hash(db, it.hash()),
        Token::Rotating(it) => rows::by_id(db, it.session),
    }
}

impl Store for Sqlite {
    fn shelf(&self) -> Shelf {
        self.shelf
    }

    fn line(&self) -> Result<Line, Failure> {
        self.count.read().map(|count| Line::Local { count })
    }

    fn tend(&self) {
        // What cannot be followed now is in the next call; the count that is open stays.
        let _not_now = self.count.follow();
    }

    async fn find(&self, token: &Token) -> Answer {
        self.row(|db| looked_up(db, token))
    }

    async fn look(&self, id: Sid) -> Answer {
        self.row(|db| rows::by_id(db, id))
    }

    async fn shelf_now(&self) -> Result<Shelf, OpenError> {
        // A connection of its own: the one that reads sessions reads those of the store that it was opened for.
        let about = schema::open_reader(&self.place.database()).and_then(|db| schema::about(&db));
        match about {
            Ok(about) if about.lost_rows => {
                let id = format!("store {}", about.id);
                Err(self.place.distrusted(Alarm::Empty, id))
            }
            Ok(about) => Ok(Shelf {
                ours: about.id,
                others_forgotten: about.others_forgotten,
            }),
            Err(Dumb::Failed(failure)) => Err(failure.into()),
            Err(Dumb::Unreadable(detail)) => Err(self.place.distrusted(Alarm::Unreadable, detail)),
        }
    }

    async fn insert(&self, row: Row) -> Result<(), Failure> {
        self.write(|reply| Write::Insert(Box::new(row), reply))
            .await
    }

    async fn refresh(&self, ask: RefreshAsk) -> Result<Refreshed, Failure> {
        self.write(|reply| Write::Refresh(Box::new(ask), reply))
            .await
    }

    async fn revoke(&self, scope: Scope, why: Why, at_ms: u64) -> Result<Revoked, Failure> {
        self.write(|reply| Write::Revoke(scope, why, at_ms, reply))
            .await
    }

    fn touch(&self, id: Sid, touch: Touch) {
        // A full queue: the next request of this session renews it.
        let _full = self.writer.try_send(Write::Touch(id, touch));
    }

    async fn list(&self, listing: Listing) -> Result<Page, Failure> {
        let mut reader = Arc::clone(&self.lister).lock_owned().await;
        let read = move || reader.read(|db| listing::page(db, &listing));
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(Failure::cut_short(Step::Read))?
            .map_err(failed)
    }

    async fn user(&self, name: &UserId) -> Result<Option<User>, Failure> {
        self.read(|db| users::one(db, name))
    }

    async fn users(&self) -> Result<Vec<User>, Failure> {
        self.read(|db| users::all(db, LIST_ROWS_MAX))
    }

    async fn change_user(
        &self,
        name: UserId,
        change: UserChange,
        at_ms: u64,
    ) -> Result<bool, Failure> {
        self.write(|reply| Write::User(name, change, at_ms, reply))
            .await
    }

    async fn setting(&self, name: &'static str) -> Result<Option<Vec<u8>>, Failure> {
        self.read(|db| users::setting(db, name))
    }

    async fn set_setting(
        &self,
        name: &'static str,
        value: Vec<u8>,
        keep: bool,
    ) -> Result<Vec<u8>, Failure> {
        self.write(|reply| Write::Setting(name, value, keep, reply))
            .await
    }

    async fn sweep(&self, limits: Sweep) -> Result<usize, Failure> {
        self.write(|reply| Write::Sweep(limits, reply)).await
    }

    fn seen_ms(&self) -> u64 {
        self.seen_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::params;

    #[tokio::test]
    async fn a_panic_ends_its_group_and_the_writer_goes_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Sqlite::open(dir.path(), StoreId(*b"store..1")).expect("opens");
        let set = |name| store.set_setting(name, b"whole".to_vec(), false);
        set("before").await.expect("kept");
        // As if the panic had come between a commit and its number.
        let number = 9_000_000_000_000_u64;
        let db = Connection::open(dir.path().join("sessions.db")).expect("opens");
        let sql = "UPDATE meta SET value = ?2 WHERE name = ?1";
        let revoked = params![schema::meta::REVOCATIONS, rows::ms(number)];
        db.execute(sql, revoked).expect("written");

        for _ in 0..2 {
            let told = store.write(|reply| Write::Bug("bug", reply)).await;
            assert_eq!(told, Err(Failure::cut_short(Step::Write)(())), "not known");
        }
        set("after").await.expect("kept by the writer that goes on");
        assert_eq!(store.line(), Ok(Line::Local { count: number }));
        let stands = async |name| store.setting(name).await.expect("read");
        assert_eq!(stands("before").await, Some(b"whole".to_vec()));
        assert_eq!(stands("bug").await, None, "nothing of its group");
        assert_eq!(stands("after").await, Some(b"whole".to_vec()));
    }
}
