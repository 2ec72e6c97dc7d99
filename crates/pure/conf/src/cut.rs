//! A file is cut into tokens by the rules of Python's `RawConfigParser` as Supervisor sets it up.
//!
//! The rules, for each line (Python 3.8 to 3.12 agree on them):
//!
//! * Lines end with `\n`, `\r` or `\r\n`. Blank is what Python calls a space, Unicode included.
//! * `;` or `#` begins a comment at the start of a line (after blanks) or after a blank. If a line has several candidates, they
//!   are looked for in rounds, as Python does: the first `;` and the first `#`, then the second of each, … and a round that finds
//!   any ends the search. So in `a;b ;c #d` the comment is `#d`.
//! * A line indented deeper than the line of its key continues the value, unless a section header came between. An empty line
//!   belongs to the value; a comment does not. Thus a key that is indented by mistake silently becomes part of the value above.
//! * `[` at the start and a `]` later make a header; the name goes up to the *last* `]`, and what follows is ignored.
//! * Otherwise the first `=` or `:` ends the key, which is lower-cased. Without one, or without a key, the line is an error.
//!
//! Two rules are ours: a file with a NUL byte or invalid UTF-8 is not text and is refused as a whole, and a line of more than
//! [`LINE_BYTES_MAX`] bytes is refused. Supervisor refuses invalid UTF-8, too; the rest nobody writes on purpose.

use std::ops::Range;
use std::sync::Arc;

use finding::{Finding, Span};

use crate::mapped::FileText;
use crate::tree::{Content, Item, SourceFile, Token, TokenKind, is_space, strip};

/// The longest line that is read, in bytes. A longer one is a file that is not a configuration.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Findings about single lines of one file; the rest is counted. Junk should not bury the first, telling ones.
const LINE_FINDINGS_MAX: usize = 20;

/// A file read: its tokens, what it says, what is wrong with its lines.
pub(crate) struct Read {
    pub(crate) file: SourceFile,
    pub(crate) text: Option<Arc<FileText>>,
    pub(crate) items: Vec<Item>,
    pub(crate) findings: Vec<Finding>,
}

/// Cuts a file.
pub(crate) fn read(path: &str, name: &str, bytes: Vec<u8>) -> Read {
    let name: Arc<str> = Arc::from(name);
    let text = match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text,
        Ok(text) => {
            let at = text.find('\0').unwrap_or(0);
            return binary(path, name, text.into_bytes(), at, "it contains a NUL byte");
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            return binary(path, name, error.into_bytes(), at, "it is not valid UTF-8");
        }
    };
    let text = Arc::new(FileText::new(name, text));
    let mut cutter = Cutter::new(&text);
    for line in 0..text.lines() {
        cutter.line(line);
    }
    cutter.count_the_rest();
    let Cutter {
        tokens,
        items,
        findings,
        ..
    } = cutter;
    let file = SourceFile {
        path: path.to_string(),
        content: Content::Text(Arc::clone(&text)),
        tokens,
    };
    Read {
        file,
        text: Some(text),
        items,
        findings,
    }
}

fn binary(path: &str, name: Arc<str>, bytes: Vec<u8>, at: usize, why: &str) -> Read {
    let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count();
    let span = Span::line(
        Arc::clone(&name),
        u32::try_from(line + 1).unwrap_or(u32::MAX),
        "",
    );
    let finding = Finding::error(
        "conf.not-text",
        format!("this is not a configuration file: {why} (byte {at})"),
    )
    .at(span)
    .effect("nothing of this file is used")
    .hint("save it as plain UTF-8 text");
    let tokens = vec![Token {
        kind: TokenKind::Junk,
        range: 0..bytes.len(),
    }];
    let file = SourceFile {
        path: path.to_string(),
        content: Content::Binary { name, bytes },
        tokens,
    };
    Read {
        file,
        text: None,
        items: Vec::new(),
        findings: vec![finding],
    }
}

struct Cutter<'a> {
    text: &'a Arc<FileText>,
    tokens: Vec<Token>,
    items: Vec<Item>,
    findings: Vec<Finding>,
    /// Line findings beyond [`LINE_FINDINGS_MAX`].
    more: usize,
    /// Byte behind the last token.
    at: usize,
    in_section: bool,
    /// Whether a continuation line has a value to continue.
    open_value: bool,
    /// Whether the missing first header was reported.
    said_headless: bool,
    /// Whether the lines stand below a header without its closing bracket: whose keys they are is not known.
    below_broken: bool,
    indent: usize,
}

impl<'a> Cutter<'a> {
    fn new(text: &'a Arc<FileText>) -> Cutter<'a> {
        Cutter {
            text,
            tokens: Vec::new(),
            items: Vec::new(),
            findings: Vec::new(),
            more: 0,
            at: 0,
            in_section: false,
            open_value: false,
            said_headless: false,
            below_broken: false,
            indent: 0,
        }
    }

    /// Everything up to `end` is a token of this kind.
    fn token(&mut self, kind: TokenKind, end: usize) {
        if end > self.at {
            self.tokens.push(Token {
                kind,
                range: self.at..end,
            });
            self.at = end;
        }
    }

    fn line(&mut self, number: usize) {
        let range = self.text.line_range(number);
        let next = if number + 1 < self.text.lines() {
            self.text.line_range(number + 1).start
        } else {
            self.text.text.len()
        };
        self.content(range.clone());
        self.token(TokenKind::Junk, range.end);
        self.token(TokenKind::LineEnd, next);
    }

    fn content(&mut self, range: Range<usize>) {
        let line = &self.text.text[range.clone()];
        if line.len() > LINE_BYTES_MAX {
            let span = Span::line(
                Arc::clone(&self.text.name),
                u32::try_from(self.text.line_of(range.start) + 1).unwrap_or(u32::MAX),
                "",
            );
            let message = format!(
                "the line is {} bytes long; {} MiB is the longest that is read",
                line.len(),
                LINE_BYTES_MAX >> 20
            );
            self.complain(
                Finding::error("conf.line-too-long", message)
                    .at(span)
                    .effect("the line is not used"),
            );
            return;
        }
        let comment = comment_start(line);
        let value = strip(&line[..comment.unwrap_or(line.len())]);
        if value.is_empty() {
            // An empty line belongs to an open value; at its end it is stripped off again.
            if comment.is_none() && self.open_value {
                self.continue_value(range.start..range.start);
            }
            self.blanks_and_comment(range, comment);
            return;
        }
        let start = range.start + (value.as_ptr() as usize - line.as_ptr() as usize);
        let value_range = start..start + value.len();
        let indent = line.chars().take_while(|c| is_space(*c)).count();
        self.token(TokenKind::Blank, start);
        if self.open_value && indent > self.indent {
            self.continue_value(value_range.clone());
            self.token(TokenKind::Continued, value_range.end);
        } else {
            self.indent = indent;
            self.header_or_option(value_range);
        }
        self.blanks_and_comment(range, comment);
    }

    /// What is left of a line: blanks, then its comment.
    fn blanks_and_comment(&mut self, range: Range<usize>, comment: Option<usize>) {
        if let Some(comment) = comment {
            let at = self.at.max(range.start + comment);
            let rest = &self.text.text[at..range.end];
            let blanks = rest.len() - rest.trim_start_matches(is_space).len();
            self.token(TokenKind::Blank, at + blanks);
            self.token(TokenKind::Comment, range.end);
        } else {
            self.token(TokenKind::Blank, range.end);
        }
    }

    fn continue_value(&mut self, part: Range<usize>) {
        if let Some(Item::Option { parts, .. }) = self.items.last_mut() {
            parts.push(part);
        }
    }

    fn header_or_option(&mut self, range: Range<usize>) {
        let value = &self.text.text[range.clone()];
        if let Some(end) = header_end(value) {
            let name = value[1..end - 1].to_string();
            let header = range.start..range.start + end;
            self.token(TokenKind::Header, header.end);
            if end < value.len() {
                let finding = Finding::warning(
                    "conf.after-header",
                    "text after a section header is ignored",
                )
                .at(self.text.span(header.end..range.end))
                .hint("put a comment behind ` ;`, and keys on lines of their own");
                self.complain(finding);
                self.token(TokenKind::Junk, range.end);
            }
            self.items.push(Item::Header {
                name,
                range: header,
            });
            self.in_section = true;
            self.open_value = false;
            self.below_broken = false;
            return;
        }
        if let Some(meant) = unclosed_header(value) {
            self.broken_header(range, &meant);
            return;
        }
        if self.below_broken {
            self.token(TokenKind::Junk, range.end);
            return;
        }
        if !self.in_section {
            self.headless(range);
            return;
        }
        let delimiter = value.find(['=', ':']);
        let key = delimiter.map(|at| strip(&value[..at])).unwrap_or_default();
        match delimiter {
            Some(at) if !key.is_empty() => self.option(&range, key, at),
            Some(_) | None => {
                let message = if delimiter.is_some() {
                    "there is no key before the `=`"
                } else {
                    "this is neither `key = value` nor a `[section]`"
                };
                let finding = Finding::error("conf.syntax", message)
                    .at(self.text.span(range.clone()))
                    .effect("Supervisor refuses a file with such a line")
                    .hint("to continue a value, indent the line; to comment it out, put `;` before it");
                self.complain(finding);
                self.token(TokenKind::Junk, range.end);
                // A value that is open goes on behind it.
                let at = self.items.len() - usize::from(self.open_value);
                self.items.insert(at, Item::Junk);
            }
        }
    }

    /// `[program:x`. Python takes it for a key `[program` of the section above and its keys for that section's: one
    /// message about the line is worth more than one about each of them. A section of ours is read all the same, as one with
    /// an error: what it would have guarded has to be known to stay closed.
    fn broken_header(&mut self, range: Range<usize>, meant: &str) {
        use crate::known::Kind;
        let kind = crate::known::section(meant).map(|(kind, _)| kind);
        let is_read = kind.is_some_and(|kind| kind.is_ours() || kind == Kind::Include);
        let finding = Finding::error("conf.syntax", "the closing `]` of the section is missing")
            .at(self.text.span(range.clone()))
            .effect(match is_read {
                true => "to Supervisor it is a key of the section above",
                false => "the lines up to the next section are not used",
            })
            .hint(format!("write: [{meant}]"));
        self.complain(finding);
        self.token(TokenKind::Junk, range.end);
        self.open_value = false;
        self.below_broken = !is_read;
        if is_read {
            let name = meant.to_owned();
            self.items.push(Item::Header { name, range });
            self.items.push(Item::Junk);
            self.in_section = true;
        }
    }

    fn option(&mut self, range: &Range<usize>, key: &str, delimiter: usize) {
        let value = &self.text.text[range.clone()];
        let key_range = range.start..range.start + key.len();
        let rest = &value[delimiter + 1..];
        let part = strip(rest);
        let part_start = range.end - rest.trim_start_matches(is_space).len();
        self.token(TokenKind::Key, key_range.end);
        self.token(TokenKind::Blank, range.start + delimiter);
        self.token(TokenKind::Delimiter, range.start + delimiter + 1);
        self.token(TokenKind::Blank, part_start);
        self.token(TokenKind::Value, part_start + part.len());
        let first = part_start..part_start + part.len();
        self.items.push(Item::Option {
            key: key.to_lowercase(),
            key_range,
            parts: vec![first],
        });
        self.open_value = true;
    }

    /// A line before the first header. Python stops there; one message is enough, and the rest is read.
    fn headless(&mut self, range: Range<usize>) {
        self.token(TokenKind::Junk, range.end);
        self.items.push(Item::Junk);
        if std::mem::replace(&mut self.said_headless, true) {
            return;
        }
        let span = self.text.span(range.clone());
        let finding = match self.text.text[range].starts_with('\u{feff}') {
            true => Finding::error(
                "conf.byte-order-mark",
                "the file begins with a byte order mark, which Supervisor refuses",
            )
            .at(span)
            .hint("save it as UTF-8 without a byte order mark (BOM)"),
            false => Finding::error("conf.no-header", "there is no `[section]` above this line")
                .at(span)
                .effect("Supervisor refuses a file that does not begin with a section"),
        };
        self.complain(finding);
    }

    fn complain(&mut self, finding: Finding) {
        if self.findings.len() < LINE_FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }

    fn count_the_rest(&mut self) {
        if self.more > 0 {
            let message = format!("{} more lines like these", self.more);
            self.findings
                .push(Finding::error("conf.syntax", message).at(Span::line(
                    Arc::clone(&self.text.name),
                    1,
                    "",
                )));
        }
    }
}

/// The byte behind the header's last `]`, if a stripped line is a header: `[`, at least one character, `]`.
fn header_end(value: &str) -> Option<usize> {
    let end = value.rfind(']')?;
    (value.starts_with('[') && end >= 2).then_some(end + 1)
}

/// The name of the section that a stripped line without its closing bracket was to begin. Only kinds that are known: a
/// key may begin with a bracket.
fn unclosed_header(value: &str) -> Option<String> {
    let name = strip(value.strip_prefix('[')?);
    let known = !name.contains([']', '=']) && crate::known::section(name).is_some();
    known.then(|| name.to_owned())
}

/// Where the comment of a line begins, found in rounds as Python does (see the module's documentation). Linear: each round goes on
/// behind the last hit of its prefix.
fn comment_start(line: &str) -> Option<usize> {
    if strip(line).starts_with(['#', ';']) {
        return Some(0);
    }
    let bytes = line.as_bytes();
    let mut next = [(b';', Some(0)), (b'#', Some(0))];
    loop {
        let mut found: Option<usize> = None;
        for (prefix, from) in &mut next {
            let Some(start) = *from else { continue };
            let hit = bytes[start..]
                .iter()
                .position(|byte| byte == prefix)
                .map(|at| start + at);
            *from = hit.map(|at| at + 1);
            if let Some(at) = hit {
                let after_blank = at == 0 || line[..at].chars().next_back().is_some_and(is_space);
                if after_blank {
                    found = Some(found.map_or(at, |other| other.min(at)));
                }
            }
        }
        if found.is_some() || next.iter().all(|(_, from)| from.is_none()) {
            return found;
        }
    }
}
