//! Verifications per second of one core, beside one HMAC-SHA256 of the same length.
//! `cargo run --release -p session --example verify_rate`
#![allow(
    clippy::print_stdout,
    reason = "a measuring program, not part of the product"
)]

use hmac::{Hmac, Mac};
use session::claims::Shape;
use session::jws::{Alg, Compact};
use session::keyring::{KeyId, Keyring, Rotation};
use session::{
    Admission, Entropy, Expiry, Found, Hidden, Kind, Policy, Sid, StoreId, Time, Token, Traffic,
    UserId, Verdict, judge, open,
};
use sha2::Sha256;
use std::hint::black_box;
use std::time::Instant;

/// Enough for a stable figure, short enough to run often.
const ROUNDS: u32 = 1_000_000;
const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

fn main() {
    let user = UserId::parse("ada@example.org").expect("a user id");
    let time = Time {
        now_ms: 1_800_000_000_000,
        expiry: Expiry::Runs,
    };
    let random = Entropy {
        id: [1; 16],
        secret: Hidden::new([2; 32]),
        key: Hidden::new([3; 32]),
    };
    let (row, token) = open(
        StoreId([4; 8]),
        Kind::Cookie,
        user.clone(),
        random,
        "",
        time,
    );
    let text = token.expose();
    measure("cookie: read, hash, judge", || {
        let Some(Token::Cookie(token)) = Token::parse(black_box(&text)) else {
            return false;
        };
        let found = Found::Row(&row);
        matches!(
            judge(
                &token,
                Kind::Cookie,
                found,
                Policy::default(),
                time,
                Traffic::Passive
            ),
            Verdict::Valid(_)
        )
    });
    let admission = Admission {
        session: Sid([1; 16]),
        user,
        at_ms: 0,
        touch: None,
    };
    let shape = Shape::default();
    let jwt = shape.token(&admission, Alg::Hs256, KEY, 1_800_000_000, [5; 16]);
    let (input, _) = jwt.rsplit_once('.').expect("three parts");
    let one = measure("one HMAC-SHA256 of that length", || {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(KEY).expect("a key");
        mac.update(black_box(input).as_bytes());
        mac.finalize().into_bytes()[0] != 1 || black_box(true)
    });
    let verify = measure("JWT: read, verify", || {
        Compact::read(black_box(&jwt)).is_ok_and(|it| it.proved_by(KEY))
    });
    println!("{:<34} {:>12.2} times one HMAC", "", verify / one);
    let mut ring = Keyring::new(KEY);
    let rotated = ring.rotate(
        b"fedcba9876543210fedcba9876543210",
        Rotation::Overlap { until_s: u64::MAX },
    );
    assert!(rotated);
    measure("JWT: towards its own generation", || {
        ring.towards(black_box(&jwt), KeyId(0)) != ring.towards("", KeyId(0))
    });
    measure("JWT: signed again", || {
        ring.towards(black_box(&jwt), KeyId(1)) != ring.towards("", KeyId(1))
    });
    measure("JWT: made at dispatch", || {
        !shape
            .token(
                black_box(&admission),
                Alg::Hs256,
                KEY,
                1_800_000_000,
                [5; 16],
            )
            .is_empty()
    });
}

/// Runs; prints; returns nanoseconds per run.
fn measure(name: &str, mut run: impl FnMut() -> bool) -> f64 {
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        assert!(black_box(run()));
    }
    let ns = begun.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS);
    println!("{name:<34} {:>12.0} per second {ns:>8.0} ns", 1e9 / ns);
    ns
}
