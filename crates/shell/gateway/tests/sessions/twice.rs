//! Somebody who is signed in signs in again: one of both sessions ends, and never the one whose cookie the browser has.

use crate::common::door::{Asked, Door};
use crate::common::{Client, LIMIT, find};
use gateway::config::Auth;
use std::time::Instant;

const PASSWORD: &str = "correct horse battery";

/// Logins of ada with the cookie of her session, by the bodies of the program's answers, and by the API.
fn logins(door: &Door, path: &str, cookie: &str) -> Vec<(&'static str, Asked)> {
    let host = format!("localhost:{}", door.port());
    let asked = |asked: Asked| {
        asked
            .host(&host)
            .cookie(cookie)
            .line("Sec-Fetch-Site: same-origin")
    };
    let by_program =
        ["ada", "empty", "none", "chunked"].map(|body| (body, Asked::post(path, body)));
    let body = format!("{{\"username\":\"ada\",\"password\":\"{PASSWORD}\"}}");
    let by_us = Asked::post("/_steadfast/login", &body).line("Content-Type: application/json");
    by_program
        .into_iter()
        .chain([("api", by_us)])
        .map(|(name, login)| (name, asked(login)))
        .collect()
}

fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

fn status(door: &Door, cookie: &str) -> u16 {
    door.ask(Asked::get("/").cookie(cookie)).status
}

#[test]
fn who_hangs_up_before_the_new_cookie_keeps_the_session_that_was_there() {
    let door = Door::new(Auth::Required);
    door.add_user("ada", PASSWORD);
    let cookie = door.sign_in("ada");
    for (at, (name, login)) in logins(&door, "/login?hint", &cookie).iter().enumerate() {
        let held = door.store_held();
        let mut client = door.client();
        client.send(&login.text());
        if *name != "api" {
            // The answer is at the gateway, which cannot keep the new session yet.
            let hint = |read: &[u8]| find(read, b"\r\n\r\n").is_some();
            client.read_until(hint).expect("a hint");
        }
        drop(client);
        held.execute_batch("ROLLBACK").expect("let go");
        let over = (at as u64 + 2, at as u64 + 1);
        until(name, || door.had_and_over("ada") == over);
        assert_eq!(status(&door, &cookie), 200, "{name}");
    }
}

#[test]
fn the_old_session_ends_between_the_new_cookie_and_the_end_of_the_answer() {
    let door = Door::new(Auth::Required);
    door.add_user("ada", PASSWORD);
    let names = logins(&door, "/login", "")
        .into_iter()
        .map(|(name, _)| name);
    let cookies: Vec<(&str, String)> = names.map(|name| (name, door.sign_in("ada"))).collect();
    door.let_no_session_end();
    let mut waiting: Vec<(&str, &str, Client)> = Vec::new();
    for (name, cookie) in &cookies {
        let logins = logins(&door, "/login", cookie);
        let (_, login) = logins.iter().find(|(of, _)| of == name).expect("one");
        let mut client = door.client();
        client.send(&login.text());
        waiting.push((name, cookie, client));
    }
    for (name, cookie, client) in &mut waiting {
        // Nothing can follow the head of a 204: it comes with the answer's end, but for its last byte.
        let last: &[u8] = match *name {
            "none" => b"\r\n\r",
            _ => b"\r\n\r\n",
        };
        let headed = |read: &[u8]| find(read, last).is_some();
        client.read_until(headed).expect("a head");
        assert!(client.read.ends_with(last), "{name}: no more than the head");
        assert_eq!(status(&door, cookie), 200, "{name}");
    }
    door.let_sessions_end();
    for (name, old, client) in &mut waiting {
        let answer = client.answer();
        assert_eq!(status(&door, old), 401, "{name}: it is over by now");
        let mut set = answer.headers("set-cookie");
        set.retain(|set| set.starts_with("steadfast-local=sf1"));
        let [set] = set.as_slice() else {
            panic!("{name}: {answer:?}")
        };
        let new = set.split(';').next().expect("a pair");
        assert_eq!(status(&door, new), 200, "{name}");
        let body = match *name {
            "empty" | "none" => answer.body.is_empty(),
            "chunked" => answer.body == "yes",
            _ => !answer.body.is_empty(),
        };
        assert!(body, "{name}: {answer:?}");
        // The connection serves on.
        let next = Asked::get("/").host("localhost").cookie(new);
        client.send(&next.text());
        assert_eq!(client.answer().status, 200, "{name}");
    }
}
