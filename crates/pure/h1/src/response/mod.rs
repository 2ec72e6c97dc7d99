//! The answers of programs: parsed strictly (what cannot be understood is a 502), delivered as bytes.

mod rules;
mod write;

pub use write::{BodyAs, Deliver, Delivered, write_downstream, write_interim};

use crate::head::{Found, Scan, Status, bare_lf, take_lines};
use crate::kind::Kind;
use crate::limits::{HEADER_LINES_MAX, Limits};
use crate::reject::BadAnswer;
use crate::request::{Method, RequestHead, Upgrade};
use crate::span::{Lines, Span};
use crate::{Framing, Version};
use std::mem::MaybeUninit;

/// What the answer answers: the head of an answer alone does not say how its body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// The request was HEAD: no body, whatever the head says.
    pub head: bool,
    /// The request asked for a WebSocket: 101 is allowed.
    pub websocket: bool,
}

impl Asked {
    /// From the request that was forwarded.
    pub fn of(request: &RequestHead) -> Asked {
        Asked {
            head: request.method == Method::Head,
            websocket: request.upgrade == Upgrade::WebSocket,
        }
    }
}

/// What the head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answer {
    /// The answer.
    #[default]
    Final,
    /// 100: the gateway has asked for the body already, so it is skipped.
    Continue,
    /// Another 1xx (102, 103): may be passed on with [`write_interim`]; the answer is still to come.
    Interim,
    /// 101 to a WebSocket: what follows is no longer HTTP.
    Switched,
}

/// A parsed answer head: offsets into the buffer it was parsed from. Keep one and reuse it.
#[derive(Debug, Clone, Default)]
pub struct ResponseHead {
    /// What it is.
    pub answer: Answer,
    /// The status code, 100 to 999.
    pub code: u16,
    /// The reason phrase, may be empty.
    pub reason: Span,
    /// The version.
    pub version: Version,
    /// How the body ends.
    pub framing: Framing,
    /// Whether the program's connection may be used again after the body.
    pub keep_alive: bool,
    /// Content-Type is text/event-stream.
    pub event_stream: bool,
    /// Content-Length as said, also where there is no body (HEAD, 304).
    pub length: Option<u64>,
    /// Length of the head with its empty line: the body begins there.
    pub len: usize,
    /// The header lines.
    pub lines: Lines,
    seen: u32,
}

impl ResponseHead {
    /// Whether there is a line of this kind, nominated ones aside.
    pub fn has(&self, kind: Kind) -> bool {
        self.seen & (1 << kind as u32) != 0
    }

    /// The value of the first line of a kind.
    pub fn value<'a>(&'a self, buf: &'a [u8], kind: Kind) -> Option<&'a [u8]> {
        if self.has(kind) {
            self.lines.first(buf, kind)
        } else {
            None
        }
    }

    /// The `Steadfast-…` lines that the program sent to the gateway: name and value. They never reach the client.
    pub fn steadfast<'a>(&'a self, buf: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let lines = if self.has(Kind::Steadfast) {
            self.lines.as_slice()
        } else {
            &[]
        };
        let of = move |line: &crate::Line| (line.name().range(), line.value().range());
        lines
            .iter()
            .filter(|line| line.kind == Kind::Steadfast)
            .map(of)
            .map(|(name, value)| (&buf[name], &buf[value]))
    }
}

/// Parses the answer at the start of `buf` into `head`, whose content counts only after [`Status::Complete`]; `scan`
/// as in [`crate::request::parse`]. Call it again behind `len` while the answer is `Continue` or `Interim`.
pub fn parse(
    buf: &[u8],
    scan: &mut Scan,
    asked: Asked,
    limits: &Limits,
    head: &mut ResponseHead,
) -> Result<Status, BadAnswer> {
    let view = &buf[..buf.len().min(limits.head_bytes())];
    if let Found::Nothing = scan.look(view) {
        return partial(view, limits);
    }
    if matches!(view.first(), Some(b'\r' | b'\n')) {
        return Err(BadAnswer::StatusLine);
    }
    let mut headers = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; HEADER_LINES_MAX];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut response, view, &mut headers) {
        Ok(httparse::Status::Complete(len)) => {
            let start = "HTTP/1.1 200".len();
            let line_end =
                memchr::memchr(b'\r', &view[start..len]).ok_or(BadAnswer::LineEnd)? + start;
            if view.get(line_end + 1) != Some(&b'\n') || view[start..line_end].contains(&b'\n') {
                return Err(BadAnswer::LineEnd);
            }
            head.reason = Span::new((start + 1).min(line_end), line_end);
            head.len = len;
            head.code = response.code.unwrap_or_default();
            head.version = if response.version == Some(1) {
                Version::Http11
            } else {
                Version::Http10
            };
            take_lines(view, response.headers, line_end + 2, len, &mut head.lines)
                .map_err(|_| BadAnswer::LineEnd)?;
            rules::judge(view, asked, head)?;
            scan.reset();
            Ok(Status::Complete)
        }
        Ok(httparse::Status::Partial) => {
            if bare_lf(view).is_some() {
                return Err(BadAnswer::LineEnd);
            }
            scan.seen(view);
            partial(view, limits)
        }
        Err(error) => Err(match error {
            httparse::Error::Version | httparse::Error::Status | httparse::Error::Token => {
                BadAnswer::StatusLine
            }
            httparse::Error::HeaderName | httparse::Error::HeaderValue => BadAnswer::HeaderLine,
            httparse::Error::NewLine => BadAnswer::LineEnd,
            httparse::Error::TooManyHeaders => BadAnswer::TooManyHeaders,
        }),
    }
}

fn partial(view: &[u8], limits: &Limits) -> Result<Status, BadAnswer> {
    if view.len() >= limits.head_bytes() {
        Err(BadAnswer::HeadTooLong)
    } else {
        Ok(Status::Partial)
    }
}
