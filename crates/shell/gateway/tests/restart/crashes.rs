//! What a crash leaves of a request: sent again, or told.

use crate::common::{self, App, Client, LIMIT, Scene, get, ok, post};
use crate::{counts, gate};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use wire::{Notice, Phase};

#[test]
fn unread_requests_of_any_method_are_sent_again() {
    let scene = Scene::new(Phase::Ready);
    let app = App::start(&scene.socket(1), |conversation, see| {
        if conversation.number < 3 {
            return;
        }
        while let Some(request) = conversation.request() {
            _ = see.send(request);
            conversation.say(&ok("third"));
        }
    });
    let answer = scene.gateway.ask(&post("/", "once"));
    assert_eq!((answer.status, answer.body.as_str()), (200, "third"));
    app.saw();
    app.saw_nothing_else();
}

#[test]
fn unread_on_an_idle_connection_just_as_it_closes() {
    let scene = Scene::new(Phase::Ready);
    let app = App::start(&scene.socket(1), |conversation, see| {
        // One request a connection, then it closes without a word, as at the end of a keep-alive time-out.
        if let Some(request) = conversation.request() {
            _ = see.send(request);
            conversation.say(&ok("x"));
        }
    });
    let mut client = scene.gateway.client();
    for _ in 0..200 {
        client.send(&post("/", "x"));
        assert_eq!(client.answer().status, 200);
        app.saw();
    }
    app.saw_nothing_else();
}

#[test]
fn handed_over_and_not_repeatable_is_a_502() {
    let scene = Scene::new(Phase::Ready);
    let app = App::start(&scene.socket(1), |conversation, see| {
        if let Some(request) = conversation.request() {
            _ = see.send(request);
        }
    });
    let answer = scene.gateway.ask(&post("/", "x"));
    assert_eq!(answer.status, 502);
    assert!(answer.body.contains("may have run"), "{}", answer.body);
    app.saw();
    app.saw_nothing_else();
    let counts = counts(&scene, |counts| counts.failed == 1);
    assert_eq!(counts.may_have_run, 1);
}

#[test]
fn handed_over_and_repeatable_is_repeated_twice_at_most() {
    let scene = Scene::new(Phase::Ready);
    let app = App::start(&scene.socket(1), |conversation, see| {
        if let Some(request) = conversation.request() {
            let kills = request.starts_with("GET /kill");
            _ = see.send(request);
            if !kills && conversation.number >= 1 {
                conversation.say(&ok("second"));
            }
        }
    });
    assert_eq!(scene.gateway.ask(&get("/")).body, "second");
    app.saw();
    app.saw();
    assert_eq!(scene.gateway.ask(&get("/kill")).status, 502);
    for _ in 0..3 {
        app.saw();
    }
    app.saw_nothing_else();
}

#[test]
fn a_second_send_is_handed_over_even_if_it_is_reset() {
    let scene = Scene::new(Phase::Ready);
    let (go, wait) = gate();
    let app = App::start(&scene.socket(1), move |conversation, see| {
        let piece = conversation.piece().unwrap_or_default();
        _ = see.send(String::from_utf8_lossy(&piece).into_owned());
        wait();
    });
    let mut client = scene.gateway.client();
    client.send(&post("/", &"x".repeat(10_000)));
    app.saw();
    go.send(()).expect("waits");
    assert_eq!(client.answer().status, 502);
    app.saw_nothing_else();
}

#[test]
fn a_small_answer_that_breaks_is_repeated_and_a_large_one_aborts() {
    let scene = Scene::new(Phase::Ready);
    let _app = App::start(&scene.socket(1), |conversation, _| {
        let first = conversation.number == 0;
        while let Some(request) = conversation.request() {
            match request.starts_with("GET /large") {
                true => {
                    conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\npart");
                    return;
                }
                false if first => {
                    conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 16384\r\n\r\npart");
                    return;
                }
                false => conversation.say(&ok("whole")),
            }
        }
    });
    assert_eq!(scene.gateway.ask(&get("/small")).body, "whole");
    let mut client = scene.gateway.client();
    client.get("/large");
    assert!(client.try_answer().is_err());
    counts(&scene, |counts| counts.failed == 1);
}

#[test]
fn a_keeper_that_falls_silent_is_found_again_and_a_crash_is_survived_meanwhile() {
    let mut scene = Scene::new(Phase::Ready);
    let app = scene.echo();
    assert_eq!(scene.gateway.ask(&get("/1")).status, 200);
    scene.keeper.die();
    drop(app);
    let mut client = scene.gateway.client();
    client.send(&post("/2", "x"));
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("set");
    assert!(client.try_answer().is_err());
    client.stream.set_read_timeout(Some(LIMIT)).expect("set");
    let _app = scene.echo();
    assert_eq!(client.answer().status, 200);
    let mut fact = scene.keeper.fact.clone();
    fact.seq = 1;
    let keeper = common::Keeper::start(&scene.keeper.path, fact);
    keeper.hears(|notice| matches!(notice, Notice::Acknowledge { seq: 1, .. }));
}

#[test]
fn a_crash_under_load_loses_no_get_and_repeats_no_post() {
    let scene = Scene::new(Phase::Ready);
    let app = scene.echo();
    let stop = std::sync::atomic::AtomicBool::new(false);
    // Fewer show nothing.
    const DONE_MIN: usize = 100;
    let answered = AtomicUsize::new(0);
    let until = Instant::now() + Duration::from_millis(1_500);
    let address = scene.gateway.address;
    let (done, failed) = std::thread::scope(|scope| {
        let users: Vec<_> = (0..10)
            .map(|user| {
                let (stop, answered) = (&stop, &answered);
                scope.spawn(move || {
                    let mut client = Client::new(address);
                    let (mut done, mut failed) = (0, 0);
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        match user % 2 {
                            0 => client.get("/"),
                            _ => client.send(&post("/", "x")),
                        }
                        let answer = client.answer();
                        done += 1;
                        answered.fetch_add(1, Relaxed);
                        if answer.status != 200 {
                            assert_eq!((user % 2, answer.status), (1, 502));
                            failed += 1;
                        }
                    }
                    (done, failed)
                })
            })
            .collect();
        let mut app = Some(app);
        while Instant::now() < until || answered.load(Relaxed) <= DONE_MIN {
            // A crash: every connection ends, the socket goes, and comes back.
            let seen = app.as_ref().map(App::saw);
            assert!(seen.is_some());
            drop(app.take());
            app = Some(scene.echo());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        users
            .into_iter()
            .map(|user| user.join().expect("a user"))
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });
    assert!(done > DONE_MIN, "{done} requests, {failed} failed");
}
