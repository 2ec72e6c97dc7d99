//! Source code without its comments and strings, so that a word in a docstring never looks like a statement.
//!
//! Not a parser: enough of Python's and JavaScript's lexical rules to know code from text. The masked text has the same length
//! and the same line ends as the source; comments become blanks, and the inside of a string becomes `_`.

/// The language of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    JavaScript,
}

impl Language {
    /// By the name of the file.
    pub(crate) fn of(name: &str) -> Option<Language> {
        let extension = name.rsplit_once('.')?.1;
        match extension {
            "py" => Some(Language::Python),
            "js" | "mjs" | "cjs" | "ts" | "mts" | "cts" => Some(Language::JavaScript),
            _ => None,
        }
    }
}

/// The source with comments blank and strings empty.
pub(crate) fn mask(source: &str, language: Language) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let comment = match language {
            Language::Python => rest.starts_with(b"#"),
            Language::JavaScript => rest.starts_with(b"//"),
        };
        if comment {
            at = blank_until(bytes, &mut out, at, b"\n", b' ');
        } else if language == Language::JavaScript && rest.starts_with(b"/*") {
            let end = find(bytes, at + 2, b"*/").map_or(bytes.len(), |e| e + 2);
            fill(&mut out, at, end, b' ');
            at = end;
        } else if language == Language::Python
            && (rest.starts_with(b"\"\"\"") || rest.starts_with(b"'''"))
        {
            let quote = &bytes[at..at + 3];
            let end = string_end(bytes, at + 3, quote, true);
            fill(&mut out, at + 3, end.saturating_sub(3).max(at + 3), b'_');
            at = end;
        } else if matches!(bytes[at], b'"' | b'\'')
            || (language == Language::JavaScript && bytes[at] == b'`')
        {
            let quote = &bytes[at..=at];
            let end = string_end(bytes, at + 1, quote, bytes[at] == b'`');
            fill(&mut out, at + 1, end.saturating_sub(1).max(at + 1), b'_');
            at = end;
        } else {
            at += 1;
        }
    }
    // Only whole characters are replaced by ASCII, or single bytes within strings: invalid sequences cannot arise from `_` and blanks
    // in place of every byte of a string, but a string cut by a line end may begin in the middle of one.
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

fn blank_until(bytes: &[u8], out: &mut [u8], from: usize, stop: &[u8], with: u8) -> usize {
    let end = find(bytes, from, stop).unwrap_or(bytes.len());
    fill(out, from, end, with);
    end
}

fn fill(out: &mut [u8], from: usize, to: usize, with: u8) {
    let to = to.min(out.len());
    for byte in out.get_mut(from..to).unwrap_or_default() {
        if *byte != b'\n' {
            *byte = with;
        }
    }
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes
        .get(from..)?
        .windows(what.len())
        .position(|w| w == what)
        .map(|at| from + at)
}

/// The byte behind the closing quote; the end of the line for a string that is not closed in it.
fn string_end(bytes: &[u8], from: usize, quote: &[u8], many_lines: bool) -> usize {
    let mut at = from;
    while at < bytes.len() {
        if bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] == b'\n' && !many_lines {
            return at;
        } else if bytes[at..].starts_with(quote) {
            return at + quote.len();
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// The text between a parenthesis at `open` and the one that closes it, in masked code; at most `bytes_max`.
pub(crate) fn call(masked: &str, open: usize, bytes_max: usize) -> std::ops::Range<usize> {
    let mut depth = 0usize;
    for (at, byte) in masked.bytes().enumerate().skip(open).take(bytes_max) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return open + 1..at;
                }
            }
            _ => {}
        }
    }
    (open + 1).min(masked.len())..(open + 1).min(masked.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_no_code() {
        let source = "x = 1 # reload=True\ns = 'reload=True'\n\"\"\"\nuvicorn.run(reload=True)\n\"\"\"\ny = 'a\\'b' + z\n";
        let masked = mask(source, Language::Python);
        assert_eq!(masked.len(), source.len());
        assert!(!masked.contains("reload"));
        assert!(masked.contains("+ z"));
        let js = mask("a // watch\n/* watch */ b `watch` c", Language::JavaScript);
        assert!(!js.contains("watch") && js.contains('b') && js.contains('c'));
    }

    #[test]
    fn unfinished_and_foreign_text_does_no_harm() {
        for text in ["'", "'''é", "\"\\", "# é", "x = 'é\ny", "(((", "`é"] {
            for language in [Language::Python, Language::JavaScript] {
                let _ = mask(text, language);
            }
        }
        assert_eq!(call("f(a, (b), c) + d", 1, 100), 2..11);
        assert_eq!(call("f(a", 1, 100), 2..2);
    }
}
