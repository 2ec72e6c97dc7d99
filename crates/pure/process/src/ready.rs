//! Getting ready and staying so: time and checks.
use crate::life::UNHEALTHY_DRAIN_MS;
use crate::slot::{CheckMode, Current, Effect, Now, Slot, Stage, Then};
use wire::{Cause, Outcome, Ready, State, Why};

impl Slot {
    /// Time or a check moved the current generation on.
    pub(crate) fn advance(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Current::Live(life) = &mut self.current else {
            return;
        };
        if life.stage != Stage::Up || life.pid == 0 {
            return;
        }
        let (was_running, was_ready) = (life.running(), life.ready());
        life.lived |= life.lived_at_ms() <= now.mono_ms;
        self.settle(was_running, was_ready, now, out);
        if let Current::Live(life) = &self.current
            && !life.ready()
            && life.ready_by_ms() <= now.mono_ms
        {
            self.not_ready_in_time(now, out);
        }
    }

    /// Tells what `lived` or `checked` has just changed.
    pub(crate) fn settle(
        &mut self,
        was_running: bool,
        was_ready: bool,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let away_ms = self
            .away_since_ms
            .map_or(0, |since| now.mono_ms.saturating_sub(since));
        let Current::Live(life) = &mut self.current else {
            return;
        };
        let (running, ready, generation, pid) =
            (life.running(), life.ready(), life.generation, life.pid);
        let took_ms = now.mono_ms.saturating_sub(life.started.mono_ms);
        if ready && !was_ready {
            life.ready_wall_ms = now.wall_ms;
            self.away_since_ms = None;
            let mode = (life.spec.keepalive_ms > 0)
                .then_some(CheckMode::KeepAlive(life.spec.keepalive_ms));
            out.extend(mode.map(|mode| Effect::Check { generation, mode }));
        }
        let cause = life.cause.clone();
        if running && !was_running {
            self.tries = 0;
            self.record(
                State::Starting,
                State::Running,
                generation,
                pid,
                cause,
                now,
                out,
                |transition| {
                    transition.took_ms = took_ms;
                    transition.away_ms = if ready { away_ms } else { 0 };
                },
            );
        } else if ready && !was_ready {
            let state = self.state();
            self.record(
                state,
                state,
                generation,
                pid,
                cause,
                now,
                out,
                |transition| {
                    transition.note = "ready".into();
                    transition.took_ms = took_ms;
                    transition.away_ms = away_ms;
                },
            );
        }
        if running && ready {
            self.came_up(&format!("pid {pid}"), out);
        }
    }

    /// The current generation is RUNNING and ready: nothing to fall back from any more.
    pub(crate) fn came_up(&mut self, text: &str, out: &mut Vec<Effect>) {
        self.fallback = None;
        self.answer_starts(Outcome::Done, text, out);
    }

    pub(crate) fn not_ready_in_time(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Current::Live(life) = &mut self.current else {
            return;
        };
        if matches!(life.spec.ready, Ready::Connect {}) && !life.spec.oneshot {
            // Without a check of the owner's, a missing listener is no reason to kill: told once, kept.
            let (pid, generation) = (life.pid, life.generation);
            life.checked = true;
            life.ready_wall_ms = now.wall_ms;
            // Asked no longer: what it answers from now on is the gateway's to find out.
            out.push(match life.spec.keepalive_ms {
                0 => Effect::EndChecks { generation },
                period_ms => Effect::Check {
                    generation,
                    mode: CheckMode::KeepAlive(period_ms),
                },
            });
            // Who started it waits for `startsecs`, too.
            if life.running() {
                let text = format!("pid {pid}, but nothing listens at its address yet");
                self.came_up(&text, out);
            }
            return;
        }
        let text = format!(
            "not ready within {} s: {}",
            life.spec.ready_timeout_ms / 1000,
            life.last_seen()
        );
        self.spawn_error = text.clone();
        self.end_current(
            Then::Failed,
            Cause {
                why: Why::NotReady,
                text,
            },
            None,
            now,
            out,
        );
    }

    pub(crate) fn check_passed(&mut self, generation: u64, now: Now, out: &mut Vec<Effect>) {
        if self.is_current(generation) {
            let Current::Live(life) = &mut self.current else {
                return;
            };
            if life.stage != Stage::Up {
                return;
            }
            life.unhealthy = 0;
            let (was_running, was_ready) = (life.running(), life.ready());
            life.checked = true;
            life.lived |= life.lived_at_ms() <= now.mono_ms;
            if !(was_running && was_ready) {
                self.settle(was_running, was_ready, now, out);
            }
        } else if let Some(next) = self
            .next
            .as_mut()
            .filter(|next| next.generation == generation)
        {
            next.checked = true;
            if next.stage == Stage::Up && next.ready() {
                self.switch(now, out);
            }
        }
    }

    pub(crate) fn check_failed(
        &mut self,
        generation: u64,
        text: String,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let Some(life) = self.life_mut(generation) else {
            return;
        };
        let was_ready = life.ready();
        life.last_answer = text.clone();
        if !was_ready || life.stage != Stage::Up {
            return;
        }
        life.unhealthy += 1;
        let (count, limit) = (life.unhealthy, life.spec.unhealthy_after);
        // While a replacement is under way it is the remedy already; in a shutdown nothing would follow the end.
        let remedy = self.next.is_none() && !self.no_restarts;
        if limit > 0 && count >= limit && self.is_current(generation) && remedy {
            let text = format!("{count} checks failed, the last: {text}");
            self.end_current(
                Then::Again,
                Cause {
                    why: Why::Unhealthy,
                    text,
                },
                Some(UNHEALTHY_DRAIN_MS),
                now,
                out,
            );
        }
    }
}
