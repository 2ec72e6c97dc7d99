//! Revocation, exhaustively: two gateways with caches, requests that are half way through verification when a
//! revocation is committed, counted and acknowledged; leases, messages that come late or never, partitions, time.
//! Orders of steps that look as good must be caught.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "the number of states is a result of the test"
)]

#[path = "revocation/local.rs"]
mod local;
#[path = "revocation/shared.rs"]
mod shared;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

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
    /// The age of a cached verdict counts from the answer.
    AgeFromAnswer,
}

/// Searches; prints the number of states; says which "always" broke and which "sometimes" never came.
fn check<W>(name: &str, world: W) -> Vec<&'static str>
where
    W: Model + Send + Sync + 'static,
    W::State: Clone + PartialEq + std::fmt::Debug + std::hash::Hash + Send + Sync,
    W::Action: Clone + PartialEq + std::fmt::Debug + Send + Sync,
{
    let properties = world.properties();
    let checker = world.checker().threads(2);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures);
    let checker = checker.spawn_bfs().join();
    println!(
        "{name}: {} states, {} steps",
        checker.unique_state_count(),
        checker.state_count()
    );
    let found = checker.discoveries();
    let wrong = properties.into_iter().filter(|it| {
        let wanted = matches!(it.expectation, Expectation::Sometimes);
        found.contains_key(it.name) != wanted
    });
    wrong.map(|it| it.name).collect()
}

const AFTER: &str = "nothing is valid after its acknowledged revocation";
const TOO_LATE: &str = "under partition not beyond stale_max";

#[test]
fn in_every_state_nothing_is_valid_after_its_acknowledged_revocation() {
    let local = check("revocation, local", local::World(Mistake::None));
    assert_eq!(local, Vec::<&str>::new());
    let shared = check("revocation, shared", shared::World(Mistake::None, 1));
    assert_eq!(shared, Vec::<&str>::new());
}

#[test]
fn wrong_orders_are_caught() {
    for (name, mistake) in [
        ("acknowledged early", Mistake::AcknowledgedBeforeBump),
        ("count read late", Mistake::CountReadLate),
    ] {
        let broken = check(name, local::World(mistake));
        assert!(broken.contains(&AFTER), "{name}: {broken:?}");
    }
    for (name, mistake, said) in [
        ("count read late", Mistake::CountReadLate, AFTER),
        ("confirmed by asking", Mistake::ConfirmedByAsking, AFTER),
        ("lease from the answer", Mistake::LeaseFromAnswer, AFTER),
        ("age from the answer", Mistake::AgeFromAnswer, TOO_LATE),
    ] {
        let broken = check(name, shared::World(mistake, 1));
        assert!(broken.contains(&said), "{name}: {broken:?}");
    }
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
