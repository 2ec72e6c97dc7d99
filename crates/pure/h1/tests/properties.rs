//! What holds for all input: pieces do not matter, coding is undone, nothing is smuggled through a rewrite.

use h1::body::Decoder;
use h1::request::{self, Forward, RequestHead};
use h1::response::{self, Asked, BodyAs, Deliver, ResponseHead};
use h1::{BodyError, Framing, Limits, Reject, Scan, Status, chunk};
use proptest::prelude::*;

const MAX: u64 = 1 << 20;

/// Parses as a connection would, with reads that end at `cuts`.
fn in_pieces(bytes: &[u8], cuts: &[usize]) -> (Result<Status, Reject>, RequestHead) {
    let (mut scan, mut head) = (Scan::default(), RequestHead::default());
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(bytes.len());
    let mut got = Ok(Status::Partial);
    for end in ends {
        got = request::parse(&bytes[..end], &mut scan, &Limits::default(), &mut head);
        if got != Ok(Status::Partial) {
            break;
        }
    }
    (got, head)
}

/// Requests that are nearly right: lines from a list, sometimes with a damaged byte.
fn nearly_a_request() -> impl Strategy<Value = Vec<u8>> {
    let first = prop::sample::select(vec![
        "GET / HTTP/1.1",
        "POST /a?b HTTP/1.1",
        "GET / HTTP/1.0",
        "OPTIONS * HTTP/1.1",
        "GET http://a/x HTTP/1.1",
        "HEAD /",
        "PUT http://b HTTP/1.1",
        "TRACE / HTTP/1.1",
        "GET / HTTP/2.0",
        "get / HTTP/1.1",
        "\r\nGET / HTTP/1.1",
        "GET /#a HTTP/1.1",
    ]);
    let line = prop::sample::select(vec![
        "Host: a",
        "Host: a",
        "host:b",
        "Content-Length: 5",
        "Content-Length: +5",
        "content-length: 0",
        "Transfer-Encoding: chunked",
        "transfer-encoding: gzip",
        "Connection: close",
        "Connection: keep-alive, x-a",
        "Connection: host",
        "X-A: 1",
        "X_A: 2",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Upgrade: h2c",
        "Expect: 100-continue",
        "X-Forwarded-For: 1.2.3.4",
        "Cookie: a=b",
        "Authorization: x",
        " folded",
        ": empty",
        "Nothing",
        "X:",
        "X: \t y \t",
        "Steadfast-User: 1",
        "TE: trailers",
    ]);
    let end = prop::sample::select(vec![
        "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n",
    ]);
    let lines = prop::collection::vec((line, end), 0..6);
    let damage = prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>()));
    (
        first,
        lines,
        damage,
        prop::collection::vec(any::<u8>(), 0..20),
    )
        .prop_map(|(first, lines, damage, body)| {
            let mut bytes = format!("{first}\r\nHost: a\r\n").into_bytes();
            for (line, end) in lines {
                bytes.extend_from_slice(line.as_bytes());
                bytes.extend_from_slice(end.as_bytes());
            }
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&body);
            if let Some((at, byte)) = damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
}

proptest! {
    /// However a head arrives, it is accepted or refused for the same reason. (A head that never ends may be refused
    /// early or not at all, depending on the pieces; it is never accepted.)
    #[test]
    fn pieces_do_not_matter(bytes in nearly_a_request(), cuts in prop::collection::vec(any::<usize>(), 0..5)) {
        let (whole, whole_head) = in_pieces(&bytes, &[]);
        let (pieces, head) = in_pieces(&bytes, &cuts);
        if whole == Ok(Status::Complete) {
            prop_assert_eq!(format!("{head:?}"), format!("{whole_head:?}"));
        }
        if whole != pieces {
            let ended = bytes.windows(4).any(|part| part == b"\r\n\r\n");
            prop_assert!(!ended && pieces == Ok(Status::Partial), "{:?} {:?}", whole, pieces);
        }
    }

    /// What is accepted and rewritten is accepted again, with the same framing, path and host, and is not rewritten
    /// a second time: the program cannot see another message than we did.
    #[test]
    fn rewritten_requests_say_the_same(bytes in nearly_a_request()) {
        let (Ok(Status::Complete), head) = in_pieces(&bytes, &[]) else { return Ok(()) };
        let forward = Forward { client: b"203.0.113.9", proto: b"http", host: b"a", ..Default::default() };
        let mut out = Vec::new();
        request::write_upstream(&mut out, &head, &bytes, &forward);
        let (got, again) = in_pieces(&out, &[]);
        prop_assert_eq!(got, Ok(Status::Complete));
        prop_assert_eq!(again.len, out.len());
        prop_assert_eq!(again.framing, head.framing);
        prop_assert_eq!(again.method, head.method);
        prop_assert_eq!(again.upgrade, head.upgrade);
        prop_assert!(again.keep_alive);
        let mut twice = Vec::new();
        request::write_upstream(&mut twice, &again, &out, &forward);
        prop_assert_eq!(twice, out);
    }

    /// No input at all makes the parsers panic, and a body's accounting stays within its input.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = in_pieces(&bytes, &[]);
        let mut head = ResponseHead::default();
        let _ = response::parse(&bytes, &mut Scan::default(), Asked::default(), &Limits::default(), &mut head);
        for mut decoder in [Decoder::payload(Framing::Chunked, MAX), Decoder::framed(Framing::Chunked, MAX)] {
            if let Ok(progress) = decoder.decode(&bytes) {
                prop_assert!(progress.consumed <= bytes.len() && progress.data.end <= progress.consumed);
            }
        }
    }

    /// decode(encode(x)) = x, in any pieces, in both forms; what follows the body is not touched.
    #[test]
    fn chunks_are_undone(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        noise in prop::collection::vec("(;[a-z=]{0,5})?", 7),
        trailer in prop::option::of("[A-Z][a-z]{0,5}: [a-z ]{0,8}\r\n"),
        step in 1..50_usize,
    ) {
        let mut bytes = Vec::new();
        for (part, noise) in parts.iter().zip(&noise) {
            bytes.extend_from_slice(format!("{:X}{noise}\r\n", part.len()).as_bytes());
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(chunk::CRLF);
        }
        bytes.extend_from_slice(format!("0{}\r\n{}\r\nNEXT", noise[6], trailer.unwrap_or_default()).as_bytes());
        let content = parts.concat();
        let (payload, at) = decoded(Decoder::payload(Framing::Chunked, MAX), &bytes, step).expect("valid chunks");
        prop_assert_eq!(&payload, &content);
        prop_assert_eq!(&bytes[at..], b"NEXT");
        let (framed, at) = decoded(Decoder::framed(Framing::Chunked, MAX), &bytes, step).expect("valid chunks");
        prop_assert_eq!(&bytes[at..], b"NEXT");
        prop_assert!(!framed.contains(&b';') || content.contains(&b';'));
        let (again, at) = decoded(Decoder::payload(Framing::Chunked, MAX), &framed, usize::MAX / 2).expect("framed chunks");
        prop_assert_eq!((again, at), (content.clone(), framed.len()));

        let mut ours = Vec::new();
        parts.iter().for_each(|part| chunk::write(&mut ours, part));
        ours.extend_from_slice(chunk::END);
        let (again, at) = decoded(Decoder::framed(Framing::Chunked, MAX), &ours, usize::MAX / 2).expect("our chunks");
        prop_assert_eq!((&again, at), (&ours, ours.len()));
    }

    /// An answer that is delivered parses again, and its head says how the body is sent.
    #[test]
    fn delivered_answers_say_how_their_body_ends(
        code in prop::sample::select(vec![200_u16, 204, 206, 304, 404, 500]),
        lines in prop::collection::vec(prop::sample::select(vec![
            "Content-Length: 0", "Content-Length: 3", "Transfer-Encoding: chunked", "Connection: close", "Connection: keep-alive, X-A", "X-A: 1",
            "Content-Type: text/event-stream", "Steadfast-Sign-In: 7", "Keep-Alive: timeout=5", "Set-Cookie: a=b", "Trailer: X",
        ]), 0..4),
        minor in 0..2_u8, head in any::<bool>(), keep_alive in any::<bool>(), client_is_1_0 in any::<bool>(),
        end_apart in any::<bool>(),
    ) {
        let bytes = format!("HTTP/1.{minor} {code} Yes\r\n{}\r\n", lines.iter().map(|line| format!("{line}\r\n")).collect::<String>());
        let bytes = bytes.as_bytes();
        let (asked, mut got) = (Asked { head, websocket: false }, ResponseHead::default());
        let limits = Limits::default();
        if response::parse(bytes, &mut Scan::default(), asked, &limits, &mut got).is_err() {
            return Ok(());
        }
        let mut out = Vec::new();
        let deliver = Deliver { keep_alive, client_is_1_0, end_apart, extra: b"Server-Timing: hold;dur=1\r\n" };
        let delivered = response::write_downstream(&mut out, &got, bytes, &deliver);
        let mut again = ResponseHead::default();
        let parsed = response::parse(&out, &mut Scan::default(), asked, &limits, &mut again);
        prop_assert_eq!(parsed, Ok(Status::Complete));
        let wanted = match delivered.body {
            BodyAs::Nothing => Framing::None,
            BodyAs::Plain => if let Framing::Length(_) = got.framing { got.framing } else { Framing::UntilClose },
            BodyAs::Chunks | BodyAs::Rechunked => Framing::Chunked,
            BodyAs::Tunnel => unreachable!("no upgrade was asked for"),
        };
        prop_assert_eq!(again.framing, wanted);
        prop_assert_eq!(again.keep_alive, delivered.keep_alive);
        prop_assert!(!delivered.keep_alive || (keep_alive && again.framing != Framing::UntilClose));
        prop_assert!(!(client_is_1_0 && again.framing == Framing::Chunked));
        let text = String::from_utf8_lossy(&out).to_ascii_lowercase();
        for gone in ["steadfast-", "keep-alive: timeout", "trailer:"] {
            prop_assert!(!text.contains(gone), "{}", text);
        }
    }
}

/// Decodes in pieces of `step`; returns what was handed out and where the body ended.
fn decoded(mut decoder: Decoder, bytes: &[u8], step: usize) -> Result<(Vec<u8>, usize), BodyError> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() && !decoder.is_finished() {
        let input = &bytes[at..(at + step).min(bytes.len())];
        let progress = decoder.decode(input)?;
        out.extend_from_slice(&input[progress.data]);
        at += progress.consumed;
    }
    assert!(decoder.is_finished());
    Ok((out, at))
}
