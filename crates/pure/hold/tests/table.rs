//! Every cell of the design's table, in its words.

use hold::{Event, Place, Proof, Repeats, Stage, Verdict, Why, decide};

struct Cell(Stage, Event);

fn check(stage: Stage, event: Event) -> Cell {
    Cell(stage, event)
}

impl Cell {
    #[track_caller]
    fn gives(self, may: Verdict, spent: Verdict, never: Verdict) {
        let wanted = [
            (Repeats::May, may),
            (Repeats::Spent, spent),
            (Repeats::Never, never),
        ];
        for (repeats, verdict) in wanted {
            let got = decide(self.0, self.1, repeats);
            assert_eq!(got, verdict, "{:?} {:?} {repeats:?}", self.0, self.1);
        }
    }

    #[track_caller]
    fn always(self, verdict: Verdict) {
        self.gives(verdict, verdict, verdict);
    }

    #[track_caller]
    fn goes_on(self) {
        self.always(Verdict::Stay);
    }

    #[track_caller]
    fn waits_at_the_front(self) {
        self.always(Verdict::Park(Place::Front));
    }

    #[track_caller]
    fn repeats_or_502(self) {
        self.gives(
            Verdict::Repeat,
            Verdict::Answer(Why::Spent),
            Verdict::Answer(Why::MayHaveRun),
        );
    }
}

const UNREAD: Event = Event::Ended(Proof::Unread { fresh: false });
const UNREAD_FRESH: Event = Event::Ended(Proof::Unread { fresh: true });
const READ: Event = Event::Ended(Proof::Read);
const DOWN: Event = Event::Down(Why::Stopped);
const FATAL: Event = Event::Down(Why::Fatal);
const HOLD_OVER: Event = Event::Bound(Why::HoldOver);
const NO_ROOM: Event = Event::Bound(Why::NoRoom);
const RUNNING: [Stage; 4] = [Stage::Sent, Stage::Handed, Stage::Begun, Stage::Stream];

#[test]
fn connect_fails() {
    check(Stage::Waiting, Event::ConnectFailed).waits_at_the_front();
    check(Stage::Sent, Event::ConnectFailed).waits_at_the_front();
    check(Stage::Handed, Event::ConnectFailed).repeats_or_502();
    check(Stage::Begun, Event::ConnectFailed).goes_on();
    check(Stage::Stream, Event::ConnectFailed).goes_on();
}

#[test]
fn connection_ends() {
    for unread in [UNREAD, UNREAD_FRESH] {
        check(Stage::Waiting, unread).waits_at_the_front();
        check(Stage::Sent, unread).waits_at_the_front();
        check(Stage::Handed, unread).repeats_or_502();
        check(Stage::Begun, unread).always(Verdict::Abort);
        check(Stage::Stream, unread).always(Verdict::EndStream);
    }
    check(Stage::Waiting, READ).waits_at_the_front();
    check(Stage::Sent, READ).repeats_or_502();
    check(Stage::Handed, READ).repeats_or_502();
    check(Stage::Begun, READ).always(Verdict::Abort);
    check(Stage::Stream, READ).always(Verdict::EndStream);
}

#[test]
fn replaced_by_overlap() {
    check(Stage::Waiting, Event::Overlap).goes_on();
    for stage in RUNNING {
        check(stage, Event::Overlap).goes_on();
    }
}

#[test]
fn replaced_by_hold() {
    check(Stage::Waiting, Event::HoldDrain).goes_on();
    for stage in [Stage::Sent, Stage::Handed, Stage::Begun] {
        check(stage, Event::HoldDrain).goes_on();
    }
    check(Stage::Stream, Event::HoldDrain).always(Verdict::EndStream);
}

#[test]
fn stopped_or_fatal() {
    check(Stage::Waiting, DOWN).always(Verdict::Answer(Why::Stopped));
    check(Stage::Waiting, FATAL).always(Verdict::Answer(Why::Fatal));
    for event in [DOWN, FATAL] {
        for stage in [Stage::Sent, Stage::Handed, Stage::Begun] {
            check(stage, event).goes_on();
        }
        check(Stage::Stream, event).always(Verdict::EndStream);
    }
}

#[test]
fn hold_or_a_bound_reached() {
    check(Stage::Waiting, HOLD_OVER).always(Verdict::Answer(Why::HoldOver));
    check(Stage::Waiting, NO_ROOM).always(Verdict::Answer(Why::NoRoom));
    for event in [HOLD_OVER, NO_ROOM] {
        for stage in RUNNING {
            check(stage, event).goes_on();
        }
    }
}

#[test]
fn the_programs_own_answers() {
    for stage in RUNNING {
        check(stage, Event::OwnError).goes_on();
    }
    check(Stage::Waiting, Event::OwnError).goes_on();
    check(Stage::Waiting, Event::BadAnswer).goes_on();
    for stage in [Stage::Sent, Stage::Handed] {
        check(stage, Event::BadAnswer).always(Verdict::Answer(Why::BadAnswer));
    }
    check(Stage::Begun, Event::BadAnswer).always(Verdict::Abort);
    check(Stage::Stream, Event::BadAnswer).always(Verdict::Abort);
}

#[test]
fn answer_times_out() {
    check(Stage::Waiting, Event::TimedOut).goes_on();
    for stage in [Stage::Sent, Stage::Handed] {
        check(stage, Event::TimedOut).always(Verdict::Answer(Why::TimedOut));
    }
    check(Stage::Begun, Event::TimedOut).always(Verdict::Abort);
    check(Stage::Stream, Event::TimedOut).always(Verdict::EndStream);
}

#[test]
fn client_gone() {
    check(Stage::Waiting, Event::ClientGone).always(Verdict::Leave);
    for stage in RUNNING {
        check(stage, Event::ClientGone).always(Verdict::Leave);
    }
}

#[test]
fn gateway_replaced() {
    check(Stage::Waiting, Event::Leaving).goes_on();
    for stage in RUNNING {
        check(stage, Event::Leaving).goes_on();
    }
    check(Stage::Waiting, Event::LeaveOver).always(Verdict::Answer(Why::Leaving));
    for stage in [Stage::Sent, Stage::Handed] {
        check(stage, Event::LeaveOver).always(Verdict::Answer(Why::MayHaveRun));
    }
    check(Stage::Begun, Event::LeaveOver).always(Verdict::Abort);
    check(Stage::Stream, Event::LeaveOver).always(Verdict::EndStream);
}

#[test]
fn nothing_happens_to_what_is_over() {
    let events = [
        Event::ConnectFailed,
        UNREAD,
        UNREAD_FRESH,
        READ,
        Event::Overlap,
        Event::HoldDrain,
        DOWN,
        FATAL,
        HOLD_OVER,
        NO_ROOM,
        Event::OwnError,
        Event::BadAnswer,
        Event::TimedOut,
        Event::ClientGone,
        Event::Leaving,
        Event::LeaveOver,
    ];
    for event in events {
        check(Stage::Over, event).goes_on();
    }
}

#[test]
fn answers_of_ours() {
    for (why, status, retry) in [
        (Why::MayHaveRun, 502, None),
        (Why::Spent, 502, None),
        (Why::BadAnswer, 502, None),
        (Why::HoldOver, 503, Some(1)),
        (Why::NoRoom, 503, Some(1)),
        (Why::Leaving, 503, Some(1)),
        (Why::Stopped, 503, Some(5)),
        (Why::Fatal, 503, Some(5)),
        (Why::TimedOut, 504, None),
    ] {
        assert_eq!(
            (why.status(), why.retry_after_s()),
            (status, retry),
            "{why:?}"
        );
        assert!(!why.text().is_empty());
    }
}
