//! The rotating mode, exhaustively: one session, any number of tabs, one thief, up to 5 generations, 1 crash, up to 4
//! messages. The same model must catch the two protocols that people use instead.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "the number of states is a result of the test"
)]

mod world;

use session::rotating::refresh;
use stateright::{Checker, Expectation, Model};
use world::{World, random_successor, without_a};

/// Each world is searched whole. Together they are: crashes and 4 messages with old storage, the same with a thief, and
/// all of it at once with fewer messages.
const OLD_STORAGE: World = World {
    protocol: refresh,
    generations_max: 5,
    messages_max: 4,
    thefts_max: 0,
    roll_backs_max: 1,
};
const THIEF: World = World {
    protocol: refresh,
    generations_max: 5,
    messages_max: 4,
    thefts_max: 1,
    roll_backs_max: 0,
};
const ALL: World = World {
    protocol: refresh,
    generations_max: 5,
    messages_max: 2,
    thefts_max: 1,
    roll_backs_max: 1,
};

/// Searches; prints the number of states; says what broke.
fn check(name: &str, world: World) -> Vec<&'static str> {
    let checker = world.checker().threads(2).spawn_bfs().join();
    let (states, steps, depth) = (
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
    );
    println!("{name}: {states} states, {steps} steps, depth {depth}");
    let happens = |name: &str| {
        world
            .properties()
            .iter()
            .any(|it| it.name == name && matches!(it.expectation, Expectation::Sometimes))
    };
    let found = checker.discoveries();
    let missing = world
        .properties()
        .into_iter()
        .map(|it| it.name)
        .filter(|it| happens(it) && !found.contains_key(it));
    let mut broken: Vec<_> = found
        .keys()
        .copied()
        .filter(|it| !happens(it))
        .chain(missing)
        .collect();
    broken.sort_unstable();
    broken
}

#[test]
fn old_storage_and_lost_answers_sign_nobody_out() {
    assert_eq!(
        check("rotating, old storage", OLD_STORAGE),
        Vec::<&str>::new()
    );
}

#[test]
fn a_thief_is_noticed() {
    assert_eq!(check("rotating, thief", THIEF), Vec::<&str>::new());
}

#[test]
fn all_of_it_at_once() {
    assert_eq!(check("rotating, all", ALL), Vec::<&str>::new());
}

#[test]
fn a_random_successor_signs_honest_people_out() {
    let broken = check(
        "random successor",
        World {
            protocol: random_successor,
            ..OLD_STORAGE
        },
    );
    assert!(
        broken.contains(&"Inv2: honest stays signed in"),
        "{broken:?}"
    );
}

#[test]
fn a_successor_without_a_lets_a_thief_walk_along() {
    let broken = check(
        "derived without a",
        World {
            protocol: without_a,
            ..THIEF
        },
    );
    assert!(broken.contains(&"Inv3: theft is noticed"), "{broken:?}");
}
