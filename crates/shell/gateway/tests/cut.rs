//! Programs that die between the head and the end of an answer that says something about sessions.

mod common;

use common::door::{Asked, Door, claims};
use gateway::config::Auth;

/// How many sessions the user of this one has.
fn living(door: &Door, cookie: &str) -> usize {
    let answer = door.ask(Asked::get("/_steadfast/sessions").cookie(cookie));
    assert_eq!(answer.status, 200, "{answer:?}");
    let list: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    list["sessions"].as_array().expect("a list").len()
}

#[test]
fn a_sign_in_whose_answer_never_came_leaves_the_session_that_was_there() {
    let door = Door::new(Auth::Required);
    let cookie = door.sign_in("ada");
    let login = Asked::post("/login", "half").line("Sec-Fetch-Site: same-origin");
    let answer = door.ask(login.cookie(&cookie));
    assert_eq!((answer.status, answer.header("set-cookie")), (502, None));
    let seen = door.ask(Asked::get("/").cookie(&cookie));
    assert_eq!(seen.status, 200, "{}", seen.body);
    assert_eq!(claims(&seen.body)["sub"], "ada");
    // The one that was opened for it is over: nobody has its token.
    assert_eq!(living(&door, &cookie), 1);
}

#[test]
fn a_sign_in_that_was_repeated_opens_one_session() {
    let door = Door::new(Auth::Required);
    let cookie = door.sign_in("ada");
    let login = Asked::get("/login?half-once").line("Sec-Fetch-Site: same-origin");
    let answer = door.ask(login.cookie(&cookie));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers("set-cookie").len(), 1, "{answer:?}");
    let set = answer.header("set-cookie").expect("a cookie");
    let new = set.split(';').next().expect("a pair");
    assert_eq!(living(&door, new), 1);
    assert_eq!(door.ask(Asked::get("/").cookie(&cookie)).status, 401);
}

#[test]
fn an_answer_that_was_repeated_is_marked_once() {
    let door = Door::new(Auth::Optional);
    let cookie = door.sign_in("ada");
    let asked = Asked::get("/half-once").line("Sec-Fetch-Site: same-origin");
    let answer = door.ask(
        asked
            .line("Steadfast-Nonce: 0123456789abcdef")
            .cookie(&cookie),
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    for name in ["steadfast-nonce", "steadfast-source", "steadfast-session"] {
        assert_eq!(answer.headers(name).len(), 1, "{answer:?}");
    }
}
