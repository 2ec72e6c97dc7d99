//! Gateways that are replaced.

use crate::common::{self, App, Client, LIMIT, Scene, ok, post};
use crate::until_last;
use gateway::config::Target;
use std::time::Duration;
use wire::Phase;

/// Who connected before now has been accepted: the one after them is answered, though nothing is forwarded.
fn all_are_accepted(scene: &Scene) {
    assert_eq!(scene.gateway.ask("GET / HTTP/1.1\r\n\r\n").status, 400);
}

#[test]
fn a_gateway_that_is_replaced_finishes_what_waits_and_closes_after_the_next_answer() {
    let mut scene = Scene::new(Phase::Ready);
    let mut idle = scene.gateway.client();
    let app = scene.echo();
    idle.get("/");
    assert_eq!(idle.answer().header("connection"), None);
    scene
        .keeper
        .tell_and_wait(|fact| fact.phase = Phase::Draining);
    let mut parked = scene.gateway.client();
    parked.send(&post("/parked", "x"));
    parked
        .stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("set");
    assert!(parked.try_answer().is_err());
    parked.stream.set_read_timeout(Some(LIMIT)).expect("set");
    all_are_accepted(&scene);
    scene.gateway.leave();
    scene.keeper.tell(|fact| fact.phase = Phase::Ready);
    assert_eq!(until_last(&mut parked), 200);
    assert!(parked.is_closed());
    idle.get("/last");
    assert_eq!(until_last(&mut idle), 200);
    assert!(idle.is_closed());
    drop((parked, idle));
    scene.gateway.left();
    drop(app);
}

#[test]
fn the_time_of_a_gateway_that_is_replaced_ends() {
    let mut scene = Scene::with(Phase::Starting, |config| config.leave_ms_max = 200);
    let mut parked = scene.gateway.client();
    parked.get("/");
    scene.keeper.tell_and_wait(|_| {});
    parked
        .stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("set");
    assert!(parked.try_answer().is_err());
    all_are_accepted(&scene);
    scene.gateway.leave();
    parked.stream.set_read_timeout(Some(LIMIT)).expect("set");
    assert_eq!(parked.answer().status, 503);
    scene.gateway.left();
}

/// Asks again and again, as a browser does: over a kept connection while it is kept. Gives what failed.
fn user(
    address: std::net::SocketAddr,
    number: usize,
    stop: &std::sync::atomic::AtomicBool,
) -> (usize, Vec<String>) {
    let (mut done, mut failed) = (0, Vec::new());
    let mut client = Client::new(address);
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        match number % 2 {
            0 => client.get("/"),
            _ => client.send(&post("/", "x")),
        }
        match client.try_answer() {
            Ok(answer) if answer.status == 200 => {
                done += 1;
                if answer.header("connection") == Some("close") {
                    client = Client::new(address);
                }
            }
            other => {
                failed.push(format!("{other:?}"));
                client = Client::new(address);
            }
        }
    }
    (done, failed)
}

#[test]
fn gateways_are_replaced_under_load_and_no_request_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("app.sock");
    let _app = App::start(&socket, |conversation, _| {
        while conversation.request().is_some() {
            conversation.say(&ok("x"));
        }
    });
    let target = Target::Upstream {
        address: format!("unix:{}", socket.display()),
        ready: None,
        jwt: None,
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let start = || {
        let copy = listener.try_clone().expect("cloned");
        common::Gateway::on(copy, &[("app", target.clone())], |_| {})
    };
    let mut gateway = start();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let results: Vec<_> = std::thread::scope(|scope| {
        let users: Vec<_> = (0..8)
            .map(|number| {
                let stop = &stop;
                scope.spawn(move || user(address, number, stop))
            })
            .collect();
        for _ in 0..10 {
            let mut old = std::mem::replace(&mut gateway, start());
            // Ends only when each of its connections has had its last answer.
            old.left();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        users
            .into_iter()
            .map(|user| user.join().expect("a user"))
            .collect()
    });
    let done: usize = results.iter().map(|(done, _)| done).sum();
    let failed: Vec<_> = results.into_iter().flat_map(|(_, failed)| failed).collect();
    assert!(
        failed.is_empty(),
        "{} of {done} failed: {:?}",
        failed.len(),
        failed.first()
    );
    assert!(done > 20, "{done}");
}

#[test]
fn idle_connections_are_closed_at_once_only_if_nobody_takes_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("app.sock");
    let _app = App::start(&socket, |conversation, _| {
        while conversation.request().is_some() {
            conversation.say(&ok("x"));
        }
    });
    let target = Target::Upstream {
        address: format!("unix:{}", socket.display()),
        ready: None,
        jwt: None,
    };
    let start = || common::Gateway::start(&[("app", target.clone())], |_| {});
    // The end of everything: the time for the longest hold (50 s here) is not waited for.
    let mut gateway = start();
    let mut client = gateway.client();
    client.get("/");
    assert_eq!(client.answer().status, 200);
    gateway.leave_for_good();
    assert!(client.is_closed());
    gateway.left();
    // Replaced: the next request is answered, and is the last.
    let mut gateway = start();
    let mut client = gateway.client();
    client.get("/");
    assert_eq!(client.answer().status, 200);
    gateway.leave();
    let until = std::time::Instant::now() + LIMIT;
    loop {
        client.get("/");
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        // It may have been on its way before the word to leave was.
        if answer.header("Connection") == Some("close") {
            break;
        }
        assert!(std::time::Instant::now() < until, "never told to close");
    }
    gateway.left();
}
