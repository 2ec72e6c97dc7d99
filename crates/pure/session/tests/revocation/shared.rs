//! Several machines: a sequence in the shared store, and leases.

use super::Mistake;
use session::revoke::{Acknowledge, Cached, Line, Peer, Recall, acknowledge, recall};
use session::{LEASE_MS, STALE_MS_MAX};
use stateright::{Model, Property};

/// The mistake, and how many gateways. They touch each other only through `acknowledge`, which waits for each: one is
/// searched whole, three are walked at random.
pub(super) struct World(pub(super) Mistake, pub(super) usize);

/// Time goes in steps of half a lease; stale verdicts are tested at their real age by jumps.
const STEP_MS: u64 = LEASE_MS / 2;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Gateway {
    count: u64,
    until_ms: u64,
    cached: Option<Cached>,
    asking: Option<Asking>,
    /// A question for a new lease: when it was asked, and the answer (count) once the store gave it.
    renewing: Option<(u64, Option<u64>)>,
    cut: bool,
}

/// A question to the store about the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asking {
    /// As they were read before it.
    count: u64,
    begun_ms: u64,
    answer: Option<bool>,
    /// What is cached may be used where the store does not answer.
    else_use: bool,
    /// When the revocation was acknowledged, if that was before it began.
    acknowledged_ms: Option<u64>,
}

impl Gateway {
    fn line(&self) -> Line {
        Line::Leased {
            count: self.count,
            until_ms: self.until_ms,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    now_ms: u64,
    ended: bool,
    sequence: u64,
    peers: Vec<Peer>,
    acknowledged_ms: Option<u64>,
    gateways: Vec<Gateway>,
    used_whole: bool,
    used_stale: bool,
    used_too_late: bool,
    fresh_used_after: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Revoke,
    Acknowledge,
    /// A request is verified: from the cache, or by a question to the store.
    Begin(usize),
    Read(usize),
    Finish(usize),
    /// The store does not answer.
    Fail(usize),
    Ask(usize),
    Serve(usize),
    Receive(usize),
    Lose(usize),
    Cut(usize),
    Mend(usize),
    Step,
    Long,
}

impl World {
    fn begin(state: &mut State, i: usize) {
        let (gateway, after) = (&state.gateways[i], state.acknowledged_ms);
        let worth = |fresh| {
            let cached = gateway.cached;
            cached.map(|it| recall(it, gateway.line(), fresh, state.now_ms))
        };
        let fresh = worth(true) == Some(Recall::Use);
        match worth(false) {
            Some(Recall::Use) => {
                state.used_whole |= after.is_some();
            }
            Some(Recall::Ask | Recall::AskElseUse) | None => {
                let asking = Asking {
                    count: gateway.count,
                    begun_ms: state.now_ms,
                    answer: None,
                    else_use: worth(false) == Some(Recall::AskElseUse),
                    acknowledged_ms: after,
                };
                state.gateways[i].asking = Some(asking);
            }
        }
        state.fresh_used_after |= fresh && after.is_some();
    }

    fn finish(&self, state: &mut State, i: usize) -> Option<()> {
        let gateway = &mut state.gateways[i];
        let asked = gateway.asking.take()?;
        let valid = asked.answer?;
        state.used_whole |= valid && asked.acknowledged_ms.is_some();
        let (count, made_ms) = match self.0 {
            Mistake::CountReadLate => (gateway.count, asked.begun_ms),
            Mistake::AgeFromAnswer => (asked.count, state.now_ms),
            _ => (asked.count, asked.begun_ms),
        };
        gateway.cached = valid.then_some(Cached { count, made_ms });
        Some(())
    }

    fn fail(state: &mut State, i: usize) -> Option<()> {
        let asked = state.gateways[i].asking.take()?;
        if let (true, Some(since_ms)) = (asked.else_use, asked.acknowledged_ms) {
            state.used_stale = true;
            state.used_too_late |= asked.begun_ms - since_ms > STALE_MS_MAX;
        }
        Some(())
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let peer = Peer {
            confirmed: 0,
            until_ms: 0,
        };
        vec![State {
            now_ms: 0,
            ended: false,
            sequence: 0,
            peers: vec![peer; self.1],
            acknowledged_ms: None,
            gateways: vec![Gateway::default(); self.1],
            used_whole: false,
            used_stale: false,
            used_too_late: false,
            fresh_used_after: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if !state.ended {
            actions.push(Action::Revoke);
        } else if state.acknowledged_ms.is_none()
            && acknowledge(state.sequence, &state.peers, state.now_ms) == Acknowledge::Now
        {
            actions.push(Action::Acknowledge);
        }
        for (i, gateway) in state.gateways.iter().enumerate() {
            match (gateway.asking, gateway.cut) {
                (None, _) => actions.push(Action::Begin(i)),
                (
                    Some(Asking {
                        answer: Some(_), ..
                    }),
                    _,
                ) => actions.push(Action::Finish(i)),
                (Some(Asking { answer: None, .. }), false) => actions.push(Action::Read(i)),
                (Some(Asking { answer: None, .. }), true) => actions.push(Action::Fail(i)),
            }
            match gateway.renewing {
                None if !gateway.cut => actions.push(Action::Ask(i)),
                None => {}
                Some((_, None)) if gateway.cut => actions.push(Action::Lose(i)),
                Some((_, None)) => actions.push(Action::Serve(i)),
                Some((_, Some(_))) if gateway.cut => actions.push(Action::Lose(i)),
                Some((_, Some(_))) => actions.extend([Action::Receive(i), Action::Lose(i)]),
            }
            actions.push(if gateway.cut {
                Action::Mend(i)
            } else {
                Action::Cut(i)
            });
        }
        if state.now_ms < 4 * STEP_MS {
            actions.push(Action::Step);
        } else if state.now_ms < STALE_MS_MAX {
            actions.push(Action::Long);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Revoke => (state.ended, state.sequence) = (true, 1),
            Action::Acknowledge => state.acknowledged_ms = Some(state.now_ms),
            Action::Begin(i) => Self::begin(&mut state, i),
            Action::Read(i) => {
                state.gateways[i].asking.as_mut()?.answer = Some(!state.ended);
            }
            Action::Finish(i) => self.finish(&mut state, i)?,
            Action::Fail(i) => Self::fail(&mut state, i)?,
            Action::Ask(i) => state.gateways[i].renewing = Some((state.now_ms, None)),
            Action::Serve(i) => {
                let asked = state.gateways[i].renewing?;
                state.gateways[i].renewing = Some((asked.0, Some(state.sequence)));
                let confirmed = match self.0 {
                    Mistake::ConfirmedByAsking => state.sequence,
                    _ => state.gateways[i].count,
                };
                state.peers[i] = Peer {
                    confirmed,
                    until_ms: state.now_ms + LEASE_MS,
                };
            }
            Action::Receive(i) => {
                let (asked_ms, count) = state.gateways[i].renewing.take()?;
                let from = if self.0 == Mistake::LeaseFromAnswer {
                    state.now_ms
                } else {
                    asked_ms
                };
                state.gateways[i].count = count?;
                state.gateways[i].until_ms = session::revoke::lease(from);
            }
            Action::Lose(i) => state.gateways[i].renewing = None,
            Action::Cut(i) => state.gateways[i].cut = true,
            Action::Mend(i) => state.gateways[i].cut = false,
            Action::Step => state.now_ms += STEP_MS,
            Action::Long => state.now_ms += STALE_MS_MAX,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "nothing is valid after its acknowledged revocation",
                |_, it: &State| !it.used_whole,
            ),
            Property::always("under partition not beyond stale_max", |_, it: &State| {
                !it.used_too_late
            }),
            Property::always("fresh routes are never stale", |_, it: &State| {
                !it.fresh_used_after
            }),
            Property::sometimes("revocations are acknowledged", |_, it: &State| {
                it.acknowledged_ms.is_some()
            }),
            Property::sometimes(
                "partition is survived by stale verdicts",
                |_, it: &State| it.used_stale,
            ),
        ]
    }
}
