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
    Says(Phase, u64),
    Lost,
    /// The program dies with all that it has read, and is back.
    Crash,
    Pass(u64),
    Happens {
        which: usize,
        what: What,
    },
    Leaves(usize),
    Grows(usize, u64),
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
    ];
    let window = prop_oneof![Just(0), Just(u64::MAX), 0..40_000u64];
    prop_oneof![
        4 => (any::<bool>(), 0..4u8, 0..900u64).prop_map(|(safe, client, bytes)| Op::Arrive { safe, client, bytes }),
        2 => (prop::sample::select(Phase::ALL), window).prop_map(|(phase, until)| Op::Says(phase, until)),
        2 => Just(Op::Says(Phase::Ready, 0)),
        1 => Just(Op::Lost),
        3 => Just(Op::Crash),
        2 => prop_oneof![0..50u64, 0..12_000u64].prop_map(Op::Pass),
        8 => (any::<prop::sample::Index>(), what).prop_map(|(which, what)| Op::Happens { which: which.index(1_000), what }),
        1 => any::<prop::sample::Index>().prop_map(|which| Op::Leaves(which.index(1_000))),
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

struct World {
    program: Program<u32>,
    room: Room,
    now: u64,
    seq: u64,
    known: BTreeMap<u32, Known>,
    waiting: BTreeMap<u32, hold::Key>,
    out: Vec<(u32, Request)>,
    last_new: u64,
}

impl World {
    fn new() -> World {
        World {
            program: Program::new(vec![Slot::unknown()]),
            room: Room::new(COUNT_MAX, BYTES_MAX),
            now: 1_000,
            seq: 0,
            known: BTreeMap::new(),
            waiting: BTreeMap::new(),
            out: Vec::new(),
            last_new: 0,
        }
    }

    fn ends(&mut self, number: u32) {
        let known = self.known.get_mut(&number).expect("known");
        known.ends += 1;
        assert_eq!(known.ends, 1, "request {number} ended twice");
    }

    fn goes(&mut self, number: u32, request: Request) {
        assert_eq!(request.stage(), Stage::Waiting);
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
                        self.ends(number);
                    }
                }
            }
            Verdict::Answer(why) => {
                assert!(matches!(why, Why::Stopped | Why::Fatal));
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
        assert_eq!(
            self.program.slots()[0].in_flight_all(),
            self.out.len() as u64
        );
        assert!(self.out.len() <= self.known.len() && WINDOW_MAX >= 1);
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
            Op::Says(phase, until) => {
                self.seq += 1;
                let fact = Fact {
                    seq: self.seq,
                    phase,
                    generation: 1 + self.seq / 5,
                    address: "unix:/app".into(),
                    window_until_ms: until,
                    ..wire::decode(&wire::encode(&Fact::default())).expect("a fact")
                };
                self.program.told(0, &fact);
            }
            Op::Lost => self.program.lost(0),
            Op::Crash => {
                self.apply(Op::Says(Phase::Restarting, 0));
                for what in [What::HandedOver, What::Read] {
                    for which in (0..self.out.len()).rev() {
                        self.happens(which, what);
                    }
                }
                self.apply(Op::Says(Phase::Ready, 0));
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
                self.ends(number);
            }
            Verdict::Abort | Verdict::EndStream => {
                assert!(matches!(before, Stage::Begun | Stage::Stream));
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
            self.apply(Op::Says(Phase::Ready, 0));
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
        let slot = &self.program.slots()[0];
        assert_eq!(slot.in_flight_all(), 0);
        assert!(slot.counts.requests <= self.known.len() as u64);
        assert!(slot.counts.failed <= self.known.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_request_is_lost_and_no_rule_is_broken(ops in prop::collection::vec(op(), 1..120)) {
        let mut world = World::new();
        for op in ops {
            world.apply(op);
        }
        world.finish();
    }
}
