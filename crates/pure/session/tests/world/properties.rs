//! What must hold in every state, and what must be reached for that to say something: every line of the design's table
//! (a forged tag stands among the former: it does nothing in any state).

use super::{SESSION, STORE, State, World, honest_a, thief_a};
use session::rotating::{Chain, Child, Place, Refresh, Step, place};
use session::token::Link;
use session::{Hidden, PAST_MAX, hash};
use stateright::Property;

/// The oldest token that can be presented must be older than all that a row remembers: the current one is one more.
const GENERATIONS_FOR_OLDER: u32 = 6;

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Browser,
    Thief,
}

impl World {
    pub(super) fn wanted(&self) -> Vec<Property<Self>> {
        let mut all = always();
        all.extend(lines());
        if self.thefts_max > 0 {
            all.extend(thefts());
            if self.generations_max >= GENERATIONS_FOR_OLDER {
                all.extend(older());
            }
        }
        all
    }

    /// Whether somebody can present a token now and it comes to this: by whom, the line of the table, the step.
    fn comes_to(&self, state: &State, line: impl Fn(By, Place, &Chain, Step) -> bool) -> bool {
        let honest = (0..state.wire.len())
            .filter_map(|i| state.asked(i))
            .filter(|it| state.in_reach(it))
            .map(|it| (By::Browser, it, honest_a(it)));
        let stolen = state.loot.iter().map(|it| (By::Thief, it, thief_a(it)));
        !state.over
            && honest.chain(stolen).any(|(by, token, a)| {
                let place = place(&state.chain, token, Some(&a));
                line(by, place, &state.chain, self.answer(state, token, a))
            })
    }

    fn answer(&self, state: &State, token: &Link, a: Hidden) -> Step {
        let ask = Refresh {
            token: token.clone(),
            a,
            r: [255; 16],
        };
        (self.protocol)(&state.chain, &ask)
    }

    /// As long as no thief has used what it stole, the browser is signed in, and its next refresh succeeds.
    fn honest_stays(&self, state: &State) -> bool {
        let next = || self.answer(state, &state.storage, honest_a(&state.storage));
        let living = || !state.honest_signed_out && !state.over;
        state.thief_asked || living() && matches!(next(), Step::Commit(..) | Step::Repeat(..))
    }

    /// What the browser holds, with a tag of somebody's own.
    fn forged_is_refused(&self, state: &State) -> bool {
        let Link { c, t, .. } = state.storage.clone();
        let forged = Link::tagged(STORE, SESSION, c, t, &Hidden::new(hash(b"a guess")));
        self.answer(state, &forged, honest_a(&forged)) == Step::InvalidGrant
    }
}

fn always() -> Vec<Property<World>> {
    vec![
        Property::always("Inv1: one child for one client", |_, it: &State| {
            !it.two_children && !it.behind
        }),
        Property::always("Inv2: honest stays signed in", World::honest_stays),
        Property::always("Inv3: theft is noticed", |_, it: &State| {
            it.over || !it.seen.iter().any(|it| it.honest && it.thief)
        }),
        Property::always("a row holds no token", |_, it: &State| {
            let past = it.chain.past.iter().map(|it| &it.child);
            let children = it.chain.child.iter().chain(past);
            let kept = children.map(|Child { hash, .. }| hash);
            kept.chain([&it.chain.hash])
                .all(|it_is| it_is != it.storage.t.expose())
        }),
        Property::always("tag invalid: refused", World::forged_is_refused),
    ]
}

fn lines() -> Vec<Property<World>> {
    vec![
        Property::sometimes("all parents are remembered", |_, it: &State| {
            it.chain.past.len() == PAST_MAX
        }),
        Property::sometimes("current without child: made", |world: &World, it| {
            world.comes_to(it, |_, place, chain, step| {
                place == Place::Current
                    && matches!(step, Step::Commit(next, _) if next.c == chain.c && next.child.is_some())
            })
        }),
        Property::sometimes("current, same a: repeated", |world: &World, it| {
            world.comes_to(it, |_, place, chain, step| {
                let child = chain.child.as_ref().map(|it| it.hash);
                place == Place::CurrentOwn
                    && matches!(step, Step::Repeat(it) if Some(hash(it.t.expose())) == child)
            })
        }),
        Property::sometimes("child presented: the next", |world: &World, it| {
            world.comes_to(it, |_, place, chain, step| {
                place == Place::Child
                    && matches!(step, Step::Commit(next, _) if next.c == chain.c + 1 && next.past[0].hash == chain.hash)
            })
        }),
        Property::sometimes("past, same a: its own child", |world: &World, it| {
            world.comes_to(it, |_, place, chain, step| match (place, step) {
                (Place::PastOwn(i), Step::Repeat(it)) => {
                    hash(it.t.expose()) == chain.past[i].child.hash
                }
                _ => false,
            })
        }),
    ]
}

fn thefts() -> Vec<Property<World>> {
    vec![
        Property::sometimes("current, other a: theft", |world: &World, it| {
            world.comes_to(it, |_, place, _, step| {
                place == Place::CurrentOther && step == Step::Theft
            })
        }),
        Property::sometimes("past, other a: theft", |world: &World, it| {
            world.comes_to(it, |_, place, _, step| {
                place == Place::PastOther && step == Step::Theft
            })
        }),
    ]
}

fn older() -> Vec<Property<World>> {
    vec![
        Property::sometimes("older, by the thief: theft", |world: &World, it| {
            world.comes_to(it, |by, place, _, step| {
                by == By::Thief && place == Place::Older && step == Step::Theft
            })
        }),
        // The thief has gone ahead.
        Property::sometimes("older, by the browser: theft", |world: &World, it| {
            world.comes_to(it, |by, place, _, step| {
                by == By::Browser && place == Place::Older && step == Step::Theft
            })
        }),
    ]
}
