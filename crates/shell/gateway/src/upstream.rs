//! An upstream with `ready` that was found unreachable: it is asked until it says that it is ready.
//!
//! A program's keeper tells when it is ready. Nobody tells that of a server that somebody else runs, so whoever can connect
//! is served, which is wrong for one that accepts before its app works. With `ready = http:PATH` a connect proves nothing
//! once one has failed: requests wait, as for a program that starts, until the server answers that path with 2xx. While it
//! is reachable nothing is asked; each worker asks for itself.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use h1::response::{Answer, Asked, ResponseHead};
use h1::{Limits, Scan, Status};
use routes::Ready;

use crate::buf::Buf;
use crate::connect::{self, Whose};
use crate::limits::{
    CLIENT_BYTES_FIRST, READY_PAUSE_MS, READY_PAUSE_PART, READY_TRY_MS, STREAM_BYTES,
};
use crate::target::Target;
use crate::worker::Worker;

/// Asks whenever it is away, for good, in a task of its own.
pub(crate) fn start(worker: Rc<Worker>, target: Rc<Target>, address: String, ready: Ready) {
    let of = Rc::new((worker, target, address, ready));
    let follows = move || {
        let of = of.clone();
        async move { follow(&of.0, &of.1, &of.2, &of.3).await }
    };
    tokio::task::spawn_local(bugs::again("questions to an upstream", follows));
}

async fn follow(worker: &Worker, target: &Target, address: &str, ready: &Ready) {
    let (mut since, mut back_ms) = (0, None);
    loop {
        target.goes_away().await;
        let now_ms = sys::clock::mono_ms();
        if again(back_ms, now_ms) {
            // It says that it is ready and takes no connection all the same: no question without a pause.
            tokio::time::sleep(Duration::from_millis(pause_ms(now_ms - since))).await;
        } else {
            since = now_ms;
        }
        let waited = || sys::clock::mono_ms().saturating_sub(since);
        let mut told = false;
        while let Err(why) = in_time(address, ready).await {
            if !told {
                let (name, path) = (&target.name, &ready.path);
                let text =
                    format!("{name} is away ({path}: {why}); requests wait until it is ready");
                worker.notes.say(&text);
                told = true;
            }
            tokio::time::sleep(Duration::from_millis(pause_ms(waited()))).await;
        }
        if told {
            let text = format!("{} is ready again after {} ms", target.name, waited());
            worker.notes.say(&text);
        }
        target.back(&worker.room);
        back_ms = Some(sys::clock::mono_ms());
    }
}

/// Whether it was back so short a time ago that it is the same time away.
fn again(back_ms: Option<u64>, now_ms: u64) -> bool {
    back_ms.is_some_and(|back_ms| now_ms.saturating_sub(back_ms) < READY_PAUSE_MS.1)
}

fn pause_ms(waited_ms: u64) -> u64 {
    (waited_ms / READY_PAUSE_PART).clamp(READY_PAUSE_MS.0, READY_PAUSE_MS.1)
}

async fn in_time(address: &str, ready: &Ready) -> Result<(), String> {
    let limit = Duration::from_millis(READY_TRY_MS);
    let asked = tokio::time::timeout(limit, ask(address, ready)).await;
    asked.unwrap_or_else(|_| Err(format!("no answer within {READY_TRY_MS} ms")))
}

/// One question on a connection of its own.
async fn ask(address: &str, ready: &Ready) -> Result<(), String> {
    let words = |error: io::Error| error.to_string();
    let mut stream = connect::open(address, Whose::Anybody)
        .await
        .map_err(words)?;
    let question = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: steadfast-check\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        ready.path, ready.host
    );
    let mut at = 0;
    while at < question.len() {
        let rest = &question.as_bytes()[at..];
        at += poll_fn(|cx| stream.poll_write(cx, rest))
            .await
            .map_err(words)?;
    }
    let (mut buf, mut scan) = (Buf::new(CLIENT_BYTES_FIRST), Scan::default());
    let mut head = ResponseHead::default();
    loop {
        let parsed = h1::response::parse(
            buf.bytes(),
            &mut scan,
            Asked::default(),
            &Limits::default(),
            &mut head,
        );
        match parsed {
            Ok(Status::Complete) if head.answer == Answer::Final => {
                return match head.code {
                    200..=299 => Ok(()),
                    code => Err(format!("answers {code}")),
                };
            }
            Ok(Status::Complete) => buf.consume(head.len),
            Ok(Status::Partial) => {
                let room = buf.room(STREAM_BYTES).ok_or("its head is too long")?;
                let read = poll_fn(|cx| stream.poll_read(cx, room)).await;
                match read.map_err(words)? {
                    0 => return Err("closes without an answer".to_owned()),
                    count => buf.filled(count),
                }
            }
            Err(_) => return Err("its answer is not HTTP".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_soon_and_then_at_every_eighth_of_the_time_waited() {
        let pauses = [0, 400, 4_000, 60_000].map(pause_ms);
        assert_eq!(pauses, [20, 50, 500, 1_000]);
        let flaps = [(None, 5), (Some(0), 999), (Some(0), 1_000)];
        assert_eq!(
            flaps.map(|(back, now)| again(back, now)),
            [false, true, false]
        );
    }
}
