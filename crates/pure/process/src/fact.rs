//! What the slot looks like from outside, and when it must be woken.

use crate::slot::{Current, Down, Life, Slot, Stage, Then};
use wire::{Address, Fact, Leaving, Phase, Ready, State};

impl Life {
    /// Supervisor's RUNNING.
    pub(crate) fn running(&self) -> bool {
        if self.spec.oneshot {
            return self.lived;
        }
        match self.spec.ready {
            Ready::Lived {} | Ready::Connect {} => self.lived,
            Ready::Http { .. }
            | Ready::Tcp {}
            | Ready::Descriptor { .. }
            | Ready::Log { .. }
            | Ready::Notify {}
            | Ready::Exec { .. } => self.checked,
        }
    }

    /// RUNNING is a matter of time only.
    pub(crate) fn lives_to_run(&self) -> bool {
        self.spec.oneshot || matches!(self.spec.ready, Ready::Lived {} | Ready::Connect {})
    }

    /// Requests may flow. What runs to its end never is: its success is its end.
    pub(crate) fn ready(&self) -> bool {
        if self.spec.oneshot {
            return false;
        }
        match self.spec.ready {
            Ready::Lived {} => self.lived,
            Ready::Connect {}
            | Ready::Http { .. }
            | Ready::Tcp {}
            | Ready::Descriptor { .. }
            | Ready::Log { .. }
            | Ready::Notify {}
            | Ready::Exec { .. } => self.checked,
        }
    }

    fn phase(&self) -> Phase {
        match &self.stage {
            Stage::Up if self.ready() => Phase::Ready,
            Stage::Up => Phase::Starting,
            Stage::Draining {
                then: Then::Stay { window: false },
                ..
            } => Phase::DrainingToStop,
            Stage::Draining { .. } => Phase::Draining,
            Stage::Stopping { then, .. } => match then {
                Then::Stay { .. } => Phase::Stopped,
                Then::Replace(_) | Then::Again | Then::Failed => Phase::Restarting,
            },
        }
    }

    pub(crate) fn state(&self) -> State {
        match self.stage {
            Stage::Up if self.running() => State::Running,
            Stage::Up => State::Starting,
            Stage::Draining { .. } | Stage::Stopping { .. } => State::Stopping,
        }
    }

    fn timer(&self) -> Option<u64> {
        match self.stage {
            Stage::Up => {
                let lived = (!self.lived).then(|| self.lived_at_ms());
                let by = (!self.ready() && self.pid > 0)
                    .then(|| self.ready_by_ms())
                    .filter(|by| *by < u64::MAX);
                lived.into_iter().chain(by).min()
            }
            Stage::Draining { deadline_ms, .. } => Some(deadline_ms),
            Stage::Stopping { kill_at_ms, .. } => Some(kill_at_ms),
        }
    }

    pub(crate) fn lived_at_ms(&self) -> u64 {
        self.started.mono_ms + u64::from(self.spec.start_secs) * 1000
    }

    /// When it is too late to get ready. What is ready once it has lived long enough is never late, however long
    /// `startsecs` is.
    pub(crate) fn ready_by_ms(&self) -> u64 {
        match !self.spec.oneshot && self.spec.ready == (Ready::Lived {}) {
            true => u64::MAX,
            false => self
                .started
                .mono_ms
                .saturating_add(self.spec.ready_timeout_ms),
        }
    }

    /// `unix:PATH`, `tcp:HOST:PORT` or empty. A port per generation is known to the shell only.
    fn address(&self) -> String {
        match &self.spec.address {
            Address::Unknown {} | Address::GenerationPort {} => String::new(),
            Address::GenerationSocket {} => {
                format!("unix:{}/{}.sock", self.spec.app_dir, self.generation)
            }
            Address::Unix { path } => format!("unix:{path}"),
            Address::Tcp { address } => format!("tcp:{address}"),
        }
    }
}

impl Slot {
    /// Supervisor's state of the slot.
    pub fn state(&self) -> State {
        match &self.current {
            Current::Live(life) => life.state(),
            Current::Down(down) => match down {
                Down::Stopped { .. } => State::Stopped,
                Down::Exited => State::Exited,
                Down::Fatal { .. } => State::Fatal,
                Down::Waiting { state, .. } => *state,
            },
        }
    }

    /// What is true now. `seq`, `slot`, the address of a port and what a role of ours says is wrong are the shell's to
    /// fill in.
    pub fn fact(&self) -> Fact {
        let (phase, window_until_ms, next_try_wall_ms) = match &self.current {
            Current::Live(life) => match life.stage {
                Stage::Stopping {
                    then: Then::Stay { window },
                    ..
                } => (life.phase(), if window { u64::MAX } else { 0 }, 0),
                Stage::Up | Stage::Draining { .. } | Stage::Stopping { .. } => (life.phase(), 0, 0),
            },
            Current::Down(down) => match down {
                Down::Stopped { window_until_ms } => (Phase::Stopped, *window_until_ms, 0),
                Down::Exited => (Phase::Exited, 0, 0),
                Down::Fatal { .. } => (Phase::Fatal, 0, 0),
                Down::Waiting { until_wall_ms, .. } => (Phase::Restarting, 0, *until_wall_ms),
            },
        };
        let life = match &self.current {
            Current::Live(life) => Some(life),
            Current::Down(_) => None,
        };
        // Without a process the definition of the next start, which is not what was installed where that was refused.
        let spec = match &self.current {
            Current::Live(life) => Some(&life.spec),
            Current::Down(
                Down::Waiting { again, .. }
                | Down::Fatal {
                    retry: Some((_, again)),
                },
            ) => Some(again),
            Current::Down(Down::Stopped { .. } | Down::Exited | Down::Fatal { retry: None }) => {
                self.installed.as_ref()
            }
        };
        Fact {
            generation: self.serving,
            group: spec.map(|spec| spec.group.clone()).unwrap_or_default(),
            process: spec.map(|spec| spec.process.clone()).unwrap_or_default(),
            phase,
            state: self.state(),
            address: life.map(Life::address).unwrap_or_default(),
            pid: life.map_or(0, |life| life.pid),
            started_wall_ms: life.map_or(0, |life| life.started.wall_ms),
            ready_wall_ms: life.map_or(0, |life| life.ready_wall_ms),
            stopped_wall_ms: self.stopped_wall_ms,
            spec_hash: spec.map(|spec| spec.hash.clone()).unwrap_or_default(),
            refused_hash: self.refused_hash.clone(),
            exit_status: self.exit_status,
            spawn_error: self.spawn_error.clone(),
            drain_deadline_ms: match life.map(|life| &life.stage) {
                Some(Stage::Draining { deadline_ms, .. }) => *deadline_ms,
                Some(Stage::Up | Stage::Stopping { .. }) | None => 0,
            },
            window_until_ms,
            leaving: self.leaving.as_ref().map(|life| Leaving {
                generation: life.generation,
                deadline_ms: life.timer().unwrap_or(0),
                key: life.spec.key,
            }),
            wanted: self.wanted,
            restarts: self.starts_total.saturating_sub(1),
            operator_restarts: self.operator_restarts,
            backoff: self.tries,
            unhealthy: life.map_or(0, |life| life.unhealthy),
            counts: self.counts.clone(),
            next_try_wall_ms,
            next_pid: self.next.as_ref().map_or(0, |life| life.pid),
            key: life.map_or(0, |life| life.spec.key),
            waiting: self
                .next
                .as_ref()
                .or(life)
                .map_or_else(String::new, Life::waiting),
            next_key: self.next.as_ref().map_or(0, |life| life.spec.key),
            trouble: None,
            seq: 0,
            slot: 0,
        }
    }

    /// When [`crate::Event::Tick`] is due, CLOCK_MONOTONIC ms; None = nothing to wait for.
    pub fn next_timer(&self) -> Option<u64> {
        let current = match &self.current {
            Current::Live(life) => life.timer(),
            Current::Down(down) => match down {
                Down::Stopped { .. } | Down::Exited => None,
                Down::Fatal { retry } => retry.as_ref().map(|(at_ms, _)| *at_ms),
                Down::Waiting { until_ms, .. } => Some(*until_ms),
            },
        };
        let others = self
            .next
            .iter()
            .chain(&self.leaving)
            .filter_map(Life::timer);
        current.into_iter().chain(others).min()
    }
}
