//! Requests: accepted by us means read in the same way by the program.

use crate::{naive_framing, naive_lines, values};
use h1::request::{self, Forward, RequestHead, Upgrade};
use h1::{Limits, Reject, Scan, Status, Version};

/// Names that must never reach a program, whatever the client sent.
const NEVER: [&str; 11] = [
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "http2-settings",
    "proxy-authorization",
    "proxy",
    "expect",
    "forwarded",
    "x-real-ip",
    "x-forwarded-port",
];

/// Names that we write, exactly once.
const ONCE: [&str; 4] = [
    "host",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
];

/// See the README.
pub fn h1_request(data: &[u8]) {
    let Some((&first, bytes)) = data.split_first() else {
        return;
    };
    let cut = usize::from(first).min(bytes.len());
    let mut head = RequestHead::default();
    let whole = parse(bytes, &[bytes.len()], &mut head);
    let mut pieces_head = RequestHead::default();
    let pieces = parse(
        bytes,
        &[cut, (cut + 1).min(bytes.len()), bytes.len()],
        &mut pieces_head,
    );
    if whole != pieces {
        let ended = bytes.windows(4).any(|part| part == b"\r\n\r\n");
        assert!(
            !ended && pieces == Ok(Status::Partial),
            "whole {whole:?}, in pieces {pieces:?}"
        );
    }
    if whole != Ok(Status::Complete) {
        return;
    }
    assert_eq!(format!("{head:?}"), format!("{pieces_head:?}"));
    accepted(&bytes[..head.len], &head);
    forwarded(bytes, &head);
}

fn parse(bytes: &[u8], ends: &[usize], head: &mut RequestHead) -> Result<Status, Reject> {
    let mut scan = Scan::default();
    let mut got = Ok(Status::Partial);
    for &end in ends {
        got = request::parse(&bytes[..end], &mut scan, &Limits::default(), head);
        if got != Ok(Status::Partial) {
            break;
        }
    }
    got
}

fn accepted(bytes: &[u8], head: &RequestHead) {
    let (_, lines) = naive_lines(bytes);
    assert_eq!(naive_framing(&lines), head.framing);
    assert_eq!(lines.len(), head.lines.as_slice().len());
    for ((name, value), line) in lines.iter().zip(head.lines.as_slice()) {
        assert!(line.name().of(bytes).eq_ignore_ascii_case(name.as_bytes()));
        assert_eq!(line.value().of(bytes), value);
    }
    let hosts = values(&lines, "host");
    assert!(
        hosts.len() == 1 || (hosts.is_empty() && head.version == Version::Http10),
        "Host was not checked"
    );
}

fn forwarded(bytes: &[u8], head: &RequestHead) {
    let forward = Forward {
        client: b"203.0.113.9",
        proto: b"http",
        host: b"ours",
        ..Forward::default()
    };
    let mut out = Vec::new();
    request::write_upstream(&mut out, head, bytes, &forward);
    let (first, lines) = naive_lines(&out);
    let blanks = first.iter().filter(|&&byte| byte == b' ').count();
    assert!(
        blanks == 2 && first.is_ascii() && first.ends_with(b" HTTP/1.1"),
        "{}",
        first.escape_ascii()
    );
    for name in ONCE {
        assert_eq!(values(&lines, name).len(), 1, "{name}");
    }
    for (name, _) in &lines {
        assert!(!NEVER.contains(&name.as_str()), "{name}");
        assert!(
            !name.contains('_')
                && !name.starts_with("steadfast-")
                && !name.starts_with("x-steadfast-"),
            "{name}"
        );
    }
    let upgrades = usize::from(head.upgrade == Upgrade::WebSocket);
    assert_eq!(
        (
            values(&lines, "upgrade").len(),
            values(&lines, "connection").len()
        ),
        (upgrades, upgrades)
    );
    assert_eq!(naive_framing(&lines), head.framing);

    let mut again = RequestHead::default();
    match parse(&out, &[out.len()], &mut again) {
        Ok(status) => assert_eq!(status, Status::Complete),
        // The lines of ours may be the ones too many.
        Err(Reject::TooManyHeaders | Reject::HeadTooLong) => return,
        Err(reject) => panic!("{reject}: {}", out.escape_ascii()),
    }
    assert_eq!(
        (again.len, again.framing, again.method),
        (out.len(), head.framing, head.method)
    );
    assert_eq!(again.upgrade, head.upgrade);
    let mut twice = Vec::new();
    request::write_upstream(&mut twice, &again, &out, &forward);
    assert_eq!(twice, out);
}
