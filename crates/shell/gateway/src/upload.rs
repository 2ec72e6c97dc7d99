//! A request's body on its way through the client's buffer.
//!
//! ```text
//!  buffer:  │ head │ body, decoded up to `pos` │ body, not sent │ next request …
//! ```
//! A body that is there as a whole is *held*: it stays in the buffer until the request is over, so that it can be sent
//! again. Any other is streamed: what was written leaves the buffer.

use h1::BodyError;
use h1::body::Decoder;
use h1::request::RequestHead;

use crate::buf::Buf;
use crate::limits::SEND_PROOF_BYTES_MAX;

/// See the module.
#[derive(Debug)]
pub(crate) struct Upload {
    fresh: Decoder,
    decoder: Decoder,
    scout: Decoder,
    scouted: usize,
    base: usize,
    pos: usize,
    length: Option<u64>,
    cuts: bool,
    /// 100 Continue was sent.
    pub(crate) invited: bool,
}

impl Upload {
    pub(crate) fn new(head: &RequestHead, body_bytes_max: u64) -> Upload {
        let fresh = Decoder::framed(head.framing, body_bytes_max);
        Upload {
            fresh,
            decoder: fresh,
            scout: fresh,
            scouted: 0,
            base: head.len,
            pos: 0,
            length: match head.framing {
                h1::Framing::Length(length) => Some(length),
                h1::Framing::None | h1::Framing::Chunked | h1::Framing::UntilClose => None,
            },
            cuts: false,
            invited: false,
        }
    }

    /// Looks at bytes that came: is the body there as a whole?
    pub(crate) fn look(&mut self, buf: &Buf) -> Result<bool, BodyError> {
        while !self.scout.is_finished() {
            let rest = &buf.bytes()[(self.base + self.scouted).min(buf.len())..];
            if rest.is_empty() {
                break;
            }
            self.scouted += self.scout.decode(rest)?.consumed;
        }
        Ok(self.is_held())
    }

    /// The whole body is in the buffer.
    pub(crate) fn is_held(&self) -> bool {
        self.scout.is_finished() && !self.cuts
    }

    /// Bytes of a held body in the buffer.
    pub(crate) fn held_bytes(&self) -> usize {
        self.scouted
    }

    /// Bytes of the head in the buffer.
    pub(crate) fn base(&self) -> usize {
        self.base
    }

    /// Whether the body is worth waiting for, so that it goes out in one send with a head of this size.
    pub(crate) fn fits(&self, head_bytes: usize) -> bool {
        let room = SEND_PROOF_BYTES_MAX.saturating_sub(head_bytes) as u64;
        self.length.is_some_and(|length| length <= room)
    }

    /// Begins to send, from the start. A body that is not held leaves the buffer as it is written.
    pub(crate) fn begin(&mut self) {
        self.decoder = self.fresh;
        self.pos = 0;
    }

    /// Everything was put out.
    pub(crate) fn is_finished(&self) -> bool {
        self.decoder.is_finished()
    }

    /// Puts what is in the buffer out, until `out` holds `max` bytes or so.
    pub(crate) fn feed(
        &mut self,
        buf: &Buf,
        out: &mut Vec<u8>,
        max: usize,
    ) -> Result<(), BodyError> {
        while !self.decoder.is_finished() && out.len() < max {
            let rest = &buf.bytes()[(self.base + self.pos).min(buf.len())..];
            if rest.is_empty() {
                break;
            }
            let progress = self.decoder.decode(rest)?;
            out.extend_from_slice(&rest[progress.data]);
            self.pos += progress.consumed;
        }
        Ok(())
    }

    /// What was put out has been written: unless it is held, it leaves the buffer for good.
    pub(crate) fn written(&mut self, buf: &mut Buf) {
        if !self.is_held() && self.pos > 0 {
            self.cuts = true;
            buf.cut(self.base, self.pos);
            self.pos = 0;
        }
    }

    /// The request is over: takes it out of the buffer.
    pub(crate) fn consume(&self, buf: &mut Buf) {
        let body = match self.is_held() {
            true => self.scouted,
            false => self.pos,
        };
        buf.consume(self.base + body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (RequestHead, Buf) {
        let mut head = RequestHead::default();
        let mut scan = h1::Scan::default();
        let limits = h1::Limits::default();
        let status = h1::request::parse(text.as_bytes(), &mut scan, &limits, &mut head);
        assert_eq!(status, Ok(h1::Status::Complete));
        let mut buf = Buf::new(4096);
        buf.room(4096).expect("room")[..text.len()].copy_from_slice(text.as_bytes());
        buf.filled(text.len());
        (head, buf)
    }

    #[test]
    fn a_held_body_is_sent_twice() {
        let (head, mut buf) =
            parsed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET");
        let mut upload = Upload::new(&head, u64::MAX);
        assert_eq!(upload.look(&buf), Ok(true));
        for _ in 0..2 {
            upload.begin();
            let mut out = Vec::new();
            assert_eq!(upload.feed(&buf, &mut out, 100), Ok(()));
            upload.written(&mut buf);
            assert_eq!((out.as_slice(), upload.is_finished()), (&b"abc"[..], true));
        }
        upload.consume(&mut buf);
        assert_eq!(buf.bytes(), b"GET");
    }

    #[test]
    fn a_streamed_body_leaves_the_buffer() {
        let (head, mut buf) =
            parsed("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nab");
        let mut upload = Upload::new(&head, u64::MAX);
        assert_eq!(upload.look(&buf), Ok(false));
        upload.begin();
        let mut out = Vec::new();
        assert_eq!(upload.feed(&buf, &mut out, 100), Ok(()));
        upload.written(&mut buf);
        buf.room(4096).expect("room")[..9].copy_from_slice(b"c\r\n0\r\n\r\nX");
        buf.filled(9);
        assert_eq!(upload.feed(&buf, &mut out, 100), Ok(()));
        assert_eq!(String::from_utf8_lossy(&out), "3\r\nabc\r\n0\r\n\r\n");
        assert!(upload.is_finished());
        upload.consume(&mut buf);
        assert_eq!(buf.bytes(), b"X");
    }
}
