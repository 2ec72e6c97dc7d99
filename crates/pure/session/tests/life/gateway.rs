//! One gateway and its store: what our functions make of what happens.

use super::{Fate, Op, POLICY, STORE, Truth};
use session::judge::{Shelf, addressed, expired, sweep};
use session::revoke::{Cached, Line, Recall, Scope, recall};
use session::{
    Clocks, Ended, Entropy, Found, Hidden, Kind, Row, Token, Touch, Traffic, UserId, Verdict, Why,
    hash, judge, open,
};
use std::collections::BTreeSet;

/// Last-seen writes wait at most so long.
const BATCH_MS: u64 = 10_000;

pub(super) struct Gateway {
    clocks: Clocks,
    rows: Vec<Option<Row>>,
    /// Revocations, as shared memory has them.
    count: u64,
    cache: Vec<Option<(Row, Cached)>>,
    touches: Vec<(usize, u64)>,
    touched_ms: Option<u64>,
    tokens: Vec<Token>,
    active_ms: Vec<u64>,
    /// Everything that was ever answered.
    pub(super) said: BTreeSet<&'static str>,
}

impl Gateway {
    pub(super) fn start(truth: &Truth) -> Self {
        Self {
            clocks: Clocks::start(truth.reading(), 0),
            rows: Vec::new(),
            count: 0,
            cache: Vec::new(),
            touches: Vec::new(),
            touched_ms: None,
            tokens: Vec::new(),
            active_ms: Vec::new(),
            said: BTreeSet::new(),
        }
    }

    pub(super) fn step(&mut self, truth: &Truth, op: Op) {
        if self.touched_ms.is_some_and(|it| truth.ms >= it + BATCH_MS) {
            self.flush();
        }
        match op {
            Op::SignIn(fate) => self.sign_in(truth, fate),
            Op::Request { which, traffic } => self.request(truth, which, traffic),
            Op::Restart => self.restart(truth),
            Op::Revoke { which, fate } => self.revoke(truth, which, fate),
            Op::Sweep => self.swept(truth),
            Op::Wait(_) | Op::Jump(_) | Op::StoreGoes | Op::StoreComes => {}
        }
    }

    fn flush(&mut self) {
        self.touched_ms = None;
        for (i, at_ms) in self.touches.drain(..) {
            if let Some(row) = &mut self.rows[i] {
                row.seen_ms = row.seen_ms.max(at_ms);
            }
        }
    }

    fn restart(&mut self, truth: &Truth) {
        let seen = self.rows.iter().flatten().map(|it| it.seen_ms);
        self.clocks = Clocks::start(truth.reading(), seen.max().unwrap_or(0));
        self.touches.clear();
        self.touched_ms = None;
        self.cache.fill(None);
    }

    fn sign_in(&mut self, truth: &Truth, fate: Fate) {
        let n = u32::try_from(self.tokens.len()).expect("few");
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let random = Entropy {
            id,
            secret: Hidden::new(hash(&n.to_be_bytes())),
            key: Hidden::new([0; 32]),
        };
        let user = UserId::parse("ada").expect("a user id");
        let time = self.clocks.read(truth.reading());
        let (row, token) = open(STORE, Kind::Cookie, user, random, "test", time);
        self.rows.push((fate != Fate::Lost).then_some(row));
        self.tokens.push(token);
        self.cache.push(None);
        self.active_ms.push(truth.ms);
    }

    fn revoke(&mut self, truth: &Truth, which: usize, fate: Fate) {
        let time = self.clocks.read(truth.reading());
        let ended = Ended {
            at_ms: time.now_ms,
            why: Why::Revoked,
            other: None,
        };
        if let (Some(row), true) = (&mut self.rows[which], fate != Fate::Lost)
            && Scope::One(row.id).covers(row)
        {
            row.ended = Some(ended);
        }
        // Between commit and acknowledgement; also when it was ended already.
        if fate == Fate::Acknowledged {
            self.count += 1;
        }
    }

    fn request(&mut self, truth: &Truth, i: usize, traffic: Traffic) {
        let shelf = Shelf {
            ours: STORE,
            others_forgotten: false,
        };
        assert_eq!(addressed(&self.tokens[i], shelf), Ok(()), "our own token");
        let Token::Cookie(token) = self.tokens[i].clone() else {
            panic!("not a cookie")
        };
        let time = self.clocks.read(truth.reading());
        let verdict = |found: Found<'_>| judge(&token, Kind::Cookie, found, POLICY, time, traffic);
        let line = Line::Local { count: self.count };
        let usable = self.cache[i].as_ref().filter(|(row, cached)| {
            matches!(verdict(Found::Row(row)), Verdict::Valid(_))
                && recall(*cached, line, false, truth.ms) == Recall::Use
        });
        let recalled = usable.is_some();
        let found = match (usable, truth.away, &self.rows[i]) {
            (Some((row, _)), _, _) => Found::Row(row),
            (None, true, _) => Found::Unreachable,
            (None, false, Some(row)) => Found::Row(row),
            (None, false, None) => Found::Nothing,
        };
        let verdict = verdict(found);
        self.said
            .insert(truth.allows(i, self.active_ms[i], &verdict, recalled));
        let Verdict::Valid(admission) = verdict else {
            if matches!(verdict, Verdict::Invalid(_)) {
                self.cache[i] = None;
            }
            return;
        };
        if traffic == Traffic::Active {
            self.active_ms[i] = truth.ms;
        }
        if let (false, Some(row)) = (recalled, self.rows[i].clone()) {
            let (count, made_ms) = (self.count, truth.ms);
            self.cache[i] = Some((row, Cached { count, made_ms }));
        }
        if let Some(touch) = admission.touch {
            self.touch(truth, i, touch);
        }
    }

    fn touch(&mut self, truth: &Truth, i: usize, touch: Touch) {
        if let Some((row, _)) = &mut self.cache[i] {
            row.seen_ms = row.seen_ms.max(touch.at_ms);
        }
        self.touches.push((i, touch.at_ms));
        self.touched_ms.get_or_insert(truth.ms);
        if touch.at_once {
            self.flush();
        }
    }

    /// What the sweep may delete must be invalid already, and for a week.
    fn swept(&mut self, truth: &Truth) {
        let time = self.clocks.read(truth.reading());
        let Some(limits) = sweep(POLICY, time) else {
            return;
        };
        for row in self.rows.iter().flatten() {
            let ended = row.ended.as_ref();
            let gone = ended.is_some_and(|it| it.at_ms < limits.ended_before_ms)
                || row.created_ms < limits.created_before_ms
                || row.seen_ms < limits.seen_before_ms;
            let alive = row.ended.is_none() && expired(row, POLICY, time).is_none();
            assert!(!(gone && alive), "swept alive");
        }
    }
}
