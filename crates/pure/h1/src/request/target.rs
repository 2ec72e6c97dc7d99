//! The request target (RFC 9112, section 3.2): a path, an http(s) URL, or `*` with OPTIONS.

use super::{Method, Path};
use crate::host;
use crate::reject::Reject;
use crate::span::Span;

/// The target's parts.
pub(super) struct Target {
    pub(super) path: Span,
    pub(super) path_as: Path,
    pub(super) authority: Option<Span>,
}

/// httparse has excluded blanks and control characters; bytes outside ASCII and fragments are excluded here.
pub(super) fn read(buf: &[u8], span: Span, method: Method) -> Result<Target, Reject> {
    let text = span.of(buf);
    if !text.is_ascii() {
        return Err(Reject::TargetCharacter);
    }
    if memchr::memchr(b'#', text).is_some() {
        return Err(Reject::TargetFragment);
    }
    match text {
        [b'/', ..] => Ok(Target {
            path: span,
            path_as: Path::AsIs,
            authority: None,
        }),
        b"*" if method == Method::Options => Ok(Target {
            path: span,
            path_as: Path::Asterisk,
            authority: None,
        }),
        _ => absolute(text, span, method),
    }
}

fn absolute(text: &[u8], span: Span, method: Method) -> Result<Target, Reject> {
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| {
            text.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .ok_or(Reject::TargetForm)?;
    let after = &text[scheme.len()..];
    let authority_len = after
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(after.len());
    if !host::valid(&after[..authority_len]) {
        return Err(Reject::TargetForm);
    }
    let at = span.range().start + scheme.len();
    let authority = Span::new(at, at + authority_len);
    let path = Span {
        start: authority.end,
        end: span.end,
    };
    let path_as = match after.get(authority_len) {
        Some(b'/') => Path::AsIs,
        // RFC 9112, section 3.2.4: the URL of `OPTIONS *` has no path.
        None if method == Method::Options => Path::Asterisk,
        _ => Path::SlashBefore,
    };
    Ok(Target {
        path,
        path_as,
        authority: Some(authority),
    })
}
