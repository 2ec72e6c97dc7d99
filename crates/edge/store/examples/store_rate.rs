//! Refreshes per second, and what a million sessions cost.
//! `cargo run --release -p store --example store_rate -- DIR SESSIONS [POSTGRES_URL]` (DIR on the disk to be measured)
#![allow(
    clippy::print_stdout,
    reason = "a measuring program, not part of the product"
)]

use session::rotating::Refresh;
use session::token::Link;
use session::{
    Entropy, Expiry, Hidden, Kind, Policy, Row, StoreId, Time, Token, UserId, hash, open,
};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Answer, Postgres, RefreshAsk, Refreshed, Sqlite, Store};

/// Clients that refresh at once: pgbench is run with as many.
const CLIENTS: u32 = 16;
const SECONDS: u64 = 5;
const LOOKUPS: u32 = 100_000;
const ID: StoreId = StoreId([7; 8]);
const TIME: Time = Time {
    now_ms: 1_800_000_000_000,
    expiry: Expiry::Runs,
};

fn session(n: u32, kind: Kind, store: StoreId) -> (Row, Token) {
    let bytes = |label: u8| hash(&[&n.to_be_bytes()[..], &[label]].concat());
    let mut id = [0; 16];
    id.copy_from_slice(&bytes(0)[..16]);
    let user = UserId::parse(&format!("user{}", n / 2)).expect("a user id");
    let random = Entropy {
        id,
        secret: Hidden::new(bytes(1)),
        key: Hidden::new(bytes(2)),
    };
    open(
        store,
        kind,
        user,
        random,
        "10.0.0.1 Mozilla/5.0 (X11; Linux x86_64)",
        TIME,
    )
}

async fn client(store: Arc<impl Store + 'static>, first: Link, until: Instant) -> u32 {
    let (mut token, mut done) = (first, 0_u32);
    while Instant::now() < until {
        let a = Hidden::new(hash(token.t.expose()));
        let mut r = [0; 16];
        r[..4].copy_from_slice(&done.to_be_bytes());
        let ask = Refresh {
            token: token.clone(),
            a,
            r,
        };
        let ask = RefreshAsk {
            ask,
            context: String::new(),
            policy: Policy::default(),
            time: TIME,
            realm: session::Realm::default(),
            traffic: session::Traffic::Active,
        };
        match store.refresh(ask).await {
            Ok(Refreshed::Granted(next)) => token = next,
            other => panic!("{other:?}"),
        }
        done += 1;
    }
    done
}

async fn refreshes(name: &str, store: impl Store + 'static, base: u32) {
    let store = Arc::new(store);
    let mut clients = Vec::new();
    let until = Instant::now() + Duration::from_secs(SECONDS);
    for n in 0..CLIENTS {
        let (row, token) = session(base + n, Kind::Rotating, store.shelf().ours);
        store.insert(row).await.expect("kept");
        let Token::Rotating(first) = token else {
            unreachable!("asked for a rotating one")
        };
        clients.push(tokio::spawn(client(Arc::clone(&store), first, until)));
    }
    let mut total = 0;
    for client in clients {
        total += client.await.expect("no panic");
    }
    println!(
        "{name}: {} refreshes per second, {CLIENTS} clients",
        u64::from(total) / SECONDS
    );
}

fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|it| it.strip_prefix("VmRSS:"))
        .unwrap_or("0");
    line.trim()
        .split(' ')
        .next()
        .and_then(|it| it.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

async fn million(dir: &Path, many: u32) {
    let store = Arc::new(Sqlite::open(dir, ID).expect("opens"));
    let begun = Instant::now();
    for group in 0..many / 1000 {
        let rows = (0..1000).map(|n| session(group * 1000 + n, Kind::Cookie, ID).0);
        let all: Vec<_> = rows
            .map(|row| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.insert(row).await })
            })
            .collect();
        for one in all {
            one.await.expect("no panic").expect("kept");
        }
    }
    println!(
        "{many} durable sign-ins: {:.0} per second",
        f64::from(many) / begun.elapsed().as_secs_f64()
    );
    drop(store);
    let before_mb = resident_mb();
    let begun = Instant::now();
    let store = Sqlite::open(dir, ID).expect("opens");
    println!(
        "start with {many} sessions: {:.1} ms",
        begun.elapsed().as_secs_f64() * 1e3
    );
    let mut times: Vec<u128> = Vec::new();
    for n in 0..LOOKUPS {
        let (_, token) = session(n.wrapping_mul(7919) % many, Kind::Cookie, ID);
        let begun = Instant::now();
        let answer = store.find(&token).await;
        times.push(begun.elapsed().as_nanos());
        assert!(matches!(answer, Answer::Row(_)), "{answer:?}");
    }
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100 - 1] as f64 / 1e3;
    println!(
        "verify, uncached: p50 {:.1} us, p99 {:.1} us",
        at(50),
        at(99)
    );
    println!(
        "memory: {} MB more than before",
        resident_mb().saturating_sub(before_mb)
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().expect("a directory");
    let dir = Path::new(&dir);
    let many: u32 = arguments
        .next()
        .and_then(|it| it.parse().ok())
        .unwrap_or(1_000_000);
    refreshes(
        "SQLite",
        Sqlite::open(&dir.join("rate"), ID).expect("opens"),
        0,
    )
    .await;
    if let Some(url) = arguments.next() {
        let store = Postgres::open(&url, &dir.join("marker"), ID, StoreId([1; 8]))
            .await
            .expect("opens");
        // Each run with sessions of its own.
        refreshes("PostgreSQL", store, std::process::id() * 1000).await;
    }
    million(&dir.join("million"), many).await;
}
