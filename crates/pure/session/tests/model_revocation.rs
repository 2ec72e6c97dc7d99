//! Revocation, exhaustively: two gateways with caches, requests that are half way through verification when a
//! revocation is committed, counted and acknowledged; leases, messages that come late or never, partitions, time.
//! Orders of steps that look as good must be caught.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "the number of states is a result of the test"
)]

use session::revoke::{Acknowledge, Cached, Line, Peer, Recall, acknowledge, recall};
use session::{LEASE_MS, STALE_MS_MAX};
use stateright::{Checker, Model, Property};

const GATEWAYS: usize = 2;

/// What somebody could get wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// The revocation is acknowledged before the count is bumped.
    AcknowledgedBeforeBump,
    /// The count is read after the store was asked.
    CountReadLate,
    /// The shared store takes a gateway's question for its confirmation.
    ConfirmedByAsking,
    /// A gateway counts its lease from the answer.
    LeaseFromAnswer,
}

/// One machine: the count is shared memory.
mod local {
    use super::*;

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
}

/// Several machines: a sequence in the shared store, and leases.
mod shared {
    use super::*;

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
        /// A question for a new lease: when it was asked, and the answer (count) once the store gave it.
        renewing: Option<(u64, Option<u64>)>,
        cut: bool,
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
        Verify(usize),
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
        /// The same with the route's wish for a fresh verdict. Says whether the cached verdict was used.
        fn used(gateway: &Gateway, fresh: bool, now_ms: u64) -> bool {
            let Some(cached) = gateway.cached else {
                return false;
            };
            match recall(cached, gateway.line(), fresh, now_ms) {
                Recall::Use => true,
                Recall::AskElseUse => gateway.cut,
                Recall::Ask => false,
            }
        }

        fn verify(state: &mut State, i: usize) {
            let gateway = &state.gateways[i];
            let after = state.acknowledged_ms;
            state.fresh_used_after |= Self::used(gateway, true, state.now_ms) && after.is_some();
            if Self::used(gateway, false, state.now_ms) {
                let parted = gateway.cut || state.now_ms >= gateway.until_ms;
                state.used_whole |= after.is_some() && !parted;
                state.used_stale |= after.is_some();
                state.used_too_late |= after.is_some_and(|it| state.now_ms - it > STALE_MS_MAX);
            } else if !gateway.cut {
                let made = Cached {
                    count: gateway.count,
                    made_ms: state.now_ms,
                };
                state.gateways[i].cached = (!state.ended).then_some(made);
            }
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
                actions.push(Action::Verify(i));
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
                Action::Verify(i) => Self::verify(&mut state, i),
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
}

/// Searches; prints the number of states; says which "always" broke and which "sometimes" never came.
fn check<W>(name: &str, world: W) -> Vec<&'static str>
where
    W: Model + Send + Sync + 'static,
    W::State: Clone + PartialEq + std::fmt::Debug + std::hash::Hash + Send + Sync,
    W::Action: Clone + PartialEq + std::fmt::Debug + Send + Sync,
{
    let properties: Vec<_> = world
        .properties()
        .into_iter()
        .map(|it| {
            (
                it.name,
                matches!(it.expectation, stateright::Expectation::Sometimes),
            )
        })
        .collect();
    let checker = world.checker().threads(2).spawn_bfs().join();
    println!(
        "{name}: {} states, {} steps",
        checker.unique_state_count(),
        checker.state_count()
    );
    let found = checker.discoveries();
    properties
        .into_iter()
        .filter(|(name, wanted)| found.contains_key(name) != *wanted)
        .map(|(name, _)| name)
        .collect()
}

const AFTER: &str = "nothing is valid after its acknowledged revocation";

#[test]
fn on_one_machine() {
    assert_eq!(
        check("revocation, local", local::World(Mistake::None)),
        Vec::<&str>::new()
    );
}

#[test]
fn across_machines() {
    assert_eq!(
        check("revocation, shared", shared::World(Mistake::None, 1)),
        Vec::<&str>::new()
    );
}

#[test]
fn wrong_orders_are_caught() {
    assert!(
        check(
            "acknowledged early",
            local::World(Mistake::AcknowledgedBeforeBump)
        )
        .contains(&AFTER)
    );
    assert!(check("count read late", local::World(Mistake::CountReadLate)).contains(&AFTER));
    assert!(
        check(
            "confirmed by asking",
            shared::World(Mistake::ConfirmedByAsking, 1)
        )
        .contains(&AFTER)
    );
    assert!(
        check(
            "lease from the answer",
            shared::World(Mistake::LeaseFromAnswer, 1)
        )
        .contains(&AFTER)
    );
}

/// Random walks with three gateways. The seed of a failing one is in its message.
#[test]
fn three_gateways_at_random() {
    let walk = |mistake, seed: u64| {
        let world = shared::World(mistake, 3);
        let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut state = world.init_states().remove(0);
        let mut actions = Vec::new();
        for _ in 0..300 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            actions.clear();
            world.actions(&state, &mut actions);
            let action = actions[usize::try_from(x >> 33).unwrap_or(0) % actions.len()];
            state = world.next_state(&state, action)?;
            let always = |it: &Property<shared::World>| {
                matches!(it.expectation, stateright::Expectation::Always)
            };
            let broken = world
                .properties()
                .into_iter()
                .filter(always)
                .find(|it| !(it.condition)(&world, &state));
            if let Some(property) = broken {
                return Some(property.name);
            }
        }
        None
    };
    for seed in 1..2000 {
        assert_eq!(walk(Mistake::None, seed), None, "seed {seed}");
    }
    assert!((1..2000).any(|seed| walk(Mistake::ConfirmedByAsking, seed) == Some(AFTER)));
}
