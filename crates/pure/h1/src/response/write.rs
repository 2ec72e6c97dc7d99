//! The head for the client.

use super::{Answer, ResponseHead};
use crate::head::copy_lines;
use crate::kind::Kind;
use crate::span::Line;
use crate::{Framing, Version};

/// What the gateway knows about the client that gets the answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deliver<'a> {
    /// Whether the client's connection may stay open, as far as the request and the gateway are concerned.
    pub keep_alive: bool,
    /// The client spoke HTTP/1.0: no chunks, and keep-alive has to be said.
    pub client_is_1_0: bool,
    /// The end of the answer is to be told apart from its head, also where the body is empty: in chunks then, if the client
    /// knows them.
    pub end_apart: bool,
    /// Further whole lines, each with its CRLF (`Server-Timing`, `Date`, a session's cookie).
    pub extra: &'a [u8],
}

/// In which form the body must follow the head that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyAs {
    /// No body follows.
    Nothing,
    /// The content as it is: from a length, or until the connection is closed.
    Plain,
    /// The chunks of the program, as [`crate::body::Decoder::framed`] hands them out.
    Chunks,
    /// The content in chunks of ours ([`crate::chunk`]), ended by [`crate::chunk::END`]: from a body until close, or
    /// an empty one ([`Deliver::end_apart`]).
    Rechunked,
    /// No longer HTTP: bytes both ways.
    Tunnel,
}

/// What [`write_downstream`] decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// The body's form.
    pub body: BodyAs,
    /// Whether the client's connection stays open after the body; the head says the same.
    pub keep_alive: bool,
}

/// Appends the head of `head` (parsed from `buf`) as the client is to see it: nothing of the program's connection, no
/// `Steadfast-…` line, framing fit for the client. Nothing is allocated unless `out` has to grow.
pub fn write_downstream(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    buf: &[u8],
    deliver: &Deliver<'_>,
) -> Delivered {
    let body = body_as(head, deliver);
    let unbounded = body == BodyAs::Plain && !matches!(head.framing, Framing::Length(_));
    let keep_alive = deliver.keep_alive && !unbounded && body != BodyAs::Tunnel;
    out.reserve(head.len + deliver.extra.len() + 64);
    status_line(out, head, buf);
    // A length where there cannot be a body is dropped (RFC 9110, section 8.6); with HEAD and 304 it stays.
    let no_length = head.code < 200 || head.code == 204 || body == BodyAs::Rechunked;
    copy_lines(out, buf, head.lines.as_slice(), |line| {
        keeps(line) && !(no_length && line.kind == Kind::ContentLength)
    });
    match body {
        BodyAs::Chunks | BodyAs::Rechunked => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n")
        }
        BodyAs::Tunnel => out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        BodyAs::Nothing | BodyAs::Plain => {}
    }
    if body != BodyAs::Tunnel {
        match (keep_alive, deliver.client_is_1_0) {
            (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
            (true, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
            (true, false) => {}
        }
    }
    out.extend_from_slice(deliver.extra);
    out.extend_from_slice(b"\r\n");
    Delivered { body, keep_alive }
}

/// Appends a 1xx head other than 101, for an HTTP/1.1 client; nothing for HTTP/1.0, which does not know them.
pub fn write_interim(out: &mut Vec<u8>, head: &ResponseHead, buf: &[u8], client_is_1_0: bool) {
    debug_assert!(matches!(head.answer, Answer::Interim | Answer::Continue));
    if client_is_1_0 {
        return;
    }
    status_line(out, head, buf);
    copy_lines(out, buf, head.lines.as_slice(), |line| {
        keeps(line) && line.kind != Kind::ContentLength
    });
    out.extend_from_slice(b"\r\n");
}

fn body_as(head: &ResponseHead, deliver: &Deliver<'_>) -> BodyAs {
    match (head.answer, head.framing) {
        (Answer::Switched, _) => BodyAs::Tunnel,
        (_, Framing::None) => BodyAs::Nothing,
        (_, Framing::Length(0)) if deliver.end_apart && !deliver.client_is_1_0 => BodyAs::Rechunked,
        (_, Framing::Length(_)) => BodyAs::Plain,
        (_, Framing::Chunked | Framing::UntilClose) if deliver.client_is_1_0 => BodyAs::Plain,
        (_, Framing::Chunked) => BodyAs::Chunks,
        (_, Framing::UntilClose) => BodyAs::Rechunked,
    }
}

/// Always HTTP/1.1, which is what we speak (RFC 9110, section 6.2), with the blank that is wanted before no reason.
fn status_line(out: &mut Vec<u8>, head: &ResponseHead, buf: &[u8]) {
    if head.version == Version::Http11 && !head.reason.is_empty() {
        out.extend_from_slice(&buf[..head.reason.range().end + 2]);
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    crate::digits::push_decimal(out, u64::from(head.code));
    out.push(b' ');
    out.extend_from_slice(head.reason.of(buf));
    out.extend_from_slice(b"\r\n");
}

/// Which lines a client gets to see.
fn keeps(line: &Line) -> bool {
    match line.kind {
        Kind::Other
        | Kind::Host
        | Kind::ContentLength
        | Kind::Underscore
        | Kind::Proxy
        | Kind::Expect
        | Kind::Cookie
        | Kind::Authorization
        | Kind::IdempotencyKey
        | Kind::Conditional
        | Kind::XForwardedFor
        | Kind::XForwardedProto
        | Kind::XForwardedHost
        | Kind::XForwardedOther
        | Kind::Forwarded
        | Kind::Origin
        | Kind::Accept
        | Kind::ContentType
        | Kind::Date
        | Kind::RetryAfter => true,
        Kind::TransferEncoding
        | Kind::Connection
        | Kind::Upgrade
        | Kind::HopByHop
        | Kind::Nominated => false,
        Kind::Steadfast => false,
    }
}
