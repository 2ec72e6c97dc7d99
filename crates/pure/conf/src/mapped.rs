//! Text that knows where it came from.
//!
//! A value is put together from the lines of a file, then `%(here)s` is replaced, then `%(…)s` is expanded, then it is split into
//! words. Whoever complains about the seventh word must be able to underline it in the file. So a [`Text`] carries, beside its
//! characters, a list of pieces: this run of the text is that run of the file. A run that was copied maps byte by byte; a run that
//! an expansion put there maps to the whole of `%(name)s`.

use std::ops::Range;
use std::sync::Arc;

use finding::Span;

/// A line longer than this is not carried by spans into it, in bytes: every value of a line has one.
const SHOWN_LINE_BYTES_MAX: usize = 16 << 10;

/// A file's text with the starts of its lines: what a span is cut from. Shared by everything that was read from the file.
#[derive(Debug, PartialEq, Eq)]
pub struct FileText {
    /// The file as it is shown to people.
    pub name: Arc<str>,
    /// Its whole text.
    pub text: String,
    /// Byte offset of the first byte of each line.
    line_starts: Vec<usize>,
}

impl FileText {
    /// Finds the lines (ended by `\n`, `\r` or `\r\n`, as Python's text files are).
    pub fn new(name: impl Into<Arc<str>>, text: String) -> FileText {
        let bytes = text.as_bytes();
        let mut line_starts = vec![0];
        for (at, byte) in bytes.iter().enumerate() {
            let ends_line = *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
            if ends_line {
                line_starts.push(at + 1);
            }
        }
        FileText {
            name: name.into(),
            text,
            line_starts,
        }
    }

    /// Number of lines; a text that ends with a line end has an empty last one.
    pub fn lines(&self) -> usize {
        self.line_starts.len()
    }

    /// The byte range of a line (counted from 0), without its line end.
    pub fn line_range(&self, line: usize) -> Range<usize> {
        let start = self
            .line_starts
            .get(line)
            .copied()
            .unwrap_or(self.text.len());
        let end = self
            .line_starts
            .get(line + 1)
            .copied()
            .unwrap_or(self.text.len());
        let trimmed = self.text[start..end].trim_end_matches(['\n', '\r']);
        start..start + trimmed.len()
    }

    /// The line (counted from 0) that a byte offset lies in.
    pub fn line_of(&self, offset: usize) -> usize {
        self.line_starts
            .partition_point(|start| *start <= offset)
            .saturating_sub(1)
    }

    /// The span of a byte range, cut at the end of its first line.
    pub fn span(&self, range: Range<usize>) -> Span {
        let line = self.line_of(range.start);
        let line_range = self.line_range(line);
        let start = range.start.min(line_range.end);
        let end = range.end.clamp(start, line_range.end);
        let chars = |range: Range<usize>| {
            u32::try_from(self.text[range].chars().count()).unwrap_or(u32::MAX)
        };
        let column = chars(line_range.start..start).saturating_add(1);
        let number = u32::try_from(line + 1).unwrap_or(u32::MAX);
        let text = if line_range.len() <= SHOWN_LINE_BYTES_MAX {
            &self.text[line_range]
        } else {
            ""
        };
        Span::line(Arc::clone(&self.name), number, text).marked(column, chars(start..end))
    }
}

/// A run of a [`Text`] and the run of the file that it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// Where the run starts in the text; it ends where the next one starts.
    start: usize,
    /// Where it came from.
    source: Range<usize>,
    /// Copied byte by byte, or put there for the whole of `source`.
    copied: bool,
}

/// A string with the places in the file that it came from. A default that stands in no file has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    value: String,
    pieces: Vec<Piece>,
    file: Option<Arc<FileText>>,
}

impl Text {
    /// A text that stands in no file: a default.
    pub fn unplaced(value: impl Into<String>) -> Text {
        Text {
            value: value.into(),
            pieces: Vec::new(),
            file: None,
        }
    }

    /// An empty text whose pieces will come from this file.
    pub fn empty_in(file: Arc<FileText>) -> Text {
        Text {
            value: String::new(),
            pieces: Vec::new(),
            file: Some(file),
        }
    }

    /// An empty text of the same file.
    #[must_use]
    pub fn like(&self) -> Text {
        Text {
            value: String::new(),
            pieces: Vec::new(),
            file: self.file.clone(),
        }
    }

    /// Appends a run of the file.
    pub fn push_source(&mut self, source: Range<usize>) {
        if let Some(file) = self.file.as_ref().filter(|_| !source.is_empty()) {
            self.pieces.push(Piece {
                start: self.value.len(),
                source: source.clone(),
                copied: true,
            });
            self.value.push_str(&file.text[source]);
        }
    }

    /// Appends characters that stand for a run of the file.
    pub fn push_for(&mut self, value: &str, source: Range<usize>) {
        if value.is_empty() {
            return;
        }
        self.pieces.push(Piece {
            start: self.value.len(),
            source,
            copied: false,
        });
        self.value.push_str(value);
    }

    /// Appends a run of another text of the same file, with its places.
    pub fn push_part(&mut self, other: &Text, range: Range<usize>) {
        if other.pieces.is_empty() || range.is_empty() {
            self.value.push_str(&other.value[range]);
            return;
        }
        let first = other
            .pieces
            .partition_point(|piece| piece.start <= range.start)
            .saturating_sub(1);
        for (i, piece) in other.pieces.iter().enumerate().skip(first) {
            let end = other
                .pieces
                .get(i + 1)
                .map_or(other.value.len(), |next| next.start)
                .min(range.end);
            let start = piece.start.max(range.start);
            if start >= range.end {
                break;
            }
            let source = match piece.copied {
                true => {
                    piece.source.start + (start - piece.start)
                        ..piece.source.start + (end - piece.start)
                }
                false => piece.source.clone(),
            };
            self.pieces.push(Piece {
                start: self.value.len(),
                source,
                copied: piece.copied,
            });
            self.value.push_str(&other.value[start..end]);
        }
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.value
    }

    /// The run of the file that a run of the text came from; `None` for a default.
    pub fn source(&self, range: Range<usize>) -> Option<Range<usize>> {
        let at = |offset: usize, end: bool| {
            let index = self
                .pieces
                .partition_point(|piece| piece.start <= offset)
                .checked_sub(1)?;
            let piece = self.pieces.get(index)?;
            Some(match (piece.copied, end) {
                (true, _) => (piece.source.start + (offset - piece.start)).min(piece.source.end),
                (false, false) => piece.source.start,
                (false, true) => piece.source.end,
            })
        };
        let start = at(range.start, false)?;
        // The end belongs to the piece of the last byte, not to the piece that may begin there.
        let end = match range.end.checked_sub(1).filter(|last| *last >= range.start) {
            Some(last) => at(last, true).map(|end| self.past(last, end))?,
            None => start,
        };
        Some(start..end.max(start))
    }

    /// For a copied piece the offset of its last byte becomes the offset behind it.
    fn past(&self, last: usize, end: usize) -> usize {
        let index = self
            .pieces
            .partition_point(|piece| piece.start <= last)
            .saturating_sub(1);
        match self.pieces.get(index) {
            Some(piece) if piece.copied => (end + 1).min(piece.source.end),
            Some(_) | None => end,
        }
    }

    /// The place in the file of a byte range of this text, cut at the end of its first line; `None` for a default.
    pub fn span(&self, range: Range<usize>) -> Option<Span> {
        let source = self.source(range)?;
        let file = self.file.as_ref()?;
        let mut span = file.span(source.clone());
        if self.in_open_quotes(file, source.start) {
            span.text = Arc::from("");
        }
        Some(span)
    }

    /// Whether the line of a place in the file begins between quotes that an earlier line of this text opened: it may be the rest of
    /// a secret whose name stands above, so it is not shown.
    fn in_open_quotes(&self, file: &FileText, place: usize) -> bool {
        let Some(first) = self.pieces.first() else {
            return false;
        };
        let start = file.line_range(file.line_of(place)).start;
        let before = file.text.get(first.source.start..start).unwrap_or_default();
        before
            .lines()
            .any(|line| line.matches(['"', '\'']).count() % 2 == 1)
    }

    /// The place in the file of the whole text; `None` for a default.
    pub fn whole_span(&self) -> Option<Span> {
        self.span(0..self.value.len())
    }
}
