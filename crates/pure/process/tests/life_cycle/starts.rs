//! Starts, lives and what follows an exit.

use crate::world::{T0, World, check, http, operator, spec};
use process::{Effect, Event, Now, handle};
use wire::{Cause, Outcome, Phase, Spec, State, Why};

#[test]
fn a_start_is_answered_when_it_has_lived_for_startsecs() {
    check(spec())
        .start(1)
        .state(State::Starting, Phase::Starting)
        .unanswered(1)
        .pass(1_000)
        .answered(1, Outcome::Done)
        .state(State::Running, Phase::Ready);
}

#[test]
fn startsecs_zero_runs_at_once() {
    check(Spec {
        start_secs: 0,
        ..spec()
    })
    .start(1)
    .answered(1, Outcome::Done)
    .state(State::Running, Phase::Ready);
}

#[test]
fn killed_after_five_seconds_it_is_back_at_once_in_the_same_generation() {
    let mut world = check(spec());
    world
        .start(1)
        .pass(5_000)
        .exits(-9)
        .spawns(2)
        .state(State::Starting, Phase::Starting);
    assert_eq!(world.spawned[0].0, world.spawned[1].0);
    assert_eq!(
        world.states,
        [
            State::Starting,
            State::Running,
            State::Exited,
            State::Starting
        ]
    );
}

#[test]
fn killed_after_a_third_of_a_second_it_waits_until_a_second_after_its_start() {
    let mut world = check(spec());
    world
        .start(1)
        .pass(300)
        .exits(-9)
        .answered(1, Outcome::Abnormal)
        .state(State::Backoff, Phase::Restarting);
    world.pass(699).spawns(1).pass(110).spawns(2);
}

#[test]
fn it_gives_up_after_startretries_as_supervisor_does() {
    let mut world = check(spec());
    world.start(1);
    for gap_ms in [1_100, 2_250, 4_450, 0] {
        world.exits(1).pass(gap_ms);
    }
    let expected = [
        State::Starting,
        State::Backoff,
        State::Starting,
        State::Backoff,
        State::Starting,
        State::Backoff,
        State::Starting,
        State::Backoff,
        State::Fatal,
    ];
    assert_eq!(world.states, expected);
    world
        .state(State::Fatal, Phase::Fatal)
        .pass(600_000)
        .spawns(4);
    world
        .start(2)
        .spawns(5)
        .pass(1_000)
        .answered(2, Outcome::Done);
}

#[test]
fn with_steadfast_in_the_file_fatal_is_tried_again_after_a_minute() {
    let mut world = check(Spec {
        retry_fatal: true,
        start_retries: 0,
        ..spec()
    });
    world
        .start(1)
        .exits(1)
        .state(State::Fatal, Phase::Fatal)
        .pass(59_000)
        .spawns(1)
        .pass(1_500)
        .spawns(2);
}

#[test]
fn a_missing_executable_backs_off_and_becomes_fatal() {
    let mut world = check(Spec {
        start_retries: 1,
        ..spec()
    });
    world.fail_spawn = true;
    world
        .start(1)
        .answered(1, Outcome::SpawnError)
        .state(State::Backoff, Phase::Restarting)
        .pass(3_000);
    world.state(State::Fatal, Phase::Fatal);
    assert_eq!(world.slot.fact().spawn_error, "no such file");
}

#[test]
fn autorestart_decides_what_follows_an_exit() {
    use wire::Autorestart::{Always, Never, Unexpected};
    for (autorestart, exit, again) in [
        (Unexpected, 0, false),
        (Unexpected, 1, true),
        (Unexpected, -9, true),
        (Never, 1, false),
        (Always, 0, true),
    ] {
        let mut world = check(Spec {
            autorestart,
            ..spec()
        });
        world
            .start(1)
            .pass(2_000)
            .exits(exit)
            .spawns(if again { 2 } else { 1 });
        if !again {
            world.state(State::Exited, Phase::Exited);
        }
    }
}

#[test]
fn a_quick_success_loop_cannot_spin() {
    let mut world = check(Spec {
        start_secs: 0,
        autorestart: wire::Autorestart::Always,
        ..spec()
    });
    world.start(1);
    for _ in 0..100 {
        if !world.live.is_empty() {
            world.exits(0);
        }
        world.pass(100);
    }
    assert!(
        world.spawned.len() <= 5,
        "{} starts in 10 s",
        world.spawned.len()
    );
}

#[test]
fn a_start_does_not_wait_for_the_pause_of_an_exited_one() {
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
        .start(2)
        .answered(2, Outcome::Done)
        .spawns(2)
        .state(State::Running, Phase::Ready);
}

#[test]
fn supervisors_exit_status_and_spawn_error_are_shown() {
    let mut world = check(Spec {
        autorestart: wire::Autorestart::Never,
        ..spec()
    });
    let shown = |world: &World| {
        let fact = world.slot.fact();
        (fact.exit_status, fact.spawn_error)
    };
    world.start(1).exits(3);
    let too_quickly = "Exited too quickly (process log may have details)".to_owned();
    assert_eq!(shown(&world), (0, too_quickly));
    world
        .pass(5_000)
        .exits(3)
        .state(State::Exited, Phase::Exited);
    assert_eq!(shown(&world), (3, "Bad exit code 3".to_owned()));
    world
        .start(2)
        .pass(2_000)
        .state(State::Running, Phase::Ready);
    assert_eq!(shown(&world), (0, String::new()));
}

#[test]
fn a_death_that_is_seen_before_the_timer_of_startsecs_is_an_exit() {
    let mut world = check(Spec {
        autorestart: wire::Autorestart::Never,
        ..spec()
    });
    world.start(1);
    world.now += 1_000; // the loop was busy; Tick is due and the exit is handled first
    world
        .exits(0)
        .state(State::Exited, Phase::Exited)
        .answered(1, Outcome::Done);
}

#[test]
fn before_the_first_start_requests_wait_for_the_restart_window() {
    let mut world = check(spec());
    assert_eq!(world.slot.fact().window_until_ms, T0 + 5_000);
    world.stop(1).answered(1, Outcome::AlreadySo);
    assert_eq!(world.slot.fact().window_until_ms, 0);
}

#[test]
fn a_oneshot_is_running_until_its_end_and_its_end_answers_the_start() {
    let oneshot = Spec {
        oneshot: true,
        start_secs: 0,
        start_retries: 0,
        ready_timeout_ms: u64::MAX,
        autorestart: wire::Autorestart::Never,
        ..spec()
    };
    let mut world = check(oneshot.clone());
    world.start(1).state(State::Running, Phase::Starting);
    world.pass(3_600_000).state(State::Running, Phase::Starting);
    assert_eq!(world.answers, [], "it has not ended");
    world
        .exits(0)
        .state(State::Exited, Phase::Exited)
        .answered(1, Outcome::Done);
    let mut world = check(oneshot.clone());
    world
        .start(1)
        .pass(10)
        .exits(3)
        .state(State::Exited, Phase::Exited)
        .answered(1, Outcome::Abnormal);
    // With an explicit ready_timeout it must have ended by then.
    let mut world = check(Spec {
        ready_timeout_ms: 5_000,
        ..oneshot
    });
    world.start(1).pass(5_000);
    assert!(world.signals.iter().any(|(_, signal)| *signal == 15));
    world.exits(-15).state(State::Fatal, Phase::Fatal);
}

#[test]
fn a_restart_waits_for_its_delay_from_the_end_of_the_life() {
    let delayed = Spec {
        restart_delay_ms: 5_000,
        autorestart: wire::Autorestart::Always,
        ..spec()
    };
    let mut world = check(delayed.clone());
    world.start(1).pass(60_000).exits(0);
    assert_eq!(world.spawned.len(), 1, "not at once, as without it");
    world.pass(4_999);
    assert_eq!(world.spawned.len(), 1);
    world.pass(1);
    assert_eq!(world.spawned.len(), 2);
    // A start that failed waits so long, too, although its own gap is shorter.
    let mut world = check(delayed);
    world.start(1).pass(500).exits(1).pass(4_999);
    assert_eq!(world.spawned.len(), 1);
    world.pass(1);
    assert_eq!(world.spawned.len(), 2);
}

#[test]
fn a_new_start_has_all_its_retries() {
    // Stopped while it was STARTING for the fourth time, it is as if it had never failed.
    let mut world = check(spec());
    world.start(1).exits(1).pass(1_100).exits(1).pass(2_200);
    world.exits(1).pass(4_400).stop(2).exits(0);
    world
        .start(3)
        .exits(1)
        .state(State::Backoff, Phase::Restarting);
    assert_eq!(world.slot.fact().backoff, 1);
    // So does a definition that replaces one that failed.
    world.pass(1_100).exits(1).pass(2_200).exits(1).pass(4_400);
    world.install("b", |_| {}).restart(4).exits(0).exits(1);
    world.state(State::Backoff, Phase::Restarting);
    assert_eq!(world.slot.fact().backoff, 1);
}

#[test]
fn a_new_start_forgets_the_short_lives_before_it() {
    let mut world = check(Spec {
        start_secs: 0,
        autorestart: wire::Autorestart::Always,
        ..spec()
    });
    world.start(1);
    for gap_ms in [1_100, 2_200, 4_400, 8_800] {
        world.exits(0).pass(gap_ms);
    }
    world.stop(2).exits(0).start(3).exits(0).spawns(6);
    world.pass(1_100).spawns(7);
}

#[test]
fn what_is_fatal_is_tried_again_as_it_was() {
    let mut world = check(Spec {
        retry_fatal: true,
        start_retries: 0,
        ..spec()
    });
    world.start(1).exits(1).install("b", |_| {});
    assert_eq!(world.slot.fact().spec_hash, "a", "its next start");
    world.pass(60_000).spawns(2);
    assert_eq!((world.spawned[1].0, world.spawned[1].2.as_str()), (1, "a"));
    world.exits(1).start(2).spawns(3);
    assert_eq!(
        world.spawned[2].2, "b",
        "an operator's start takes what is installed"
    );
}

#[test]
fn a_start_after_a_stop_is_told_with_its_own_reason() {
    let mut world = check(spec());
    world.start(1).pass(2_000);
    let stopped = Cause {
        why: Why::Shutdown,
        text: "the stop's".into(),
    };
    world.on(Event::Stop {
        op: 2,
        cause: stopped.clone(),
        window: false,
    });
    world.start(3);
    assert_eq!(world.slot.fact().operator_restarts, 0, "not yet");
    let now = Now {
        mono_ms: world.now,
        wall_ms: world.now,
    };
    let exited = Event::Exited {
        pid: 101,
        exit: 0,
        oom: false,
    };
    let mut told = handle(&mut world.slot, exited, now);
    told.extend(handle(
        &mut world.slot,
        Event::Spawned {
            generation: 2,
            pid: 102,
        },
        now,
    ));
    let causes = told.into_iter().filter_map(|effect| match effect {
        Effect::Record(line) => Some((line.to, line.cause)),
        _ => None,
    });
    assert_eq!(
        causes.collect::<Vec<_>>(),
        [(State::Stopped, stopped), (State::Starting, operator())]
    );
    assert_eq!(world.slot.fact().operator_restarts, 1);
}

#[test]
fn a_remark_while_a_process_is_made_does_not_tell_its_start() {
    let mut world = check(spec());
    let now = Now {
        mono_ms: T0,
        wall_ms: T0,
    };
    let start = Event::Start {
        op: 1,
        cause: operator(),
    };
    handle(&mut world.slot, start, now);
    let Effect::Record(line) = world.slot.remark(0, "a log cannot be opened".into(), now) else {
        panic!("a line for the ledger");
    };
    assert_eq!((line.from, line.to), (State::Stopped, State::Stopped));
}

#[test]
fn unhealthy_during_a_shutdown_it_waits_for_its_turn() {
    let mut world = check(Spec {
        ready: http(),
        keepalive_ms: 1_000,
        unhealthy_after: 1,
        ..spec()
    });
    world.start(1).ready().on(Event::NoRestarts);
    world.on(Event::CheckFailed {
        generation: 1,
        answer: "timeout".into(),
    });
    world.state(State::Running, Phase::Ready);
}

#[test]
fn a_start_that_made_no_process_is_no_restart_of_the_operator_either() {
    let mut world = check(Spec {
        start_retries: 0,
        ..spec()
    });
    world.start(1).pass(2_000).stop(2).exits(0);
    world.fail_spawn = true;
    world.start(3).answered(3, Outcome::SpawnError);
    let fact = world.slot.fact();
    assert_eq!((fact.restarts, fact.operator_restarts), (0, 0));
    world.fail_spawn = false;
    world.start(4);
    let fact = world.slot.fact();
    assert_eq!((fact.restarts, fact.operator_restarts), (1, 1));
}
