//! The API of sessions: paths under the prefix are ours, on every public listener.
//!
//! The request is read whole, given to [`accounts`], and its answer written. Forged requests, CORS and the marks of an
//! answer are decided there.

use accounts::{Code, Instead};
use bytes::Bytes;
use h1::Framing;
use h1::Kind;
use h1::body::Decoder;
use h1::request::RequestHead;
use h1::respond::Own;

use crate::client::{Client, Fill, Next};
use crate::door::Door;
use crate::door::asked;
use crate::door::marks::{Marks, Source, line};
use crate::door::settle;
use crate::exchange::invite;
use crate::limits::{API_BODY_BYTES_MAX, API_RAW_BYTES_MAX, BODY_PROGRESS_MS};
use crate::own::{self, Ours};
use crate::upload::Upload;
use crate::worker::Scratch;

/// How reading a body ended.
enum Body {
    Whole(Bytes),
    TooLarge,
    Next(Next),
}

/// Answers a request under the prefix.
pub(crate) async fn serve(
    client: &mut Client,
    scratch: &mut Scratch,
    upload: &mut Upload,
    door: &Door,
) -> Next {
    let site = client.site.clone();
    let head = &scratch.head;
    let read = client.buf.bytes();
    let from = site.trust.origin(&client.peer, head, read);
    let marks = Marks::of(&site, head, read, &from);
    let caller = asked::caller(head, read, &from, site.here(head, read));
    let body = match body(client, scratch, upload).await {
        Body::Whole(body) => body,
        Body::Next(next) => return next,
        Body::TooLarge => {
            let mut lines = Vec::new();
            marks.write(&mut lines, Source::Gateway, None);
            let text = "The body is larger than 64 KiB.";
            let ours = Ours::problem(Code::BodyTooLarge, text, lines);
            return own::answer(client, scratch, upload, &ours).await;
        }
    };
    let Some(request) = request(&scratch.head, client.buf.bytes(), body) else {
        let ours = Ours::problem(Code::BadRequest, "The request is not valid.", Vec::new());
        return own::answer(client, scratch, upload, &ours).await;
    };
    let answer = door.accounts.api(request, &caller).await;
    write(client, scratch, upload, door, answer).await
}

/// Reads the body to its end.
async fn body(client: &mut Client, scratch: &mut Scratch, upload: &mut Upload) -> Body {
    let head = &scratch.head;
    let (framing, base) = (head.framing, head.len);
    if matches!(framing, Framing::Length(length) if length > API_BODY_BYTES_MAX) {
        return Body::TooLarge;
    }
    if head.expect_continue && !upload.is_held() && !invite(client, upload).await {
        return Body::Next(Next::Gone);
    }
    client.arm(BODY_PROGRESS_MS);
    loop {
        match upload.look(&client.buf) {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => return Body::Next(client.refuse(scratch, error.into()).await),
        }
        match client.fill(base + API_RAW_BYTES_MAX).await {
            Fill::Data => {}
            Fill::Full => return Body::TooLarge,
            Fill::End => return Body::Next(Next::Gone),
            Fill::Late => return Body::Next(client.late(scratch).await),
        }
    }
    let mut decoder = Decoder::payload(framing, API_BODY_BYTES_MAX);
    let (mut body, mut at) = (Vec::new(), base);
    while !decoder.is_finished() {
        let rest = client.buf.bytes().get(at..).unwrap_or_default();
        let Ok(progress) = decoder.decode(rest) else {
            return Body::TooLarge;
        };
        body.extend_from_slice(&rest[progress.data]);
        at += progress.consumed;
    }
    Body::Whole(body.into())
}

/// The request as `accounts` reads it: end-to-end lines only.
fn request(head: &RequestHead, read: &[u8], body: Bytes) -> Option<http::Request<Bytes>> {
    let mut request = http::Request::builder()
        .method(head.method_text.of(read))
        .uri(head.path.of(read));
    for line in head.lines.as_slice() {
        match line.kind() {
            Kind::HopByHop
            | Kind::Nominated
            | Kind::Connection
            | Kind::Upgrade
            | Kind::TransferEncoding
            | Kind::Expect
            | Kind::Underscore
            | Kind::Proxy => {}
            _ => request = request.header(line.name().of(read), line.value().of(read)),
        }
    }
    request.body(body).ok()
}

/// Writes the answer of `accounts`.
async fn write(
    client: &mut Client,
    scratch: &mut Scratch,
    upload: &Upload,
    door: &Door,
    answer: http::Response<Bytes>,
) -> Next {
    let keep = scratch.head.keep_alive && upload.is_held() && !client.worker.leaving.get();
    let (parts, body) = answer.into_parts();
    let status = parts.status.as_u16();
    let own = Own::to(&scratch.head, client.buf.bytes(), status, "");
    let (head_only, is_1_0) = (own.head_only, own.client_is_1_0);
    let out = &mut scratch.down;
    out.clear();
    let phrase = parts.status.canonical_reason().unwrap_or("Unknown");
    out.extend_from_slice(format!("HTTP/1.1 {status} {phrase}\r\n").as_bytes());
    for (name, value) in &parts.headers {
        if is_ours(name.as_str()) {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if !parts.headers.contains_key("cache-control") {
        line(out, "Cache-Control", "no-store");
    }
    if status != 204 && status != 304 {
        line(out, "Content-Length", &body.len().to_string());
    }
    match (keep, is_1_0) {
        (false, _) => line(out, "Connection", "close"),
        (true, true) => line(out, "Connection", "keep-alive"),
        (true, false) => {}
    }
    out.extend_from_slice(b"\r\n");
    let first = out.len();
    if !head_only && status != 204 && status != 304 {
        out.extend_from_slice(&body);
    }
    let wrote = match parts.extensions.get::<Instead>() {
        // A login's answer has a body.
        Some(instead) => settle::told(client, door, *instead, &scratch.down, first).await,
        None => client.write(&scratch.down).await,
    };
    if let Err(deaf) = wrote {
        return own::left(client, scratch, "", deaf);
    }
    if !keep {
        return Next::Close;
    }
    upload.consume(&mut client.buf);
    Next::Again
}

/// Lines that the connection decides about.
fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "content-length" | "connection" | "transfer-encoding" | "keep-alive"
    )
}
