//! One process of a slot: how it is pressed towards its end, and whose it is.

use crate::slot::{Current, Effect, Life, Now, Slot, Stage, Then};
use std::rc::Rc;
use wire::{Cause, Ready, Spec, State, Transition, Why};

/// The first pause after a failed start, and the unit that doubles.
pub(crate) const GAP_FIRST_MS: u64 = 1_000;
/// The longest pause between two starts: a broken dependency is noticed within a minute of its return.
pub(crate) const GAP_MAX_MS: u64 = 60_000;
/// A life shorter than this always costs a pause, whatever `startsecs` says: nothing spins.
pub(crate) const LIFE_SHORT_MS: u64 = 1_000;
/// (S) How long a FATAL process rests before it is tried again.
pub(crate) const FATAL_RETRY_MS: u64 = 60_000;
/// An unhealthy process does not answer; what is in flight gets this long, and so does its stop signal.
pub(crate) const UNHEALTHY_DRAIN_MS: u64 = 1_000;
/// SIGKILL is sent again at this interval: a process in an uninterruptible wait dies when the wait ends.
pub(crate) const KILL_AGAIN_MS: u64 = 10_000;

/// Whose process it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Current,
    Next,
    Leaving,
    Nobody,
}

impl Life {
    /// Stage Draining at its deadline, Stopping at its kill time.
    pub(crate) fn press(&mut self, now: Now, out: &mut Vec<Effect>) {
        match self.stage {
            Stage::Up => {}
            Stage::Draining { deadline_ms, .. } => {
                if deadline_ms <= now.mono_ms {
                    self.signal_stop(None, now, out);
                }
            }
            Stage::Stopping {
                ref mut kill_at_ms,
                ref mut killed,
                ..
            } => {
                if *kill_at_ms <= now.mono_ms {
                    *killed = true;
                    *kill_at_ms = now.mono_ms + KILL_AGAIN_MS;
                    out.push(Effect::Signal {
                        pid: self.pid,
                        signal: 9,
                        group: self.spec.kill_as_group,
                    });
                }
            }
        }
    }

    /// From Up or Draining to Stopping.
    pub(crate) fn signal_stop(&mut self, wait_ms: Option<u64>, now: Now, out: &mut Vec<Effect>) {
        let then = match std::mem::replace(&mut self.stage, Stage::Up) {
            Stage::Draining { then, .. } | Stage::Stopping { then, .. } => then,
            Stage::Up => Then::Stay { window: false },
        };
        let hurried = matches!(then, Then::Again).then_some(UNHEALTHY_DRAIN_MS);
        let wait_ms = self
            .spec
            .stop_wait_ms
            .min(wait_ms.or(hurried).unwrap_or(u64::MAX));
        self.stage = Stage::Stopping {
            kill_at_ms: now.mono_ms.saturating_add(wait_ms),
            killed: false,
            then,
        };
        if self.pid > 0 {
            out.push(Effect::Signal {
                pid: self.pid,
                signal: self.spec.stop_signal,
                group: self.spec.stop_as_group,
            });
        }
    }
}

impl Life {
    pub(crate) fn new(generation: u64, spec: Rc<Spec>, cause: Cause, now: Now) -> Life {
        Life {
            generation,
            spec,
            from: State::Stopped,
            pid: 0,
            started: now,
            stage: Stage::Up,
            lived: false,
            checked: false,
            ready_wall_ms: 0,
            cause,
            unhealthy: 0,
            last_answer: String::new(),
        }
    }

    /// What it is not ready for: the last answer of its check, or what was awaited and never came.
    pub(crate) fn last_seen(&self) -> String {
        let asked = match &self.spec.ready {
            Ready::Http { path, .. } => format!("GET {path}: "),
            _ => String::new(),
        };
        match self.last_answer.as_str() {
            "" => awaited(&self.spec.ready),
            // A refused token names its own path.
            answer if answer.starts_with("it ") => answer.to_owned(),
            answer => format!("{asked}{answer}"),
        }
    }

    /// The same while it is waited for; empty where nobody asked for a check, or it is ready.
    pub(crate) fn waiting(&self) -> String {
        let asked = !matches!(self.spec.ready, Ready::Lived {} | Ready::Connect {});
        match asked && self.stage == Stage::Up && !self.ready() {
            true => self.last_seen(),
            false => String::new(),
        }
    }
}

/// What a check waits for, in words that are true as long as nothing came.
fn awaited(ready: &Ready) -> String {
    match ready {
        Ready::Lived {} => "it has not lived long enough".to_owned(),
        Ready::Connect {} | Ready::Tcp {} => "nothing listens at its address".to_owned(),
        Ready::Http { path, .. } => format!("GET {path} was not answered"),
        Ready::Descriptor { number } => format!("nothing came on descriptor {number}"),
        Ready::Log { pattern } => format!("no line of its output matched `{pattern}`"),
        Ready::Notify {} => "READY=1 did not come at NOTIFY_SOCKET".to_owned(),
        Ready::Exec { argv } => {
            let name = argv.first().map_or("the command", String::as_str);
            format!("`{name}` has not ended yet")
        }
    }
}

/// Drains `life` where a gateway stands in front of it and it was ready, else signals it at once.
pub(crate) fn begin_stop(
    life: &mut Life,
    then: Then,
    drain_ms: Option<u64>,
    now: Now,
    out: &mut Vec<Effect>,
) {
    let generation = life.generation;
    out.push(Effect::EndChecks { generation });
    let drain = life.spec.gated && life.ready() && life.spec.drain_timeout_ms > 0;
    let drain_ms = drain_ms.unwrap_or(u64::MAX).min(life.spec.drain_timeout_ms);
    let deadline_ms = now.mono_ms.saturating_add(drain_ms);
    life.stage = Stage::Draining { deadline_ms, then };
    if drain {
        out.push(Effect::Drain {
            generation,
            deadline_ms,
        });
    } else {
        life.signal_stop(None, now, out);
    }
}

pub(crate) fn exit_cause(exit: i32, oom: bool) -> Cause {
    let text = if exit < 0 {
        format!("was killed by {}", wire::signals::name(-exit))
    } else {
        format!("exited with status {exit}")
    };
    Cause {
        why: if oom { Why::OutOfMemory } else { Why::Crash },
        text,
    }
}

impl Slot {
    pub(crate) fn who(&self, pid: i32) -> Who {
        let is = |life: &Life| life.pid == pid && pid > 0;
        match &self.current {
            Current::Live(life) if is(life) => Who::Current,
            Current::Live(_) | Current::Down(_) => {
                if self.next.as_ref().is_some_and(is) {
                    Who::Next
                } else if self.leaving.as_ref().is_some_and(is) {
                    Who::Leaving
                } else {
                    Who::Nobody
                }
            }
        }
    }

    pub(crate) fn is_current(&self, generation: u64) -> bool {
        matches!(&self.current, Current::Live(life) if life.generation == generation)
    }

    pub(crate) fn life_mut(&mut self, generation: u64) -> Option<&mut Life> {
        let current = match &mut self.current {
            Current::Live(life) => Some(life),
            Current::Down(_) => None,
        };
        current
            .into_iter()
            .chain(&mut self.next)
            .chain(&mut self.leaving)
            .find(|life| life.generation == generation)
    }

    pub(crate) fn note_away(&mut self, now: Now) {
        let ready =
            matches!(&self.current, Current::Live(life) if life.stage == Stage::Up && life.ready());
        if ready || self.generation == 0 {
            self.away_since_ms = None;
        } else if self.away_since_ms.is_none() && self.starts_total > 0 {
            self.away_since_ms = Some(now.mono_ms);
        }
    }

    #[allow(clippy::too_many_arguments)] // the columns of a ledger line
    pub(crate) fn record(
        &mut self,
        from: State,
        to: State,
        generation: u64,
        pid: i32,
        cause: Cause,
        now: Now,
        out: &mut Vec<Effect>,
        more: impl FnOnce(&mut Transition),
    ) {
        let mut transition = Transition {
            wall_ms: now.wall_ms,
            from,
            to,
            generation,
            pid,
            cause,
            counts: self.counts.clone(),
            ..Transition::default()
        };
        more(&mut transition);
        out.push(Effect::Record(Box::new(transition)));
    }
}
