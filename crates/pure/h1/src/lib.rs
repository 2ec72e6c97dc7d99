//! HTTP/1.1 as a strict codec without I/O: bytes in, facts out, bytes out.
//!
//! The gateway stands between clients that nobody controls and programs that parse HTTP in their own way. Most
//! request smuggling comes from two parsers that read one message differently, so this one refuses whatever could be
//! read in two ways (repeated or conflicting framing, bare CR or LF, folded lines, doubled Host, ...) instead of
//! repairing it, and what it forwards is rebuilt from what it understood: whatever [`request::write_upstream`] writes
//! parses again to the same head with the same framing.
//!
//! It is also built for speed, because the gateway's budget is requests per CPU-second:
//!
//! * a head is one [`httparse`] pass plus one classifying pass over its names; nothing is allocated, a head is a set
//!   of [`Span`]s into the caller's read buffer ([`request::RequestHead`], [`response::ResponseHead`]), and the heads
//!   themselves are meant to be kept and reused by the caller;
//! * a head is forwarded as bytes: runs of kept lines are copied as they are into a `Vec<u8>` that the caller reuses;
//! * a slow head is not parsed again from the start at every byte: [`Scan`] remembers how far the search for its end got;
//! * bodies are passed as ranges of the caller's buffer ([`body::Decoder`]), chunked ones too.
//!
//! Nothing here reads a clock, a socket or the environment; a `Date` line, if wanted, is handed in as an extra line.
//!
//! # How a connection uses it
//! ```
//! use h1::{Limits, Scan, Status, request, response};
//! let limits = Limits::default();
//! let (mut scan, mut head) = (Scan::default(), request::RequestHead::default());
//! let read = b"GET /a?b HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n";
//! assert_eq!(request::parse(read, &mut scan, &limits, &mut head), Ok(Status::Complete));
//! let mut out = Vec::new();
//! let forward = request::Forward { client: b"203.0.113.9", proto: b"https", host: b"example.org", ..Default::default() };
//! request::write_upstream(&mut out, &head, read, &forward);
//! assert!(out.starts_with(b"GET /a?b HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-For: 203.0.113.9\r\n"));
//!
//! let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
//! let mut got = response::ResponseHead::default();
//! let asked = response::Asked::of(&head);
//! assert_eq!(response::parse(answer, &mut scan, asked, &limits, &mut got), Ok(Status::Complete));
//! ```

pub mod body;
pub mod chunk;
mod connection;
mod digits;
mod head;
mod host;
mod kind;
mod limits;
mod reject;
pub mod request;
pub mod respond;
pub mod response;
mod span;

pub use head::{Scan, Status};
pub use kind::Kind;
pub use limits::*;
pub use reject::{BadAnswer, BodyError, Reject};
pub use span::{Line, Lines, Span};

/// The two versions that this codec speaks (RFC 9112, section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    /// HTTP/1.0: no chunked bodies, closes unless `keep-alive` was asked for.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}

/// How the body of a message ends (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// Exactly that many bytes; `Length(0)` was said by a `Content-Length: 0`.
    Length(u64),
    /// Chunks, the last of size zero, then trailers.
    Chunked,
    /// Until the sender closes: answers only, never requests.
    UntilClose,
}

impl Framing {
    /// True when no byte of body follows the head.
    pub fn is_empty(self) -> bool {
        matches!(self, Framing::None | Framing::Length(0))
    }
}
