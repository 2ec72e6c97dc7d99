//! Stops, drains and the end of everything.

use crate::world::{check, http, operator, overlap, spec};
use process::{Effect, Event, Now, handle};
use wire::{Cause, Outcome, Phase, Ready, Spec, State, Why};

#[test]
fn a_stop_escalates_and_is_answered_by_the_death() {
    let mut world = check(spec());
    world
        .start(1)
        .pass(2_000)
        .stop(2)
        .state(State::Stopping, Phase::Stopped)
        .pass(9_999);
    assert_eq!(world.signals, [(101, 15)]);
    world.pass(1);
    assert_eq!(world.signals, [(101, 15), (101, 9)]);
    world
        .unanswered(2)
        .exits(-9)
        .answered(2, Outcome::Done)
        .state(State::Stopped, Phase::Stopped)
        .pass(99_000)
        .spawns(1);
    world.stop(3).answered(3, Outcome::AlreadySo);
}

#[test]
fn behind_a_gateway_it_is_drained_before_the_signal() {
    let mut world = check(Spec {
        gated: true,
        ready: Ready::Connect {},
        ..spec()
    });
    world
        .start(1)
        .ready()
        .pass(1_000)
        .answered(1, Outcome::Done)
        .restart(2)
        .state(State::Stopping, Phase::Draining);
    assert_eq!(
        (world.drains.as_slice(), world.signals.len()),
        (&[1][..], 0)
    );
    world
        .on(Event::Drained { generation: 1 })
        .state(State::Stopping, Phase::Restarting);
    assert_eq!(world.signals, [(101, 15)]);
    world
        .exits(0)
        .spawns(2)
        .unanswered(2)
        .ready()
        .pass(1_000)
        .answered(2, Outcome::Done);
    assert_eq!(world.slot.fact().generation, 2);
}

#[test]
fn a_drain_that_does_not_end_is_cut_at_its_deadline() {
    let mut world = check(Spec {
        gated: true,
        ready: Ready::Connect {},
        ..spec()
    });
    world
        .start(1)
        .ready()
        .pass(1_000)
        .stop(2)
        .state(State::Stopping, Phase::DrainingToStop)
        .pass(9_999);
    assert!(world.signals.is_empty());
    world.pass(1);
    assert_eq!(world.signals, [(101, 15)]);
}

#[test]
fn the_restart_window_begins_with_the_answer() {
    let mut world = check(spec());
    world
        .start(1)
        .pass(2_000)
        .on(Event::Stop {
            op: 2,
            cause: operator(),
            window: true,
        })
        .exits(0);
    assert_eq!(world.slot.fact().window_until_ms, u64::MAX);
    let now = world.now;
    world.on(Event::StopAnswered);
    assert_eq!(world.slot.fact().window_until_ms, now + 5_000);
    world
        .start(3)
        .spawns(2)
        .pass(1_000)
        .answered(3, Outcome::Done);
}

#[test]
fn a_start_while_it_is_being_stopped_comes_back() {
    let mut world = check(spec());
    world
        .start(1)
        .pass(2_000)
        .stop(2)
        .start(3)
        .exits(0)
        .answered(2, Outcome::Done)
        .pass(1_000)
        .answered(3, Outcome::Done);
    world.spawns(2).state(State::Running, Phase::Ready);
}

#[test]
fn a_stop_during_a_restart_wins() {
    let mut world = check(spec());
    world
        .start(1)
        .pass(2_000)
        .restart(2)
        .stop(3)
        .exits(0)
        .answered(2, Outcome::Superseded)
        .answered(3, Outcome::Done);
    world.spawns(1).state(State::Stopped, Phase::Stopped);
}

#[test]
fn shutdown_forbids_restarts() {
    let mut world = check(spec());
    world
        .start(1)
        .pass(2_000)
        .on(Event::NoRestarts)
        .exits(1)
        .pass(90_000)
        .spawns(1);
    world.start(2).answered(2, Outcome::Refused);
}

#[test]
fn how_long_it_was_away_is_told_when_it_is_back() {
    let mut world = check(Spec {
        ready: http(),
        ..spec()
    });
    world
        .start(1)
        .pass(500)
        .ready()
        .pass(5_000)
        .exits(-9)
        .pass(700);
    let mut away = 0;
    let now = Now {
        mono_ms: world.now,
        wall_ms: world.now,
    };
    for effect in handle(&mut world.slot, Event::CheckPassed { generation: 1 }, now) {
        if let Effect::Record(transition) = effect {
            away = transition.away_ms;
        }
    }
    assert_eq!(away, 700);
}

#[test]
fn shutdown_refuses_what_would_start_and_answers_everything() {
    let mut world = overlap();
    world
        .on(Event::NoRestarts)
        .restart(5)
        .answered(5, Outcome::Refused)
        .spawns(1);
    world
        .stop(6)
        .start(7)
        .answered(7, Outcome::Refused)
        .restart(8)
        .answered(8, Outcome::Refused);
    let mut world = check(Spec {
        autorestart: wire::Autorestart::Always,
        start_secs: 0,
        ..spec()
    });
    world
        .start(1)
        .exits(0)
        .state(State::Exited, Phase::Restarting);
    world
        .on(Event::NoRestarts)
        .state(State::Stopped, Phase::Stopped);
    assert_eq!(
        world.states.last(),
        Some(&State::Stopped),
        "the ledger is told"
    );
}

#[test]
fn a_stop_that_was_answered_before_the_death_has_its_window_from_the_death_on() {
    let mut world = check(spec());
    world.start(1).pass(2_000).on(Event::Stop {
        op: 2,
        cause: operator(),
        window: true,
    });
    world.on(Event::StopAnswered).pass(100);
    assert_eq!(world.slot.fact().window_until_ms, u64::MAX);
    let now = world.now;
    world.exits(-15);
    assert_eq!(world.slot.fact().window_until_ms, now + 5_000);
}

#[test]
fn a_wait_without_an_end_is_no_kill_at_once() {
    let mut world = check(Spec {
        stop_wait_ms: u64::MAX,
        drain_timeout_ms: u64::MAX,
        restart_window_ms: u64::MAX,
        gated: true,
        ..spec()
    });
    world.start(1).pass(2_000).on(Event::Stop {
        op: 2,
        cause: operator(),
        window: true,
    });
    world.on(Event::Drained { generation: 1 }).pass(600_000);
    assert_eq!(world.signals, [(101, 15)]);
    world.exits(0).on(Event::StopAnswered);
    assert!(
        world.slot.fact().window_until_ms < u64::MAX,
        "it has begun, and is no window that waits for the answer"
    );
}

#[test]
fn a_shutdown_ends_the_rest_of_what_is_fatal_and_wakes_nobody_for_it() {
    let mut world = check(Spec {
        retry_fatal: true,
        start_retries: 0,
        ..spec()
    });
    world.start(1).exits(1).state(State::Fatal, Phase::Fatal);
    world.on(Event::NoRestarts);
    assert_eq!(world.slot.next_timer(), None);
}

#[test]
fn the_answer_to_one_stop_begins_no_window_of_the_next() {
    let mut world = check(spec());
    let window = |op| Event::Stop {
        op,
        cause: operator(),
        window: true,
    };
    world.start(1).pass(2_000).on(window(2));
    world
        .on(Event::StopAnswered)
        .start(3)
        .on(window(4))
        .exits(0);
    assert_eq!(world.slot.fact().window_until_ms, u64::MAX);
}

#[test]
fn that_it_stays_down_is_told_with_the_reason_of_the_stop() {
    let mut world = check(Spec {
        ready: http(),
        unhealthy_after: 1,
        ..spec()
    });
    world.start(1).ready().on(Event::CheckFailed {
        generation: 1,
        answer: "timeout".into(),
    });
    let cause = Cause {
        why: Why::Operator,
        text: "whoever stopped it".into(),
    };
    world.on(Event::Stop {
        op: 2,
        cause: cause.clone(),
        window: false,
    });
    let now = Now {
        mono_ms: world.now,
        wall_ms: world.now,
    };
    let exited = Event::Exited {
        pid: 101,
        exit: -9,
        oom: false,
    };
    let told = handle(&mut world.slot, exited, now);
    let reason = told.into_iter().find_map(|effect| match effect {
        Effect::Record(line) => Some((line.to, line.cause)),
        _ => None,
    });
    assert_eq!(reason, Some((State::Stopped, cause)));
}
