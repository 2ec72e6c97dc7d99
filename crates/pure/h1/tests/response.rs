//! Answers of programs: how their body ends, what a client gets to see, what is a 502.

use h1::response::{self, Answer, Asked, BodyAs, Deliver, ResponseHead};
use h1::{BadAnswer, Framing, Kind, Limits, Scan, Status};

const GET: Asked = Asked {
    head: false,
    websocket: false,
};
const HEAD: Asked = Asked {
    head: true,
    websocket: false,
};
const SOCKET: Asked = Asked {
    head: false,
    websocket: true,
};

/// Whole and byte by byte.
fn parse(text: &str, asked: Asked) -> Result<ResponseHead, BadAnswer> {
    let limits = Limits::default();
    let (mut head, mut scan) = (ResponseHead::default(), Scan::default());
    let whole = response::parse(text.as_bytes(), &mut scan, asked, &limits, &mut head);
    let mut scan = Scan::default();
    let mut slow = Ok(Status::Partial);
    for end in 1..=text.len() {
        slow = response::parse(
            &text.as_bytes()[..end],
            &mut scan,
            asked,
            &limits,
            &mut ResponseHead::default(),
        );
        if slow != Ok(Status::Partial) {
            break;
        }
    }
    assert_eq!(slow, whole, "{text:?}");
    assert_eq!(whole?, Status::Complete, "{text:?}");
    Ok(head)
}

fn framing(text: &str, asked: Asked, framing: Framing, keep_alive: bool) {
    let head = parse(text, asked).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(
        (head.framing, head.keep_alive),
        (framing, keep_alive),
        "{text:?}"
    );
}

fn refuse(text: &str, error: BadAnswer) {
    assert_eq!(
        parse(text, GET).map(|head| head.code),
        Err(error),
        "{text:?}"
    );
}

fn deliver(
    text: &str,
    asked: Asked,
    deliver: &Deliver<'_>,
    body: BodyAs,
    keep_alive: bool,
    wanted: &str,
) {
    let head = parse(text, asked).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let mut out = Vec::new();
    let got = response::write_downstream(&mut out, &head, text.as_bytes(), deliver);
    assert_eq!(String::from_utf8_lossy(&out), wanted);
    assert_eq!((got.body, got.keep_alive), (body, keep_alive), "{text:?}");
}

#[test]
fn how_bodies_end() {
    framing(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        GET,
        Framing::Length(5),
        true,
    );
    framing(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
        GET,
        Framing::Length(5),
        false,
    );
    framing(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        HEAD,
        Framing::None,
        true,
    );
    framing(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEAD,
        Framing::None,
        true,
    );
    framing(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
        GET,
        Framing::Chunked,
        true,
    );
    framing("HTTP/1.1 200 OK\r\n\r\n", GET, Framing::UntilClose, false);
    framing("HTTP/1.1 204 No Content\r\n\r\n", GET, Framing::None, true);
    framing(
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        GET,
        Framing::None,
        true,
    );
    framing(
        "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        GET,
        Framing::Length(0),
        true,
    );
    framing(
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
        GET,
        Framing::Length(5),
        false,
    );
    framing(
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
        GET,
        Framing::Length(5),
        true,
    );
    framing(
        "HTTP/1.1 200 \u{fc}ber\r\nContent-Length: 5\r\n\r\n",
        GET,
        Framing::Length(5),
        true,
    );
}

#[test]
fn kinds_of_answers() {
    let answer = |text: &str, asked| parse(text, asked).map(|head| head.answer);
    assert_eq!(
        answer("HTTP/1.1 100 Continue\r\n\r\n", GET),
        Ok(Answer::Continue)
    );
    assert_eq!(
        answer("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", GET),
        Ok(Answer::Interim)
    );
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(answer(switch, SOCKET), Ok(Answer::Switched));
    assert_eq!(answer(switch, GET), Err(BadAnswer::Switched));
    assert_eq!(
        answer("HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", SOCKET),
        Err(BadAnswer::Switched)
    );
    assert_eq!(
        answer(
            "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            SOCKET
        ),
        Err(BadAnswer::Switched)
    );
    let stream = |value: &str| {
        parse(
            &format!("HTTP/1.1 200 OK\r\nContent-Type: {value}\r\n\r\n"),
            GET,
        )
        .map(|head| head.event_stream)
    };
    assert_eq!(stream("text/event-stream"), Ok(true));
    assert_eq!(stream("Text/Event-Stream ; charset=utf-8"), Ok(true));
    assert_eq!(stream("text/event-streams"), Ok(false));
}

#[test]
fn bad_answers() {
    refuse("HTTP/1.1 20 OK\r\n\r\n", BadAnswer::StatusLine);
    refuse("HTTP/1.1 099 OK\r\n\r\n", BadAnswer::StatusLine);
    refuse("HTTP/1.1  200 OK\r\n\r\n", BadAnswer::StatusLine);
    refuse("HTTP/2.0 200 OK\r\n\r\n", BadAnswer::StatusLine);
    refuse("\r\nHTTP/1.1 200 OK\r\n\r\n", BadAnswer::StatusLine);
    refuse(
        "Traceback (most recent call last):\r\n\r\n",
        BadAnswer::StatusLine,
    );
    refuse(
        "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        BadAnswer::LineEnd,
    );
    refuse(
        "HTTP/1.1 200\nContent-Length: 0\r\n\r\n",
        BadAnswer::LineEnd,
    );
    refuse(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n",
        BadAnswer::LineEnd,
    );
    refuse(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n",
        BadAnswer::LineEnd,
    );
    refuse("HTTP/1.1 200 OK\r\nX : y\r\n\r\n", BadAnswer::HeaderLine);
    refuse(
        "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
        BadAnswer::HeaderLine,
    );
    refuse("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", BadAnswer::HeaderLine);
    refuse(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        BadAnswer::Length,
    );
    refuse(
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        BadAnswer::Length,
    );
    refuse(
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        BadAnswer::Length,
    );
    refuse(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        BadAnswer::Encoding,
    );
    refuse(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        BadAnswer::Encoding,
    );
    refuse(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        BadAnswer::Encoding,
    );
    refuse(
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        BadAnswer::Encoding,
    );
    refuse(
        "HTTP/1.1 200 OK\r\nConnection: a b\r\n\r\n",
        BadAnswer::Connection,
    );
    refuse(
        &format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101)),
        BadAnswer::TooManyHeaders,
    );
    refuse(
        &format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(40_000)),
        BadAnswer::HeadTooLong,
    );
}

#[test]
fn what_a_client_sees() {
    let keep = Deliver {
        keep_alive: true,
        ..Deliver::default()
    };
    let old = Deliver {
        keep_alive: true,
        client_is_1_0: true,
        ..Deliver::default()
    };
    deliver(
        "HTTP/1.1 200 OK\r\nServer: x\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: 5\r\nX-Hop: 1\r\nSteadfast-Sign-In: 7\r\nContent-Length: 2\r\n\r\n",
        GET,
        &Deliver {
            extra: b"Server-Timing: hold;dur=12\r\n",
            ..keep
        },
        BodyAs::Plain,
        true,
        "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\nServer-Timing: hold;dur=12\r\n\r\n",
    );
    // A nomination of something that matters is not obeyed.
    deliver(
        "HTTP/1.1 200 OK\r\nConnection: Content-Length, Set-Cookie\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\n\r\n",
        GET,
        &keep,
        BodyAs::Plain,
        true,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\n\r\n",
    );
    // An empty body whose end is to come apart from the head.
    let empty = "HTTP/1.1 303 See Other\r\nContent-Length: 0\r\nLocation: /\r\n\r\n";
    let apart = |deliver| Deliver {
        end_apart: true,
        ..deliver
    };
    deliver(
        empty,
        GET,
        &apart(keep),
        BodyAs::Rechunked,
        true,
        "HTTP/1.1 303 See Other\r\nLocation: /\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    deliver(
        empty,
        GET,
        &apart(old),
        BodyAs::Plain,
        true,
        "HTTP/1.1 303 See Other\r\nContent-Length: 0\r\nLocation: /\r\nConnection: keep-alive\r\n\r\n",
    );
    deliver(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        GET,
        &apart(keep),
        BodyAs::Plain,
        true,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
    );
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n";
    deliver(
        chunked,
        GET,
        &keep,
        BodyAs::Chunks,
        true,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    deliver(
        chunked,
        GET,
        &old,
        BodyAs::Plain,
        false,
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    );
    deliver(
        chunked,
        HEAD,
        &keep,
        BodyAs::Nothing,
        true,
        "HTTP/1.1 200 OK\r\n\r\n",
    );
    let open = "HTTP/1.0 200 OK\r\n\r\n";
    deliver(
        open,
        GET,
        &keep,
        BodyAs::Rechunked,
        true,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    deliver(
        open,
        GET,
        &old,
        BodyAs::Plain,
        false,
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    );
    deliver(
        "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n",
        GET,
        &old,
        BodyAs::Plain,
        true,
        "HTTP/1.1 200 \r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n",
    );
    deliver(
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        GET,
        &Deliver::default(),
        BodyAs::Nothing,
        false,
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    );
    deliver(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
        SOCKET,
        &keep,
        BodyAs::Tunnel,
        false,
        "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
}

#[test]
fn interim_answers_and_what_the_program_tells_the_gateway() {
    let text =
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let head = parse(text, GET).expect("an interim answer");
    let mut out = Vec::new();
    response::write_interim(&mut out, &head, text.as_bytes(), true);
    assert!(out.is_empty());
    response::write_interim(&mut out, &head, text.as_bytes(), false);
    assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");

    let text =
        "HTTP/1.1 200 OK\r\nSteadfast-Sign-In: 7\r\nDate: x\r\nSteadfast-Sign-Out: session\r\n\r\n";
    let head = parse(text, GET).expect("an answer");
    let told: Vec<_> = head.steadfast(text.as_bytes()).collect();
    assert_eq!(
        told,
        [
            (&b"Steadfast-Sign-In"[..], &b"7"[..]),
            (b"Steadfast-Sign-Out", b"session")
        ]
    );
    assert_eq!(head.value(text.as_bytes(), Kind::Date), Some(&b"x"[..]));
    assert_eq!(head.lines.named(text.as_bytes(), "date"), Some(&b"x"[..]));
}
