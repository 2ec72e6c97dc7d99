//! The rotating mode, exhaustively: one session, any number of tabs, one thief, up to 5 generations (6 for the line of
//! the table that needs them), 1 crash, up to 4 messages. The same model must catch the two protocols that people use
//! instead.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "the number of states is a result of the test"
)]

mod world;

use session::rotating::refresh;
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use world::{World, random_successor, without_a};

/// Each world is searched whole. Together they are: crashes and 4 messages with old storage, the same with a thief, all
/// of it at once with fewer messages, and one generation more with a thief.
const OLD_STORAGE: World = World {
    protocol: refresh,
    generations_max: 5,
    messages_max: 4,
    thefts_max: 0,
    roll_backs_max: 1,
};
const THIEF: World = World {
    thefts_max: 1,
    roll_backs_max: 0,
    ..OLD_STORAGE
};
const ALL: World = World {
    messages_max: 2,
    roll_backs_max: 1,
    ..THIEF
};
const OLDER: World = World {
    generations_max: 6,
    messages_max: 2,
    ..THIEF
};

/// Searches; prints the number of states; says what broke, and what was never reached.
fn check(name: &str, world: World) -> Vec<&'static str> {
    let properties = world.properties();
    let checker = world.checker().threads(2);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures);
    let checker = checker.spawn_bfs().join();
    let (states, steps, depth) = (
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
    );
    println!("{name}: {states} states, {steps} steps, depth {depth}");
    let found = checker.discoveries();
    let wrong = properties.into_iter().filter(|it| {
        let wanted = matches!(it.expectation, Expectation::Sometimes);
        found.contains_key(it.name) != wanted
    });
    wrong.map(|it| it.name).collect()
}

#[test]
fn in_every_state_the_honest_stay_and_theft_is_noticed() {
    for (name, world) in [
        ("rotating, old storage", OLD_STORAGE),
        ("rotating, thief", THIEF),
        ("rotating, all at once", ALL),
        ("rotating, 6 generations", OLDER),
    ] {
        assert_eq!(check(name, world), Vec::<&str>::new(), "{name}");
    }
}

#[test]
fn a_random_successor_signs_honest_people_out() {
    let world = World {
        protocol: random_successor,
        ..OLD_STORAGE
    };
    let broken = check("random successor", world);
    let said = "Inv2: honest stays signed in";
    assert!(broken.contains(&said), "{broken:?}");
}

#[test]
fn a_successor_without_a_lets_a_thief_walk_along() {
    let world = World {
        protocol: without_a,
        ..THIEF
    };
    let broken = check("derived without a", world);
    let said = "Inv3: theft is noticed";
    assert!(broken.contains(&said), "{broken:?}");
}
