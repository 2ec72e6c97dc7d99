//! Refreshes in groups: what waits while one group is being committed is the next one.
//!
//! One refresh alone costs a question, a conditional write and a commit; a group costs the same. It is what SQLite's
//! writer does, without waiting for company: alone, a refresh leaves at once. A group holds each session once; a second
//! refresh of the same session, a theft (it ends a session), and a write that somebody was faster with are not decided
//! here but by [`super::Postgres::try_refresh`], one by one.

use super::pool::Pool;
use super::{said, schema};
use crate::chain;
use crate::error::{Failure, Step};
use crate::refresh::{Change, plan};
use crate::rows::ms;
use crate::store::{RefreshAsk, Refreshed};
use session::{Credential, Row, Sid};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot};

/// Refreshes in one group: bounds how long the first of them waits for the last.
const GROUP_MAX: usize = 256;
/// Refreshes that wait. More is refused (503): the database does not keep up.
const QUEUE_MAX: usize = 16_384;
/// Groups on their way at once: one is being committed while the next one reads.
const GROUPS_MAX: usize = 2;

/// None: to be done alone.
type Reply = oneshot::Sender<Result<Option<Refreshed>, Failure>>;

struct Waiting {
    ask: RefreshAsk,
    reply: Reply,
}

/// The way in. The task behind it ends with the last of these.
#[derive(Clone)]
pub(super) struct Groups(mpsc::Sender<Waiting>);

impl Groups {
    /// Inside a tokio runtime.
    pub(super) fn start(pool: Arc<Pool>) -> Groups {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        bugs::keep("groups of refreshes", move || {
            run(Arc::clone(&pool), Arc::clone(&receiver))
        });
        Groups(sender)
    }

    pub(super) async fn refresh(&self, ask: RefreshAsk) -> Result<Option<Refreshed>, Failure> {
        let (reply, answer) = oneshot::channel();
        self.0
            .try_send(Waiting { ask, reply })
            .map_err(Failure::at(Step::Queue))?;
        answer.await.map_err(Failure::cut_short(Step::Write))?
    }
}

async fn run(pool: Arc<Pool>, receiver: Arc<Mutex<mpsc::Receiver<Waiting>>>) {
    let mut receiver = receiver.lock().await;
    let room = Arc::new(tokio::sync::Semaphore::new(GROUPS_MAX));
    // Two groups may hold the same session: the write that comes second changes nothing, and is done alone.
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        let Some(first) = receiver.recv().await else {
            return;
        };
        let mut seen = HashSet::new();
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(waiting) = next {
            if seen.insert(waiting.ask.ask.token.session) {
                group.push(waiting);
            } else {
                let _gone = waiting.reply.send(Ok(None));
            }
            next = match group.len() < GROUP_MAX {
                true => receiver.try_recv().ok(),
                false => None,
            };
        }
        let pool = Arc::clone(&pool);
        tokio::spawn(async move {
            settle(&pool, group).await;
            drop(permit);
        });
    }
}

async fn settle(pool: &Pool, group: Vec<Waiting>) {
    let asks: Vec<&RefreshAsk> = group.iter().map(|waiting| &waiting.ask).collect();
    match decided(pool, &asks).await {
        Ok(answers) => {
            for (waiting, answer) in group.into_iter().zip(answers) {
                // Whoever asked may have gone.
                let _gone = waiting.reply.send(Ok(answer));
            }
        }
        Err(failure) => {
            for waiting in group {
                let _gone = waiting.reply.send(Err(failure.clone()));
            }
        }
    }
}

/// An answer for each, in order; None where it is to be done alone.
async fn decided(pool: &Pool, asks: &[&RefreshAsk]) -> Result<Vec<Option<Refreshed>>, Failure> {
    let db = pool.lend().await?;
    let ids: Vec<Vec<u8>> = asks
        .iter()
        .map(|ask| ask.ask.token.session.0.to_vec())
        .collect();
    let read = db.prepared(schema::BY_IDS).await?;
    let lines = db
        .query(&read, &[&ids])
        .await
        .map_err(said::at(Step::Read))?;
    let mut rows: HashMap<Sid, Row> = HashMap::with_capacity(lines.len());
    for line in &lines {
        let row = schema::row(line).map_err(|detail| Failure::new(Step::Read, detail))?;
        rows.insert(row.id, row);
    }
    let mut answers = Vec::with_capacity(asks.len());
    let mut writes = Writes::default();
    for (at, ask) in asks.iter().enumerate() {
        let row = rows.get(&ask.ask.token.session);
        let (change, answer) = plan(row, ask);
        match (change, row.map(|row| &row.credential)) {
            (Change::Chain(new), Some(Credential::Rotating(old))) => {
                writes.push(at, ask, chain::encode(&new), chain::encode(old));
                answers.push(Some(answer));
            }
            (Change::None, _) => answers.push(Some(answer)),
            (Change::Chain(_) | Change::Seen | Change::End(_), _) => answers.push(None),
        }
    }
    if !writes.at.is_empty() {
        let write = db.prepared(schema::SET_CHAINS).await?;
        let done = db
            .query(
                &write,
                &[
                    &writes.ids,
                    &writes.new,
                    &writes.contexts,
                    &writes.seen,
                    &writes.old,
                ],
            )
            .await
            .map_err(said::at(Step::Commit))?;
        let written: HashSet<Vec<u8>> = done
            .iter()
            .filter_map(|line| line.try_get(0).ok())
            .collect();
        for (at, id) in writes.at.iter().zip(&writes.ids) {
            if !written.contains(id) {
                // Somebody else wrote since we read.
                answers[*at] = None;
            }
        }
    }
    db.give_back();
    Ok(answers)
}

/// One statement's columns.
#[derive(Default)]
struct Writes {
    at: Vec<usize>,
    ids: Vec<Vec<u8>>,
    new: Vec<Vec<u8>>,
    contexts: Vec<String>,
    seen: Vec<i64>,
    old: Vec<Vec<u8>>,
}

impl Writes {
    fn push(&mut self, at: usize, ask: &RefreshAsk, new: Vec<u8>, old: Vec<u8>) {
        self.at.push(at);
        self.ids.push(ask.ask.token.session.0.to_vec());
        self.new.push(new);
        self.contexts.push(ask.context.clone());
        self.seen.push(ms(ask.seen_ms()));
        self.old.push(old);
    }
}
