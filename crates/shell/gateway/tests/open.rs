//! What `required` leaves open: a style sheet of the login page, a health path.

mod common;

use common::door::{Asked, Door, claims, jwt};
use gateway::config::Auth;

fn door() -> Door {
    Door::with(Auth::Required, |config| {
        config.listeners[0].routes[0].open = vec!["/static".into(), "/health".into()];
    })
}

#[test]
fn who_is_not_signed_in_reaches_what_is_open_and_nothing_else() {
    let door = door();
    for path in ["/static/x.css?v=1", "/static", "/health"] {
        let seen = door.ask(
            Asked::get(path)
                .line("Steadfast-User: eve")
                .line("X-Steadfast-User: eve"),
        );
        assert_eq!((seen.status, jwt(&seen.body)), (200, None), "{path}");
        assert!(!seen.body.contains("eve"), "{seen:?}");
    }
    for path in [
        "/",
        "/statics",
        "/Static/x.css",
        "/static/../data",
        "/static/%2e%2e/data",
        "/static/..%2fdata",
        "/static/..;/data",
        "/health/..",
        "//health",
        "/x/../health",
    ] {
        let refused = door.ask(Asked::get(path));
        assert_eq!(refused.status, 401, "{path} {refused:?}");
    }
    let posted = door.ask(Asked::post("/health", "x").line("Sec-Fetch-Site: same-origin"));
    assert_eq!(posted.status, 200);
}

#[test]
fn a_session_that_came_along_is_told_to_the_program_and_guarded() {
    let door = door();
    let cookie = door.sign_in("ada");
    let seen = door.ask(Asked::get("/static/me.js").cookie(&cookie));
    assert_eq!(claims(&seen.body)["sub"], "ada");
    assert!(!seen.body.contains("sf1."), "{seen:?}");
    let cross = "Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example";
    let forged = Asked::post("/static/x", "x").cookie(&cookie).line(cross);
    assert_eq!(door.ask(forged).status, 403);
    // One of another store: nobody can say.
    let other = Door::new(Auth::Required).sign_in("ada");
    let unknown = door.ask(Asked::get("/health").cookie(&other));
    assert_eq!(unknown.status, 503, "{unknown:?}");
    // One that is over is none, and it is no error there.
    door.revoke("ada");
    let mut client = door.client();
    let host = format!("localhost:{}", door.port());
    let asked = |path: &str| Asked::get(path).cookie(&cookie).host(&host);
    door.until(&mut client, asked("/data"), |it| it.status == 401);
    let seen = door.ask(asked("/health"));
    assert_eq!((seen.status, jwt(&seen.body)), (200, None), "{seen:?}");
}
