//! The API of sessions through the gateway: over a real socket, with passwords, cookies, bearers, other origins.

mod common;

use common::Answer;
use common::door::{Asked, Door, claims};
use gateway::config::Auth;

const SAME: &str = "Sec-Fetch-Site: same-origin";
const JSON: &str = "Content-Type: application/json";
const PASSWORD: &str = "correct horse battery";

fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

fn login(mode: &str) -> Asked {
    let body = format!(r#"{{"username":"ada","password":"{PASSWORD}","mode":"{mode}"}}"#);
    Asked::post("/_steadfast/login", &body).line(JSON)
}

#[test]
fn a_built_in_user_signs_in_and_the_program_knows_her() {
    let door = Door::new(Auth::Required);
    door.add_user("ada", PASSWORD);
    assert_eq!(door.ask(login("cookie")).status, 403, "no origin");
    let answer = door.ask(login("cookie").line(SAME));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(json(&answer)["user"], "ada");
    let set = answer.header("set-cookie").expect("a cookie").to_owned();
    let cookie = set.split(';').next().expect("a pair");
    assert!(cookie.starts_with("steadfast-local=sf1.c."), "{cookie}");
    let seen = door.ask(Asked::get("/data").cookie(cookie));
    assert_eq!(claims(&seen.body)["sub"], "ada");

    let verify = Asked::get("/_steadfast/verify").line("Steadfast-Nonce: n1");
    let said = door.ask(verify.clone().cookie(cookie));
    let body = json(&said);
    assert_eq!(
        (&body["valid"], &body["nonce"]),
        (&true.into(), &"n1".into())
    );
    assert_eq!(body["source"], "gateway");
    assert_eq!(said.header("steadfast-nonce"), Some("n1"));
    assert_eq!(
        said.head.matches("teadfast-nonce").count() + said.head.matches("teadfast-Nonce").count(),
        1
    );
    assert_eq!(said.header("steadfast-session"), body["session"].as_str());
    assert_eq!(said.header("cache-control"), Some("no-store"));
    // The same connection serves programs and the API.
    let mut client = door.client();
    for _ in 0..2 {
        client.send(&verify.clone().cookie(cookie).text());
        assert_eq!(client.answer().status, 200);
        client.send(&Asked::get("/data").cookie(cookie).text());
        assert_eq!(client.answer().status, 200);
    }
    let out = door.ask(
        Asked::post("/_steadfast/logout", "")
            .cookie(cookie)
            .line(SAME),
    );
    assert_eq!(out.status, 204);
    assert!(
        out.header("set-cookie")
            .is_some_and(|set| set.contains("Max-Age=0"))
    );
    let over = door.ask(verify.cookie(cookie));
    assert_eq!(over.status, 401);
    assert!(over.header("www-authenticate").is_some());
    assert_eq!(door.ask(Asked::get("/data").cookie(cookie)).status, 401);
}

#[test]
fn bearers_of_both_kinds_are_replaced_on_their_way() {
    let door = Door::new(Auth::Required);
    door.add_user("ada", PASSWORD);
    for (mode, begins) in [("bearer", "sf1.b."), ("rotating", "sf1.r.")] {
        let answer = json(&door.ask(login(mode).line(SAME)));
        let token = answer["token"].as_str().expect("a token");
        assert!(token.starts_with(begins), "{token}");
        let bearer = format!("Authorization: Bearer {token}");
        let seen = door.ask(Asked::get("/data").line(&bearer));
        assert_eq!(seen.status, 200, "{mode}: {seen:?}");
        assert_eq!(claims(&seen.body)["sub"], "ada");
        assert!(!seen.body.contains("sf1."), "{}", seen.body);
        // No browser adds it, so there is nothing to forge.
        let post = Asked::post("/data", "x").line(&bearer);
        assert_eq!(door.ask(post).status, 200);
        // In a cookie it is of another use.
        let moved = format!("Cookie: steadfast-local={token}");
        assert_eq!(door.ask(Asked::get("/data").line(&moved)).status, 401);
        let out = door.ask(Asked::post("/_steadfast/logout", "").line(&bearer));
        assert_eq!(out.status, 204, "{mode}");
        assert_eq!(door.ask(Asked::get("/data").line(&bearer)).status, 401);
    }
}

#[test]
fn pages_of_listed_origins_only() {
    let door = Door::with(Auth::Off, |config| {
        let sessions = config.sessions.as_mut().expect("sessions");
        sessions.origins = vec!["https://friend.example".into()];
    });
    let preflight = |origin: &str| {
        door.ask(
            Asked::new("OPTIONS", "/_steadfast/login", "")
                .line(&format!("Origin: {origin}"))
                .line("Access-Control-Request-Method: POST")
                .line("Access-Control-Request-Headers: content-type,steadfast-nonce"),
        )
    };
    let friend = preflight("https://friend.example");
    assert_eq!(friend.status, 204, "{friend:?}");
    assert_eq!(
        friend.header("access-control-allow-origin"),
        Some("https://friend.example")
    );
    assert_eq!(
        friend.header("access-control-allow-credentials"),
        Some("true")
    );
    let allowed = friend.header("access-control-allow-headers").expect("some");
    assert!(
        allowed.to_lowercase().contains("steadfast-nonce"),
        "{allowed}"
    );
    let evil = preflight("https://evil.example");
    assert_eq!(evil.header("access-control-allow-origin"), None);
    // The program's own preflights on guarded routes are the program's, for those who may act.
    let door = Door::with(Auth::Required, |config| {
        let sessions = config.sessions.as_mut().expect("sessions");
        sessions.origins = vec!["https://friend.example".into()];
    });
    for (origin, wanted) in [
        ("https://friend.example", 200),
        ("https://evil.example", 401),
    ] {
        let asked = Asked::new("OPTIONS", "/data", "")
            .line(&format!("Origin: {origin}"))
            .line("Access-Control-Request-Method: PUT");
        assert_eq!(door.ask(asked).status, wanted, "{origin}");
    }
}

#[test]
fn what_is_served_to_everybody() {
    let door = Door::new(Auth::Required);
    let ping = door.ask(Asked::get("/_steadfast/ping"));
    assert_eq!(
        (ping.status, json(&ping)),
        (200, serde_json::json!({"ok": true}))
    );
    let document = json(&door.ask(Asked::get("/_steadfast/openapi.json")));
    assert!(
        document["paths"]
            .as_object()
            .is_some_and(|paths| paths.len() > 8)
    );
    let head = {
        let mut client = door.client();
        client
            .send("HEAD /_steadfast/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let read = client.read_until(|_| false);
        assert!(read.is_err(), "it ends");
        String::from_utf8_lossy(&client.read).into_owned()
    };
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let missing = door.ask(Asked::get("/_steadfast/nothing"));
    assert_eq!(missing.status, 404);
    assert_eq!(
        missing.header("content-type"),
        Some("application/problem+json")
    );
    // A body that the client holds back is asked for.
    let mut client = door.client();
    client.send(&format!(
        "POST /_steadfast/login HTTP/1.1\r\nHost: localhost\r\n{SAME}\r\n{JSON}\r\nExpect: 100-continue\r\n\
         Content-Length: 2\r\n\r\n"
    ));
    client
        .read_until(|read| read.starts_with(b"HTTP/1.1 100 Continue\r\n\r\n"))
        .expect("asked for");
    client.send("{}");
    assert!(matches!(client.answer().status, 400 | 401 | 422));
}

#[test]
fn the_prefix_is_ours_and_its_bodies_are_bounded() {
    let door = Door::new(Auth::Off);
    let same = "Sec-Fetch-Site: same-origin";
    for length in [64 * 1024 + 1, 10_000_000] {
        let mut client = door.client();
        client.send(&format!(
            "POST /_steadfast/login HTTP/1.1\r\nHost: localhost\r\n{same}\r\nContent-Length: {length}\r\n\r\n"
        ));
        assert_eq!(client.answer().status, 413);
    }
    let mut client = door.client();
    client.send(&format!(
        "POST /_steadfast/login HTTP/1.1\r\nHost: localhost\r\n{same}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    for _ in 0..17 {
        let piece = "x".repeat(4096);
        // It may have answered by now.
        _ = std::io::Write::write_all(
            &mut client.stream,
            format!("1000\r\n{piece}\r\n").as_bytes(),
        );
    }
    _ = std::io::Write::write_all(&mut client.stream, b"0\r\n\r\n");
    assert_eq!(client.answer().status, 413);
    let seen = door.ask(Asked::get("/_steadfastx"));
    assert_eq!(seen.status, 200);
    let ping = door.ask(Asked::get("/_steadfast/ping"));
    assert!(!ping.body.contains("HTTP/1.1"), "{ping:?}");
    let preflight = door.ask(
        Asked::new("OPTIONS", "/_steadfast/login", "")
            .line("Origin: https://evil.example")
            .line("Access-Control-Request-Method: POST"),
    );
    assert_eq!(preflight.header("access-control-allow-origin"), None);
}
