//! Root with a scripted daemon, for the tests of this crate: `root-alone SCRIPT DIR`.
//!
//! `DIR/lives` gets one byte for each daemon. Scripts: `dies-in-shutdown` (the first daemon dies after it began
//! to act on SIGTERM), `listeners` (the first hands over many listeners and dies, the second expects them
//! back), `closes` (the first closes its socket and lives on).

use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use sys::seq::Conn;
use wire::{Order, Tell};

/// More frames than the buffer of a socket takes (212992 bytes, some 800 for each frame).
const LISTENERS: u32 = 500;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let status = match words.as_slice() {
        [_, script, dir] => root(script, dir),
        [_, role, script, dir] if role == "daemon" => daemon(script, dir).unwrap_or(1),
        _ => 2,
    };
    std::process::exit(status);
}

fn root(script: &str, dir: &str) -> i32 {
    let Ok(null) = std::fs::File::open("/dev/null") else {
        return 2;
    };
    keeper::run_root(keeper::RootOptions {
        daemon_argv: ["root-alone", "daemon", script, dir]
            .map(str::to_owned)
            .into(),
        lock: null.into(),
        run_dir: dir.into(),
        starter: None,
        say: |_| {},
    })
}

fn daemon(script: &str, dir: &str) -> Option<i32> {
    let lives_path = Path::new(dir).join("lives");
    let mut lives = std::fs::File::options()
        .create(true)
        .append(true)
        .open(&lives_path)
        .ok()?;
    let first = lives.metadata().ok()?.len() == 0;
    let conn = Conn::from_fd(sys::fds::take(3)?).ok()?;
    let order = |order: &Order| conn.send(&wire::encode(order), &[]).ok();
    order(&Order::Up {})?;
    match (script, first) {
        ("closes", true) => {
            lives.write_all(b"1").ok()?;
            drop(conn);
            loop {
                std::thread::park();
            }
        }
        ("shuts-down-and-dies", true) => {
            lives.write_all(b"1").ok()?;
            order(&Order::ShuttingDown {})?;
            return Some(1);
        }
        ("listeners", true) => {
            lives.write_all(b"1").ok()?;
            let null = std::fs::File::open("/dev/null").ok()?;
            for number in 0..LISTENERS {
                let frame = wire::encode(&Order::KeepListener {
                    key: number.to_string(),
                });
                while conn.send(&frame, &[null.as_fd()]).is_err() {
                    std::thread::yield_now();
                }
            }
            return Some(1);
        }
        _ => {}
    }
    if script != "listeners" {
        lives.write_all(b"1").ok()?;
    }
    let mut got = 0;
    let mut frame = Vec::new();
    loop {
        rustix::event::poll(
            &mut [rustix::event::PollFd::new(
                &conn,
                rustix::event::PollFlags::IN,
            )],
            None,
        )
        .ok()?;
        let fds = conn.recv(&mut frame).ok()??;
        match wire::decode::<Tell>(&frame).ok()? {
            Tell::Signalled { signal: 15 } if first => {
                order(&Order::ShuttingDown {})?;
                return Some(1);
            }
            Tell::Signalled { signal: 15 } => order(&Order::Exit { status: 7 })?,
            Tell::Listener { .. } if fds.len() == 1 => got += 1,
            _ => {}
        }
        if got == LISTENERS {
            order(&Order::Exit { status: 8 })?;
            got = 0;
        }
    }
}
