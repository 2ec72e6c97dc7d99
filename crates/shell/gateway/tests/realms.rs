//! Whose sessions count where: two gateways on one address, each with a realm, a login path and an `auth` of its own.

mod common;

use common::door::{Asked, Door, claims};
use gateway::config::{Auth, Config, Route};

/// A route for each of these hosts, in a realm of the host's name.
fn forum_and_billing(config: &mut Config) {
    let listener = &mut config.listeners[0];
    let whole = listener.routes.remove(0);
    for realm in ["forum", "billing"] {
        listener.routes.push(Route {
            host: Some(format!("{realm}.localhost")),
            realm: Some(realm.into()),
            ..whole.clone()
        });
    }
}

fn at(realm: &str, asked: Asked) -> Asked {
    asked
        .host(&format!("{realm}.localhost"))
        .line("Sec-Fetch-Site: same-origin")
}

fn sign_in(door: &Door, realm: &str, user: &str, cookie: &str) -> String {
    let answer = door.ask(at(realm, Asked::post("/login", user).cookie(cookie)));
    assert_eq!(answer.status, 200, "{answer:?}");
    let set = answer.header("set-cookie").expect("a cookie");
    set.split(';').next().expect("a pair").to_owned()
}

#[test]
fn a_session_of_one_realm_is_no_credential_in_another() {
    let door = Door::with(Auth::Required, forum_and_billing);
    let ask = |realm: &str, path: &str, cookie: &str| {
        door.ask(at(
            realm,
            Asked::get(path).cookie(cookie).line("Steadfast-Nonce: n"),
        ))
    };
    let forum = sign_in(&door, "forum", "1", "a=b");
    for path in [
        "/data",
        "/_steadfast/verify",
        "/_steadfast/me",
        "/_steadfast/sessions",
    ] {
        let refused = ask("billing", path, &forum);
        assert_eq!(refused.status, 401, "{path} {refused:?}");
        assert!(refused.body.contains("no_credential"), "{path} {refused:?}");
        assert_eq!(
            refused.header("set-cookie"),
            None,
            "it is good at the forum"
        );
        assert_eq!(refused.header("steadfast-session"), None, "{path}");
        let challenge = refused.header("www-authenticate");
        assert_eq!(challenge, Some("Bearer realm=\"steadfast\""), "{path}");
        assert_eq!(ask("forum", path, &forum).status, 200, "{path}");
    }
    // What is wrong with a header says nothing about the cookie beside it.
    let (_, token) = forum.split_once('=').expect("a pair");
    let misused = Asked::get("/data")
        .cookie(&forum)
        .line(&format!("Authorization: Bearer {token}"));
    let refused = door.ask(at("billing", misused));
    assert_eq!((refused.status, refused.header("set-cookie")), (401, None));
    let out = door.ask(at(
        "billing",
        Asked::post("/_steadfast/logout", "").cookie(&forum),
    ));
    assert_eq!((out.status, out.header("set-cookie")), (204, None));

    // The same id is somebody else there.
    let billing = sign_in(&door, "billing", "1", &forum);
    let seen = ask("forum", "/data", &forum);
    assert_eq!(seen.status, 200, "a login elsewhere replaces nothing here");
    assert_eq!(claims(&seen.body)["sub"], "1");
    assert_eq!(ask("billing", "/data", &billing).status, 200);
    let listed = ask("billing", "/_steadfast/sessions", &billing);
    assert_eq!(listed.body.matches("\"id\"").count(), 1, "{listed:?}");
    let all = Asked::post("/_steadfast/logout-all", "").cookie(&billing);
    assert_eq!(door.ask(at("billing", all)).status, 200);
    assert_eq!(ask("billing", "/data", &billing).status, 401);
    assert_eq!(ask("forum", "/data", &forum).status, 200);
    let out = Asked::post("/data", "out-user").cookie(&forum);
    let billing = sign_in(&door, "billing", "1", "a=b");
    assert_eq!(door.ask(at("forum", out)).status, 200);
    assert_eq!(ask("forum", "/data", &forum).status, 401);
    assert_eq!(ask("billing", "/data", &billing).status, 200);
}

#[test]
fn a_gateway_speaks_for_its_own_realm() {
    let door = Door::with(Auth::Required, forum_and_billing);
    let forum = sign_in(&door, "forum", "1", "a=b");
    let sessions = door.sessions();
    for (realm, status) in [("forum", 200), ("billing", 401), ("", 401)] {
        let ask = common::Gateway::start(&[], |config| {
            config.listeners[0].routes.clear();
            config.listeners[0].forward_auth = Some("app".into());
            config.listeners[0].realm = realm.into();
            config.sessions = Some(sessions.clone());
        });
        let asked = Asked::get("/").host("forum.localhost").cookie(&forum);
        let answer = ask.ask(&asked.text());
        assert_eq!(answer.status, status, "{realm} {answer:?}");
        assert_eq!(answer.header("set-cookie"), None, "{realm}");
    }
}

#[test]
fn gateways_that_share_an_address_keep_their_own_login_and_auth() {
    let door = Door::with(Auth::Off, |config| {
        let listener = &mut config.listeners[0];
        listener.routes[0].logout = None;
        listener.routes.push(Route {
            path_prefix: "/admin".into(),
            auth: Auth::Required,
            login: Some("/admin/login".into()),
            ..listener.routes[0].clone()
        });
        listener.sort_routes();
    });
    let post = |path: &str| {
        let asked = Asked::post(path, "sign-in").line("Sec-Fetch-Site: same-origin");
        door.ask(asked)
    };
    assert_eq!(post("/admin/x").status, 401);
    let signed_in = post("/admin/login");
    assert_eq!(signed_in.status, 200, "{signed_in:?}");
    let set = signed_in.header("set-cookie").expect("a cookie");
    let cookie = set.split(';').next().expect("a pair");
    assert_eq!(door.ask(Asked::get("/admin/x").cookie(cookie)).status, 200);
    assert_eq!(door.ask(Asked::get("/x")).status, 200);
    assert!(post("/login").header("set-cookie").is_some());
}
