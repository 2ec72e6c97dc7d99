//! Ending: stopped, ended by itself, or never got up; and what follows.
use crate::life::{FATAL_RETRY_MS, GAP_FIRST_MS, GAP_MAX_MS, LIFE_SHORT_MS, exit_cause};
use crate::slot::{Current, Down, Effect, Life, Now, Slot, Stage, Then};
use std::rc::Rc;
use wire::{Cause, Outcome, Spec, State, Transition, Why};

impl Slot {
    /// The current process is dead.
    pub(crate) fn current_exited(&mut self, exit: i32, oom: bool, now: Now, out: &mut Vec<Effect>) {
        // It lived long enough, but its death is seen before the timer: RUNNING first, as Supervisor. Whatever else
        // that timer would have found comes too late for one that is dead.
        if let Current::Live(life) = &mut self.current
            && life.stage == Stage::Up
            && life.lives_to_run()
            && !life.lived
            && life.lived_at_ms() <= now.mono_ms
        {
            let was_ready = life.ready();
            life.lived = true;
            self.settle(false, was_ready, now, out);
        }
        let Current::Live(life) = &self.current else {
            return;
        };
        let life = life.clone();
        out.push(Effect::EndChecks {
            generation: life.generation,
        });
        out.push(Effect::Sweep {
            pid: life.pid,
            kill: life.spec.kill_leftovers,
        });
        self.stopped_wall_ms = now.wall_ms;
        self.exit_status = exit.max(-1);
        match &life.stage {
            Stage::Draining { then, .. } | Stage::Stopping { then, .. } => {
                self.stopped(&life, then.clone(), exit, now, out);
            }
            Stage::Up => self.ended_by_itself(&life, exit, oom, now, out),
        }
    }

    pub(crate) fn stopped(
        &mut self,
        life: &Life,
        then: Then,
        exit: i32,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let lived_ms = now.mono_ms.saturating_sub(life.started.mono_ms);
        let note = |transition: &mut Transition| {
            transition.exit = Some(exit);
            transition.lived_ms = lived_ms;
        };
        if then == Then::Failed {
            let text = self.spawn_error.clone();
            self.failed_start(Outcome::Abnormal, text, life.cause.clone(), now, out);
            return;
        }
        // What it would have returned to belonged to that replacement only.
        self.fallback = None;
        let window = matches!(then, Then::Stay { window: true });
        self.current = Current::Down(Down::Stopped {
            window_until_ms: if window { u64::MAX } else { 0 },
        });
        if std::mem::take(&mut self.answered_early) {
            self.begin_window(now);
        }
        self.record(
            State::Stopping,
            State::Stopped,
            life.generation,
            life.pid,
            life.cause.clone(),
            now,
            out,
            note,
        );
        match then {
            Then::Stay { .. } | Then::Failed => {}
            Then::Replace(_) | Then::Again if self.no_restarts => {}
            Then::Replace(cause) => {
                let Some(spec) = self.installed.clone() else {
                    return;
                };
                self.wanted = true;
                self.renew();
                self.generation += 1;
                self.spawn(self.generation, spec, cause, now, out);
            }
            Then::Again => self.again(life, State::Stopped, life.cause.clone(), 0, now, out),
        }
    }

    pub(crate) fn ended_by_itself(
        &mut self,
        life: &Life,
        exit: i32,
        oom: bool,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let cause = exit_cause(exit, oom);
        if !life.running() {
            self.spawn_error = "Exited too quickly (process log may have details)".into();
            // Supervisor forgets the status of a start that failed.
            self.exit_status = 0;
            let text = format!("it {} before it was ready", cause.text);
            self.failed_start_with(Outcome::Abnormal, text, cause, Some((exit, life)), now, out);
            return;
        }
        let expected = life.spec.exit_codes.contains(&exit);
        let cause = if expected {
            Cause {
                why: Why::Exit,
                ..cause
            }
        } else {
            cause
        };
        if !expected {
            self.spawn_error = format!("Bad exit code {}", exit.max(-1));
        }
        let lived_ms = now.mono_ms.saturating_sub(life.started.mono_ms);
        let again = match life.spec.autorestart {
            wire::Autorestart::Always => true,
            wire::Autorestart::Unexpected => !expected,
            wire::Autorestart::Never => false,
        } && !self.no_restarts;
        self.current = Current::Down(Down::Exited);
        self.record(
            State::Running,
            State::Exited,
            life.generation,
            life.pid,
            cause.clone(),
            now,
            out,
            |transition| {
                transition.exit = Some(exit);
                transition.lived_ms = lived_ms;
                transition.expected = expected;
            },
        );
        for op in std::mem::take(&mut self.starts) {
            // What runs to its end was asked to end; whoever started it waited for that.
            let done = life.spec.oneshot && expected;
            out.push(Effect::Answer {
                op,
                outcome: if done {
                    Outcome::Done
                } else {
                    Outcome::Abnormal
                },
                text: format!("{} after {lived_ms} ms", cause.text),
                output_of: (!done).then_some(life.generation),
            });
        }
        if self.promote_next(life, now, out) {
            return;
        }
        if !again {
            self.wanted = false;
            return;
        }
        let delay_ms = life.spec.restart_delay_ms;
        self.again(life, State::Exited, cause, delay_ms, now, out);
    }

    /// The same generation once more, `delay_ms` from now at the earliest: at once after a life that was long enough.
    fn again(
        &mut self,
        life: &Life,
        state: State,
        cause: Cause,
        delay_ms: u64,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let lived_ms = now.mono_ms.saturating_sub(life.started.mono_ms);
        let long_ms = LIFE_SHORT_MS.max(u64::from(life.spec.start_secs) * 1000);
        let mut until_ms = now.mono_ms.saturating_add(delay_ms);
        if lived_ms >= long_ms {
            self.short_lives = 0;
        } else {
            // It was up, but briefly (startsecs = 0, or ready at once): only the pause counts it.
            self.short_lives += 1;
            until_ms = until_ms.max(life.started.mono_ms + self.gap_ms());
        }
        let spec = life.spec.clone();
        match until_ms <= now.mono_ms {
            true => self.spawn(life.generation, spec, cause, now, out),
            false => self.wait(until_ms, state, spec, cause, now),
        }
    }

    pub(crate) fn wait(
        &mut self,
        until_ms: u64,
        state: State,
        again: Rc<Spec>,
        cause: Cause,
        now: Now,
    ) {
        let until_wall_ms = now.wall_ms.saturating_add(until_ms - now.mono_ms);
        self.current = Current::Down(Down::Waiting {
            until_ms,
            until_wall_ms,
            state,
            again,
            cause,
        });
    }

    /// 1 s doubling to 60 s by the number of tries, up to 10 % more so that many slots spread.
    pub(crate) fn gap_ms(&mut self) -> u64 {
        self.jitter = self
            .jitter
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let gap = (GAP_FIRST_MS
            << u64::from(self.tries.max(self.short_lives).saturating_sub(1).min(6)))
        .min(GAP_MAX_MS);
        gap + gap * u64::from(self.jitter >> 16) / 10 / 65_536
    }

    pub(crate) fn failed_start(
        &mut self,
        outcome: Outcome,
        text: String,
        cause: Cause,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        self.failed_start_with(outcome, text, cause, None, now, out);
    }

    /// The current generation did not come up: BACKOFF, then again or FATAL; or back to the spec before it.
    pub(crate) fn failed_start_with(
        &mut self,
        outcome: Outcome,
        text: String,
        cause: Cause,
        ended: Option<(i32, &Life)>,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let Current::Live(life) = &self.current else {
            return;
        };
        let life = life.clone();
        self.tries += 1;
        let tries = self.tries;
        let lived_ms = now.mono_ms.saturating_sub(life.started.mono_ms);
        let from = life.state();
        let gap_ms = life.started.mono_ms + self.gap_ms();
        let delay_ms = now.mono_ms.saturating_add(life.spec.restart_delay_ms);
        let until_ms = gap_ms.max(delay_ms);
        self.wait(
            until_ms,
            State::Backoff,
            life.spec.clone(),
            cause.clone(),
            now,
        );
        let note = text.clone();
        self.record(
            from,
            State::Backoff,
            life.generation,
            life.pid,
            cause.clone(),
            now,
            out,
            |transition| {
                transition.tries = tries;
                transition.note = note;
                transition.exit = ended.map(|(exit, _)| exit);
                transition.lived_ms = lived_ms;
            },
        );
        for op in std::mem::take(&mut self.starts) {
            out.push(Effect::Answer {
                op,
                outcome,
                text: text.clone(),
                output_of: Some(life.generation),
            });
        }
        // Ready, but not RUNNING yet, and its replacement is on the way.
        if self.promote_next(&life, now, out) {
            return;
        }
        if let Some(spec) = self.fallback.take().filter(|_| !self.no_restarts) {
            self.refused_hash = life.spec.hash.clone();
            self.tries = 0;
            self.generation += 1;
            self.spawn(
                self.generation,
                spec,
                Cause {
                    why: Why::Crash,
                    text: "back to the definition before".into(),
                },
                now,
                out,
            );
        } else if self.no_restarts {
            self.forbid_restarts(now, out);
        } else if tries > life.spec.start_retries {
            let retry = life
                .spec
                .retry_fatal
                .then(|| (now.mono_ms + FATAL_RETRY_MS, life.spec.clone()));
            self.current = Current::Down(Down::Fatal { retry });
            self.record(
                State::Backoff,
                State::Fatal,
                life.generation,
                0,
                cause,
                now,
                out,
                |transition| transition.tries = tries,
            );
            self.tries = 0;
        }
    }
}
