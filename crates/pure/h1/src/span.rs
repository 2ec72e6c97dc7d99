//! Where something lies in the caller's read buffer: no borrow, so a head can be kept beside the buffer it describes.

use crate::kind::Kind;
use crate::limits::HEADER_LINES_MAX;
use std::ops::Range;

/// A range of a head, as offsets from the start of the buffer that was parsed. Heads are at most
/// [`crate::HEAD_BYTES_CEILING`] long, so 16 bits are enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: u16,
    /// One past the last byte.
    pub end: u16,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Span {
        debug_assert!(start <= end && end <= usize::from(u16::MAX));
        Span {
            start: start as u16,
            end: end as u16,
        }
    }

    /// The span of `part`, which is a slice of `whole`.
    pub(crate) fn within(whole: &[u8], part: &[u8]) -> Span {
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        Span::new(start, start + part.len())
    }

    /// The bytes in the buffer that was parsed; empty if `buf` is a shorter one.
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.range()).unwrap_or_default()
    }

    /// The same as a range of `usize`.
    pub fn range(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        usize::from(self.end) - usize::from(self.start)
    }

    /// True if there is no byte in it.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// One header line: `name ":" OWS value OWS CRLF`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Line {
    /// First byte of the name, and of the line.
    pub(crate) start: u16,
    pub(crate) name_end: u16,
    pub(crate) value: Span,
    /// One past the line's CRLF.
    pub(crate) end: u16,
    pub(crate) kind: Kind,
}

impl Line {
    /// The field name, as it was written.
    pub fn name(&self) -> Span {
        Span {
            start: self.start,
            end: self.name_end,
        }
    }

    /// The value without surrounding blanks.
    pub fn value(&self) -> Span {
        self.value
    }

    /// The whole line with its CRLF.
    pub fn whole(&self) -> Span {
        Span {
            start: self.start,
            end: self.end,
        }
    }

    /// What the line means to a gateway.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// The header lines of a head: a fixed array, so that parsing allocates nothing.
#[derive(Clone)]
pub struct Lines {
    pub(crate) array: [Line; HEADER_LINES_MAX],
    pub(crate) used: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Lines {
            array: [Line::default(); HEADER_LINES_MAX],
            used: 0,
        }
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

impl Lines {
    /// The lines in their order.
    pub fn as_slice(&self) -> &[Line] {
        &self.array[..self.used]
    }

    /// The values of all lines of a kind, in their order.
    pub fn values<'a>(&'a self, buf: &'a [u8], kind: Kind) -> impl Iterator<Item = &'a [u8]> {
        self.as_slice()
            .iter()
            .filter(move |line| line.kind == kind)
            .map(move |line| line.value.of(buf))
    }

    /// The value of the first line of a kind.
    pub fn first<'a>(&'a self, buf: &'a [u8], kind: Kind) -> Option<&'a [u8]> {
        self.values(buf, kind).next()
    }

    /// The value of the first line with this name (any case); for names that have no [`Kind`].
    pub fn named<'a>(&'a self, buf: &'a [u8], name: &str) -> Option<&'a [u8]> {
        let same = |line: &&Line| line.name().of(buf).eq_ignore_ascii_case(name.as_bytes());
        self.as_slice()
            .iter()
            .find(same)
            .map(|line| line.value.of(buf))
    }
}
