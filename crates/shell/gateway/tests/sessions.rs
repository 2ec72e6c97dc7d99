//! Sessions at the gateway: the real store, a program that signs people in by one header, clients with raw sockets.

mod common;

use common::door::{Asked, Door, claims, jwt};
use common::{App, LIMIT, Scene, find, ok};
use gateway::config::Auth;
use session::jws::{Alg, Compact, sign};
use wire::Phase;

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
}

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
fn headers_of_ours_from_outside_reach_no_program() {
    for auth in [Auth::Off, Auth::Optional] {
        let door = Door::new(auth);
        let mut asked = Asked::get("/");
        for line in [
            "Steadfast-Sign-In: eve",
            "steadfast-user: eve",
            "STEADFAST-SIGN-OUT: user",
            "X-Steadfast-User: eve",
            "x-steadfast-session: 1",
            "Steadfast_Sign_In: eve",
            "X_Steadfast_User: eve",
            "steadfast-Sign_In: eve",
        ] {
            asked = asked.line(line);
        }
        let seen = door.ask(asked);
        assert_eq!(seen.status, 200);
        assert!(
            !seen.body.to_lowercase().contains("steadfast"),
            "{}",
            seen.body
        );
        // Folded or with a blank before the colon: refused, not repaired.
        for line in ["X: a\r\n Steadfast-Sign-In: eve", "Steadfast-Sign-In : eve"] {
            assert_eq!(door.ask(Asked::get("/").line(line)).status, 400);
        }
    }
    // Without sessions as well.
    let scene = Scene::new(Phase::Ready);
    let app = scene.echo();
    let text =
        "GET / HTTP/1.1\r\nHost: a\r\nSteadfast-Sign-In: eve\r\nX-Steadfast-User: eve\r\n\r\n";
    assert_eq!(scene.gateway.ask(text).status, 200);
    assert!(!app.saw().to_lowercase().contains("steadfast"));
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
fn answers_say_whose_they_are_when_asked() {
    let door = Door::with(Auth::Required, |config| {
        let sessions = config.sessions.as_mut().expect("sessions");
        sessions.origins = vec!["https://friend.example".into()];
    });
    let cookie = door.sign_in("ada");
    let nonce = "Steadfast-Nonce: n-1_A";
    let said = |answer: &common::Answer| {
        ["steadfast-nonce", "steadfast-source"].map(|name| answer.header(name).map(str::to_owned))
    };
    let (echo, program, gateway) = (
        Some("n-1_A".to_owned()),
        Some("program".to_owned()),
        Some("gateway".to_owned()),
    );
    let own = door.ask(Asked::get("/").cookie(&cookie).line(nonce));
    assert_eq!(said(&own), [echo.clone(), program.clone()]);
    let session = own
        .header("steadfast-session")
        .expect("a session")
        .to_owned();
    assert!(!own.body.contains("n-1_A"), "{}", own.body);
    let refused = door.ask(Asked::get("/").line(nonce));
    assert_eq!(
        (refused.status, said(&refused)),
        (401, [echo.clone(), gateway.clone()])
    );
    assert_eq!(refused.header("steadfast-session"), None);
    // A 401 about a session that has ended names it.
    door.ask(
        Asked::post("/logout", "")
            .cookie(&cookie)
            .line("Sec-Fetch-Site: none"),
    );
    let ended = door.ask(Asked::get("/").cookie(&cookie).line(nonce));
    assert_eq!(
        (ended.status, said(&ended)),
        (401, [echo.clone(), gateway.clone()])
    );
    assert_eq!(ended.header("steadfast-session"), Some(&*session));
    // The program cannot speak for us, and nobody is told what was not asked for.
    let lies = door.ask(
        Asked::post("/x", "lies")
            .cookie(&door.sign_in("bob"))
            .line("Sec-Fetch-Site: none")
            .line(nonce),
    );
    assert_eq!(said(&lies), [echo.clone(), program.clone()]);
    assert_eq!(lies.head.matches("Steadfast-Nonce").count(), 1);
    assert_eq!(said(&door.ask(Asked::get("/"))), [None, None]);
    for odd in [
        "Steadfast-Nonce: a b",
        "Steadfast-Nonce: ",
        "Steadfast-Nonce: a\r\nSteadfast-Nonce: b",
    ] {
        assert_eq!(
            said(&door.ask(Asked::get("/").line(odd))),
            [None, None],
            "{odd}"
        );
    }
    let long = format!("Steadfast-Nonce: {}", "a".repeat(65));
    assert_eq!(said(&door.ask(Asked::get("/").line(&long))), [None, None]);
    // To a page of a listed origin they are shown; to any other, not.
    let friend = door.ask(
        Asked::get("/")
            .line(nonce)
            .line("Origin: https://friend.example"),
    );
    let exposed = friend
        .header("access-control-expose-headers")
        .expect("exposed");
    for name in [
        "Steadfast-Nonce",
        "Steadfast-Source",
        "Steadfast-Session",
        "Retry-After",
        "WWW-Authenticate",
    ] {
        assert!(exposed.contains(name), "{exposed}");
    }
    assert_eq!(
        friend.header("access-control-allow-origin"),
        Some("https://friend.example")
    );
    let evil = door.ask(
        Asked::get("/")
            .line(nonce)
            .line("Origin: https://evil.example"),
    );
    assert_eq!(evil.header("access-control-expose-headers"), None);
    assert_eq!(evil.header("access-control-allow-origin"), None);
    // Without sessions as well, and for what no route fits.
    let scene = Scene::with(Phase::Ready, |config| {
        config.listeners[0].routes[0].path_prefix = "/x".into()
    });
    let _app = scene.echo();
    for (path, source) in [("/x", program), ("/y", gateway)] {
        let answer = scene.gateway.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\n{nonce}\r\n\r\n"
        ));
        assert_eq!(said(&answer), [echo.clone(), source], "{path}");
    }
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

#[test]
fn a_request_that_waits_gets_a_token_of_the_generation_that_answers_it() {
    let mut door = Door::new(Auth::Required);
    let [cookie, bob] = ["ada", "bob"].map(|user| door.sign_in(user));
    for cookie in [&cookie, &bob] {
        assert_eq!(door.ask(Asked::get("/").cookie(cookie)).status, 200);
    }
    door.scene
        .keeper
        .tell_and_wait(|fact| fact.phase = Phase::Draining);
    let (mut client, mut other) = (door.client(), door.client());
    client.send(&Asked::get("/late").cookie(&cookie).text());
    other.send(&Asked::get("/gone").cookie(&bob).text());
    // Both wait, as their waiting times will tell; meanwhile bob is signed out.
    for _ in 0..5 {
        door.ask(Asked::get("/_steadfast/ping"));
    }
    door.revoke("bob");
    let app = door.app_at(2);
    let address = door.scene.address(2);
    door.scene.keeper.tell_and_wait(|fact| {
        fact.phase = Phase::Ready;
        fact.generation = 2;
        fact.address = address;
        fact.key = 2;
    });
    let answer = client.answer();
    assert_eq!(answer.status, 200);
    let token = jwt(&answer.body).expect("a token");
    assert!(Compact::read(&token).expect("a JWT").proved_by(b"secret-2"));
    assert!(answer.header("server-timing").is_some());
    let gone = other.answer();
    assert_eq!(gone.status, 401, "{gone:?}");
    assert!(gone.header("server-timing").is_some());
    drop(app);
}

#[test]
fn one_connection_with_many_sessions_gives_each_its_own_token_until_it_ends() {
    let mut door = Door::new(Auth::Required);
    let [ada, bob] = ["ada", "bob"].map(|user| door.sign_in(user));
    // A proxy in front keeps its connections: the next request on one may be anybody's.
    let mut client = door.client();
    let ask = |client: &mut common::Client, cookie: &str| {
        client.send(
            &Asked::get("/")
                .line(&format!("Cookie: a=1; {cookie}"))
                .text(),
        );
        client.answer()
    };
    let of = |answer: &common::Answer, user: &str, key: &[u8]| {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(claims(&answer.body)["sub"], user);
        let token = jwt(&answer.body).expect("a token");
        assert!(
            Compact::read(&token).expect("a JWT").proved_by(key),
            "{user}"
        );
        assert!(answer.body.contains("Cookie: a=1\r\n"), "{}", answer.body);
        token
    };
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(of(&ask(&mut client, &ada), "ada", b"secret-1"));
        of(&ask(&mut client, &bob), "bob", b"secret-1");
    }
    // One signature for what comes together, unless this machine needed 10 s for it.
    tokens.dedup();
    assert!(tokens.len() < 3, "each request was signed for: {tokens:?}");
    // Cut, prolonged, another user's half: none of them is the session that was just seen.
    for forged in [
        ada[..ada.len() - 1].to_owned(),
        format!("{ada}x"),
        format!("{ada}; {bob}"),
    ] {
        assert_eq!(ask(&mut client, &forged).status, 401, "{forged}");
        of(&ask(&mut client, &ada), "ada", b"secret-1");
    }
    // Ended elsewhere: the very next request is refused, and only hers.
    door.revoke("ada");
    assert_eq!(ask(&mut client, &ada).status, 401);
    of(&ask(&mut client, &bob), "bob", b"secret-1");
    let again = door.sign_in("ada");
    let token = of(&ask(&mut client, &again), "ada", b"secret-1");
    assert!(
        !tokens.contains(&token),
        "a new session has a token of its own"
    );
    // A generation with another key is told nothing that was signed for the one before.
    let _app = door.app_at(2);
    let address = door.scene.address(2);
    door.scene.keeper.tell_and_wait(|fact| {
        (fact.generation, fact.key, fact.address) = (2, 2, address);
    });
    of(&ask(&mut client, &bob), "bob", b"secret-2");
    of(&ask(&mut client, &again), "ada", b"secret-2");
}

#[test]
fn tokens_of_the_program_are_signed_again_towards_its_generation() {
    // L0: no sessions at all.
    let mut scene = Scene::with(Phase::Ready, |config| {
        common::door::ring(config, |jwt| jwt.cookie = Some("access".into()));
    });
    scene.keeper.tell_and_wait(|fact| fact.key = 2);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        while let Some(request) = conversation.request() {
            conversation.say(&ok(&request));
        }
    });
    let old = sign(Alg::Hs256, b"secret-1", r#"{"sub":"ada","exp":1}"#);
    let foreign = sign(Alg::Hs256, b"other", r#"{"sub":"ada"}"#);
    let leaked = sign(Alg::Hs256, b"secret-9", r#"{"sub":"ada"}"#);
    let ask = |lines: &str| {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
        scene.gateway.ask(&text).body
    };
    let seen = ask(&format!("Authorization: Bearer {old}"));
    let token = jwt(&seen).expect("a token");
    assert!(Compact::read(&token).expect("a JWT").proved_by(b"secret-2"));
    assert_eq!(claims(&seen)["exp"], 1);
    for kept in [&foreign, &leaked, "opaque"] {
        assert_eq!(
            jwt(&ask(&format!("Authorization: Bearer {kept}"))).as_deref(),
            Some(kept)
        );
    }
    let seen = ask(&format!("Cookie: a={old}; access={old}; z=1"));
    let access = seen
        .split("access=")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    let access = Compact::read(access.expect("a cookie")).expect("a JWT");
    assert!(access.proved_by(b"secret-2"));
    assert!(
        seen.contains(&format!("Cookie: a={old}; access=")),
        "{seen}"
    );
}

#[test]
fn a_generation_with_an_unknown_key_is_not_given_tokens_that_it_would_refuse() {
    let mut door = Door::new(Auth::Required);
    let cookie = door.sign_in("ada");
    for (generation, key, wanted) in [(2, 77, 503), (3, 2, 200)] {
        let _app = door.app_at(generation);
        let address = door.scene.address(generation);
        door.scene.keeper.tell_and_wait(|fact| {
            (fact.generation, fact.key, fact.address) = (generation, key, address);
        });
        let answer = door.ask(Asked::get("/").cookie(&cookie));
        assert_eq!(answer.status, wanted, "key {key}");
        assert_eq!(answer.header("retry-after").is_some(), wanted == 503);
    }
}

#[test]
fn a_worker_that_is_older_than_a_key_passes_on_to_the_one_that_has_it() {
    passes_on(true);
}

/// The new worker would take the client for somebody on this machine.
#[test]
fn a_worker_passes_nothing_on_to_one_that_does_not_believe_it() {
    passes_on(false);
}

fn passes_on(trusted: bool) {
    let trust = move |config: &mut gateway::config::Config| {
        if trusted {
            config.listeners[0].trusted = vec!["127.0.0.1".into()];
        }
    };
    let first_key_only = |config: &mut gateway::config::Config| {
        trust(config);
        common::door::ring(config, |jwt| {
            jwt.keys.truncate(1);
            jwt.keys[0].signs = true;
        });
    };
    let mut door = Door::with(Auth::Optional, first_key_only);
    let cookie = door.sign_in("ada");
    let own = sign(Alg::Hs256, b"secret-1", r#"{"sub":"ada"}"#);
    let bearer = format!("Authorization: Bearer {own}");
    let asks = [
        Asked::get("/l1").cookie(&cookie),
        Asked::get("/l0").line(&bearer),
        Asked::post("/l1", "body")
            .cookie(&cookie)
            .line("Sec-Fetch-Site: same-origin"),
    ];
    // Connections of clients to the old worker.
    let mut clients: Vec<_> = asks.iter().map(|_| door.client()).collect();
    for (client, asked) in clients.iter_mut().zip(&asks) {
        client.send(&asked.text());
        let answer = client.answer();
        let token = jwt(&answer.body).expect("a token");
        assert!(Compact::read(&token).expect("a JWT").proved_by(b"secret-1"));
    }
    // A rotation: the new worker takes over, then the program restarts with the new key.
    let target = gateway::config::Target::Program {
        slots: vec![gateway::config::Slot {
            name: "app".into(),
            events: door.scene.keeper.path.display().to_string(),
            ..gateway::config::Slot::default()
        }],
        jwt: None,
    };
    let socket = door.scene.gateway.socket.try_clone().expect("cloned");
    let sessions = door.sessions();
    let _successor = common::Gateway::on(socket, &[("app", target)], |config| {
        config.sessions = Some(sessions);
        config.listeners[0].routes[0].auth = Auth::Optional;
        trust(config);
        common::door::ring(config, |_| {});
    });
    door.scene.gateway.leave();
    door.scene
        .keeper
        .tell_and_wait(|fact| fact.phase = Phase::Draining);
    for (client, asked) in clients.iter_mut().zip(&asks) {
        client.send(&asked.text());
    }
    let _app = door.app_at(2);
    let address = door.scene.address(2);
    door.scene.keeper.tell(|fact| {
        (fact.phase, fact.generation, fact.key) = (Phase::Ready, 2, 2);
        fact.address = address;
    });
    for client in &mut clients {
        let answer = client.answer();
        if !trusted {
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
            continue;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = jwt(&answer.body).expect("a token");
        assert!(Compact::read(&token).expect("a JWT").proved_by(b"secret-2"));
        assert!(!answer.body.contains("sf1."), "{}", answer.body);
    }
}

#[test]
fn a_revocation_closes_websockets_and_event_streams_of_its_session() {
    let door = Door::new(Auth::Required);
    let cookie = door.sign_in("ada");
    let other = door.sign_in("bob");
    let socket = |cookie: &str| {
        let mut client = door.client();
        client.send(
            &Asked::get("/socket")
                .cookie(cookie)
                .line("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-Fetch-Site: same-origin")
                .text(),
        );
        assert_eq!(client.answer().status, 101);
        client
    };
    let stream = |cookie: &str| {
        let mut client = door.client();
        client.send(&Asked::get("/events").cookie(cookie).text());
        client
            .read_until(|read| find(read, b"data: 1\n\n").is_some())
            .expect("an event");
        client
    };
    let (mut closes, mut stays) = (socket(&cookie), socket(&other));
    let mut ends = stream(&cookie);
    door.ask(
        Asked::post("/logout", "")
            .cookie(&cookie)
            .line("Sec-Fetch-Site: none"),
    );
    // 1008, not 1012: who came again at once would only be refused.
    closes
        .read_until(|read| read == [0x88, 0x02, 0x03, 0xf0])
        .expect("a last word");
    closes.read.clear();
    assert!(closes.is_closed());
    ends.read_until(|read| read.ends_with(b"0\r\n\r\n"))
        .expect("a clean end of the stream");
    stays.send("still");
    stays
        .read_until(|read| find(read, b"still").is_some())
        .expect("an echo");
    assert!(LIMIT.as_secs() > 1);
}

#[test]
fn other_spellings_of_a_guarded_path_are_guarded() {
    let door = Door::with(Auth::Required, |config| {
        let route = config.listeners[0].routes[0].clone();
        let open = gateway::config::Route {
            path_prefix: "/".into(),
            auth: Auth::Off,
            ..route.clone()
        };
        config.listeners[0].routes = vec![
            gateway::config::Route {
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
