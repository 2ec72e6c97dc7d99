//! What both have: a keeper, and a transition of it.

mod file;
mod said;

use wire::{Cause, State, Transition, Why};

use crate::Keeper;

const KEEPER: Keeper = Keeper {
    pid: 40,
    started: 9,
};

fn transition(seq: u64, at_ms: u64, from: State, to: State, why: Why, text: &str) -> Transition {
    Transition {
        seq,
        wall_ms: at_ms,
        from,
        to,
        pid: 1067,
        cause: Cause {
            why,
            text: text.to_owned(),
        },
        ..Transition::default()
    }
}
