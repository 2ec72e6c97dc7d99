//! The name of what httparse refused: it does not say where, so the head is walked once more, strictly and in order.
//! The first fault in the order of the bytes is the one that is named, however the bytes arrived.

use crate::connection::is_token;
use crate::head::bare_lf;
use crate::limits::HEADER_LINES_MAX;
use crate::reject::Reject;

/// What httparse tolerates in a head that is not complete yet: empty lines in front, bare LF.
pub(super) fn in_partial(view: &[u8]) -> Result<(), Reject> {
    if view.starts_with(b"\r\n\r") {
        return Err(Reject::LeadingLines);
    }
    match bare_lf(view) {
        Some(_) => Err(first(view, Reject::BareLf)),
        None => Ok(()),
    }
}

/// The first fault of a head that httparse refused.
pub(super) fn name(view: &[u8], error: httparse::Error) -> Reject {
    first(view, fallback(error))
}

/// The first fault in the order of the bytes, or `otherwise` if no single line is at fault.
pub(super) fn first(view: &[u8], otherwise: Reject) -> Reject {
    let rest = view.strip_prefix(b"\r\n").unwrap_or(view);
    match rest.first() {
        Some(b'\r') => return Reject::LeadingLines,
        Some(b'\n') => return Reject::BareLf,
        _ => {}
    }
    let (line, mut rest) = match split_line(rest) {
        Ok(parts) => parts,
        Err(line) => return request_line(line, End::Open).unwrap_or(Reject::BareLf),
    };
    if let Some(fault) = request_line(line, End::Crlf) {
        return fault;
    }
    // httparse reads one line more than it may keep.
    for _ in 0..=HEADER_LINES_MAX {
        let (line, after) = match split_line(rest) {
            Ok((b"", _)) => break,
            Ok(parts) => parts,
            Err(line) => return header_line(line, End::Open).unwrap_or(otherwise),
        };
        if let Some(fault) = header_line(line, End::Crlf) {
            return fault;
        }
        rest = after;
    }
    otherwise
}

/// A line without its CRLF, and what follows; or, if the next LF is bare or missing, what there is before it.
fn split_line(rest: &[u8]) -> Result<(&[u8], &[u8]), &[u8]> {
    match memchr::memchr(b'\n', rest) {
        Some(at) if at > 0 && rest[at - 1] == b'\r' => Ok((&rest[..at - 1], &rest[at + 1..])),
        Some(at) => Err(&rest[..=at]),
        None => Err(rest),
    }
}

/// Whether a line is whole, or may go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Crlf,
    Open,
}

impl End {
    /// What it means that a line ends here.
    fn too_early(self, fault: Reject) -> Option<Reject> {
        match self {
            End::Crlf => Some(fault),
            End::Open => None,
        }
    }
}

fn request_line(line: &[u8], end: End) -> Option<Reject> {
    let method_end = line
        .iter()
        .position(|&byte| !is_token(byte))
        .unwrap_or(line.len());
    let target = match line.get(method_end) {
        None => return end.too_early(Reject::RequestLine),
        Some(b' ') if method_end > 0 => &line[method_end + 1..],
        Some(_) => return Some(Reject::RequestLine),
    };
    let target_end = target
        .iter()
        .position(|&byte| byte == b' ' || is_control(byte))
        .unwrap_or(target.len());
    if !target[..target_end].is_ascii() {
        return Some(Reject::TargetCharacter);
    }
    let version = match target.get(target_end) {
        Some(b' ') if target_end > 0 => &target[target_end + 1..],
        Some(b' ' | b'\r' | b'\n') => return Some(Reject::RequestLine),
        // A line that ends after its target is the request of HTTP/0.9.
        None => return end.too_early(Reject::RequestLine),
        Some(_) => return Some(Reject::TargetCharacter),
    };
    version_fault(version, end)
}

/// 505 as soon as the number is certain to be another one, 400 where it is none.
fn version_fault(version: &[u8], end: End) -> Option<Reject> {
    let known = b"HTTP/1.";
    let same = version
        .iter()
        .zip(known)
        .take_while(|(a, b)| a == b)
        .count();
    match (same, version.get(same)) {
        (_, None) => end.too_early(Reject::RequestLine),
        (5, Some(b'0' | b'2'..=b'9')) => Some(Reject::VersionUnsupported),
        (7, Some(b'2'..=b'9')) => Some(Reject::VersionUnsupported),
        (7, Some(b'0' | b'1')) => match &version[8..] {
            [] => None,
            [b'\r', ..] => Some(Reject::BareCr),
            [b'\n', ..] => Some(Reject::BareLf),
            _ => Some(Reject::RequestLine),
        },
        _ => Some(Reject::RequestLine),
    }
}

fn header_line(line: &[u8], end: End) -> Option<Reject> {
    match line.first()? {
        b' ' | b'\t' => return Some(Reject::FoldedLine),
        b'\r' => return Some(Reject::BareCr),
        b'\n' => return Some(Reject::BareLf),
        _ => {}
    }
    let Some(name_end) = line.iter().position(|&byte| !is_token(byte)) else {
        return end.too_early(Reject::HeaderName);
    };
    if name_end == 0 || line[name_end] != b':' {
        return Some(Reject::HeaderName);
    }
    let value = &line[name_end + 1..];
    match value[value
        .iter()
        .position(|&byte| is_control(byte) && byte != b'\t')?]
    {
        b'\r' => Some(Reject::BareCr),
        b'\n' => Some(Reject::BareLf),
        _ => Some(Reject::HeaderValue),
    }
}

fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f
}

/// What is left when no single line is at fault.
fn fallback(error: httparse::Error) -> Reject {
    match error {
        httparse::Error::TooManyHeaders => Reject::TooManyHeaders,
        httparse::Error::HeaderName => Reject::HeaderName,
        httparse::Error::HeaderValue => Reject::HeaderValue,
        httparse::Error::NewLine => Reject::BareCr,
        httparse::Error::Version => Reject::VersionUnsupported,
        httparse::Error::Token | httparse::Error::Status => Reject::RequestLine,
    }
}
