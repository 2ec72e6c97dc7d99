//! What stands in the state directory is compared before it is believed.
#![allow(missing_docs, reason = "a test")]

mod kit;

use kit::{ID, NOW_MS, OTHER, at, opened, session, signed_in, verdict};
use session::judge::addressed;
use session::revoke::{Line, Scope};
use session::{Alarm, Kind, Refusal, StoreId, Token, Unsure, Verdict, Why};
use std::fs;
use std::path::Path;
use std::time::Duration;
use store::{OpenError, Sqlite, Store as _, forget};

/// A store with one session, closed. The WAL is in the database then.
async fn used(dir: &Path) -> Token {
    let store = opened(dir);
    let (row, token) = session(1, Kind::Cookie, "ada");
    store.insert(row).await.expect("kept");
    drop(store);
    settle(dir);
    token
}

/// Waits for the writer's thread, which closes the database after the last handle has gone.
fn settle(dir: &Path) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while dir.join("sessions.db-wal").exists() && std::time::Instant::now() < until {
        std::thread::yield_now();
    }
}

/// Opens after `damage` was done to a used store; says which alarm is given. The damage is looked at twice: an alarm
/// must not repair anything.
async fn check(damage: impl Fn(&Path)) -> Option<Alarm> {
    let dir = tempfile::tempdir().expect("a directory");
    used(dir.path()).await;
    damage(dir.path());
    let alarm = || match Sqlite::open(dir.path(), OTHER) {
        Ok(store) => {
            assert_eq!(store.shelf().ours, ID, "never made anew in silence");
            None
        }
        Err(OpenError::Distrusted { alarm, .. }) => Some(alarm),
        Err(OpenError::Failed(failure)) => panic!("{failure}"),
    };
    let first = alarm();
    assert_eq!(alarm(), first, "an alarm stays until something is done");
    if first.is_some() {
        let id = forget(dir.path(), OTHER).expect("forgotten");
        let store = Sqlite::open(dir.path(), StoreId([0; 8])).expect("opens after forget");
        assert_eq!(
            (store.shelf().ours, store.shelf().others_forgotten),
            (id, true)
        );
    }
    first
}

fn edit(dir: &Path, sql: &str) {
    rusqlite::Connection::open(dir.join("sessions.db"))
        .expect("opens")
        .execute_batch(sql)
        .expect("runs");
}

#[tokio::test]
async fn what_is_in_order() {
    assert_eq!(check(|_| ()).await, None);
    let marker_lost = |dir: &Path| fs::remove_file(dir.join("sessions.id")).expect("removed");
    assert_eq!(
        check(marker_lost).await,
        None,
        "a start that was cut short before the marker"
    );
    assert_eq!(
        check(|dir| fs::remove_file(dir.join("sessions.count")).expect("removed")).await,
        None
    );
}

#[tokio::test]
async fn alarms() {
    let database = |dir: &Path| dir.join("sessions.db");
    assert_eq!(
        check(|dir| fs::remove_file(database(dir)).expect("removed")).await,
        Some(Alarm::Missing)
    );
    assert_eq!(
        check(|dir| fs::write(database(dir), "").expect("written")).await,
        Some(Alarm::Missing)
    );
    let noise = |dir: &Path| {
        fs::write(
            database(dir),
            "no database, but long enough to look like one ".repeat(300),
        )
    };
    assert_eq!(
        check(|dir| noise(dir).expect("written")).await,
        Some(Alarm::Unreadable)
    );
    assert_eq!(
        check(|dir| edit(dir, "DELETE FROM session")).await,
        Some(Alarm::Empty)
    );
    assert_eq!(
        check(|dir| edit(dir, "DROP TABLE session")).await,
        Some(Alarm::Unreadable)
    );
    assert_eq!(
        check(|dir| edit(dir, "DELETE FROM meta WHERE name = 'id'")).await,
        Some(Alarm::Unreadable)
    );
    assert_eq!(
        check(|dir| edit(dir, "PRAGMA application_id = 7")).await,
        Some(Alarm::Unreadable)
    );
    assert_eq!(
        check(|dir| edit(dir, "PRAGMA user_version = 99")).await,
        Some(Alarm::Unreadable),
        "a newer version"
    );
    let foreign = |dir: &Path| {
        edit(
            dir,
            "UPDATE meta SET value = x'0102030405060708' WHERE name = 'id'",
        )
    };
    assert_eq!(check(foreign).await, Some(Alarm::Foreign));
    let other_store = |dir: &Path| {
        let made = tempfile::tempdir().expect("a directory");
        drop(Sqlite::open(made.path(), OTHER).expect("opens"));
        settle(made.path());
        fs::copy(database(made.path()), database(dir)).expect("copied");
    };
    assert_eq!(check(other_store).await, Some(Alarm::Foreign));
    assert_eq!(
        check(|dir| fs::write(dir.join("sessions.id"), "x").expect("written")).await,
        Some(Alarm::Unreadable)
    );
}

#[tokio::test]
async fn a_database_that_comes_back_is_believed_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = used(dir.path()).await;
    let (here, away) = (dir.path().join("sessions.db"), dir.path().join("away"));
    fs::rename(&here, &away).expect("moved");
    assert!(Sqlite::open(dir.path(), OTHER).is_err());
    fs::rename(&away, &here).expect("moved back");
    assert!(signed_in(&opened(dir.path()), &token).await);
}

#[tokio::test]
async fn tokens_of_another_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = used(dir.path()).await;
    fs::remove_file(dir.path().join("sessions.db")).expect("removed");
    forget(dir.path(), OTHER).expect("forgotten");
    let store = Sqlite::open(dir.path(), ID).expect("opens");
    assert_eq!(
        addressed(&token, store.shelf()),
        Err(Verdict::Invalid(Refusal::ForgottenStore))
    );
    let made = tempfile::tempdir().expect("a directory");
    let another = Sqlite::open(made.path(), OTHER).expect("opens");
    assert_eq!(
        addressed(&token, another.shelf()),
        Err(Verdict::Unknown(Unsure::ForeignStore))
    );
}

#[tokio::test]
async fn forgetting_other_stores_keeps_this_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = used(dir.path()).await;
    assert_eq!(forget(dir.path(), OTHER), Ok(ID));
    let store = opened(dir.path());
    assert!(store.shelf().others_forgotten);
    assert!(
        signed_in(&store, &token).await,
        "nobody of ours is signed out"
    );
}

#[tokio::test]
async fn a_database_deleted_under_us_swallows_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let (row, token) = session(1, Kind::Cookie, "ada");
    store.insert(row).await.expect("kept");
    assert!(signed_in(&store, &token).await);
    fs::remove_file(dir.path().join("sessions.db")).expect("removed");
    let (row, late) = session(2, Kind::Cookie, "ada");
    assert!(
        store.insert(row).await.is_err(),
        "a sign-in that cannot be kept is not granted"
    );
    assert!(
        signed_in(&store, &token).await,
        "what was read before is still read"
    );
    let verdict = verdict(&store.clone(), &late, at(0)).await;
    assert!(matches!(verdict, Verdict::Unknown(_)), "{verdict:?}");
}

#[tokio::test]
async fn damage_that_is_found_while_reading_is_unknown() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = used(dir.path()).await;
    edit(dir.path(), "UPDATE session SET user = ''");
    let store = opened(dir.path());
    let said = verdict(&store, &token, at(0)).await;
    assert_eq!(
        said,
        Verdict::Unknown(Unsure::Distrusted(Alarm::Unreadable))
    );
    edit(dir.path(), "UPDATE session SET user = 'ada'");
    assert!(signed_in(&store, &token).await, "it comes back by itself");
}

/// A store that is open, with two sessions in it, while another connection does this to the database.
async fn check_in_place(sql: &str) -> Vec<Verdict> {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let mut tokens = Vec::new();
    for (n, kind) in [(1, Kind::Cookie), (2, Kind::Rotating)] {
        let (row, token) = session(n, kind, "ada");
        store.insert(row).await.expect("kept");
        assert!(signed_in(&store, &token).await);
        tokens.push(token);
    }
    edit(dir.path(), sql);
    let mut said = Vec::new();
    for token in &tokens {
        said.push(verdict(&store, token, at(0)).await);
    }
    // Nor is it made to look whole again by a write.
    let (row, _) = session(3, Kind::Cookie, "bob");
    let kept = store.insert(row).await;
    assert_eq!(
        kept.is_ok(),
        said.iter().all(|it| matches!(it, Verdict::Invalid(_)))
    );
    for (token, before) in tokens.iter().zip(&said) {
        assert_eq!(verdict(&store, token, at(0)).await, *before);
    }
    said
}

#[tokio::test]
async fn a_store_that_was_emptied_or_replaced_in_place_is_unknown() {
    let unknown = |alarm| vec![Verdict::Unknown(Unsure::Distrusted(alarm)); 2];
    let foreign = "UPDATE meta SET value = x'0102030405060708' WHERE name = 'id';";
    assert_eq!(
        check_in_place("DELETE FROM session").await,
        unknown(Alarm::Empty)
    );
    assert_eq!(
        check_in_place(&format!("DELETE FROM session; {foreign}")).await,
        unknown(Alarm::Foreign)
    );
    assert_eq!(
        check_in_place("DELETE FROM session; DELETE FROM meta").await,
        unknown(Alarm::Unreadable)
    );
    // Somebody took the two out and said so: that is how a sweep does it.
    assert_eq!(
        check_in_place("DELETE FROM session; UPDATE meta SET value = 0 WHERE name = 'rows'").await,
        vec![Verdict::Invalid(Refusal::NotFound); 2]
    );
}

#[tokio::test]
async fn a_revocation_is_heard_after_the_file_of_the_count_was_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    let worker = opened(dir.path());
    let revoked = async |n: u32| {
        // As a command does it: with files of its own.
        let command = opened(dir.path());
        let id = session(n, Kind::Cookie, "ada").0.id;
        let done = command.revoke(Scope::One(id), Why::Revoked, NOW_MS).await;
        done.expect("acknowledged").count
    };
    let count = || match worker.line() {
        Ok(Line::Local { count }) => count,
        other => panic!("{other:?}"),
    };
    // As seldom as a worker may.
    let mut due = tokio::time::interval(Duration::from_millis(store::TEND_MS_MAX));
    let tended = async {
        loop {
            due.tick().await;
            worker.tend();
        }
    };
    let path = dir.path().join("sessions.count");
    let checked = async {
        assert_eq!(revoked(1).await, count(), "one file");
        for n in 2..5 {
            let before = count();
            match n {
                // Put back from a copy, as it was before anything was revoked.
                2 => fs::write(dir.path().join("x"), [0; 8]).expect("written"),
                3 => drop(fs::copy(&path, dir.path().join("x")).expect("copied")),
                _ => fs::remove_file(&path).expect("removed"),
            }
            if n < 4 {
                fs::rename(dir.path().join("x"), &path).expect("replaced");
            }
            let said = revoked(n).await;
            assert_eq!(said, count(), "heard before it was acknowledged");
            assert!(said > before, "{said} {before}");
        }
    };
    tokio::select! {
        () = checked => {}
        () = tended => {}
    }
}

#[tokio::test]
async fn a_count_that_was_cut_short_keeps_nobody_from_signing_in_and_is_mended_by_a_revocation() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = opened(dir.path());
    let path = dir.path().join("sessions.count");
    let file = fs::OpenOptions::new().write(true).open(&path);
    file.and_then(|file| file.set_len(0)).expect("cut");
    assert!(store.line().is_err(), "nothing cached is believed");
    let (row, token) = session(1, Kind::Cookie, "ada");
    store.insert(row.clone()).await.expect("kept");
    assert!(signed_in(&store, &token).await);
    let done = store.revoke(Scope::One(row.id), Why::Revoked, NOW_MS).await;
    let count = done.expect("acknowledged").count;
    assert_eq!(store.line(), Ok(Line::Local { count }));
}

#[tokio::test]
async fn a_count_that_is_further_than_database_and_clock_is_counted_on_from() {
    let dir = tempfile::tempdir().expect("a directory");
    let far = (1_u64 << 60).to_le_bytes();
    fs::write(dir.path().join("sessions.count"), far).expect("written");
    let store = opened(dir.path());
    let id = session(1, Kind::Cookie, "ada").0.id;
    for n in 1..3 {
        let done = store.revoke(Scope::One(id), Why::Revoked, NOW_MS).await;
        assert_eq!(done.expect("acknowledged").count, (1 << 60) + n);
        assert_eq!(
            store.line(),
            Ok(Line::Local {
                count: (1 << 60) + n
            })
        );
    }
    fs::write(dir.path().join("sessions.count"), [0xff; 8]).expect("written");
    let done = store.revoke(Scope::One(id), Why::Revoked, NOW_MS).await;
    assert!(done.is_err(), "nobody would hear of it: {done:?}");
}

#[tokio::test]
async fn what_is_not_ours_is_not_touched() {
    let dir = tempfile::tempdir().expect("a directory");
    let other = dir.path().join("other.db");
    let mode = || -> String {
        let db = rusqlite::Connection::open(&other).expect("opens");
        db.query_row("PRAGMA journal_mode", [], |row| row.get(0))
            .expect("a mode")
    };
    rusqlite::Connection::open(&other)
        .and_then(|db| db.execute_batch("CREATE TABLE mine (a); PRAGMA application_id = 7"))
        .expect("made");
    let state = dir.path().join("state");
    fs::create_dir(&state).expect("made");
    fs::copy(&other, state.join("sessions.db")).expect("copied");
    assert!(Sqlite::open(&state, ID).is_err());
    fs::remove_file(state.join("sessions.db")).expect("removed");
    std::os::unix::fs::symlink(&other, state.join("sessions.db")).expect("linked");
    assert!(Sqlite::open(&state, ID).is_err(), "not through a link");
    assert_eq!(mode(), "delete");
    // The directory may be reached by one.
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::create_dir(&real).expect("made");
    std::os::unix::fs::symlink(&real, &link).expect("linked");
    drop(opened(&link));
    assert!(real.join("sessions.db").exists());
}

/// Root's command gives the files that it makes to whoever owns the directory; he may have made one a name of root's.
#[tokio::test]
async fn what_has_another_name_elsewhere_is_not_given_away() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let dir = tempfile::tempdir().expect("a directory");
    let (state, roots) = (dir.path().join("state"), dir.path().join("of-root"));
    fs::create_dir(&state).expect("made");
    drop(opened(&state));
    let count = state.join("sessions.count");
    fs::write(&roots, [0; 8]).expect("written");
    if fs::metadata(&roots).expect("there").uid() != 0 {
        return;
    }
    chown(&state, Some(4_000_001), Some(4_000_001)).expect("given");
    let owner = |path: &Path| fs::metadata(path).map(|meta| meta.uid()).ok();
    // What was made there is his.
    fs::remove_file(&count).expect("removed");
    drop(opened(&state));
    assert_eq!(owner(&count), Some(4_000_001));
    // One with two names is nobody's gift, nor one that is too long to be a count.
    fs::remove_file(&count).expect("removed");
    fs::hard_link(&roots, &count).expect("linked");
    assert!(Sqlite::open(&state, ID).is_err());
    assert_eq!(owner(&roots), Some(0));
    fs::remove_file(&count).expect("removed");
    fs::write(&roots, "KEY=precious\n").expect("written");
    fs::rename(&roots, &count).expect("moved");
    let _ = Sqlite::open(&state, ID);
    assert_eq!(owner(&count), Some(0));
}
