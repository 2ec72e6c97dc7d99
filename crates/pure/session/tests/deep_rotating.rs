//! The rotating mode, deep: the same world as the exhaustive model with bounds of another order, walked at random.
#![allow(missing_docs, reason = "a test")]

mod world;

use proptest::prelude::*;
use session::rotating::refresh;
use stateright::Model;
use world::{Protocol, World, random_successor, without_a};

fn deep(protocol: Protocol, thefts_max: u32) -> World {
    World {
        protocol,
        generations_max: 400,
        messages_max: 8,
        thefts_max,
        roll_backs_max: 0,
    }
}

/// Walks; says at which step which property broke.
fn walk(world: World, choices: &[u16]) -> Result<u32, &'static str> {
    let mut state = world.init_states().remove(0);
    let properties = world.properties();
    let mut actions = Vec::new();
    for choice in choices {
        actions.clear();
        world.actions(&state, &mut actions);
        let Some(action) = actions.get(usize::from(*choice) % actions.len().max(1)) else {
            break;
        };
        state = world
            .next_state(&state, action.clone())
            .expect("every action offered can be taken");
        for property in properties
            .iter()
            .filter(|it| matches!(it.expectation, stateright::Expectation::Always))
        {
            if !(property.condition)(&world, &state) {
                return Err(property.name);
            }
        }
    }
    Ok(state.chain.c)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_signed_out_by_loss_and_crashes(choices in prop::collection::vec(any::<u16>(), 1..3000)) {
        walk(deep(refresh, 0), &choices).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn nobody_is_signed_out_by_old_storage(choices in prop::collection::vec(any::<u16>(), 1..3000)) {
        walk(World { roll_backs_max: 1, ..deep(refresh, 0) }, &choices).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn theft_is_noticed(choices in prop::collection::vec(any::<u16>(), 1..3000)) {
        walk(deep(refresh, 3), &choices).map_err(TestCaseError::fail)?;
    }
}

/// The walk can fail: the broken protocols do not survive it.
#[test]
fn the_walk_catches_broken_protocols() {
    let choices = |seed: u64| {
        let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        (0..3000)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                (x >> 16) as u16
            })
            .collect::<Vec<u16>>()
    };
    let caught = |protocol, thefts| {
        (0..40)
            .filter(|seed| walk(deep(protocol, thefts), &choices(*seed + 1)).is_err())
            .count()
    };
    assert!(caught(random_successor, 0) > 0);
    assert!(caught(without_a, 3) > 0);
    assert_eq!(caught(refresh, 3), 0);
    let deepest = (0..40)
        .filter_map(|seed| walk(deep(refresh, 0), &choices(seed + 1)).ok())
        .max();
    assert!(
        deepest > Some(100),
        "walks no deeper than {deepest:?} generations"
    );
}
