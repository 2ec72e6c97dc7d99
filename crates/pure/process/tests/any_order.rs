//! Random event sequences: whatever comes, the bounds hold and every operation is answered once.
#![allow(missing_docs)]

use process::{Effect, Event, Now, Slot, handle};
use proptest::prelude::*;
use std::collections::HashMap;
use std::rc::Rc;
use wire::{Cause, Ready, Replace, Spec};

#[derive(Debug, Clone)]
enum Step {
    Start,
    Stop(bool),
    Restart(Option<Replace>),
    Install(u8),
    Ready(usize),
    CheckFails(usize),
    Drained(usize),
    Exit(usize, i32),
    Pass(u64),
    Answered,
    NoRestarts,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Start),
        any::<bool>().prop_map(Step::Stop),
        prop_oneof![
            Just(None),
            Just(Some(Replace::Hold)),
            Just(Some(Replace::Overlap))
        ]
        .prop_map(Step::Restart),
        (0..5u8).prop_map(Step::Install),
        (0..3usize).prop_map(Step::Ready),
        (0..3usize).prop_map(Step::CheckFails),
        (0..3usize).prop_map(Step::Drained),
        ((0..3usize), prop_oneof![Just(0), Just(1), Just(-9)])
            .prop_map(|(which, exit)| Step::Exit(which, exit)),
        (0..20_000u64).prop_map(Step::Pass),
        Just(Step::Answered),
        any::<bool>().prop_map(|rare| if rare {
            Step::NoRestarts
        } else {
            Step::Pass(1)
        }),
    ]
}

fn spec(variant: u8) -> Rc<Spec> {
    Rc::new(Spec {
        hash: variant.to_string(),
        start_secs: if variant == 4 { 5 } else { 1 },
        start_retries: 2,
        stop_signal: 15,
        stop_wait_ms: 3_000,
        ready_timeout_ms: 8_000,
        drain_timeout_ms: 2_000,
        gated: variant.is_multiple_of(2),
        ready: match variant {
            0 | 1 => Ready::Tcp {},
            4 => Ready::Connect {},
            _ => Ready::Lived {},
        },
        replace: if variant == 1 {
            Replace::Hold
        } else {
            Replace::Overlap
        },
        unhealthy_after: 2,
        ..Spec::default()
    })
}

struct World {
    slot: Slot,
    now: u64,
    pid: i32,
    live: Vec<(u64, i32)>,
    signalled: Vec<(i32, i32)>,
    open: HashMap<u64, u32>,
}

impl World {
    fn on(&mut self, event: Event) {
        let mut queue = vec![event];
        while let Some(event) = queue.pop() {
            for effect in handle(
                &mut self.slot,
                event,
                Now {
                    mono_ms: self.now,
                    wall_ms: self.now,
                },
            ) {
                match effect {
                    Effect::Spawn { generation, .. } => {
                        self.pid += 1;
                        self.live.push((generation, self.pid));
                        assert!(
                            self.live.len() <= 3,
                            "more than two generations and one that ends: {:?}",
                            self.live
                        );
                        queue.push(Event::Spawned {
                            generation,
                            pid: self.pid,
                        });
                    }
                    Effect::Signal { pid, signal, .. } => {
                        assert!(
                            self.live.iter().any(|(_, live)| *live == pid),
                            "signal to a dead pid"
                        );
                        self.signalled.push((pid, signal));
                    }
                    Effect::Answer { op, .. } => *self.open.entry(op).or_default() += 1,
                    Effect::Check { .. }
                    | Effect::EndChecks { .. }
                    | Effect::Drain { .. }
                    | Effect::Sweep { .. }
                    | Effect::Record(_) => {}
                }
            }
        }
        assert!(
            self.slot
                .pids()
                .iter()
                .all(|pid| self.live.iter().any(|(_, live)| live == pid)),
            "a pid that is dead"
        );
        let fact = self.slot.fact();
        assert!(
            fact.next_pid == 0
                || fact.pid > 0
                || self.signalled.iter().any(|(pid, _)| *pid == fact.next_pid),
            "a replacement that goes on beside nothing"
        );
        assert!(
            self.live
                .iter()
                .all(|(_, pid)| self.slot.pids().contains(pid)),
            "a process that nobody keeps"
        );
    }
    fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        let mut turns = 0;
        while let Some(at) = self.slot.next_timer().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.on(Event::Tick);
            turns += 1;
            assert!(turns < 10_000, "a timer that is due again and again");
        }
        self.now = end;
    }
    /// Every process that got SIGKILL dies; then those with a stop signal.
    fn obey(&mut self) {
        while let Some((pid, _)) = self.signalled.pop() {
            if let Some(at) = self.live.iter().position(|(_, live)| *live == pid) {
                self.live.remove(at);
                self.on(Event::Exited {
                    pid,
                    exit: 0,
                    oom: false,
                });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_order_of_events(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World { slot: Slot::new(1), now: 1_000, pid: 10, live: vec![], signalled: vec![], open: HashMap::new() };
        world.on(Event::Install(spec(0)));
        let mut op = 0;
        for step in steps {
            let cause = Cause::default();
            let at = |world: &World, which: usize| world.live.get(which).copied();
            match step {
                Step::Start => { op += 1; world.open.insert(op, 0); world.on(Event::Start { op, cause }); }
                Step::Stop(window) => { op += 1; world.open.insert(op, 0); world.on(Event::Stop { op, cause, window }); }
                Step::Restart(mode) => { op += 1; world.open.insert(op, 0); world.on(Event::Restart { op, cause, mode }); }
                Step::Install(variant) => world.on(Event::Install(spec(variant))),
                Step::Ready(which) => if let Some((generation, _)) = at(&world, which) { world.on(Event::CheckPassed { generation }) },
                Step::CheckFails(which) => if let Some((generation, _)) = at(&world, which) {
                    world.on(Event::CheckFailed { generation, answer: "no".into() });
                },
                Step::Drained(which) => if let Some((generation, _)) = at(&world, which) { world.on(Event::Drained { generation }) },
                Step::Exit(which, exit) => if let Some((_, pid)) = at(&world, which) {
                    world.live.remove(which);
                    world.on(Event::Exited { pid, exit, oom: false });
                },
                Step::Pass(ms) => world.pass(ms),
                Step::Answered => world.on(Event::StopAnswered),
                Step::NoRestarts => world.on(Event::NoRestarts),
            }
        }
        // Quiet end: a stop, everything obeys its signals, nothing is left.
        op += 1;
        world.open.insert(op, 0);
        world.on(Event::Stop { op, cause: Cause::default(), window: false });
        for _ in 0..20 {
            world.obey();
            world.pass(5_000);
        }
        prop_assert!(world.live.is_empty(), "left over: {:?}", world.live);
        for (op, count) in &world.open {
            prop_assert_eq!(*count, 1, "operation {} was answered {} times", op, count);
        }
    }
}
