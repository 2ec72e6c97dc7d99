//! Tokens, verdicts and the table of the rotating mode, one sentence each.
#![allow(missing_docs, reason = "a test")]

use session::judge::{Shelf, addressed};
use session::rotating::{Chain, Place, Refresh, Step, place, refresh};
use session::token::{Link, hidden};
use session::*;

const STORE: StoreId = StoreId(*b"store..1");
const NOW: Time = Time {
    now_ms: 1_800_000_000_000,
    expiry: Expiry::Runs,
};

fn secret(n: u8) -> Hidden {
    Hidden::new([n; 32])
}

fn ada() -> UserId {
    UserId::parse("ada").expect("a user id")
}

fn opened(kind: Kind) -> (Row, Token) {
    let random = Entropy {
        id: [7; 16],
        secret: secret(1),
        key: secret(2),
    };
    open(STORE, kind, ada(), random, "10.0.0.1 Firefox", NOW)
}

/// The verdict about a cookie, its row changed by `edit`, `later_ms` after sign-in.
fn check(later_ms: u64, edit: impl FnOnce(&mut Row)) -> Verdict {
    let (mut row, token) = opened(Kind::Cookie);
    edit(&mut row);
    let Token::Cookie(token) = token else {
        panic!("a cookie")
    };
    let time = Time {
        now_ms: NOW.now_ms + later_ms,
        expiry: Expiry::Runs,
    };
    judge(
        &token,
        Kind::Cookie,
        Found::Row(&row),
        Policy::default(),
        time,
        Traffic::Active,
    )
}

#[test]
fn tokens_have_one_spelling() {
    for kind in [Kind::Cookie, Kind::Bearer, Kind::Rotating] {
        let (_, token) = opened(kind);
        let text = token.expose();
        assert!(text.len() <= TOKEN_BYTES_MAX);
        assert_eq!(Token::parse(&text), Some(token.clone()));
        assert_eq!(token.kind(), kind);
        for end in 0..text.len() {
            assert_eq!(Token::parse(&text[..end]), None, "truncated after {end}");
        }
        for more in ["", "=", ".", "A", " ", "\n"].iter().skip(1) {
            assert_eq!(
                Token::parse(&format!("{text}{more}")),
                None,
                "with {more:?} behind"
            );
            assert_eq!(
                Token::parse(&format!("{more}{text}")),
                None,
                "with {more:?} before"
            );
        }
        assert_eq!(Token::parse(&text.replace("sf1.", "SF1.")), None);
        assert!(
            !format!("{token:?}").contains(text.rsplit('.').next().expect("a part")),
            "Debug shows it"
        );
    }
    for wrong in [
        "",
        ".",
        "sf1",
        "sf1.c",
        "sf1.x.c3RvcmUuLjE.AAAA",
        "eyJhbGciOiJub25lIn0.e30.",
        "sf1.c.c3RvcmUuLjE.é",
    ] {
        assert_eq!(Token::parse(wrong), None, "{wrong}");
    }
    assert_eq!(Token::parse(&"sf1.c.".repeat(1_000_000)), None, "oversized");
    let leading_zero = opened(Kind::Rotating).1.expose().replacen(".0.", ".00.", 1);
    assert_eq!(Token::parse(&leading_zero), None);
    // The last of 43 characters has two bits too many: only one of four spellings counts.
    assert!(hidden("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").is_some());
    assert!(hidden("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB").is_none());
}

#[test]
fn a_row_holds_no_secret() {
    let (row, token) = opened(Kind::Cookie);
    let Credential::Cookie(kept) = row.credential else {
        panic!("a cookie")
    };
    assert_eq!(kept, hash(&[1; 32]));
    assert!(
        !token.expose().contains(&row.id.to_string()),
        "the public name tells nothing about the cookie"
    );
}

#[test]
fn verdicts() {
    assert!(
        matches!(check(0, |_| ()), Verdict::Valid(it) if it.user == ada() && it.touch.is_none())
    );
    assert!(matches!(check(TOUCH_MS_MIN, |_| ()), Verdict::Valid(it) if it.touch.is_some()));
    let idle = IDLE_MS_DEFAULT + LEEWAY_MS;
    assert!(
        matches!(check(idle, |_| ()), Verdict::Valid(_)),
        "the leeway counts for the client"
    );
    assert_eq!(check(idle + 1, |_| ()), Verdict::Invalid(Refusal::Idle));
    let old = ABSOLUTE_MS_DEFAULT + LEEWAY_MS + 1;
    assert_eq!(
        check(old, |row| row.seen_ms += old),
        Verdict::Invalid(Refusal::Absolute)
    );
    let ended = Ended {
        at_ms: 0,
        why: Why::SignedOut,
        other: None,
    };
    assert_eq!(
        check(0, |row| row.ended = Some(ended)),
        Verdict::Invalid(Refusal::Ended(Why::SignedOut))
    );
    assert!(
        matches!(check(0, |row| row.seen_ms += 10 * old), Verdict::Valid(_)),
        "a stamp in the future counts as now"
    );
    let other = Credential::Cookie([0; 32]);
    assert_eq!(
        check(0, |row| row.credential = other),
        Verdict::Invalid(Refusal::NotFound)
    );
    let bearer = Credential::Bearer(hash(&[1; 32]));
    assert_eq!(
        check(0, |row| row.credential = bearer),
        Verdict::Invalid(Refusal::WrongUse)
    );
}

#[test]
fn only_a_trusted_store_says_invalid() {
    let (_, token) = opened(Kind::Cookie);
    let Token::Cookie(opaque) = &token else {
        panic!("a cookie")
    };
    let say = |found| {
        judge(
            opaque,
            Kind::Cookie,
            found,
            Policy::default(),
            NOW,
            Traffic::Active,
        )
    };
    assert_eq!(say(Found::Nothing), Verdict::Invalid(Refusal::NotFound));
    assert_eq!(
        say(Found::Unreachable),
        Verdict::Unknown(Unsure::Unreachable)
    );
    for alarm in [
        Alarm::Missing,
        Alarm::Empty,
        Alarm::Foreign,
        Alarm::Unreadable,
    ] {
        let verdict = say(Found::Distrusted(alarm));
        assert_eq!(
            (verdict.status(), verdict),
            (Some(503), Verdict::Unknown(Unsure::Distrusted(alarm)))
        );
    }
    let shelf = |ours: &[u8; 8], others_forgotten| Shelf {
        ours: StoreId(*ours),
        others_forgotten,
    };
    assert_eq!(addressed(&token, shelf(b"store..1", true)), Ok(()));
    assert_eq!(
        addressed(&token, shelf(b"store..2", false)),
        Err(Verdict::Unknown(Unsure::ForeignStore))
    );
    assert_eq!(
        addressed(&token, shelf(b"store..2", true)),
        Err(Verdict::Invalid(Refusal::ForgottenStore))
    );
}

#[test]
fn passive_traffic_does_not_renew() {
    let (row, token) = opened(Kind::Bearer);
    let Token::Bearer(token) = token else {
        panic!("a bearer")
    };
    let later = Time {
        now_ms: NOW.now_ms + 3_600_000,
        expiry: Expiry::Runs,
    };
    let touched = |traffic| match judge(
        &token,
        Kind::Bearer,
        Found::Row(&row),
        Policy::default(),
        later,
        traffic,
    ) {
        Verdict::Valid(admission) => admission.touch,
        verdict => panic!("{verdict:?}"),
    };
    assert_eq!(touched(Traffic::Passive), None);
    assert_eq!(
        touched(Traffic::Active),
        Some(Touch {
            at_ms: later.now_ms,
            at_once: true
        })
    );
}

#[test]
fn clocks_that_disagree_freeze_expiry() {
    let at = |wall_ms, steady_ms| Reading { wall_ms, steady_ms };
    let mut clocks = Clocks::start(at(NOW.now_ms, 1000), 0);
    assert_eq!(
        clocks.read(at(NOW.now_ms + 5000, 6000)).expiry,
        Expiry::Runs
    );
    let year = 365 * 86_400_000;
    assert_eq!(
        clocks.read(at(NOW.now_ms + year, 7000)).expiry,
        Expiry::Frozen,
        "a year at once"
    );
    assert_eq!(
        clocks.read(at(NOW.now_ms - year, 7000)).expiry,
        Expiry::Frozen,
        "and back"
    );
    assert_eq!(
        clocks.read(at(NOW.now_ms - year, 7000)).now_ms,
        NOW.now_ms + 6000,
        "no stamp in the past"
    );
    assert_eq!(
        clocks.read(at(NOW.now_ms + 8000, 9000)).expiry,
        Expiry::Runs,
        "mended"
    );
    assert_eq!(
        clocks.read(at(NOW.now_ms + year, year + 1000)).expiry,
        Expiry::Runs,
        "a year that was a year"
    );
    // A second a day, for half a year: slewing is followed.
    let mut clocks = Clocks::start(at(NOW.now_ms, 0), 0);
    for day in 1..180 {
        let passed = day * 86_400_000;
        assert_eq!(
            clocks
                .read(at(NOW.now_ms + passed + day * 1000, passed))
                .expiry,
            Expiry::Runs,
            "day {day}"
        );
    }
}

/// What a start says about time: the clock, and what the store has seen.
fn started(wall_ms: u64, seen_ms: u64) -> Time {
    let reading = Reading {
        wall_ms,
        steady_ms: 0,
    };
    Clocks::start(reading, seen_ms).read(reading)
}

#[test]
fn a_clock_that_starts_behind_what_the_store_has_seen_is_frozen_until_it_has_passed_that() {
    let at = |wall_ms, steady_ms| Reading { wall_ms, steady_ms };
    let frozen = |now_ms| Time {
        now_ms,
        expiry: Expiry::Frozen,
    };
    // A board that starts in 1970 with a store from today.
    let mut clocks = Clocks::start(at(1000, 0), NOW.now_ms);
    assert_eq!(clocks.read(at(2000, 1000)), frozen(NOW.now_ms));
    let day = 86_400_000;
    let set = clocks.read(at(NOW.now_ms + 3 * day, 5000));
    assert_eq!(
        set.expiry,
        Expiry::Runs,
        "set, three days after the last stamp"
    );
    // Hours ahead once: the stamps do not run away from the clock, so it ends.
    let hours = 5 * 3_600_000;
    let mut clocks = Clocks::start(at(NOW.now_ms, 0), NOW.now_ms + hours);
    let half = hours / 2;
    assert_eq!(
        clocks.read(at(NOW.now_ms + half, half)),
        frozen(NOW.now_ms + hours)
    );
    let jumped = clocks.read(at(NOW.now_ms + 2 * hours, half));
    assert_eq!(jumped.expiry, Expiry::Frozen, "nobody knows who set it");
    // Set back after a night: whoever signs in now is not signed out when it is set right.
    let night = 2 * hours;
    assert_eq!(
        clocks.read(at(NOW.now_ms, night)),
        frozen(NOW.now_ms + night)
    );
    let caught_up = clocks.read(at(NOW.now_ms + hours, hours));
    assert_eq!(caught_up.expiry, Expiry::Runs);
    assert_eq!(
        started(NOW.now_ms + half, NOW.now_ms + hours).expiry,
        Expiry::Frozen
    );
}

#[test]
fn one_wrong_clock_does_not_switch_expiry_off_for_years() {
    let year = 365 * 86_400_000;
    let now = started(NOW.now_ms, NOW.now_ms + 10 * year);
    assert_eq!((now.now_ms, now.expiry), (NOW.now_ms, Expiry::Runs));
    // A clock of 1970 is not believed against it.
    let board = started(1000, NOW.now_ms + 10 * year);
    assert_eq!(board.expiry, Expiry::Frozen);
}

#[test]
fn rfc_6750_challenges() {
    assert_eq!(Refusal::Absent.challenge("app"), "Bearer realm=\"app\"");
    let text = Refusal::Idle.challenge("a\"\r\n\\pp");
    assert!(
        text.starts_with("Bearer realm=\"app\", error=\"invalid_token\", error_description=\""),
        "{text}"
    );
    assert_eq!(Verdict::Invalid(Refusal::Malformed).status(), Some(401));
}

#[test]
fn user_ids() {
    assert!(UserId::parse("ada@example.org").is_some());
    for wrong in [
        "",
        " ada",
        "ada ",
        "a\nb",
        "a\u{0}",
        &"x".repeat(USER_BYTES_MAX + 1),
    ] {
        assert_eq!(UserId::parse(wrong), None, "{wrong:?}");
    }
}

#[test]
fn login_takes_nothing_from_the_client() {
    let one = opened(Kind::Cookie);
    let random = Entropy {
        id: [8; 16],
        secret: secret(9),
        key: secret(2),
    };
    let two = open(
        STORE,
        Kind::Cookie,
        ada(),
        random,
        &format!("{}\u{7}", "é".repeat(300)),
        NOW,
    );
    assert_ne!((one.0.id, one.1.expose()), (two.0.id, two.1.expose()));
    assert!(two.0.context.len() <= CONTEXT_BYTES_MAX && !two.0.context.contains('\u{7}'));
}

/// A rotating session and a client with this `ci`.
struct Rotating {
    chain: Chain,
    draws: u8,
}

impl Rotating {
    fn start() -> (Self, Link) {
        let (row, token) = opened(Kind::Rotating);
        match (row.credential, token) {
            (Credential::Rotating(chain), Token::Rotating(link)) => {
                (Self { chain, draws: 0 }, link)
            }
            other => panic!("{other:?}"),
        }
    }

    fn ask(token: &Link, ci: u8) -> Refresh {
        let a = Hidden::new(hash(&[token.t.expose().as_slice(), &[ci]].concat()));
        Refresh {
            token: token.clone(),
            a,
            r: [0; 16],
        }
    }

    fn refresh(&mut self, token: &Link, ci: u8) -> Step {
        self.draws += 1;
        let step = refresh(
            &self.chain,
            &Refresh {
                r: [self.draws; 16],
                ..Self::ask(token, ci)
            },
        );
        if let Step::Commit(chain, _) = &step {
            self.chain = chain.clone();
        }
        step
    }

    fn granted(&mut self, token: &Link, ci: u8) -> Link {
        match self.refresh(token, ci) {
            Step::Commit(_, link) | Step::Repeat(link) => link,
            step => panic!("{step:?}"),
        }
    }

    fn place(&self, token: &Link, ci: u8) -> Place {
        place(&self.chain, token, Some(&Self::ask(token, ci).a))
    }
}

#[test]
fn every_line_of_the_table() {
    let (mut session, t0) = Rotating::start();
    assert_eq!(session.place(&t0, 1), Place::Current);
    let t1 = session.granted(&t0, 1);
    assert_eq!(
        (session.place(&t0, 1), session.granted(&t0, 1)),
        (Place::CurrentOwn, t1.clone())
    );
    assert_eq!(
        (session.place(&t0, 2), session.refresh(&t0, 2)),
        (Place::CurrentOther, Step::Theft)
    );
    assert_eq!((session.place(&t1, 1), session.chain.c), (Place::Child, 0));
    let t2 = session.granted(&t1, 1);
    assert_eq!((session.chain.c, t2.c), (1, 2));
    assert_eq!(
        (session.place(&t0, 1), session.granted(&t0, 1)),
        (Place::PastOwn(0), t1.clone())
    );
    assert_eq!(
        (session.place(&t0, 2), session.refresh(&t0, 2)),
        (Place::PastOther, Step::Theft)
    );
    let forged = Link {
        tag: secret(0),
        ..t1.clone()
    };
    assert_eq!(
        (session.place(&forged, 1), session.refresh(&forged, 1)),
        (Place::Forged, Step::InvalidGrant)
    );
    let lifted = Link { c: 2, ..t1.clone() };
    assert_eq!(
        session.place(&lifted, 1),
        Place::Forged,
        "the tag covers the generation"
    );
    let stray = Link::tagged(STORE, t0.session, 9, secret(5), &session.chain.key);
    assert_eq!(
        (session.place(&stray, 1), session.refresh(&stray, 1)),
        (Place::Stray, Step::Behind)
    );
    let mut last = t2;
    for _ in 0..4 {
        last = session.granted(&last, 1);
    }
    assert_eq!(
        (session.place(&t0, 1), session.refresh(&t0, 1)),
        (Place::Older, Step::Theft)
    );
    assert_eq!(session.chain.past.len(), PAST_MAX);
}

#[test]
fn a_rotating_token_as_a_credential_changes_nothing() {
    let (row, token) = opened(Kind::Rotating);
    let Token::Rotating(link) = token else {
        panic!("rotating")
    };
    let say = |link: &Link| {
        judge_chain(
            link,
            Found::Row(&row),
            Policy::default(),
            NOW,
            Traffic::Active,
        )
    };
    assert!(matches!(say(&link), Verdict::Valid(_)));
    assert_eq!(
        say(&Link {
            tag: secret(3),
            ..link.clone()
        }),
        Verdict::Invalid(Refusal::Malformed)
    );
    let Credential::Rotating(chain) = &row.credential else {
        panic!("rotating")
    };
    let ahead = Link::tagged(STORE, link.session, 4, secret(5), &chain.key);
    assert_eq!(
        say(&ahead),
        Verdict::Unknown(Unsure::StoreBehind),
        "a store from a backup signs nobody out"
    );
}
