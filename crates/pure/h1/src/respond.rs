//! The gateway's own answers: small, never cached, always with a length.

use crate::digits::push_decimal;
use crate::request::{Method, RequestHead};
use crate::{Kind, Reject};

/// How the text is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Media {
    /// `text/plain`, one line.
    #[default]
    Text,
    /// `{"detail": …}`, as FastAPI and Django REST framework answer errors.
    Json,
}

impl Media {
    /// JSON if the client's `Accept` names it and not HTML; text otherwise.
    pub fn wanted(head: &RequestHead, buf: &[u8]) -> Media {
        let accept = head.value(buf, Kind::Accept).unwrap_or_default();
        let names = |media: &[u8]| {
            accept
                .windows(media.len())
                .any(|part| part.eq_ignore_ascii_case(media))
        };
        if names(b"application/json") && !names(b"text/html") {
            Media::Json
        } else {
            Media::Text
        }
    }
}

/// One answer of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Own<'a> {
    /// The status; 200 to 599.
    pub status: u16,
    /// What happened and what to do, one line: "the program may have run this request".
    pub detail: &'a str,
    /// Seconds for `Retry-After`.
    pub retry_after_s: Option<u32>,
    /// Whether the client's connection stays open.
    pub keep_alive: bool,
    /// The client spoke HTTP/1.0, so that keep-alive has to be said.
    pub client_is_1_0: bool,
    /// The request was HEAD: the length is said, the text is not sent.
    pub head_only: bool,
    /// How the text is given.
    pub media: Media,
    /// Further whole lines, each with its CRLF (`Date`, `Server-Timing`).
    pub extra: &'a [u8],
}

impl<'a> Own<'a> {
    /// An answer that fits the request: its media type, HEAD, version.
    pub fn to(head: &RequestHead, buf: &[u8], status: u16, detail: &'a str) -> Own<'a> {
        Own {
            status,
            detail,
            keep_alive: head.keep_alive,
            client_is_1_0: head.version == crate::Version::Http10,
            head_only: head.method == Method::Head,
            media: Media::wanted(head, buf),
            ..Own::default()
        }
    }
}

/// Appends the whole answer.
pub fn own(out: &mut Vec<u8>, answer: &Own<'_>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    push_decimal(out, u64::from(answer.status));
    out.push(b' ');
    out.extend_from_slice(phrase(answer.status).as_bytes());
    out.extend_from_slice(match answer.media {
        Media::Text => {
            b"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ".as_slice()
        }
        Media::Json => b"\r\nContent-Type: application/json\r\nContent-Length: ".as_slice(),
    });
    push_decimal(out, text_len(answer));
    out.extend_from_slice(b"\r\nCache-Control: no-store\r\n");
    if let Some(seconds) = answer.retry_after_s {
        out.extend_from_slice(b"Retry-After: ");
        push_decimal(out, u64::from(seconds));
        out.extend_from_slice(b"\r\n");
    }
    if answer.status == 405 {
        out.extend_from_slice(b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n");
    }
    match (answer.keep_alive, answer.client_is_1_0) {
        (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (true, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (true, false) => {}
    }
    out.extend_from_slice(answer.extra);
    out.extend_from_slice(b"\r\n");
    if !answer.head_only {
        text(answer, |part| out.extend_from_slice(part));
    }
}

/// Appends the answer to a request that was refused; the connection is closed after it.
pub fn refusal(out: &mut Vec<u8>, reject: Reject, extra: &[u8]) {
    own(
        out,
        &Own {
            status: reject.status(),
            detail: reject.reason(),
            extra,
            ..Own::default()
        },
    );
}

/// `100 Continue`, to be sent when the gateway begins to read a body that a client holds back.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn text_len(answer: &Own<'_>) -> u64 {
    let mut len = 0;
    text(answer, |part| len += part.len() as u64);
    len
}

/// The body in pieces, so that it can be measured first and needs no buffer.
fn text(answer: &Own<'_>, mut put: impl FnMut(&[u8])) {
    if answer.media == Media::Text {
        put(answer.detail.as_bytes());
        put(b"\n");
        return;
    }
    put(b"{\"detail\":\"");
    let mut rest = answer.detail;
    while let Some(at) = rest.find(|letter: char| letter == '"' || letter == '\\' || letter < ' ') {
        put(&rest.as_bytes()[..at]);
        match rest.as_bytes()[at] {
            b'"' => put(b"\\\""),
            b'\\' => put(b"\\\\"),
            b'\n' => put(b"\\n"),
            _ => put(b" "),
        }
        rest = &rest[at + 1..];
    }
    put(rest.as_bytes());
    put(b"\"}\n");
}

/// The reason phrases of the statuses that the gateway uses (RFC 9110, section 15).
pub fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: Own<'_>, wanted: &str) {
        let mut out = Vec::new();
        own(&mut out, &answer);
        assert_eq!(String::from_utf8_lossy(&out), wanted);
    }

    #[test]
    fn answers() {
        check(
            Own {
                status: 503,
                detail: "starting",
                retry_after_s: Some(2),
                keep_alive: true,
                ..Own::default()
            },
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 9\r\n\
             Cache-Control: no-store\r\nRetry-After: 2\r\n\r\nstarting\n",
        );
        check(
            Own {
                status: 502,
                detail: "say \"hi\"\\\n",
                media: Media::Json,
                head_only: false,
                ..Own::default()
            },
            "HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n{\"detail\":\"say \\\"hi\\\"\\\\\\n\"}\n",
        );
        let mut out = Vec::new();
        refusal(&mut out, Reject::MethodRefused, b"");
        assert!(String::from_utf8_lossy(&out).contains("\r\nAllow: GET"));
    }
}
