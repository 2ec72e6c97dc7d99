//! SIGKILL for the gateway in mid-login and mid-refresh, 200 times: whoever was told so is signed in.
//!
//! The gateway is the real one with many workers, for a worker that is killed in its first second is started again a
//! second later: side by side they die as often as the keeper lets them. Clients never rest, so that most of the
//! strikes meet somebody.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{eventually, exe, figure, free_port, head, seconds, venv, workspace};
use crate::people::{PASSWORD, piped};
use rustix::process::Signal;
use serde_json::{Value, json};
use storm::installation::Installation;
use storm::{procfs, wait};

use super::people::try_ask;

/// Strikes, as the promise counts them.
const KILLS: usize = 200;
/// So many sign-ins and so many refreshes have to be cut off at least, or nothing was shown.
const CUT_MIN: u64 = 20;
const WORKERS: usize = 16;
/// Clients of each sort.
const CLIENTS: usize = 4;
/// A worker that lived longer is started again at once.
const LIFE: Duration = Duration::from_millis(1_050);
/// The strikes come at moments that this decides.
const SEED: u64 = 0x5eed_0009;
/// Refreshes of one session; then the next one begins with a password. Not often: a try that the gateway did not live to
/// give back stays counted as a wrong one.
const REFRESHES: u64 = 200;
/// The client's answer for each token is its own; one for all is enough here.
const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What clients share.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    /// Sign-ins without an answer.
    logins_cut: AtomicU64,
    /// Refreshes without an answer.
    refreshes_cut: AtomicU64,
    refreshes: AtomicU64,
    unsure: AtomicU64,
}

/// The gateway with its workers before the FastAPI app of `examples/fastapi-l1`.
fn installation() -> (Installation, u16) {
    let mut installation = Installation::new(exe()).expect("a directory");
    let port = free_port();
    let dir = installation.dir().display().to_string();
    let config = format!(
        "{head}
[steadfast]
state_dir = {dir}/state
[program:backend]
command = {uvicorn} server:app --host 127.0.0.1 --port {port} --workers 1 --no-access-log
directory = {app}
environment = PYTHONDONTWRITEBYTECODE=\"1\"
stdout_logfile = {dir}/backend.log
redirect_stderr = true
listen = gateway
ready = http:/api/health
env_file = {dir}/.env
secrets = SECRET_KEY
[gateway:web]
listen = 127.0.0.1:{port}
workers = {WORKERS}
route = / -> backend
auth = required
login = /api/auth/login
[sessions]
",
        head = head(installation.dir()),
        uvicorn = venv("uvicorn").display(),
        app = workspace().join("examples/fastapi-l1").display(),
    );
    installation.configure(&config).expect("written");
    for number in 0..2 * CLIENTS {
        let name = format!("ada{number}");
        let added = piped(&installation, &["users", "add", &name], PASSWORD);
        assert_eq!(added.0, 0, "{}", added.2);
    }
    installation.run().expect("started");
    let up = installation.wait_ready("backend", seconds(30));
    assert!(up.is_some(), "{}", installation.output());
    (installation, port)
}

/// An answer that says yes. None: the gateway was killed in the middle (`cut`), or could not know (503): nobody was told
/// anything.
fn yes(
    seen: &Seen,
    cut: &AtomicU64,
    port: u16,
    what: &str,
    body: &str,
) -> Option<(String, String)> {
    let (method, path) = what.split_once(' ').expect("a method and a path");
    let Some((status, head, body)) = try_ask(port, method, path, "", body) else {
        cut.fetch_add(1, Ordering::Relaxed);
        return None;
    };
    match status {
        200 => Some((head, body)),
        503 => {
            seen.unsure.fetch_add(1, Ordering::Relaxed);
            None
        }
        _ => panic!("{what}: {status}\n{head}\n{body}"),
    }
}

/// A browser that signs in at the app, again and again. Returns the header of each session that it was told of.
fn signs_in(port: u16, seen: &Seen, name: &str) -> Vec<String> {
    let mut told = Vec::new();
    let body = json!({"user": name, "password": "demo"}).to_string();
    while !seen.stop.load(Ordering::Relaxed) {
        let what = "POST /api/auth/login";
        let Some((head, _)) = yes(seen, &seen.logins_cut, port, what, &body) else {
            continue;
        };
        let cookie = head.lines().find_map(|line| {
            let value = line
                .split_once(": ")
                .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))?
                .1;
            value.split(';').next()
        });
        told.push(format!("Cookie: {}\r\n", cookie.expect("a cookie")));
    }
    told
}

/// A client that signs in by password and refreshes. Returns the newest token that it was told of, of each session.
fn refreshes(port: u16, seen: &Seen, name: &str) -> Vec<String> {
    let token = |body: &str| {
        let said: Value = serde_json::from_str(body).ok()?;
        said["token"].as_str().map(str::to_owned)
    };
    let login = json!({"username": name, "password": PASSWORD, "mode": "rotating"}).to_string();
    let mut told = Vec::new();
    while !seen.stop.load(Ordering::Relaxed) {
        let what = "POST /_steadfast/login";
        let opened = yes(seen, &seen.logins_cut, port, what, &login);
        let Some(mut newest) = opened.and_then(|(_, body)| token(&body)) else {
            continue;
        };
        let mut done = 0;
        while done < REFRESHES && !seen.stop.load(Ordering::Relaxed) {
            let body = json!({"token": newest, "a": A}).to_string();
            // Not answered: the same is asked again, whether it was done or not.
            let what = "POST /_steadfast/refresh";
            let answer = yes(seen, &seen.refreshes_cut, port, what, &body);
            if let Some(successor) = answer.and_then(|(_, body)| token(&body)) {
                newest = successor;
                done += 1;
                seen.refreshes.fetch_add(1, Ordering::Relaxed);
            }
        }
        told.push(format!("Authorization: Bearer {newest}\r\n"));
    }
    told
}

/// Kills workers at seeded moments until there were enough strikes, and enough of them met somebody.
fn strike(installation: &Installation, seen: &Seen) -> usize {
    let mut random = SEED;
    let mut born: HashMap<i32, Instant> = HashMap::new();
    let mut kills = 0;
    eventually("end of the strikes", seconds(150), || {
        let workers: Vec<i32> = installation
            .processes()
            .iter()
            .filter(|process| process.has("__gateway"))
            .map(|process| process.pid)
            .collect();
        born.retain(|pid, _| workers.contains(pid));
        for pid in workers {
            let since = *born.entry(pid).or_insert_with(Instant::now);
            if since.elapsed() < LIFE {
                continue;
            }
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            wait::pace(Duration::from_micros((random >> 33) % 4_000), &|| false);
            procfs::signal(pid, Signal::KILL);
            kills += 1;
        }
        let cut = |count: &AtomicU64| count.load(Ordering::Relaxed) >= CUT_MIN;
        (kills >= KILLS && cut(&seen.logins_cut) && cut(&seen.refreshes_cut)).then_some(())
    });
    kills
}

#[test]
fn nobody_who_was_told_so_is_signed_out_by_200_kills_of_the_gateway() {
    let (installation, port) = installation();
    let seen = Arc::new(Seen::default());
    let clients: Vec<_> = (0..2 * CLIENTS)
        .map(|number| {
            let seen = seen.clone();
            std::thread::spawn(move || match number % 2 {
                0 => signs_in(port, &seen, &format!("ann{number}")),
                _ => refreshes(port, &seen, &format!("ada{number}")),
            })
        })
        .collect();
    let kills = strike(&installation, &seen);
    seen.stop.store(true, Ordering::Relaxed);
    let told: Vec<Vec<String>> = clients
        .into_iter()
        .map(|client| client.join().expect("no answer but yes"))
        .collect();
    let count: usize = told.iter().map(Vec::len).sum();
    let askers: Vec<_> = told
        .into_iter()
        .map(|credentials| std::thread::spawn(move || lost(port, credentials)))
        .collect();
    let lost: Vec<_> = askers
        .into_iter()
        .flat_map(|asker| asker.join().expect("answered"))
        .collect();
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    figure(
        "gateway killed in mid-login and mid-refresh",
        &format!(
            "{kills} kills, {} sign-ins and {} refreshes cut off, {count} sessions and {} refreshes acknowledged, {} unsure, {} lost",
            read(&seen.logins_cut),
            read(&seen.refreshes_cut),
            read(&seen.refreshes),
            read(&seen.unsure),
            lost.len()
        ),
    );
    assert!(count > KILLS, "{count} sessions show little");
    assert!(
        lost.is_empty(),
        "{} of {count}: {:?}",
        lost.len(),
        lost.first()
    );
}

/// What is not valid of these, with the answer.
fn lost(port: u16, credentials: Vec<String>) -> Vec<(String, String)> {
    let valid = |credential: &String| {
        let verdict = eventually("a verdict", seconds(30), || {
            // The last workers may still be on their way back.
            try_ask(port, "GET", "/_steadfast/verify", credential, "").filter(|said| said.0 != 503)
        });
        (verdict.0 != 200).then(|| (credential.clone(), verdict.2))
    };
    credentials.iter().filter_map(valid).collect()
}
