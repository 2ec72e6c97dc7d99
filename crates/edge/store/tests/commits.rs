//! How many commits writes cost: they are counted in SQLite's log.
#![allow(missing_docs, reason = "a test")]

mod kit;

use kit::{NOW_MS, listed, opened, session, signed_in};
use rusqlite::Connection;
use session::{Kind, Sid, Touch};
use std::path::Path;
use std::task::Poll;
use std::time::{Duration, Instant};
use store::Store as _;

/// The log of a store. As long as somebody reads the database as it was, nothing in it is written over.
struct Log {
    dir: std::path::PathBuf,
    _reader: Connection,
    before: usize,
}

impl Log {
    fn follow(dir: &Path) -> Self {
        let reader = Connection::open(dir.join("sessions.db")).expect("opens");
        let sql = "BEGIN; SELECT count(*) FROM session";
        reader.execute_batch(sql).expect("a view");
        let mut log = Self {
            dir: dir.to_owned(),
            _reader: reader,
            before: 0,
        };
        log.before = log.commits();
        log
    }

    /// A frame is a head of 24 bytes and a page; the last one of a commit names the size of the database.
    /// (<https://sqlite.org/fileformat2.html#walformat>)
    fn commits(&self) -> usize {
        let log = std::fs::read(self.dir.join("sessions.db-wal")).expect("a log");
        let number = |at: &[u8]| u32::from_be_bytes([at[0], at[1], at[2], at[3]]);
        let page = usize::try_from(number(&log[8..])).expect("a size");
        let frames = log[32..].chunks_exact(24 + page);
        let ours = frames.filter(|it| it[8..16] == log[16..24]);
        ours.filter(|it| number(&it[4..]) != 0).count() - self.before
    }
}

/// Waits until last-seen is this, whoever wrote it.
async fn seen(dir: &Path, id: Sid, wanted_ms: u64) {
    let db = Connection::open(dir.join("sessions.db")).expect("opens");
    let until = Instant::now() + Duration::from_secs(60);
    let sql = "SELECT seen_ms FROM session WHERE id = ?1";
    loop {
        let found: i64 = db.query_row(sql, [id.0], |row| row.get(0)).expect("a row");
        if found.cast_unsigned() == wanted_ms {
            return;
        }
        assert!(Instant::now() < until, "{found}, not {wanted_ms}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn last_seen_is_written_in_batches() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let log = Log::follow(dir.path());
    let touch = |id: Sid, after_ms: u64, at_once: bool| {
        let at_ms = NOW_MS + after_ms;
        store.touch(id, Touch { at_ms, at_once });
    };
    let mut ids = Vec::new();
    for n in 0..3 {
        let (row, _) = session(n, Kind::Cookie, "ada");
        ids.push(row.id);
        store.insert(row).await.expect("kept");
    }
    assert_eq!(log.commits(), 3, "nobody else was there to share them");
    touch(ids[0], 60_000, true);
    seen(dir.path(), ids[0], NOW_MS + 60_000).await;
    assert_eq!(log.commits(), 4);
    for id in &ids {
        touch(*id, 90_000, false);
        touch(*id, 80_000, false);
    }
    // Another commit takes them along: they cost none of their own.
    let bob = session(9, Kind::Cookie, "bob").0;
    store.insert(bob).await.expect("kept");
    for id in &ids {
        seen(dir.path(), *id, NOW_MS + 90_000).await;
    }
    assert_eq!(log.commits(), 5, "the later ones");
    for id in &ids {
        touch(*id, 120_000, false);
    }
    drop(store);
    for id in &ids {
        seen(dir.path(), *id, NOW_MS + 120_000).await;
    }
    assert_eq!(log.commits(), 6, "a store that closes loses none");
}

#[tokio::test]
async fn many_at_once_share_commits() {
    const MANY: u32 = 2000;
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let log = Log::follow(dir.path());
    // All are queued before any can be written.
    let other = Connection::open(dir.path().join("sessions.db")).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    for n in 0..MANY {
        let mut insert = Box::pin(store.insert(session(n, Kind::Cookie, "ada").0));
        let polled = std::future::poll_fn(|context| Poll::Ready(insert.as_mut().poll(context)));
        assert!(polled.await.is_pending(), "it is locked");
    }
    other.execute_batch("COMMIT").expect("released");
    let (last, token) = session(MANY, Kind::Cookie, "ada");
    store.insert(last).await.expect("kept");
    assert!(signed_in(&store, &token).await);
    let kept = listed(&store, None).await.len();
    assert_eq!(kept, 2001, "what was queued is written, whoever has gone");
    let commits = log.commits();
    assert!(commits <= 100, "{commits} commits for {kept} sign-ins");
}
