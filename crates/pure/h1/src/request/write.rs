//! The head for the program.

use super::{Path, RequestHead, Upgrade};
use crate::Version;
use crate::head::copy_lines;
use crate::kind::Kind;

/// What the gateway knows beyond the client's head. All texts are written as they are, so they must hold no CR or LF.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forward<'a> {
    /// The client's address, for the one `X-Forwarded-For`: exactly one address (uvicorn and gunicorn take the leftmost).
    pub client: &'a [u8],
    /// `http` or `https`, for the one `X-Forwarded-Proto`.
    pub proto: &'a [u8],
    /// For the one `X-Forwarded-Host`, and for Host where an HTTP/1.0 client sent none.
    pub host: &'a [u8],
    /// Further whole lines, each with its CRLF (`Steadfast-…`, a re-signed `Authorization`).
    pub extra: &'a [u8],
    /// Whether the peer is a proxy that is believed: then its `X-Real-IP` and other `X-Forwarded-…` go through.
    pub trusted_proxy: bool,
    /// Leaves the client's `Authorization` out (a session has replaced it).
    pub drop_authorization: bool,
    /// Leaves all the client's `Cookie` lines out (`extra` has them without a session's).
    pub drop_cookies: bool,
}

/// Appends the head of `head` (parsed from `buf`) as the program is to see it: origin form, HTTP/1.1, Host kept, the
/// body's framing kept, nothing that belongs to the client's connection, and exactly one X-Forwarded-For, -Proto, -Host.
/// The connection to the program is always kept alive; nothing is allocated unless `out` has to grow.
pub fn write_upstream(out: &mut Vec<u8>, head: &RequestHead, buf: &[u8], forward: &Forward<'_>) {
    out.reserve(head.len + forward.extra.len() + 256);
    out.extend_from_slice(head.method_text.of(buf));
    match head.path_as {
        Path::AsIs => out.push(b' '),
        Path::SlashBefore => out.extend_from_slice(b" /"),
        Path::Asterisk => out.extend_from_slice(b" *"),
    }
    if head.path_as != Path::Asterisk {
        out.extend_from_slice(head.path.of(buf));
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if !head.has(Kind::Host) {
        let host = match head.host {
            Some(authority) => authority.of(buf),
            None if forward.host.is_empty() => b"localhost",
            None => forward.host,
        };
        line(out, b"Host: ", host);
    }
    copy_lines(out, buf, head.lines.as_slice(), |line| {
        keeps(line.kind, forward)
    });
    line(out, b"X-Forwarded-For: ", forward.client);
    line(out, b"X-Forwarded-Proto: ", forward.proto);
    line(out, b"X-Forwarded-Host: ", forward.host);
    if head.upgrade == Upgrade::WebSocket {
        debug_assert!(head.version == Version::Http11);
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
    }
    out.extend_from_slice(forward.extra);
    out.extend_from_slice(b"\r\n");
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    debug_assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n')));
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Which lines a program gets to see.
fn keeps(kind: Kind, forward: &Forward<'_>) -> bool {
    match kind {
        Kind::Other
        | Kind::Host
        | Kind::ContentLength
        | Kind::TransferEncoding
        | Kind::IdempotencyKey
        | Kind::Conditional
        | Kind::Origin
        | Kind::Accept
        | Kind::ContentType
        | Kind::Date
        | Kind::RetryAfter => true,
        Kind::Authorization => !forward.drop_authorization,
        Kind::Cookie => !forward.drop_cookies,
        Kind::XForwardedOther => forward.trusted_proxy,
        // The gateway itself asks for the body, so the program is not to be asked whether it may come.
        Kind::Expect => false,
        Kind::Connection | Kind::Upgrade | Kind::HopByHop | Kind::Nominated => false,
        Kind::Proxy | Kind::Underscore | Kind::Steadfast => false,
        Kind::XForwardedFor | Kind::XForwardedProto | Kind::XForwardedHost | Kind::Forwarded => {
            false
        }
    }
}
