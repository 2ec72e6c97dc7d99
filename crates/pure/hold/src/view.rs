//! What a worker knows of one slot: its keeper's last word, and what its own connects taught it since.

use wire::{Counts, Fact, Phase};

use crate::limits::{PROBE_ALONE_MS, PROBE_FIRST_MS, PROBE_MAX_MS};
use crate::table::Why;

/// May a request go to a slot now?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Yes.
    Open,
    /// Not before this time (a probe's, or the end of a window).
    Until(u64),
    /// Not before the keeper says something new.
    Wait,
    /// No, and there is nothing to wait for.
    Down(Why),
}

/// Tries to connect after a failure: one request at a time is the probe.
#[derive(Debug, Clone, Copy)]
struct Probe {
    wait_ms: u64,
    next_ms: u64,
    /// Since when a request is out to try.
    out_since_ms: Option<u64>,
}

/// One slot.
#[derive(Debug)]
pub struct Slot {
    phase: Phase,
    generation: u64,
    pid: i32,
    key: u32,
    address: String,
    window_until_ms: u64,
    leaving: Option<u64>,
    silent: bool,
    probe: Option<Probe>,
    /// Nobody tells about it, but it can be asked.
    asked: bool,
    flying: Vec<(u64, u64)>,
    /// A repeat ended with the program, and nothing was answered since.
    pub(crate) suspicion: bool,
    /// What this worker counted for the slot.
    pub counts: Counts,
}

impl Slot {
    /// A slot whose keeper has not spoken yet.
    pub fn unknown() -> Slot {
        Slot {
            phase: Phase::Starting,
            generation: 0,
            pid: 0,
            key: 0,
            address: String::new(),
            window_until_ms: 0,
            leaving: None,
            silent: true,
            probe: None,
            asked: false,
            flying: Vec::new(),
            suspicion: false,
            counts: Counts::default(),
        }
    }

    /// A server that somebody else runs: always worth a try.
    pub fn fixed(address: &str) -> Slot {
        Slot {
            phase: Phase::Ready,
            address: address.to_owned(),
            ..Slot::unknown()
        }
    }

    /// The same, if it can be asked whether it is ready: once a connect has failed, a connect is no proof any more, and
    /// requests wait until [`crate::Program::back`].
    pub fn fixed_and_asked(address: &str) -> Slot {
        Slot {
            asked: true,
            ..Slot::fixed(address)
        }
    }

    /// It was found unreachable, and has to be asked whether it is ready.
    pub fn is_away(&self) -> bool {
        self.asked && self.phase != Phase::Ready
    }

    /// Where the current generation answers.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The current generation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Number of the key that the current generation was started with; 0 = none that a gateway knows.
    pub fn key(&self) -> u32 {
        self.key
    }

    /// Whether a connection to the current generation may be kept for the next request.
    pub fn keeps_idle(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Takes the keeper's word. True if idle connections are to be closed.
    pub(crate) fn told(&mut self, fact: &Fact) -> bool {
        let same = self.generation == fact.generation
            && self.address == fact.address
            && self.pid == fact.pid
            && self.phase == fact.phase
            && !self.silent;
        self.silent = false;
        self.phase = fact.phase;
        self.generation = fact.generation;
        self.pid = fact.pid;
        self.key = fact.key;
        self.window_until_ms = fact.window_until_ms;
        self.leaving = fact.leaving.as_ref().map(|old| old.generation);
        if self.address != fact.address {
            self.address.clone_from(&fact.address);
        }
        let current = self.generation;
        self.flying
            .retain(|(of, count)| *count > 0 || *of == current);
        if !same {
            self.probe = None;
        }
        !same
    }

    /// The keeper's connection is gone: its last word may be old.
    pub(crate) fn lost(&mut self) {
        self.silent = true;
        self.probe = None;
    }

    pub(crate) fn leaving(&self) -> Option<u64> {
        self.leaving
    }

    /// See [`Gate`].
    pub fn gate(&self, now: u64) -> Gate {
        match (self.phase, self.silent) {
            (Phase::Ready, _) | (Phase::Starting | Phase::Restarting | Phase::Draining, true) => {
                self.probe_gate(now)
            }
            // A server may accept before its app works, so a connect proves nothing: wait for *ready*.
            (Phase::Starting | Phase::Restarting | Phase::Draining, false) => Gate::Wait,
            (Phase::Exited | Phase::Stopped | Phase::Removed, _) => match self.window_until_ms {
                u64::MAX => Gate::Wait,
                until if now < until => Gate::Until(until),
                _ => Gate::Down(Why::Stopped),
            },
            (Phase::DrainingToStop, _) => Gate::Down(Why::Stopped),
            (Phase::Fatal, _) => Gate::Down(Why::Fatal),
        }
    }

    fn probe_gate(&self, now: u64) -> Gate {
        match self.probe {
            _ if self.address.is_empty() => Gate::Wait,
            None => Gate::Open,
            Some(Probe {
                out_since_ms: Some(since),
                ..
            }) if now < since.saturating_add(PROBE_ALONE_MS) => {
                Gate::Until(since.saturating_add(PROBE_ALONE_MS))
            }
            Some(Probe { next_ms, .. }) if now < next_ms => Gate::Until(next_ms),
            Some(_) => Gate::Open,
        }
    }

    /// A request goes to the slot. True if it is the probe.
    pub(crate) fn take_off(&mut self, now: u64) -> bool {
        let generation = self.generation;
        match self.flying.iter_mut().find(|(of, _)| *of == generation) {
            Some((_, count)) => *count += 1,
            None => self.flying.push((generation, 1)),
        }
        match &mut self.probe {
            Some(probe) => {
                probe.out_since_ms = Some(now);
                true
            }
            None => false,
        }
    }

    /// A request is no longer at the slot.
    pub(crate) fn land(&mut self, generation: u64) {
        if let Some(at) = self.flying.iter().position(|(of, _)| *of == generation) {
            self.flying[at].1 = self.flying[at].1.saturating_sub(1);
            if self.flying[at].1 == 0 && generation != self.generation {
                self.flying.swap_remove(at);
            }
        }
    }

    /// A connect worked.
    pub(crate) fn connected(&mut self) {
        self.probe = None;
    }

    /// The probe came back without having tried (its client left).
    pub(crate) fn probe_back(&mut self) {
        if let Some(probe) = &mut self.probe {
            probe.out_since_ms = None;
        }
    }

    /// It says that it is ready.
    pub(crate) fn back(&mut self) {
        if self.is_away() {
            self.phase = Phase::Ready;
        }
    }

    /// A connect failed.
    pub(crate) fn failed(&mut self, now: u64, was_probe: bool) {
        if self.asked {
            (self.phase, self.silent) = (Phase::Starting, false);
            return;
        }
        let wait_ms = match self.probe {
            None => PROBE_FIRST_MS,
            Some(probe) if was_probe => (probe.wait_ms * 2).min(PROBE_MAX_MS),
            // Others that were under way when the first one failed teach nothing new.
            Some(_) => return,
        };
        self.probe = Some(Probe {
            wait_ms,
            next_ms: now.saturating_add(wait_ms),
            out_since_ms: None,
        });
    }

    /// Requests of this worker at a generation.
    pub fn in_flight(&self, generation: u64) -> u64 {
        self.flying
            .iter()
            .filter(|(of, _)| *of == generation)
            .map(|(_, count)| count)
            .sum()
    }

    /// Requests of this worker at the slot.
    pub fn in_flight_all(&self) -> u64 {
        self.flying.iter().map(|(_, count)| count).sum()
    }
}

/// The slot that a request should go to: the open one with least in flight; else how long to wait.
pub(crate) fn choose(slots: &[Slot], now: u64) -> (Gate, usize) {
    if let [slot] = slots {
        return (slot.gate(now), 0);
    }
    let mut best: Option<(Gate, usize)> = None;
    for (at, slot) in slots.iter().enumerate() {
        let gate = slot.gate(now);
        let better = match (gate, best) {
            (_, None) => true,
            (Gate::Open, Some((Gate::Open, other))) => {
                slot.in_flight_all() < slots[other].in_flight_all()
            }
            (Gate::Open, Some(_)) => true,
            (Gate::Until(a), Some((Gate::Until(b), _))) => a < b,
            (Gate::Until(_), Some((Gate::Wait | Gate::Down(_), _))) => true,
            (Gate::Wait, Some((Gate::Down(_), _))) => true,
            (Gate::Until(_) | Gate::Wait | Gate::Down(_), Some(_)) => false,
        };
        if better {
            best = Some((gate, at));
        }
    }
    best.unwrap_or((Gate::Down(Why::Stopped), 0))
}
