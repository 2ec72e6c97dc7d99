//! What the gateway says in names of its own, and that nobody else can say it.

use crate::common::door::{Asked, Door};
use crate::common::{Answer, Scene};
use gateway::config::Auth;
use wire::Phase;

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
fn answers_say_whose_they_are_when_asked() {
    let door = Door::with(Auth::Required, |config| {
        let sessions = config.sessions.as_mut().expect("sessions");
        sessions.origins = vec!["https://friend.example".into()];
    });
    let cookie = door.sign_in("ada");
    let nonce = "Steadfast-Nonce: n-1_A";
    let said = |answer: &Answer| {
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
