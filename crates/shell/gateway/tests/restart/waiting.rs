//! Requests that wait: for how long, how many, and what they are told.

use crate::common::{App, Client, Gateway, LIMIT, Scene, get, ok, post};
use crate::held;
use gateway::config::{Ready, Target};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wire::Phase;

#[test]
fn connect_fails_it_waits_and_the_gateway_probes_by_itself() {
    let scene = Scene::new(Phase::Ready);
    let mut clients: Vec<Client> = (0..20).map(|_| scene.gateway.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&post(&format!("/{number}"), "x"));
    }
    let mut late = scene.gateway.client();
    late.stream
        .set_read_timeout(Some(Duration::from_millis(500)))
        .expect("set");
    late.get("/late");
    assert!(late.try_answer().is_err(), "answered without a program");
    let app = scene.echo();
    let answers: Vec<_> = clients.iter_mut().map(Client::answer).collect();
    assert!(answers.iter().all(|answer| answer.status == 200));
    // On a machine that is busy some may be read only when the program is up.
    let waited = answers.iter().filter_map(held).filter(|ms| *ms >= 50);
    assert!(waited.count() > 0, "{}", answers[0].head);
    for _ in 0..21 {
        app.saw();
    }
    app.saw_nothing_else();
}

#[test]
fn an_operators_stop_is_a_503_from_the_start_and_a_window_waits() {
    let mut scene = Scene::new(Phase::Ready);
    let mut parked = scene.gateway.client();
    scene
        .keeper
        .tell_and_wait(|fact| fact.phase = Phase::Draining);
    parked.send(&post("/", "x"));
    scene.keeper.tell_and_wait(|fact| {
        fact.phase = Phase::Stopped;
        fact.window_until_ms = u64::MAX;
    });
    let since = Instant::now();
    scene
        .keeper
        .tell_and_wait(|fact| fact.window_until_ms = sys::clock::mono_ms() + 300);
    let answer = parked.answer();
    assert!(
        since.elapsed() >= Duration::from_millis(290),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("5"))
    );
    // Kept alive, and from now on answered at once.
    parked.get("/");
    assert_eq!(parked.answer().status, 503);
    for phase in [Phase::DrainingToStop, Phase::Fatal] {
        scene.keeper.tell_and_wait(|fact| fact.phase = phase);
        assert_eq!(scene.gateway.ask(&get("/")).status, 503);
    }
}

#[test]
fn hold_over_is_a_503_with_retry_after() {
    let scene = Scene::with(Phase::Starting, |config| config.listeners[0].hold_ms = 200);
    let answer = scene.gateway.ask(&post("/", "x"));
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
    assert!(
        held(&answer).is_some_and(|ms| (200..30_000).contains(&ms)),
        "{}",
        answer.head
    );
}

#[test]
fn bounds_of_waiting_hold_and_a_client_that_leaves_makes_room() {
    let mut scene = Scene::with(Phase::Starting, |config| {
        config.listeners[0].hold_max = 8;
        config.listeners[0].maintenance_page = "<h1>soon</h1>".into();
    });
    // A quarter of eight, for one client.
    let mut clients: Vec<Client> = (0..2).map(|_| scene.gateway.client()).collect();
    for client in &mut clients {
        client.get("/");
    }
    let refused = loop {
        // The two were sent before, but on other connections.
        let mut third = scene.gateway.client();
        third
            .stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("set");
        third.get("/");
        if let Ok(answer) = third.try_answer() {
            break answer;
        }
    };
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (503, "<h1>soon</h1>")
    );
    drop(clients);
    let app = scene.echo();
    let mut again = loop {
        let mut client = scene.gateway.client();
        client
            .stream
            .set_read_timeout(Some(Duration::from_secs(2)))
            .expect("set");
        client.get("/again");
        match client.try_answer() {
            Ok(answer) => assert_eq!(answer.status, 503),
            Err(_) => break client,
        }
    };
    scene.keeper.tell(|fact| fact.phase = Phase::Ready);
    again.stream.set_read_timeout(Some(LIMIT)).expect("set");
    assert_eq!(again.answer().status, 200);
    // Those that left are not sent.
    assert!(app.saw().starts_with("GET /again"));
    app.saw_nothing_else();
}

#[test]
fn no_answer_in_time_is_a_504() {
    let scene = Scene::with(Phase::Ready, |config| {
        config.listeners[0].answer_ms_max = 200
    });
    let app = App::start(&scene.socket(1), |conversation, see| {
        conversation.request();
        _ = see.send(conversation.ends().to_string());
    });
    assert_eq!(scene.gateway.ask(&get("/")).status, 504);
    assert_eq!(app.saw(), "true");
}

#[test]
fn a_client_that_leaves_closes_the_programs_connection() {
    let scene = Scene::new(Phase::Ready);
    let app = App::start(&scene.socket(1), |conversation, see| {
        _ = see.send(conversation.request().unwrap_or_default());
        _ = see.send(conversation.ends().to_string());
    });
    let mut client = scene.gateway.client();
    client.get("/");
    app.saw();
    drop(client);
    assert_eq!(app.saw(), "true");
}

#[test]
fn a_large_body_waits_in_part_and_is_sent_whole() {
    let mut scene = Scene::new(Phase::Starting);
    let body = "x".repeat(500_000);
    let mut client = scene.gateway.client();
    let mut writer = client.stream.try_clone().expect("cloned");
    let request = post("/", &body);
    let sending =
        std::thread::spawn(move || std::io::Write::write_all(&mut writer, request.as_bytes()));
    let app = scene.echo();
    scene.keeper.tell_and_wait(|fact| fact.phase = Phase::Ready);
    let answer = client.answer();
    assert_eq!(answer.status, 200);
    let seen = app.saw();
    assert!(seen.ends_with(&body), "{} bytes", seen.len());
    sending.join().expect("ended").expect("sent");
}

#[test]
fn a_client_that_waits_for_100_is_not_asked_while_it_waits_in_the_queue() {
    let mut scene = Scene::new(Phase::Starting);
    let mut client = scene.gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("set");
    assert!(client.read_until(|read| !read.is_empty()).is_err());
    client.stream.set_read_timeout(Some(LIMIT)).expect("set");
    let _app = scene.echo();
    scene.keeper.tell(|fact| fact.phase = Phase::Ready);
    client
        .read_until(|read| read == b"HTTP/1.1 100 Continue\r\n\r\n")
        .expect("100");
    client.read.clear();
    client.send("ok");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn an_upstream_that_was_away_gets_requests_when_it_says_that_it_is_ready() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("legacy.sock");
    let ready = Some(Ready {
        path: "/health?deep".to_owned(),
        host: "legacy.example".to_owned(),
    });
    let target = Target::Upstream {
        address: format!("unix:{}", socket.display()),
        ready,
        jwt: None,
    };
    let gateway = Gateway::start(&[("legacy", target)], |_| {});
    // Twice: it goes away again, and what it said before counts no more.
    for round in 0..2 {
        // One that accepts and drops, so that the test knows when it was tried.
        _ = std::fs::remove_file(&socket);
        let drops = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
        let mut client = gateway.client();
        client.send(&post("/", "x"));
        drop(drops.accept().expect("tried"));
        drop(drops);
        let is_ready = Arc::new(AtomicBool::new(false));
        let says = is_ready.clone();
        // It accepts before its app works.
        let app = App::start(&socket, move |conversation, see| {
            while let Some(request) = conversation.request() {
                let asks =
                    request.starts_with("GET /health?deep HTTP/1.1\r\nHost: legacy.example\r\n");
                _ = see.send(request);
                match (says.load(Ordering::Relaxed), asks) {
                    (true, true) => conversation.say("HTTP/1.1 204 No Content\r\n\r\n"),
                    (true, false) => conversation.say(&ok("served")),
                    (false, _) => {
                        conversation.say("HTTP/1.1 503 Not Yet\r\nContent-Length: 0\r\n\r\n")
                    }
                }
            }
        });
        for _ in 0..3 {
            let asked = app.saw();
            assert!(asked.starts_with("GET /health?deep "), "{round}: {asked}");
        }
        is_ready.store(true, Ordering::Relaxed);
        let answer = client.answer();
        assert_eq!((answer.status, answer.body.as_str()), (200, "served"));
        assert!(held(&answer).is_some(), "{}", answer.head);
        // From now on nothing is asked.
        while !app.saw().starts_with("POST / ") {}
        client.get("/next");
        assert_eq!(client.answer().body, "served");
        assert!(app.saw().starts_with("GET /next "));
        app.saw_nothing_else();
    }
}
