//! The rules in sentences, and a world in which any plan must work.

use std::collections::{BTreeMap, BTreeSet};

use plan::{
    Desired, Intent, Key, Observed, Seen, Slot, Step, line, reconcile, shutdown_waves, start_order,
};
use proptest::prelude::*;

fn slot(name: &str) -> Slot {
    let (group, process) = name.split_once(':').unwrap_or((name, name));
    Slot {
        key: Key::new(group, process),
        program: process
            .trim_end_matches(char::is_numeric)
            .trim_end_matches('_')
            .to_string(),
        hash: "1".into(),
        up: true,
        group_priority: 999,
        priority: 999,
        first: false,
        depends_on: Vec::new(),
        listeners: Vec::new(),
    }
}

fn seen(hash: &str, wanted: bool) -> Seen {
    Seen {
        kept: true,
        hash: hash.into(),
        refused: String::new(),
        wanted,
    }
}

/// A case: what is wanted, what is seen, what comes out.
struct Case {
    desired: Desired,
    observed: Observed,
    intent: Intent,
}

fn check(slots: Vec<Slot>) -> Case {
    Case {
        desired: Desired { slots },
        observed: Observed::default(),
        intent: Intent::Settle,
    }
}

impl Case {
    fn with(mut self, name: &str, seen: Seen) -> Case {
        self.observed.slots.insert(slot(name).key, seen);
        self
    }
    fn listening(mut self, address: &str) -> Case {
        self.observed.listeners.insert(address.into());
        self
    }
    fn on(mut self, intent: Intent) -> Case {
        self.intent = intent;
        self
    }
    fn expect(self, lines: &[&str]) {
        let steps = reconcile(&self.desired, &self.observed, self.intent);
        assert_eq!(steps.iter().map(line).collect::<Vec<_>>(), lines);
    }
}

#[test]
fn a_first_boot_makes_everything_gateway_first() {
    let gateway = Slot {
        first: true,
        listeners: vec!["0.0.0.0:80".into()],
        ..slot("steadfast:gateway")
    };
    let early = Slot {
        group_priority: 1,
        ..slot("zebra")
    };
    let down = Slot {
        up: false,
        ..slot("down")
    };
    check(vec![slot("backend"), down, early, gateway]).expect(&[
        "listen on 0.0.0.0:80",
        "make a place for steadfast:gateway",
        "define steadfast:gateway",
        "start steadfast:gateway",
        "make a place for zebra",
        "define zebra",
        "start zebra",
        "make a place for backend",
        "define backend",
        "start backend",
        "make a place for down",
        "define down",
    ]);
}

#[test]
fn dependants_wait_for_all_processes_of_a_program() {
    let web = Slot {
        depends_on: vec!["db".into()],
        priority: 1,
        group_priority: 1,
        ..slot("web")
    };
    let slots = vec![web, slot("db:db_0"), slot("db:db_1")];
    check(slots)
        .with("web", seen("1", false))
        .with("db:db_0", seen("1", false))
        .with("db:db_1", seen("1", true))
        .expect(&["start db:db_0", "start web when db:db_0, db:db_1 are ready"]);
}

#[test]
fn what_is_settled_is_left_alone() {
    check(vec![slot("a")])
        .with("a", seen("1", true))
        .expect(&[]);
    let refused = Seen {
        refused: "1".into(),
        ..seen("0", true)
    };
    check(vec![slot("a")])
        .with("a", refused.clone())
        .expect(&[]);
    check(vec![slot("a")])
        .with("a", refused)
        .on(Intent::Update)
        .expect(&["define a", "restart a"]);
    let stopped = Slot {
        up: false,
        ..slot("a")
    };
    check(vec![stopped.clone()])
        .with("a", seen("1", false))
        .on(Intent::Update)
        .expect(&[]);
    check(vec![stopped])
        .with("a", seen("1", true))
        .expect(&["stop a"]);
}

#[test]
fn an_update_touches_what_changed_only() {
    let changed = Slot {
        hash: "2".into(),
        ..slot("b")
    };
    let down = Slot {
        hash: "2".into(),
        up: false,
        ..slot("c")
    };
    check(vec![slot("a"), changed, down])
        .with("a", seen("1", true))
        .with("b", seen("1", true))
        .with("c", seen("1", false))
        .with("old", seen("1", true))
        .listening("127.0.0.1:1")
        .on(Intent::Update)
        .expect(&[
            "stop old",
            "define b",
            "restart b",
            "define c",
            "remove old",
            "close 127.0.0.1:1",
        ]);
}

#[test]
fn a_reload_replaces_what_runs() {
    let down = Slot {
        up: false,
        ..slot("b")
    };
    check(vec![slot("a"), down])
        .with("a", seen("1", true))
        .with("b", seen("1", false))
        .on(Intent::Replace)
        .expect(&["define a", "restart a"]);
}

#[test]
fn a_lost_keeper_is_replaced() {
    let lost = Seen {
        kept: false,
        ..seen("1", true)
    };
    check(vec![slot("a")])
        .with("a", lost)
        .expect(&["make a place for a", "define a", "start a"]);
}

#[test]
fn stops_go_in_reverse() {
    let down = |name: &str, priority| Slot {
        up: false,
        group_priority: priority,
        ..slot(name)
    };
    let web = Slot {
        depends_on: vec!["db".into()],
        ..down("web", 1)
    };
    check(vec![down("a", 1), down("z", 5), web, down("db", 9)])
        .with("a", seen("1", true))
        .with("z", seen("1", true))
        .with("web", seen("1", true))
        .with("db", seen("1", true))
        .expect(&["stop web", "stop db when web is down", "stop z", "stop a"]);
}

#[test]
fn a_shutdown_goes_gateway_first_then_by_priority_dependants_before() {
    let at = |name: &str, priority| Slot {
        group_priority: priority,
        ..slot(name)
    };
    let web = Slot {
        depends_on: vec!["db".into()],
        ..at("web", 1)
    };
    let gateway = Slot {
        first: true,
        ..at("steadfast:gateway", 0)
    };
    let waves = shutdown_waves(&[
        at("a", 1),
        gateway,
        at("x", 5),
        at("y", 5),
        web,
        at("db", 9),
    ]);
    let names: Vec<Vec<String>> = waves
        .iter()
        .map(|wave| wave.iter().map(Key::to_string).collect())
        .collect();
    assert_eq!(
        names,
        [
            vec!["steadfast:gateway"],
            vec!["y", "x"],
            vec!["web", "a"],
            vec!["db"]
        ]
    );
}

/// Does what steps say, and complains about a step that could not be done.
#[derive(Default)]
struct World {
    observed: Observed,
    hashes: BTreeMap<Key, String>,
}

impl World {
    fn apply(&mut self, desired: &Desired, steps: &[Step]) {
        let defined: BTreeMap<&Key, &Slot> =
            desired.slots.iter().map(|slot| (&slot.key, slot)).collect();
        for step in steps {
            match step {
                Step::Bind { listener } => assert!(
                    self.observed.listeners.insert(listener.clone()),
                    "bound twice: {listener}"
                ),
                Step::Drop { listener } => assert!(
                    self.observed.listeners.remove(listener),
                    "not bound: {listener}"
                ),
                Step::Spawn { slot } => {
                    let old = self.observed.slots.insert(
                        slot.clone(),
                        Seen {
                            kept: true,
                            ..Seen::default()
                        },
                    );
                    assert!(old.is_none_or(|old| !old.kept), "two keepers: {slot}");
                }
                Step::Install { slot } => {
                    let definition = defined[slot];
                    for listener in &definition.listeners {
                        assert!(
                            self.observed.listeners.contains(listener),
                            "{slot} without {listener}"
                        );
                    }
                    self.hashes.insert(slot.clone(), definition.hash.clone());
                    let seen = self.kept(slot);
                    if !seen.wanted {
                        seen.hash = definition.hash.clone();
                    }
                }
                Step::Start { slot, .. } | Step::Restart { slot, .. } => {
                    let hash = self
                        .hashes
                        .get(slot)
                        .cloned()
                        .unwrap_or_else(|| self.kept(slot).hash.clone());
                    let seen = self.kept(slot);
                    (seen.hash, seen.wanted) = (hash, true);
                    if matches!(step, Step::Restart { .. }) {
                        seen.refused.clear();
                    }
                }
                Step::Stop { slot, .. } => {
                    let seen = self.kept(slot);
                    assert!(seen.wanted, "stopped twice: {slot}");
                    seen.wanted = false;
                }
                Step::Remove { slot } => {
                    let seen = self.observed.slots.remove(slot).expect("was there");
                    assert!(!seen.kept || !seen.wanted, "removed while it runs: {slot}");
                }
            }
        }
    }

    fn kept(&mut self, slot: &Key) -> &mut Seen {
        let seen = self.observed.slots.get_mut(slot).expect("has a place");
        assert!(seen.kept, "no keeper: {slot}");
        seen
    }
}

fn any_desired() -> impl Strategy<Value = Desired> {
    let one = (
        0..8usize,
        0..3u8,
        any::<bool>(),
        0..3i64,
        0..3i64,
        any::<u8>(),
        0..4u8,
    );
    proptest::collection::vec(one, 0..8).prop_map(|rows| {
        let mut slots: BTreeMap<usize, Slot> = BTreeMap::new();
        for (name, hash, up, group_priority, priority, needs, address) in rows {
            // A program depends only on programs with a smaller number: no cycles.
            let depends_on = (0..name)
                .filter(|other| needs & (1 << other) != 0)
                .map(|other| format!("p{other}x"))
                .collect();
            let listeners = if address == 0 {
                Vec::new()
            } else {
                vec![format!("127.0.0.1:{address}")]
            };
            let base = slot(&format!("g{}:p{name}x", name / 2));
            let first = name == 0;
            slots.insert(
                name,
                Slot {
                    hash: hash.to_string(),
                    up,
                    group_priority,
                    priority,
                    depends_on,
                    listeners,
                    first,
                    ..base
                },
            );
        }
        Desired {
            slots: slots.into_values().collect(),
        }
    })
}

fn any_observed() -> impl Strategy<Value = Observed> {
    let one = (0..10usize, any::<bool>(), 0..3u8, 0..4u8, any::<bool>());
    let listeners = proptest::collection::btree_set(1..6u8, 0..4);
    (proptest::collection::vec(one, 0..8), listeners).prop_map(|(rows, listeners)| Observed {
        slots: rows
            .into_iter()
            .map(|(name, kept, hash, refused, wanted)| {
                let refused = if refused == 3 {
                    String::new()
                } else {
                    refused.to_string()
                };
                (
                    slot(&format!("g{}:p{name}x", name / 2)).key,
                    Seen {
                        kept,
                        hash: hash.to_string(),
                        refused,
                        wanted,
                    },
                )
            })
            .collect(),
        listeners: listeners
            .into_iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect(),
    })
}

fn any_intent() -> impl Strategy<Value = Intent> {
    prop_oneof![
        Just(Intent::Settle),
        Just(Intent::Update),
        Just(Intent::Replace)
    ]
}

/// Where each slot's first start, restart or install stands among the steps.
fn positions(steps: &[Step], wanted: impl Fn(&Step) -> bool) -> BTreeMap<Key, usize> {
    let mut at = BTreeMap::new();
    for (index, step) in steps.iter().enumerate().filter(|(_, step)| wanted(step)) {
        if let Some(slot) = step.slot() {
            at.entry(slot.clone()).or_insert(index);
        }
    }
    at
}

proptest! {
    #[test]
    fn any_plan_reaches_what_is_desired_and_then_rests(desired in any_desired(), observed in any_observed(), intent in any_intent()) {
        let steps = reconcile(&desired, &observed, intent);
        let mut world = World { observed: observed.clone(), hashes: BTreeMap::new() };
        world.apply(&desired, &steps);
        for slot in &desired.slots {
            let seen = &world.observed.slots[&slot.key];
            prop_assert!(seen.kept);
            prop_assert_eq!(seen.wanted, slot.up, "{}", slot.key);
            prop_assert!(seen.hash == slot.hash || (intent == Intent::Settle && seen.refused == slot.hash) || !slot.up);
        }
        prop_assert_eq!(world.observed.slots.len(), desired.slots.len());
        let used: BTreeSet<&String> = desired.slots.iter().flat_map(|slot| &slot.listeners).collect();
        prop_assert!(world.observed.listeners.iter().all(|listener| used.contains(listener)));
        let again = reconcile(&desired, &world.observed, if intent == Intent::Replace { Intent::Update } else { intent });
        let only_definitions = again.iter().all(|step| matches!(step, Step::Install { .. } | Step::Bind { .. }));
        prop_assert!(only_definitions, "{:?}", again);
        world.apply(&desired, &again);
        prop_assert_eq!(reconcile(&desired, &world.observed, Intent::Settle), vec![]);
    }

    #[test]
    fn no_step_touches_a_slot_that_is_so_already(desired in any_desired(), observed in any_observed()) {
        for intent in [Intent::Settle, Intent::Update] {
            for step in reconcile(&desired, &observed, intent) {
                if let Step::Restart { slot, .. } = &step {
                    let wanted = desired.slots.iter().find(|wanted| wanted.key == *slot).expect("desired");
                    prop_assert_ne!(&observed.slots[slot].hash, &wanted.hash);
                }
            }
        }
    }

    #[test]
    fn order_holds(desired in any_desired(), observed in any_observed(), intent in any_intent()) {
        let steps = reconcile(&desired, &observed, intent);
        let begun = positions(&steps, |step| matches!(step, Step::Spawn { .. } | Step::Start { .. } | Step::Restart { .. }));
        let stopped = positions(&steps, |step| matches!(step, Step::Stop { .. }));
        for slot in &desired.slots {
            for other in desired.slots.iter().filter(|other| slot.depends_on.contains(&other.program)) {
                if let (Some(own), Some(theirs)) = (begun.get(&slot.key), begun.get(&other.key)) {
                    prop_assert!(theirs < own, "{} starts before {}", slot.key, other.key);
                }
                if let (Some(own), Some(theirs)) = (stopped.get(&slot.key), stopped.get(&other.key)) {
                    prop_assert!(own < theirs, "{} stops behind {}", slot.key, other.key);
                }
            }
        }
        let order = start_order(&desired.slots);
        prop_assert_eq!(order.len(), desired.slots.len());
        if let Some(at) = order.iter().position(|slot| slot.first) {
            prop_assert_eq!(at, 0);
        }
        for pair in order.windows(2) {
            let free = pair[1].depends_on.is_empty() && pair[0].depends_on.is_empty();
            let rank = |slot: &Slot| (!slot.first, slot.group_priority);
            prop_assert!(!free || rank(pair[0]) <= rank(pair[1]));
        }
    }

    #[test]
    fn a_shutdown_stops_each_slot_once(desired in any_desired()) {
        let waves = shutdown_waves(&desired.slots);
        let mut down = BTreeSet::new();
        for wave in &waves {
            for key in wave {
                let slot = desired.slots.iter().find(|slot| slot.key == *key).expect("known");
                for other in desired.slots.iter().filter(|other| other.depends_on.contains(&slot.program)) {
                    prop_assert!(down.contains(&other.key), "{} stops before {}", key, other.key);
                }
            }
            for key in wave {
                prop_assert!(down.insert(key.clone()), "{} stops twice", key);
            }
        }
        prop_assert_eq!(down.len(), desired.slots.len());
    }
}
