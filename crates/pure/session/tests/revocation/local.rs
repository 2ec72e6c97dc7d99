//! One machine: the count is shared memory.

use super::Mistake;
use session::revoke::{Cached, Line, Recall, recall};
use stateright::{Model, Property};

const GATEWAYS: usize = 2;

pub(super) struct World(pub(super) Mistake);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Gateway {
    cached: Option<u64>,
    /// Under way: the count as it was read, what the store said, and whether it began after the acknowledgement.
    asking: Option<Asking>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asking {
    count: Option<u64>,
    answer: Option<bool>,
    after_acknowledgement: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct State {
    ended: bool,
    count: u64,
    bumped: bool,
    acknowledged: bool,
    gateways: [Gateway; GATEWAYS],
    used_after: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Commit,
    Bump,
    Acknowledge,
    /// Another session is revoked: the count moves for other reasons too.
    Noise,
    Begin(usize),
    Read(usize),
    Finish(usize),
    Restart(usize),
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let early = self.0 == Mistake::AcknowledgedBeforeBump;
        if !state.ended {
            actions.push(Action::Commit);
        } else if !state.bumped {
            actions.push(Action::Bump);
        }
        if state.ended && (state.bumped || early) && !state.acknowledged {
            actions.push(Action::Acknowledge);
        }
        if state.count < 3 {
            actions.push(Action::Noise);
        }
        for (i, gateway) in state.gateways.iter().enumerate() {
            match gateway.asking {
                None => actions.push(Action::Begin(i)),
                Some(Asking { answer: None, .. }) => actions.push(Action::Read(i)),
                Some(Asking {
                    answer: Some(_), ..
                }) => actions.push(Action::Finish(i)),
            }
            actions.push(Action::Restart(i));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let late = self.0 == Mistake::CountReadLate;
        match action {
            Action::Commit => state.ended = true,
            Action::Bump => (state.bumped, state.count) = (true, state.count + 1),
            Action::Acknowledge => state.acknowledged = true,
            Action::Noise => state.count += 1,
            Action::Restart(i) => state.gateways[i] = Gateway::default(),
            Action::Begin(i) => {
                let line = Line::Local { count: state.count };
                let known = state.gateways[i]
                    .cached
                    .map(|count| recall(Cached { count, made_ms: 0 }, line, false, 0));
                if known == Some(Recall::Use) {
                    state.used_after |= state.acknowledged;
                } else {
                    let count = (!late).then_some(state.count);
                    let after_acknowledgement = state.acknowledged;
                    state.gateways[i].asking = Some(Asking {
                        count,
                        answer: None,
                        after_acknowledgement,
                    });
                }
            }
            Action::Read(i) => {
                let valid = !state.ended;
                state.gateways[i].asking.as_mut()?.answer = Some(valid);
            }
            Action::Finish(i) => {
                let asked = state.gateways[i].asking.take()?;
                if asked.answer == Some(true) {
                    state.used_after |= asked.after_acknowledgement;
                    state.gateways[i].cached = Some(asked.count.unwrap_or(state.count));
                }
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "nothing is valid after its acknowledged revocation",
                |_, it: &State| !it.used_after,
            ),
            Property::sometimes("revocations are acknowledged", |_, it: &State| {
                it.acknowledged
            }),
        ]
    }
}
