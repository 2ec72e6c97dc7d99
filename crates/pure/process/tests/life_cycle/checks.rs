//! Readiness and health.

use crate::world::{check, http, spec};
use process::Event;
use wire::{Outcome, Phase, Ready, Spec, State};

#[test]
fn with_a_check_running_means_ready() {
    let mut world = check(Spec {
        ready: http(),
        ..spec()
    });
    world
        .start(1)
        .pass(5_000)
        .state(State::Starting, Phase::Starting)
        .unanswered(1)
        .ready();
    world
        .answered(1, Outcome::Done)
        .state(State::Running, Phase::Ready);
}

#[test]
fn not_ready_in_time_is_a_failed_start() {
    let mut world = check(Spec {
        ready: http(),
        ready_timeout_ms: 3_000,
        ..spec()
    });
    world
        .start(1)
        .pass(3_000)
        .state(State::Stopping, Phase::Restarting)
        .exits(0)
        .answered(1, Outcome::Abnormal);
    world.state(State::Backoff, Phase::Restarting);
}

#[test]
fn what_is_waited_for_is_said_with_the_last_answer() {
    let waits = |ready: Ready, answer: Option<&str>| {
        let mut world = check(Spec {
            ready,
            ready_timeout_ms: 3_000,
            ..spec()
        });
        world.start(1);
        if let Some(answer) = answer {
            world.on(Event::CheckFailed {
                generation: 1,
                answer: answer.into(),
            });
        }
        let waiting = world.slot.fact().waiting;
        world.pass(3_000).exits(0);
        let error = world.slot.fact().spawn_error;
        assert_eq!(error, format!("not ready within 3 s: {waiting}"));
        waiting
    };
    let log = || Ready::Log {
        pattern: "WONTCOME".into(),
    };
    assert_eq!(
        waits(log(), None),
        "no line of its output matched `WONTCOME`"
    );
    assert_eq!(waits(http(), Some("500 Oops")), "GET /health: 500 Oops");
    let refused = "it does not accept a token (/verify answered 401)";
    assert_eq!(waits(http(), Some(refused)), refused);
    let mut world = check(spec());
    world.start(1);
    assert_eq!(world.slot.fact().waiting, "", "nobody asked for a check");
}

#[test]
fn three_failed_checks_restart_it_and_hurry() {
    let mut world = check(Spec {
        ready: http(),
        keepalive_ms: 1_000,
        unhealthy_after: 3,
        gated: true,
        ..spec()
    });
    world.start(1).ready();
    for _ in 0..3 {
        world.on(Event::CheckFailed {
            generation: 1,
            answer: "timeout".into(),
        });
    }
    world
        .state(State::Stopping, Phase::Draining)
        .pass(1_000)
        .pass(1_000);
    assert_eq!(world.signals, [(101, 15), (101, 9)]);
    world
        .exits(-9)
        .spawns(2)
        .ready()
        .state(State::Running, Phase::Ready);
    assert_eq!(world.slot.fact().generation, 1);
}

#[test]
fn unhealthy_only_reports_without_a_limit() {
    let mut world = check(Spec {
        ready: http(),
        keepalive_ms: 1_000,
        ..spec()
    });
    world.start(1).ready();
    for _ in 0..9 {
        world.on(Event::CheckFailed {
            generation: 1,
            answer: "500".into(),
        });
    }
    world.state(State::Running, Phase::Ready);
    assert_eq!(world.slot.fact().unhealthy, 9);
    world.ready();
    assert_eq!(world.slot.fact().unhealthy, 0);
}

#[test]
fn a_program_that_never_listens_is_not_asked_for_ever_and_not_called_unhealthy() {
    let mut world = check(Spec {
        ready: Ready::Connect {},
        unhealthy_after: 1,
        ..spec()
    });
    world.start(1).pass(60_000).answered(1, Outcome::Done);
    assert_eq!(world.checks.last(), None, "its check goes on");
    world.state(State::Running, Phase::Ready);
}

#[test]
fn what_only_has_to_live_is_never_late_however_long_startsecs_is() {
    let mut world = check(Spec {
        start_secs: 90,
        ready_timeout_ms: 60_000,
        ..spec()
    });
    world.start(1).pass(60_000).unanswered(1);
    assert_eq!(world.slot.next_timer(), Some(world.now + 30_000));
    world.pass(30_000).answered(1, Outcome::Done);
    // The same with a listener that never comes: asked no longer, but RUNNING after startsecs only.
    let mut world = check(Spec {
        start_secs: 90,
        ready_timeout_ms: 60_000,
        ready: Ready::Connect {},
        ..spec()
    });
    world.start(1).pass(60_000).unanswered(1);
    assert_eq!(world.checks, []);
    world.pass(30_000).answered(1, Outcome::Done);
}

#[test]
fn a_death_that_is_seen_late_is_no_end_that_was_late() {
    let mut world = check(Spec {
        oneshot: true,
        ready_timeout_ms: 5_000,
        autorestart: wire::Autorestart::Never,
        keepalive_ms: 1_000,
        ..spec()
    });
    world.start(1);
    world.now += 5_000; // the loop was busy; Tick is due and the exit is handled first
    world
        .exits(0)
        .state(State::Exited, Phase::Exited)
        .answered(1, Outcome::Done);
    assert_eq!(world.signals, [], "nobody is left to be stopped");
    // Nor is a check begun for one that is dead.
    let mut world = check(Spec {
        autorestart: wire::Autorestart::Never,
        keepalive_ms: 1_000,
        ..spec()
    });
    world.start(1);
    world.now += 1_000;
    world.exits(0).state(State::Exited, Phase::Exited);
    assert_eq!(world.checks, []);
}

#[test]
fn what_is_unhealthy_as_soon_as_it_is_up_does_not_spin() {
    let mut world = check(Spec {
        ready: http(),
        keepalive_ms: 100,
        unhealthy_after: 1,
        ..spec()
    });
    let fails = |world: &mut crate::world::World| {
        world.ready().pass(100).on(Event::CheckFailed {
            generation: 1,
            answer: "timeout".into(),
        });
        world.exits(0).state(State::Stopped, Phase::Restarting);
    };
    fails(world.start(1));
    world.pass(800).spawns(1).pass(300).spawns(2);
    fails(&mut world);
    world.pass(1_800).spawns(2).pass(400).spawns(3);
    // An operator waits for no pause, and a stop ends it.
    fails(&mut world);
    world.start(2).spawns(4);
    let failed = |generation| Event::CheckFailed {
        generation,
        answer: "timeout".to_owned(),
    };
    world.ready().on(failed(2));
    // Nor one who comes while it is being stopped.
    world.start(4).exits(0).spawns(5).ready();
    world.answered(4, Outcome::Done).on(failed(3));
    world.exits(0).stop(3).answered(3, Outcome::Done);
    world
        .state(State::Stopped, Phase::Stopped)
        .pass(600_000)
        .spawns(5);
}
