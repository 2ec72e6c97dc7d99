//! The steps of the table: starting, getting ready, ending, handing over.

use crate::slot::{CheckMode, Current, Down, Effect, Life, Now, Queued, Slot, Stage, Then};
use crate::table::answer;
use std::rc::Rc;
use wire::{Cause, Outcome, Ready, Spec, State, Transition, Why};

/// The first pause after a failed start, and the unit that doubles.
const GAP_FIRST_MS: u64 = 1_000;
/// The longest pause between two starts: a broken dependency is noticed within a minute of its return.
const GAP_MAX_MS: u64 = 60_000;
/// A life shorter than this always costs a pause, whatever `startsecs` says: nothing spins.
const LIFE_SHORT_MS: u64 = 1_000;
/// (S) How long a FATAL process rests before it is tried again.
const FATAL_RETRY_MS: u64 = 60_000;
/// An unhealthy process does not answer; what is in flight gets this long, and so does its stop signal.
const UNHEALTHY_DRAIN_MS: u64 = 1_000;
/// SIGKILL is sent again at this interval: a process in an uninterruptible wait dies when the wait ends.
const KILL_AGAIN_MS: u64 = 10_000;

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
            kill_at_ms: now.mono_ms + wait_ms,
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
    let deadline_ms = now.mono_ms + drain_ms.unwrap_or(u64::MAX).min(life.spec.drain_timeout_ms);
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

    /// Puts the installed spec into service as a new generation.
    pub(crate) fn begin(&mut self, op: Option<u64>, cause: Cause, now: Now, out: &mut Vec<Effect>) {
        let Some(spec) = self.installed.clone() else {
            out.extend(op.map(|op| answer(op, Outcome::Refused, "nothing was installed")));
            return;
        };
        if self.no_restarts {
            out.extend(op.map(|op| answer(op, Outcome::Refused, "everything is being shut down")));
            return;
        }
        self.starts.extend(op);
        if self.generation > 0 {
            self.count_operator(&cause);
        }
        self.wanted = true;
        self.generation += 1;
        self.spawn(self.generation, spec, cause, now, out);
    }

    pub(crate) fn count_operator(&mut self, cause: &Cause) {
        if cause.why == Why::Operator {
            self.operator_restarts += 1;
        }
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
        let mut life = Life::new(generation, spec.clone(), cause, now);
        life.from = self.state();
        self.current = Current::Live(life);
        out.push(Effect::Spawn { generation, spec });
    }

    /// The STARTING of Supervisor's log, told once its pid (0 = none) is known.
    fn record_starting(&mut self, now: Now, out: &mut Vec<Effect>) {
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
        self.starts_total += 1;
        let Some(life) = self.life_mut(generation) else {
            return;
        };
        life.pid = pid;
        life.started = now;
        let check = match life.spec.ready {
            Ready::Lived {} => life.spec.start_secs == 0,
            Ready::Connect {}
            | Ready::Http { .. }
            | Ready::Tcp {}
            | Ready::Descriptor { .. }
            | Ready::Log { .. } => {
                out.push(Effect::Check {
                    generation,
                    mode: CheckMode::UntilReady,
                });
                life.spec.start_secs == 0
            }
        };
        if self.is_current(generation) {
            self.spawn_error.clear();
            self.record_starting(now, out);
        }
        if check {
            self.advance(now, out);
        }
    }

    fn is_current(&self, generation: u64) -> bool {
        matches!(&self.current, Current::Live(life) if life.generation == generation)
    }

    fn life_mut(&mut self, generation: u64) -> Option<&mut Life> {
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
    }

    /// Tells what `lived` or `checked` has just changed, and gives up on one that is not ready in time.
    fn settle(&mut self, was_running: bool, was_ready: bool, now: Now, out: &mut Vec<Effect>) {
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
        let Current::Live(life) = &self.current else {
            return;
        };
        if running && ready {
            self.fallback = None;
            for op in std::mem::take(&mut self.starts) {
                out.push(answer(op, Outcome::Done, &format!("pid {pid}")));
            }
        } else if !ready && life.ready_by_ms() <= now.mono_ms {
            self.not_ready_in_time(now, out);
        }
    }

    fn not_ready_in_time(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Current::Live(life) = &mut self.current else {
            return;
        };
        if matches!(life.spec.ready, Ready::Lived {} | Ready::Connect {}) {
            // Without a check of the owner's, a missing listener is no reason to kill: told once, kept.
            let pid = life.pid;
            life.checked = true;
            for op in std::mem::take(&mut self.starts) {
                out.push(answer(
                    op,
                    Outcome::Done,
                    &format!("pid {pid}, but nothing listens at its address yet"),
                ));
            }
            return;
        }
        let text = format!(
            "not ready within {} s: {}",
            life.spec.ready_timeout_ms / 1000,
            life.last_answer
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
        // While a replacement is under way it is the remedy already.
        if limit > 0 && count >= limit && self.is_current(generation) && self.next.is_none() {
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

    pub(crate) fn drained(&mut self, generation: u64, now: Now, out: &mut Vec<Effect>) {
        if let Some(life) = self.life_mut(generation)
            && matches!(life.stage, Stage::Draining { .. })
        {
            life.signal_stop(None, now, out);
        }
    }

    /// The current process is dead.
    pub(crate) fn current_exited(&mut self, exit: i32, oom: bool, now: Now, out: &mut Vec<Effect>) {
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

    fn stopped(&mut self, life: &Life, then: Then, exit: i32, now: Now, out: &mut Vec<Effect>) {
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
        let window = matches!(then, Then::Stay { window: true });
        self.current = Current::Down(Down::Stopped {
            window_until_ms: if window { u64::MAX } else { 0 },
        });
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
        self.answer_stops(out);
        match then {
            Then::Stay { .. } | Then::Failed => {}
            Then::Replace | Then::Again if self.no_restarts => {}
            Then::Replace => {
                let Some(spec) = self.installed.clone() else {
                    return;
                };
                self.wanted = true;
                self.generation += 1;
                self.spawn(self.generation, spec, life.cause.clone(), now, out);
            }
            Then::Again => self.spawn(
                life.generation,
                life.spec.clone(),
                life.cause.clone(),
                now,
                out,
            ),
        }
    }

    fn ended_by_itself(
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
            let text = format!(
                "generation {} {} before it was ready",
                life.generation, cause.text
            );
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
            out.push(Effect::Answer {
                op,
                outcome: Outcome::Abnormal,
                text: format!("{} after {lived_ms} ms", cause.text),
                output_of: Some(life.generation),
            });
        }
        if self.promote_next(life, now, out) {
            return;
        }
        if !again {
            self.wanted = false;
            return;
        }
        let long_ms = LIFE_SHORT_MS.max(u64::from(life.spec.start_secs) * 1000);
        if lived_ms >= long_ms {
            self.short_lives = 0;
            self.spawn(life.generation, life.spec.clone(), cause, now, out);
            return;
        }
        // RUNNING, but briefly (startsecs = 0, or ready at once): only the pause counts it.
        self.short_lives += 1;
        let until_ms = now.mono_ms.max(life.started.mono_ms + self.gap_ms());
        self.wait(until_ms, State::Exited, life.spec.clone(), cause, now);
    }

    fn wait(&mut self, until_ms: u64, state: State, again: Rc<Spec>, cause: Cause, now: Now) {
        let until_wall_ms = now.wall_ms + (until_ms - now.mono_ms);
        self.current = Current::Down(Down::Waiting {
            until_ms,
            until_wall_ms,
            state,
            again,
            cause,
        });
    }

    /// 1 s doubling to 60 s by the number of tries, up to 10 % more so that many slots spread.
    fn gap_ms(&mut self) -> u64 {
        self.jitter = self
            .jitter
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let gap = (GAP_FIRST_MS
            << u64::from(self.tries.max(self.short_lives).saturating_sub(1).min(6)))
        .min(GAP_MAX_MS);
        gap + gap * u64::from(self.jitter >> 16) / 10 / 65_536
    }

    fn failed_start(
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
    fn failed_start_with(
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
        let until_ms = now.mono_ms.max(life.started.mono_ms + self.gap_ms());
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
        for op in self.starts.drain(..).chain(self.next_op.take()) {
            out.push(Effect::Answer {
                op,
                outcome,
                text: text.clone(),
                output_of: Some(life.generation),
            });
        }
        self.answer_stops(out);
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
            self.current = Current::Down(Down::Stopped { window_until_ms: 0 });
        } else if tries > life.spec.start_retries {
            let retry_ms = life
                .spec
                .retry_fatal
                .then_some(now.mono_ms + FATAL_RETRY_MS);
            self.current = Current::Down(Down::Fatal { retry_ms });
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

    pub(crate) fn stop_what_is_down(&mut self, op: u64, window: bool, out: &mut Vec<Effect>) {
        self.wanted = false;
        if let Current::Down(Down::Fatal { retry_ms }) = &mut self.current {
            *retry_ms = None;
        }
        if let Current::Down(Down::Stopped { window_until_ms }) = &mut self.current
            && !window
        {
            *window_until_ms = 0;
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
        let from = self.state();
        self.current = Current::Down(Down::Stopped {
            window_until_ms: if window { u64::MAX } else { 0 },
        });
        self.record(
            from,
            State::Stopped,
            self.generation,
            0,
            cause,
            now,
            out,
            |_| {},
        );
        self.answer_starts(Outcome::Superseded, "stopped meanwhile", out);
        out.push(answer(op, Outcome::Done, ""));
    }

    pub(crate) fn answer_starts(&mut self, outcome: Outcome, text: &str, out: &mut Vec<Effect>) {
        for op in std::mem::take(&mut self.starts) {
            out.push(answer(op, outcome, text));
        }
    }

    /// A stop is done when no process of the slot is left.
    fn answer_stops(&mut self, out: &mut Vec<Effect>) {
        let live = matches!(self.current, Current::Live(_));
        if !live && self.next.is_none() && self.leaving.is_none() {
            out.extend(self.stops.drain(..).map(|op| answer(op, Outcome::Done, "")));
        }
    }

    fn then_mut(&mut self) -> Option<&mut Then> {
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

    /// A start while it is being stopped: it comes back once it is dead.
    pub(crate) fn return_instead(&mut self, op: u64, cause: Cause, out: &mut Vec<Effect>) {
        if self.no_restarts {
            out.push(answer(
                op,
                Outcome::Refused,
                "everything is being shut down",
            ));
            return;
        }
        self.turn_to_replace();
        self.count_operator(&cause);
        self.starts.push(op);
    }

    /// Whatever was to follow the death, a new generation of the installed spec follows it.
    pub(crate) fn turn_to_replace(&mut self) {
        if let Some(then) = self.then_mut() {
            *then = Then::Replace;
        }
    }

    /// A stop while it is being stopped: it stays down.
    pub(crate) fn stay_instead(&mut self, op: u64, window: bool, now: Now, out: &mut Vec<Effect>) {
        self.wanted = false;
        self.stop_next(Outcome::Superseded, "stopped meanwhile", now, out);
        self.answer_starts(Outcome::Superseded, "stopped meanwhile", out);
        if let Some(then) = self.then_mut() {
            let window = window || matches!(then, Then::Stay { window: true });
            *then = Then::Stay { window };
        }
        self.stops.push(op);
    }

    pub(crate) fn begin_window(&mut self, now: Now) {
        let window_ms = self
            .installed
            .as_ref()
            .map_or(0, |spec| spec.restart_window_ms);
        if let Current::Down(Down::Stopped { window_until_ms }) = &mut self.current
            && *window_until_ms == u64::MAX
        {
            *window_until_ms = now.mono_ms + window_ms;
        }
    }

    pub(crate) fn forbid_restarts(&mut self, out: &mut Vec<Effect>) {
        self.no_restarts = true;
        if let Some(queued) = self.queued.take() {
            out.push(answer(
                queued.op,
                Outcome::Superseded,
                "everything is being shut down",
            ));
        }
        if let Current::Down(Down::Waiting { .. }) = &self.current {
            self.current = Current::Down(Down::Stopped { window_until_ms: 0 });
        }
        self.answer_starts(Outcome::Superseded, "everything is being shut down", out);
    }

    // ---- overlap ----

    pub(crate) fn start_next(
        &mut self,
        spec: Rc<Spec>,
        request: Queued,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        self.generation += 1;
        self.count_operator(&request.cause);
        self.next = Some(Life::new(self.generation, spec.clone(), request.cause, now));
        self.next_op = Some(request.op);
        out.push(Effect::Spawn {
            generation: self.generation,
            spec,
        });
    }

    /// The next generation is ready: it becomes the current one, the old one leaves.
    pub(crate) fn switch(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Some(mut next) = self.next.take() else {
            return;
        };
        let Current::Live(mut old) =
            std::mem::replace(&mut self.current, Current::Down(Down::Exited))
        else {
            self.next = Some(next);
            return;
        };
        next.ready_wall_ms = now.wall_ms;
        next.lived |= next.lived_at_ms() <= now.mono_ms;
        self.tries = 0;
        self.refused_hash.clear();
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
        self.current = Current::Live(next);
        old.cause = cause.clone();
        begin_stop(&mut old, Then::Stay { window: false }, None, now, out);
        self.leaving = Some(old);
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
    }

    /// The next generation was not ready in time: stopped, the old one goes on.
    pub(crate) fn refuse_next(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Some(next) = &self.next else { return };
        let text = format!(
            "generation {} was not ready within {} s; the check's last answer: {}",
            next.generation,
            next.spec.ready_timeout_ms / 1000,
            if next.last_answer.is_empty() {
                "none"
            } else {
                &next.last_answer
            }
        );
        self.refused_hash = next.spec.hash.clone();
        self.answer_next(Outcome::Abnormal, text, out);
        self.stop_next(Outcome::Abnormal, "", now, out);
    }

    fn answer_next(&mut self, outcome: Outcome, text: String, out: &mut Vec<Effect>) {
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

    fn fail_next(&mut self, text: String, now: Now, out: &mut Vec<Effect>) {
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
            self.answer_stops(out);
        }
    }

    /// The current generation died while its replacement was starting: the replacement becomes a hold.
    fn promote_next(&mut self, dead: &Life, now: Now, out: &mut Vec<Effect>) -> bool {
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
        self.fallback = Some(dead.spec.clone());
        self.starts.extend(self.next_op.take());
        let (generation, pid, cause) = (next.generation, next.pid, next.cause.clone());
        self.current = Current::Live(next);
        self.record(
            State::Exited,
            State::Starting,
            generation,
            pid,
            cause,
            now,
            out,
            |_| {},
        );
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
        self.answer_stops(out);
    }

    // ---- notes ----

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
        self.transition_seq += 1;
        let mut transition = Transition {
            seq: self.transition_seq,
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
}

fn exit_cause(exit: i32, oom: bool) -> Cause {
    let text = if exit < 0 {
        format!("was killed by signal {}", -exit)
    } else {
        format!("exited with status {exit}")
    };
    Cause {
        why: if oom { Why::OutOfMemory } else { Why::Crash },
        text,
    }
}
