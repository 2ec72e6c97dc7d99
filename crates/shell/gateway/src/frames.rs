//! Where the frames of a WebSocket end (RFC 6455, section 5.2): all that a tunnel has to know to say a last word.

/// A close frame of a server with 1012, *service restart*: browsers' libraries connect again.
pub(crate) const RESTART: [u8; 4] = [0x88, 0x02, 0x03, 0xf4];
/// The same with 1008, *policy violation* (RFC 6455, section 7.4.1): who connects again would be refused.
pub(crate) const REVOKED: [u8; 4] = [0x88, 0x02, 0x03, 0xf0];

/// Longest head of a frame: two bytes, eight of length, four of a mask.
const HEAD_BYTES_MAX: usize = 14;
const CLOSE: u8 = 0x8;

/// How far a stream of frames is.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    head: [u8; HEAD_BYTES_MAX],
    have: usize,
    /// Of the payload.
    left: u64,
    /// The sender has said its own last word.
    closed: bool,
}

impl Frames {
    /// These bytes went by.
    pub(crate) fn passed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let some = usize::try_from(self.left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                bytes = &bytes[some..];
                self.left -= some as u64;
                continue;
            }
            self.head[self.have] = bytes[0];
            self.have += 1;
            bytes = &bytes[1..];
            if let Some(length) = self.payload() {
                self.closed |= self.head[0] & 0x0f == CLOSE;
                (self.have, self.left) = (0, length);
            }
        }
    }

    /// Whether a frame of ours can follow.
    pub(crate) fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0 && !self.closed
    }

    /// The length of the payload, once the head is whole.
    fn payload(&self) -> Option<u64> {
        if self.have < 2 {
            return None;
        }
        let extended = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.head[1] & 0x80 == 0 { 0 } else { 4 };
        if self.have < 2 + extended + mask {
            return None;
        }
        let number = self.head[2..2 + extended]
            .iter()
            .fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        Some(match extended {
            0 => u64::from(self.head[1] & 0x7f),
            _ => number,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, mask: bool, payload: usize) -> Vec<u8> {
        let bit = if mask { 0x80 } else { 0 };
        let mut out = vec![first];
        match payload {
            0..126 => out.push(bit | payload as u8),
            126..65536 => {
                out.push(bit | 126);
                out.extend((payload as u16).to_be_bytes());
            }
            _ => {
                out.push(bit | 127);
                out.extend((payload as u64).to_be_bytes());
            }
        }
        out.extend(vec![7; if mask { 4 } else { 0 } + payload]);
        out
    }

    #[test]
    fn ends_of_frames_are_found_however_they_are_cut() {
        let sizes = [0, 1, 125, 126, 65_535, 65_536];
        for piece in [1, 2, 3, 7, 4096, 1 << 20] {
            let mut frames = Frames::default();
            assert!(frames.is_between());
            for (size, mask) in sizes
                .iter()
                .flat_map(|size| [(*size, false), (*size, true)])
            {
                let bytes = frame(0x82, mask, size);
                for (at, bytes_of) in bytes.chunks(piece).enumerate() {
                    frames.passed(bytes_of);
                    let whole = (at + 1) * piece >= bytes.len();
                    assert_eq!(frames.is_between(), whole, "{size} {mask} {piece} {at}");
                }
            }
            frames.passed(&frame(0x88, false, 2));
            assert!(!frames.is_between(), "it has closed by itself");
        }
    }
}
