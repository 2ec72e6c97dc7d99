//! The requests of clients: parsed strictly, forwarded as bytes.

mod fault;
mod rules;
mod target;
mod write;

pub use write::{Forward, write_upstream};

use crate::head::{Found, Scan, Status, take_lines};
use crate::kind::Kind;
use crate::limits::{HEADER_LINES_MAX, Limits, METHOD_BYTES_MAX};
use crate::reject::Reject;
use crate::span::{Lines, Span};
use crate::{Framing, Version};
use std::mem::MaybeUninit;

/// Methods that rules depend on; all others are passed on as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// GET.
    #[default]
    Get,
    /// HEAD: the answer has no body.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
    /// OPTIONS.
    Options,
    /// PATCH.
    Patch,
    /// Any other; its text is in [`RequestHead::method_text`].
    Other,
}

/// What the connection is to become after the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Upgrade {
    /// Stays HTTP.
    #[default]
    None,
    /// A WebSocket, if the program answers 101.
    WebSocket,
}

/// How the target is written to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Path {
    /// [`RequestHead::path`] as it is.
    #[default]
    AsIs,
    /// An absolute target without a path: `/` and then [`RequestHead::path`], which is empty or begins with `?`.
    SlashBefore,
    /// `OPTIONS *`.
    Asterisk,
}

/// A parsed request head: offsets into the buffer it was parsed from. Large (1.3 kB), so keep one and reuse it.
#[derive(Debug, Clone, Default)]
pub struct RequestHead {
    /// The method, where a rule depends on it.
    pub method: Method,
    /// The method's text.
    pub method_text: Span,
    /// The request target as it was sent.
    pub target: Span,
    /// Path and query within the target.
    pub path: Span,
    /// How to write the path.
    pub path_as: Path,
    /// The version.
    pub version: Version,
    /// Host, or the authority of an absolute target; none only in HTTP/1.0.
    pub host: Option<Span>,
    /// How the body ends: None, Length or Chunked.
    pub framing: Framing,
    /// Whether the client wants to go on with the connection.
    pub keep_alive: bool,
    /// Whether the client waits for 100 before it sends its body; only with a body, only in HTTP/1.1.
    pub expect_continue: bool,
    /// What the connection is to become.
    pub upgrade: Upgrade,
    /// Length of the head, with its final empty line (and an empty line before it): the body begins there.
    pub len: usize,
    /// The header lines.
    pub lines: Lines,
    seen: u32,
}

impl RequestHead {
    /// Whether there is a line of this kind, nominated ones aside.
    pub fn has(&self, kind: Kind) -> bool {
        self.seen & bit(kind) != 0
    }

    /// The value of the first line of a kind.
    pub fn value<'a>(&'a self, buf: &'a [u8], kind: Kind) -> Option<&'a [u8]> {
        if self.has(kind) {
            self.lines.first(buf, kind)
        } else {
            None
        }
    }

    fn clear(&mut self) {
        self.host = None;
        self.framing = Framing::None;
        self.expect_continue = false;
        self.upgrade = Upgrade::None;
        self.seen = 0;
    }
}

fn bit(kind: Kind) -> u32 {
    1 << kind as u32
}

/// Parses the request at the start of `buf` into `head`, whose content counts only after [`Status::Complete`].
/// `scan` must be the same between calls for one head and is ready for the next one after `Complete`.
/// After an error the connection is to be closed.
pub fn parse(
    buf: &[u8],
    scan: &mut Scan,
    limits: &Limits,
    head: &mut RequestHead,
) -> Result<Status, Reject> {
    let view = &buf[..buf.len().min(limits.head_bytes())];
    if let Found::Nothing = scan.look(view) {
        return partial(view, scan, limits);
    }
    let mut headers = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; HEADER_LINES_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(view, &mut headers) {
        Ok(httparse::Status::Complete(len)) => {
            let (method, target) = (
                request.method.unwrap_or_default(),
                request.path.unwrap_or_default(),
            );
            head.clear();
            head.len = len;
            head.method_text = Span::within(view, method.as_bytes());
            head.target = Span::within(view, target.as_bytes());
            head.version = if request.version == Some(1) {
                Version::Http11
            } else {
                Version::Http10
            };
            leading(view, head.method_text.range().start)?;
            let version_end = head.target.range().end + " HTTP/1.1".len();
            if view.get(version_end..version_end + 2) != Some(b"\r\n") {
                return Err(fault::first(view, Reject::BareLf));
            }
            take_lines(view, request.headers, version_end + 2, len, &mut head.lines)
                .map_err(|_| fault::first(view, Reject::BareLf))?;
            rules::judge(view, limits, head)?;
            scan.reset();
            Ok(Status::Complete)
        }
        Ok(httparse::Status::Partial) => {
            fault::in_partial(view)?;
            scan.seen(view);
            partial(view, scan, limits)
        }
        Err(error) => Err(fault::name(view, error)),
    }
}

/// A head that is not complete: may it still become one?
fn partial(view: &[u8], scan: &Scan, limits: &Limits) -> Result<Status, Reject> {
    debug_assert!(*scan != Scan::default() || view.is_empty());
    let line_max = limits.target_bytes_max + METHOD_BYTES_MAX + "\r\n  HTTP/1.1\r\n".len();
    if view.len() > line_max && memchr::memchr(b'\n', &view[2..line_max]).is_none() {
        return Err(Reject::TargetTooLong);
    }
    if view.len() >= limits.head_bytes() {
        Err(Reject::HeadTooLong)
    } else {
        Ok(Status::Partial)
    }
}

/// RFC 9112, section 2.2: one empty line before the request line is to be ignored.
fn leading(view: &[u8], method_start: usize) -> Result<(), Reject> {
    match method_start {
        0 => Ok(()),
        2 if view.starts_with(b"\r\n") => Ok(()),
        _ => Err(fault::first(view, Reject::LeadingLines)),
    }
}
