//! The rotating mode, deep: the same world as the exhaustive model with bounds of another order, walked at random. When
//! a session is over its user signs in again, so that a walk sees many thefts.
#![allow(missing_docs, reason = "a test")]

mod world;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{Union, ValueTree as _};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use session::rotating::refresh;
use stateright::{Expectation, Model, Property};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use world::{Action, State, World, random_successor, without_a};

/// A world that is walked through.
trait Deep: std::fmt::Debug + Clone + 'static {
    const WORLD: World;
}

const HONEST: World = World {
    protocol: refresh,
    generations_max: 400,
    messages_max: 8,
    thefts_max: 0,
    roll_backs_max: u32::MAX,
};
const THIEF: World = World {
    thefts_max: 3,
    ..HONEST
};

macro_rules! deep {
    ($($name:ident = $world:expr;)*) => {$(
        #[derive(Debug, Clone)]
        struct $name;
        impl Deep for $name {
            const WORLD: World = $world;
        }
    )*};
}

deep! {
    Honest = HONEST;
    Thief = THIEF;
    RandomSuccessor = World { protocol: random_successor, ..HONEST };
    WithoutA = World { protocol: without_a, ..THIEF };
}

struct Walk<D>(PhantomData<D>);

const fn kind(action: &Action) -> &'static str {
    match action {
        Action::Deliver(_) => "deliver",
        Action::Refresh => "refresh",
        Action::Lose(_) => "lose",
        Action::ThiefAsks(_) => "thief asks",
        Action::ThiefReplays => "thief replays",
        Action::Steal => "steal",
        Action::Overhear(_) => "overhear",
        Action::Crash(_) => "crash",
        Action::RollBack(_) => "roll back",
        Action::SignIn => "sign in",
    }
}

/// How often each kind of step is taken, beside the others that can be. Crashes end all that is on its way: with many of
/// them nothing would get old.
fn weight(kind: &str) -> u32 {
    match kind {
        "deliver" => 24,
        "refresh" | "thief goes on" => 12,
        "lose" => 2,
        _ => 1,
    }
}

fn offered<D: Deep>(state: &State) -> Vec<Action> {
    let mut actions = Vec::new();
    D::WORLD.actions(state, &mut actions);
    actions
}

impl<D: Deep> ReferenceStateMachine for Walk<D> {
    type State = State;
    type Transition = Action;

    fn init_state() -> BoxedStrategy<State> {
        let mut all = D::WORLD.init_states();
        Just(all.remove(0)).boxed()
    }

    fn transitions(state: &State) -> BoxedStrategy<Action> {
        let mut kinds = BTreeMap::<_, Vec<Action>>::new();
        for action in offered::<D>(state) {
            kinds.entry(kind(&action)).or_default().push(action);
        }
        // A thief mostly goes on from where it is.
        let newest = kinds.get("thief asks").and_then(|it| it.last().cloned());
        kinds.extend(newest.map(|it| ("thief goes on", vec![it])));
        let kinds = kinds.into_iter();
        Union::new_weighted(kinds.map(|(kind, it)| (weight(kind), select(it))).collect()).boxed()
    }

    fn preconditions(state: &State, action: &Action) -> bool {
        offered::<D>(state).contains(action)
    }

    fn apply(state: State, action: &Action) -> State {
        let next = D::WORLD.next_state(&state, action.clone());
        next.expect("every action offered can be taken")
    }
}

fn properties<D: Deep>(wanted: Expectation) -> impl Iterator<Item = Property<World>> {
    let all = D::WORLD.properties().into_iter();
    all.filter(move |it| it.expectation == wanted)
}

/// What must hold in every state and does not.
fn broken<D: Deep>(state: &State) -> Vec<&'static str> {
    let all = properties::<D>(Expectation::Always);
    let broken = all.filter(|it| !(it.condition)(&D::WORLD, state));
    broken.map(|it| it.name).collect()
}

/// What is under test is the protocol that the world calls: it holds no state beside the world's.
impl<D: Deep> StateMachineTest for Walk<D> {
    type SystemUnderTest = ();
    type Reference = Self;

    fn init_test(_: &State) {}

    fn apply((): (), state: &State, _: Action) {
        assert_eq!(broken::<D>(state), Vec::<&str>::new());
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

prop_state_machine! {
    #![proptest_config(config())]

    #[test]
    fn nobody_is_signed_out_by_loss_crashes_and_old_storage(sequential 1..1500 => Walk<Honest>);

    #[test]
    fn theft_is_noticed_whatever_else_happens(sequential 1..1500 => Walk<Thief>);
}

/// The same walks each time; each state of them is looked at, until there is an answer.
fn walk<D: Deep, T>(mut look: impl FnMut(&State) -> Option<T>) -> Option<T> {
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config(), random);
    for _ in 0..20 {
        let walk = Walk::<D>::sequential_strategy(1500).new_tree(&mut runner);
        let (mut state, actions, _) = walk.expect("a walk").current();
        for action in &actions {
            state = <Walk<D> as ReferenceStateMachine>::apply(state, action);
            let said = look(&state);
            if said.is_some() {
                return said;
            }
        }
    }
    None
}

/// The walk can fail: the broken protocols do not survive it.
#[test]
fn broken_protocols_are_caught() {
    fn caught<D: Deep>(wanted: &str) -> bool {
        walk::<D, _>(|state| broken::<D>(state).contains(&wanted).then_some(())).is_some()
    }
    assert!(caught::<RandomSuccessor>("Inv2: honest stays signed in"));
    assert!(caught::<WithoutA>("Inv3: theft is noticed"));
}

/// The walk says something: it is long, and comes to every line of the table.
#[test]
fn walks_reach_every_line_of_the_table() {
    fn reached<D: Deep>(generations: u32) {
        let mut missing: Vec<_> = properties::<D>(Expectation::Sometimes).collect();
        let mut deepest = 0;
        let all = walk::<D, _>(|state| {
            missing.retain(|it| !(it.condition)(&D::WORLD, state));
            deepest = deepest.max(state.chain.c);
            (missing.is_empty() && deepest >= generations).then_some(())
        });
        let missing: Vec<_> = missing.iter().map(|it| it.name).collect();
        assert!(all.is_some(), "never reached: {missing:?}, {deepest}");
    }
    reached::<Honest>(100);
    reached::<Thief>(10);
}
