//! Sessions beside what people use today, in one run: verifications, refreshes, a million sessions.
//! `cargo xtask bench accounts` builds and runs it.
#![allow(
    missing_docs,
    clippy::print_stdout,
    reason = "a bench: it prints its table"
)]

#[path = "../../../edge/store/tests/kit/server.rs"]
mod server;

use accounts::{Accounts, Caller};
use hmac::{Hmac, Mac as _};
use routes::Sessions;
use server::Server;
use session::cookie::Channel;
use session::jws::{Alg, Compact, sign};
use session::rotating::Refresh;
use session::token::Link;
use session::{
    Entropy, Expiry, Hidden, Kind, Policy, StoreId, Time, Token, Traffic, UserId, Verdict, hash,
    judge::open,
};
use sha2::Sha256;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::{Postgres, RefreshAsk, Refreshed, Sqlite, Store};

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const STORE: StoreId = StoreId(*b"bench..1");
/// Rounds of each measurement, in turn with the others; the middle one counts.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(400);
/// Clients at once, for refreshes and for pgbench alike.
const CLIENTS: u32 = 32;
const REFRESH_TIME: Duration = Duration::from_secs(4);
const MILLION: u32 = 1_000_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let hmac = verifications();
    runtime.block_on(cached(hmac));
    runtime.block_on(refreshes());
    runtime.block_on(million());
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn rate(work: &mut dyn FnMut()) -> f64 {
    let (begun, mut done) = (Instant::now(), 0_u32);
    while begun.elapsed() < ROUND {
        for _ in 0..256 {
            work();
        }
        done += 256;
    }
    f64::from(done) / begun.elapsed().as_secs_f64()
}

/// The rate of the one HMAC that everything is compared with.
fn verifications() -> f64 {
    let claims = r#"{"sub":"ada@example.org","iat":1700000000,"exp":4102444800,"jti":"AAAAAAAAAAAAAAAAAAAAAA"}"#;
    let token = sign(Alg::Hs256, KEY, claims);
    let (input, signature) = token.rsplit_once('.').expect("a token");
    let signature = base64(signature);
    let mut hmac = || {
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("a key");
        mac.update(black_box(input).as_bytes());
        assert!(mac.verify_slice(&signature).is_ok());
    };
    let mut ours = || {
        let read = Compact::read(black_box(&token)).expect("readable");
        assert!(read.proved_by(KEY));
    };
    let mut claimed = || {
        let read = Compact::read(black_box(&token)).expect("readable");
        assert!(read.proved_by(KEY) && read.claims().is_some());
    };
    let key = jsonwebtoken::DecodingKey::from_secret(KEY);
    let checks = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    let mut theirs = || {
        let read = jsonwebtoken::decode::<serde_json::Value>(black_box(&token), &key, &checks);
        assert!(read.is_ok());
    };
    let works: [(&str, &mut dyn FnMut()); 4] = [
        ("one HMAC-SHA256 of that length", &mut hmac),
        ("ours: read and proved", &mut ours),
        ("ours: with its claims parsed", &mut claimed),
        ("jsonwebtoken 9 (decode, exp)", &mut theirs),
    ];
    let mut rates = vec![Vec::new(); works.len()];
    let mut works = works;
    for _ in 0..ROUNDS {
        for (at, (_, work)) in works.iter_mut().enumerate() {
            rates[at].push(rate(*work));
        }
    }
    let hmac = median(rates[0].clone());
    println!(
        "verifications of a program's token ({} bytes), one core",
        token.len()
    );
    for ((name, _), rates) in works.iter().zip(rates) {
        let rate = median(rates);
        println!("  {name:<34} {rate:>12.0}/s   HMAC x {:.2}", hmac / rate);
    }
    let rate = pyjwt(&token);
    println!(
        "  {:<34} {rate:>12.0}/s   HMAC x {:.2}",
        "PyJWT (decode, exp)",
        hmac / rate
    );
    hmac
}

fn pyjwt(token: &str) -> f64 {
    let python = std::env::var_os("STEADFAST_PY").expect("STEADFAST_PY names a Python with PyJWT");
    let script = "import sys, time, jwt\ntoken, key = sys.argv[1], sys.argv[2]\nbegun = time.perf_counter(); n = 0\n\
        while time.perf_counter() - begun < 1:\n    for _ in range(256): jwt.decode(token, key, algorithms=['HS256'])\n    n += 256\n\
        print(n / (time.perf_counter() - begun))";
    let key = String::from_utf8_lossy(KEY).into_owned();
    let output = Command::new(python)
        .args(["-c", script, token, &key])
        .output()
        .expect("Python runs");
    let rate = String::from_utf8_lossy(&output.stdout).trim().parse();
    rate.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn base64(text: &str) -> Vec<u8> {
    session::token::hidden(text)
        .expect("32 bytes")
        .expose()
        .to_vec()
}

fn config(dir: &Path) -> Sessions {
    Sessions {
        store: format!("sqlite:{}", dir.display()),
        state_dir: dir.display().to_string(),
        ..Sessions::default()
    }
}

fn caller() -> Caller {
    Caller {
        address: "127.0.0.1".into(),
        agent: "bench".into(),
        channel: Channel::LoopbackHttp,
        origin: "http://localhost".into(),
        realm: session::Realm::default(),
        fresh: false,
    }
}

/// Verdicts of a gateway worker about a session that it has seen: the count is read each time.
async fn cached(hmac: f64) {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = Accounts::open(&config(dir.path())).await.expect("opened");
    let user = UserId::parse("ada").expect("a user");
    let opened = accounts
        .sign_in(user, Kind::Cookie, &caller())
        .await
        .expect("kept");
    let token = opened.token.expose();
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let (begun, mut done) = (Instant::now(), 0_u32);
        while begun.elapsed() < ROUND {
            for _ in 0..256 {
                let verdict = accounts.verify(&token, Traffic::Active, false).await;
                assert!(matches!(verdict, Verdict::Valid(_)));
            }
            done += 256;
        }
        rates.push(f64::from(done) / begun.elapsed().as_secs_f64());
    }
    let rate = median(rates);
    println!(
        "verdicts about a session cookie, cached, one core: {rate:.0}/s   HMAC x {:.2}",
        hmac / rate
    );
}

fn time() -> Time {
    Time {
        now_ms: 1_800_000_000_000,
        expiry: Expiry::Runs,
    }
}

fn session(n: u32, kind: Kind) -> (session::Row, Token) {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&n.to_be_bytes());
    let bytes = |label: u8| Hidden::new(hash(&[&n.to_be_bytes()[..], &[label]].concat()));
    let random = Entropy {
        id,
        secret: bytes(1),
        key: bytes(2),
    };
    let user = UserId::parse(&format!("user{}", n / 3)).expect("a user");
    open(STORE, kind, user, random, "10.0.0.1 Firefox", time())
}

fn ask(token: Link, n: u32) -> RefreshAsk {
    let a = Hidden::new(hash(&[&n.to_be_bytes()[..], token.t.expose()].concat()));
    RefreshAsk {
        ask: Refresh {
            token,
            a,
            r: [7; 16],
        },
        context: "10.0.0.1 Firefox".into(),
        policy: Policy::default(),
        time: time(),
        realm: session::Realm::default(),
        traffic: session::Traffic::Active,
    }
}

/// Refreshes a second of so many clients, each in its own session, one after the other.
async fn refreshing(store: impl Store + Clone + 'static, first: u32) -> f64 {
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut tasks = Vec::new();
    for n in first..first + CLIENTS {
        let (row, token) = session(n, Kind::Rotating);
        store.insert(row).await.expect("kept");
        let (store, stop, done) = (store.clone(), Arc::clone(&stop), Arc::clone(&done));
        tasks.push(tokio::spawn(async move {
            let Token::Rotating(mut token) = token else {
                return;
            };
            while !stop.load(Ordering::Relaxed) {
                match store.refresh(ask(token.clone(), n)).await {
                    Ok(Refreshed::Granted(next)) => token = next,
                    other => panic!("{other:?}"),
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let begun = Instant::now();
    let before = done.load(Ordering::Relaxed);
    tokio::time::sleep(REFRESH_TIME).await;
    let count = done.load(Ordering::Relaxed) - before;
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("ended");
    }
    rate
}

fn pgbench(url: &str) -> f64 {
    let host = url
        .split(' ')
        .find_map(|part| part.strip_prefix("host="))
        .expect("a host");
    let script = std::env::temp_dir().join(format!("update-{}.sql", std::process::id()));
    let sql =
        "\\set id random(1, 1000)\nUPDATE bench SET v = md5(random()::text) WHERE id = :id;\n";
    std::fs::write(&script, sql).expect("written");
    let mut command = server::command("pgbench");
    let clients = CLIENTS.to_string();
    let seconds = REFRESH_TIME.as_secs().to_string();
    command.args([
        "-n",
        "-M",
        "prepared",
        "-U",
        "steadfast",
        "-h",
        host,
        "-j",
        "2",
        "-c",
        &clients,
        "-T",
        &seconds,
        "-f",
    ]);
    command.arg(&script).arg("postgres");
    let output = command.output().expect("pgbench runs");
    let _ = std::fs::remove_file(&script);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let tps = tps.and_then(|line| line.split(' ').next()?.parse().ok());
    tps.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

async fn refreshes() {
    let dir = tempfile::tempdir().expect("a directory");
    let sqlite = Sqlite::open(dir.path(), STORE).expect("opens");
    let on_sqlite = refreshing(sqlite, 0).await;
    let server = Server::start();
    let (client, driver) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls)
        .await
        .expect("connected");
    tokio::spawn(driver);
    let sql = "CREATE TABLE bench (id INT PRIMARY KEY, v TEXT) WITH (fillfactor = 80); \
        INSERT INTO bench SELECT n, md5(n::text) FROM generate_series(1, 1000) n; VACUUM ANALYZE bench";
    for part in sql.split(';') {
        client.batch_execute(part).await.expect("made");
    }
    let postgres = Postgres::open(&server.url(), dir.path().join("pg").as_path(), STORE, STORE)
        .await
        .expect("opens");
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let url = server.url();
        let updates = tokio::task::spawn_blocking(move || pgbench(&url)).await;
        theirs.push(updates.expect("ended"));
        ours.push(refreshing(postgres.clone(), (round + 1) * 1000).await);
    }
    let (theirs, ours) = (median(theirs), median(ours));
    println!("refreshes, {CLIENTS} clients, each durable");
    println!("  SQLite                             {on_sqlite:>12.0}/s");
    println!("  PostgreSQL                         {ours:>12.0}/s");
    println!(
        "  pgbench, single-row updates        {theirs:>12.0}/s   ours / pgbench {:.2} (at least 0.7 is wanted)",
        ours / theirs
    );
}

fn resident_kb() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok())
        .unwrap_or(0)
}

async fn million() {
    let dir = tempfile::tempdir().expect("a directory");
    let size = fill_sqlite(dir.path());
    measured(&format!("SQLite ({size} MB)"), &config(dir.path())).await;
    let (server, dir) = (Server::start(), tempfile::tempdir().expect("a directory"));
    let size = fill_postgres(&server, dir.path()).await;
    let config = Sessions {
        store: server.as_store(),
        ..config(dir.path())
    };
    measured(&format!("PostgreSQL ({size} MB)"), &config).await;
}

/// Id, user, hash and context of so many sessions.
fn cookies() -> impl Iterator<Item = (session::Row, [u8; 32])> {
    (0..MILLION).map(|n| {
        let (row, _) = session(n, Kind::Cookie);
        let session::Credential::Cookie(hash) = row.credential else {
            panic!("a cookie");
        };
        (row, hash)
    })
}

fn now_ms() -> i64 {
    i64::try_from(sys::clock::wall_ms()).expect("a time")
}

/// Its size in MB.
fn fill_sqlite(dir: &Path) -> u64 {
    drop(Sqlite::open(dir, STORE).expect("opens"));
    let mut db = rusqlite::Connection::open(dir.join("sessions.db")).expect("opens");
    let all = db.transaction().expect("begun");
    {
        let sql = "INSERT INTO session (id, user, kind, hash, created_ms, seen_ms, context) VALUES (?1, ?2, 1, ?3, ?4, ?4, ?5)";
        let mut insert = all.prepare(sql).expect("prepared");
        let now = now_ms();
        for (row, hash) in cookies() {
            let (id, hash) = (row.id.0.as_slice(), hash.as_slice());
            let values = rusqlite::params![id, row.user.as_str(), hash, now, row.context];
            insert.execute(values).expect("inserted");
        }
    }
    all.execute("UPDATE meta SET value = ?1 WHERE name = 'rows'", [MILLION])
        .expect("counted");
    all.commit().expect("kept");
    std::fs::metadata(dir.join("sessions.db")).map_or(0, |meta| meta.len()) / 1_000_000
}

/// Likewise.
async fn fill_postgres(server: &Server, dir: &Path) -> u64 {
    let opened = Postgres::open(&server.url(), &dir.join("sessions"), STORE, STORE).await;
    drop(opened.expect("opens"));
    let (db, driver) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls)
        .await
        .expect("connected");
    tokio::spawn(driver);
    let sql = "INSERT INTO steadfast.session (id, user_id, kind, hash, created_ms, seen_ms, context) \
        SELECT id, name, 1, hash, $4, $4, context \
        FROM unnest($1::bytea[], $2::text[], $3::bytea[], $5::text[]) AS a(id, name, hash, context)";
    let (now, mut cookies) = (now_ms(), cookies().peekable());
    while cookies.peek().is_some() {
        let (mut ids, mut names, mut hashes, mut contexts) = (vec![], vec![], vec![], vec![]);
        for (row, hash) in cookies.by_ref().take(10_000) {
            ids.push(row.id.0.to_vec());
            names.push(row.user.as_str().to_owned());
            hashes.push(hash.to_vec());
            contexts.push(row.context.to_string());
        }
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&ids, &names, &hashes, &now, &contexts];
        db.execute(sql, &values).await.expect("inserted");
    }
    // Statements of one batch are one transaction, and a VACUUM wants none.
    for statement in [
        "UPDATE steadfast.meta SET used = TRUE",
        "VACUUM ANALYZE steadfast.session",
    ] {
        db.batch_execute(statement).await.expect("kept");
    }
    let sql = "SELECT pg_total_relation_size('steadfast.session')";
    let size: i64 = db.query_one(sql, &[]).await.expect("counted").get(0);
    size.unsigned_abs() / 1_000_000
}

/// A gateway worker's accounts over a store of a million.
async fn measured(what: &str, config: &Sessions) {
    let before = resident_kb();
    let begun = Instant::now();
    let accounts = Accounts::open(config).await.expect("opened");
    let opened = begun.elapsed();
    assert!(accounts.trouble().is_none());
    let mut times = Vec::new();
    let mut n = 12345_u32;
    for _ in 0..50_000 {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let token = session(n % MILLION, Kind::Cookie).1.expose();
        let begun = Instant::now();
        let verdict = accounts.verify(&token, Traffic::Passive, false).await;
        times.push(begun.elapsed());
        assert!(matches!(verdict, Verdict::Valid(_)), "{verdict:?}");
    }
    times.sort();
    let at = |part: f64| times[(times.len() as f64 * part) as usize].as_secs_f64() * 1e6;
    println!("a million sessions, {what}");
    println!(
        "  start                              {:>12.1} ms",
        opened.as_secs_f64() * 1e3
    );
    println!(
        "  verify, any of them, p50 / p99     {:>8.0} / {:.0} us",
        at(0.5),
        at(0.99)
    );
    println!(
        "  memory of the worker for it        {:>12.1} MB",
        (resident_kb().saturating_sub(before)) as f64 / 1e3
    );
}
