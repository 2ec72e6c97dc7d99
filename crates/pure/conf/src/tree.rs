//! A file as a lossless list of tokens, and what it says (`cut` makes them).
//!
//! *Invariant:* the bytes of all tokens, one after the other, are the bytes of the file.

use std::ops::Range;
use std::sync::Arc;

use crate::mapped::FileText;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Blanks.
    Blank,
    /// `; …` or `# …`.
    Comment,
    /// `[name]`.
    Header,
    /// The name of a key, as written.
    Key,
    /// `=` or `:`.
    Delimiter,
    /// The part of a value that stands on the line of its key.
    Value,
    /// A further line of a value.
    Continued,
    /// `\n`, `\r` or `\r\n`.
    LineEnd,
    /// What means nothing: an error, or ignored text after a header.
    Junk,
}

/// A token: a kind and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its bytes in the file.
    pub range: Range<usize>,
}

/// A file as it was read, lossless.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The path it was read from, absolute.
    pub path: String,
    pub(crate) content: Content,
    pub(crate) tokens: Vec<Token>,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Text(Arc<FileText>),
    /// Not text: kept so that nothing is lost.
    Binary {
        name: Arc<str>,
        bytes: Vec<u8>,
    },
}

impl SourceFile {
    /// The file as it is shown to people.
    pub fn name(&self) -> &str {
        match &self.content {
            Content::Text(text) => &text.name,
            Content::Binary { name, .. } => name,
        }
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Text(text) => text.text.as_bytes(),
            Content::Binary { bytes, .. } => bytes,
        }
    }

    /// The tokens, in order and without gaps.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }
}

/// One thing that a file says.
#[derive(Debug)]
pub(crate) enum Item {
    /// A section begins.
    Header { name: String, range: Range<usize> },
    /// A key is set.
    Option {
        key: String,
        key_range: Range<usize>,
        parts: Vec<Range<usize>>,
    },
    /// A line of the section cannot be read; it was complained about.
    Junk,
}

/// Python's idea of a blank: Unicode's, and the four separators of ASCII.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Python's `str.strip()`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}
