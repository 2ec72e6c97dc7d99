//! Starting: a spec becomes a generation, a generation a process.
use crate::slot::{CheckMode, Current, Down, Effect, Life, Now, Slot};
use crate::stop::window_end;
use crate::table::{SHUTTING_DOWN, answer};
use std::rc::Rc;
use wire::{Cause, Outcome, Ready, Spec, State, Why};

impl Slot {
    /// The definition of the next start. Until the first one comes, requests wait as in a restart: listeners are
    /// open before the daemon has come to this slot's turn.
    pub(crate) fn install(&mut self, spec: Rc<Spec>, now: Now) {
        if self.generation == 0
            && let Current::Down(Down::Stopped { window_until_ms }) = &mut self.current
        {
            *window_until_ms = window_end(now, spec.restart_window_ms);
        }
        self.installed = Some(spec);
    }

    /// Puts the installed spec into service as a new generation.
    pub(crate) fn begin(&mut self, op: Option<u64>, cause: Cause, now: Now, out: &mut Vec<Effect>) {
        let Some(spec) = self.installed.clone() else {
            out.extend(op.map(|op| answer(op, Outcome::Refused, "nothing was installed")));
            return;
        };
        if self.no_restarts {
            out.extend(op.map(|op| answer(op, Outcome::Refused, SHUTTING_DOWN)));
            return;
        }
        self.starts.extend(op);
        self.wanted = true;
        self.renew();
        self.generation += 1;
        self.spawn(self.generation, spec, cause, now, out);
    }

    /// Another definition comes into service: what was counted against the one before, and kept for it, is over. A
    /// restart that waited for its turn has it now.
    pub(crate) fn renew(&mut self) {
        self.starts
            .extend(self.queued.take().map(|queued| queued.op));
        self.tries = 0;
        self.short_lives = 0;
        self.fallback = None;
        self.refused_hash.clear();
    }

    /// A process has come into service: the first one is no restart.
    pub(crate) fn count_start(&mut self, cause: &Cause) {
        if self.starts_total > 0 && cause.why == Why::Operator {
            self.operator_restarts += 1;
        }
        self.starts_total += 1;
    }

    /// Makes a life of `spec` the current one and asks for its process.
    pub(crate) fn spawn(
        &mut self,
        generation: u64,
        spec: Rc<Spec>,
        cause: Cause,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        self.serving = generation;
        let mut life = Life::new(generation, spec.clone(), cause, now);
        life.from = self.state();
        self.current = Current::Live(life);
        out.push(Effect::Spawn { generation, spec });
    }

    /// The STARTING of Supervisor's log, told once its pid (0 = none) is known.
    pub(crate) fn record_starting(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Current::Live(life) = &self.current else {
            return;
        };
        let (from, generation, pid) = (life.from, life.generation, life.pid);
        let (cause, tries) = (life.cause.clone(), self.tries);
        self.record(
            from,
            State::Starting,
            generation,
            pid,
            cause,
            now,
            out,
            |transition| {
                transition.tries = tries;
            },
        );
    }

    pub(crate) fn spawned(&mut self, generation: u64, pid: i32, now: Now, out: &mut Vec<Effect>) {
        let Some(life) = self.life_mut(generation) else {
            return;
        };
        life.pid = pid;
        life.started = now;
        let cause = life.cause.clone();
        let check = match life.spec.ready {
            _ if life.spec.oneshot => life.spec.start_secs == 0,
            Ready::Lived {} => life.spec.start_secs == 0,
            Ready::Connect {}
            | Ready::Http { .. }
            | Ready::Tcp {}
            | Ready::Descriptor { .. }
            | Ready::Log { .. }
            | Ready::Notify {}
            | Ready::Exec { .. } => {
                out.push(Effect::Check {
                    generation,
                    mode: CheckMode::UntilReady,
                });
                life.spec.start_secs == 0
            }
        };
        if self.is_current(generation) {
            self.count_start(&cause);
            self.spawn_error.clear();
            self.exit_status = 0;
            self.record_starting(now, out);
        }
        if check {
            self.advance(now, out);
        }
    }

    pub(crate) fn spawn_failed(
        &mut self,
        generation: u64,
        text: String,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        if self.is_current(generation) {
            self.spawn_error = text.clone();
            self.record_starting(now, out);
            self.failed_start(
                Outcome::SpawnError,
                text,
                Cause {
                    why: Why::Crash,
                    text: "not started".into(),
                },
                now,
                out,
            );
        } else if self
            .next
            .as_ref()
            .is_some_and(|next| next.generation == generation)
        {
            self.fail_next(
                format!("generation {generation} could not be started: {text}"),
                now,
                out,
            );
        }
    }
}
