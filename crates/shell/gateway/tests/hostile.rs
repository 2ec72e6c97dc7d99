//! Clients and programs that mean harm, or only behave like it: nobody else may notice.

mod common;

use std::time::{Duration, Instant};

use common::{App, LIMIT, Scene, get, ok};
use wire::Phase;

/// Sends a head with a body that never comes.
fn slow_upload(scene: &Scene) -> common::Client {
    let mut client = scene.gateway.client();
    client.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx");
    client
}

/// There is no answer for a while.
fn waits(client: &mut common::Client) {
    let short = Some(Duration::from_millis(200));
    client.stream.set_read_timeout(short).expect("set");
    assert!(client.try_answer().is_err());
    client.stream.set_read_timeout(Some(LIMIT)).expect("set");
}

/// The keeper says `phase`; what is in flight then.
fn says(scene: &mut Scene, phase: Phase) -> u64 {
    scene.keeper.tell_and_wait(|fact| fact.phase = phase)
}

#[test]
fn uploads_that_trickle_do_not_hold_up_those_who_waited_with_them() {
    let mut scene = Scene::new(Phase::Restarting);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        while conversation.request().is_some() {
            conversation.say(&ok("served"));
        }
    });
    let mut slow: Vec<_> = (0..20).map(|_| slow_upload(&scene)).collect();
    waits(&mut slow[19]);
    let mut client = scene.gateway.client();
    client.send(&get("/"));
    waits(&mut client);
    let begun = Instant::now();
    says(&mut scene, Phase::Ready);
    assert_eq!(client.answer().body, "served");
    assert!(
        begun.elapsed() < Duration::from_secs(25),
        "{:?}",
        begun.elapsed()
    );
    drop(slow);
}

#[test]
fn an_early_answer_ends_the_connection_before_the_body_can_be_taken_for_a_request() {
    let scene = Scene::new(Phase::Ready);
    let app = App::start(&scene.socket(1), |conversation, see| {
        let piece = conversation.piece().unwrap_or_default();
        _ = see.send(String::from_utf8_lossy(&piece).into_owned());
        conversation.say(&ok("early"));
        while let Some(piece) = conversation.piece() {
            _ = see.send(String::from_utf8_lossy(&piece).into_owned());
        }
    });
    let mut client = scene.gateway.client();
    client.send("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\nx");
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_str()), (200, "early"));
    assert_eq!(answer.header("connection"), Some("close"));
    client.send(&get("/smuggled"));
    assert!(client.is_closed());
    assert!(app.saw().starts_with("POST /first "));
    // The connection to the program is not used for anybody else: the next client gets its own.
    let mut other = scene.gateway.client();
    other.send(&get("/next"));
    let mut next = app.saw();
    if next == "x" {
        // The beginning of the body came apart from the head.
        next = app.saw();
    }
    assert!(next.starts_with("GET /next "), "{next:?}");
}

#[test]
fn a_request_that_is_refused_while_it_waits_leaves_nothing_behind() {
    let mut scene = Scene::new(Phase::Restarting);
    let app = scene.echo();
    let mut client = scene.gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    waits(&mut client);
    client.send("no chunk\r\n");
    assert_eq!(client.answer().status, 400);
    assert!(client.is_closed());
    assert_eq!(says(&mut scene, Phase::Ready), 0);
    assert_eq!(scene.gateway.ask(&get("/")).status, 200);
    assert!(app.saw().starts_with("GET / "));
    app.saw_nothing_else();
    assert_eq!(says(&mut scene, Phase::Draining), 0);
    assert_eq!(scene.keeper.hears_drained().0, 1);
}

#[test]
fn answers_that_are_none_are_a_502_and_harm_nobody() {
    let scene = Scene::new(Phase::Ready);
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(70_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(101));
    let bad = [
        long,
        many,
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nxx".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            .to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            .to_owned(),
        "HTTP/1.1 200 OK\nX: y\n\n".to_owned(),
        "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n".to_owned(),
        "\0\0\0\0\r\n\r\n".to_owned(),
    ];
    let count = bad.len();
    let _app = App::start(&scene.socket(1), move |conversation, _| {
        while let Some(request) = conversation.request() {
            let number = request
                .split(['/', ' '])
                .nth(2)
                .and_then(|number| number.parse::<usize>().ok());
            match number.and_then(|number| bad.get(number)) {
                Some(answer) => {
                    conversation.say(answer);
                    return;
                }
                None => conversation.say(&ok("well")),
            }
        }
    });
    for number in 0..count {
        let answer = scene.gateway.ask(&get(&format!("/{number}")));
        assert_eq!(answer.status, 502, "answer {number}: {}", answer.head);
        assert_eq!(scene.gateway.ask(&get("/well")).body, "well");
    }
}

#[test]
fn a_second_answer_to_one_request_reaches_nobody() {
    let scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        while conversation.request().is_some() {
            let number = conversation.number;
            let two = [ok(&number.to_string()), ok("poison")].concat();
            conversation.say(&two);
        }
    });
    for number in 0..4 {
        assert_eq!(scene.gateway.ask(&get("/")).body, number.to_string());
    }
}

#[test]
fn an_upload_that_stands_still_behind_an_answer_that_has_begun_ends() {
    let scene = Scene::with(Phase::Ready, |config| {
        // For the first byte of the answer, too.
        config.listeners[0].answer_ms_max = 4_000;
    });
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let _app = App::start(&scene.socket(1), move |conversation, _| {
        _ = conversation.piece();
        conversation.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
        // Neither reads the body nor says more, until the test has its answer.
        _ = held
            .lock()
            .expect("one conversation")
            .recv_timeout(2 * LIMIT);
    });
    let mut client = scene.gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n");
    let body = vec![b'x'; 1 << 20];
    let stream = client.stream.try_clone().expect("a second handle");
    let upload = std::thread::spawn(move || {
        use std::io::Write;
        let mut stream = stream;
        // Ends when the gateway ends the connection.
        while stream.write_all(&body).is_ok() {}
    });
    let ended = client.read_until(|_| false).expect_err("the end");
    assert_ne!(ended.kind(), std::io::ErrorKind::WouldBlock);
    let read = String::from_utf8_lossy(&client.read).into_owned();
    assert!(
        read.contains("1\r\na\r\n") && !read.ends_with("0\r\n\r\n"),
        "{read}"
    );
    upload.join().expect("it ends");
    drop(release);
}

/// Answers `/stall` with more than any socket holds, `/events` and `/ws` with a beginning, and tells when a connection
/// has ended. `/ws` goes on when something is sent to it.
fn flooding(scene: &Scene) -> App {
    App::start(&scene.socket(1), |conversation, see| {
        let request = conversation.request().unwrap_or_default();
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let switch =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        match path.as_str() {
            "/stall" => conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"),
            "/events" => {
                conversation.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            }
            _ => conversation.say(switch),
        }
        if path == "/stall" || path == "/talks" {
            use std::io::{Read, Write};
            let mut hears = conversation.stream.try_clone().expect("a second handle");
            hears.set_read_timeout(None).expect("set");
            // What the client sends is read, so that it can go on sending.
            let ear = std::thread::spawn(move || {
                while hears.read(&mut [0; 65536]).is_ok_and(|count| count > 0) {}
            });
            while conversation.stream.write_all(&[b'x'; 65536]).is_ok() {}
            _ = see.send(format!("{path} ended"));
            ear.join().expect("it ends");
            return;
        }
        while conversation.piece().is_some() {
            conversation.say("more");
        }
    })
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_is_cut_off_and_one_with_nothing_to_take_is_not() {
    let scene = Scene::with(Phase::Ready, |config| {
        config.listeners[0].take_ms_max = 300;
    });
    let app = flooding(&scene);
    let upgrade = "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut idle = [scene.gateway.client(), scene.gateway.client()];
    idle[0].get("/events");
    idle[1].send(&format!("GET /ws HTTP/1.1\r\n{upgrade}"));
    for client in &mut idle {
        client
            .read_until(|read| read.ends_with(b"\r\n\r\n"))
            .expect("a head");
        client.read.clear();
    }
    let mut stalls = scene.gateway.client();
    stalls.get("/stall");
    assert_eq!(app.saw(), "/stall ended");
    // What it sends is no excuse.
    let mut talks = scene.gateway.client();
    talks.send(&format!("GET /talks HTTP/1.1\r\n{upgrade}"));
    let mut mouth = talks.stream.try_clone().expect("a second handle");
    let talking = std::thread::spawn(move || {
        use std::io::Write;
        while mouth.write_all(&[b'y'; 4096]).is_ok() {}
    });
    assert_eq!(app.saw(), "/talks ended");
    talking.join().expect("it ends");
    // It is reset: nothing that is still read looks like an end.
    let end = stalls.read_until(|_| false).expect_err("the end");
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
    // Those with nothing to take were there for longer than both, and are there still.
    idle[1].send("go on");
    idle[1].read_until(|read| read == b"more").expect("more");
    let [events, _] = &mut idle;
    let short = Some(Duration::from_millis(1));
    events.stream.set_read_timeout(short).expect("set");
    let kind = events.read_until(|_| false).expect_err("nothing").kind();
    assert_eq!(kind, std::io::ErrorKind::WouldBlock);
}
