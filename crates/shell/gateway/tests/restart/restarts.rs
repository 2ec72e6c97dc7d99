//! Restarts with hold and with overlap; what lives longer than a request.

use crate::common::{self, App, Scene, get, ok, post};
use crate::{STREAM, counts, gate, held};
use gateway::config::{Slot, Target};
use std::time::Duration;
use wire::{Fact, Notice, Phase};

#[test]
fn a_restart_with_hold_drains_parks_and_releases() {
    let mut scene = Scene::new(Phase::Ready);
    let (go, wait) = gate();
    let app = App::start(&scene.socket(1), move |conversation, see| {
        while let Some(request) = conversation.request() {
            let slow = request.starts_with("POST /slow");
            _ = see.send(request);
            if slow {
                wait();
            }
            conversation.say(&ok("old"));
        }
        _ = see.send("closed".into());
    });
    // One idle connection, one request in flight.
    assert_eq!(scene.gateway.ask(&get("/")).body, "old");
    let mut slow = scene.gateway.client();
    slow.send(&post("/slow", "x"));
    app.saw();
    app.saw();
    let mut quick = scene.gateway.client();
    quick.get("/quick");
    quick.answer();
    app.saw();
    assert_eq!(
        scene
            .keeper
            .tell_and_wait(|fact| fact.phase = Phase::Draining),
        1
    );
    assert_eq!(app.saw(), "closed");
    let mut parked = scene.gateway.client();
    parked.send(&post("/parked", "x"));
    let mut heard = scene.keeper.notices.try_iter();
    let drained = heard.any(|notice| matches!(notice, Notice::Drained { .. }));
    assert!(!drained, "drained too early");
    go.send(()).expect("waits");
    assert_eq!(slow.answer().body, "old");
    assert_eq!(scene.keeper.hears_drained(), (1, 1, 0));
    drop(app);
    scene
        .keeper
        .tell_and_wait(|fact| fact.phase = Phase::Restarting);
    let app = App::echo(&scene.socket(2));
    let address = scene.address(2);
    scene.keeper.tell_and_wait(|fact| {
        fact.phase = Phase::Starting;
        fact.generation = 2;
        fact.address = address;
    });
    // It listens already, but its keeper has not said that it is ready.
    app.saw_nothing_else();
    scene.keeper.tell_and_wait(|fact| fact.phase = Phase::Ready);
    let answer = parked.answer();
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "POST /parked HTTP/1.1")
    );
    assert!(held(&answer).is_some());
    let counts = counts(&scene, |counts| counts.requests == 4);
    assert_eq!((counts.waited, counts.failed), (1, 0));
}

#[test]
fn a_restart_with_overlap_goes_on_without_waiting() {
    let mut scene = Scene::new(Phase::Ready);
    let (go, wait) = gate();
    let old = App::start(&scene.socket(1), move |conversation, see| {
        while let Some(request) = conversation.request() {
            _ = see.send(request);
            wait();
            conversation.say(&ok("old"));
        }
    });
    let _new = App::echo(&scene.socket(2));
    let mut slow = scene.gateway.client();
    slow.send(&post("/slow", "x"));
    old.saw();
    let address = scene.address(2);
    let in_flight = scene.keeper.tell_and_wait(|fact| {
        fact.generation = 2;
        fact.address = address;
        fact.leaving = Some(Scene::leaving(1));
    });
    assert_eq!(in_flight, 1);
    let answer = scene.gateway.ask(&get("/new"));
    assert_eq!(
        (answer.body.as_str(), held(&answer)),
        ("GET /new HTTP/1.1", None)
    );
    go.send(()).expect("waits");
    assert_eq!(slow.answer().body, "old");
    assert_eq!(scene.keeper.hears_drained(), (1, 1, 0));
}

#[test]
fn event_streams_end_cleanly_when_the_program_ends_and_at_a_drain() {
    let mut scene = Scene::new(Phase::Ready);
    let (go, wait) = gate();
    let _app = App::start(&scene.socket(1), move |conversation, _| {
        let Some(request) = conversation.request() else {
            return;
        };
        if request.starts_with("GET /chunks") {
            conversation.say(&format!(
                "{STREAM}Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata"
            ));
            wait();
            return;
        }
        conversation.say(&format!("{STREAM}\r\ndata: 1\n\n"));
        conversation.ends();
    });
    let mut ends = scene.gateway.client();
    ends.get("/chunks");
    go.send(()).expect("waits");
    assert_eq!(ends.answer().body, "data: 1\n\ndata");
    let mut endless = scene.gateway.client();
    endless.get("/endless");
    endless
        .read_until(|read| read.ends_with(b"data: 1\n\n\r\n"))
        .expect("an event");
    assert_eq!(
        scene
            .keeper
            .tell_and_wait(|fact| fact.phase = Phase::Draining),
        1
    );
    assert_eq!(endless.answer().body, "data: 1\n\n");
    assert_eq!(scene.keeper.hears_drained(), (1, 0, 1));
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn websockets_go_through_and_end_at_a_drain() {
    let mut scene = Scene::new(Phase::Ready);
    let app = App::start(&scene.socket(1), |conversation, see| {
        let Some(request) = conversation.request() else {
            return;
        };
        _ = see.send(request);
        conversation.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
        while let Some(piece) = conversation.piece() {
            conversation.say(&String::from_utf8_lossy(&piece).to_uppercase());
        }
        _ = see.send("ended".into());
    });
    let mut client = scene.gateway.client();
    client.send(&format!("{UPGRADE}early"));
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.header("upgrade")),
        (101, Some("websocket"))
    );
    client
        .read_until(|read| read == b"helloEARLY")
        .expect("both ways");
    client.send("more");
    client
        .read_until(|read| read == b"helloEARLYMORE")
        .expect("both ways");
    client.read.clear();
    assert!(app.saw().contains("\r\nUpgrade: websocket\r\n"));
    scene
        .keeper
        .tell_and_wait(|fact| fact.phase = Phase::Draining);
    assert!(client.is_closed());
    assert_eq!(app.saw(), "ended");
    assert_eq!(scene.keeper.hears_drained(), (1, 0, 1));
}

#[test]
fn a_websocket_whose_program_goes_away_is_told_to_come_again() {
    const RESTART: [u8; 4] = [0x88, 0x02, 0x03, 0xf4];
    // What the program has sent, whether it hangs up, and whether the client can be told.
    for (sent, hangs_up, told) in [
        ("", false, true),
        ("\u{1}\u{2}hi", false, true),
        ("\u{1}\u{5}hi", false, false),
        ("\u{1}\u{2}hi", true, true),
        ("\u{1}\u{5}hi", true, false),
    ] {
        let mut scene = Scene::new(Phase::Ready);
        let _app = App::start(&scene.socket(1), move |conversation, _| {
            let Some(_request) = conversation.request() else {
                return;
            };
            conversation.say(&format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n{sent}"
            ));
            if hangs_up {
                return;
            }
            while conversation.piece().is_some() {}
        });
        let mut client = scene.gateway.client();
        client.send(UPGRADE);
        assert_eq!(client.answer().status, 101);
        client
            .read_until(|read| read.starts_with(sent.as_bytes()))
            .expect("what was sent");
        if !hangs_up {
            scene
                .keeper
                .tell_and_wait(|fact| fact.phase = Phase::Draining);
        }
        let mut wanted = sent.as_bytes().to_vec();
        if told {
            wanted.extend(RESTART);
            client
                .read_until(|read| read == wanted)
                .expect("a last word");
            client.read.clear();
        } else {
            client.read.drain(..wanted.len());
        }
        assert!(client.is_closed(), "{sent:?} {hangs_up}");
    }
}

#[test]
fn an_upgrade_that_the_program_refuses_is_an_ordinary_answer() {
    let scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        while conversation.request().is_some() {
            conversation.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        }
    });
    let mut client = scene.gateway.client();
    for _ in 0..2 {
        client.send(UPGRADE);
        assert_eq!(client.answer().status, 403);
    }
}

#[test]
fn a_stream_whose_client_does_not_read_holds_no_drain_up() {
    let mut scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, see| {
        conversation.request();
        conversation.say(&format!("{STREAM}\r\n"));
        conversation
            .stream
            .set_write_timeout(Some(Duration::from_millis(200)))
            .expect("set");
        let event = format!("data: {}\n\n", "x".repeat(60_000));
        while std::io::Write::write_all(&mut conversation.stream, event.as_bytes()).is_ok() {}
        _ = see.send("stuck".into());
        conversation.ends();
    });
    let mut client = scene.gateway.client();
    client.get("/");
    _app.saw();
    // The keeper gives no time for it: only what is cut ends.
    scene
        .keeper
        .tell_and_wait(|fact| fact.phase = Phase::Draining);
    assert_eq!(scene.keeper.hears_drained(), (1, 0, 1));
}

#[test]
fn several_processes_share_the_requests_and_one_that_restarts_is_left_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let (apps, keepers): (Vec<App>, Vec<common::Keeper>) = (0..2)
        .map(|at| {
            let socket = dir.path().join(format!("{at}.sock"));
            let fact = Fact {
                seq: 1,
                generation: 1,
                phase: Phase::Ready,
                address: format!("unix:{}", socket.display()),
                ..common::zero_fact()
            };
            let app = App::start(&socket, move |conversation, _| {
                while conversation.request().is_some() {
                    conversation.say(&ok(&at.to_string()));
                }
            });
            (
                app,
                common::Keeper::start(&dir.path().join(format!("events{at}")), fact),
            )
        })
        .unzip();
    let slots = keepers.iter().map(|keeper| Slot {
        name: "app".into(),
        events: keeper.path.display().to_string(),
        ..Slot::default()
    });
    let target = Target::Program {
        slots: slots.collect(),
        jwt: None,
    };
    let gateway = common::Gateway::start(&[("app", target)], |_| {});
    let [mut first, second] =
        <[common::Keeper; 2]>::try_from(keepers).unwrap_or_else(|_| panic!("two"));
    for keeper in [&first, &second] {
        keeper.hears(|notice| matches!(notice, Notice::Acknowledge { .. }));
    }
    assert_eq!(gateway.ask(&get("/")).body, "0");
    first.tell_and_wait(|fact| fact.phase = Phase::Draining);
    for _ in 0..5 {
        let answer = gateway.ask(&post("/", "x"));
        assert_eq!((answer.body.as_str(), held(&answer)), ("1", None));
    }
    first.tell_and_wait(|fact| fact.phase = Phase::Ready);
    assert_eq!(gateway.ask(&get("/")).body, "0");
    drop(apps);
}
