//! Who is signed in and out by the head of an answer.

use crate::common::door::{Asked, Door, claims, jwt};
use gateway::config::Auth;
use session::jws::Compact;

#[test]
fn one_header_signs_in_and_the_program_reads_a_token_of_its_own_key() {
    let door = Door::new(Auth::Required);
    let first = door.ask(Asked::get("/data"));
    assert_eq!(first.status, 401);
    assert_eq!(
        first.header("www-authenticate"),
        Some("Bearer realm=\"steadfast\"")
    );
    assert_eq!(
        first.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(first.header("set-cookie"), None);

    let answer = door.ask(Asked::post("/login", "ada").line("Sec-Fetch-Site: same-origin"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("steadfast-sign-in"), None);
    let set = answer.header("set-cookie").expect("a cookie");
    assert!(set.starts_with("steadfast-local=sf1.c."), "{set}");
    for part in ["Path=/", "Max-Age=7776000", "HttpOnly", "SameSite=Lax"] {
        assert!(set.contains(part), "{set}");
    }
    let cookie = set.split(';').next().expect("a pair");

    let seen = door.ask(
        Asked::get("/data")
            .line(&format!("Cookie: a=1; {cookie}; b=2"))
            .line("Authorization: Basic eDp5"),
    );
    assert_eq!(seen.status, 200);
    let token = jwt(&seen.body).expect("a token");
    let read = Compact::read(&token).expect("a JWT");
    assert!(read.proved_by(b"secret-1"));
    let claims = read.claims().expect("claims");
    assert_eq!(claims["sub"], "ada");
    assert!(!claims.contains_key("aud"));
    assert!(seen.body.contains("Cookie: a=1; b=2\r\n"), "{}", seen.body);
    assert_eq!(seen.body.matches("Authorization").count(), 1);
}

#[test]
fn behind_a_proxy_that_is_trusted_the_cookie_is_a_host_cookie() {
    let door = Door::with(Auth::Required, |config| {
        config.listeners[0].trusted = vec!["127.0.0.1".into()];
    });
    let https = |asked: Asked| {
        asked
            .host("app.example")
            .line("X-Forwarded-Proto: https")
            .line("X-Forwarded-For: 203.0.113.9")
    };
    let answer = door.ask(https(
        Asked::post("/login", "ada").line("Origin: https://app.example"),
    ));
    let set = answer.header("set-cookie").expect("a cookie").to_owned();
    assert!(
        set.starts_with("__Host-steadfast=") && set.contains("; Secure"),
        "{set}"
    );
    let cookie = set.split(';').next().expect("a pair").to_owned();
    let seen = door.ask(https(Asked::get("/").line(&format!("Cookie: {cookie}"))));
    assert_eq!(seen.status, 200);
    // The name for loopback counts for nothing there.
    let value = cookie.split_once('=').expect("a pair").1;
    let other = format!("Cookie: steadfast-local={value}");
    assert_eq!(door.ask(https(Asked::get("/").line(&other))).status, 401);
    // And plain http from another machine signs nobody in.
    let plain = door.ask(
        Asked::post("/login", "ada")
            .host("app.example")
            .line("X-Forwarded-For: 203.0.113.9")
            .line("Sec-Fetch-Site: same-origin"),
    );
    assert_eq!((plain.status, plain.header("set-cookie")), (403, None));
    assert!(plain.body.contains("plain_http"), "{}", plain.body);
}

#[test]
fn sign_in_counts_on_the_login_path_and_below_400_only() {
    let door = Door::new(Auth::Optional);
    for path in [
        "/elsewhere",
        "/login/",
        "/login/x",
        "/Login",
        "/%6cogin",
        "/login;x",
    ] {
        let asked = Asked::post(path, "sign-in").line("Sec-Fetch-Site: same-origin");
        let answer = door.ask(asked);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("set-cookie"), None, "{path}");
        assert_eq!(answer.header("steadfast-sign-in"), None, "{path}");
    }
    let wrong = door.ask(Asked::post("/login", "400").line("Sec-Fetch-Site: same-origin"));
    assert_eq!((wrong.status, wrong.header("set-cookie")), (400, None));
    let odd = door.ask(Asked::post("/login", "two").line("Sec-Fetch-Site: same-origin"));
    assert_eq!((odd.status, odd.header("set-cookie")), (502, None));
    assert!(odd.body.contains("bad_sign_in"), "{}", odd.body);
    let redirect = door.ask(Asked::post("/login", "303").line("Sec-Fetch-Site: same-origin"));
    assert_eq!(redirect.status, 303);
    assert!(redirect.header("set-cookie").is_some());
}

#[test]
fn a_session_that_was_there_before_the_sign_in_does_not_survive_it() {
    let door = Door::new(Auth::Required);
    let planted = door.sign_in("eve");
    let answer = door.ask(
        Asked::post("/login", "ada")
            .cookie(&planted)
            .line("Sec-Fetch-Site: same-origin"),
    );
    let set = answer.header("set-cookie").expect("a new cookie");
    let new = set.split(';').next().expect("a pair").to_owned();
    assert_ne!(new, planted);
    let old = door.ask(Asked::get("/").cookie(&planted));
    assert_eq!(old.status, 401);
    // The browser has the new one already: a late answer to the old one must not take it away.
    assert_eq!(old.header("set-cookie"), None);
    let seen = door.ask(Asked::get("/").cookie(&new));
    assert_eq!(claims(&seen.body)["sub"], "ada");
}

#[test]
fn signing_out_by_path_and_by_header() {
    let door = Door::new(Auth::Required);
    let same = "Sec-Fetch-Site: same-origin";
    let cookie = door.sign_in("ada");
    let out = door.ask(Asked::post("/logout", "").cookie(&cookie).line(same));
    let set = out.header("set-cookie").expect("cleared");
    assert!(
        set.starts_with("steadfast-local=;") && set.contains("Max-Age=0"),
        "{set}"
    );
    let again = door.ask(Asked::get("/").cookie(&cookie));
    assert_eq!(again.status, 401);
    assert!(
        again
            .header("set-cookie")
            .is_some_and(|set| set.contains("Max-Age=0"))
    );

    // An answer of 400 or above signs nobody out.
    let cookie = door.sign_in("ada");
    let fails = door.ask(Asked::post("/logout", "400").cookie(&cookie).line(same));
    assert_eq!((fails.status, fails.header("set-cookie")), (400, None));
    assert_eq!(door.ask(Asked::get("/").cookie(&cookie)).status, 200);

    // By header: this session, or all of the user.
    let [one, two, other] = ["ada", "ada", "bob"].map(|user| door.sign_in(user));
    let asked = |body: &str| Asked::post("/x", body).line(same);
    let answer = door.ask(asked("out-session").cookie(&one));
    assert_eq!(
        (answer.status, answer.header("steadfast-sign-out")),
        (200, None)
    );
    assert_eq!(door.ask(Asked::get("/").cookie(&one)).status, 401);
    assert_eq!(door.ask(Asked::get("/").cookie(&two)).status, 200);
    door.ask(asked("out-user").cookie(&two));
    assert_eq!(door.ask(Asked::get("/").cookie(&two)).status, 401);
    assert_eq!(door.ask(Asked::get("/").cookie(&cookie)).status, 401);
    assert_eq!(door.ask(Asked::get("/").cookie(&other)).status, 200);
}

#[test]
fn a_link_signs_out_only_where_the_browser_says_that_it_is_ours() {
    let door = Door::with(Auth::Required, |config| {
        let sessions = config.sessions.as_mut().expect("sessions");
        sessions.origins = vec!["https://friend.example".into()];
    });
    let cookie = door.sign_in("ada");
    let asked = |path: &str, lines: &[&str]| {
        let asked = Asked::get(path).cookie(&cookie);
        lines.iter().fold(asked, |asked, line| asked.line(line))
    };
    // The program's word about it counts for nothing: it does not know who wanted it.
    for path in [
        "/logout",
        "/logout?out-session",
        "/logout?out-user",
        "/login?out-session",
        // Other spellings of it, which the program may read so.
        "/%6cogout?out-session",
        "/Logout/?out-user",
        "/x/..%2flogout;a=1?out-session",
    ] {
        for lines in [
            &["Sec-Fetch-Site: cross-site"][..],
            &["Sec-Fetch-Site: same-site"],
            &["Sec-Fetch-Site: cross-site", "Origin: https://evil.example"],
            &["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: same-origin"],
            &["Origin: null"],
            &[],
        ] {
            let said = door.ask(asked(path, lines));
            assert_eq!(
                (said.status, said.header("set-cookie")),
                (200, None),
                "{path} {lines:?}"
            );
            let still = door.ask(Asked::get("/").cookie(&cookie));
            assert_eq!(still.status, 200, "{path} {lines:?}");
        }
    }
    for lines in [
        &["Sec-Fetch-Site: same-origin"][..],
        &["Sec-Fetch-Site: none"],
        &[
            "Sec-Fetch-Site: cross-site",
            "Origin: https://friend.example",
        ],
    ] {
        for path in ["/logout", "/logout?out-session", "/logout/?out-session"] {
            let cookie = door.sign_in("bob");
            let mut asked = Asked::get(path).cookie(&cookie);
            for line in lines {
                asked = asked.line(line);
            }
            let out = door.ask(asked);
            assert!(
                out.header("set-cookie")
                    .is_some_and(|set| set.contains("Max-Age=0")),
                "{path} {lines:?}: {out:?}"
            );
            assert_eq!(
                door.ask(Asked::get("/").cookie(&cookie)).status,
                401,
                "{path} {lines:?}"
            );
        }
    }
    // On the program's other paths its word counts: it may have found the account to be closed.
    let link = "Sec-Fetch-Site: cross-site";
    door.ask(Asked::get("/closed?out-session").cookie(&cookie).line(link));
    assert_eq!(door.ask(Asked::get("/").cookie(&cookie)).status, 401);
}

#[test]
fn signing_out_with_several_cookies_ends_each() {
    let door = Door::new(Auth::Required);
    let [own, planted, other] = ["ada", "eve", "bob"].map(|user| door.sign_in(user));
    let both = format!("{own}; steadfast-local=sf1.c.x.y; {planted}");
    let out = |path: &str| {
        Asked::post(path, "")
            .cookie(&both)
            .line("Sec-Fetch-Site: same-origin")
    };
    // Elsewhere they are no authentication, and nobody is signed out by them.
    assert_eq!(door.ask(out("/data")).status, 401);
    assert_eq!(door.ask(Asked::get("/").cookie(&own)).status, 200);
    let done = door.ask(out("/logout"));
    assert_eq!(done.status, 200);
    assert!(
        done.header("set-cookie")
            .is_some_and(|set| set.contains("Max-Age=0"))
    );
    for (cookie, status) in [(&own, 401), (&planted, 401), (&other, 200)] {
        assert_eq!(door.ask(Asked::get("/").cookie(cookie)).status, status);
    }
}
