//! Commands while it is down or on its way down.
use crate::slot::{Current, Down, Effect, Life, Now, PendingStop, Slot, Stage, Then};
use crate::table::{SHUTTING_DOWN, answer};
use wire::{Cause, Outcome, State, Why};

/// The largest number means that the window has not begun yet.
pub(crate) fn window_end(now: Now, window_ms: u64) -> u64 {
    now.mono_ms.saturating_add(window_ms).min(u64::MAX - 1)
}

impl Slot {
    pub(crate) fn drained(&mut self, generation: u64, now: Now, out: &mut Vec<Effect>) {
        if let Some(life) = self.life_mut(generation)
            && matches!(life.stage, Stage::Draining { .. })
        {
            life.signal_stop(None, now, out);
        }
    }

    pub(crate) fn stop_what_is_down(
        &mut self,
        op: u64,
        window: bool,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        self.wanted = false;
        if let Current::Down(Down::Fatal { retry }) = &mut self.current {
            *retry = None;
        }
        if let Current::Down(Down::Stopped { window_until_ms }) = &mut self.current
            && !window
        {
            *window_until_ms = 0;
        }
        if self.next.is_some() || self.leaving.is_some() {
            // The current generation is down, one beside it is not: done when that is gone, too.
            self.stop_next(Outcome::Superseded, "stopped meanwhile", now, out);
            self.wait_for_ends(op);
            return;
        }
        out.push(answer(op, Outcome::AlreadySo, "not running"));
    }

    pub(crate) fn stop_waiting(
        &mut self,
        op: u64,
        cause: Cause,
        window: bool,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        self.wanted = false;
        self.tries = 0;
        let window_until_ms = if window { u64::MAX } else { 0 };
        self.stay_down(window_until_ms, cause, now, out);
        self.answer_starts(Outcome::Superseded, "stopped meanwhile", out);
        // One beside it may be on its way out, and a restart wait for that.
        self.stop_next(Outcome::Superseded, "stopped meanwhile", now, out);
        self.wait_for_ends(op);
    }

    /// What would have been started again is not.
    fn stay_down(&mut self, window_until_ms: u64, cause: Cause, now: Now, out: &mut Vec<Effect>) {
        let from = self.state();
        self.current = Current::Down(Down::Stopped { window_until_ms });
        self.record(
            from,
            State::Stopped,
            self.serving,
            0,
            cause,
            now,
            out,
            |transition| {
                // STOPPED it was already where it had been unhealthy.
                if from == State::Stopped {
                    transition.note = "it is not started again".into();
                }
            },
        );
    }

    pub(crate) fn answer_starts(&mut self, outcome: Outcome, text: &str, out: &mut Vec<Effect>) {
        for op in std::mem::take(&mut self.starts) {
            out.push(answer(op, outcome, text));
        }
    }

    /// The stop is answered when every process that is there now has ended.
    pub(crate) fn wait_for_ends(&mut self, op: u64) {
        self.stops.push(PendingStop {
            op,
            newest: self.generation,
        });
    }

    /// A stop is done when none of the processes it stopped is left. One that was started since is none of them:
    /// whoever stopped would wait for as long as that runs.
    pub(crate) fn answer_stops(&mut self, out: &mut Vec<Effect>) {
        let oldest = self.lives().map(|life| life.generation).min();
        let done = |stop: &mut PendingStop| oldest.is_none_or(|oldest| stop.newest < oldest);
        let done = self.stops.extract_if(.., done);
        out.extend(done.map(|stop| answer(stop.op, Outcome::Done, "")));
    }

    pub(crate) fn then_mut(&mut self) -> Option<&mut Then> {
        match &mut self.current {
            Current::Live(Life {
                stage: Stage::Draining { then, .. } | Stage::Stopping { then, .. },
                ..
            }) => Some(then),
            Current::Live(Life {
                stage: Stage::Up, ..
            })
            | Current::Down(_) => None,
        }
    }

    /// A start while it is being stopped, or a restart: whatever was to follow the death, a new generation of the
    /// installed spec follows it.
    pub(crate) fn return_instead(&mut self, op: u64, cause: Cause) {
        self.answered_early = false;
        if let Some(then) = self.then_mut() {
            *then = Then::Replace(cause);
        }
        self.starts.push(op);
    }

    /// A stop while it is being stopped: it stays down.
    pub(crate) fn stay_instead(
        &mut self,
        op: u64,
        cause: Cause,
        window: bool,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        self.wanted = false;
        self.stop_next(Outcome::Superseded, "stopped meanwhile", now, out);
        self.answer_starts(Outcome::Superseded, "stopped meanwhile", out);
        if let Some(then) = self.then_mut() {
            let window = window || matches!(then, Then::Stay { window: true });
            *then = Then::Stay { window };
        }
        // That it stays down is this stop's doing, whatever it was ended for.
        if let Current::Live(life) = &mut self.current {
            life.cause = cause;
        }
        self.wait_for_ends(op);
    }

    pub(crate) fn begin_window(&mut self, now: Now) {
        let window_ms = self
            .installed
            .as_ref()
            .map_or(0, |spec| spec.restart_window_ms);
        match &mut self.current {
            Current::Down(Down::Stopped { window_until_ms }) if *window_until_ms == u64::MAX => {
                *window_until_ms = window_end(now, window_ms);
            }
            // A call that did not wait was answered before the death: the window begins with the death.
            Current::Live(Life {
                stage:
                    Stage::Draining {
                        then: Then::Stay { window: true },
                        ..
                    }
                    | Stage::Stopping {
                        then: Then::Stay { window: true },
                        ..
                    },
                ..
            }) => self.answered_early = true,
            Current::Down(_) | Current::Live(_) => {}
        }
    }

    pub(crate) fn forbid_restarts(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.no_restarts = true;
        if let Some(queued) = self.queued.take() {
            out.push(answer(queued.op, Outcome::Superseded, SHUTTING_DOWN));
        }
        if let Current::Down(Down::Fatal { retry }) = &mut self.current {
            *retry = None;
        }
        if let Current::Down(Down::Waiting { .. }) = &self.current {
            let cause = Cause {
                why: Why::Shutdown,
                text: SHUTTING_DOWN.into(),
            };
            self.stay_down(0, cause, now, out);
        }
        self.answer_starts(Outcome::Superseded, SHUTTING_DOWN, out);
    }
}
