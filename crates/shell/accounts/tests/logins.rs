//! Passwords: who is let in, who is slowed down, and that nobody can lock somebody else out.
#![allow(missing_docs, reason = "a test")]

mod kit;

use accounts::Accounts;
use kit::http::{Ask, Said, ask};
use kit::{config, signed_in, until, worker};
use serde_json::json;
use session::{Kind, Traffic, Verdict};
use std::time::{Duration, Instant};

const PASSWORD: &str = "correct horse battery";

fn login(user: &str, password: &str) -> Ask {
    let body = json!({"username": user, "password": password, "mode": "bearer"});
    ask("POST", "/login").own().json(body)
}

async fn with_ada(dir: &std::path::Path) -> Accounts {
    let accounts = worker(&config(dir)).await;
    accounts.add_user("ada", PASSWORD).await.expect("added");
    accounts
}

/// The hash as it is kept.
fn kept_hash(dir: &std::path::Path, user: &str) -> String {
    let db = rusqlite::Connection::open(dir.join("sessions.db")).expect("opened");
    let sql = "SELECT hash FROM user WHERE name = ?1";
    db.query_row(sql, [user], |line| line.get(0))
        .expect("a user")
}

/// A setting as it is kept.
fn kept_setting(dir: &std::path::Path, name: &str) -> String {
    let db = rusqlite::Connection::open(dir.join("sessions.db")).expect("opened");
    let sql = "SELECT value FROM setting WHERE name = ?1";
    let value: Vec<u8> = db
        .query_row(sql, [name], |line| line.get(0))
        .expect("a setting");
    String::from_utf8(value).expect("text")
}

#[tokio::test]
async fn the_answer_does_not_say_what_was_wrong() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = with_ada(dir.path()).await;
    accounts.add_user("bob", PASSWORD).await.expect("added");
    accounts.set_disabled("bob", true).await.expect("disabled");
    let mut answers = Vec::new();
    for (user, password) in [
        ("ada", "wrong horse battery"),
        ("nobody", PASSWORD),
        ("bob", PASSWORD),
        ("ada", ""),
        ("Ada", PASSWORD),
        (" ada", PASSWORD),
    ] {
        let said = login(user, password).to(&accounts).await;
        assert_eq!(
            (said.status, said.code()),
            (401, "invalid_credentials"),
            "{user}"
        );
        answers.push(said.text);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let huge = login("ada", &"a".repeat(2000)).to(&accounts).await;
    assert_eq!(huge.status, 401);
    assert_eq!(login("ada", PASSWORD).to(&accounts).await.status, 200);
    let phc = kept_hash(dir.path(), "ada");
    assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
}

#[tokio::test]
async fn failures_are_throttled_and_lock_nobody_else_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = with_ada(dir.path()).await;
    let body = json!({"username": "ada", "password": PASSWORD});
    let said = ask("POST", "/login")
        .own()
        .json(body.clone())
        .from("10.9.9.9")
        .to(&accounts)
        .await;
    let device = said
        .cookie("steadfast-device-local")
        .expect("a device's cookie");
    // Right passwords are never counted.
    for _ in 0..12 {
        let said = login("ada", PASSWORD).from("10.0.0.1").to(&accounts).await;
        assert_eq!(said.status, 200);
    }
    let wrong = |address: &str| login("ada", "wrong horse battery").from(address);
    let mut said = wrong("10.0.0.1").to(&accounts).await;
    let mut tries = 1;
    while said.status == 401 {
        said = wrong("10.0.0.1").to(&accounts).await;
        tries += 1;
    }
    assert_eq!((said.status, said.code(), tries), (429, "throttled", 11));
    let seconds: u64 = said.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
    let right = login("ada", PASSWORD).from("10.0.0.1").to(&accounts).await;
    assert_eq!(
        right.status, 429,
        "the attacker's address does not learn it"
    );
    let elsewhere = login("ada", PASSWORD).from("10.0.0.2").to(&accounts).await;
    assert_eq!(elsewhere.status, 200, "ada herself is not locked out");
    // A net of attackers exhausts the account; the browser that was here before goes on, even from their address.
    for n in 0..200 {
        wrong(&format!("10.1.{n}.1")).to(&accounts).await;
    }
    assert_eq!(
        login("ada", PASSWORD)
            .from("10.2.0.1")
            .to(&accounts)
            .await
            .status,
        429
    );
    let known = |value: &str| {
        let cookie = format!("steadfast-device-local={value}");
        let asked = ask("POST", "/login").own().json(body.clone());
        asked.with("cookie", cookie).from("10.0.0.1")
    };
    assert_eq!(known(&device).to(&accounts).await.status, 200);
    let mut forged = device.clone();
    forged.replace_range(
        2..3,
        if device.as_bytes()[2] == b'A' {
            "B"
        } else {
            "A"
        },
    );
    assert_eq!(known(&forged).to(&accounts).await.status, 429);
}

#[tokio::test]
async fn workers_count_together_and_a_family_shares_a_browser() {
    let dir = tempfile::tempdir().expect("a directory");
    let one = with_ada(dir.path()).await;
    one.add_user("bob", PASSWORD).await.expect("added");
    let two = worker(&config(dir.path())).await;
    let mut tries = 0;
    for n in 0.. {
        let at = if n % 2 == 0 { &one } else { &two };
        let said = login("ada", "wrong horse battery")
            .from("10.0.0.1")
            .to(at)
            .await;
        if said.status == 429 {
            break;
        }
        tries += 1;
    }
    assert_eq!(tries, 10, "as many as at one worker");
    for at in [&one, &two] {
        let said = login("ada", PASSWORD).from("10.0.0.1").to(at).await;
        assert_eq!(said.status, 429);
    }
    // Ada signs in elsewhere, then Bob in the same browser; both are known in it from now on, also where an attacker sits.
    let mut device = String::new();
    for user in ["ada", "bob"] {
        let body = json!({"username": user, "password": PASSWORD});
        let asked = ask("POST", "/login").own().json(body).from("10.0.0.2");
        let said = asked
            .with("cookie", format!("steadfast-device-local={device}"))
            .to(&two)
            .await;
        device = said
            .cookie("steadfast-device-local")
            .expect("a device's cookie");
    }
    for user in ["ada", "bob"] {
        let body = json!({"username": user, "password": PASSWORD});
        let asked = ask("POST", "/login").own().json(body).from("10.0.0.1");
        let said = asked
            .with("cookie", format!("steadfast-device-local={device}"))
            .to(&one)
            .await;
        assert_eq!(said.status, 200, "{user}");
    }
}

#[tokio::test]
async fn a_storm_of_logins_is_refused_and_slows_no_verification() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = with_ada(dir.path()).await;
    let token = signed_in(&accounts, "ada", Kind::Cookie)
        .await
        .token
        .expose();
    let storm: Vec<_> = (0..200)
        .map(|n| {
            let accounts = accounts.clone();
            let asked = login(&format!("user{n}"), PASSWORD).from(&format!("10.3.{n}.1"));
            tokio::spawn(async move { asked.to(&accounts).await })
        })
        .collect();
    // Each verification waits for nothing but its own work, while the queue is full.
    tokio::task::yield_now().await;
    let mut times = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        let verdict = accounts.verify(&token, Traffic::Passive, false).await;
        assert!(matches!(verdict, Verdict::Valid(_)));
        times.push(began.elapsed());
        tokio::task::yield_now().await;
    }
    let mut busy = 0;
    for one in storm {
        let said: Said = one.await.expect("answered");
        match said.status {
            503 => {
                assert_eq!(said.code(), "busy");
                busy += 1;
            }
            status => assert_eq!(status, 401),
        }
    }
    assert!(busy > 100, "the queue is bounded: {busy} were refused");
    // Most of them: any one may be put aside by a busy machine.
    times.sort();
    let median = times[times.len() / 2];
    assert!(median < Duration::from_millis(250), "{median:?}");
    // Who was refused for being too many was not counted as a failure.
    until("the queue is empty again", || async {
        login("ada", PASSWORD)
            .from("10.3.150.1")
            .to(&accounts)
            .await
            .status
            == 200
    })
    .await;
}

#[tokio::test]
async fn another_password_and_a_disabled_account_end_all_sessions() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = with_ada(dir.path()).await;
    let other = worker(&config(dir.path())).await;
    let command = Accounts::command(&config(dir.path()))
        .await
        .expect("opened");
    let token = login("ada", PASSWORD).to(&accounts).await.json["token"].clone();
    let token = token.as_str().expect("a token");
    let verify = || ask("GET", "/verify").bearer(token).to(&other);
    assert_eq!(verify().await.status, 200);
    command
        .set_password("ada", "another long password")
        .await
        .expect("set");
    assert_eq!(verify().await.status, 401);
    assert_eq!(login("ada", PASSWORD).to(&accounts).await.status, 401);
    let said = login("ada", "another long password").to(&accounts).await;
    assert_eq!(said.status, 200);
    let token = said.json["token"].as_str().expect("a token").to_owned();
    command.set_disabled("ada", true).await.expect("disabled");
    assert_eq!(
        ask("GET", "/verify").bearer(&token).to(&other).await.status,
        401
    );
    assert_eq!(
        login("ada", "another long password")
            .to(&accounts)
            .await
            .status,
        401
    );
    command.set_disabled("ada", false).await.expect("enabled");
    assert_eq!(
        login("ada", "another long password")
            .to(&accounts)
            .await
            .status,
        200
    );
    for (said, wanted) in [
        (command.add_user("ada", PASSWORD).await, "already"),
        (command.add_user("bob", "").await, "empty"),
        (
            command.add_user("bob", &"a".repeat(1025)).await,
            "1024 bytes",
        ),
        (command.add_user("", PASSWORD).await, "user name"),
        (command.add_user("bob", "h7Gq-92").await, "fewer than 8"),
        (command.add_user("bob", "Passw0rd!23").await, "tried first"),
        (
            command.add_user("robertson", "Robertson42").await,
            "tried first",
        ),
        (
            command.set_password("ada", "qwertyuiop").await,
            "tried first",
        ),
        (command.set_password("bob", PASSWORD).await, "no user bob"),
        (command.set_disabled("bob", true).await, "no user bob"),
        (command.remove_user("bob").await, "no user bob"),
    ] {
        let text = said.expect_err("refused");
        assert!(text.contains(wanted), "{text}");
    }
    let users = command.users().await.expect("listed");
    assert_eq!(users.len(), 1);
    assert_eq!((users[0].name.as_str(), users[0].disabled), ("ada", false));
}

#[tokio::test]
async fn a_password_is_hashed_anew_when_the_cost_was_calibrated() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = with_ada(dir.path()).await;
    let before = kept_hash(dir.path(), "ada");
    // As long as it takes that one more pass fits, on any machine.
    let (mut cost, mut ms) = (String::from("m=19456,t=2,p=1"), 200);
    while before.contains(&cost) {
        ms *= 2;
        let target = Duration::from_millis(ms);
        cost = accounts.calibrate(target).await.expect("kept");
    }
    let token = login("ada", PASSWORD).to(&accounts).await.json["token"].clone();
    until("it is hashed anew", || async {
        kept_hash(dir.path(), "ada").contains(&cost)
    })
    .await;
    let token = token.as_str().expect("a token");
    let said = ask("GET", "/verify").bearer(token).to(&accounts).await;
    assert_eq!(said.status, 200, "which ends nothing");
    assert_eq!(login("ada", PASSWORD).to(&accounts).await.status, 200);
    // Less from now on: whoever still has a costly hash is not to be told by the time that it takes.
    let less = accounts
        .calibrate(Duration::from_millis(1))
        .await
        .expect("kept");
    assert_eq!(less, "m=19456,t=2,p=1");
    let most = kept_setting(dir.path(), "argon2_most");
    assert_eq!(most, cost, "what every try costs");
    assert_eq!(login("ada", PASSWORD).to(&accounts).await.status, 200);
    until("it is hashed anew", || async {
        kept_hash(dir.path(), "ada").contains(&less)
    })
    .await;
    // Everybody has followed: the next calibration finds nothing costly any more.
    accounts
        .calibrate(Duration::from_millis(1))
        .await
        .expect("kept");
    assert_eq!(kept_setting(dir.path(), "argon2_most"), less);
}

#[tokio::test]
async fn a_body_that_lacks_a_field_is_told_which_and_quotes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let accounts = worker(&config(dir.path())).await;
    let login = async |body| ask("POST", "/login").own().json(body).to(&accounts).await;
    let said = login(json!({"user": "ada", "password": "hunter2"})).await;
    assert_eq!(said.status, 400, "{}", said.text);
    assert!(said.text.contains("it has no `username`"), "{}", said.text);
    let odd = login(json!({"username": "ada", "password": ["hunter2"]})).await;
    assert_eq!(odd.status, 400, "{}", odd.text);
    for said in [said, odd] {
        assert!(!said.text.contains("hunter2"), "{}", said.text);
    }
}
