//! Heads per second of one core: a browser's request parsed and written for the program, and an answer parsed and
//! written for the client. `cargo run --release -p h1 --example parse_rate`
#![allow(
    clippy::print_stdout,
    reason = "a measuring program, not part of the product"
)]

use h1::{Limits, Scan, Status, request, response};
use std::hint::black_box;
use std::time::Instant;

const REQUEST: &[u8] = b"GET /api/items?page=2&sort=name HTTP/1.1\r\nHost: example.org\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
Accept: application/json, text/plain, */*\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n\
Connection: keep-alive\r\nReferer: https://example.org/items\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\
Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\n\r\n";

const WRK: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8001\r\n\r\n";

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ndate: Tue, 15 Nov 1994 08:12:31 GMT\r\nserver: uvicorn\r\n\
content-length: 1024\r\ncontent-type: application/json\r\n\r\n";

/// Enough for a stable figure, short enough to run often.
const ROUNDS: u32 = 2_000_000;

fn main() {
    let limits = Limits::default();
    let (mut scan, mut out) = (Scan::default(), Vec::with_capacity(4096));
    let forward = request::Forward {
        client: b"203.0.113.9",
        proto: b"https",
        host: b"example.org",
        ..Default::default()
    };
    for (name, bytes) in [("browser request", REQUEST), ("wrk request", WRK)] {
        let mut head = request::RequestHead::default();
        measure(name, bytes.len(), || {
            let got = request::parse(black_box(bytes), &mut scan, &limits, &mut head);
            assert_eq!(got, Ok(Status::Complete));
        });
        measure(&format!("{name}, parsed and written"), bytes.len(), || {
            let got = request::parse(black_box(bytes), &mut scan, &limits, &mut head);
            assert_eq!(got, Ok(Status::Complete));
            out.clear();
            request::write_upstream(&mut out, &head, bytes, &forward);
            black_box(&out);
        });
    }
    let mut head = response::ResponseHead::default();
    measure("answer, parsed and written", ANSWER.len(), || {
        let got = response::parse(
            black_box(ANSWER),
            &mut scan,
            response::Asked::default(),
            &limits,
            &mut head,
        );
        assert_eq!(got, Ok(Status::Complete));
        out.clear();
        let deliver = response::Deliver {
            keep_alive: true,
            ..Default::default()
        };
        black_box(response::write_downstream(
            &mut out, &head, ANSWER, &deliver,
        ));
        black_box(&out);
    });
}

fn measure(name: &str, bytes: usize, mut once: impl FnMut()) {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        once();
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = f64::from(ROUNDS) / seconds;
    println!(
        "{name:<42} {bytes:>5} B  {:>6.0} ns  {:>5.2} M/s",
        1e9 / rate,
        rate / 1e6
    );
}
