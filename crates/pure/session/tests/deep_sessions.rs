//! Sessions over long and unlucky lives: clocks jump, gateways are restarted at any point, commits are made or not and
//! acknowledged or not, the store goes away and comes back, last-seen writes are lost. Whatever happens:
//! * *invalid* is said only of a session that was ended, that was never kept, or that truly was too old by real time;
//! * nothing is valid after its acknowledged revocation, nor was anything that was not kept;
//! * while the clocks agree, sessions do expire.
//!
//! [`Truth`] is what really happened; [`Gateway`] is what our functions make of it.
#![allow(missing_docs, reason = "a test")]

#[path = "life/gateway.rs"]
mod gateway;

use gateway::Gateway;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use session::{DRIFT_MS_MAX, Policy, Reading, Refusal, StoreId, Traffic, Verdict};
use std::collections::BTreeSet;

const STORE: StoreId = StoreId(*b"store..1");
const POLICY: Policy = Policy {
    idle_ms: 3_600_000,
    absolute_ms: 10 * 3_600_000,
    leeway_ms: 60_000,
};
const START_MS: u64 = 1_800_000_000_000;
const CLIENTS_MAX: usize = 7;

/// What becomes of a commit. Nobody is promised anything but by an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Acknowledged,
    /// The gateway or its connection dies between commit and acknowledgement.
    Unanswered,
    /// Neither.
    Lost,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    SignIn(Fate),
    Request {
        which: usize,
        traffic: Traffic,
    },
    Wait(u64),
    /// The wall clock is off by so much.
    Jump(i64),
    Restart,
    StoreGoes,
    StoreComes,
    Revoke {
        which: usize,
        fate: Fate,
    },
    Sweep,
}

#[derive(Clone, Debug, Default)]
struct Truth {
    ms: u64,
    wall_off_ms: i64,
    ever_jumped: bool,
    away: bool,
    clients: Vec<Client>,
}

/// All hold their token, also those whose sign-in was not acknowledged: more than a gateway would hand out.
#[derive(Clone, Debug)]
struct Client {
    created_ms: u64,
    kept: bool,
    ended: bool,
    /// The end was acknowledged.
    told: bool,
}

struct Life<const JUMPS: bool>;

impl<const JUMPS: bool> ReferenceStateMachine for Life<JUMPS> {
    type State = Truth;
    type Transition = Op;

    fn init_state() -> BoxedStrategy<Truth> {
        Just(Truth::default()).boxed()
    }

    fn transitions(truth: &Truth) -> BoxedStrategy<Op> {
        let fate = prop_oneof![
            6 => Just(Fate::Acknowledged),
            1 => Just(Fate::Unanswered),
            1 => Just(Fate::Lost)
        ];
        let traffic = prop_oneof![4 => Just(Traffic::Active), 1 => Just(Traffic::Passive)];
        let wait = prop_oneof![4 => 0..120_000_u64, 2 => 0..3_700_000_u64, 1 => 0..40_000_000_u64];
        let far = 400_i64 * 24 * 3_600_000;
        let (small, hours) = (-20_000_i64..20_000, -50_000_000_i64..50_000_000);
        let jump = prop_oneof![3 => Just(0), 1 => small, 1 => hours, 1 => -far..far];
        let jump = match JUMPS {
            true => jump.prop_map(Op::Jump).boxed(),
            false => Just(Op::Wait(1000)).boxed(),
        };
        let one = prop_oneof![
            8 => wait.prop_map(Op::Wait),
            2 => jump,
            2 => Just(Op::Restart),
            1 => Just(Op::StoreGoes),
            2 => Just(Op::StoreComes),
            1 => Just(Op::Sweep),
            2 => fate.clone().prop_map(Op::SignIn),
        ];
        let clients = truth.clients.len();
        if clients == 0 {
            return one.boxed();
        }
        let request = (0..clients, traffic);
        let revoke = (0..clients, fate);
        prop_oneof![
            18 => one,
            12 => request.prop_map(|(which, traffic)| Op::Request { which, traffic }),
            1 => revoke.prop_map(|(which, fate)| Op::Revoke { which, fate }),
        ]
        .boxed()
    }

    fn preconditions(truth: &Truth, op: &Op) -> bool {
        match op {
            Op::SignIn(_) => !truth.away && truth.clients.len() < CLIENTS_MAX,
            Op::Revoke { which, .. } => !truth.away && *which < truth.clients.len(),
            Op::Request { which, .. } => *which < truth.clients.len(),
            // A process that starts with a wrong clock stamps what it makes with a wrong time: the limit that `clocks`
            // names, which has its own sentence. The clock may jump at any time before or after.
            Op::Restart => truth.wall_off_ms.unsigned_abs() <= DRIFT_MS_MAX,
            Op::Wait(_) | Op::Jump(_) | Op::StoreGoes | Op::StoreComes | Op::Sweep => true,
        }
    }

    fn apply(mut truth: Truth, op: &Op) -> Truth {
        match *op {
            Op::SignIn(fate) => truth.clients.push(Client {
                created_ms: truth.ms,
                kept: fate != Fate::Lost,
                ended: false,
                told: false,
            }),
            Op::Wait(ms) => truth.ms += ms,
            Op::Jump(ms) => (truth.wall_off_ms, truth.ever_jumped) = (ms, true),
            Op::StoreGoes => truth.away = true,
            Op::StoreComes => truth.away = false,
            Op::Revoke { which, fate } => {
                let client = &mut truth.clients[which];
                client.ended |= fate != Fate::Lost;
                client.told |= fate == Fate::Acknowledged;
            }
            Op::Request { .. } | Op::Restart | Op::Sweep => {}
        }
        truth
    }
}

impl Truth {
    fn reading(&self) -> Reading {
        let wall_ms = (START_MS + self.ms).saturating_add_signed(self.wall_off_ms);
        Reading {
            wall_ms,
            steady_ms: self.ms,
        }
    }
}

impl Truth {
    /// What was said, in a word; panics if it must not be said.
    fn allows(&self, i: usize, active_ms: u64, verdict: &Verdict, recalled: bool) -> &'static str {
        let client = &self.clients[i];
        let (idle_ms, age_ms) = (self.ms - active_ms, self.ms - client.created_ms);
        let context = || format!("{verdict:?}, {client:?}, idle {idle_ms} ms, age {age_ms} ms");
        let old = |ms: u64, max_ms: u64| ms + DRIFT_MS_MAX >= max_ms;
        match verdict {
            Verdict::Valid(_) => {
                assert!(client.kept, "never kept: {}", context());
                assert!(!client.told, "acknowledged to be over: {}", context());
                assert!(!client.ended || recalled, "over: {}", context());
                let late_ms = POLICY.leeway_ms + 1000;
                let expires =
                    idle_ms > POLICY.idle_ms + late_ms || age_ms > POLICY.absolute_ms + late_ms;
                assert!(self.ever_jumped || !expires, "never expires: {}", context());
                match (recalled, self.away, client.ended) {
                    (true, true, _) => "valid while the store is away",
                    (true, false, true) => "valid, ended without acknowledgement",
                    (true, false, false) => "valid, recalled",
                    (false, _, _) => "valid",
                }
            }
            Verdict::Unknown(_) => {
                assert!(self.away, "the store answers: {}", context());
                "unknown"
            }
            Verdict::Invalid(Refusal::Ended(_)) => {
                assert!(client.ended, "it was not ended: {}", context());
                if client.told {
                    "ended"
                } else {
                    "ended without acknowledgement"
                }
            }
            Verdict::Invalid(Refusal::NotFound) => {
                assert!(!client.kept, "it was kept: {}", context());
                "not found"
            }
            // Nobody can say how small clock errors add up; a leeway stands for all of them.
            Verdict::Invalid(Refusal::Idle) => {
                assert!(old(idle_ms, POLICY.idle_ms), "signed out: {}", context());
                "idle"
            }
            Verdict::Invalid(Refusal::Absolute) => {
                assert!(old(age_ms, POLICY.absolute_ms), "signed out: {}", context());
                "too old"
            }
            Verdict::Invalid(_) => panic!("signed out: {}", context()),
        }
    }
}

impl<const JUMPS: bool> StateMachineTest for Life<JUMPS> {
    type SystemUnderTest = Gateway;
    type Reference = Self;

    fn init_test(truth: &Truth) -> Gateway {
        Gateway::start(truth)
    }

    fn apply(mut gateway: Gateway, truth: &Truth, op: Op) -> Gateway {
        gateway.step(truth, op);
        gateway
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

prop_state_machine! {
    #![proptest_config(config())]

    #[test]
    fn with_clocks_that_jump(sequential 1..250 => Life<true>);

    #[test]
    fn with_clocks_that_agree(sequential 1..250 => Life<false>);
}

/// The lives say something: every verdict comes up in them.
#[test]
fn everything_is_said_some_time() {
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config(), random);
    let mut said = BTreeSet::new();
    for _ in 0..100 {
        let life = Life::<true>::sequential_strategy(250).new_tree(&mut runner);
        let (mut truth, ops, _) = life.expect("a life").current();
        let mut gateway = Gateway::start(&truth);
        for op in ops {
            truth = <Life<true> as ReferenceStateMachine>::apply(truth, &op);
            gateway.step(&truth, op);
        }
        said.extend(gateway.said);
    }
    let all = [
        "ended",
        "ended without acknowledgement",
        "idle",
        "not found",
        "too old",
        "unknown",
        "valid",
        "valid while the store is away",
        "valid, ended without acknowledgement",
        "valid, recalled",
    ];
    assert_eq!(said.into_iter().collect::<Vec<_>>(), all);
}
