//! Sessions over long and unlucky lives: clocks jump, gateways are restarted at any point, commits are acknowledged or
//! not, the store goes away and comes back, last-seen writes are lost. Whatever happens:
//! * *invalid* is said only of a session that was ended, or that truly was too old by real time;
//! * nothing is valid after its acknowledged revocation;
//! * while the clocks agree, sessions do expire.
#![allow(missing_docs, reason = "a test")]

use proptest::prelude::*;
use session::judge::{Shelf, addressed, expired, sweep};
use session::{
    Clocks, DRIFT_MS_MAX, Ended, Entropy, Found, Hidden, Kind, Policy, Reading, Refusal, Row,
    StoreId, Token, Traffic, UserId, Verdict, Why, hash, judge, open,
};

const STORE: StoreId = StoreId(*b"store..1");
const POLICY: Policy = Policy {
    idle_ms: 3_600_000,
    absolute_ms: 10 * 3_600_000,
    leeway_ms: 60_000,
};
/// Last-seen writes wait at most so long.
const BATCH_MS: u64 = 10_000;
const START_MS: u64 = 1_800_000_000_000;

#[derive(Clone, Copy, Debug)]
enum Op {
    SignIn {
        acknowledged: bool,
    },
    Request {
        which: usize,
        traffic: Traffic,
    },
    Wait(u64),
    /// The wall clock jumps by so much.
    Jump(i64),
    Mend,
    Restart,
    StoreGoes,
    StoreComes,
    Revoke {
        which: usize,
        acknowledged: bool,
    },
    Sweep,
}

struct Client {
    token: Token,
    kept: bool,
    created_ms: u64,
    active_ms: u64,
    revoked: bool,
    maybe_revoked: bool,
}

struct World {
    true_ms: u64,
    wall_off_ms: i64,
    ever_jumped: bool,
    clocks: Clocks,
    rows: Vec<Row>,
    touches: Vec<(usize, u64)>,
    reachable: bool,
    clients: Vec<Client>,
    draws: u32,
}

impl World {
    fn new() -> Self {
        let reading = Reading {
            wall_ms: START_MS,
            steady_ms: 0,
        };
        Self {
            true_ms: 0,
            wall_off_ms: 0,
            ever_jumped: false,
            clocks: Clocks::start(reading, 0),
            rows: Vec::new(),
            touches: Vec::new(),
            reachable: true,
            clients: Vec::new(),
            draws: 0,
        }
    }

    fn reading(&self) -> Reading {
        let wall_ms = (START_MS + self.true_ms).saturating_add_signed(self.wall_off_ms);
        Reading {
            wall_ms,
            steady_ms: self.true_ms,
        }
    }

    fn flush(&mut self) {
        for (i, ms) in self.touches.drain(..) {
            self.rows[i].seen_ms = self.rows[i].seen_ms.max(ms);
        }
    }

    fn step(&mut self, op: Op) -> Result<(), String> {
        match op {
            Op::SignIn { acknowledged } => self.sign_in(acknowledged),
            Op::Request { which, traffic } if !self.clients.is_empty() => {
                return self.request(which % self.clients.len(), traffic);
            }
            Op::Wait(ms) => {
                self.true_ms += ms.min(BATCH_MS);
                self.flush();
                self.true_ms += ms.saturating_sub(BATCH_MS);
            }
            Op::Jump(ms) => {
                self.wall_off_ms = ms;
                self.ever_jumped = true;
            }
            Op::Mend => self.wall_off_ms = 0,
            Op::Restart => self.restart(),
            Op::StoreGoes => self.reachable = false,
            Op::StoreComes => self.reachable = true,
            Op::Revoke {
                which,
                acknowledged,
            } if self.reachable && !self.clients.is_empty() => {
                let i = which % self.clients.len();
                // Not acknowledged: it may have been committed, or not. Here it was; its holder was promised nothing.
                let time = self.clocks.read(self.reading());
                let ended = Ended {
                    at_ms: time.now_ms,
                    why: Why::Revoked,
                    other: None,
                };
                self.rows[i].ended.get_or_insert(ended);
                self.clients[i].maybe_revoked = true;
                self.clients[i].revoked |= acknowledged;
            }
            Op::Sweep => return self.swept(),
            Op::Request { .. } | Op::Revoke { .. } => {}
        }
        Ok(())
    }

    /// A process that starts with a wrong clock stamps what it makes with a wrong time: the limit that `clocks` names.
    /// Such starts are left out here (and have their own sentence); the clock may jump at any time before or after.
    fn restart(&mut self) {
        if self.wall_off_ms.unsigned_abs() <= DRIFT_MS_MAX {
            let seen_ms = self.rows.iter().map(|it| it.seen_ms).max().unwrap_or(0);
            self.touches.clear();
            self.clocks = Clocks::start(self.reading(), seen_ms);
        }
    }

    fn sign_in(&mut self, acknowledged: bool) {
        if !self.reachable || self.clients.len() > 6 {
            return;
        }
        self.draws += 1;
        let secret = Hidden::new(hash(&self.draws.to_be_bytes()));
        let mut id = [0; 16];
        id[..4].copy_from_slice(&self.draws.to_be_bytes());
        let user = UserId::parse("ada").expect("a user id");
        let time = self.clocks.read(self.reading());
        let key = Hidden::new([0; 32]);
        let (row, token) = open(
            STORE,
            Kind::Cookie,
            user,
            Entropy { id, secret, key },
            "test",
            time,
        );
        let mut row = row;
        // Not acknowledged and not committed either: a row that nobody can ask for.
        if !acknowledged {
            row.ended = Some(Ended {
                at_ms: 0,
                why: Why::Replaced,
                other: None,
            });
        }
        self.rows.push(row);
        let now = self.true_ms;
        self.clients.push(Client {
            token,
            kept: acknowledged,
            created_ms: now,
            active_ms: now,
            revoked: false,
            maybe_revoked: false,
        });
    }

    fn request(&mut self, i: usize, traffic: Traffic) -> Result<(), String> {
        let time = self.clocks.read(self.reading());
        let shelf = Shelf {
            ours: STORE,
            others_forgotten: false,
        };
        addressed(&self.clients[i].token, shelf).map_err(|it| format!("our own token: {it:?}"))?;
        let Token::Cookie(token) = &self.clients[i].token else {
            return Err("not a cookie".into());
        };
        let found = if self.reachable {
            Found::Row(&self.rows[i])
        } else {
            Found::Unreachable
        };
        let verdict = judge(token, Kind::Cookie, found, POLICY, time, traffic);
        let client = &mut self.clients[i];
        let idle_ms = self.true_ms - client.active_ms;
        let age_ms = self.true_ms - client.created_ms;
        match verdict {
            Verdict::Valid(admission) => {
                if client.revoked || !client.kept {
                    return Err("valid after its acknowledged revocation".into());
                }
                let late_ms = POLICY.leeway_ms + 1000;
                if !self.ever_jumped
                    && (idle_ms > POLICY.idle_ms + late_ms || age_ms > POLICY.absolute_ms + late_ms)
                {
                    return Err(format!("never expires: idle {idle_ms} ms, age {age_ms} ms"));
                }
                if traffic == Traffic::Active {
                    client.active_ms = self.true_ms;
                }
                match admission.touch {
                    Some(touch) if touch.at_once => {
                        self.rows[i].seen_ms = self.rows[i].seen_ms.max(touch.at_ms)
                    }
                    Some(touch) => self.touches.push((i, touch.at_ms)),
                    None => {}
                }
                Ok(())
            }
            Verdict::Unknown(_) if !self.reachable => Ok(()),
            Verdict::Unknown(unsure) => {
                Err(format!("unknown with a store that answers: {unsure:?}"))
            }
            Verdict::Invalid(Refusal::Ended(_)) if client.maybe_revoked || !client.kept => Ok(()),
            // Nobody can say how small clock errors add up; a leeway stands for all of them.
            Verdict::Invalid(Refusal::Idle) if idle_ms + DRIFT_MS_MAX >= POLICY.idle_ms => Ok(()),
            Verdict::Invalid(Refusal::Absolute) if age_ms + DRIFT_MS_MAX >= POLICY.absolute_ms => {
                Ok(())
            }
            Verdict::Invalid(refusal) => Err(format!(
                "signed out: {refusal:?}, idle {idle_ms} ms, age {age_ms} ms"
            )),
        }
    }

    /// What the sweep may delete must be invalid already, and for a week.
    fn swept(&mut self) -> Result<(), String> {
        let time = self.clocks.read(self.reading());
        let Some(limits) = sweep(POLICY, time) else {
            return Ok(());
        };
        for row in &self.rows {
            let gone = row
                .ended
                .as_ref()
                .is_some_and(|it| it.at_ms < limits.ended_before_ms)
                || row.created_ms < limits.created_before_ms
                || row.seen_ms < limits.seen_before_ms;
            if gone && row.ended.is_none() && expired(row, POLICY, time).is_none() {
                return Err("swept alive".into());
            }
        }
        Ok(())
    }
}

fn ops(jumps: bool) -> impl Strategy<Value = Op> {
    let traffic = prop_oneof![4 => Just(Traffic::Active), 1 => Just(Traffic::Passive)];
    let wait = prop_oneof![4 => 0..120_000_u64, 2 => 0..3_700_000_u64, 1 => 0..40_000_000_u64];
    let far = 400_i64 * 24 * 3_600_000;
    let jump = prop_oneof![-20_000_i64..20_000, -far..far];
    prop_oneof![
        2 => prop::bool::weighted(0.9).prop_map(|acknowledged| Op::SignIn { acknowledged }),
        12 => (any::<usize>(), traffic).prop_map(|(which, traffic)| Op::Request { which, traffic }),
        8 => wait.prop_map(Op::Wait),
        1 => jump.prop_map(move |ms| if jumps { Op::Jump(ms) } else { Op::Wait(1000) }),
        1 => Just(Op::Mend),
        2 => Just(Op::Restart),
        1 => Just(Op::StoreGoes),
        2 => Just(Op::StoreComes),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(which, acknowledged)| Op::Revoke { which, acknowledged }),
        1 => Just(Op::Sweep),
    ]
}

fn live(ops: &[Op]) -> Result<(), TestCaseError> {
    let mut world = World::new();
    for (i, op) in ops.iter().enumerate() {
        world
            .step(*op)
            .map_err(|text| TestCaseError::fail(format!("step {i}, {op:?}: {text}")))?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_clocks_that_jump(ops in prop::collection::vec(ops(true), 1..250)) {
        live(&ops)?;
    }

    #[test]
    fn with_clocks_that_agree(ops in prop::collection::vec(ops(false), 1..250)) {
        live(&ops)?;
    }
}
