//! The book that the test keeps beside the machine.

use process::{CheckMode, Effect, Event, Now, Slot, handle};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use wire::{Cause, Outcome, Phase, Replace, Spec, State, Why};

/// The definition every wait of which has no end.
const ENDLESS: &str = "11";

/// Generation and pid.
type Process = (u64, i32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Start,
    Stop,
    Restart,
}

/// A command and what became of it.
#[derive(Debug)]
pub(crate) struct Asked {
    command: Command,
    /// What lived when it came.
    lived: Vec<Process>,
    answers: u32,
}

pub(crate) struct World {
    pub(crate) slot: Slot,
    pub(crate) now: u64,
    pid: i32,
    pub(crate) live: Vec<Process>,
    dead: Vec<Process>,
    signalled: Vec<(i32, i32)>,
    /// When each process got its first signal.
    signalled_ms: HashMap<i32, u64>,
    pub(crate) asked: HashMap<u64, Asked>,
    /// So many spawns to come fail.
    pub(crate) fails: u8,
    /// The definition of each generation.
    specs: HashMap<u64, Rc<Spec>>,
    /// Processes that were ready behind a gateway, and those of which the gateways were asked.
    served_by_gateway: HashSet<i32>,
    drained: HashSet<i32>,
    /// When a process of each generation was last made.
    made_ms: HashMap<u64, u64>,
    installed: String,
    /// Where the ledger's lines lead.
    state: State,
    /// Checks that the shell carries on with.
    checks: HashMap<u64, CheckMode>,
    /// A command that lets it run came after the last stop.
    up: bool,
    shutdown: bool,
    /// What may come back if the replacement that has just become a hold fails.
    fallback: Option<String>,
    /// The processes that were the current one, and the last of them.
    served: (u32, i32),
    /// Its death is being handled.
    dying: i32,
}

fn operator() -> Cause {
    Cause {
        why: Why::Operator,
        text: "root".into(),
    }
}

impl Asked {
    pub(crate) fn stop(lived: Vec<Process>) -> Asked {
        Asked {
            command: Command::Stop,
            lived,
            answers: 0,
        }
    }
}

impl World {
    pub(crate) fn new() -> World {
        World {
            slot: Slot::new(1),
            now: 1_000,
            pid: 10,
            live: vec![],
            dead: vec![],
            signalled: vec![],
            signalled_ms: HashMap::new(),
            asked: HashMap::new(),
            fails: 0,
            specs: HashMap::new(),
            served_by_gateway: HashSet::new(),
            drained: HashSet::new(),
            made_ms: HashMap::new(),
            installed: String::new(),
            state: State::Stopped,
            checks: HashMap::new(),
            up: false,
            shutdown: false,
            fallback: None,
            served: (0, 0),
            dying: 0,
        }
    }

    fn ask(&mut self, command: Command) -> u64 {
        let op = self.asked.len() as u64 + 1;
        let asked = Asked {
            command,
            lived: self.live.clone(),
            answers: 0,
        };
        self.asked.insert(op, asked);
        self.up = command != Command::Stop;
        op
    }

    pub(crate) fn start(&mut self) {
        let op = self.ask(Command::Start);
        let cause = operator();
        self.on(Event::Start { op, cause });
    }

    pub(crate) fn stop(&mut self, window: bool) {
        let op = self.ask(Command::Stop);
        let cause = operator();
        self.on(Event::Stop { op, cause, window });
    }

    pub(crate) fn restart(&mut self, mode: Option<Replace>) {
        let op = self.ask(Command::Restart);
        let cause = operator();
        self.on(Event::Restart { op, cause, mode });
    }

    pub(crate) fn no_restarts(&mut self) {
        self.shutdown = true;
        self.on(Event::NoRestarts);
    }

    pub(crate) fn at(&self, which: usize) -> Option<Process> {
        self.live.get(which).copied()
    }

    pub(crate) fn dies(&mut self, pid: i32, exit: i32) {
        let gone = self.live.iter().position(|(_, live)| *live == pid);
        let gone = self.live.remove(gone.expect("it lives"));
        self.dead.push(gone);
        let before = self.slot.fact();
        let next_goes_on = before.next_pid > 0 && !self.has_signal(before.next_pid);
        if before.pid == pid && next_goes_on {
            self.fallback = Some(before.spec_hash);
        }
        self.dying = before.pid;
        self.on(Event::Exited {
            pid,
            exit,
            oom: false,
        });
        self.dying = 0;
    }

    /// Something is heard of a process that is dead: it means nothing, unless its generation lives again.
    pub(crate) fn ghost(&mut self, which: usize, what: u8) {
        let is_gone =
            |(generation, _): &&Process| !self.live.iter().any(|(of, _)| of == generation);
        let gone: Vec<Process> = self.dead.iter().filter(is_gone).copied().collect();
        if gone.is_empty() {
            return;
        }
        let (generation, pid) = gone[which % gone.len()];
        let text = || "late".to_owned();
        let event = match what % 6 {
            0 => Event::CheckPassed { generation },
            1 => Event::CheckFailed {
                generation,
                answer: text(),
            },
            2 => Event::Drained { generation },
            3 => Event::Exited {
                pid,
                exit: 0,
                oom: false,
            },
            4 => Event::Spawned { generation, pid },
            _ => Event::SpawnFailed {
                generation,
                text: text(),
            },
        };
        let before = (self.slot.fact(), self.slot.next_timer());
        let now = Now {
            mono_ms: self.now,
            wall_ms: self.now,
        };
        let effects = handle(&mut self.slot, event.clone(), now);
        assert_eq!(effects, [], "{event:?} of a dead process");
        assert_eq!(
            before,
            (self.slot.fact(), self.slot.next_timer()),
            "{event:?} of a dead process"
        );
    }

    pub(crate) fn on(&mut self, event: Event) {
        if let Event::Install(spec) = &event {
            self.installed.clone_from(&spec.hash);
        }
        let mut queue = vec![event];
        while let Some(event) = queue.pop() {
            let now = Now {
                mono_ms: self.now,
                wall_ms: self.now,
            };
            let mut answers = Vec::new();
            let before = self.slot.fact();
            for effect in handle(&mut self.slot, event, now) {
                match effect {
                    Effect::Spawn { generation, spec } => {
                        if before.pid == 0 && self.specs.contains_key(&generation) {
                            assert_eq!(before.spec_hash, spec.hash, "what was said to be next");
                        }
                        queue.push(self.spawns(generation, &spec));
                    }
                    Effect::Signal { pid, signal, .. } => {
                        assert!(self.lives(pid), "signal to a dead pid");
                        assert!(
                            !self.served_by_gateway.contains(&pid) || self.drained.contains(&pid),
                            "a signal to {pid}, and nobody asked the gateways"
                        );
                        let since_ms = *self.signalled_ms.entry(pid).or_insert(self.now);
                        let patience_ms = if signal == 9 { 1_000 } else { 0 };
                        assert!(self.now - since_ms >= patience_ms, "killed before its time");
                        self.signalled.push((pid, signal));
                    }
                    Effect::Answer { op, outcome, .. } => answers.push((op, outcome)),
                    Effect::Record(transition) => {
                        assert_eq!(
                            transition.from, self.state,
                            "a line of the ledger: {transition:?}"
                        );
                        self.state = transition.to;
                    }
                    Effect::Check { generation, mode } => {
                        self.checks.insert(generation, mode);
                    }
                    Effect::EndChecks { generation } => {
                        self.checks.remove(&generation);
                    }
                    Effect::Drain { generation, .. } => {
                        let mut live = self.live.iter();
                        let of = live.find(|(of, _)| *of == generation).expect("it lives");
                        self.drained.insert(of.1);
                    }
                    Effect::Sweep { .. } => {}
                }
            }
            for (op, outcome) in answers {
                self.answered(op, outcome);
            }
            self.counts();
        }
        self.holds();
    }

    fn spawns(&mut self, generation: u64, spec: &Rc<Spec>) -> Event {
        assert!(self.up, "started although it was stopped");
        assert!(!self.shutdown, "started during a shutdown");
        assert!(
            !self.live.iter().any(|(of, _)| *of == generation),
            "two processes of generation {generation}"
        );
        let fact = self.slot.fact();
        match self.specs.get(&generation) {
            Some(known) => {
                assert_eq!(known, spec, "a generation is one definition");
                let gap_ms = self.now - self.made_ms[&generation];
                assert!(gap_ms >= 1_000, "again after {gap_ms} ms: it spins");
            }
            None => {
                let newest = self.specs.keys().max().copied().unwrap_or(0);
                assert!(
                    generation > newest,
                    "generation {generation} after {newest}"
                );
                let back = match fact.generation == generation {
                    true => self.fallback.take(),
                    false => self.fallback.clone(),
                };
                assert!(
                    spec.hash == self.installed || back.as_ref() == Some(&spec.hash),
                    "neither what is installed nor what was before: {}",
                    spec.hash
                );
                if fact.generation == generation {
                    assert_eq!(fact.backoff, 0, "a new generation has all its retries");
                }
                self.specs.insert(generation, spec.clone());
            }
        }
        self.made_ms.insert(generation, self.now);
        if self.fails > 0 {
            self.fails -= 1;
            return Event::SpawnFailed {
                generation,
                text: "no such file".into(),
            };
        }
        self.pid += 1;
        self.live.push((generation, self.pid));
        assert!(
            self.live.len() <= 2,
            "more than two generations: {:?}",
            self.live
        );
        Event::Spawned {
            generation,
            pid: self.pid,
        }
    }

    fn lives(&self, pid: i32) -> bool {
        self.live.iter().any(|(_, live)| *live == pid)
    }

    fn has_signal(&self, pid: i32) -> bool {
        self.signalled.iter().any(|(to, _)| *to == pid)
    }

    /// Whether the answer is true at this moment.
    pub(crate) fn answered(&mut self, op: u64, outcome: Outcome) {
        let fact = self.slot.fact();
        let asked = self.asked.get_mut(&op).expect("nobody asked");
        asked.answers += 1;
        assert_eq!(
            asked.answers, 1,
            "operation {op} is answered again: {outcome:?}"
        );
        let asked = &self.asked[&op];
        match (asked.command, outcome) {
            (Command::Stop, Outcome::Done) => assert!(
                !asked.lived.iter().any(|(_, pid)| self.lives(*pid)),
                "what it stopped lives: {fact:?}"
            ),
            (Command::Stop, Outcome::AlreadySo) => {
                assert!(self.live.is_empty(), "it runs: {fact:?}");
            }
            (Command::Start | Command::Restart, Outcome::Done) => {
                // It had lived for `startsecs` when it died, or it was to run to its end.
                let over = self.dying > 0 && !self.lives(self.dying);
                let serves = fact.state == State::Running && self.lives(fact.pid);
                assert!(
                    over || serves && fact.phase == Phase::Ready,
                    "it is not ready: {fact:?}"
                );
            }
            (Command::Start, Outcome::AlreadySo) => assert!(
                matches!(
                    fact.state,
                    State::Starting | State::Running | State::Backoff
                ),
                "it is not started: {fact:?}"
            ),
            (Command::Restart, Outcome::AlreadySo) => {
                assert!(
                    self.lives(fact.next_pid) && !self.has_signal(fact.next_pid),
                    "{fact:?}"
                );
            }
            (Command::Stop, outcome) => panic!("{outcome:?} for a stop"),
            (
                Command::Start | Command::Restart,
                Outcome::Superseded | Outcome::Abnormal | Outcome::SpawnError,
            ) => {}
            (Command::Start | Command::Restart, outcome) => {
                assert_eq!((outcome, self.shutdown), (Outcome::Refused, true));
            }
        }
    }

    fn counts(&mut self) {
        let fact = self.slot.fact();
        if fact.pid > 0 && fact.pid != self.served.1 {
            self.served = (self.served.0 + 1, fact.pid);
        }
        assert_eq!(fact.restarts, self.served.0.saturating_sub(1), "{fact:?}");
        assert!(fact.operator_restarts <= fact.restarts, "{fact:?}");
    }

    /// What is true after every event.
    fn holds(&mut self) {
        let (fact, pids) = (self.slot.fact(), self.slot.pids());
        assert!(
            pids.iter().all(|pid| self.lives(*pid)),
            "a pid that is dead"
        );
        assert!(
            self.live.iter().all(|(_, pid)| pids.contains(pid)),
            "a process that nobody keeps"
        );
        assert!(
            fact.next_pid == 0 || fact.pid > 0 || self.has_signal(fact.next_pid),
            "a replacement that goes on beside nothing"
        );
        assert_eq!(fact.state, self.state, "what is told and what is");
        if fact.pid > 0 {
            assert!(self.live.contains(&(fact.generation, fact.pid)));
        }
        assert!(
            self.checks
                .keys()
                .all(|of| self.live.iter().any(|(live, _)| live == of)),
            "a check of what is dead: {:?}",
            self.checks
        );
        if !self.up {
            assert!(!fact.wanted, "wanted although it was stopped: {fact:?}");
        }
        // One that is to come back after a stop is wanted from its new start on.
        let goes_on = matches!(fact.phase, Phase::Starting | Phase::Ready)
            || matches!(fact.state, State::Backoff);
        if goes_on && !self.shutdown {
            assert!(fact.wanted, "not wanted, but goes on: {fact:?}");
        }
        if fact.phase == Phase::Ready && self.specs[&fact.generation].gated {
            self.served_by_gateway.insert(fact.pid);
        }
        if matches!(fact.state, State::Starting | State::Running) {
            let is = (fact.exit_status, fact.spawn_error.as_str());
            assert_eq!(is, (0, ""), "Supervisor forgets both at a start");
        }
        if fact.state == State::Running && fact.phase == Phase::Ready {
            self.fallback = None;
        }
        if let Some(pid) = Some(fact.pid).filter(|pid| *pid > 0 && self.has_signal(*pid)) {
            assert_eq!(fact.state, State::Stopping, "{pid} has a signal");
        }
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        let mut turns = 0;
        while let Some(at) = self.slot.next_timer().filter(|at| *at <= end) {
            turns = if at > self.now { 0 } else { turns + 1 };
            assert!(turns < 6, "a timer that is due again and again");
            self.now = self.now.max(at);
            self.on(Event::Tick);
        }
        self.now = end;
    }

    /// Nothing is in flight, and every process that has a signal dies.
    fn obey(&mut self) {
        for (generation, _) in self.live.clone() {
            self.on(Event::Drained { generation });
        }
        while let Some((pid, _)) = self.signalled.pop() {
            if self.lives(pid) {
                self.dies(pid, 0);
            }
        }
    }

    /// Nobody commands, checks pass, what runs to its end ends: all comes to rest.
    pub(crate) fn left_in_peace(&mut self) {
        self.fails = 0;
        self.on(Event::StopAnswered);
        for _ in 0..50 {
            self.obey();
            for (generation, pid) in self.live.clone() {
                match self.lives(pid) && self.specs[&generation].oneshot {
                    true => self.dies(pid, 0),
                    false => self.on(Event::CheckPassed { generation }),
                }
            }
            self.pass(2_500);
        }
        let fact = self.slot.fact();
        self.all_answered();
        assert!(
            self.live.len() <= 1 && fact.leaving.is_none() && fact.next_pid == 0,
            "{fact:?}"
        );
        match fact.phase {
            Phase::Ready => assert_eq!(fact.state, State::Running),
            Phase::Stopped => assert_ne!(fact.window_until_ms, u64::MAX, "a window left open"),
            Phase::Exited | Phase::Fatal => {}
            Phase::Starting
            | Phase::Restarting
            | Phase::Draining
            | Phase::DrainingToStop
            | Phase::Removed => panic!("no rest: {fact:?}"),
        }
        assert_eq!(self.slot.next_timer(), None, "{fact:?}");
    }

    /// Nobody commands, no check passes, what runs to its end fails, only SIGKILL ends a process: even so every
    /// operation is answered, save where somebody asked to wait for ever.
    pub(crate) fn left_to_its_troubles(&mut self) {
        self.fails = 0;
        self.on(Event::StopAnswered);
        for _ in 0..30 {
            for (pid, signal) in self.signalled.clone() {
                if self.lives(pid) && (signal == 9 || self.is_endless(pid)) {
                    self.dies(pid, -signal);
                }
            }
            for (generation, pid) in self.live.clone() {
                if self.lives(pid) && self.specs[&generation].oneshot {
                    self.dies(pid, 1);
                }
            }
            self.pass(10_000);
        }
        let endless = self.live.iter().any(|(_, pid)| self.is_endless(*pid));
        if !endless {
            self.all_answered();
        }
    }

    fn is_endless(&self, pid: i32) -> bool {
        let of = self.live.iter().find(|(_, live)| *live == pid);
        of.is_some_and(|(generation, _)| self.specs[generation].hash == ENDLESS)
    }

    fn all_answered(&self) {
        for (op, asked) in &self.asked {
            assert_eq!(asked.answers, 1, "operation {op}: {asked:?}");
        }
    }

    /// After a stop everything obeys its signals, and nothing is left.
    pub(crate) fn obeys_until_all_is_over(&mut self) {
        for _ in 0..20 {
            self.obey();
            self.pass(5_000);
        }
        assert_eq!(self.live, [], "left over");
        self.all_answered();
    }
}
