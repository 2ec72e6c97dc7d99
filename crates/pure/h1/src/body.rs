//! Bodies, as ranges of the caller's buffer, counted to the byte.
//!
//! A decoder is asked with what was read and answers with how much of it belongs to this body, and which range of it
//! is to be passed on. In the *payload* form that is the content alone. In the *framed* form of a chunked body it is
//! the coding itself, so that a relay can pass whole buffers on without touching them: what is left out there are only
//! chunk extensions and trailers (nobody may smuggle lines behind a body), and what was passed on is again a strict
//! chunked body.
//!
//! ```text
//!            ┌────────────── CRLF ───────────────┐
//!  Size ──CR──► SizeLf ──size>0──► Data ──► DataCr ──► DataLf ──► Size
//!   │';'   ▲      └────size=0──► TrailerStart ──CR──► EndLf ──► Done
//!   ▼      CR                      │  ▲
//!  Extension                       ▼  └── LF ── TrailerLf ◄──CR── TrailerValue ◄──':'── TrailerName
//! ```

use crate::Framing;
use crate::connection::is_token;
use crate::digits::hex;
use crate::limits::{CHUNK_EXT_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX, TRAILER_BYTES_MAX};
use crate::reject::BodyError;
use std::ops::Range;

/// What one call of [`Decoder::decode`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input that belong to the body and are done with. The rest must be offered again, first.
    pub consumed: usize,
    /// The part of the input to pass on; may be empty although bytes were consumed.
    pub data: Range<usize>,
    /// The body is complete; bytes after `consumed` belong to the next message.
    pub finished: bool,
}

/// What a chunked decoder hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Payload,
    Framed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    UntilClose,
    Size { size: u64, digits: u8 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data(u64),
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// Follows one body. Small and `Copy`: a request that is sent again starts with a fresh one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder {
    state: State,
    form: Form,
    allowed: u64,
    payload: u64,
    extension_left: u32,
    trailer_left: u32,
}

impl Decoder {
    /// A decoder that hands out the content alone. `body_bytes_max` bounds chunked bodies and those until close;
    /// a length is checked where the head is parsed.
    pub fn payload(framing: Framing, body_bytes_max: u64) -> Decoder {
        Decoder::new(framing, body_bytes_max, Form::Payload)
    }

    /// A decoder that hands out a chunked body as a (cleaned) chunked body; other framings as with
    /// [`Decoder::payload`].
    pub fn framed(framing: Framing, body_bytes_max: u64) -> Decoder {
        Decoder::new(framing, body_bytes_max, Form::Framed)
    }

    fn new(framing: Framing, body_bytes_max: u64, form: Form) -> Decoder {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size { size: 0, digits: 0 },
            Framing::UntilClose => State::UntilClose,
        };
        Decoder {
            state,
            form,
            allowed: body_bytes_max,
            payload: 0,
            extension_left: CHUNK_EXT_BYTES_MAX,
            trailer_left: TRAILER_BYTES_MAX,
        }
    }

    /// The body is complete.
    pub fn is_finished(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes of content seen so far, without any coding.
    pub fn payload_bytes(&self) -> u64 {
        self.payload
    }

    /// Takes from the start of `input`. Call it again with the rest while there is a rest and it is not finished: one
    /// call hands out one range, and always takes at least one byte of a body that is not complete.
    pub fn decode(&mut self, input: &[u8]) -> Result<Progress, BodyError> {
        let mut at = 0;
        let mut data = 0..0;
        while at < input.len() && self.state != State::Done {
            let passes = self.passes(input[at]);
            if passes && !data.is_empty() && data.end != at {
                break;
            }
            let taken = self.step(&input[at..])?;
            if passes {
                data = if data.is_empty() {
                    at..at + taken
                } else {
                    data.start..at + taken
                };
            }
            at += taken;
        }
        Ok(Progress {
            consumed: at,
            data,
            finished: self.state == State::Done,
        })
    }

    /// The sender has closed its side: completes a body until close, is an error for any other unfinished one.
    pub fn end_of_input(&mut self) -> Result<(), BodyError> {
        match self.state {
            State::UntilClose => self.state = State::Done,
            State::Done => {}
            State::Length(_)
            | State::Size { .. }
            | State::Extension { .. }
            | State::SizeLf { .. }
            | State::Data(_)
            | State::DataCr
            | State::DataLf
            | State::TrailerStart
            | State::TrailerName
            | State::TrailerValue
            | State::TrailerLf
            | State::EndLf => return Err(BodyError::Truncated),
        }
        Ok(())
    }

    /// Whether the next byte is to be passed on.
    fn passes(&self, byte: u8) -> bool {
        let framed = self.form == Form::Framed;
        match self.state {
            State::Length(_) | State::UntilClose | State::Data(_) => true,
            State::Size { .. } => framed && byte != b';',
            State::Extension { .. } | State::TrailerStart => framed && byte == b'\r',
            State::SizeLf { .. } | State::DataCr | State::DataLf | State::EndLf => framed,
            State::TrailerName | State::TrailerValue | State::TrailerLf | State::Done => false,
        }
    }

    /// One transition; returns the bytes it took. `rest` is not empty.
    fn step(&mut self, rest: &[u8]) -> Result<usize, BodyError> {
        let byte = rest[0];
        self.state = match self.state {
            State::Length(left) => return Ok(self.bulk(rest, left, State::Length, State::Done)),
            State::Data(left) => return Ok(self.bulk(rest, left, State::Data, State::DataCr)),
            State::UntilClose => {
                let taken = rest.len() as u64;
                self.allowed = self.allowed.checked_sub(taken).ok_or(BodyError::TooLarge)?;
                self.payload += taken;
                return Ok(rest.len());
            }
            State::Size { size, digits } => self.size(byte, size, digits)?,
            State::Extension { size } => match byte {
                b'\r' => State::SizeLf { size },
                _ => {
                    self.extension_left =
                        spend(self.extension_left, byte).ok_or(BodyError::ChunkExtension)?;
                    State::Extension { size }
                }
            },
            State::SizeLf { size: 0 } => expect(byte, b'\n', State::TrailerStart)?,
            State::SizeLf { size } => expect(byte, b'\n', State::Data(size))?,
            State::DataCr => expect(byte, b'\r', State::DataLf)?,
            State::DataLf => expect(byte, b'\n', State::Size { size: 0, digits: 0 })?,
            State::EndLf => expect(byte, b'\n', State::Done)?,
            State::TrailerStart if byte == b'\r' => State::EndLf,
            State::TrailerStart if !is_token(byte) => return Err(BodyError::Trailer),
            State::TrailerStart => self.trailer(byte, State::TrailerName)?,
            State::TrailerName if byte == b':' => self.trailer(byte, State::TrailerValue)?,
            State::TrailerName if !is_token(byte) => return Err(BodyError::Trailer),
            State::TrailerName => self.trailer(byte, State::TrailerName)?,
            State::TrailerValue if byte == b'\r' => State::TrailerLf,
            State::TrailerValue => self.trailer(byte, State::TrailerValue)?,
            State::TrailerLf if byte == b'\n' => State::TrailerStart,
            State::TrailerLf => return Err(BodyError::Trailer),
            State::Done => return Ok(0),
        };
        Ok(1)
    }

    fn bulk(&mut self, rest: &[u8], left: u64, more: fn(u64) -> State, done: State) -> usize {
        let taken = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
        let left = left - taken as u64;
        self.payload += taken as u64;
        self.state = if left == 0 { done } else { more(left) };
        taken
    }

    fn size(&mut self, byte: u8, size: u64, digits: u8) -> Result<State, BodyError> {
        if let Some(digit) = hex(byte) {
            if digits == CHUNK_SIZE_DIGITS_MAX {
                return Err(BodyError::ChunkSize);
            }
            return Ok(State::Size {
                size: size << 4 | u64::from(digit),
                digits: digits + 1,
            });
        }
        if digits == 0 {
            return Err(BodyError::ChunkSize);
        }
        match byte {
            b'\r' | b';' => {
                self.allowed = self.allowed.checked_sub(size).ok_or(BodyError::TooLarge)?;
                Ok(if byte == b'\r' {
                    State::SizeLf { size }
                } else {
                    State::Extension { size }
                })
            }
            _ => Err(BodyError::ChunkSize),
        }
    }

    fn trailer(&mut self, byte: u8, next: State) -> Result<State, BodyError> {
        self.trailer_left = spend(self.trailer_left, byte).ok_or(BodyError::Trailer)?;
        Ok(next)
    }
}

/// One byte of text that is read and dropped: no control characters but the tab, and not too many.
fn spend(left: u32, byte: u8) -> Option<u32> {
    let text = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    if text { left.checked_sub(1) } else { None }
}

fn expect(byte: u8, wanted: u8, next: State) -> Result<State, BodyError> {
    if byte == wanted {
        Ok(next)
    } else {
        Err(BodyError::ChunkLine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = 1 << 20;

    /// Decodes `input` whole and byte by byte; both must agree.
    fn all(mut decoder: Decoder, input: &[u8]) -> Result<(Vec<u8>, usize, bool), BodyError> {
        let mut slow = decoder;
        let run = |decoder: &mut Decoder, input: &[u8], step: usize| {
            let (mut out, mut at) = (Vec::new(), 0);
            while at < input.len() && !decoder.is_finished() {
                let offered = &input[at..(at + step).min(input.len())];
                let progress = decoder.decode(offered)?;
                assert!(progress.consumed > 0 && progress.data.end <= progress.consumed);
                out.extend_from_slice(&offered[progress.data]);
                at += progress.consumed;
            }
            Ok((out, at, decoder.is_finished()))
        };
        let whole = run(&mut decoder, input, usize::MAX / 2);
        assert_eq!(run(&mut slow, input, 1), whole);
        whole
    }

    fn check(input: &str, payload: &str, framed: &str, left: usize) {
        let end = input.len() - left;
        let got = all(Decoder::payload(Framing::Chunked, MAX), input.as_bytes());
        assert_eq!(
            got,
            Ok((payload.as_bytes().to_vec(), end, true)),
            "{input:?}"
        );
        let got = all(Decoder::framed(Framing::Chunked, MAX), input.as_bytes());
        assert_eq!(
            got,
            Ok((framed.as_bytes().to_vec(), end, true)),
            "{input:?}"
        );
    }

    fn refuse(input: &str, error: BodyError) {
        assert_eq!(
            all(Decoder::payload(Framing::Chunked, MAX), input.as_bytes()),
            Err(error),
            "{input:?}"
        );
        assert_eq!(
            all(Decoder::framed(Framing::Chunked, MAX), input.as_bytes()),
            Err(error),
            "{input:?}"
        );
    }

    #[test]
    fn chunked() {
        check("0\r\n\r\n", "", "0\r\n\r\n", 0);
        check(
            "5\r\nhello\r\n0\r\n\r\nGET",
            "hello",
            "5\r\nhello\r\n0\r\n\r\n",
            3,
        );
        check(
            "2;a=b\r\nhe\r\n3\r\nllo\r\n00;x\r\n\r\n",
            "hello",
            "2\r\nhe\r\n3\r\nllo\r\n00\r\n\r\n",
            0,
        );
        check(
            "1\r\na\r\n0\r\nHost: b\r\nX:\r\n\r\n",
            "a",
            "1\r\na\r\n0\r\n\r\n",
            0,
        );
    }

    #[test]
    fn chunked_refused() {
        for bad in [
            "g\r\n",
            "\r\n",
            ";\r\n",
            "0x5\r\n",
            "+5\r\n",
            "-1\r\n",
            " 5\r\n",
            "5 \r\n",
            "5\n",
            "00000000000000000\r\n",
        ] {
            refuse(bad, BodyError::ChunkSize);
        }
        refuse("1\rx", BodyError::ChunkLine);
        refuse("1\r\nab", BodyError::ChunkLine);
        refuse("1\r\na\n", BodyError::ChunkLine);
        refuse("1\r\na\rb", BodyError::ChunkLine);
        refuse("1;a\nb", BodyError::ChunkExtension);
        refuse("1;a\0b", BodyError::ChunkExtension);
        refuse(
            &format!("1;{}", "a".repeat(5000)),
            BodyError::ChunkExtension,
        );
        refuse("0\r\n\n", BodyError::Trailer);
        refuse("0\r\n x", BodyError::Trailer);
        refuse("0\r\nGET / HTTP/1.1\r\n", BodyError::Trailer);
        refuse("0\r\na: b\n", BodyError::Trailer);
        refuse("0\r\na: b\rc", BodyError::Trailer);
        refuse(&format!("0\r\na: {}", "b".repeat(9000)), BodyError::Trailer);
        refuse("0\r\n\rx", BodyError::ChunkLine);
        refuse("ffffffffffffffff\r\n", BodyError::TooLarge);
        refuse("100001\r\n", BodyError::TooLarge);
    }

    #[test]
    fn lengths() {
        assert_eq!(
            all(Decoder::payload(Framing::Length(3), MAX), b"abcd"),
            Ok((b"abc".to_vec(), 3, true))
        );
        assert_eq!(
            all(Decoder::payload(Framing::Length(0), MAX), b"a"),
            Ok((vec![], 0, true))
        );
        let mut open = Decoder::payload(Framing::UntilClose, 3);
        assert_eq!(all(open, b"abc"), Ok((b"abc".to_vec(), 3, false)));
        assert_eq!(all(open, b"abcd"), Err(BodyError::TooLarge));
        assert_eq!(open.end_of_input(), Ok(()));
        assert!(open.is_finished());
        assert_eq!(
            Decoder::payload(Framing::Length(3), MAX).end_of_input(),
            Err(BodyError::Truncated)
        );
        assert_eq!(
            Decoder::payload(Framing::Chunked, MAX).end_of_input(),
            Err(BodyError::Truncated)
        );
    }
}
