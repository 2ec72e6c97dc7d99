//! Restarts under load lose nothing, whoever asks for them and however they are done.

use crate::harness::{Backend, Wanted, seconds};
use std::time::Instant;
use storm::client::{Client, Request};
use storm::load::Plan;

#[test]
fn five_restarts_under_load_lose_nothing() {
    let backend = Backend::example("");
    let before = backend.pid();
    let log = backend.under_load(backend.plan(), 5, |backend, _| {
        backend.say(&["restart", "backend"], 0);
    });
    assert_ne!(backend.pid(), before);
    backend.assert_nothing_failed("5 x steadfast restart", &log);
}

#[test]
fn five_restarts_under_load_of_fresh_connections_lose_nothing() {
    let backend = Backend::example("");
    let plan = Plan {
        keep_alive: false,
        ..backend.plan()
    };
    let log = backend.under_load(plan, 5, |backend, _| {
        backend.say(&["restart", "backend"], 0);
    });
    backend.assert_nothing_failed("5 x steadfast restart, fresh connections", &log);
}

#[test]
fn five_restarts_by_the_real_supervisorctl_under_load_lose_nothing() {
    let backend = Backend::example("");
    let log = backend.under_load(backend.plan(), 5, |backend, _| {
        let said = backend.supervisorctl(&["restart", "backend"]);
        assert_eq!(
            (said.exit, said.stdout.as_str()),
            (0, "backend: stopped\nbackend: started\n"),
            "{}",
            said.stderr
        );
    });
    backend.assert_nothing_failed("5 x supervisorctl restart", &log);
}

#[test]
fn five_overlapping_restarts_of_the_fastapi_app_lose_nothing() {
    let backend = Backend::example("replace = overlap");
    let log = backend.under_load(backend.plan(), 5, |backend, _| {
        backend.say(&["restart", "backend"], 0);
    });
    backend.assert_nothing_failed("5 x steadfast restart, overlap", &log);
}

#[test]
fn three_overlapping_restarts_under_load_lose_nothing_and_nobody_waits_for_the_start() {
    let backend = Wanted {
        environment: ",BOOT_S=\"8\"",
        ..Wanted::keys("replace = overlap")
    }
    .start();
    let log = backend.under_load(backend.plan(), 3, |backend, _| {
        backend.say(&["restart", "backend"], 0);
    });
    backend.assert_nothing_failed("3 x steadfast restart, overlap, a start of 8 s", &log);
    assert!(
        log.longest() < seconds(7),
        "somebody waited {:?}, as long as the start takes",
        log.longest()
    );
}

#[test]
fn five_restarts_by_the_real_supervisorctl_with_overlap_lose_nothing() {
    let backend = Backend::example("replace = overlap");
    let log = backend.under_load(backend.plan(), 5, |backend, _| {
        let said = backend.supervisorctl(&["restart", "backend"]);
        assert_eq!(said.exit, 0, "{}", said.text());
    });
    backend.assert_nothing_failed("5 x supervisorctl restart, overlap", &log);
}

#[test]
fn an_endless_event_stream_does_not_hold_up_a_restart() {
    let backend = Wanted::keys("drain_timeout = 90s\nstopwaitsecs = 5").start();
    let target = backend.target();
    let listener = std::thread::spawn(move || {
        crate::harness::on_runtime(async {
            Client::new(target, true, seconds(60))
                .ask(&Request::get("/api/events"))
                .await
        })
    });
    let log = backend.installation.path("backend.log");
    crate::harness::eventually("event stream in the app's access log", seconds(30), || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.contains("/api/events").then_some(())
    });
    let begun = Instant::now();
    backend.say(&["restart", "backend"], 0);
    let took = begun.elapsed();
    assert!(took < seconds(80), "it was drained: {took:?}");
    let end = listener.join().expect("the listener's thread");
    let answer = end.expect("a stream that ends cleanly");
    assert!(answer.text().contains("data: 1\n"), "{}", answer.text());
}

#[test]
fn requests_in_flight_finish_before_the_program_is_stopped() {
    let backend = Backend::start();
    let target = backend.target();
    let slow = std::thread::spawn(move || {
        crate::harness::ask(target, &Request::get("/api/slow?s=5&slow"))
    });
    crate::harness::eventually("request in flight", seconds(5), || {
        backend.effects().contains_key("slow").then_some(())
    });
    backend.say(&["restart", "backend"], 0);
    let answer = slow.join().expect("the thread").expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
}
