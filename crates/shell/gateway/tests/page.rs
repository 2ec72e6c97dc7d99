//! What a person sees where a program reads a problem.

mod common;

use common::door::{Asked, Door};
use common::{Answer, find};
use gateway::config::Auth;

const NAVIGATES: &str =
    "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: none";
const OLD_BROWSER: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn check(answer: &Answer, status: u16, words: &[&str]) {
    assert_eq!(answer.status, status, "{answer:?}");
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("text/html; charset=utf-8"), "{answer:?}");
    assert_eq!(answer.header("location"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let policy = answer.header("content-security-policy").expect("a policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("script-src"), "{policy}");
    for word in words {
        assert!(answer.body.contains(word), "{word}: {}", answer.body);
    }
    for word in ["<script", "http:", "https:", "urn:", "src=", "url("] {
        assert!(!answer.body.contains(word), "{word}: {}", answer.body);
    }
}

fn check_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("application/problem+json"), "{answer:?}");
    assert_eq!(answer.header("content-security-policy"), None);
    assert!(
        answer.body.starts_with("{\"type\":\"urn:steadfast"),
        "{answer:?}"
    );
}

#[test]
fn who_goes_to_a_page_reads_a_page_and_a_script_a_problem() {
    let door = Door::new(Auth::Required);
    for lines in [NAVIGATES, OLD_BROWSER] {
        let answer = door.ask(Asked::get("/orders").line(lines));
        check(
            &answer,
            401,
            &["Sign in first", "<a href=\"/login\">Sign in</a>"],
        );
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge, Some("Bearer realm=\"steadfast\""));
    }
    let bare = Asked::new("HEAD", "/orders", "").line(NAVIGATES);
    let mut client = door.client();
    client.send(&bare.host(&format!("localhost:{}", door.port())).text());
    let end = |read: &[u8]| find(read, b"\r\n\r\n").is_some();
    client.read_until(end).expect("a head");
    let head = String::from_utf8_lossy(&client.read);
    assert!(
        head.starts_with("HTTP/1.1 401 ") && head.contains("Content-Type: text/html"),
        "{head}"
    );
    for asked in [
        Asked::get("/orders"),
        Asked::get("/orders").line("Accept: */*"),
        Asked::get("/orders").line("Accept: application/json, text/html;q=0.9"),
        // What a script wants is said by its browser.
        Asked::get("/orders")
            .line("Sec-Fetch-Mode: cors")
            .line(OLD_BROWSER),
        Asked::get("/orders")
            .line("Sec-Fetch-Site: none")
            .line(OLD_BROWSER),
        Asked::post("/orders", "a=b").line(NAVIGATES),
    ] {
        check_problem(&door.ask(asked), 401);
    }
}

#[test]
fn the_page_takes_nothing_from_what_a_client_may_read() {
    let door = Door::new(Auth::Required);
    let cookie = door.sign_in("ada");
    door.revoke("ada");
    let host = format!("localhost:{}", door.port());
    let asked = |lines: &str| {
        let asked = Asked::get("/orders").cookie(&cookie).host(&host);
        asked.line("Steadfast-Nonce: n-1").line(lines)
    };
    let mut client = door.client();
    // The first takes the cookie away, whoever reads it.
    let read = door.until(&mut client, asked("Accept: */*"), |it| it.status == 401);
    let shown = door.ask(asked(NAVIGATES));
    check(&shown, 401, &["Your session has ended", "Sign in again"]);
    for name in [
        "www-authenticate",
        "set-cookie",
        "steadfast-nonce",
        "steadfast-source",
        "steadfast-session",
        "cache-control",
    ] {
        let of = |answer: &Answer| answer.header(name).map(str::to_owned);
        assert!(of(&shown).is_some(), "{name} {shown:?}");
        assert_eq!(of(&shown), of(&read), "{name}");
    }
}

#[test]
fn where_nobody_can_say_the_page_says_that_nobody_was_signed_out() {
    let cookie = Door::new(Auth::Required).sign_in("ada");
    let asked = |lines: &str| Asked::get("/").cookie(&cookie).line(lines);
    let door = Door::new(Auth::Required);
    let shown = door.ask(asked(NAVIGATES));
    check(&shown, 503, &["Nobody was signed out"]);
    assert_eq!(shown.header("retry-after"), Some("1"));
    assert_eq!(shown.header("set-cookie"), None);
    check_problem(&door.ask(asked("Accept: */*")), 503);
    let door = Door::with(Auth::Required, |config| {
        config.listeners[0].maintenance_page = "<h1>Back soon</h1>".into();
    });
    let shown = door.ask(asked(NAVIGATES));
    assert_eq!((shown.status, &*shown.body), (503, "<h1>Back soon</h1>"));
    check_problem(&door.ask(asked("Accept: */*")), 503);
    // A 401 is about whoever asks, not about the program.
    check(&door.ask(Asked::get("/").line(NAVIGATES)), 401, &[]);
}
