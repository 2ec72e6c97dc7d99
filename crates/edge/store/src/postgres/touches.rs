//! Last-seen in batches: one statement for all sessions that were used meanwhile, as SQLite's writer does.
//!
//! Nobody waits for them. A touch that ends a long pause is written as soon as the statement before it is done; the
//! others wait for it, for at most [`TOUCH_BATCH_MS`]. What could not be written is tried again: a database that comes
//! back learns who was here while it was away.

use super::pool::Pool;
use super::{said, schema};
use crate::error::{Failure, Step};
use crate::limits::{TOUCH_BATCH_MS, TOUCHES_MAX};
use crate::rows::ms;
use session::{Sid, Touch};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;

/// Touches on their way to the batch: it takes them in at once, but while it writes. More are dropped; the session's
/// next request renews.
const QUEUE_MAX: usize = 16_384;
/// What could not be written is tried again after this.
const RETRY_MS: u64 = 1_000;
/// Rows of one statement: bounds how long it holds their locks.
const ROWS_MAX: usize = 4_096;

enum Message {
    Touch(Sid, Touch),
    /// Answered when what waited has been written, or could not be.
    Flush(oneshot::Sender<()>),
}

/// The way in. The task behind it ends with the last of these.
#[derive(Clone)]
pub(super) struct Touches(mpsc::Sender<Message>);

impl Touches {
    /// Inside a tokio runtime.
    pub(super) fn start(pool: Arc<Pool>) -> Touches {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        bugs::keep("last-seen", move || {
            run(Arc::clone(&pool), Arc::clone(&receiver))
        });
        Touches(sender)
    }

    pub(super) fn touch(&self, id: Sid, touch: Touch) {
        let _full = self.0.try_send(Message::Touch(id, touch));
    }

    /// Before the end of the process: writes what waits.
    pub(super) async fn flush(&self) {
        let (reply, done) = oneshot::channel();
        if self.0.send(Message::Flush(reply)).await.is_ok() {
            let _over = done.await;
        }
    }
}

/// What waits.
#[derive(Default)]
struct Batch {
    seen: HashMap<Sid, u64>,
    /// The first of them has waited long enough then.
    due: Option<Instant>,
    at_once: bool,
    /// The database was away: nothing is at once before the next try is due.
    failed: bool,
    flushed: Vec<oneshot::Sender<()>>,
}

impl Batch {
    fn take_in(&mut self, message: Message) {
        match message {
            Message::Touch(id, touch) => {
                let known = self.seen.len();
                let seen = self.seen.entry(id).or_insert(0);
                *seen = (*seen).max(touch.at_ms);
                self.at_once |= touch.at_once || known >= ROWS_MAX;
                self.due
                    .get_or_insert(Instant::now() + Duration::from_millis(TOUCH_BATCH_MS));
            }
            Message::Flush(reply) => self.flushed.push(reply),
        }
    }

    async fn write(&mut self, pool: &Pool) {
        self.at_once = false;
        self.due = None;
        self.failed = false;
        let mut all: Vec<(Sid, u64)> = std::mem::take(&mut self.seen).into_iter().collect();
        while !all.is_empty() {
            let part = all.split_off(all.len().saturating_sub(ROWS_MAX));
            if written(pool, &part).await.is_err() {
                all.extend(part);
                all.truncate(TOUCHES_MAX);
                self.seen.extend(all);
                self.failed = true;
                self.due = Some(Instant::now() + Duration::from_millis(RETRY_MS));
                break;
            }
        }
        for reply in self.flushed.drain(..) {
            // Whoever asked may have gone.
            let _gone = reply.send(());
        }
    }
}

async fn run(pool: Arc<Pool>, receiver: Arc<Mutex<mpsc::Receiver<Message>>>) {
    let mut receiver = receiver.lock().await;
    let mut batch = Batch::default();
    loop {
        let next = match batch.due {
            None => Ok(receiver.recv().await),
            Some(due) => tokio::time::timeout_at(due, receiver.recv()).await,
        };
        let (late, over) = (next.is_err(), matches!(next, Ok(None)));
        if let Ok(Some(message)) = next {
            batch.take_in(message);
            while let Ok(message) = receiver.try_recv() {
                batch.take_in(message);
            }
        }
        let at_once = batch.at_once && !batch.failed;
        if late || over || at_once || !batch.flushed.is_empty() {
            batch.write(&pool).await;
        }
        if over {
            return;
        }
    }
}

async fn written(pool: &Pool, part: &[(Sid, u64)]) -> Result<(), Failure> {
    let db = pool.lend().await?;
    let ids: Vec<&[u8]> = part.iter().map(|(id, _)| id.0.as_slice()).collect();
    let seen: Vec<i64> = part.iter().map(|(_, at_ms)| ms(*at_ms)).collect();
    let write = db.prepared(schema::TOUCHES).await?;
    db.execute(&write, &[&ids, &seen])
        .await
        .map_err(said::at(Step::Write))?;
    db.give_back();
    Ok(())
}
