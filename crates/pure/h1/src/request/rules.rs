//! What the lines of a well-formed request say, and whether they may be said together.

use super::{Method, Path, RequestHead, Upgrade, bit, target};
use crate::connection::{self, Options};
use crate::digits;
use crate::host;
use crate::kind::Kind;
use crate::limits::{Limits, METHOD_BYTES_MAX};
use crate::reject::Reject;
use crate::{Framing, Version};

/// Lines that matter to framing and forwarding, gathered in one pass.
#[derive(Default)]
struct Gathered {
    length: Option<u64>,
    chunked: bool,
    upgrade: Option<Upgrade>,
    connection: Options,
}

/// Fills the rest of `head` from its request line and lines.
pub(super) fn judge(buf: &[u8], limits: &Limits, head: &mut RequestHead) -> Result<(), Reject> {
    head.method = method(head.method_text.of(buf))?;
    if head.target.len() > limits.target_bytes_max {
        return Err(Reject::TargetTooLong);
    }
    let target = target::read(buf, head.target, head.method)?;
    head.path = target.path;
    head.path_as = target.path_as;
    let gathered = gather(buf, head)?;

    match (head.host, target.authority) {
        (None, _) if head.version == Version::Http11 => return Err(Reject::HostMissing),
        (None, authority) => head.host = authority,
        (Some(host), Some(authority)) if !host.of(buf).eq_ignore_ascii_case(authority.of(buf)) => {
            return Err(Reject::HostMismatch);
        }
        (Some(_), _) => {}
    }
    head.framing = framing(&gathered, head, limits)?;
    head.keep_alive = match head.version {
        Version::Http11 => !gathered.connection.close,
        Version::Http10 => gathered.connection.keep_alive && !gathered.connection.close,
    };
    // An expectation without a body to wait for has nothing to say, and HTTP/1.0 does not know it.
    head.expect_continue =
        head.has(Kind::Expect) && head.version == Version::Http11 && !head.framing.is_empty();
    head.upgrade = upgrade(&gathered, head)?;
    gathered.connection.mark(buf, &mut head.lines);
    Ok(())
}

fn method(text: &[u8]) -> Result<Method, Reject> {
    Ok(match text {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"POST" => Method::Post,
        b"PUT" => Method::Put,
        b"DELETE" => Method::Delete,
        b"OPTIONS" => Method::Options,
        b"PATCH" => Method::Patch,
        b"CONNECT" | b"TRACE" => return Err(Reject::MethodRefused),
        _ if text.len() <= METHOD_BYTES_MAX
            && text
                .iter()
                .all(|&byte| byte.is_ascii_uppercase() || byte == b'-') =>
        {
            Method::Other
        }
        _ => return Err(Reject::MethodUnknown),
    })
}

/// One pass over the lines.
fn gather(buf: &[u8], head: &mut RequestHead) -> Result<Gathered, Reject> {
    let mut gathered = Gathered::default();
    for line in &head.lines.array[..head.lines.used] {
        let repeated = head.seen & bit(line.kind) != 0;
        head.seen |= bit(line.kind);
        match line.kind {
            Kind::Host => {
                if repeated {
                    return Err(Reject::HostRepeated);
                }
                if !host::valid(line.value.of(buf)) {
                    return Err(Reject::HostInvalid);
                }
                head.host = Some(line.value);
            }
            Kind::ContentLength => {
                if repeated {
                    return Err(Reject::LengthRepeated);
                }
                gathered.length =
                    Some(digits::decimal(line.value.of(buf)).ok_or(Reject::LengthInvalid)?);
            }
            Kind::TransferEncoding => {
                if repeated {
                    return Err(Reject::EncodingRepeated);
                }
                if !line.value.of(buf).eq_ignore_ascii_case(b"chunked") {
                    return Err(Reject::EncodingUnsupported);
                }
                gathered.chunked = true;
            }
            Kind::Connection => {
                gathered
                    .connection
                    .read(buf, line.value)
                    .map_err(|fault| match fault {
                        connection::Fault::Invalid => Reject::ConnectionInvalid,
                        connection::Fault::Nominates => Reject::ConnectionNominates,
                    })?
            }
            // curl --http2 and Java's client offer HTTP/2 on every plain connection and go on without (RFC 9113, section
            // 3.1: to be ignored). Its lines are never forwarded, so nobody behind us can take it up either.
            Kind::Upgrade if !repeated && line.value.of(buf).eq_ignore_ascii_case(b"h2c") => {}
            Kind::Upgrade => {
                let websocket = line.value.of(buf).eq_ignore_ascii_case(b"websocket") && !repeated;
                gathered.upgrade = Some(if websocket {
                    Upgrade::WebSocket
                } else {
                    Upgrade::None
                });
            }
            Kind::Expect => {
                if !line.value.of(buf).eq_ignore_ascii_case(b"100-continue") {
                    return Err(Reject::ExpectUnsupported);
                }
            }
            Kind::Authorization if repeated => return Err(Reject::AuthorizationRepeated),
            Kind::Other
            | Kind::HopByHop
            | Kind::Nominated
            | Kind::Proxy
            | Kind::Underscore
            | Kind::Steadfast
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
            | Kind::RetryAfter => {}
        }
    }
    Ok(gathered)
}

/// RFC 9112, section 6.3, without its repairs.
fn framing(gathered: &Gathered, head: &RequestHead, limits: &Limits) -> Result<Framing, Reject> {
    match (gathered.chunked, gathered.length) {
        (true, Some(_)) => Err(Reject::LengthAndEncoding),
        (true, None) if head.version == Version::Http10 => Err(Reject::EncodingOnHttp10),
        (true, None) => Ok(Framing::Chunked),
        (false, Some(length)) if length > limits.body_bytes_max => Err(Reject::BodyTooLarge),
        (false, Some(length)) => Ok(Framing::Length(length)),
        (false, None) => Ok(Framing::None),
    }
}

/// Only a complete and well-formed opening of a WebSocket is one; whatever else wants to leave HTTP (h2c aside, which is
/// an offer) is refused, so that no intermediary in front takes the rest of the connection for something that we do not.
/// HTTP/1.0 does not know Upgrade (RFC 9110, section 7.8: to be ignored).
fn upgrade(gathered: &Gathered, head: &RequestHead) -> Result<Upgrade, Reject> {
    if head.version == Version::Http10 {
        return Ok(Upgrade::None);
    }
    match gathered.upgrade {
        None => Ok(Upgrade::None),
        Some(Upgrade::None) => Err(Reject::UpgradeUnsupported),
        Some(Upgrade::WebSocket) => {
            let whole = head.method == Method::Get
                && head.framing.is_empty()
                && head.path_as != Path::Asterisk
                && gathered.connection.upgrade
                && !gathered.connection.close;
            if whole {
                Ok(Upgrade::WebSocket)
            } else {
                Err(Reject::UpgradeInvalid)
            }
        }
    }
}
