//! What must hold for any input to `h1`, `conf`, `session`, `xmlrpc`, `wire` and the event system, as plain functions: run by the fuzzer
//! (`fuzz_targets/`) and, over mutated seeds, by `cargo test`. A broken promise is a panic.

mod chunked;
mod conf;
mod control;
mod listener;
mod request;
mod response;
mod rpc;
mod session;

pub use chunked::h1_chunked;
pub use conf::conf;
pub use control::control;
pub use listener::{capture, listener};
pub use request::h1_request;
pub use response::h1_response;
pub use rpc::xmlrpc;
pub use session::session;

/// Splits a head as RFC 9112 draws it: the first line, then names in small letters with trimmed values. The naive
/// second opinion on what a program behind us could read.
fn naive_lines(head: &[u8]) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let text = head.strip_prefix(b"\r\n").unwrap_or(head);
    let text = text
        .strip_suffix(b"\r\n\r\n")
        .expect("a head ends in an empty line");
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(rest[..at].to_vec());
        rest = &rest[at + 2..];
    }
    lines.push(rest.to_vec());
    for line in &lines {
        let stray = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
        assert!(
            !line.iter().any(stray),
            "a stray CR, LF or NUL was accepted"
        );
        assert!(
            !line.is_empty() && !line[0].is_ascii_whitespace(),
            "an empty or folded line was accepted"
        );
    }
    let first = lines.remove(0);
    let split = |line: Vec<u8>| {
        let colon = line
            .iter()
            .position(|&byte| byte == b':')
            .expect("a line without a colon was accepted");
        let name = String::from_utf8(line[..colon].to_ascii_lowercase())
            .expect("a name outside ASCII was accepted");
        assert!(
            !name.is_empty() && !name.contains([' ', '\t']),
            "a blank in a name was accepted"
        );
        (name, line[colon + 1..].trim_ascii().to_vec())
    };
    (first, lines.into_iter().map(split).collect())
}

/// All values of a name.
fn values<'a>(lines: &'a [(String, Vec<u8>)], name: &str) -> Vec<&'a [u8]> {
    lines
        .iter()
        .filter(|(other, _)| other == name)
        .map(|(_, value)| value.as_slice())
        .collect()
}

/// The framing that the lines of an accepted request or answer say on their own; panics if they say two things.
fn naive_framing(lines: &[(String, Vec<u8>)]) -> h1::Framing {
    let lengths = values(lines, "content-length");
    let encodings = values(lines, "transfer-encoding");
    assert!(
        lengths.len() + encodings.len() <= 1,
        "two framings were accepted"
    );
    match (lengths.first(), encodings.first()) {
        (Some(length), _) => {
            let text = std::str::from_utf8(length).expect("a length outside ASCII was accepted");
            assert!(
                text.bytes().all(|byte| byte.is_ascii_digit()),
                "a length with a sign was accepted"
            );
            h1::Framing::Length(
                text.parse()
                    .expect("a length that is no number was accepted"),
            )
        }
        (None, Some(encoding)) => {
            assert!(
                encoding.eq_ignore_ascii_case(b"chunked"),
                "an unknown coding was accepted"
            );
            h1::Framing::Chunked
        }
        (None, None) => h1::Framing::None,
    }
}
