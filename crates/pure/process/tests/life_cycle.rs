//! The life-cycle in sentences. One helper drives the machine; a simulated world answers its spawns.
#![allow(missing_docs)]

use process::{CheckMode, Effect, Event, Now, Slot, handle};
use std::rc::Rc;
use wire::{Cause, Outcome, Phase, Ready, Replace, Spec, State, Why};

const T0: u64 = 1_000_000;

struct World {
    slot: Slot,
    now: u64,
    next_pid: i32,
    live: Vec<i32>,
    spawned: Vec<(u64, i32, String)>,
    signals: Vec<(i32, i32)>,
    answers: Vec<(u64, Outcome)>,
    states: Vec<State>,
    drains: Vec<u64>,
    /// Checks that are under way.
    checks: Vec<(u64, CheckMode)>,
    fail_spawn: bool,
}

fn spec() -> Spec {
    Spec {
        program: "web".into(),
        group: "web".into(),
        process: "web".into(),
        hash: "a".into(),
        start_secs: 1,
        start_retries: 3,
        exit_codes: vec![0],
        stop_signal: 15,
        stop_wait_ms: 10_000,
        ready_timeout_ms: 60_000,
        drain_timeout_ms: 10_000,
        restart_window_ms: 5_000,
        ..Spec::default()
    }
}

fn check(spec: Spec) -> World {
    let mut world = World {
        slot: Slot::new(7),
        now: T0,
        next_pid: 100,
        live: vec![],
        spawned: vec![],
        signals: vec![],
        answers: vec![],
        states: vec![],
        drains: vec![],
        checks: vec![],
        fail_spawn: false,
    };
    world.on(Event::Install(Rc::new(spec)));
    world
}

fn operator() -> Cause {
    Cause {
        why: Why::Operator,
        text: "root".into(),
    }
}

impl World {
    fn on(&mut self, event: Event) -> &mut Self {
        let mut queue = vec![event];
        while let Some(event) = queue.pop() {
            for effect in handle(
                &mut self.slot,
                event.clone(),
                Now {
                    mono_ms: self.now,
                    wall_ms: self.now,
                },
            ) {
                match effect {
                    Effect::Spawn { generation, .. } if self.fail_spawn => {
                        queue.push(Event::SpawnFailed {
                            generation,
                            text: "no such file".into(),
                        });
                    }
                    Effect::Spawn { generation, spec } => {
                        self.next_pid += 1;
                        self.live.push(self.next_pid);
                        self.spawned
                            .push((generation, self.next_pid, spec.hash.clone()));
                        queue.push(Event::Spawned {
                            generation,
                            pid: self.next_pid,
                        });
                    }
                    Effect::Signal { pid, signal, .. } => self.signals.push((pid, signal)),
                    Effect::Answer { op, outcome, .. } => self.answers.push((op, outcome)),
                    Effect::Record(transition) => {
                        if transition.from != transition.to {
                            self.states.push(transition.to);
                        }
                    }
                    Effect::Drain { generation, .. } => self.drains.push(generation),
                    Effect::Check { generation, mode } => {
                        self.checks.retain(|(known, _)| *known != generation);
                        self.checks.push((generation, mode));
                    }
                    Effect::EndChecks { generation } => {
                        self.checks.retain(|(known, _)| *known != generation)
                    }
                    Effect::Sweep { .. } => {}
                }
            }
        }
        self
    }
    fn start(&mut self, op: u64) -> &mut Self {
        self.on(Event::Start {
            op,
            cause: operator(),
        })
    }
    fn stop(&mut self, op: u64) -> &mut Self {
        self.on(Event::Stop {
            op,
            cause: operator(),
            window: false,
        })
    }
    fn restart(&mut self, op: u64) -> &mut Self {
        self.on(Event::Restart {
            op,
            cause: operator(),
            mode: None,
        })
    }
    fn install(&mut self, hash: &str, edit: impl FnOnce(&mut Spec)) -> &mut Self {
        let mut spec = (**self.slot.installed().unwrap()).clone();
        spec.hash = hash.into();
        edit(&mut spec);
        self.on(Event::Install(Rc::new(spec)))
    }
    /// Lets time pass, waking the machine at each of its timers.
    fn pass(&mut self, ms: u64) -> &mut Self {
        let end = self.now + ms;
        while let Some(at) = self.slot.next_timer().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.on(Event::Tick);
        }
        self.now = end;
        self
    }
    fn last_pid(&self) -> i32 {
        self.spawned.last().unwrap().1
    }
    fn exits(&mut self, exit: i32) -> &mut Self {
        let pid = self.last_pid();
        self.pid_exits(pid, exit)
    }
    fn pid_exits(&mut self, pid: i32, exit: i32) -> &mut Self {
        self.live.retain(|live| *live != pid);
        self.on(Event::Exited {
            pid,
            exit,
            oom: false,
        })
    }
    fn ready(&mut self) -> &mut Self {
        let generation = self.spawned.last().unwrap().0;
        self.on(Event::CheckPassed { generation })
    }
    #[track_caller]
    fn state(&mut self, state: State, phase: Phase) -> &mut Self {
        let fact = self.slot.fact();
        assert_eq!(
            (fact.state, fact.phase),
            (state, phase),
            "after {:?}",
            self.states
        );
        self
    }
    #[track_caller]
    fn answered(&mut self, op: u64, outcome: Outcome) -> &mut Self {
        assert_eq!(
            self.answers.iter().find(|(known, _)| *known == op),
            Some(&(op, outcome)),
            "{:?}",
            self.answers
        );
        self
    }
    #[track_caller]
    fn unanswered(&mut self, op: u64) -> &mut Self {
        assert!(
            !self.answers.iter().any(|(known, _)| *known == op),
            "{:?}",
            self.answers
        );
        self
    }
    #[track_caller]
    fn spawns(&mut self, count: usize) -> &mut Self {
        assert_eq!(self.spawned.len(), count, "{:?}", self.spawned);
        self
    }
}

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

fn http() -> Ready {
    Ready::Http {
        path: "/health".into(),
        host: "localhost".into(),
    }
}

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

fn overlap() -> World {
    let mut world = check(Spec {
        ready: http(),
        gated: true,
        replace: Replace::Overlap,
        ..spec()
    });
    world.start(1).ready().answered(1, Outcome::Done);
    world
}

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
fn before_the_first_start_requests_wait_for_the_restart_window() {
    let mut world = check(spec());
    assert_eq!(world.slot.fact().window_until_ms, T0 + 5_000);
    world.stop(1).answered(1, Outcome::AlreadySo);
    assert_eq!(world.slot.fact().window_until_ms, 0);
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
