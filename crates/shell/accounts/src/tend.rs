//! What is done about an open store from time to time: the lease, its identity, news, the sweep.

use crate::door::{Door, machine, steady_ms};
use crate::kept::Kept;
use crate::limits::{FIRST_SWEEP_MS, LOOK_MS, NEWS_MS, SWEEP_MS, TEND_MS};
use session::Reading;
use session::judge::sweep;
use std::sync::{Arc, Weak};
use std::time::Duration;
use store::Store as _;

/// Renews the lease as soon as sessions were ended elsewhere: whoever ended them waits for that.
pub(crate) async fn listen(door: Weak<Door>) {
    loop {
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        let kept = match door.upgrade() {
            None => return,
            Some(door) => door.kept(),
        };
        let Ok(kept) = kept else { continue };
        let Kept::Postgres(store) = &*kept else {
            return;
        };
        let Ok(mut news) = store.listen().await else {
            continue;
        };
        while news.next().await.is_ok() {
            let Some(door) = door.upgrade() else { return };
            // It was opened anew meanwhile, under another name, and this connection outlived that.
            if !door.kept().is_ok_and(|now| Arc::ptr_eq(&now, &kept)) {
                break;
            }
            // The first is told the new count, the second confirms it.
            door.renew(&kept, steady_ms()).await;
            door.renew(&kept, steady_ms()).await;
        }
    }
}

/// When what is to be done next. Milliseconds of the steady clock.
struct Due {
    tend_ms: u64,
    news_ms: u64,
    sweep_ms: u64,
    /// The count that was told last.
    told: Option<u64>,
}

impl Due {
    fn start(door: &Door, now_ms: u64) -> Self {
        Self {
            tend_ms: now_ms + TEND_MS,
            news_ms: now_ms + NEWS_MS,
            sweep_ms: now_ms + FIRST_SWEEP_MS,
            told: door.revocations(),
        }
    }
}

/// Runs as long as somebody holds the door.
pub(crate) async fn tend(door: Weak<Door>) {
    let Some(mut due) = door.upgrade().map(|door| Due::start(&door, steady_ms())) else {
        return;
    };
    loop {
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        let Some(door) = door.upgrade() else { return };
        door.look(&mut due, machine()).await;
    }
}

impl Door {
    /// `machine`: its clocks, read just before.
    async fn look(&self, due: &mut Due, machine: Reading) {
        let now_ms = machine.steady_ms;
        let Ok(kept) = self.kept() else {
            self.try_open().await;
            return;
        };
        if now_ms >= due.tend_ms {
            due.tend_ms = now_ms + TEND_MS;
            self.renew(&kept, now_ms).await;
            self.look_again(&kept).await;
        }
        kept.tend();
        let count = self.revocations();
        // Also once a minute: sessions end by time as well.
        if count != due.told || now_ms >= due.news_ms {
            due.told = count;
            due.news_ms = now_ms + NEWS_MS;
            self.news.send_modify(|news| *news += 1);
        }
        if now_ms >= due.sweep_ms {
            due.sweep_ms = now_ms + SWEEP_MS;
            self.sweep(&kept, machine).await;
        }
    }

    async fn sweep(&self, kept: &Kept, machine: Reading) {
        let Some(limits) = sweep(self.policy, self.at(machine)) else {
            return;
        };
        // A part at a time, so that sign-ins get in between.
        while kept
            .sweep(limits)
            .await
            .is_ok_and(|gone| gone >= store::SWEEP_ROWS_MAX)
        {
            kept.tend();
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;
    use crate::kept::{Place, random};
    use crate::server::Server;
    use session::judge::open;
    use session::revoke::Scope;
    use session::{Entropy, Expiry, Hidden, Kind, Policy, SWEEP_LATE_MS, Sid, Time, UserId, Why};
    use std::sync::Arc;
    use store::Answer;

    const YEAR_MS: u64 = 365 * 24 * 3_600_000;

    async fn door(place: Place, role: Role) -> (Arc<Door>, Arc<Kept>) {
        let door = Door::new(place, Policy::default(), role).await;
        let kept = door.kept().expect("open");
        (door, kept)
    }

    async fn signed_in(kept: &Kept, now_ms: u64) -> Sid {
        let (secret, key) = (Hidden::new(random()), Hidden::new(random()));
        let (id, user) = (random(), UserId::parse("ada").expect("a user id"));
        let draws = Entropy { id, secret, key };
        let store = kept.shelf().ours;
        let expiry = Expiry::Runs;
        let (row, _) = open(
            store,
            Kind::Cookie,
            user,
            draws,
            "",
            Time { now_ms, expiry },
        );
        let id = row.id;
        kept.insert(row).await.expect("kept");
        id
    }

    async fn there(kept: &Kept, id: Sid) -> bool {
        match kept.look(id).await {
            Answer::Row(_) => true,
            Answer::Nothing => false,
            Answer::Unreachable(_) | Answer::Distrusted(_) => panic!("it answers"),
        }
    }

    /// Both clocks so much later, and the wall clock off.
    fn later(from: Reading, by_ms: u64, off_ms: u64) -> Reading {
        Reading {
            wall_ms: from.wall_ms + by_ms + off_ms,
            steady_ms: from.steady_ms + by_ms,
        }
    }

    #[tokio::test]
    async fn what_is_over_is_swept_a_minute_after_the_start_and_every_hour_while_the_clocks_agree()
    {
        let dir = tempfile::tempdir().expect("a directory");
        let place = Place::Sqlite(dir.path().to_owned());
        let (door, kept) = door(place, Role::Command).await;
        let start = machine();
        let ended = async || {
            let id = signed_in(&kept, start.wall_ms).await;
            let done = kept.revoke(Scope::One(id), Why::Revoked, start.wall_ms);
            done.await.expect("kept");
            id
        };
        let living = signed_in(&kept, start.wall_ms).await;
        let first = ended().await;
        let mut due = Due::start(&door, start.steady_ms);
        // The wall clock alone says that the week is over.
        let jumped = later(start, FIRST_SWEEP_MS, 2 * SWEEP_LATE_MS);
        door.look(&mut due, jumped).await;
        assert!(there(&kept, first).await, "swept by a clock that jumped");
        let week = later(start, 2 * SWEEP_LATE_MS, 0);
        let mut due = Due::start(&door, week.steady_ms);
        door.look(&mut due, later(week, FIRST_SWEEP_MS - 1, 0))
            .await;
        assert!(there(&kept, first).await, "before it was due");
        let swept = later(week, FIRST_SWEEP_MS, 0);
        door.look(&mut due, swept).await;
        assert!(!there(&kept, first).await, "the first sweep");
        let second = ended().await;
        door.look(&mut due, later(swept, SWEEP_MS - 1, 0)).await;
        assert!(there(&kept, second).await, "before the hour was over");
        door.look(&mut due, later(swept, SWEEP_MS, 0)).await;
        assert!(!there(&kept, second).await, "an hour later");
        assert!(there(&kept, living).await, "it lives");
    }

    #[tokio::test]
    async fn a_sweep_takes_all_that_is_over_however_much_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = Place::Sqlite(dir.path().to_owned());
        let (door, kept) = door(place, Role::Command).await;
        let start = machine();
        let living = signed_in(&kept, start.wall_ms).await;
        let most = store::SWEEP_ROWS_MAX;
        let db = rusqlite::Connection::open(dir.path().join("sessions.db")).expect("opens");
        db.execute_batch(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2 * {most} + 1) \
             INSERT INTO session SELECT randomblob(16), 'ada', 1, randomblob(32), NULL, 1, 1, '', 1, 1, NULL, '' FROM n; \
             UPDATE meta SET value = value + 2 * {most} + 1 WHERE name = 'rows'"
        ))
        .expect("many that are over");
        let rows = || -> i64 {
            let sql = "SELECT count(*) FROM session";
            db.query_row(sql, [], |row| row.get(0)).expect("a number")
        };
        assert!(rows() > 1);
        let mut due = Due::start(&door, start.steady_ms);
        door.look(&mut due, later(start, FIRST_SWEEP_MS, 0)).await;
        assert_eq!(rows(), 1);
        assert!(there(&kept, living).await);
    }

    /// On a real database: its clock is right, the machine's is a year ahead or behind.
    #[tokio::test]
    async fn a_machine_with_a_wrong_clock_goes_by_the_shared_stores() {
        let server = Server::start();
        let dir = tempfile::tempdir().expect("a directory");
        let (url, dir) = (server.as_store(), dir.path().to_owned());
        let place = Place::Postgres { url, dir };
        let (door, kept) = door(place, Role::Gateway).await;
        let right = machine();
        let id = signed_in(&kept, right.wall_ms).await;
        for wrong in [
            Reading {
                wall_ms: right.wall_ms + YEAR_MS,
                ..right
            },
            Reading {
                wall_ms: right.wall_ms - YEAR_MS,
                ..right
            },
        ] {
            let time = door.at(wrong);
            assert_eq!(time.expiry, Expiry::Runs);
            assert!(time.now_ms.abs_diff(right.wall_ms) < 60_000, "{time:?}");
            let mut due = Due::start(&door, right.steady_ms);
            due.sweep_ms = right.steady_ms;
            door.look(&mut due, wrong).await;
            assert!(there(&kept, id).await, "swept by a wrong clock");
        }
    }
}
