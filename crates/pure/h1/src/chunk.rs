//! Writing the chunked coding (RFC 9112, section 7.1).

/// What follows the data of a chunk.
pub const CRLF: &[u8] = b"\r\n";

/// The last chunk and the empty trailer section.
pub const END: &[u8] = b"0\r\n\r\n";

/// Longest text of [`Head`], bytes: 16 digits and CRLF.
const HEAD_BYTES_MAX: usize = 18;

/// The line before a chunk's data, on the stack, for vectored writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    text: [u8; HEAD_BYTES_MAX],
    start: usize,
}

impl Head {
    /// The line for a chunk of `len` bytes; `len` must not be 0, which would end the body.
    pub fn new(len: usize) -> Head {
        debug_assert!(len > 0);
        let mut head = Head {
            text: *b"................\r\n",
            start: HEAD_BYTES_MAX - 2,
        };
        let mut rest = len;
        loop {
            head.start -= 1;
            head.text[head.start] = b"0123456789abcdef"[rest & 15];
            rest >>= 4;
            if rest == 0 {
                return head;
            }
        }
    }

    /// The line with its CRLF.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[self.start..]
    }
}

/// Appends one chunk; nothing if `data` is empty.
pub fn write(out: &mut Vec<u8>, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    out.extend_from_slice(Head::new(data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(CRLF);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(Head::new(1).as_bytes(), b"1\r\n");
        assert_eq!(Head::new(255).as_bytes(), b"ff\r\n");
        assert_eq!(Head::new(0x1_0000).as_bytes(), b"10000\r\n");
        assert_eq!(Head::new(usize::MAX).as_bytes(), b"ffffffffffffffff\r\n");
        let mut out = Vec::new();
        write(&mut out, b"");
        write(&mut out, b"hello");
        assert_eq!(out, b"5\r\nhello\r\n");
    }
}
