//! What the lines of a well-formed answer say.

use super::{Answer, Asked, ResponseHead};
use crate::connection::{Fault, Options};
use crate::digits;
use crate::kind::Kind;
use crate::reject::BadAnswer;
use crate::{Framing, Version};

/// Fills the rest of `head` from its status line and lines.
pub(super) fn judge(buf: &[u8], asked: Asked, head: &mut ResponseHead) -> Result<(), BadAnswer> {
    if head.code < 100 {
        return Err(BadAnswer::StatusLine);
    }
    head.seen = 0;
    head.length = None;
    head.event_stream = false;
    let mut connection = Options::default();
    let (mut chunked, mut upgrade) = (false, Upgrades::default());
    for line in &head.lines.array[..head.lines.used] {
        let bit = 1 << line.kind as u32;
        let repeated = head.seen & bit != 0;
        head.seen |= bit;
        let value = line.value.of(buf);
        match line.kind {
            Kind::ContentLength if repeated => return Err(BadAnswer::Length),
            Kind::ContentLength => {
                head.length = Some(digits::decimal(value).ok_or(BadAnswer::Length)?)
            }
            Kind::TransferEncoding if repeated || !value.eq_ignore_ascii_case(b"chunked") => {
                return Err(BadAnswer::Encoding);
            }
            Kind::TransferEncoding => chunked = true,
            Kind::Connection => match connection.read(buf, line.value) {
                Ok(()) | Err(Fault::Nominates) => {}
                Err(Fault::Invalid) => return Err(BadAnswer::Connection),
            },
            Kind::Upgrade => {
                upgrade.websocket = value.eq_ignore_ascii_case(b"websocket") && !repeated;
            }
            Kind::ContentType => head.event_stream = is_event_stream(value),
            Kind::Other
            | Kind::Host
            | Kind::HopByHop
            | Kind::Nominated
            | Kind::Proxy
            | Kind::Underscore
            | Kind::Steadfast
            | Kind::Expect
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
            | Kind::Date
            | Kind::RetryAfter => {}
        }
    }
    if chunked && (head.length.is_some() || head.version == Version::Http10) {
        return Err(BadAnswer::Encoding);
    }
    head.answer = answer(head, asked, upgrade.websocket && connection.upgrade)?;
    head.framing = framing(head, asked, chunked);
    head.keep_alive = head.framing != Framing::UntilClose
        && head.answer != Answer::Switched
        && match head.version {
            Version::Http11 => !connection.close,
            Version::Http10 => connection.keep_alive && !connection.close,
        };
    connection.mark(buf, &mut head.lines);
    Ok(())
}

#[derive(Default)]
struct Upgrades {
    websocket: bool,
}

fn answer(head: &ResponseHead, asked: Asked, switches: bool) -> Result<Answer, BadAnswer> {
    match head.code {
        100 => Ok(Answer::Continue),
        101 if asked.websocket && switches && head.version == Version::Http11 => {
            Ok(Answer::Switched)
        }
        101 => Err(BadAnswer::Switched),
        102..=199 => Ok(Answer::Interim),
        _ => Ok(Answer::Final),
    }
}

/// RFC 9112, section 6.3, in its order.
fn framing(head: &ResponseHead, asked: Asked, chunked: bool) -> Framing {
    match (head.code, head.length) {
        _ if asked.head => Framing::None,
        (100..=199 | 204 | 304, _) => Framing::None,
        _ if chunked => Framing::Chunked,
        (_, Some(length)) => Framing::Length(length),
        (_, None) => Framing::UntilClose,
    }
}

fn is_event_stream(content_type: &[u8]) -> bool {
    let essence = content_type
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default();
    essence
        .trim_ascii_end()
        .eq_ignore_ascii_case(b"text/event-stream")
}
