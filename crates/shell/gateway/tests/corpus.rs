//! The corpus of malformed and ambiguous requests, sent to a whole gateway with a recording program behind it.

mod common;
#[path = "../../../pure/h1/tests/corpus/reader.rs"]
mod corpus;

use std::io::Read;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use common::{App, LIMIT, Scene, find, ok};
use corpus::{Answer, CLIENT, Case, Program};
use wire::Phase;

/// Answers a complete request, and records all that came until the gateway closes or is quiet.
fn recorder(scene: &Scene) -> App {
    App::start(&scene.socket(1), |conversation, see| {
        let mut read = Vec::new();
        let mut piece = [0; 65536];
        let wait = Some(Duration::from_millis(50));
        conversation.stream.set_read_timeout(wait).expect("set");
        loop {
            match conversation.stream.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => read.extend_from_slice(&piece[..count]),
                // Quiet: whatever more there may be is not part of the request.
                Err(_) if is_whole(&read) => {
                    conversation.say(
                        "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nrecorded",
                    );
                    break;
                }
                Err(_) => {}
            }
        }
        _ = see.send(String::from_utf8_lossy(&read).into_owned());
    })
}

fn is_whole(read: &[u8]) -> bool {
    let Some(end) = find(read, b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => read.len() >= end + 4 + length,
        None => !head.contains("transfer-encoding") || read.ends_with(b"0\r\n\r\n"),
    }
}

fn seen(from: &Receiver<String>, wait: Duration) -> Option<String> {
    from.recv_timeout(wait)
        .ok()
        .filter(|bytes| !bytes.is_empty())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .into_owned()
        .replace(CLIENT, "127.0.0.1")
}

/// Takes a recorded request apart: head, and content without transfer coding.
fn split(seen: &str) -> (String, String) {
    let end = find(seen.as_bytes(), b"\r\n\r\n").map_or(seen.len(), |at| at + 4);
    let (head, mut rest) = seen.split_at(end);
    if !head.to_lowercase().contains("transfer-encoding") {
        return (head.to_owned(), rest.to_owned());
    }
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a strict chunk size");
        if size == 0 {
            assert_eq!(after, "\r\n", "trailers or more behind the body");
            break;
        }
        body.push_str(&after[..size]);
        rest = after[size..].strip_prefix("\r\n").expect("a strict chunk");
    }
    (head.to_owned(), body)
}

fn run(case: &Case) -> Result<(), String> {
    let scene = Scene::with(Phase::Ready, |config| {
        // Only where the end of it is waited for: a loaded machine may take long to read a whole head.
        let waits = matches!(case.answer, Answer::Wait);
        config.listeners[0].head_ms_max = if waits { 300 } else { 20_000 };
        // As in the codec's own run: the default of `h1::Limits`.
        config.listeners[0].body_bytes_max = h1::BODY_BYTES_MAX;
    });
    let app = recorder(&scene);
    let mut client = scene.gateway.client();
    // The gateway may close before it has read all of it.
    _ = std::io::Write::write_all(&mut client.stream, &case.send);
    let name = &case.name;
    let fail = |what: String| Err(format!("{name}: {what}"));
    match &case.answer {
        Answer::Refused(status, _) => {
            let answer = client
                .try_answer()
                .map_err(|error| format!("{name}: {error}"))?;
            if answer.status != *status || answer.header("connection") != Some("close") {
                return fail(format!(
                    "{} instead of {status}: {}",
                    answer.status, answer.head
                ));
            }
            if !client.is_closed() {
                return fail("not closed".into());
            }
        }
        Answer::Forwarded => {
            let answer = client
                .try_answer()
                .map_err(|error| format!("{name}: {error}"))?;
            let head_only = case.send.starts_with(b"HEAD");
            if answer.status != 200 || (answer.body != "recorded" && !head_only) {
                return fail(format!("not forwarded: {}{}", answer.head, answer.body));
            }
        }
        Answer::Wait => {
            // Nothing is answered before the time-out; then 408, or nothing where nothing had come.
            let wait = Some(Duration::from_millis(600));
            client.stream.set_read_timeout(wait).expect("set");
            if let Ok(answer) = client.try_answer()
                && answer.status != 408
            {
                return fail(format!("answered: {}", answer.head));
            }
        }
    }
    let wait = match case.program {
        Program::Nothing => Duration::ZERO,
        Program::Part => Duration::from_millis(300),
        Program::Head(_) => LIMIT,
    };
    if matches!(case.program, Program::Part | Program::Nothing) {
        drop(client);
    }
    let seen = seen(&app.seen, wait);
    match (&case.program, seen) {
        (Program::Nothing, None) | (Program::Part, None) => Ok(()),
        (Program::Nothing, Some(seen)) => fail(format!("the program saw {seen:?}")),
        (Program::Part, Some(seen)) => match seen.ends_with("0\r\n\r\n") {
            true => fail(format!("the program saw a whole request: {seen:?}")),
            false => Ok(()),
        },
        (Program::Head(_), None) => fail("the program saw nothing".into()),
        (Program::Head(head), Some(seen)) => {
            let (got, body) = split(&seen);
            if got != text(head) {
                return fail(format!("head\n{got:?}\nnot\n{:?}", text(head)));
            }
            match body == text(&case.body) {
                true => Ok(()),
                false => fail(format!("body {body:?}")),
            }
        }
    }
}

#[test]
fn every_case_of_the_corpus() {
    let cases = corpus::cases();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut failures = Vec::new();
                    while let Some(case) =
                        cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                    {
                        failures.extend(run(case).err());
                    }
                    failures
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("ran"))
            .collect()
    });
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
    // The helper's own answer is a valid one.
    assert!(ok("recorded").ends_with("recorded"));
}
