//! A real root with a scripted daemon (`src/bin/root-alone.rs`).
#![allow(missing_docs)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);

struct Root {
    process: Child,
    dir: tempfile::TempDir,
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn root(script: &str) -> Root {
    let dir = tempfile::tempdir().unwrap();
    let process = Command::new(env!("CARGO_BIN_EXE_root-alone"))
        .arg(script)
        .arg(dir.path())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    Root { process, dir }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

impl Root {
    fn lives(&self) -> u64 {
        let lives = std::fs::metadata(self.dir.path().join("lives"));
        lives.map_or(0, |meta| meta.len())
    }
    fn status(&mut self) -> Option<i32> {
        let mut status = None;
        until("root ends", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

#[test]
fn a_shutdown_survives_the_daemon_that_began_it() {
    let mut root = root("dies-in-shutdown");
    until("the daemon", || root.lives() == 1);
    sys::signal::send(root.process.id() as i32, 15).unwrap();
    assert_eq!((root.status(), root.lives()), (Some(7), 2));
}

#[test]
fn a_shutdown_by_command_survives_that_too() {
    let mut root = root("shuts-down-and-dies");
    assert_eq!((root.status(), root.lives()), (Some(7), 2));
}

#[test]
fn five_hundred_listeners_come_back_to_the_next_daemon() {
    let mut root = root("listeners");
    assert_eq!((root.status(), root.lives()), (Some(8), 1));
}

#[test]
fn a_daemon_that_closes_its_socket_is_started_again() {
    let mut root = root("closes");
    until("the second daemon", || root.lives() == 2);
    assert!(root.process.try_wait().unwrap().is_none());
}
