//! One rotating session and everybody who touches it: a browser with any number of tabs that share its storage, a
//! thief, a gateway that crashes, a wire that loses, delays and reorders. Small bounds make it exhaustive
//! (`model_rotating.rs`), large ones deep (`deep_rotating.rs`).
//!
//! The functions under test are the real ones, with the real hashes. What keeps the search small loses nothing:
//! * Tabs hold no state of their own (the protocol reads storage again before each refresh): they differ only by when
//!   they send, so any number of them is covered.
//! * The gateway holds no state either, so that a crash needs no counter: any number of them is covered.
//! * A message is lost only when the wire is full: until then a lost one is one that was not delivered yet.
//! * The thief keeps all that it got and uses any of it at any time, so its own messages need no delay.
//!
//! What is out of the protocol's reach is left out: storage, or a request on its way, that is more than [`PAST_MAX`]
//! generations older than the newest that the browser has held.

mod broken;
mod properties;

pub(crate) use broken::{random_successor, without_a};

use session::rotating::{Chain, Refresh, Step};
use session::token::Link;
use session::{Hidden, PAST_MAX, Sid, StoreId, hash};
use stateright::{Model, Property};

/// How the gateway answers: the real protocol, or one that must be caught.
pub(crate) type Protocol = fn(&Chain, &Refresh) -> Step;

#[derive(Clone, Copy)]
pub(crate) struct World {
    pub(crate) protocol: Protocol,
    pub(crate) generations_max: u32,
    pub(crate) messages_max: usize,
    pub(crate) thefts_max: u32,
    pub(crate) roll_backs_max: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Who {
    Honest,
    Thief,
    /// The thief again, with a request of the browser that it overheard: the same `t` and the same `a`.
    Replay,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Message {
    /// The browser presents a token.
    Ask(Link),
    /// It gets the successor.
    Granted(Link),
    /// It gets `invalid_grant`.
    SignedOut,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) chain: Chain,
    pub(crate) over: bool,
    draws: u32,
    storage: Link,
    older: Vec<Link>,
    roll_backs: u32,
    /// So many generations lies the storage behind the newest that it has held.
    back: usize,
    wire: Vec<Message>,
    loot: Vec<Link>,
    overheard: Option<Link>,
    thefts: u32,
    /// For each parent that was answered: how often it has one child, and who presented it.
    seen: Vec<Seen>,
    thief_asked: bool,
    honest_signed_out: bool,
    behind: bool,
    two_children: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seen {
    parent: Link,
    honest: bool,
    thief: bool,
    /// The child that the browser's `a` leads to.
    child: Option<Link>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Refresh,
    Steal,
    Overhear(usize),
    ThiefAsks(usize),
    ThiefReplays,
    Deliver(usize),
    Lose(usize),
    /// The gateway dies: all connections end. Before that it may have committed one request, unanswered.
    Crash(Option<usize>),
    /// The browser's storage is restored as it was this many changes ago.
    RollBack(usize),
    /// The session is over: the user signs in again, and all begins anew.
    SignIn,
}

const STORE: StoreId = StoreId(*b"store..1");
const SESSION: Sid = Sid(*b"session........1");

fn answer_key(of: &[u8], t: &Link) -> Hidden {
    let mut text = of.to_vec();
    text.extend_from_slice(t.t.expose());
    Hidden::new(hash(&text))
}

/// HMAC(ci, t) stands as a hash here: the protocol only needs that others cannot know it.
fn honest_a(t: &Link) -> Hidden {
    answer_key(b"the browser's ci", t)
}
fn thief_a(t: &Link) -> Hidden {
    answer_key(b"the thief's ci", t)
}

/// By so many generations.
fn ahead(new: &Link, old: &Link) -> usize {
    usize::try_from(new.c.saturating_sub(old.c)).unwrap_or(usize::MAX)
}

impl World {
    fn room(&self, state: &State) -> bool {
        state.wire.len() < self.messages_max
    }

    /// The gateway handles one request; None: signed out, or unknown.
    fn handle(&self, state: &mut State, who: Who, token: Link, a: Hidden) -> Option<Link> {
        state.thief_asked |= who != Who::Honest;
        let mut r = [0; 16];
        r[..4].copy_from_slice(&state.draws.to_be_bytes());
        match (self.protocol)(
            &state.chain,
            &Refresh {
                token: token.clone(),
                a,
                r,
            },
        ) {
            Step::Commit(chain, child) => {
                state.draws += 1;
                state.chain = chain;
                state.note(who, token, Some(child.clone()));
                Some(child)
            }
            Step::Repeat(child) => {
                state.note(who, token, Some(child.clone()));
                Some(child)
            }
            Step::Theft => {
                state.note(who, token, None);
                state.over = true;
                None
            }
            Step::InvalidGrant => {
                state.honest_signed_out |= who == Who::Honest;
                None
            }
            Step::Behind => {
                state.behind = true;
                None
            }
        }
    }

    /// The thief keeps it.
    fn loot(state: &mut State, token: Link) {
        if !state.loot.contains(&token) {
            state.loot.push(token);
            state.loot.sort_by_key(|it| (it.c, *it.t.expose()));
        }
    }

    fn receive(state: &mut State, message: Message) {
        match message {
            // The browser never writes an older generation over a newer one.
            Message::Granted(child) if child.c > state.storage.c => {
                state.back = state.back.saturating_sub(ahead(&child, &state.storage));
                let before = std::mem::replace(&mut state.storage, child);
                state.older.insert(0, before);
                state.older.truncate(PAST_MAX);
            }
            Message::Granted(_) | Message::Ask(_) => {}
            Message::SignedOut => state.honest_signed_out = true,
        }
    }
}

impl State {
    fn note(&mut self, who: Who, parent: Link, child: Option<Link>) {
        let index = self
            .seen
            .iter()
            .position(|it| it.parent == parent)
            .unwrap_or_else(|| {
                self.seen.push(Seen {
                    parent,
                    honest: false,
                    thief: false,
                    child: None,
                });
                self.seen.len() - 1
            });
        let seen = &mut self.seen[index];
        seen.honest |= who == Who::Honest;
        seen.thief |= who == Who::Thief;
        if who != Who::Thief && child.is_some() {
            self.two_children |= seen.child.is_some() && seen.child != child;
            seen.child = child;
        }
        self.seen
            .sort_by_key(|it| (it.parent.c, *it.parent.t.expose()));
    }

    /// The token of a request that is on its way.
    fn asked(&self, i: usize) -> Option<&Link> {
        match &self.wire[i] {
            Message::Ask(token) => Some(token),
            Message::Granted(_) | Message::SignedOut => None,
        }
    }

    /// The browser presents it and the protocol has to stand by it.
    fn in_reach(&self, token: &Link) -> bool {
        ahead(&self.storage, token) + self.back <= PAST_MAX
    }

    fn send(&mut self, message: Message) {
        self.wire.push(message);
        self.wire.sort_by_key(|it| match it {
            Message::Ask(t) => (0, *t.t.expose()),
            Message::Granted(t) => (1, *t.t.expose()),
            Message::SignedOut => (2, [0; 32]),
        });
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let key = Hidden::new(hash(b"k_s"));
        let first = Link::tagged(STORE, SESSION, 0, Hidden::new(hash(b"first")), &key);
        vec![State {
            chain: Chain::new(key, hash(first.t.expose())),
            over: false,
            draws: 0,
            storage: first,
            older: Vec::new(),
            roll_backs: 0,
            back: 0,
            wire: Vec::new(),
            loot: Vec::new(),
            overheard: None,
            thefts: 0,
            seen: Vec::new(),
            thief_asked: false,
            honest_signed_out: false,
            behind: false,
            two_children: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.over {
            actions.push(Action::SignIn);
            return;
        }
        if self.room(state) && !state.honest_signed_out && state.storage.c < self.generations_max {
            actions.push(Action::Refresh);
        }
        let all = || 0..state.wire.len();
        let asks = || all().filter(|i| state.asked(*i).is_some());
        let arrives = |i: &usize| state.asked(*i).is_none_or(|it| state.in_reach(it));
        if state.thefts < self.thefts_max {
            actions.push(Action::Steal);
            actions.extend(asks().map(Action::Overhear));
        }
        let usable = |i: &usize| state.loot[*i].c < self.generations_max;
        actions.extend((0..state.loot.len()).filter(usable).map(Action::ThiefAsks));
        if state.overheard.is_some() {
            actions.push(Action::ThiefReplays);
        }
        actions.extend(all().filter(arrives).map(Action::Deliver));
        if !self.room(state) {
            actions.extend(all().map(Action::Lose));
        }
        if !state.wire.is_empty() {
            actions.push(Action::Crash(None));
            actions.extend(asks().filter(arrives).map(|i| Action::Crash(Some(i))));
        }
        if state.roll_backs < self.roll_backs_max {
            let usable = |by: &usize| state.in_reach(&state.older[by - 1]);
            actions.extend((1..=state.older.len()).filter(usable).map(Action::RollBack));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Refresh => state.send(Message::Ask(last.storage.clone())),
            Action::Steal => {
                state.thefts += 1;
                Self::loot(&mut state, last.storage.clone());
            }
            Action::Overhear(i) => {
                state.thefts += 1;
                if let Message::Ask(token) = &last.wire[i] {
                    state.overheard = Some(token.clone());
                    Self::loot(&mut state, token.clone());
                }
            }
            Action::ThiefAsks(i) => {
                let token = last.loot[i].clone();
                let a = thief_a(&token);
                let child = self.handle(&mut state, Who::Thief, token, a);
                child.into_iter().for_each(|it| Self::loot(&mut state, it));
            }
            Action::ThiefReplays => {
                let token = last.overheard.clone()?;
                let a = honest_a(&token);
                let child = self.handle(&mut state, Who::Replay, token, a);
                child.into_iter().for_each(|it| Self::loot(&mut state, it));
            }
            Action::Deliver(i) => match state.wire.remove(i) {
                Message::Ask(token) => {
                    let a = honest_a(&token);
                    let answer = self.handle(&mut state, Who::Honest, token, a);
                    state.send(answer.map_or(Message::SignedOut, Message::Granted));
                }
                answer => Self::receive(&mut state, answer),
            },
            Action::Lose(i) => {
                state.wire.remove(i);
            }
            Action::Crash(committed) => {
                if let Some(Message::Ask(token)) = committed.map(|i| state.wire.remove(i)) {
                    let a = honest_a(&token);
                    let _unsaid = self.handle(&mut state, Who::Honest, token, a);
                }
                state.wire.clear();
            }
            Action::RollBack(by) => {
                state.roll_backs += 1;
                state.storage = state.older[by - 1].clone();
                state.older.drain(..by);
                state.back += ahead(&last.storage, &state.storage);
            }
            Action::SignIn => return self.init_states().pop(),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.wanted()
    }
}
