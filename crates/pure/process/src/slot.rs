//! The values of the machine: the slot, what comes in, what goes out.

use std::rc::Rc;
use wire::{Cause, Outcome, Replace, Spec, State, Transition};

/// The time, as the shell read it once for this event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// CLOCK_MONOTONIC, ms: for every decision.
    pub mono_ms: u64,
    /// Wall clock, ms: only noted.
    pub wall_ms: u64,
}

/// What can happen to a slot.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// This spec is the one for the next start or replacement.
    Install(Rc<Spec>),
    /// A start is wanted.
    Start {
        /// Operation to answer.
        op: u64,
        /// Why.
        cause: Cause,
    },
    /// A stop is wanted.
    Stop {
        /// Operation to answer.
        op: u64,
        /// Why.
        cause: Cause,
        /// Requests may wait for `restart_window` after the answer.
        window: bool,
    },
    /// A replacement is wanted.
    Restart {
        /// Operation to answer.
        op: u64,
        /// Why.
        cause: Cause,
        /// Instead of the spec's `replace`.
        mode: Option<Replace>,
    },
    /// The call that stopped it has been answered.
    StopAnswered,
    /// Shutdown: nothing is started by itself any more.
    NoRestarts,
    /// Answer to [`Effect::Spawn`].
    Spawned {
        /// Generation.
        generation: u64,
        /// Its process.
        pid: i32,
    },
    /// Answer to [`Effect::Spawn`].
    SpawnFailed {
        /// Generation.
        generation: u64,
        /// Why, as Supervisor's `spawnerr`.
        text: String,
    },
    /// A process of ours has ended.
    Exited {
        /// Which.
        pid: i32,
        /// Exit status, or the negative signal.
        exit: i32,
        /// The kernel killed it for memory.
        oom: bool,
    },
    /// A check got the answer it wants.
    CheckPassed {
        /// Generation.
        generation: u64,
    },
    /// A check did not.
    CheckFailed {
        /// Generation.
        generation: u64,
        /// What it got.
        answer: String,
    },
    /// Nothing is in flight at this generation any more, or no gateway is there to ask.
    Drained {
        /// Generation.
        generation: u64,
    },
    /// [`Slot::next_timer`] has come.
    Tick,
}

/// How a check is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckMode {
    /// At once, then every 20 ms doubling to 1 s, until it passes.
    UntilReady,
    /// Every so many ms while it runs.
    KeepAlive(u64),
}

/// What the shell has to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Start this; answer with [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn {
        /// Generation.
        generation: u64,
        /// What to start.
        spec: Rc<Spec>,
    },
    /// Send a signal.
    Signal {
        /// To.
        pid: i32,
        /// Number.
        signal: i32,
        /// The whole process group.
        group: bool,
    },
    /// Begin (or go on with another mode of) the check of this generation.
    Check {
        /// Generation.
        generation: u64,
        /// Repetition.
        mode: CheckMode,
    },
    /// End every check of this generation.
    EndChecks {
        /// Generation.
        generation: u64,
    },
    /// The fact just published closes this generation: ask the gateways and answer [`Event::Drained`].
    Drain {
        /// Generation.
        generation: u64,
        /// It is stopped then, whatever is in flight.
        deadline_ms: u64,
    },
    /// The process is dead: look for leftovers of its session.
    Sweep {
        /// Its pid.
        pid: i32,
        /// Kill them; otherwise name them.
        kill: bool,
    },
    /// For the ring.
    Record(Box<Transition>),
    /// An operation has ended.
    Answer {
        /// Operation.
        op: u64,
        /// How.
        outcome: Outcome,
        /// Words for people.
        text: String,
        /// Append the last lines of this generation's output.
        output_of: Option<u64>,
    },
}

/// What follows once a process that is being stopped is dead.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Then {
    /// Nothing: it stays down. `window`: see [`Event::Stop`].
    Stay { window: bool },
    /// A new generation of the installed spec, for this reason, which may be another than the end's.
    Replace(Cause),
    /// The same generation again (unhealthy).
    Again,
    /// It was not ready in time: as if it had ended too quickly.
    Failed,
}

/// Where a process is in its life.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stage {
    /// Started; `lived` and `checked` say how far it is.
    Up,
    /// Gateways finish what is in flight.
    Draining { deadline_ms: u64, then: Then },
    /// It has the stop signal.
    Stopping {
        kill_at_ms: u64,
        killed: bool,
        then: Then,
    },
}

/// One process of one generation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Life {
    pub(crate) generation: u64,
    pub(crate) spec: Rc<Spec>,
    /// State of the slot before this start.
    pub(crate) from: State,
    pub(crate) pid: i32,
    pub(crate) started: Now,
    pub(crate) stage: Stage,
    /// It lived for `startsecs`.
    pub(crate) lived: bool,
    /// Its readiness check passed.
    pub(crate) checked: bool,
    pub(crate) ready_wall_ms: u64,
    pub(crate) cause: Cause,
    /// Keepalive checks failed in a row.
    pub(crate) unhealthy: u32,
    pub(crate) last_answer: String,
}

/// Why nothing runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Down {
    /// Never started, or stopped.
    Stopped { window_until_ms: u64 },
    /// Ended by itself, not to be started again.
    Exited,
    /// Start retries are used up. (S): what failed is tried again at that time.
    Fatal { retry: Option<(u64, Rc<Spec>)> },
    /// Started again at `until_ms`. `state` is BACKOFF, EXITED or (it was unhealthy) STOPPED.
    Waiting {
        until_ms: u64,
        until_wall_ms: u64,
        state: State,
        again: Rc<Spec>,
        cause: Cause,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Current {
    Down(Down),
    Live(Life),
}

/// A replacement that waits until the old generation of the last one is gone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Queued {
    pub(crate) op: u64,
    pub(crate) cause: Cause,
    pub(crate) mode: Option<Replace>,
}

/// One slot. Made by a keeper at its start, lives as long as it.
#[derive(Debug, Clone)]
pub struct Slot {
    pub(crate) installed: Option<Rc<Spec>>,
    /// The newest number given.
    pub(crate) generation: u64,
    /// The generation that is the current one, or was it last: a replacement that was refused has a higher number.
    pub(crate) serving: u64,
    pub(crate) current: Current,
    /// Overlap: the generation that is to take over.
    pub(crate) next: Option<Life>,
    pub(crate) next_op: Option<u64>,
    /// Overlap: the generation that was replaced.
    pub(crate) leaving: Option<Life>,
    pub(crate) queued: Option<Queued>,
    /// The spec to return to if the replacement of a generation that died meanwhile fails.
    pub(crate) fallback: Option<Rc<Spec>>,
    pub(crate) refused_hash: String,
    /// Operations that wait until the current generation is up.
    pub(crate) starts: Vec<u64>,
    pub(crate) stops: Vec<PendingStop>,
    pub(crate) wanted: bool,
    pub(crate) no_restarts: bool,
    /// [`Event::StopAnswered`] came before the death.
    pub(crate) answered_early: bool,
    /// Failed starts in a row.
    pub(crate) tries: u32,
    /// Lives in a row that were RUNNING but shorter than a second or `startsecs`.
    pub(crate) short_lives: u32,
    pub(crate) starts_total: u32,
    pub(crate) operator_restarts: u32,
    pub(crate) exit_status: i32,
    pub(crate) spawn_error: String,
    pub(crate) stopped_wall_ms: u64,
    pub(crate) away_since_ms: Option<u64>,
    pub(crate) jitter: u32,
    /// Copied into each transition; the shell keeps it up to date.
    pub counts: wire::Counts,
}

/// An operation that waits until what it stopped is dead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingStop {
    pub(crate) op: u64,
    /// The newest generation that it stopped.
    pub(crate) newest: u64,
}

impl Slot {
    /// An empty slot. `seed` spreads the back-off of many slots; any number will do.
    pub fn new(seed: u32) -> Slot {
        Slot {
            installed: None,
            generation: 0,
            serving: 0,
            current: Current::Down(Down::Stopped { window_until_ms: 0 }),
            next: None,
            next_op: None,
            leaving: None,
            queued: None,
            fallback: None,
            refused_hash: String::new(),
            starts: Vec::new(),
            stops: Vec::new(),
            wanted: false,
            no_restarts: false,
            answered_early: false,
            tries: 0,
            short_lives: 0,
            starts_total: 0,
            operator_restarts: 0,
            exit_status: 0,
            spawn_error: String::new(),
            stopped_wall_ms: 0,
            away_since_ms: None,
            jitter: seed,
            counts: wire::Counts::default(),
        }
    }

    /// A line for the ledger that is no change of state: leftovers, an output that was dropped.
    pub fn remark(&mut self, pid: i32, text: String, now: Now) -> Effect {
        // A start is told once its pid is known; a line that comes before must not tell it first.
        let state = match &self.current {
            Current::Live(life) if life.pid == 0 => life.from,
            Current::Live(_) | Current::Down(_) => self.state(),
        };
        let mut out = Vec::new();
        self.record(
            state,
            state,
            self.serving,
            pid,
            Cause::default(),
            now,
            &mut out,
            |transition| {
                transition.note = text;
            },
        );
        out.remove(0)
    }

    /// The spec for the next start.
    pub fn installed(&self) -> Option<&Rc<Spec>> {
        self.installed.as_ref()
    }

    /// The processes there are, and those that are being made.
    pub(crate) fn lives(&self) -> impl Iterator<Item = &Life> {
        let current = match &self.current {
            Current::Live(life) => Some(life),
            Current::Down(_) => None,
        };
        let beside = self.next.iter().chain(&self.leaving);
        current.into_iter().chain(beside)
    }

    /// Pids of every process that is kept now, the current one first.
    pub fn pids(&self) -> Vec<i32> {
        self.lives()
            .map(|life| life.pid)
            .filter(|pid| *pid > 0)
            .collect()
    }

    /// The spec that a living generation was started with.
    pub fn spec_of(&self, generation: u64) -> Option<&Rc<Spec>> {
        self.lives()
            .find(|life| life.generation == generation)
            .map(|life| &life.spec)
    }
}
