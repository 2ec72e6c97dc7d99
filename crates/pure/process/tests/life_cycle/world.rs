//! One helper drives the machine; a simulated world answers its spawns.

use process::{CheckMode, Effect, Event, Now, Slot, handle};
use std::rc::Rc;
use wire::{Cause, Outcome, Phase, Ready, Replace, Spec, State, Why};

pub(crate) const T0: u64 = 1_000_000;

pub(crate) struct World {
    pub(crate) slot: Slot,
    pub(crate) now: u64,
    pub(crate) next_pid: i32,
    pub(crate) live: Vec<i32>,
    pub(crate) spawned: Vec<(u64, i32, String)>,
    pub(crate) signals: Vec<(i32, i32)>,
    pub(crate) answers: Vec<(u64, Outcome)>,
    pub(crate) states: Vec<State>,
    pub(crate) drains: Vec<u64>,
    /// Checks that are under way.
    pub(crate) checks: Vec<(u64, CheckMode)>,
    pub(crate) fail_spawn: bool,
}

pub(crate) fn spec() -> Spec {
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

pub(crate) fn http() -> Ready {
    Ready::Http {
        path: "/health".into(),
        host: "localhost".into(),
    }
}

pub(crate) fn check(spec: Spec) -> World {
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

pub(crate) fn overlap() -> World {
    let mut world = check(Spec {
        ready: http(),
        gated: true,
        replace: Replace::Overlap,
        ..spec()
    });
    world.start(1).ready().answered(1, Outcome::Done);
    world
}

pub(crate) fn operator() -> Cause {
    Cause {
        why: Why::Operator,
        text: "root".into(),
    }
}

impl World {
    pub(crate) fn on(&mut self, event: Event) -> &mut Self {
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
    pub(crate) fn start(&mut self, op: u64) -> &mut Self {
        self.on(Event::Start {
            op,
            cause: operator(),
        })
    }
    pub(crate) fn stop(&mut self, op: u64) -> &mut Self {
        self.on(Event::Stop {
            op,
            cause: operator(),
            window: false,
        })
    }
    pub(crate) fn restart(&mut self, op: u64) -> &mut Self {
        self.on(Event::Restart {
            op,
            cause: operator(),
            mode: None,
        })
    }
    pub(crate) fn install(&mut self, hash: &str, edit: impl FnOnce(&mut Spec)) -> &mut Self {
        let mut spec = (**self.slot.installed().unwrap()).clone();
        spec.hash = hash.into();
        edit(&mut spec);
        self.on(Event::Install(Rc::new(spec)))
    }
    /// Lets time pass, waking the machine at each of its timers.
    pub(crate) fn pass(&mut self, ms: u64) -> &mut Self {
        let end = self.now + ms;
        let mut turns = 0;
        while let Some(at) = self.slot.next_timer().filter(|at| *at <= end) {
            turns = if at > self.now { 0 } else { turns + 1 };
            assert!(turns < 9, "a timer that is due again and again");
            self.now = self.now.max(at);
            self.on(Event::Tick);
        }
        self.now = end;
        self
    }
    pub(crate) fn last_pid(&self) -> i32 {
        self.spawned.last().unwrap().1
    }
    pub(crate) fn exits(&mut self, exit: i32) -> &mut Self {
        let pid = self.last_pid();
        self.pid_exits(pid, exit)
    }
    pub(crate) fn pid_exits(&mut self, pid: i32, exit: i32) -> &mut Self {
        self.live.retain(|live| *live != pid);
        self.on(Event::Exited {
            pid,
            exit,
            oom: false,
        })
    }
    pub(crate) fn ready(&mut self) -> &mut Self {
        let generation = self.spawned.last().unwrap().0;
        self.on(Event::CheckPassed { generation })
    }
    #[track_caller]
    pub(crate) fn state(&mut self, state: State, phase: Phase) -> &mut Self {
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
    pub(crate) fn answered(&mut self, op: u64, outcome: Outcome) -> &mut Self {
        assert_eq!(
            self.answers.iter().find(|(known, _)| *known == op),
            Some(&(op, outcome)),
            "{:?}",
            self.answers
        );
        self
    }
    #[track_caller]
    pub(crate) fn unanswered(&mut self, op: u64) -> &mut Self {
        assert!(
            !self.answers.iter().any(|(known, _)| *known == op),
            "{:?}",
            self.answers
        );
        self
    }
    #[track_caller]
    pub(crate) fn spawns(&mut self, count: usize) -> &mut Self {
        assert_eq!(self.spawned.len(), count, "{:?}", self.spawned);
        self
    }
}
