//! Answers: what a client gets says how it ends.

use crate::{naive_framing, naive_lines, values};
use h1::response::{self, Answer, Asked, BodyAs, Deliver, ResponseHead};
use h1::{BadAnswer, Framing, Limits, Scan, Status};

/// See the README. The first byte chooses what was asked and who asks.
pub fn h1_response(data: &[u8]) {
    let [flags, cut, bytes @ ..] = data else {
        return;
    };
    let asked = Asked {
        head: flags & 1 != 0,
        websocket: flags & 2 != 0,
    };
    let deliver = Deliver {
        keep_alive: flags & 4 != 0,
        client_is_1_0: flags & 8 != 0,
        end_apart: flags & 16 != 0,
        extra: b"",
    };
    let cut = usize::from(*cut).min(bytes.len());
    let (mut head, mut pieces_head) = (ResponseHead::default(), ResponseHead::default());
    let whole = parse(bytes, &[bytes.len()], asked, &mut head);
    let pieces = parse(bytes, &[cut, bytes.len()], asked, &mut pieces_head);
    // Which fault is named may depend on the pieces; whether it is accepted may not.
    assert_eq!(
        whole == Ok(Status::Complete),
        pieces == Ok(Status::Complete),
        "{whole:?} {pieces:?}"
    );
    if whole != Ok(Status::Complete) {
        return;
    }
    assert_eq!(format!("{head:?}"), format!("{pieces_head:?}"));
    let (_, lines) = naive_lines(&bytes[..head.len]);
    let said = naive_framing(&lines);
    match head.framing {
        Framing::None => {}
        Framing::UntilClose => assert_eq!(said, Framing::None),
        Framing::Length(_) | Framing::Chunked => assert_eq!(said, head.framing),
    }
    delivered(bytes, &head, asked, &deliver);
}

fn parse(
    bytes: &[u8],
    ends: &[usize],
    asked: Asked,
    head: &mut ResponseHead,
) -> Result<Status, BadAnswer> {
    let mut scan = Scan::default();
    let mut got = Ok(Status::Partial);
    for &end in ends {
        got = response::parse(&bytes[..end], &mut scan, asked, &Limits::default(), head);
        if got != Ok(Status::Partial) {
            break;
        }
    }
    got
}

fn delivered(bytes: &[u8], head: &ResponseHead, asked: Asked, deliver: &Deliver<'_>) {
    let mut out = Vec::new();
    if matches!(head.answer, Answer::Continue | Answer::Interim) {
        response::write_interim(&mut out, head, bytes, deliver.client_is_1_0);
        assert_eq!(out.is_empty(), deliver.client_is_1_0);
        return;
    }
    let how = response::write_downstream(&mut out, head, bytes, deliver);
    let (_, lines) = naive_lines(&out);
    for (name, _) in &lines {
        assert!(
            !name.starts_with("steadfast-") && !name.starts_with("x-steadfast-"),
            "{name}"
        );
        assert!(
            !matches!(
                name.as_str(),
                "keep-alive" | "trailer" | "te" | "proxy-connection"
            ),
            "{name}"
        );
    }
    assert!(values(&lines, "connection").len() <= 1);
    assert!(how.body == BodyAs::Tunnel || values(&lines, "upgrade").is_empty());

    let mut again = ResponseHead::default();
    match parse(&out, &[out.len()], asked, &mut again) {
        Ok(status) => assert_eq!(status, Status::Complete),
        Err(BadAnswer::TooManyHeaders | BadAnswer::HeadTooLong) => return,
        Err(error) => panic!("{error}: {}", out.escape_ascii()),
    }
    let wanted = match (how.body, head.framing) {
        (BodyAs::Nothing | BodyAs::Tunnel, _) => Framing::None,
        (BodyAs::Plain, Framing::Length(length)) => Framing::Length(length),
        (BodyAs::Plain, _) => Framing::UntilClose,
        (BodyAs::Chunks | BodyAs::Rechunked, _) => Framing::Chunked,
    };
    assert_eq!(
        (again.code, again.framing, again.len),
        (head.code, wanted, out.len())
    );
    assert_eq!(again.keep_alive, how.keep_alive);
    assert!(deliver.keep_alive || !how.keep_alive);
    assert!(!(deliver.client_is_1_0 && matches!(how.body, BodyAs::Chunks | BodyAs::Rechunked)));
}
