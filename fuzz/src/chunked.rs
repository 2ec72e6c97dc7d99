//! Chunked bodies: three readers must agree.

use h1::body::Decoder;
use h1::{BodyError, CHUNK_EXT_BYTES_MAX, Framing, TRAILER_BYTES_MAX};

/// Small, so that the bound is met.
const BODY_BYTES_MAX: u64 = 4096;

/// See the README. The first byte chooses the size of the pieces.
pub fn h1_chunked(data: &[u8]) {
    let Some((&first, bytes)) = data.split_first() else {
        return;
    };
    let step = usize::from(first) + 1;
    let payload = decode(
        Decoder::payload(Framing::Chunked, BODY_BYTES_MAX),
        bytes,
        usize::MAX / 2,
    );
    let framed = decode(
        Decoder::framed(Framing::Chunked, BODY_BYTES_MAX),
        bytes,
        usize::MAX / 2,
    );
    assert_eq!(
        payload,
        decode(
            Decoder::payload(Framing::Chunked, BODY_BYTES_MAX),
            bytes,
            step
        )
    );
    assert_eq!(
        framed,
        decode(
            Decoder::framed(Framing::Chunked, BODY_BYTES_MAX),
            bytes,
            step
        )
    );
    match (&payload, &framed) {
        (Err(one), Err(other)) => assert_eq!(one, other),
        (Ok(content), Ok(chunks)) => {
            assert_eq!(
                (content.used, content.finished),
                (chunks.used, chunks.finished)
            );
            let again = decode(
                Decoder::payload(Framing::Chunked, BODY_BYTES_MAX),
                &chunks.bytes,
                usize::MAX / 2,
            );
            let used = chunks.bytes.len();
            assert_eq!(
                again,
                Ok(Decoded {
                    bytes: content.bytes.clone(),
                    used,
                    finished: content.finished
                })
            );
            if chunks.finished {
                assert!(chunks.bytes.ends_with(b"0\r\n\r\n"));
            }
        }
        (one, other) => panic!("{one:?} {other:?}"),
    }
    let naive = naive(bytes);
    match &payload {
        Ok(content) if content.finished => {
            assert_eq!(naive, Some((content.bytes.clone(), content.used)))
        }
        Ok(_) | Err(_) => assert_eq!(naive, None),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    bytes: Vec<u8>,
    used: usize,
    finished: bool,
}

fn decode(mut decoder: Decoder, bytes: &[u8], step: usize) -> Result<Decoded, BodyError> {
    let (mut out, mut used) = (Vec::new(), 0);
    while used < bytes.len() && !decoder.is_finished() {
        let input = &bytes[used..(used + step).min(bytes.len())];
        let progress = decoder.decode(input)?;
        assert!(
            progress.consumed > 0 && progress.data.end <= progress.consumed,
            "no progress"
        );
        assert_eq!(progress.finished, decoder.is_finished());
        out.extend_from_slice(&input[progress.data]);
        used += progress.consumed;
    }
    Ok(Decoded {
        bytes: out,
        used,
        finished: decoder.is_finished(),
    })
}

/// The chunked coding once more, as one would write it down from RFC 9112, section 7.1, with our bounds: content and
/// length of a complete and valid body.
fn naive(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut content = Vec::new();
    let mut at = 0;
    let (mut extensions, mut trailers) = (0, 0);
    loop {
        let line = line(bytes, &mut at)?;
        let digits = line
            .iter()
            .position(|&byte| byte == b';')
            .unwrap_or(line.len());
        extensions += (line.len() - digits).saturating_sub(1);
        let text = std::str::from_utf8(&line[..digits]).ok()?;
        let plain =
            text.bytes().all(|byte| byte.is_ascii_hexdigit()) && (1..=16).contains(&text.len());
        if !plain || extensions > CHUNK_EXT_BYTES_MAX as usize {
            return None;
        }
        let size = u64::from_str_radix(text, 16).ok()?;
        if size == 0 {
            break;
        }
        if (content.len() as u64).saturating_add(size) > BODY_BYTES_MAX {
            return None;
        }
        let end = at + usize::try_from(size).ok()?;
        content.extend_from_slice(bytes.get(at..end)?);
        if bytes.get(end..end + 2)? != b"\r\n" {
            return None;
        }
        at = end + 2;
    }
    loop {
        let trailer = line(bytes, &mut at)?;
        if trailer.is_empty() {
            return Some((content, at));
        }
        let name = trailer.iter().position(|&byte| byte == b':')?;
        let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        trailers += trailer.len();
        let bounded = trailers <= TRAILER_BYTES_MAX as usize;
        if name == 0 || !bounded || !trailer[..name].iter().all(token) {
            return None;
        }
    }
}

/// A line that ends in CRLF and holds no control characters but the tab.
fn line<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let rest = &bytes[*at..];
    let end = rest
        .iter()
        .position(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f)?;
    if rest.get(end..end + 2)? != b"\r\n" {
        return None;
    }
    *at += end + 2;
    Some(&rest[..end])
}
