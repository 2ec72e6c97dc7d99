//! Two generations at a time, and what becomes of a replacement that fails.

use crate::world::{check, http, overlap, spec};
use process::Event;
use wire::{Outcome, Phase, Ready, Replace, Spec, State};

#[test]
fn overlap_switches_when_ready_then_drains_and_stops_the_old_one() {
    let mut world = overlap();
    world
        .restart(2)
        .spawns(2)
        .state(State::Running, Phase::Ready);
    assert_eq!(world.slot.fact().pid, 101);
    world
        .ready()
        .answered(2, Outcome::Done)
        .state(State::Running, Phase::Ready);
    let fact = world.slot.fact();
    assert_eq!(
        (
            fact.pid,
            fact.leaving.unwrap().generation,
            world.drains.as_slice()
        ),
        (102, 1, &[1][..])
    );
    world.on(Event::Drained { generation: 1 });
    assert_eq!(world.signals, [(101, 15)]);
    world.pid_exits(101, 0).state(State::Running, Phase::Ready);
    assert_eq!(world.slot.fact().leaving, None);
    assert!(!world.states.contains(&State::Exited));
}

#[test]
fn a_broken_replacement_leaves_the_old_one_in_service() {
    let mut world = overlap();
    world
        .install("b", |_| {})
        .restart(2)
        .exits(1)
        .answered(2, Outcome::Abnormal)
        .state(State::Running, Phase::Ready);
    let fact = world.slot.fact();
    assert_eq!(
        (
            fact.pid,
            fact.spec_hash.as_str(),
            fact.refused_hash.as_str()
        ),
        (101, "a", "b")
    );
    world.pass(600_000).spawns(2);
    world.pid_exits(101, -9);
    assert_eq!(
        world.spawned.last().unwrap().2,
        "a",
        "a crash restarts what ran, not what was refused"
    );
}

#[test]
fn a_replacement_that_is_never_ready_is_stopped() {
    let mut world = overlap();
    world.restart(2).pass(60_000).answered(2, Outcome::Abnormal);
    assert_eq!(world.signals, [(102, 15)]);
    world.exits(0).state(State::Running, Phase::Ready);
    assert_eq!(world.slot.fact().pid, 101);
}

#[test]
fn the_same_restart_is_already_so_and_a_newer_spec_takes_its_place() {
    let mut world = overlap();
    world
        .install("b", |_| {})
        .restart(2)
        .restart(3)
        .answered(3, Outcome::AlreadySo)
        .unanswered(2);
    world
        .install("c", |_| {})
        .restart(4)
        .answered(2, Outcome::Superseded)
        .unanswered(4);
    assert_eq!(world.signals, [(102, 15)]);
    world.exits(0).spawns(3).ready().answered(4, Outcome::Done);
    assert_eq!(world.slot.fact().spec_hash, "c");
}

#[test]
fn a_stop_during_an_overlap_stops_both() {
    let mut world = overlap();
    world.restart(2).stop(3).answered(2, Outcome::Superseded);
    world.on(Event::Drained { generation: 1 });
    assert_eq!(world.signals, [(102, 15), (101, 15)]);
    world
        .pid_exits(101, 0)
        .unanswered(3)
        .pid_exits(102, 0)
        .answered(3, Outcome::Done);
    world.state(State::Stopped, Phase::Stopped);
}

#[test]
fn a_stop_is_answered_by_the_end_of_what_it_stopped_whatever_was_started_since() {
    let mut world = overlap();
    world.restart(2).stop(3).answered(2, Outcome::Superseded);
    world.on(Event::Drained { generation: 1 });
    world.pid_exits(101, 0).start(4).spawns(3).unanswered(3);
    world.pid_exits(102, 0).answered(3, Outcome::Done);
    world.ready().answered(4, Outcome::Done);
}

#[test]
fn a_stop_takes_back_a_restart_that_waits_for_the_one_that_leaves() {
    let mut world = overlap();
    world.restart(2).ready().restart(3).pid_exits(102, 1);
    world.stop(4).answered(3, Outcome::Superseded).unanswered(4);
    world.pid_exits(101, 0).answered(4, Outcome::Done).spawns(2);
    world.pass(60_000).spawns(2);
}

#[test]
fn the_old_one_dies_during_an_overlap_it_becomes_a_hold_and_falls_back_if_that_fails() {
    let mut world = overlap();
    world
        .install("b", |_| {})
        .restart(2)
        .pid_exits(101, -9)
        .state(State::Starting, Phase::Starting)
        .spawns(2);
    world
        .pid_exits(102, 1)
        .answered(2, Outcome::Abnormal)
        .spawns(3);
    assert_eq!(world.spawned.last().unwrap().2, "a");
    world.ready().state(State::Running, Phase::Ready);
    assert_eq!(world.slot.fact().refused_hash, "b");
}

#[test]
fn a_restart_while_the_old_generation_leaves_waits_for_it() {
    let mut world = overlap();
    world
        .restart(2)
        .ready()
        .answered(2, Outcome::Done)
        .restart(3)
        .spawns(2)
        .unanswered(3);
    assert_eq!(world.signals, [(101, 15)]);
    world
        .pid_exits(101, 0)
        .spawns(3)
        .ready()
        .answered(3, Outcome::Done);
}

#[test]
fn ready_but_not_running_yet_its_death_makes_its_replacement_a_hold() {
    let mut world = check(Spec {
        ready: Ready::Connect {},
        start_secs: 10,
        replace: Replace::Overlap,
        ..spec()
    });
    world.start(1).ready();
    let first = world.last_pid();
    world.install("b", |_| {}).restart(2).spawns(2);
    world.pid_exits(first, 1).unanswered(2).ready().pass(10_000);
    world
        .state(State::Running, Phase::Ready)
        .answered(2, Outcome::Done)
        .spawns(2);
}

#[test]
fn what_a_hold_would_have_fallen_back_to_is_forgotten_with_a_stop() {
    let mut world = overlap();
    let first = world.last_pid();
    world.install("b", |_| {}).restart(2).pid_exits(first, 1);
    world.stop(3).exits(-15).answered(3, Outcome::Done);
    world
        .install("c", |_| {})
        .start(4)
        .exits(1)
        .answered(4, Outcome::Abnormal);
    world.state(State::Backoff, Phase::Restarting);
    assert_eq!(
        world.spawned.last().unwrap().2,
        "c",
        "never back to the first definition"
    );
}

#[test]
fn a_refused_replacement_that_still_dies_is_not_the_same_replacement() {
    let mut world = overlap();
    world
        .install("b", |_| {})
        .restart(2)
        .pass(60_000)
        .answered(2, Outcome::Abnormal);
    world.restart(3).unanswered(3);
    let second = world.last_pid();
    world
        .pid_exits(second, -15)
        .spawns(3)
        .ready()
        .answered(3, Outcome::Done);
}

#[test]
fn a_stop_waits_for_the_one_that_leaves_also_when_the_current_one_is_down() {
    let mut world = check(Spec {
        autorestart: wire::Autorestart::Never,
        replace: Replace::Overlap,
        ready: http(),
        ..spec()
    });
    world.start(1).ready();
    let first = world.last_pid();
    world
        .restart(2)
        .ready()
        .exits(0)
        .state(State::Exited, Phase::Exited);
    world
        .stop(3)
        .unanswered(3)
        .pid_exits(first, -15)
        .answered(3, Outcome::Done);
}

#[test]
fn a_refused_replacement_is_no_restart() {
    let mut world = overlap();
    world.install("b", |_| {}).restart(2).exits(1);
    assert_eq!(
        (
            world.slot.fact().restarts,
            world.slot.fact().operator_restarts
        ),
        (0, 0)
    );
    world.install("c", |_| {}).restart(3).ready();
    assert_eq!(
        (
            world.slot.fact().restarts,
            world.slot.fact().operator_restarts
        ),
        (1, 1)
    );
}

#[test]
fn a_crash_beside_a_refused_replacement_stays_in_its_generation() {
    let mut world = check(Spec {
        autorestart: wire::Autorestart::Always,
        start_secs: 0,
        replace: Replace::Overlap,
        ..spec()
    });
    world.start(1);
    let first = world.last_pid();
    world.install("b", |spec| spec.ready = http()).restart(2);
    world.exits(1).answered(2, Outcome::Abnormal);
    world
        .pid_exits(first, 1)
        .state(State::Exited, Phase::Restarting);
    let fact = world.slot.fact();
    assert_eq!((fact.generation, fact.spec_hash.as_str()), (1, "a"));
    world.pass(3_000).spawns(3);
    assert_eq!((world.spawned[2].0, world.spawned[2].2.as_str()), (1, "a"));
}

#[test]
fn what_a_refused_replacement_still_says_is_not_the_current_one_s() {
    let mut world = check(Spec {
        ready: http(),
        ready_timeout_ms: 3_000,
        restart_delay_ms: 1,
        replace: Replace::Overlap,
        ..spec()
    });
    world.start(1).ready();
    let first = world.last_pid();
    world.install("b", |_| {}).restart(2).pass(3_000);
    world.answered(2, Outcome::Abnormal);
    world.pid_exits(first, 1).pass(1).spawns(3);
    world.on(Event::CheckPassed { generation: 2 });
    world.state(State::Starting, Phase::Starting);
    world.on(Event::CheckPassed { generation: 1 });
    world.state(State::Running, Phase::Ready);
}

#[test]
fn a_definition_that_was_refused_and_then_came_up_is_not_refused() {
    let mut world = overlap();
    world.install("b", |_| {}).restart(2).exits(1);
    assert_eq!(world.slot.fact().refused_hash, "b");
    let mode = Some(Replace::Hold);
    let cause = crate::world::operator();
    world.on(Event::Restart { op: 3, cause, mode });
    world.on(Event::Drained { generation: 1 });
    world.pid_exits(101, 0).ready().answered(3, Outcome::Done);
    assert_eq!(world.slot.fact().refused_hash, "");
}

#[test]
fn whoever_waits_for_running_has_it_with_the_replacement() {
    let mut world = check(Spec {
        ready: Ready::Connect {},
        start_secs: 10,
        replace: Replace::Overlap,
        ..spec()
    });
    world.start(1).ready().unanswered(1);
    world.install("b", |_| {}).restart(2).spawns(2).ready();
    world.answered(2, Outcome::Done).answered(1, Outcome::Done);
    world.state(State::Running, Phase::Ready);
    assert_eq!(world.states, [State::Starting, State::Running]);
}

#[test]
fn a_replacement_that_took_the_place_of_a_dead_one_is_a_restart() {
    let mut world = check(Spec {
        ready: Ready::Connect {},
        replace: Replace::Overlap,
        ..spec()
    });
    world.start(1).ready().pass(1_000);
    let first = world.last_pid();
    world.install("b", |_| {}).restart(2).pass(2_000);
    world.pid_exits(first, 1);
    world.state(State::Running, Phase::Starting);
    assert_eq!(
        world.states[2..],
        [State::Exited, State::Starting, State::Running],
        "it has lived for startsecs"
    );
    let fact = world.slot.fact();
    assert_eq!((fact.restarts, fact.operator_restarts), (1, 1));
    assert_eq!((fact.exit_status, fact.spawn_error.as_str()), (0, ""));
}

/// "b" became a hold because "a" died, and came up without a listener: back to "a" it never goes.
#[test]
fn there_is_no_way_back_once_it_is_up_though_nothing_listens() {
    let mut world = check(Spec {
        ready: Ready::Connect {},
        ready_timeout_ms: 3_000,
        replace: Replace::Overlap,
        ..spec()
    });
    world.start(1).ready().pass(1_000);
    let first = world.last_pid();
    world.install("b", |_| {}).restart(2);
    world
        .pid_exits(first, 1)
        .pass(3_000)
        .answered(2, Outcome::Done);
    world.pass(3_000).exits(1).spawns(3).exits(1);
    world.state(State::Backoff, Phase::Restarting);
    assert_eq!(world.spawned.last().unwrap().2, "b");
}

#[test]
fn there_is_no_way_back_after_another_start() {
    let mut world = check(Spec {
        ready: Ready::Connect {},
        replace: Replace::Overlap,
        exit_codes: vec![0],
        autorestart: wire::Autorestart::Unexpected,
        ..spec()
    });
    world.start(1).ready().pass(1_000);
    let first = world.last_pid();
    world.install("b", |_| {}).restart(2);
    world.pid_exits(first, 1).pass(2_000).exits(0);
    world
        .state(State::Exited, Phase::Exited)
        .install("c", |_| {});
    world
        .start(3)
        .exits(1)
        .state(State::Backoff, Phase::Restarting);
    assert_eq!(world.spawned.last().unwrap().2, "c");
}

#[test]
fn a_restart_that_waits_is_not_lost_with_one_that_is_unhealthy() {
    let mut world = check(Spec {
        ready: http(),
        unhealthy_after: 1,
        replace: Replace::Overlap,
        ..spec()
    });
    world.start(1).ready();
    let first = world.last_pid();
    world.restart(2).ready().install("b", |_| {}).restart(3);
    world.on(Event::CheckFailed {
        generation: 2,
        answer: "timeout".into(),
    });
    world.pid_exits(first, -15).unanswered(3).exits(-15);
    assert_eq!(world.spawned.last().unwrap().2, "b");
    world.ready().answered(3, Outcome::Done);
}

#[test]
fn a_restart_that_waits_is_one_with_a_newer_that_does_not() {
    let mut world = overlap();
    world.restart(2).ready().restart(3).pid_exits(102, 1);
    world.on(Event::SpawnFailed {
        generation: 2,
        text: "late".into(),
    });
    world.restart(4).pid_exits(101, 0).ready();
    world.answered(3, Outcome::Done).answered(4, Outcome::Done);
    let count = world.spawned.len();
    world.pass(600_000).spawns(count);
}

#[test]
fn what_runs_to_its_end_takes_over_from_nobody() {
    let mut world = overlap();
    world.install("b", |spec| {
        spec.oneshot = true;
        spec.start_secs = 0;
        spec.ready_timeout_ms = u64::MAX;
        spec.autorestart = wire::Autorestart::Never;
    });
    world
        .restart(2)
        .spawns(1)
        .on(Event::Drained { generation: 1 });
    world.pid_exits(101, 0).spawns(2).exits(0);
    world
        .answered(2, Outcome::Done)
        .state(State::Exited, Phase::Exited);
}
