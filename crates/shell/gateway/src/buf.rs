//! A read buffer: bytes between two marks, grown in steps, never beyond what the caller allows.
//!
//! Zeroed once and reused, since reading into uninitialized memory would need unsafe code.

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Buf {
    data: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buf {
    pub(crate) fn new(capacity: usize) -> Buf {
        Buf {
            data: vec![0; capacity],
            start: 0,
            end: 0,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn capacity(&self) -> usize {
        self.data.len()
    }

    pub(crate) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// The first `count` bytes are done with.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.clear();
        }
    }

    /// Takes `count` bytes at `from` (counted from the first byte) out.
    pub(crate) fn cut(&mut self, from: usize, count: usize) {
        let from = (self.start + from).min(self.end);
        let to = (from + count).min(self.end);
        self.data.copy_within(to..self.end, from);
        self.end -= to - from;
    }

    /// Where to read to, if fewer than `max` bytes are held: at least one byte, never so much that `max` is passed.
    pub(crate) fn room(&mut self, max: usize) -> Option<&mut [u8]> {
        let held = self.len();
        if held >= max {
            return None;
        }
        if self.end == self.data.len() {
            if self.start > 0 {
                self.data.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, held);
            } else {
                let size = (self.data.len() * 2).clamp(1024, max.max(1024));
                self.data.resize(size, 0);
            }
        }
        let limit = (self.end + max - held).min(self.data.len());
        Some(&mut self.data[self.end..limit])
    }

    /// By how much the next [`Buf::room`] would grow the buffer.
    pub(crate) fn growth(&self, max: usize) -> usize {
        if self.len() >= max || self.end < self.data.len() || self.start > 0 {
            return 0;
        }
        (self.data.len() * 2).clamp(1024, max.max(1024)) - self.data.len()
    }

    /// `count` bytes were read into [`Buf::room`].
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.data.len());
    }

    /// Makes the buffer at least so large.
    pub(crate) fn reserve(&mut self, capacity: usize) {
        if self.data.len() < capacity {
            self.data.resize(capacity, 0);
        }
    }

    /// Gives back what is not used: a request that waits holds no more than it needs.
    pub(crate) fn shrink(&mut self) {
        let bytes = self.bytes().to_vec();
        (self.start, self.end) = (0, bytes.len());
        self.data = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(buf: &mut Buf, max: usize, bytes: &[u8]) -> usize {
        let Some(room) = buf.room(max) else { return 0 };
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        buf.filled(count);
        count
    }

    #[test]
    fn it_grows_up_to_its_bound_and_reuses_its_front() {
        let mut buf = Buf::new(4);
        assert_eq!(put(&mut buf, 6, b"abcdef"), 4);
        assert_eq!(put(&mut buf, 6, b"ef"), 2);
        assert_eq!(put(&mut buf, 6, b"g"), 0);
        buf.cut(1, 2);
        assert_eq!(buf.bytes(), b"adef");
        buf.consume(3);
        buf.shrink();
        assert_eq!((buf.bytes(), buf.capacity()), (&b"f"[..], 1));
        buf.consume(1);
        assert!(buf.is_empty());
        assert_eq!(put(&mut buf, 6, b"x"), 1);
    }
}
