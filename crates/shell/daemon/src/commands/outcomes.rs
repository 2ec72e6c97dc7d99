//! Whom names mean, and what a command ends with.

use control::{Body, Done, Fault, Outcome};
use plan::Key;

use crate::names::{Known, resolve, suggest};
use crate::state::Shared;

/// What a command does after its answer is on its way.
#[derive(Debug, Default)]
pub(super) struct After {
    /// Slots that were stopped: their restart window begins.
    pub(super) stopped: Vec<Key>,
}

/// The slots in service as names see them, in the order of listings.
pub(super) fn known(daemon: &Shared) -> Vec<Known> {
    let state = daemon.state.borrow();
    let mut slots: Vec<_> = state
        .active
        .slots
        .iter()
        .filter(|slot| slot.in_service())
        .collect();
    slots.sort_by_key(|slot| {
        (
            slot.first,
            slot.group_priority,
            &slot.group,
            slot.priority,
            &slot.process,
        )
    });
    slots
        .iter()
        .map(|slot| Known {
            key: slot.key(),
            program: slot.program.clone(),
            hidden: slot.first,
        })
        .collect()
}

/// The slots that names mean; each name that means nothing becomes an outcome.
pub(super) fn meant(daemon: &Shared, names: &[String]) -> (Vec<Key>, Vec<Outcome>) {
    let known = known(daemon);
    let (keys, bad) = resolve(&known, names);
    let left_out = daemon.state.borrow().active.left_out.clone();
    let outcome = |name: String| {
        if let Some(left) = left_out.iter().find(|left| left.name == name) {
            let text = format!(
                "{name} was left out: {}\nmend it and run: steadfast update",
                left.why
            );
            return Outcome {
                text,
                group: name.clone(),
                name,
                status: Fault::BadName,
            };
        }
        let near = suggest(&known, &name)
            .map(|near| format!("; did you mean `{near}`?"))
            .unwrap_or_default();
        Outcome {
            text: format!("there is no process `{name}`{near}"),
            group: name.clone(),
            name,
            status: Fault::BadName,
        }
    };
    (keys, bad.into_iter().map(outcome).collect())
}

/// The outcome of one slot.
pub(super) fn outcome(key: &Key, status: Fault, text: impl Into<String>) -> Outcome {
    Outcome {
        name: key.process.clone(),
        group: key.group.clone(),
        status,
        text: text.into(),
    }
}

/// The end of a command: its exit status and error follow from the outcomes. `fine` = statuses that are as wished.
pub(super) fn done(outcomes: Vec<Outcome>, fine: &[Fault]) -> Done {
    let wrong: Vec<String> = outcomes
        .iter()
        .filter(|outcome| outcome.status != Fault::Success && !fine.contains(&outcome.status))
        .map(|outcome| match outcome.status {
            Fault::BadName => outcome.text.clone(),
            status => {
                let label = wire::spec::label(&outcome.group, &outcome.name);
                let text = if outcome.text.is_empty() {
                    status.name()
                } else {
                    &outcome.text
                };
                format!("{label}  {text}")
            }
        })
        .collect();
    Done {
        exit: u8::from(!wrong.is_empty()),
        error: wrong.join("\n"),
        body: Body::Outcomes { outcomes },
    }
}

/// How a keeper's answer is called by Supervisor.
pub(super) fn fault(outcome: wire::Outcome, already: Fault) -> Fault {
    match outcome {
        wire::Outcome::Done => Fault::Success,
        wire::Outcome::AlreadySo => already,
        wire::Outcome::Failed | wire::Outcome::Refused | wire::Outcome::Superseded => Fault::Failed,
        wire::Outcome::NoFile => Fault::NoFile,
        wire::Outcome::NotExecutable => Fault::NotExecutable,
        wire::Outcome::SpawnError => Fault::SpawnError,
        wire::Outcome::Abnormal => Fault::AbnormalTermination,
    }
}
