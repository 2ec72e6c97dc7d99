//! What a page does by itself does not count as use of its session, if its client says so.

mod common;

use std::time::Instant;

use common::LIMIT;
use common::door::{Asked, Door};
use gateway::config::Auth;

const PASSIVE: &str = "Steadfast-Passive: 1";

fn wait_for(door: &Door, user: &str) {
    let until = Instant::now() + LIMIT;
    while !door.is_renewed(user) {
        assert!(Instant::now() < until, "{user} is not seen");
        std::thread::yield_now();
    }
}

#[test]
fn a_page_that_is_only_open_lets_its_session_idle_out() {
    for auth in [Auth::Required, Auth::Optional] {
        let door = Door::new(auth);
        let (ada, bob) = (door.sign_in("ada"), door.sign_in("bob"));
        door.age();
        // From the store, and from the cache.
        for _ in 0..2 {
            let health = Asked::get("/api/health").cookie(&ada).line(PASSIVE);
            let seen = door.ask(health);
            assert_eq!(seen.status, 200, "{seen:?}");
            assert!(!seen.body.to_lowercase().contains("passive"), "{seen:?}");
        }
        // What is written is written in order.
        assert_eq!(door.ask(Asked::get("/").cookie(&bob)).status, 200);
        wait_for(&door, "bob");
        assert!(!door.is_renewed("ada"), "{auth:?}");
        // Only a 1 says it.
        let lines = [
            "Steadfast-Passive: 0",
            "X-Steadfast-Passive: 1",
            "Passive: 1",
        ];
        let active = lines
            .iter()
            .fold(Asked::get("/").cookie(&ada), |asked, line| asked.line(line));
        assert_eq!(door.ask(active).status, 200);
        wait_for(&door, "ada");
    }
}

#[test]
fn who_is_passive_is_signed_out_by_time_like_everybody() {
    let door = Door::with(Auth::Required, |config| {
        let sessions = config.sessions.as_mut().expect("sessions");
        sessions.idle_ms = 1_800_000;
    });
    let ada = door.sign_in("ada");
    door.age();
    let health = Asked::get("/api/health").cookie(&ada).line(PASSIVE);
    assert_eq!(door.ask(health).status, 401);
}
