//! Random event sequences: whatever comes, in whatever order, what the machine does and says stays true.
//!
//! [`World`] keeps its own book of processes, commands and answers and compares after every event; here are the steps
//! and the two ends: left in peace everything comes to rest with every operation answered, and a stop ends all of it.
#![allow(missing_docs)]

mod world;

use process::Event;
use proptest::prelude::*;
use std::rc::Rc;
use wire::{Autorestart, Ready, Replace, Spec};
use world::{Asked, World};

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
    /// So much later the death is seen before the timers that came meanwhile.
    LateExit(usize, i32, u64),
    SpawnsFail(u8),
    /// Something is heard of a process that is dead.
    Ghost(usize, u8),
    Pass(u64),
    Answered,
    NoRestarts,
}

fn step() -> impl Strategy<Value = Step> {
    let exit = || prop_oneof![Just(0), Just(1), Just(-9)];
    let mode = prop_oneof![
        Just(None),
        Just(Some(Replace::Hold)),
        Just(Some(Replace::Overlap))
    ];
    prop_oneof![
        8 => Just(Step::Start),
        8 => any::<bool>().prop_map(Step::Stop),
        12 => mode.prop_map(Step::Restart),
        8 => (0..VARIANTS).prop_map(Step::Install),
        12 => (0..2usize).prop_map(Step::Ready),
        8 => (0..2usize).prop_map(Step::CheckFails),
        6 => (0..2usize).prop_map(Step::Drained),
        12 => ((0..2usize), exit()).prop_map(|(which, exit)| Step::Exit(which, exit)),
        3 => ((0..2usize), exit(), 0..20_000u64).prop_map(|(which, exit, ms)| Step::LateExit(which, exit, ms)),
        3 => (1..4u8).prop_map(Step::SpawnsFail),
        3 => (any::<usize>(), any::<u8>()).prop_map(|(which, what)| Step::Ghost(which, what)),
        12 => prop_oneof![0..2_000u64, 0..20_000u64, 0..100_000u64].prop_map(Step::Pass),
        4 => Just(Step::Answered),
        1 => Just(Step::NoRestarts),
    ]
}

const VARIANTS: u8 = 12;

fn spec(variant: u8) -> Rc<Spec> {
    let plain = Spec {
        hash: variant.to_string(),
        start_secs: 1,
        start_retries: 2,
        exit_codes: vec![0],
        stop_signal: 15,
        stop_wait_ms: 3_000,
        ready_timeout_ms: 8_000,
        drain_timeout_ms: 2_000,
        restart_window_ms: 5_000,
        gated: variant.is_multiple_of(2),
        replace: Replace::Overlap,
        unhealthy_after: 2,
        ..Spec::default()
    };
    Rc::new(match variant {
        0 => Spec {
            ready: Ready::Tcp {},
            ..plain
        },
        1 => Spec {
            ready: Ready::Tcp {},
            replace: Replace::Hold,
            ..plain
        },
        2 => plain,
        3 => Spec {
            autorestart: Autorestart::Always,
            start_secs: 0,
            ..plain
        },
        4 => Spec {
            ready: Ready::Connect {},
            start_secs: 5,
            ..plain
        },
        // It lives longer before it is RUNNING than anything may take to get ready.
        5 => Spec {
            ready: Ready::Connect {},
            start_secs: 20,
            keepalive_ms: 500,
            ..plain
        },
        6 => Spec {
            start_secs: 20,
            keepalive_ms: 500,
            ..plain
        },
        7 => Spec {
            ready: Ready::Tcp {},
            retry_fatal: true,
            start_retries: 0,
            ..plain
        },
        8 => Spec {
            oneshot: true,
            start_secs: 0,
            autorestart: Autorestart::Never,
            ready_timeout_ms: u64::MAX,
            ..plain
        },
        9 => Spec {
            oneshot: true,
            autorestart: Autorestart::Never,
            start_retries: 0,
            ..plain
        },
        10 => Spec {
            ready: Ready::Tcp {},
            restart_delay_ms: 4_000,
            autorestart: Autorestart::Always,
            ..plain
        },
        // Every wait without an end.
        _ => Spec {
            ready: Ready::Connect {},
            start_secs: 0,
            stop_wait_ms: u64::MAX,
            ready_timeout_ms: u64::MAX,
            drain_timeout_ms: u64::MAX,
            restart_window_ms: u64::MAX - 1,
            gated: true,
            ..plain
        },
    })
}

fn step_into(world: &mut World, step: Step) {
    match step {
        Step::Start => world.start(),
        Step::Stop(window) => world.stop(window),
        Step::Restart(mode) => world.restart(mode),
        Step::Install(variant) => world.on(Event::Install(spec(variant))),
        Step::Ready(which) => {
            if let Some((generation, _)) = world.at(which) {
                world.on(Event::CheckPassed { generation });
            }
        }
        Step::CheckFails(which) => {
            if let Some((generation, _)) = world.at(which) {
                world.on(Event::CheckFailed {
                    generation,
                    answer: "no".into(),
                });
            }
        }
        Step::Drained(which) => {
            if let Some((generation, _)) = world.at(which) {
                world.on(Event::Drained { generation });
            }
        }
        Step::Exit(which, exit) => {
            if let Some((_, pid)) = world.at(which) {
                world.dies(pid, exit);
            }
        }
        Step::LateExit(which, exit, ms) => {
            if let Some((_, pid)) = world.at(which) {
                world.now += ms;
                world.dies(pid, exit);
                world.pass(0);
            }
        }
        Step::SpawnsFail(count) => world.fails = count,
        Step::Ghost(which, what) => world.ghost(which, what),
        Step::Pass(ms) => world.pass(ms),
        Step::Answered => world.on(Event::StopAnswered),
        Step::NoRestarts => world.no_restarts(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_order_of_events(steps in prop::collection::vec(step(), 1..60), in_peace in any::<bool>()) {
        let mut world = World::new();
        world.on(Event::Install(spec(0)));
        for step in steps {
            step_into(&mut world, step);
        }
        match in_peace {
            true => world.left_in_peace(),
            false => world.left_to_its_troubles(),
        }
        world.stop(false);
        world.obeys_until_all_is_over();
    }
}

#[test]
#[should_panic(expected = "what it stopped lives")]
fn a_stop_that_is_said_to_be_done_too_early_is_seen() {
    let mut world = World::new();
    world.on(Event::Install(spec(0)));
    world.start();
    world.asked.insert(99, Asked::stop(world.live.clone()));
    world.answered(99, wire::Outcome::Done);
}
