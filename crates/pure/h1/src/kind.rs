//! What a header line means to a gateway: one look at length and first letter, then one comparison.

/// Classes of header lines. Lines that nothing here needs to know are [`Kind::Other`] and go through as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// End-to-end, of no interest here.
    #[default]
    Other,
    /// `Host`.
    Host,
    /// `Content-Length`.
    ContentLength,
    /// `Transfer-Encoding`.
    TransferEncoding,
    /// `Connection`.
    Connection,
    /// `Upgrade`.
    Upgrade,
    /// `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`, `HTTP2-Settings`, `Proxy-Authorization`,
    /// `Proxy-Authenticate`, `Proxy-Authentication-Info`: never forwarded.
    HopByHop,
    /// Named by `Connection`, and not one of the names that may not be: never forwarded.
    Nominated,
    /// `Proxy`, which a CGI-like program reads as the variable HTTP_PROXY: never forwarded.
    Proxy,
    /// A name with an underscore, which WSGI cannot tell from the one with a hyphen: never forwarded to a program.
    Underscore,
    /// Begins with `Steadfast-` or `X-Steadfast-`: between the gateway and the program only.
    Steadfast,
    /// `Expect`.
    Expect,
    /// `Cookie`.
    Cookie,
    /// `Authorization`.
    Authorization,
    /// `Idempotency-Key`.
    IdempotencyKey,
    /// `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since`, `If-Range`.
    Conditional,
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `X-Forwarded-Proto`.
    XForwardedProto,
    /// `X-Forwarded-Host`.
    XForwardedHost,
    /// `X-Real-IP` and the other `X-Forwarded-…`: believed only from a trusted proxy.
    XForwardedOther,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `Origin`.
    Origin,
    /// `Accept`.
    Accept,
    /// `Content-Type`.
    ContentType,
    /// `Date`.
    Date,
    /// `Retry-After`.
    RetryAfter,
}

/// Lower case, for letters; other bytes are only compared with letters afterwards.
const LOWER: u8 = 0x20;

/// The class of a field name. `name` is a token, so `eq_ignore_ascii_case` is exact.
pub(crate) fn classify(name: &[u8]) -> Kind {
    let Some(&first) = name.first() else {
        return Kind::Other;
    };
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    let known = match (name.len(), first | LOWER) {
        (2, b't') if is(b"te") => Kind::HopByHop,
        (4, b'h') if is(b"host") => Kind::Host,
        (4, b'd') if is(b"date") => Kind::Date,
        (5, b'p') if is(b"proxy") => Kind::Proxy,
        (6, b'c') if is(b"cookie") => Kind::Cookie,
        (6, b'e') if is(b"expect") => Kind::Expect,
        (6, b'o') if is(b"origin") => Kind::Origin,
        (6, b'a') if is(b"accept") => Kind::Accept,
        (7, b'u') if is(b"upgrade") => Kind::Upgrade,
        (7, b't') if is(b"trailer") => Kind::HopByHop,
        (8, b'i') if is(b"if-match") || is(b"if-range") => Kind::Conditional,
        (9, b'f') if is(b"forwarded") => Kind::Forwarded,
        (9, b'x') if is(b"x-real-ip") => Kind::XForwardedOther,
        (10, b'c') if is(b"connection") => Kind::Connection,
        (10, b'k') if is(b"keep-alive") => Kind::HopByHop,
        (11, b'r') if is(b"retry-after") => Kind::RetryAfter,
        (12, b'c') if is(b"content-type") => Kind::ContentType,
        (13, b'a') if is(b"authorization") => Kind::Authorization,
        (13, b'i') if is(b"if-none-match") => Kind::Conditional,
        (14, b'c') if is(b"content-length") => Kind::ContentLength,
        (14, b'h') if is(b"http2-settings") => Kind::HopByHop,
        (15, b'x') if is(b"x-forwarded-for") => Kind::XForwardedFor,
        (15, b'i') if is(b"idempotency-key") => Kind::IdempotencyKey,
        (16, b'x') if is(b"x-forwarded-host") => Kind::XForwardedHost,
        (16, b'p') if is(b"proxy-connection") => Kind::HopByHop,
        (17, b'x') if is(b"x-forwarded-proto") => Kind::XForwardedProto,
        (17, b't') if is(b"transfer-encoding") => Kind::TransferEncoding,
        (17, b'i') if is(b"if-modified-since") => Kind::Conditional,
        (18, b'p') if is(b"proxy-authenticate") => Kind::HopByHop,
        (19, b'p') if is(b"proxy-authorization") => Kind::HopByHop,
        (19, b'i') if is(b"if-unmodified-since") => Kind::Conditional,
        (25, b'p') if is(b"proxy-authentication-info") => Kind::HopByHop,
        (_, b'x') if begins(name, b"x-steadfast-") => Kind::Steadfast,
        (_, b'x') if begins(name, b"x-forwarded-") => Kind::XForwardedOther,
        (_, b's') if begins(name, b"steadfast-") => Kind::Steadfast,
        _ => Kind::Other,
    };
    if known == Kind::Other && name.contains(&b'_') {
        Kind::Underscore
    } else {
        known
    }
}

fn begins(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_case_and_their_neighbours() {
        let check = |name: &str, kind| {
            assert_eq!(classify(name.as_bytes()), kind, "{name}");
            assert_eq!(
                classify(name.to_ascii_uppercase().as_bytes()),
                kind,
                "{name}"
            );
        };
        check("Host", Kind::Host);
        check("Hosts", Kind::Other);
        check("content-length", Kind::ContentLength);
        check("content_length", Kind::Underscore);
        check("x_forwarded_for", Kind::Underscore);
        check("x-forwarded-port", Kind::XForwardedOther);
        check("x-steadfast-user", Kind::Steadfast);
        check("steadfast-sign-in", Kind::Steadfast);
        check("x-steadfast", Kind::Other);
        check("proxy-authorization", Kind::HopByHop);
        check("te", Kind::HopByHop);
        check("if-none-match", Kind::Conditional);
        check("", Kind::Other);
    }
}
