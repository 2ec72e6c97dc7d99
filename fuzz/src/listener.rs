//! The conversation with an event listener, and the marks in a program's output.

use events::{Conversation, Heard, LINE_BYTES_MAX, ListenerState, Piece, Tap, strip_ansi};

/// Whatever a listener writes: a naive reader of the same bytes agrees, what is kept is bounded, and a listener that broke
/// the protocol is not heard again. An event is handed over as soon as the listener is ready.
pub fn listener(data: &[u8]) {
    let mut talk = Conversation::default();
    let mut heard = Vec::new();
    for byte in data {
        heard.extend(talk.hear(&[*byte]));
        let ready = talk.state() == ListenerState::Ready;
        assert_eq!(
            talk.send(),
            ready,
            "an event is taken by a ready listener only"
        );
        assert!(talk.kept_bytes() <= LINE_BYTES_MAX + 3, "too much is kept");
    }
    let heard: Vec<Heard> = heard
        .into_iter()
        .map(|one| match one {
            // The naive reader has no words for it.
            Heard::BadResult { .. } => Heard::BadResult {
                line: String::new(),
            },
            other => other,
        })
        .collect();
    assert_eq!(heard, naive(data));
    in_pieces(data);
}

/// In pieces of any size the order of things is the same: ready, then an end, and nothing behind a break.
fn in_pieces(data: &[u8]) {
    let size = data.first().map_or(1, |first| usize::from(*first) + 1);
    let mut talk = Conversation::default();
    let (mut busy, mut broken) = (false, false);
    for piece in data.chunks(size) {
        for one in talk.hear(piece) {
            assert!(!broken, "something was heard behind a break");
            match one {
                Heard::Ready => assert!(!busy, "ready with an event in its hands"),
                Heard::Result { .. } => assert!(std::mem::take(&mut busy), "a result of nothing"),
                Heard::BadResult { .. } => assert!(busy, "a result line of nothing"),
                Heard::Broken => broken = true,
            }
        }
        busy |= talk.send();
    }
    assert_eq!(broken, talk.state() == ListenerState::Unknown);
}

fn naive(mut rest: &[u8]) -> Vec<Heard> {
    let mut heard = Vec::new();
    loop {
        let Some((word, after)) = rest.split_at_checked(6) else {
            return heard;
        };
        if word != b"READY\n" {
            heard.push(Heard::Broken);
            return heard;
        }
        heard.push(Heard::Ready);
        let end = after.iter().position(|byte| *byte == b'\n');
        let Some(end) = end.filter(|end| *end < LINE_BYTES_MAX) else {
            if after.len() >= LINE_BYTES_MAX {
                heard.extend([
                    Heard::BadResult {
                        line: String::new(),
                    },
                    Heard::Broken,
                ]);
            }
            return heard;
        };
        let line = &after[..end];
        let Some(length) = line.get(7..).and_then(number) else {
            heard.extend([
                Heard::BadResult {
                    line: String::new(),
                },
                Heard::Broken,
            ]);
            return heard;
        };
        let Some((result, after)) = usize::try_from(length)
            .ok()
            .and_then(|length| after[end + 1..].split_at_checked(length))
        else {
            return heard;
        };
        heard.push(Heard::Result {
            ok: result == b"OK",
        });
        rest = after;
    }
}

fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let groups: Vec<&str> = text.split('_').collect();
    let good = |group: &&str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    if !groups.iter().all(good) {
        return None;
    }
    groups.concat().parse().ok()
}

/// Whatever a program writes, in whatever pieces: log and captured parts are what a naive reader of the whole finds.
pub fn capture(data: &[u8]) {
    let (first, data) = data.split_first().unwrap_or((&1, &[]));
    let size = usize::from(first & 63) + 1;
    let strip = first & 64 != 0;
    let mut tap = Tap::new(1 << 20, true, strip).expect("a tap");
    let (mut log, mut said, mut captured) = (Vec::new(), Vec::new(), Vec::new());
    let mut pieces: Vec<Piece> = data
        .chunks(size)
        .flat_map(|piece| tap.take(piece))
        .collect();
    pieces.extend(tap.end());
    for piece in pieces {
        match piece {
            Piece::Log(bytes) => log.extend(bytes),
            Piece::Event(bytes) => said.extend(bytes),
            Piece::Captured(bytes) => captured.push(bytes),
        }
    }
    if strip {
        // Supervisor strips piece by piece; over a cut a sequence may stay. Within one piece none does.
        assert!(
            !strip_ansi(data).windows(2).any(|pair| pair == b"\x1b[")
                || data.windows(2).any(|pair| pair == b"\x1b\x1b")
        );
        return;
    }
    let (mut naive_log, mut naive_captured, mut rest) = (Vec::new(), Vec::new(), data);
    loop {
        let (before, after) = split(rest, b"<!--XSUPERVISOR:BEGIN-->");
        naive_log.extend_from_slice(before);
        let Some(after) = after else { break };
        let (inside, after) = split(after, b"<!--XSUPERVISOR:END-->");
        let Some(after) = after else { break };
        naive_captured.push(inside.to_vec());
        rest = after;
    }
    assert_eq!(log, naive_log);
    assert_eq!(captured, naive_captured);
    assert!(said.len() <= data.len());
}

fn split<'a>(data: &'a [u8], mark: &[u8]) -> (&'a [u8], Option<&'a [u8]>) {
    match data.windows(mark.len()).position(|window| window == mark) {
        Some(at) => (&data[..at], Some(&data[at + mark.len()..])),
        None => (data, None),
    }
}
