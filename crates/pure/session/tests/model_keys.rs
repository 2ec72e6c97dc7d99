//! Keys, exhaustively: rotations (with overlap and compromised), two generations running at once, users whose tokens
//! were signed by any of them, a thief with the compromised key, time. A gateway that signs with the newest key
//! whatever the instance knows must be caught.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "the number of states is a result of the test"
)]

use session::jws::{Alg, Compact, sign};
use session::keyring::{KeyId, Keyring, Outcome, Role, Rotation};
use stateright::{Checker, Expectation, Model, Property};

/// Tokens of the app live so long; time goes in these steps.
const LIFE_S: u64 = 2;

/// How the gateway chooses the key for an instance.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gateway {
    /// The real one: the key that the generation was started with.
    Right,
    /// The key that signs now.
    Newest,
    /// Passes tokens on as they are.
    None,
}

struct World {
    gateway: Gateway,
    rotations_max: u32,
    time_max: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    ring: Keyring,
    /// Keys of the running generations, oldest first. One, or two while the old one drains.
    running: Vec<KeyId>,
    rotations: u32,
    now_s: u64,
    /// A user's token, its exp, and the key that the instance signed it with.
    held: Option<(String, u64, KeyId)>,
    /// A token that a thief made with a compromised key.
    forged: Option<String>,
    honest_refused: bool,
    forged_accepted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// The user signs in at this instance: it makes a token with its own key.
    SignIn(usize),
    /// The user's token goes to this instance.
    Present(usize),
    /// The thief's does.
    PresentForged(usize),
    /// The old instance is gone.
    Drained,
    Rotate,
    RotateCompromised,
    Tick,
}

fn secret(n: u32) -> Vec<u8> {
    format!("key number {n}, of thirty-two bytes").into_bytes()
}

impl World {
    /// What the program says: it knows its own key only.
    fn accepted(&self, state: &State, text: &str, instance: usize) -> bool {
        let own = state.running[instance];
        let target = match self.gateway {
            Gateway::Right | Gateway::None => own,
            Gateway::Newest => state.ring.signing(),
        };
        let sent = match state.ring.towards(text, target) {
            Outcome::Signed(text) if self.gateway != Gateway::None => text,
            Outcome::Signed(_) | Outcome::AsItIs(_) => text.to_owned(),
        };
        let known = secret(own.0);
        Compact::read(&sent).is_ok_and(|it| it.proved_by(&known))
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            ring: Keyring::new(&secret(0)),
            running: vec![KeyId(0)],
            rotations: 0,
            now_s: 0,
            held: None,
            forged: None,
            honest_refused: false,
            forged_accepted: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for instance in 0..state.running.len() {
            actions.push(Action::SignIn(instance));
            if state.held.is_some() {
                actions.push(Action::Present(instance));
            }
            if state.forged.is_some() {
                actions.push(Action::PresentForged(instance));
            }
        }
        if state.running.len() > 1 {
            actions.push(Action::Drained);
        } else if state.rotations < self.rotations_max {
            actions.extend([Action::Rotate, Action::RotateCompromised]);
        }
        if state.now_s < self.time_max {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::SignIn(instance) => {
                let key = state.running[instance];
                let exp = state.now_s + LIFE_S;
                state.held = Some((
                    sign(Alg::Hs256, &secret(key.0), &format!("{{\"exp\":{exp}}}")),
                    exp,
                    key,
                ));
            }
            Action::Present(instance) => {
                let (text, exp, key) = state.held.clone()?;
                // Signed with a key that has leaked since: the one case in which a user must sign in again.
                let leaked = state
                    .ring
                    .keys()
                    .iter()
                    .any(|it| it.id == key && it.role == Role::Compromised);
                let alive = state.now_s < exp;
                state.honest_refused |= alive && !leaked && !self.accepted(&state, &text, instance);
            }
            Action::PresentForged(instance) => {
                let text = state.forged.clone()?;
                state.forged_accepted |= self.accepted(&state, &text, instance);
            }
            Action::Drained => {
                let gone = state.running.remove(0);
                state.ring.stopped(gone, state.now_s, LIFE_S);
            }
            Action::Rotate => {
                state.rotations += 1;
                let until_s = state.now_s + LIFE_S;
                let new = secret(state.rotations);
                state
                    .ring
                    .rotate(&new, Rotation::Overlap { until_s })
                    .then_some(())?;
                state.running.push(state.ring.signing());
            }
            Action::RotateCompromised => {
                state.rotations += 1;
                let leaked = state.ring.signing();
                let new = secret(state.rotations);
                state
                    .ring
                    .rotate(&new, Rotation::Compromised)
                    .then_some(())?;
                state.forged = Some(sign(Alg::Hs256, &secret(leaked.0), "{\"sub\":\"admin\"}"));
                // Never overlaps: the instance that knows the leaked key is stopped first.
                state.running = vec![state.ring.signing()];
            }
            Action::Tick => {
                state.now_s += 1;
                let running = state.running.clone();
                state.ring.expire(state.now_s, &running);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no rotation signs anybody out", |_, it: &State| {
                !it.honest_refused
            }),
            Property::always("a leaked key opens nothing", |_, it: &State| {
                !it.forged_accepted
            }),
            Property::always("one key signs", |_, it: &State| {
                it.ring
                    .keys()
                    .iter()
                    .filter(|key| key.role == Role::Signing)
                    .count()
                    == 1
            }),
            Property::always("a running key is in the ring", |_, it: &State| {
                it.running.iter().all(|id| it.ring.expose(*id).is_some())
            }),
            Property::sometimes(
                "a token meets an instance that has another key",
                |_, it: &State| {
                    let held = it.held.as_ref().filter(|(_, exp, _)| it.now_s < *exp);
                    held.is_some_and(|(_, _, key)| it.running.iter().any(|id| id != key))
                },
            ),
            Property::sometimes("a leaked key is used", |_, it: &State| it.forged.is_some()),
        ]
    }
}

fn check(name: &str, gateway: Gateway) -> Vec<&'static str> {
    let world = World {
        gateway,
        rotations_max: 3,
        time_max: 5,
    };
    let properties = world.properties();
    let checker = world.checker().threads(2).spawn_bfs().join();
    println!(
        "{name}: {} states, {} steps",
        checker.unique_state_count(),
        checker.state_count()
    );
    assert!(
        gateway != Gateway::Right || checker.unique_state_count() > 1000,
        "the model says nothing any more"
    );
    let found = checker.discoveries();
    let wrong = properties.into_iter().filter(|it| {
        let wanted = matches!(it.expectation, Expectation::Sometimes);
        found.contains_key(it.name) != wanted
    });
    wrong.map(|it| it.name).collect()
}

#[test]
fn in_every_state_rotations_sign_nobody_out_and_let_nobody_in() {
    assert_eq!(check("keys", Gateway::Right), Vec::<&str>::new());
}

#[test]
fn the_newest_key_towards_an_old_instance_is_caught() {
    assert_eq!(
        check("keys, newest towards all", Gateway::Newest),
        ["no rotation signs anybody out"]
    );
}

#[test]
fn without_signing_again_rotation_signs_out() {
    assert_eq!(
        check("keys, passed on", Gateway::None),
        ["no rotation signs anybody out"]
    );
}
