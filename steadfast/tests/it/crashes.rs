//! What is killed comes back, and nobody but the request that it was killed with notices.

use crate::harness::{Backend, Wanted, eventually, seconds, tell};
use rustix::process::Signal;
use std::time::Instant;
use storm::client::Request;
use storm::load::{End, Log};
use storm::procfs;
use storm::wait::PATIENCE;

/// GETs succeeded; failed POSTs are such that the program had read; nothing ran twice; nobody was signed out.
fn assert_only_read_posts_failed(backend: &Backend, what: &str, log: &Log) {
    tell(what, log);
    let why = || format!("{what}: {}", log.describe_bad());
    assert!(log.bad_gets().is_empty(), "{}", why());
    let effects = backend.effects();
    for sample in log.bad_posts() {
        assert_eq!(sample.end, End::MayHaveRun, "{}", why());
    }
    let (ran, not): (Vec<_>, Vec<_>) = log.bad_posts().into_iter().partition(|sample| {
        sample
            .id
            .as_ref()
            .is_some_and(|id| effects.contains_key(id))
    });
    crate::harness::figure(
        what,
        &format!(
            "of the failed POSTs {} had run by the app's log, {} not yet",
            ran.len(),
            not.len()
        ),
    );
    backend.assert_no_effect_twice(log);
    assert_eq!(log.sign_outs(), 0);
}

#[test]
fn five_sigkills_of_uvicorn_lose_no_get_and_only_posts_that_it_had_read() {
    let backend = Backend::example("");
    let log = backend.under_load(backend.plan(), 5, |backend, load| {
        let pid = backend.pid();
        assert!(procfs::signal(pid, Signal::KILL));
        let now = Instant::now();
        eventually("good answer after the kill", seconds(20), || {
            load.good_since(now).then_some(())
        });
        eventually("new pid", seconds(20), || {
            (backend.pid() != pid).then_some(())
        });
    });
    assert_only_read_posts_failed(&backend, "5 x SIGKILL of uvicorn", &log);
}

#[test]
fn five_sigkills_of_the_daemon_lose_nothing_and_the_program_keeps_its_pid() {
    let backend = Backend::example("");
    let pid = backend.pid();
    let log = backend.under_load(backend.plan(), 5, |backend, _| {
        let daemon = backend.installation.daemon_pid().expect("a daemon");
        assert!(procfs::signal(daemon, Signal::KILL));
        eventually("another daemon", seconds(20), || {
            backend
                .installation
                .daemon_pid()
                .filter(|pid| *pid != daemon)
        });
        assert_eq!(backend.pid(), pid);
    });
    assert_eq!(backend.pid(), pid);
    backend.assert_nothing_failed("5 x SIGKILL of the daemon", &log);
}

#[test]
fn three_sigkills_of_root_followed_by_a_new_run_lose_nothing_and_pids_stay() {
    let mut backend = Backend::example("");
    let pid = backend.pid();
    let gateway = gateway_pid(&backend);
    let time = crate::harness::load_time();
    let load = storm::load::Running::start(backend.plan()).expect("users");
    assert!(load.wait_good(100, PATIENCE));
    let begun = Instant::now();
    for number in 0..3 {
        let daemon = backend.installation.daemon_pid().expect("a daemon");
        backend.installation.kill_root();
        eventually("end of the daemon", seconds(10), || {
            (!procfs::lives(daemon)).then_some(())
        });
        assert!(load.wait_good(20, PATIENCE), "without root and daemon");
        backend.installation.run().expect("a new run");
        backend.come_up();
        assert_eq!((backend.pid(), gateway_pid(&backend)), (pid, gateway));
        let next = time * (number + 1) / 3;
        storm::wait::pace(next.saturating_sub(begun.elapsed()), &|| false);
    }
    let log = load.stop();
    backend.assert_nothing_failed("3 x SIGKILL of root and a new run", &log);
    // The adopted keeper is a full member: the next restart is as good as any.
    backend.say(&["restart", "backend"], 0);
    assert_ne!(backend.pid(), pid);
}

fn gateway_pid(backend: &Backend) -> i32 {
    let processes = backend.installation.processes();
    let gateway = processes.iter().find(|process| process.has("__gateway"));
    gateway.expect("a gateway").pid
}

#[test]
fn a_crash_while_the_daemon_is_stopped_loses_no_get() {
    let backend = Backend::example("");
    let pid = backend.pid();
    let daemon = backend.installation.daemon_pid().expect("a daemon");
    let log = backend.under_load(backend.plan(), 1, |_, load| {
        assert!(procfs::signal(daemon, Signal::STOP));
        assert!(procfs::signal(pid, Signal::KILL));
        let now = Instant::now();
        eventually(
            "good answer while the daemon is stopped",
            seconds(20),
            || load.good_since(now).then_some(()),
        );
        assert!(load.wait_good(50, PATIENCE));
        assert!(procfs::signal(daemon, Signal::CONT));
        eventually("the daemon's word", seconds(30), || {
            let now = backend.installation.pid("backend");
            now.filter(|now| *now != pid)
        });
    });
    assert_only_read_posts_failed(&backend, "a crash while the daemon is stopped", &log);
    // It learns afterwards what it has missed.
    eventually("the crash in the history", seconds(10), || {
        let said = backend.installation.say(&["history", "backend"]).ok()?;
        said.stdout.contains("KILL").then_some(())
    });
}

#[test]
fn a_hung_program_is_restarted_when_it_is_unhealthy() {
    let backend = Backend::example("keepalive = 3s\nunhealthy = restart after 3");
    let pid = backend.pid();
    let log = backend.under_load(backend.plan(), 1, |backend, load| {
        assert!(procfs::signal(pid, Signal::STOP));
        let begun = Instant::now();
        let after = eventually("another pid", seconds(40), || {
            backend
                .installation
                .wait_ready("backend", seconds(0))
                .filter(|now| *now != pid)
        });
        let now = Instant::now();
        eventually("good answer", seconds(20), || {
            load.good_since(now).then_some(())
        });
        crate::harness::figure(
            "hang to ready again",
            &format!(
                "{:.1} s, pid {pid} -> {after}",
                begun.elapsed().as_secs_f64()
            ),
        );
    });
    assert_only_read_posts_failed(
        &backend,
        "SIGSTOP of uvicorn, unhealthy = restart after 3",
        &log,
    );
}

#[test]
fn a_get_that_kills_the_program_ends_in_502_after_two_repeats_and_takes_no_other_get_along() {
    let backend = Backend::start();
    let load = storm::load::Running::start(storm::load::Plan {
        post: None,
        ..backend.plan()
    })
    .expect("users");
    assert!(load.wait_good(100, PATIENCE));
    let answer = backend.ask(&Request::get("/api/kill")).expect("an answer");
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(
        load.wait_good(100, seconds(60)),
        "{}",
        load.stop().describe_bad()
    );
    let log = load.stop();
    tell("a GET that kills the program", &log);
    assert_eq!(log.bad().count(), 0, "{}", log.describe_bad());
    assert_eq!(
        backend.effects().get("killed"),
        Some(&3),
        "once and two repeats"
    );
}

#[test]
fn a_killed_keeper_takes_its_tree_along_keeps_the_listener_open_and_is_back() {
    let backend = Wanted {
        environment: ",GRANDCHILD=\"86399\"",
        ..Wanted::default()
    }
    .start();
    let pid = backend.pid();
    let grandchild = eventually("grandchild", seconds(5), || {
        backend
            .installation
            .processes()
            .into_iter()
            .find(|process| process.has("86399"))
    });
    let keeper = backend.installation.keeper_of(pid).expect("a keeper");
    assert_ne!(keeper, backend.installation.root_pid());
    assert!(procfs::signal(keeper, Signal::KILL));
    eventually("end of the tree", seconds(10), || {
        (!procfs::lives(pid) && !procfs::lives(grandchild.pid)).then_some(())
    });
    // The port is open all the while: a connection is never refused.
    let answer = backend
        .ask(&Request::get("/api/health"))
        .expect("held until it is back");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_ne!(backend.pid(), pid);
}

#[test]
fn a_killed_gateway_is_back_and_its_port_was_never_closed() {
    let backend = Backend::start();
    let gateway = gateway_pid(&backend);
    assert!(procfs::signal(gateway, Signal::KILL));
    let answer = backend
        .ask(&Request::get("/api/health"))
        .expect("queued on the listener until it is back");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_ne!(gateway_pid(&backend), gateway);
}
