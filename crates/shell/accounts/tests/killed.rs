//! kill -9 in mid-login and mid-refresh, 200 times, through the API: who was told so is signed in.
#![allow(missing_docs, reason = "a test")]

mod kit;

use kit::http::ask;
use kit::{config, signed_in, worker};
use serde_json::json;
use session::{Kind, Traffic, Verdict};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

const DIR: &str = "ACCOUNTS_TEST_KILLED_DIR";
const TIMES: usize = 200;
/// The client's answer for each token is its own; one for all is enough here.
const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The gateway that is killed: one user signs in again and again and refreshes in between.
#[tokio::test]
async fn victim() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let accounts = worker(&config(Path::new(&dir))).await;
    let mut out = std::io::stdout();
    loop {
        let mut token = signed_in(&accounts, "ada", Kind::Rotating)
            .await
            .token
            .expose();
        writeln!(out, "acknowledged {token}").expect("told");
        for _ in 0..3 {
            writeln!(out, "asked {token}").expect("told");
            let body = json!({"token": token, "a": A});
            let said = ask("POST", "/refresh").json(body).to(&accounts).await;
            assert_eq!(said.status, 200, "{}", said.text);
            token = said.json["token"].as_str().expect("a token").to_owned();
            writeln!(out, "acknowledged {token}").expect("told");
        }
    }
}

#[tokio::test]
async fn who_was_told_so_is_signed_in() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut last, mut asked) = (Vec::new(), Vec::new());
    for round in 0..TIMES {
        let mut victim = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "victim", "--nocapture", "--test-threads=1"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let lines = BufReader::new(victim.stdout.take().expect("a pipe")).lines();
        // In mid-login and in mid-refresh, each after another number of steps.
        let (in_refresh, end) = (round % 2 == 0, 1 + round % 13);
        let (mut told, mut asks, mut newest, mut waiting) = (0, 0, String::new(), None);
        for line in lines.map_while(Result::ok) {
            if let Some((_, token)) = line.split_once("acknowledged ") {
                newest = token.to_owned();
                waiting = None;
                told += 1;
            } else if let Some((_, token)) = line.split_once("asked ") {
                waiting = Some(token.to_owned());
                asks += 1;
            } else {
                continue;
            }
            if end == if in_refresh { asks } else { told } {
                // More lines may be in the pipe: they were told, too.
                victim.kill().expect("killed");
            }
        }
        victim.wait().expect("reaped");
        assert!(told >= 1, "round {round}: the victim got nowhere");
        last.push(newest);
        asked.extend(waiting);
    }
    let accounts = worker(&config(dir.path())).await;
    for token in &last {
        let verdict = accounts.verify(token, Traffic::Passive, true).await;
        assert!(matches!(verdict, Verdict::Valid(_)), "{verdict:?}");
    }
    // A refresh whose answer was lost with the gateway is asked again.
    assert!(
        asked.len() > TIMES / 10,
        "{} were in mid-refresh",
        asked.len()
    );
    for token in &asked {
        let body = json!({"token": token, "a": A});
        let said = ask("POST", "/refresh").json(body).to(&accounts).await;
        assert_eq!(said.status, 200, "{}", said.text);
    }
}
