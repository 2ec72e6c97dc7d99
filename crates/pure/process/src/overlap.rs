//! Overlap: the next generation beside the current one, the switch, the old one's leave.
use crate::life::{begin_stop, exit_cause};
use crate::slot::{CheckMode, Current, Down, Effect, Life, Now, Queued, Slot, Stage, Then};
use crate::table::answer;
use std::rc::Rc;
use wire::{Outcome, Spec, State};

impl Slot {
    pub(crate) fn start_next(
        &mut self,
        spec: Rc<Spec>,
        request: Queued,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        self.generation += 1;
        self.next = Some(Life::new(self.generation, spec.clone(), request.cause, now));
        self.next_op = Some(request.op);
        out.push(Effect::Spawn {
            generation: self.generation,
            spec,
        });
    }

    /// The next generation is ready: it becomes the current one, the old one leaves.
    pub(crate) fn switch(&mut self, now: Now, out: &mut Vec<Effect>) {
        if !matches!(self.current, Current::Live(_)) {
            return;
        }
        let from = self.state();
        let Some(mut next) = self.next.take() else {
            return;
        };
        let Current::Live(mut old) =
            std::mem::replace(&mut self.current, Current::Down(Down::Exited))
        else {
            return;
        };
        self.spawn_error.clear();
        self.exit_status = 0;
        self.count_start(&next.cause);
        next.ready_wall_ms = now.wall_ms;
        next.lived |= next.lived_at_ms() <= now.mono_ms;
        self.renew();
        let (generation, pid, cause) = (next.generation, next.pid, next.cause.clone());
        let took_ms = now.mono_ms.saturating_sub(next.started.mono_ms);
        if next.spec.keepalive_ms > 0 {
            out.push(Effect::Check {
                generation,
                mode: CheckMode::KeepAlive(next.spec.keepalive_ms),
            });
        }
        // Supervisor's view stays RUNNING across the switch, also where startsecs is not over yet.
        next.lived = true;
        self.serving = generation;
        self.current = Current::Live(next);
        old.cause = cause.clone();
        begin_stop(&mut old, Then::Stay { window: false }, None, now, out);
        self.leaving = Some(old);
        if from != State::Running {
            // The old one was ready before `startsecs` were over; whoever waits for RUNNING has it now.
            self.record(
                from,
                State::Running,
                generation,
                pid,
                cause.clone(),
                now,
                out,
                |_| {},
            );
        }
        self.record(
            State::Running,
            State::Running,
            generation,
            pid,
            cause,
            now,
            out,
            |transition| {
                transition.replaced = true;
                transition.took_ms = took_ms;
            },
        );
        if let Some(op) = self.next_op.take() {
            out.push(answer(op, Outcome::Done, &format!("pid {pid}")));
        }
        self.came_up(&format!("pid {pid}"), out);
    }

    /// The next generation was not ready in time: stopped, the old one goes on.
    pub(crate) fn refuse_next(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Some(next) = &self.next else { return };
        let text = format!(
            "generation {} was not ready within {} s; the check's last answer: {}",
            next.generation,
            next.spec.ready_timeout_ms / 1000,
            next.last_seen()
        );
        self.refused_hash = next.spec.hash.clone();
        let (generation, pid, cause) = (next.generation, next.pid, next.cause.clone());
        let (state, note) = (self.state(), text.clone());
        self.record(
            state,
            state,
            generation,
            pid,
            cause,
            now,
            out,
            |transition| transition.note = note,
        );
        self.answer_next(Outcome::Abnormal, text, out);
        self.stop_next(Outcome::Abnormal, "", now, out);
    }

    pub(crate) fn answer_next(&mut self, outcome: Outcome, text: String, out: &mut Vec<Effect>) {
        let generation = self.next.as_ref().map(|next| next.generation);
        if let Some(op) = self.next_op.take() {
            out.push(Effect::Answer {
                op,
                outcome,
                text,
                output_of: generation,
            });
        }
    }

    /// Stops a next generation that is not wanted any more; it is gone when its exit comes.
    pub(crate) fn stop_next(
        &mut self,
        outcome: Outcome,
        text: &str,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        if let Some(op) = self.next_op.take() {
            out.push(answer(op, outcome, text));
        }
        if let Some(queued) = self.queued.take() {
            out.push(answer(queued.op, outcome, text));
        }
        if let Some(next) = &mut self.next
            && next.stage == Stage::Up
        {
            out.push(Effect::EndChecks {
                generation: next.generation,
            });
            next.signal_stop(None, now, out);
        }
    }

    pub(crate) fn fail_next(&mut self, text: String, now: Now, out: &mut Vec<Effect>) {
        let Some(next) = &self.next else { return };
        self.refused_hash = next.spec.hash.clone();
        let (generation, pid, cause) = (next.generation, next.pid, next.cause.clone());
        let going_on = format!("{text}; the one before it goes on");
        self.answer_next(Outcome::Abnormal, going_on, out);
        let state = self.state();
        self.record(
            state,
            state,
            generation,
            pid,
            cause,
            now,
            out,
            |transition| transition.note = text,
        );
        self.next = None;
    }

    pub(crate) fn next_exited(&mut self, exit: i32, now: Now, out: &mut Vec<Effect>) {
        let Some(next) = &self.next else { return };
        out.push(Effect::EndChecks {
            generation: next.generation,
        });
        out.push(Effect::Sweep {
            pid: next.pid,
            kill: next.spec.kill_leftovers,
        });
        if next.stage == Stage::Up {
            let text = format!(
                "generation {} {} before it was ready",
                next.generation,
                exit_cause(exit, false).text
            );
            self.fail_next(text, now, out);
        } else {
            self.next = None;
        }
    }

    /// The current generation died while its replacement was starting: the replacement becomes a hold.
    pub(crate) fn promote_next(&mut self, dead: &Life, now: Now, out: &mut Vec<Effect>) -> bool {
        if !self
            .next
            .as_ref()
            .is_some_and(|next| next.stage == Stage::Up)
        {
            return false;
        }
        let Some(next) = self.next.take() else {
            return false;
        };
        self.renew();
        self.fallback = Some(dead.spec.clone());
        let from = self.state();
        self.starts.extend(self.next_op.take());
        let (generation, pid, cause) = (next.generation, next.pid, next.cause.clone());
        self.spawn_error.clear();
        self.exit_status = 0;
        self.count_start(&cause);
        self.serving = generation;
        self.current = Current::Live(next);
        self.record(
            from,
            State::Starting,
            generation,
            pid,
            cause,
            now,
            out,
            |_| {},
        );
        // It may have lived for `startsecs` already.
        self.settle(false, false, now, out);
        true
    }

    pub(crate) fn hurry_leaving(&mut self, now: Now, out: &mut Vec<Effect>) {
        if let Some(leaving) = &mut self.leaving
            && matches!(leaving.stage, Stage::Draining { .. })
        {
            leaving.signal_stop(None, now, out);
        }
    }

    pub(crate) fn leaving_exited(&mut self, exit: i32, now: Now, out: &mut Vec<Effect>) {
        let Some(leaving) = self.leaving.take() else {
            return;
        };
        out.push(Effect::Sweep {
            pid: leaving.pid,
            kill: leaving.spec.kill_leftovers,
        });
        let state = self.state();
        let lived_ms = now.mono_ms.saturating_sub(leaving.started.mono_ms);
        self.record(
            state,
            state,
            leaving.generation,
            leaving.pid,
            leaving.cause,
            now,
            out,
            |transition| {
                transition.exit = Some(exit);
                transition.lived_ms = lived_ms;
                transition.note = "left".into();
            },
        );
    }
}
