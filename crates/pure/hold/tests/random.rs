//! Random sequences of events: what must hold whatever happens.

use std::collections::BTreeMap;

use hold::{
    Event, Place, Program, Proof, REPEATS_MAX, Request, Room, Slot, Stage, Verdict, WINDOW_MAX, Why,
};
use proptest::prelude::*;
use wire::{Fact, Phase};

const COUNT_MAX: u32 = 12;
const BYTES_MAX: u64 = 4_000;

#[derive(Debug, Clone)]
enum Op {
    Arrive {
        safe: bool,
        client: u8,
        bytes: u64,
    },
    Says(usize, Phase, u64),
    /// The next generation takes over; the one before it finishes.
    Overlap(usize),
    /// The one before it is gone.
    Left(usize),
    Lost(usize),
    /// The program dies with all that it has read, and is back.
    Crash(usize),
    /// As the one before, but the shell sleeps until the timer that it was given.
    Sleep,
    Pass(u64),
    Happens {
        which: usize,
        what: What,
    },
    Leaves(usize),
    Grows(usize, u64),
    /// The worker's time is over.
    LeaveOver,
}

#[derive(Debug, Clone, Copy)]
enum What {
    ConnectFails,
    Connected,
    Sent,
    HandedOver,
    Unread { fresh: bool },
    Read,
    Answered,
    Begun,
    Stream,
    Done,
    BadAnswer,
    TimedOut,
    ClientGone,
    HoldDrain,
    Overlap,
    OwnError,
    Down,
    Bound,
    Leaving,
    LeaveOver,
}

fn op() -> impl Strategy<Value = Op> {
    let what = prop_oneof![
        Just(What::ConnectFails),
        Just(What::Connected),
        Just(What::Sent),
        Just(What::HandedOver),
        any::<bool>().prop_map(|fresh| What::Unread { fresh }),
        Just(What::Read),
        Just(What::Read),
        Just(What::Answered),
        Just(What::Begun),
        Just(What::Stream),
        Just(What::Done),
        Just(What::BadAnswer),
        Just(What::TimedOut),
        Just(What::ClientGone),
        Just(What::HoldDrain),
        prop::sample::select(vec![
            What::Overlap,
            What::OwnError,
            What::Down,
            What::Bound,
            What::Leaving,
            What::LeaveOver,
        ]),
    ];
    let window = prop_oneof![Just(0), Just(u64::MAX), 0..40_000u64];
    prop_oneof![
        4 => (any::<bool>(), 0..4u8, 0..900u64).prop_map(|(safe, client, bytes)| Op::Arrive { safe, client, bytes }),
        2 => (0..2usize, prop::sample::select(Phase::ALL), window).prop_map(|(at, phase, until)| Op::Says(at, phase, until)),
        2 => (0..2usize).prop_map(|at| Op::Says(at, Phase::Ready, 0)),
        2 => (0..2usize).prop_map(Op::Overlap),
        1 => (0..2usize).prop_map(Op::Left),
        1 => (0..2usize).prop_map(Op::Lost),
        3 => (0..2usize).prop_map(Op::Crash),
        2 => Just(Op::Sleep),
        2 => prop_oneof![0..50u64, 0..12_000u64].prop_map(Op::Pass),
        8 => (any::<prop::sample::Index>(), what).prop_map(|(which, what)| Op::Happens { which: which.index(1_000), what }),
        1 => any::<prop::sample::Index>().prop_map(|which| Op::Leaves(which.index(1_000))),
        1 => any::<prop::sample::Index>().prop_map(|rare| match rare.index(8) {
            0 => Op::LeaveOver,
            _ => Op::Pass(1),
        }),
        1 => (any::<prop::sample::Index>(), 0..900u64).prop_map(|(which, bytes)| Op::Grows(which.index(1_000), bytes)),
    ]
}

/// What the test knows of a request beside the program.
#[derive(Debug, Default, Clone)]
struct Known {
    safe: bool,
    client: u8,
    bytes: u64,
    handed: u8,
    ends: u8,
    arrival: u64,
}

/// What a keeper said last.
#[derive(Debug, Clone, Default)]
struct Said {
    phase: Option<Phase>,
    generation: u64,
    leaving: Option<u64>,
    window_until_ms: u64,
    silent: bool,
    /// Drains whose end was told, since the last word that wanted them.
    ended: Vec<u64>,
}

struct World {
    said: Vec<Said>,
    program: Program<u32>,
    room: Room,
    now: u64,
    seq: u64,
    known: BTreeMap<u32, Known>,
    waiting: BTreeMap<u32, hold::Key>,
    out: Vec<(u32, Request)>,
    last_new: u64,
    /// Answers of ours in the place of the program's, and answers that broke.
    failed: u64,
}

impl World {
    fn new(slots: usize) -> World {
        World {
            said: vec![Said::default(); slots],
            program: Program::new((0..slots).map(|_| Slot::unknown()).collect()),
            room: Room::new(COUNT_MAX, BYTES_MAX),
            now: 1_000,
            seq: 0,
            known: BTreeMap::new(),
            waiting: BTreeMap::new(),
            out: Vec::new(),
            last_new: 0,
            failed: 0,
        }
    }

    fn ends(&mut self, number: u32) {
        let known = self.known.get_mut(&number).expect("known");
        known.ends += 1;
        assert_eq!(known.ends, 1, "request {number} ended twice");
    }

    fn goes(&mut self, number: u32, request: Request) {
        assert_eq!(request.stage(), Stage::Waiting);
        self.may_be_served(&request);
        let known = &self.known[&number];
        // Sent again after the program had read it: only what may be repeated, and not too often.
        assert!(
            known.handed == 0 || known.safe,
            "request {number} was repeated"
        );
        assert!(
            known.handed <= REPEATS_MAX,
            "request {number} was repeated too often"
        );
        if request.is_suspect() {
            let others = self.out.iter().filter(|(_, other)| {
                other.is_suspect()
                    && !matches!(other.stage(), Stage::Begun | Stage::Stream | Stage::Over)
            });
            assert_eq!(others.count(), 0, "two suspects at once");
        }
        self.out.push((number, request));
    }

    fn ask(&mut self, number: u32, mut request: Request, place: Place) {
        match self.program.arrive(&mut request, place, self.now) {
            Verdict::Forward(_) => {
                assert!(self.waiting.is_empty(), "request {number} passed the queue");
                self.goes(number, request);
            }
            Verdict::Park(_) => {
                let bytes = self.known[&number].bytes;
                match self
                    .program
                    .park(&mut self.room, request, bytes, number, self.now)
                {
                    Ok(key) => {
                        self.waiting.insert(number, key);
                    }
                    Err((_, why)) => {
                        assert!(matches!(why, Why::NoRoom | Why::HoldOver));
                        self.failed += 1;
                        self.ends(number);
                    }
                }
            }
            Verdict::Answer(why) => {
                assert!(matches!(why, Why::Stopped | Why::Fatal));
                self.failed += 1;
                self.ends(number);
            }
            other => panic!("{other:?}"),
        }
    }

    fn suspect_is_out(&self) -> bool {
        self.out.iter().any(|(_, request)| request.is_suspect())
    }

    fn settle(&mut self) {
        for (number, request, why) in self.program.sweep(&mut self.room, self.now) {
            assert!(matches!(why, Why::Stopped | Why::Fatal | Why::HoldOver));
            assert_eq!(request.stage(), Stage::Over);
            self.failed += 1;
            self.waiting.remove(&number);
            self.ends(number);
        }
        while let Some((number, request)) = self.program.release(&mut self.room, self.now) {
            self.waiting.remove(&number).expect("it waited");
            let first = self.known[&number].arrival;
            let earlier = self
                .waiting
                .keys()
                // Of those that the program had read some may be suspects, which wait for one another.
                .filter(|other| self.known[other].arrival < first)
                .filter(|other| self.known[other].handed == 0 || !self.suspect_is_out());
            assert_eq!(earlier.count(), 0, "request {number} passed others");
            self.goes(number, request);
        }
        assert_eq!(self.program.waiting(), self.waiting.len());
        assert!(
            self.room.waiting() as usize == self.waiting.len() && self.room.waiting() <= COUNT_MAX
        );
        assert!(self.room.bytes() <= BYTES_MAX);
        for client in 0..4 {
            let mine = self
                .waiting
                .keys()
                .filter(|number| self.known[number].client == client);
            assert!(mine.count() <= 3, "client {client} has more than a quarter");
        }
        let flying: u64 = self.program.slots().iter().map(Slot::in_flight_all).sum();
        assert_eq!(flying, self.out.len() as u64);
        self.drains_are_told();
        self.timers_are_worth_it();
        assert!(self.out.len() <= self.known.len() && WINDOW_MAX >= 1);
    }

    /// A drain's end is told once, when nothing is left there, and then at once.
    fn drains_are_told(&mut self) {
        for (at, said) in self.said.iter_mut().enumerate() {
            let draining = matches!(said.phase, Some(Phase::Draining | Phase::DrainingToStop));
            let mut wanted: Vec<u64> = said.leaving.into_iter().collect();
            wanted.extend(draining.then_some(said.generation));
            said.ended.retain(|generation| wanted.contains(generation));
            let left = |generation: u64| {
                let mut out = self.out.iter();
                out.any(|(_, request)| (request.slot(), request.generation()) == (at, generation))
            };
            while let Some(drained) = self.program.drained(at) {
                let generation = drained.generation;
                assert!(wanted.contains(&generation), "nobody asked: {drained:?}");
                assert!(!said.ended.contains(&generation), "told twice: {drained:?}");
                assert!(!left(generation), "not at its end: {drained:?}");
                said.ended.push(generation);
            }
            for generation in wanted {
                assert!(
                    left(generation) || said.ended.contains(&generation),
                    "{generation}"
                );
            }
            assert_eq!(
                self.program.is_draining(at),
                said.ended.len() < usize::from(draining) + usize::from(said.leaving.is_some())
            );
        }
    }

    /// No timer is due that has just been served, and none is missing where only time can help.
    fn timers_are_worth_it(&self) {
        let timer = self.program.next_timer(self.now);
        if let Some(at) = timer {
            assert!(at > self.now, "a timer that is due again and again: {at}");
        }
        let serves = |said: &Said| said.phase == Some(Phase::Ready);
        if !self.waiting.is_empty() && self.out.is_empty() && self.said.iter().any(serves) {
            assert!(timer.is_some(), "it waits for nothing");
        }
    }

    /// A request goes where it may.
    fn may_be_served(&self, request: &Request) {
        let said = &self.said[request.slot()];
        let generation = self.program.slots()[request.slot()].generation();
        assert_eq!(request.generation(), generation);
        match said.phase {
            Some(Phase::Ready) => {}
            Some(Phase::Starting | Phase::Restarting | Phase::Draining) => assert!(said.silent),
            other => panic!("forwarded to one that is {other:?}"),
        }
    }

    fn tell(&mut self, at: usize) {
        let at = at % self.program.slots().len();
        self.seq += 1;
        let said = &mut self.said[at];
        said.silent = false;
        let leaving = said.leaving.map(|generation| wire::Leaving {
            generation,
            ..wire::Leaving::default()
        });
        let fact = Fact {
            seq: self.seq,
            phase: said.phase.unwrap_or(Phase::Starting),
            generation: said.generation,
            leaving,
            address: "unix:/app".into(),
            window_until_ms: said.window_until_ms,
            ..wire::decode(&wire::encode(&Fact::default())).expect("a fact")
        };
        said.phase = Some(fact.phase);
        let turn = self.program.told(at, &fact);
        let draining = matches!(fact.phase, Phase::Draining | Phase::DrainingToStop);
        assert_eq!(turn.end_streams, draining.then_some(fact.generation));
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Arrive {
                safe,
                client,
                bytes,
            } => {
                let number = self.known.len() as u32;
                self.last_new += 1;
                let known = Known {
                    safe,
                    client,
                    bytes,
                    arrival: self.last_new,
                    ..Known::default()
                };
                self.known.insert(number, known);
                self.ask(
                    number,
                    Request::new([client; 16], safe, 30_000),
                    Place::Back,
                );
            }
            Op::Says(at, phase, until) => {
                let said = &mut self.said[at % self.program.slots().len()];
                said.generation = said.generation.max(1);
                // A replacement by hold, or a crash.
                said.generation += u64::from(until % 3 == 1);
                said.phase = Some(phase);
                said.window_until_ms = until;
                self.tell(at);
            }
            Op::Overlap(at) => {
                let said = &mut self.said[at % self.program.slots().len()];
                if said.phase == Some(Phase::Ready) && said.leaving.is_none() {
                    said.leaving = Some(said.generation);
                    said.generation += 1;
                    self.tell(at);
                }
            }
            Op::Left(at) => {
                self.said[at % self.program.slots().len()].leaving = None;
                self.tell(at);
            }
            Op::Lost(at) => {
                let at = at % self.program.slots().len();
                self.said[at].silent = true;
                self.said[at].ended.clear();
                self.program.lost(at);
            }
            Op::Crash(at) => {
                let at = at % self.program.slots().len();
                self.apply(Op::Says(at, Phase::Restarting, 0));
                for what in [What::HandedOver, What::Read] {
                    for which in (0..self.out.len()).rev() {
                        if self.out[which].1.slot() == at {
                            self.happens(which, what);
                        }
                    }
                }
                self.apply(Op::Says(at, Phase::Ready, 0));
            }
            Op::Sleep => {
                if let Some(at) = self.program.next_timer(self.now) {
                    self.now = self.now.max(at);
                }
            }
            Op::Pass(ms) => self.now += ms,
            Op::Happens { which, what } => self.happens(which, what),
            Op::Leaves(which) => {
                if let Some((number, key)) = self.nth(which) {
                    self.program.leave(&mut self.room, key);
                    self.waiting.remove(&number);
                    self.ends(number);
                }
            }
            Op::LeaveOver => {
                for (number, request, why) in self.program.leave_over(&mut self.room, self.now) {
                    assert_eq!((request.stage(), why), (Stage::Over, Why::Leaving));
                    self.failed += 1;
                    self.waiting.remove(&number);
                    self.ends(number);
                }
            }
            Op::Grows(which, bytes) => {
                if let Some((number, key)) = self.nth(which)
                    && self.program.grow(&mut self.room, key, bytes)
                {
                    self.known.get_mut(&number).expect("known").bytes += bytes;
                }
            }
        }
        self.settle();
    }

    fn nth(&self, which: usize) -> Option<(u32, hold::Key)> {
        let count = self.waiting.len().max(1);
        self.waiting
            .iter()
            .nth(which % count)
            .map(|(number, key)| (*number, *key))
    }

    fn happens(&mut self, which: usize, what: What) {
        if self.out.is_empty() {
            return;
        }
        let at = which % self.out.len();
        let (number, mut request) = self.out.swap_remove(at);
        let before = request.stage();
        let was_read = matches!(before, Stage::Handed)
            || (before == Stage::Sent && matches!(what, What::Read));
        let event = match what {
            What::ConnectFails if before == Stage::Waiting => Event::ConnectFailed,
            What::Unread { fresh } if before == Stage::Sent => {
                Event::Ended(Proof::Unread { fresh })
            }
            What::Read if before != Stage::Waiting => Event::Ended(Proof::Read),
            What::BadAnswer if before != Stage::Waiting => Event::BadAnswer,
            What::TimedOut => Event::TimedOut,
            What::ClientGone => Event::ClientGone,
            What::HoldDrain => Event::HoldDrain,
            What::Overlap => Event::Overlap,
            What::OwnError => Event::OwnError,
            What::Down => Event::Down(Why::Stopped),
            What::Bound => Event::Bound(Why::HoldOver),
            What::Leaving => Event::Leaving,
            What::LeaveOver => Event::LeaveOver,
            _ => {
                let still = self.moves(number, &mut request, what);
                if still {
                    self.out.push((number, request));
                }
                return;
            }
        };
        match self.program.event(&mut request, event, self.now) {
            Verdict::Park(_) => {
                assert!(!was_read, "parked although it was read");
                self.ask(number, request, Place::Front);
            }
            Verdict::Repeat => {
                assert!(was_read);
                self.known.get_mut(&number).expect("known").handed += 1;
                self.ask(number, request, Place::Front);
            }
            Verdict::Stay => self.out.push((number, request)),
            Verdict::Answer(_) => {
                assert!(!matches!(before, Stage::Begun | Stage::Stream));
                self.failed += 1;
                self.ends(number);
            }
            verdict @ (Verdict::Abort | Verdict::EndStream) => {
                assert!(matches!(before, Stage::Begun | Stage::Stream));
                self.failed += u64::from(verdict == Verdict::Abort);
                self.ends(number);
            }
            Verdict::Leave => self.ends(number),
            Verdict::Forward(_) => panic!("an event forwards nothing"),
        }
    }

    /// Progress of a request; false when it is done.
    fn moves(&mut self, number: u32, request: &mut Request, what: What) -> bool {
        match what {
            What::Connected => self.program.connected(request),
            What::Sent => request.sent(),
            What::HandedOver => request.handed_over(),
            What::Answered if request.stage() != Stage::Waiting => self.program.answered(request),
            What::Begun if request.stage() == Stage::Handed => self.program.begun(request),
            What::Stream if request.stage() == Stage::Handed => self.program.stream(request),
            What::Done if matches!(request.stage(), Stage::Begun | Stage::Stream) => {
                self.program.done(request);
                self.ends(number);
                return false;
            }
            _ => {}
        }
        true
    }

    /// The program comes back for good: everything ends.
    fn finish(&mut self) {
        for _ in 0..200 {
            for at in 0..self.said.len() {
                self.apply(Op::Left(at));
                self.apply(Op::Says(at, Phase::Ready, 0));
            }
            for what in [
                What::Connected,
                What::HandedOver,
                What::Answered,
                What::Begun,
                What::Done,
            ] {
                for which in (0..self.out.len()).rev() {
                    self.happens(which, what);
                }
            }
            self.apply(Op::Pass(1_000));
            if self.out.is_empty() && self.waiting.is_empty() {
                break;
            }
        }
        assert!(
            self.out.is_empty() && self.waiting.is_empty(),
            "stuck: {:?} {:?}",
            self.out,
            self.waiting
        );
        assert!(
            self.known.values().all(|known| known.ends == 1),
            "a request was lost"
        );
        assert_eq!((self.room.waiting(), self.room.bytes()), (0, 0));
        let slots = self.program.slots();
        assert!(slots.iter().all(|slot| slot.in_flight_all() == 0));
        let all = |count: fn(&wire::Counts) -> u64| -> u64 {
            slots.iter().map(|slot| count(&slot.counts)).sum()
        };
        assert!(all(|counts| counts.requests) <= self.known.len() as u64);
        assert_eq!(all(|counts| counts.failed), self.failed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn no_request_is_lost_and_no_rule_is_broken(slots in 1..3usize, ops in prop::collection::vec(op(), 1..120)) {
        let mut world = World::new(slots);
        for op in ops {
            world.apply(op);
        }
        world.finish();
    }
}
