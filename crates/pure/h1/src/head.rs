//! What both kinds of head share: the end of a slow head, and lines as offsets.

use crate::kind::classify;
use crate::span::{Line, Lines, Span};

/// Whether a head was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The head is parsed; its `len` says where the body begins.
    Complete,
    /// More bytes are needed. Call again with the same buffer, grown at its end, and the same [`Scan`].
    Partial,
}

/// How far the search for the end of a head got: one per connection and direction. A head that trickles in byte by
/// byte is then looked at once per byte, not once per byte and call, and parsed a few times at most: at the first
/// attempt and at the end of its first line, which refuse garbage early; at a stray CR or LF; and when its end is
/// there. Other faults of a slow head are named when it is complete, or never if it never is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scan {
    searched: usize,
    first_line: bool,
}

/// What new bytes mean for a head that was partial before.
pub(crate) enum Found {
    Nothing,
    /// An end, or something that only a parse can judge.
    Parse,
}

impl Scan {
    /// Looks at the bytes that came since the last time.
    pub(crate) fn look(&mut self, view: &[u8]) -> Found {
        if self.searched == 0 {
            return Found::Parse;
        }
        let from = self.searched.min(view.len());
        self.searched = view.len();
        // The last byte of before may be a CR whose LF should be the first of now.
        for at in memchr::memchr2_iter(b'\r', b'\n', &view[from - 1..]).map(|at| from - 1 + at) {
            let parse = if view[at] == b'\r' {
                view.get(at + 1).is_some_and(|&next| next != b'\n')
            } else if at < from {
                false
            } else {
                !self.first_line
                    || at == 0
                    || view[at - 1] != b'\r'
                    || view[..at].ends_with(b"\r\n\r")
            };
            if parse {
                return Found::Parse;
            }
        }
        Found::Nothing
    }

    /// Remembers that `view` holds no end of a head.
    pub(crate) fn seen(&mut self, view: &[u8]) {
        self.searched = view.len();
        self.first_line = memchr::memchr(b'\n', view).is_some_and(|at| at > 1);
    }

    /// The next head begins.
    pub(crate) fn reset(&mut self) {
        *self = Scan::default();
    }
}

/// The first LF without a CR before it.
pub(crate) fn bare_lf(view: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', view).find(|&at| at == 0 || view[at - 1] != b'\r')
}

/// A line that httparse took but that does not end in CRLF.
pub(crate) struct BareLf;

/// Turns httparse's lines into offsets, and checks what it lets pass: every line must end in CRLF, the last one
/// before the empty line at `len`.
pub(crate) fn take_lines(
    view: &[u8],
    parsed: &[httparse::Header<'_>],
    first: usize,
    len: usize,
    lines: &mut Lines,
) -> Result<(), BareLf> {
    let mut at = first;
    lines.used = 0;
    for (header, line) in parsed.iter().zip(&mut lines.array) {
        let value = Span::within(view, header.value);
        let mut end = usize::from(value.end);
        while matches!(view.get(end), Some(b' ' | b'\t')) {
            end += 1;
        }
        if view.get(end..end + 2) != Some(b"\r\n") {
            return Err(BareLf);
        }
        let name = Span::new(at, at + header.name.len());
        let end = Span::new(end, end + 2).end;
        *line = Line {
            start: name.start,
            name_end: name.end,
            value,
            end,
            kind: classify(header.name.as_bytes()),
        };
        at = usize::from(end);
        lines.used += 1;
    }
    if view.get(at..len) == Some(b"\r\n") {
        Ok(())
    } else {
        Err(BareLf)
    }
}

/// Copies the lines that `keep` wants, whole runs at once.
pub(crate) fn copy_lines(
    out: &mut Vec<u8>,
    buf: &[u8],
    lines: &[Line],
    keep: impl Fn(&Line) -> bool,
) {
    let mut run: Option<Span> = None;
    for line in lines {
        if keep(line) {
            run = Some(Span {
                start: run.map_or(line.start, |run| run.start),
                end: line.end,
            });
        } else if let Some(run) = run.take() {
            out.extend_from_slice(run.of(buf));
        }
    }
    if let Some(run) = run {
        out.extend_from_slice(run.of(buf));
    }
}
