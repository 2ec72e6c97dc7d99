//! Pools in sentences, and in any order of events.
#![allow(clippy::unwrap_used)]

use events::{Ended, Event, How, Hub, Kind, Kinds, ListenerState, PoolDef, Step};

const FREE: Ended = Ended {
    busy: 0,
    done: 0,
    how: How::Dropped,
};

struct World {
    hub: Hub,
    now_ms: u64,
    log: Vec<String>,
}

fn world(buffer_size: usize, events: &str) -> World {
    let mut world = World {
        hub: Hub::new("supervisor"),
        now_ms: 1000,
        log: vec![],
    };
    world.pool("p", buffer_size, events);
    world
}

impl World {
    fn pool(&mut self, name: &str, buffer_size: usize, events: &str) {
        let kinds = events.split(',').map(|word| Kinds::of(word).unwrap());
        let kinds = kinds.fold(Kinds::default(), Kinds::union);
        self.hub.open(PoolDef {
            name: name.into(),
            buffer_size,
            kinds,
        });
    }
    /// What was sent, as `process ticket serial/poolserial payload`.
    fn did(&mut self, steps: Vec<Step>) -> Vec<String> {
        let mut sent = Vec::new();
        for step in steps {
            match step {
                Step::Send {
                    process,
                    ticket,
                    bytes,
                    ..
                } => {
                    let text = String::from_utf8(bytes).unwrap();
                    let (head, payload) = text.split_once('\n').unwrap();
                    let word = |name: &str| {
                        let found = head
                            .split(' ')
                            .find_map(|word| word.strip_prefix(&format!("{name}:")));
                        found.unwrap().to_owned()
                    };
                    sent.push(format!(
                        "{process} {ticket} {}/{} {payload}",
                        word("serial"),
                        word("poolserial")
                    ));
                }
                Step::Say { text, .. } => self.log.push(text),
            }
        }
        sent
    }
    fn tick(&mut self, when: u64) -> Vec<String> {
        let steps = self
            .hub
            .notify(&Event::tick(Kind::Tick5, when), self.now_ms);
        self.did(steps)
    }
    fn says(&mut self, process: &str, state: ListenerState, ended: Ended) -> Vec<String> {
        let steps = self.hub.known("p", process, state, ended, self.now_ms);
        self.did(steps)
    }
    fn up(&mut self, process: &str) -> Vec<String> {
        let steps = self.hub.running("p", process, true, self.now_ms);
        let mut sent = self.did(steps);
        sent.extend(self.says(process, ListenerState::Ready, FREE));
        sent
    }
    fn ends(&mut self, process: &str, ticket: u64, ok: bool) -> Vec<String> {
        let how = if ok { How::Processed } else { How::Rejected };
        self.says(
            process,
            ListenerState::Ready,
            Ended {
                busy: 0,
                done: ticket,
                how,
            },
        )
    }
}

#[test]
fn events_wait_for_a_listener_that_runs_and_is_ready() {
    let mut w = world(10, "TICK_5");
    assert!(w.tick(5).is_empty());
    assert!(w.says("a", ListenerState::Ready, FREE).is_empty());
    assert_eq!(w.up("a"), ["a 1 0/0 when:5"]);
    assert!(w.tick(10).is_empty());
    assert_eq!(w.ends("a", 1, true), ["a 2 1/1 when:10"]);
    assert!(w.ends("a", 2, true).is_empty());
    assert_eq!(w.tick(15), ["a 3 2/2 when:15"]);
}

#[test]
fn serials_count_what_somebody_wants_and_pools_count_their_own() {
    let mut w = world(10, "TICK_60");
    w.pool("q", 10, "TICK");
    w.up("a");
    assert!(w.tick(5).is_empty());
    let steps = w.hub.notify(&Event::bare(Kind::SupervisorRunning), 0);
    assert!(w.did(steps).is_empty());
    let steps = w.hub.notify(&Event::tick(Kind::Tick60, 60), 0);
    assert_eq!(w.did(steps), ["a 1 1/0 when:60"]);
}

#[test]
fn a_rejected_event_comes_back_first_and_after_some_tries_it_waits() {
    let mut w = world(10, "TICK_5");
    w.up("a");
    assert_eq!(w.tick(5), ["a 1 0/0 when:5"]);
    w.tick(10);
    for ticket in 1..=5 {
        assert_eq!(
            w.ends("a", ticket, false),
            [format!("a {} 0/0 when:5", ticket + 1)]
        );
    }
    assert!(w.ends("a", 6, false).is_empty());
    assert_eq!(w.log, vec!["a: event was rejected"; 6]);
    w.now_ms = w.hub.next_timer(w.now_ms).unwrap();
    let steps = w.hub.tick(w.now_ms);
    assert_eq!(w.did(steps), ["a 7 0/0 when:5"]);
}

#[test]
fn a_full_buffer_loses_the_oldest_and_a_flood_is_counted() {
    let mut w = world(2, "TICK_5");
    for when in 0..100 {
        w.tick(when);
    }
    assert_eq!(w.log.len(), 20);
    assert_eq!(
        w.log[0],
        "pool p event buffer overflowed, discarding event 0"
    );
    w.now_ms = w.hub.next_timer(w.now_ms).unwrap();
    let steps = w.hub.tick(w.now_ms);
    w.did(steps);
    assert_eq!(
        w.log[20],
        "pool p event buffer overflowed, discarded 78 more events"
    );
    assert_eq!(w.up("a"), ["a 1 98/98 when:98"]);
}

#[test]
fn an_old_word_of_the_keeper_is_no_answer() {
    let mut w = world(10, "TICK_5");
    w.up("a");
    assert_eq!(w.tick(5), ["a 1 0/0 when:5"]);
    assert!(w.says("a", ListenerState::Ready, FREE).is_empty());
    assert!(
        w.says("a", ListenerState::Busy, Ended { busy: 1, ..FREE })
            .is_empty()
    );
    assert!(w.tick(10).is_empty());
    assert_eq!(w.ends("a", 1, true), ["a 2 1/1 when:10"]);
    assert!(w.ends("a", 1, true).is_empty());
}

#[test]
fn another_listener_of_the_pool_takes_what_the_dead_one_had() {
    let mut w = world(10, "TICK_5");
    w.up("a");
    w.up("b");
    assert_eq!(w.tick(5), ["a 1 0/0 when:5"]);
    let steps = w.hub.running("p", "a", false, 0);
    assert!(w.did(steps).is_empty());
    let sent = w.says(
        "a",
        ListenerState::Acknowledged,
        Ended {
            busy: 0,
            done: 1,
            how: How::Dropped,
        },
    );
    assert_eq!(sent, ["b 2 0/0 when:5"]);
    let steps = w.hub.lost("p", "b", 0);
    assert!(w.did(steps).is_empty());
    assert_eq!(w.up("a"), ["a 3 0/0 when:5"]);
}

#[test]
fn the_next_daemon_goes_on_where_the_last_one_was() {
    for (ended, expected) in [
        (
            Ended {
                busy: 1,
                done: 0,
                how: How::Dropped,
            },
            vec![],
        ),
        (
            Ended {
                busy: 0,
                done: 1,
                how: How::Processed,
            },
            vec!["a 2 1/1 when:10"],
        ),
        (
            Ended {
                busy: 0,
                done: 1,
                how: How::Dropped,
            },
            vec!["a 2 0/0 when:5"],
        ),
        (
            Ended {
                busy: 0,
                done: 0,
                how: How::Dropped,
            },
            vec!["a 2 0/0 when:5"],
        ),
    ] {
        let mut w = world(10, "TICK_5");
        w.up("a");
        w.tick(5);
        w.tick(10);
        let snapshot = w.hub.snapshot();
        let mut next = world(10, "TICK_5");
        next.hub.restore(snapshot);
        let steps = next.hub.running("p", "a", true, 0);
        assert!(next.did(steps).is_empty());
        next.hub.unsure("p", "a");
        let state = if ended.busy > 0 {
            ListenerState::Busy
        } else {
            ListenerState::Ready
        };
        assert_eq!(next.says("a", state, ended), expected, "{ended:?}");
    }
}

#[test]
fn a_pool_that_closes_takes_its_events_along() {
    let mut w = world(10, "TICK_5");
    w.tick(5);
    w.hub.close("p");
    assert!(w.hub.is_empty());
    w.pool("p", 10, "TICK_5");
    assert!(w.up("a").is_empty());
    assert_eq!(w.tick(10), ["a 1 1/0 when:10"]);
}
