//! The queue of a program, in sentences: what waits, in which order and at what pace it goes, who goes alone.

mod suspects;

use hold::{Drained, Event, Place, Program, Proof, Request, Room, Slot, Stage, Verdict, Why};
use wire::{Fact, Leaving, Phase};

/// A program of one slot whose keeper can be heard, and the requests under way.
struct Scene {
    program: Program<u32>,
    room: Room,
    now: u64,
    out: Vec<(u32, Request)>,
    seq: u64,
}

fn program(phase: Phase) -> Scene {
    let mut scene = Scene {
        program: Program::new(vec![Slot::unknown()]),
        room: Room::new(1000, 1_000_000),
        now: 1_000,
        out: Vec::new(),
        seq: 0,
    };
    scene.says(phase);
    scene
}

fn fact(seq: u64, phase: Phase, generation: u64) -> Fact {
    let zero: Fact = wire::decode(&wire::encode(&Fact::default())).expect("a fact");
    Fact {
        seq,
        phase,
        generation,
        pid: 7,
        address: format!("unix:/{generation}.sock"),
        ..zero
    }
}

fn get() -> Request {
    Request::new([1; 16], true, 30_000)
}

fn post() -> Request {
    Request::new([2; 16], false, 30_000)
}

impl Scene {
    fn says(&mut self, phase: Phase) -> hold::Turn {
        self.seq += 1;
        self.program.told(0, &fact(self.seq, phase, 1))
    }

    /// A request comes; true if it goes at once.
    fn comes(&mut self, number: u32, mut request: Request) -> bool {
        match self.program.arrive(&mut request, Place::Back, self.now) {
            Verdict::Forward(0) => {
                self.out.push((number, request));
                true
            }
            Verdict::Park(_) => {
                let parked = self
                    .program
                    .park(&mut self.room, request, 100, number, self.now);
                assert!(parked.is_ok());
                false
            }
            other => panic!("{other:?}"),
        }
    }

    /// What goes now.
    fn goes(&mut self) -> Vec<u32> {
        let mut numbers = Vec::new();
        while let Some((number, request)) = self.program.release(&mut self.room, self.now) {
            numbers.push(number);
            self.out.push((number, request));
        }
        numbers
    }

    fn take(&mut self, number: u32) -> Request {
        let at = self
            .out
            .iter()
            .position(|(of, _)| *of == number)
            .expect("is out");
        self.out.swap_remove(at).1
    }

    /// The program ends while it has these requests; gives those that it answered itself.
    fn crashes(&mut self, proof: Proof) -> Vec<(u32, Why)> {
        let mut answered = Vec::new();
        let mut out = std::mem::take(&mut self.out);
        out.sort_by_key(|(number, _)| *number);
        for (number, mut request) in out {
            request.sent();
            match self
                .program
                .event(&mut request, Event::Ended(proof), self.now)
            {
                Verdict::Park(_) | Verdict::Repeat => {
                    let place = Place::Front;
                    if let Verdict::Forward(_) = self.program.arrive(&mut request, place, self.now)
                    {
                        self.out.push((number, request));
                    } else {
                        let parked =
                            self.program
                                .park(&mut self.room, request, 100, number, self.now);
                        assert!(parked.is_ok());
                    }
                }
                Verdict::Answer(why) => answered.push((number, why)),
                other => panic!("{other:?}"),
            }
        }
        answered
    }

    fn answers(&mut self, number: u32) {
        let mut request = self.take(number);
        request.sent();
        self.program.answered(&mut request);
        self.program.begun(&mut request);
        self.program.done(&mut request);
    }

    fn connect_fails(&mut self, number: u32) {
        let mut request = self.take(number);
        let verdict = self
            .program
            .event(&mut request, Event::ConnectFailed, self.now);
        assert_eq!(verdict, Verdict::Park(Place::Front));
        let parked = self
            .program
            .park(&mut self.room, request, 100, number, self.now);
        assert!(parked.is_ok());
    }
}

#[test]
fn starting_means_wait_for_ready() {
    let mut scene = program(Phase::Starting);
    assert!(!scene.comes(1, post()));
    assert!(!scene.comes(2, get()));
    assert_eq!(
        (scene.goes(), scene.program.next_timer(scene.now)),
        (vec![], None)
    );
    scene.says(Phase::Ready);
    assert_eq!(scene.goes(), [1, 2]);
    assert!(scene.comes(3, post()));
}

#[test]
fn nobody_passes_a_queue_that_is_not_empty_and_it_goes_at_a_pace() {
    let mut scene = program(Phase::Restarting);
    for number in 0..30 {
        scene.comes(number, post());
    }
    scene.says(Phase::Ready);
    assert_eq!(scene.goes(), (0..8).collect::<Vec<_>>());
    assert!(!scene.comes(30, get()));
    // Each answer widens the window by one: it makes room for two.
    scene.answers(3);
    assert_eq!(scene.goes(), [8, 9]);
    scene.answers(0);
    assert_eq!(scene.goes(), [10, 11]);
    // A client that leaves makes room for one.
    let mut gone = scene.take(1);
    assert_eq!(
        scene.program.event(&mut gone, Event::ClientGone, scene.now),
        Verdict::Leave
    );
    assert_eq!(scene.goes(), [12]);
    for number in 4..12 {
        scene.answers(number);
        scene.goes();
    }
    assert_eq!(scene.program.waiting(), 2);
    scene.answers(12);
    scene.goes();
    assert_eq!(scene.program.waiting(), 0);
    // The pace ends with the queue.
    assert!(scene.comes(31, post()));
}

#[test]
fn a_failed_connect_is_probed_by_one_request_at_a_time() {
    let mut scene = program(Phase::Ready);
    assert!(scene.comes(1, post()));
    scene.connect_fails(1);
    assert!(!scene.comes(2, post()));
    let mut waits = Vec::new();
    for _ in 0..7 {
        assert_eq!(scene.goes(), []);
        let at = scene
            .program
            .next_timer(scene.now)
            .expect("a time to probe");
        waits.push(at - scene.now);
        scene.now = at;
        assert_eq!(scene.goes(), [1]);
        // While the probe is out nobody else tries, and there is no time to wait for.
        assert_eq!(
            scene.program.next_timer(scene.now),
            Some(scene.now + hold::PROBE_ALONE_MS)
        );
        scene.connect_fails(1);
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 100, 100]);
    scene.now += 100;
    assert_eq!(scene.goes(), [1]);
    let mut probe = scene.take(1);
    scene.program.connected(&mut probe);
    assert_eq!(scene.goes(), [2]);
    scene.program.done(&mut probe);
}

#[test]
fn a_probe_whose_client_leaves_lets_the_next_one_try() {
    let mut scene = program(Phase::Ready);
    assert!(scene.comes(1, post()));
    scene.connect_fails(1);
    scene.comes(2, post());
    scene.now += 5;
    assert_eq!(scene.goes(), [1]);
    let mut probe = scene.take(1);
    scene
        .program
        .event(&mut probe, Event::ClientGone, scene.now);
    assert_eq!(scene.goes(), [2]);
}

#[test]
fn the_keepers_word_ends_probing() {
    let mut scene = program(Phase::Ready);
    scene.comes(1, post());
    scene.connect_fails(1);
    scene.says(Phase::Restarting);
    scene.now += 1_000;
    assert_eq!(
        (scene.goes(), scene.program.next_timer(scene.now)),
        (vec![], None)
    );
    // A keeper that falls silent is no reason to wait for its word.
    scene.program.lost(0);
    assert_eq!(scene.goes(), [1]);
}

#[test]
fn unread_requests_keep_their_place_whatever_their_method() {
    let mut scene = program(Phase::Ready);
    for number in 1..4 {
        assert!(scene.comes(number, post()));
    }
    scene.says(Phase::Restarting);
    scene.comes(9, post());
    assert_eq!(scene.crashes(Proof::Unread { fresh: false }), []);
    scene.says(Phase::Ready);
    assert_eq!(scene.goes(), [1, 2, 3, 9]);
}

#[test]
fn handed_over_requests_are_repeated_twice_and_only_if_they_may() {
    let mut scene = program(Phase::Ready);
    scene.comes(1, get());
    scene.comes(2, post());
    let mut body_gone = get();
    body_gone.body_held(false);
    scene.comes(3, body_gone);
    let may_have_run = [(2, Why::MayHaveRun), (3, Why::MayHaveRun)];
    assert_eq!(scene.crashes(Proof::Read), may_have_run);
    for _ in 0..2 {
        assert_eq!(scene.out.len(), 1, "sent again");
        if let Some(answered) = scene.crashes(Proof::Read).first() {
            assert_eq!(*answered, (1, Why::Spent));
        }
    }
    assert!(scene.out.is_empty());
    let counts = &scene.program.slots()[0].counts;
    assert_eq!(
        (counts.requests, counts.failed, counts.may_have_run),
        (3, 3, 3)
    );
}

#[test]
fn what_became_of_a_replaced_generation_says_nothing_of_the_new_one() {
    let mut scene = program(Phase::Ready);
    scene.comes(1, get());
    scene.comes(2, get());
    let replaced = fact(2, Phase::Ready, 2);
    scene.program.told(0, &replaced);
    scene.connect_fails(1);
    assert_eq!(scene.goes(), [1], "the new one needs no probe");
    // Nor does a connect to the old one open the new one's gate.
    scene.connect_fails(1);
    let mut old = scene.take(2);
    scene.program.connected(&mut old);
    assert_eq!(scene.goes(), [], "the probe's turn is to come");
}

#[test]
fn a_drain_is_reported_once_when_nothing_is_left() {
    let mut scene = program(Phase::Ready);
    scene.comes(1, post());
    scene.comes(2, get());
    let turn = scene.says(Phase::Draining);
    assert_eq!(
        (turn.in_flight, turn.close_idle, turn.end_streams),
        (2, true, Some(1))
    );
    assert_eq!(scene.program.drained(0), None);
    assert!(!scene.comes(3, post()));
    scene.answers(1);
    let mut stream = scene.take(2);
    stream.sent();
    scene.program.answered(&mut stream);
    scene.program.stream(&mut stream);
    assert_eq!(stream.stage(), Stage::Stream);
    let ended = scene
        .program
        .event(&mut stream, Event::HoldDrain, scene.now);
    assert_eq!(ended, Verdict::EndStream);
    let drained = Drained {
        generation: 1,
        finished: 1,
        cut: 1,
    };
    assert_eq!(scene.program.drained(0), Some(drained));
    assert_eq!(scene.program.drained(0), None);
    // A keeper that comes back is told again.
    scene.program.lost(0);
    scene.says(Phase::Draining);
    assert_eq!(scene.program.drained(0), Some(drained));
}

#[test]
fn an_overlap_drains_the_old_generation() {
    let mut scene = program(Phase::Ready);
    scene.comes(1, post());
    let leaving = Leaving {
        generation: 1,
        deadline_ms: 9_000,
        key: 0,
    };
    let turn = scene.program.told(
        0,
        &Fact {
            leaving: Some(leaving),
            ..fact(9, Phase::Ready, 2)
        },
    );
    assert_eq!((turn.in_flight, turn.end_streams), (1, None));
    assert!(scene.comes(2, post()));
    assert_eq!(scene.out[1].1.generation(), 2);
    assert_eq!(scene.program.drained(0), None);
    scene.answers(1);
    assert_eq!(
        scene.program.drained(0).map(|drained| drained.generation),
        Some(1)
    );
}

#[test]
fn windows_of_a_stop() {
    let stopped = |until| Fact {
        window_until_ms: until,
        ..fact(9, Phase::Stopped, 1)
    };
    let mut scene = program(Phase::Ready);
    scene.program.told(0, &stopped(u64::MAX));
    assert!(!scene.comes(1, post()));
    assert!(
        scene
            .program
            .sweep(&mut scene.room, scene.now + 29_999)
            .is_empty()
    );
    scene.program.told(0, &stopped(6_000));
    assert!(scene.program.sweep(&mut scene.room, 5_999).is_empty());
    let answered = scene.program.sweep(&mut scene.room, 6_000);
    assert_eq!(
        answered
            .iter()
            .map(|(number, _, why)| (*number, *why))
            .collect::<Vec<_>>(),
        [(1, Why::Stopped)]
    );
    for (phase, why) in [
        (Phase::Fatal, Why::Fatal),
        (Phase::DrainingToStop, Why::Stopped),
        (Phase::Exited, Why::Stopped),
    ] {
        scene.says(phase);
        let verdict = scene.program.arrive(&mut post(), Place::Back, scene.now);
        assert_eq!(verdict, Verdict::Answer(why), "{phase:?}");
    }
}

#[test]
fn hold_counts_all_the_time_that_a_request_waits() {
    let mut scene = program(Phase::Restarting);
    scene.comes(1, post());
    scene.now += 20_000;
    scene.says(Phase::Ready);
    assert_eq!(scene.goes(), [1]);
    scene.now += 60_000;
    scene.says(Phase::Restarting);
    scene.crashes(Proof::Unread { fresh: false });
    assert!(
        scene
            .program
            .sweep(&mut scene.room, scene.now + 9_999)
            .is_empty()
    );
    let over = scene.program.sweep(&mut scene.room, scene.now + 10_000);
    assert_eq!(
        (over.len(), over[0].1.waited_ms(), over[0].2),
        (1, Some(30_000), Why::HoldOver)
    );
}

#[test]
fn one_client_may_take_a_quarter_of_the_room() {
    let mut scene = program(Phase::Restarting);
    scene.room = Room::new(8, 1_000);
    let park = |scene: &mut Scene, client: u8, bytes: u64| {
        let request = Request::new([client; 16], false, 1_000);
        let (room, now) = (&mut scene.room, scene.now);
        scene
            .program
            .park(room, request, bytes, 0, now)
            .map_err(|(_, why)| why)
    };
    let first = park(&mut scene, 1, 100).expect("fits");
    assert_eq!(park(&mut scene, 1, 151), Err(Why::NoRoom));
    assert!(!scene.program.grow(&mut scene.room, first, 151));
    assert!(scene.program.grow(&mut scene.room, first, 100));
    park(&mut scene, 1, 50).expect("fits");
    assert_eq!(park(&mut scene, 1, 0), Err(Why::NoRoom));
    for client in 2..5 {
        park(&mut scene, client, 125).expect("fits");
        park(&mut scene, client, 125).expect("fits");
    }
    assert_eq!((scene.room.waiting(), scene.room.bytes()), (8, 1_000));
    assert_eq!(park(&mut scene, 9, 0), Err(Why::NoRoom));
    scene.program.leave(&mut scene.room, first);
    park(&mut scene, 9, 200).expect("fits");
}

#[test]
fn several_slots_share_one_queue_and_the_least_busy_one_gets_the_next() {
    let mut program: Program<u32> = Program::new(vec![Slot::unknown(), Slot::unknown()]);
    let arrive = |program: &mut Program<u32>| {
        let mut request = post();
        match program.arrive(&mut request, Place::Back, 0) {
            Verdict::Forward(slot) => Some((slot, request)),
            _ => None,
        }
    };
    assert!(arrive(&mut program).is_none());
    program.told(1, &fact(1, Phase::Ready, 1));
    let (slot, mut first) = arrive(&mut program).expect("goes");
    assert_eq!(slot, 1);
    program.told(0, &fact(1, Phase::Ready, 1));
    let second = arrive(&mut program).expect("goes");
    assert_eq!(second.0, 0);
    program.done(&mut first);
    assert_eq!(arrive(&mut program).map(|(slot, _)| slot), Some(1));
    // One slot down is no reason for a 503.
    program.told(0, &fact(2, Phase::Fatal, 1));
    assert_eq!(arrive(&mut program).map(|(slot, _)| slot), Some(1));
    program.told(1, &fact(2, Phase::Restarting, 1));
    assert!(matches!(
        program.arrive(&mut post(), Place::Back, 0),
        Verdict::Park(Place::Back)
    ));
}

#[test]
fn eight_slow_requests_do_not_hold_the_queue_up() {
    let mut scene = program(Phase::Restarting);
    for number in 0..30 {
        scene.comes(number, post());
    }
    scene.says(Phase::Ready);
    assert_eq!(scene.goes().len(), 8);
    assert_eq!(
        scene.program.next_timer(scene.now),
        Some(scene.now + hold::WINDOW_STILL_MS)
    );
    scene.now += hold::WINDOW_STILL_MS - 1;
    assert_eq!(scene.goes(), []);
    scene.now += 1;
    assert_eq!(scene.goes(), (8..24).collect::<Vec<_>>());
    // An answer of those that were given up makes no room in the new window.
    scene.answers(0);
    assert_eq!(scene.goes(), []);
    scene.answers(8);
    assert_eq!(scene.goes(), [24, 25]);
}

#[test]
fn a_probe_that_does_not_come_back_is_not_waited_for() {
    let mut scene = program(Phase::Ready);
    scene.comes(1, post());
    scene.connect_fails(1);
    scene.comes(2, post());
    scene.now += 5;
    assert_eq!(scene.goes(), [1]);
    let at = scene.program.next_timer(scene.now);
    assert_eq!(at, Some(scene.now + hold::PROBE_ALONE_MS));
    scene.now += hold::PROBE_ALONE_MS;
    assert_eq!(scene.goes(), [2]);
}

#[test]
fn a_bound_may_be_the_largest_number() {
    let mut scene = program(Phase::Restarting);
    scene.room = Room::new(u32::MAX, u64::MAX);
    assert!(!scene.comes(1, post()));
    assert_eq!(scene.program.waiting(), 1);
}

#[test]
fn an_upstream_that_can_be_asked_waits_for_its_word_once_a_connect_has_failed() {
    let mut scene = program(Phase::Ready);
    scene.program = Program::new(vec![Slot::fixed_and_asked("unix:/legacy.sock")]);
    assert!(scene.comes(1, post()), "nothing is known against it");
    let (_, mut request) = scene.out.pop().expect("under way");
    let verdict = scene
        .program
        .event(&mut request, Event::ConnectFailed, scene.now);
    assert_eq!(verdict, Verdict::Park(Place::Front));
    assert!(scene.program.slots()[0].is_away());
    assert!(!scene.comes(2, get()), "it is away");
    // No clock lets them go: a server may accept before its app works.
    scene.now += 20_000;
    assert_eq!(scene.program.next_timer(scene.now), None);
    assert!(scene.program.release(&mut scene.room, scene.now).is_none());
    scene.program.back(0);
    assert!(!scene.program.slots()[0].is_away());
    assert!(scene.program.release(&mut scene.room, scene.now).is_some());
    // Whoever is not asked is tried again by itself.
    scene.program = Program::new(vec![Slot::fixed("unix:/legacy.sock")]);
    assert!(scene.comes(3, get()));
    let (_, mut request) = scene.out.pop().expect("under way");
    scene
        .program
        .event(&mut request, Event::ConnectFailed, scene.now);
    assert!(!scene.program.slots()[0].is_away());
}
