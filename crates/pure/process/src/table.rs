//! Every (state, event) pair, in one place.

use crate::life::{Who, begin_stop};
use crate::slot::{Current, Down, Effect, Event, Now, Queued, Slot, Stage, Then};
use wire::{Cause, Outcome, Replace, State, Why};

/// Operations that wait for one slot. More than a person's and a tool's at once is a mistake: refused.
const WAITING_OPS_MAX: usize = 64;

/// The refusal of every start once [`Event::NoRestarts`] came.
pub(crate) const SHUTTING_DOWN: &str = "everything is being shut down";

/// Note of the transition that tells that a stop had to be enforced.
pub const KILLING: &str = "killing with SIGKILL";

/// The current generation's place in the diagram of the crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// Nothing runs and nothing will by itself.
    Down,
    /// Between two lives.
    Waiting,
    /// Started.
    Up,
    /// Being drained or stopped, to stay down.
    Ending,
    /// Being drained or stopped, to come back.
    Returning,
}

fn view(slot: &Slot) -> View {
    match &slot.current {
        Current::Down(Down::Waiting { .. }) => View::Waiting,
        Current::Down(Down::Stopped { .. } | Down::Exited | Down::Fatal { .. }) => View::Down,
        Current::Live(life) => match &life.stage {
            Stage::Up => View::Up,
            Stage::Draining { then, .. } | Stage::Stopping { then, .. } => match then {
                Then::Stay { .. } => View::Ending,
                Then::Replace(_) | Then::Again | Then::Failed => View::Returning,
            },
        },
    }
}

/// Decides one event. The shell carries the effects out in order, then publishes [`Slot::fact`] if it changed.
pub fn handle(slot: &mut Slot, event: Event, now: Now) -> Vec<Effect> {
    let mut out = Vec::new();
    if let Event::Start { op, .. } | Event::Stop { op, .. } | Event::Restart { op, .. } = &event
        && *op != 0 // the keeper's own
        && (slot.starts.len() >= WAITING_OPS_MAX || slot.stops.len() >= WAITING_OPS_MAX)
    {
        out.push(answer(
            *op,
            Outcome::Refused,
            "too many commands wait for this process",
        ));
        return out;
    }
    match (view(slot), event) {
        (_, Event::Install(spec)) => slot.install(spec, now),
        (_, Event::NoRestarts) => slot.forbid_restarts(now, &mut out),

        // Nothing begins during a shutdown: `return_instead` and `begin` would, and an operation that waits
        // for a start that never comes would not be answered.
        (View::Down | View::Waiting | View::Ending | View::Returning, Event::Start { op, .. })
        | (_, Event::Restart { op, .. })
            if slot.no_restarts =>
        {
            out.push(answer(op, Outcome::Refused, SHUTTING_DOWN))
        }

        (View::Down, Event::Start { op, cause }) => slot.begin(Some(op), cause, now, &mut out),
        // EXITED and STOPPED are none of Supervisor's RUNNING_STATES: a start does not have to wait for the pause.
        (View::Waiting, Event::Start { op, cause }) if slot.state() != State::Backoff => {
            slot.begin(Some(op), cause, now, &mut out)
        }
        (View::Waiting | View::Up, Event::Start { op, .. }) => {
            out.push(answer(op, Outcome::AlreadySo, "already started"))
        }
        (View::Ending, Event::Start { op, cause }) => slot.return_instead(op, cause),
        // What is started by hand does not wait for the pause of one that was unhealthy.
        (View::Returning, Event::Start { op, cause })
            if slot.then_mut().is_some_and(|then| *then == Then::Again) =>
        {
            slot.return_instead(op, cause)
        }
        (View::Returning, Event::Start { op, .. }) => slot.starts.push(op),

        (View::Down, Event::Stop { op, window, .. }) => {
            slot.stop_what_is_down(op, window, now, &mut out)
        }
        (View::Waiting, Event::Stop { op, cause, window }) => {
            slot.stop_waiting(op, cause, window, now, &mut out)
        }
        (View::Up, Event::Stop { op, cause, window }) => {
            slot.wanted = false;
            slot.stop_next(Outcome::Superseded, "stopped meanwhile", now, &mut out);
            slot.answer_starts(Outcome::Superseded, "stopped meanwhile", &mut out);
            slot.wait_for_ends(op);
            slot.end_current(Then::Stay { window }, cause, None, now, &mut out);
        }
        (View::Ending | View::Returning, Event::Stop { op, cause, window }) => {
            slot.stay_instead(op, cause, window, now, &mut out)
        }

        (View::Down | View::Waiting, Event::Restart { op, cause, .. }) => {
            slot.begin(Some(op), cause, now, &mut out)
        }
        (View::Up, Event::Restart { op, cause, mode }) => {
            replace(slot, Queued { op, cause, mode }, now, &mut out)
        }
        (View::Ending | View::Returning, Event::Restart { op, cause, .. }) => {
            slot.return_instead(op, cause)
        }

        (_, Event::StopAnswered) => slot.begin_window(now),
        (_, Event::Spawned { generation, pid }) => slot.spawned(generation, pid, now, &mut out),
        (_, Event::SpawnFailed { generation, text }) => {
            slot.spawn_failed(generation, text, now, &mut out)
        }
        (_, Event::CheckPassed { generation }) => slot.check_passed(generation, now, &mut out),
        (_, Event::CheckFailed { generation, answer }) => {
            slot.check_failed(generation, answer, now, &mut out)
        }
        (_, Event::Drained { generation }) => slot.drained(generation, now, &mut out),
        (_, Event::Exited { pid, exit, oom }) => match slot.who(pid) {
            Who::Current => slot.current_exited(exit, oom, now, &mut out),
            Who::Next => slot.next_exited(exit, now, &mut out),
            Who::Leaving => slot.leaving_exited(exit, now, &mut out),
            Who::Nobody => {}
        },
        (_, Event::Tick) => tick(slot, now, &mut out),
    }
    run_queue(slot, now, &mut out);
    slot.answer_stops(&mut out);
    slot.note_away(now);
    out
}

pub(crate) fn answer(op: u64, outcome: Outcome, text: &str) -> Effect {
    Effect::Answer {
        op,
        outcome,
        text: text.to_owned(),
        output_of: None,
    }
}

/// A replacement of a generation that is up: by overlap where asked and possible, else by hold.
fn replace(slot: &mut Slot, request: Queued, now: Now, out: &mut Vec<Effect>) {
    let Some(installed) = slot.installed.clone() else {
        out.push(answer(
            request.op,
            Outcome::Refused,
            "nothing was installed",
        ));
        return;
    };
    let Current::Live(life) = &slot.current else {
        return;
    };
    // A generation that never got ready has no requests to keep: it makes way at once.
    // Nor is there a moment at which what runs to its end could take over.
    let overlap = request.mode.unwrap_or(installed.replace) == Replace::Overlap
        && life.ready()
        && !installed.oneshot;
    if !overlap {
        slot.stop_next(Outcome::Superseded, "replaced by a newer command", now, out);
        slot.starts.push(request.op);
        let then = Then::Replace(request.cause.clone());
        slot.end_current(then, request.cause, None, now, out);
        return;
    }
    // One that is being stopped (refused, superseded) is no answer to the same request.
    if let Some(next) = slot.next.as_ref().filter(|next| next.stage == Stage::Up) {
        if next.spec.hash == installed.hash {
            out.push(answer(
                request.op,
                Outcome::AlreadySo,
                "the same replacement is under way",
            ));
            return;
        }
        slot.stop_next(
            Outcome::Superseded,
            "a newer definition takes its place",
            now,
            out,
        );
    }
    if slot.next.is_some() || slot.leaving.is_some() {
        // At most two generations at once: the one that leaves is hurried, then this begins.
        if let Some(old) = slot.queued.replace(request) {
            out.push(answer(
                old.op,
                Outcome::Superseded,
                "replaced by a newer command",
            ));
        }
        slot.hurry_leaving(now, out);
        return;
    }
    slot.start_next(installed, request, now, out);
}

/// Begins a queued replacement once the old generation is gone.
fn run_queue(slot: &mut Slot, now: Now, out: &mut Vec<Effect>) {
    if slot.next.is_some() || slot.leaving.is_some() || slot.queued.is_none() {
        return;
    }
    let Some(request) = slot.queued.take() else {
        return;
    };
    match view(slot) {
        View::Up => replace(slot, request, now, out),
        View::Down | View::Waiting => slot.begin(Some(request.op), request.cause, now, out),
        // A stop took it back, so this is one that is being replaced already: unhealthy, say.
        View::Ending | View::Returning => slot.return_instead(request.op, request.cause),
    }
}

fn tick(slot: &mut Slot, now: Now, out: &mut Vec<Effect>) {
    let before = out.len();
    tick_all(slot, now, out);
    let killed = out[before..].iter().filter_map(|effect| match effect {
        Effect::Signal { pid, signal: 9, .. } => Some(*pid),
        _ => None,
    });
    let killed: Vec<i32> = killed.collect();
    out.extend(
        killed
            .into_iter()
            .map(|pid| slot.remark(pid, KILLING.to_owned(), now)),
    );
}

fn tick_all(slot: &mut Slot, now: Now, out: &mut Vec<Effect>) {
    tick_current(slot, now, out);
    if let Some(next) = &mut slot.next {
        match next.stage {
            Stage::Up => {
                next.lived |= next.lived_at_ms() <= now.mono_ms;
                if next.ready() {
                    slot.switch(now, out);
                } else if next.pid > 0 && next.ready_by_ms() <= now.mono_ms {
                    slot.refuse_next(now, out);
                }
            }
            Stage::Draining { .. } | Stage::Stopping { .. } => next.press(now, out),
        }
    }
    if let Some(leaving) = &mut slot.leaving {
        leaving.press(now, out);
    }
}

fn tick_current(slot: &mut Slot, now: Now, out: &mut Vec<Effect>) {
    let due = |at: u64| at <= now.mono_ms;
    match &mut slot.current {
        Current::Down(Down::Stopped { .. } | Down::Exited) => {}
        Current::Down(Down::Fatal { retry }) => {
            if let Some((_, spec)) = retry.clone().filter(|(at_ms, _)| due(*at_ms)) {
                let cause = Cause {
                    why: Why::Crash,
                    text: "tried again after FATAL".into(),
                };
                slot.spawn(slot.serving, spec, cause, now, out);
            }
        }
        Current::Down(Down::Waiting {
            until_ms,
            again,
            cause,
            ..
        }) => {
            if due(*until_ms) {
                let (spec, cause) = (again.clone(), cause.clone());
                slot.spawn(slot.serving, spec, cause, now, out);
            }
        }
        Current::Live(life) => match life.stage {
            Stage::Up => slot.advance(now, out),
            Stage::Draining { .. } | Stage::Stopping { .. } => life.press(now, out),
        },
    }
}

impl Slot {
    /// A generation that is not ready in time, or unhealthy, or replaced: drained where there is something to
    /// drain, then stopped.
    pub(crate) fn end_current(
        &mut self,
        then: Then,
        cause: Cause,
        hurry_ms: Option<u64>,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        if let Current::Live(life) = &mut self.current {
            let from = life.state();
            life.cause = cause.clone();
            let (pid, generation) = (life.pid, life.generation);
            begin_stop(life, then, hurry_ms, now, out);
            self.record(
                from,
                wire::State::Stopping,
                generation,
                pid,
                cause,
                now,
                out,
                |_| {},
            );
        }
    }
}
