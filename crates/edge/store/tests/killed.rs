//! kill -9 in mid-login, again and again: every sign-in that was acknowledged is there.
#![allow(missing_docs, reason = "a test")]

mod kit;

use kit::{opened, session, signed_in};
use session::Kind;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use store::Store as _;

const DIR: &str = "STORE_TEST_KILLED_DIR";
const FROM: &str = "STORE_TEST_KILLED_FROM";
const TIMES: u32 = 60;
const EACH: u32 = 100_000;

/// The program that is killed: signs people in and tells when each was acknowledged.
#[tokio::test]
async fn victim() {
    let (Ok(dir), Ok(from)) = (std::env::var(DIR), std::env::var(FROM)) else {
        return;
    };
    let store = opened(dir.as_ref());
    let from: u32 = from.parse().expect("a number");
    for n in from..from + EACH {
        store
            .insert(session(n, Kind::Cookie, "ada").0)
            .await
            .expect("kept");
        writeln!(std::io::stdout(), "acknowledged {n}").expect("told");
    }
}

#[tokio::test]
async fn acknowledged_sign_ins_survive() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut acknowledged = Vec::new();
    for round in 0..TIMES {
        let mut victim = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "victim", "--nocapture", "--test-threads=1"])
            .env(DIR, dir.path())
            .env(FROM, (round * EACH).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let lines = BufReader::new(victim.stdout.take().expect("a pipe")).lines();
        let mut told = 0;
        for line in lines.map_while(Result::ok) {
            if let Some((_, n)) = line.split_once("acknowledged ") {
                acknowledged.push(n.parse().expect("a number"));
                told += 1;
                // Somewhere in the middle of the next one: a different place each time.
                if told == 5 + round * 3 {
                    victim.kill().expect("killed");
                }
            }
        }
        victim.wait().expect("reaped");
        assert!(told >= 5, "the victim got no further than {told} sign-ins");
    }
    let store = opened(dir.path());
    for n in &acknowledged {
        assert!(
            signed_in(&store, &session(*n, Kind::Cookie, "ada").1).await,
            "sign-in {n} was lost"
        );
    }
}
