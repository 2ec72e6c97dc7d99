//! What may pass, and as whom: what is no session, what is unknown, and whose request it is.

use crate::common::door::{Asked, Door, claims, jwt};
use gateway::config::{Auth, Route};
use session::jws::{Alg, sign};

#[test]
fn optional_routes_let_everybody_pass_and_off_ones_look_at_nothing() {
    let door = Door::new(Auth::Optional);
    let cookie = door.sign_in("ada");
    let seen = door.ask(Asked::get("/"));
    assert_eq!((seen.status, jwt(&seen.body)), (200, None));
    let seen = door.ask(Asked::get("/").cookie(&cookie));
    assert_eq!(claims(&seen.body)["sub"], "ada");
    let broken = door.ask(Asked::get("/").cookie(&format!("{cookie}x")));
    assert_eq!((broken.status, jwt(&broken.body)), (200, None));
    assert!(!broken.body.contains("sf1."), "{}", broken.body);

    let door = Door::new(Auth::Off);
    let cookie = door.sign_in("ada");
    let seen = door.ask(
        Asked::get("/")
            .cookie(&cookie)
            .line("Authorization: Bearer sf1.b.x.y"),
    );
    assert_eq!((seen.status, jwt(&seen.body)), (200, None));
    assert!(!seen.body.contains("sf1."), "{}", seen.body);
}

#[test]
fn what_is_not_a_session_is_not_one() {
    let door = Door::new(Auth::Required);
    let cookie = door.sign_in("ada");
    let value = cookie.split_once('=').expect("a pair").1.to_owned();
    let none = {
        let part = |text: &str| base64(text.as_bytes());
        format!(
            "{}.{}.",
            part(r#"{"alg":"none"}"#),
            part(r#"{"sub":"ada"}"#)
        )
    };
    let own = sign(Alg::Hs256, b"secret-1", r#"{"sub":"ada"}"#);
    let long = format!("sf1.c.{}", "A".repeat(20_000));
    let cut = value[..value.len() - 1].to_owned();
    for token in [
        &*none,
        &*own,
        &*long,
        &*cut,
        "sf1.c.",
        "sf1.c.AAAAAAAAAAA.x",
        "",
    ] {
        let by_cookie = Asked::get("/").line(&format!("Cookie: steadfast-local={token}"));
        let answer = door.ask(by_cookie);
        assert_eq!(answer.status, 401, "cookie {token:.40}");
        let challenge = answer.header("www-authenticate").expect("a challenge");
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        let by_header = Asked::get("/").line(&format!("Authorization: Bearer {token}"));
        assert_eq!(door.ask(by_header).status, 401, "bearer {token:.40}");
    }
    // A cookie's token is no bearer.
    let moved = Asked::get("/").line(&format!("Authorization: Bearer {value}"));
    assert_eq!(door.ask(moved).status, 401);
    // Two cookies: somebody plants them. Refused, and the session goes on; nothing is cleared.
    let other = door.sign_in("eve");
    let both = door.ask(Asked::get("/").line(&format!("Cookie: {other}; {cookie}")));
    assert_eq!((both.status, both.header("set-cookie")), (401, None));
    let lines = Asked::get("/").cookie(&other).cookie(&cookie);
    assert_eq!(door.ask(lines).status, 401);
    assert_eq!(door.ask(Asked::get("/").cookie(&cookie)).status, 200);
    // A head that is too long for the codec is the codec's to refuse.
    let huge = format!("Cookie: steadfast-local={}", "A".repeat(40_000));
    assert_eq!(door.ask(Asked::get("/").line(&huge)).status, 431);
}

#[test]
fn unknown_is_never_a_401() {
    let door = Door::new(Auth::Required);
    let cookie = door.sign_in("ada");
    // A well-formed token of another store.
    let other = Door::new(Auth::Required).sign_in("ada");
    let answer = door.ask(Asked::get("/").cookie(&other));
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(answer.header("www-authenticate"), None);
    // The store is gone: what the program says cannot be kept.
    door.lose_store();
    let mut client = door.client();
    let lost = door.until(&mut client, Asked::get("/").cookie(&cookie), |answer| {
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        answer.status == 503
    });
    assert_eq!(lost.header("set-cookie"), None);
    let login = door.ask(Asked::post("/login", "ada").line("Sec-Fetch-Site: same-origin"));
    assert_eq!((login.status, login.header("set-cookie")), (503, None));
    assert!(login.header("retry-after").is_some());
    let out = door.ask(
        Asked::post("/logout", "")
            .cookie(&cookie)
            .line("Sec-Fetch-Site: none"),
    );
    assert_eq!((out.status, out.header("set-cookie")), (503, None));
    // And nobody without a credential gets more than a 401.
    assert_eq!(door.ask(Asked::get("/")).status, 401);
}

#[test]
fn other_spellings_of_a_guarded_path_are_guarded() {
    let door = Door::with(Auth::Required, |config| {
        let route = config.listeners[0].routes[0].clone();
        let open = Route {
            path_prefix: "/".into(),
            auth: Auth::Off,
            ..route.clone()
        };
        config.listeners[0].routes = vec![
            Route {
                path_prefix: "/admin".into(),
                ..route
            },
            open,
        ];
    });
    for path in [
        "/admin",
        "/%61dmin",
        "//admin/x",
        "/x/../admin",
        "/ADMIN",
        "/x/..%2Fadmin",
    ] {
        assert_eq!(door.ask(Asked::get(path)).status, 401, "{path}");
    }
    for path in ["/", "/other", "/x/%41", "/administrator"] {
        assert_eq!(door.ask(Asked::get(path)).status, 200, "{path}");
    }
}

#[test]
fn forms_and_websockets_of_other_origins_are_refused() {
    let door = Door::with(Auth::Required, |config| {
        let sessions = config.sessions.as_mut().expect("sessions");
        sessions.origins = vec!["https://friend.example".into()];
    });
    let cookie = door.sign_in("ada");
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x";
    let own = format!("Origin: http://localhost:{}", door.port());
    for (lines, wanted) in [
        (
            "Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example",
            403,
        ),
        ("Sec-Fetch-Site: same-site", 403),
        ("Origin: https://evil.example", 403),
        ("Origin: null", 403),
        ("Origin: https://friend.example.evil.example", 403),
        (
            "Origin: https://friend.example\r\nOrigin: https://friend.example",
            403,
        ),
        ("X: y", 403),
        (
            "Sec-Fetch-Site: cross-site\r\nOrigin: https://friend.example",
            200,
        ),
        ("Origin: https://friend.example", 200),
        ("Sec-Fetch-Site: same-origin", 200),
        (&*own, 200),
    ] {
        let form = door.ask(Asked::post("/x", "a=b").cookie(&cookie).line(lines));
        assert_eq!(form.status, wanted, "form, {lines}");
        let login = door.ask(Asked::post("/login", "ada").line(lines));
        assert_eq!(login.status, wanted, "login, {lines}");
        let opens = Asked::get("/socket")
            .cookie(&cookie)
            .line(socket)
            .line(lines);
        let opened = door.ask(opens);
        let wanted = if wanted == 200 { 101 } else { wanted };
        assert_eq!(opened.status, wanted, "socket, {lines}");
        let api = door.ask(
            Asked::post("/_steadfast/refresh", "{}")
                .cookie(&cookie)
                .line(lines),
        );
        assert_eq!(
            api.status == 403,
            wanted == 403,
            "api, {lines}: {}",
            api.status
        );
    }
}

#[test]
fn a_login_page_by_get_may_come_from_anywhere_but_signs_nobody_in() {
    let door = Door::new(Auth::Required);
    let page = door.ask(Asked::get("/login").line("Sec-Fetch-Site: cross-site"));
    assert_eq!(page.status, 200);
    let forged = door.ask(Asked::get("/login?sign-in").line("Sec-Fetch-Site: cross-site"));
    assert_eq!((forged.status, forged.header("set-cookie")), (403, None));
}

#[test]
fn a_session_that_ends_while_the_body_is_awaited_is_over_when_it_is_there() {
    let door = Door::new(Auth::Required);
    let cookie = door.sign_in("ada");
    let host = format!("localhost:{}", door.port());
    let asked = Asked::post("/pay", "abc").cookie(&cookie).host(&host);
    let asked = asked.line("Sec-Fetch-Site: same-origin");
    let text = asked.line("Expect: 100-continue").text();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let mut client = door.client();
    client.send(&format!("{head}\r\n\r\n"));
    client
        .read_until(|read| read == b"HTTP/1.1 100 Continue\r\n\r\n")
        .expect("100");
    client.read.clear();
    door.revoke("ada");
    client.send(body);
    let answer = client.answer();
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.header("set-cookie").is_some(), "its cookie is over");
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for at in 0..=group.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}
