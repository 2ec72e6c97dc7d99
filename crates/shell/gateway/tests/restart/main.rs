//! The table of the design, row by row, against a whole gateway.

#[path = "../common/mod.rs"]
mod common;
mod crashes;
mod gateways;
mod restarts;
mod waiting;

use common::{Answer, Client, LIMIT, Scene};
use std::time::Instant;
use wire::{Counts, Notice};

/// Holds a request until the test says go.
fn gate() -> (
    std::sync::mpsc::Sender<()>,
    impl Fn() + Send + Sync + 'static,
) {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    (go, move || {
        _ = wait.lock().expect("whole").recv_timeout(LIMIT);
    })
}

fn counts(scene: &Scene, wanted: impl Fn(&Counts) -> bool) -> Counts {
    let fits = |notice: &Notice| matches!(notice, Notice::Counted { counts } if wanted(counts));
    match scene.keeper.hears(fits) {
        Notice::Counted { counts } => counts,
        other => panic!("{other:?}"),
    }
}

fn held(answer: &Answer) -> Option<u64> {
    answer
        .header("server-timing")?
        .strip_prefix("hold;dur=")?
        .parse()
        .ok()
}

/// Reads answers, and asks for more, until one says that it is the last; its status. An answer may have been on its way
/// before the word to leave was.
fn until_last(client: &mut Client) -> u16 {
    let until = Instant::now() + LIMIT;
    loop {
        let answer = client.answer();
        if answer.header("connection") == Some("close") {
            return answer.status;
        }
        assert_eq!(answer.status, 200);
        assert!(Instant::now() < until, "never told to close");
        client.get("/more");
    }
}

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
