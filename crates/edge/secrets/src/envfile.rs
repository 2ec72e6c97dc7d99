//! Env files, as python-dotenv reads them (dotenv/parser.py), since that is what apps read them with.
//!
//! `NAME=value`, `export NAME=value`, comments, `'single'` (escapes `\'` and `\\`), `"double"` (escapes of C), values in
//! quotes may run over several lines, ` #` ends a bare value (`NAME=#x` is `#x`), the last of equal names wins, `${NAME}` and
//! `${NAME:-default}` are replaced (the environment first, then earlier lines). A line that is none of these is a
//! [`Problem`] and is skipped, as python-dotenv does. A name without `=` sets nothing (and, other
//! than there, does not unset an earlier one); a name in quotes ends with its line.

use std::collections::BTreeMap;

/// One assignment.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// The value with quotes undone, not yet with `${…}` replaced.
    pub value: String,
    /// Line on which it begins, from 1.
    pub line: usize,
    /// First byte of its text in the file.
    start: usize,
    /// Byte after its last, the end of line not included.
    end: usize,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("name", &self.name)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// A line that says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A read env file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvFile {
    /// Assignments in the order of the file.
    pub entries: Vec<Entry>,
    /// Lines that were skipped.
    pub problems: Vec<Problem>,
}

impl EnvFile {
    /// The values by name, `${…}` replaced.
    pub fn values(&self, environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for entry in &self.entries {
            let value = expand(&entry.value, |name| {
                environment.get(name).or_else(|| values.get(name)).cloned()
            });
            values.insert(entry.name.clone(), value);
        }
        values
    }

    /// The assignment that counts for a name: the last.
    pub fn last(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|e| e.name == name)
    }
}

/// Reads an env file's text.
pub fn parse(text: &str) -> EnvFile {
    let mut reader = Reader {
        text,
        at: if text.starts_with('\u{feff}') { 3 } else { 0 },
        line: 1,
    };
    let mut file = EnvFile::default();
    while reader.at < text.len() {
        let line = reader.line;
        match reader.binding() {
            Ok(Some(mut entry)) => {
                entry.line = line;
                file.entries.push(entry);
            }
            Ok(None) => {}
            Err(why) => file.problems.push(Problem { line, why }),
        }
        reader.rest_of_line();
    }
    file
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len()
            - rest
                .trim_start_matches([' ', '\t', '\u{b}', '\u{c}', '\u{a0}'])
                .len();
    }

    /// To the start of the next line.
    fn rest_of_line(&mut self) {
        match self.rest().find('\n') {
            Some(end) => {
                self.at += end + 1;
                self.line += 1;
            }
            None => self.at = self.text.len(),
        }
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn at_end_of_line(&self) -> bool {
        matches!(self.rest().chars().next(), None | Some('\n' | '\r'))
    }

    fn binding(&mut self) -> Result<Option<Entry>, &'static str> {
        self.skip_blanks();
        if self.at_end_of_line() || self.rest().starts_with('#') {
            return Ok(None);
        }
        let start = self.at;
        if let Some(rest) = self.rest().strip_prefix("export")
            && rest.starts_with([' ', '\t'])
        {
            self.at += "export".len();
            self.skip_blanks();
        }
        let name = match self.rest().strip_prefix('\'') {
            Some(quoted) => {
                let end = quoted
                    .find(['\'', '\n'])
                    .filter(|i| quoted.as_bytes()[*i] == b'\'');
                let end = end.ok_or("a quote is not closed")?;
                self.at += end + 2;
                &quoted[..end]
            }
            None => self.take_while(|c| c != '=' && c != '#' && !c.is_whitespace()),
        };
        if name.is_empty() || name.contains('\0') {
            return Err("there is no name before the `=`");
        }
        self.skip_blanks();
        if !self.rest().starts_with('=') {
            return if self.at_end_of_line() || self.rest().starts_with('#') {
                Err("there is no `=`: nothing is set")
            } else {
                Err("this is no NAME=value")
            };
        }
        self.at += 1;
        self.skip_blanks();
        let value = self.value()?;
        let end = start
            + self.text[start..self.at]
                .trim_end_matches([' ', '\t', '\r'])
                .len();
        if value.contains('\0') {
            return Err("the value holds a zero byte");
        }
        self.skip_blanks();
        if !self.at_end_of_line() && !self.rest().starts_with('#') {
            return Err("something follows the closing quote");
        }
        Ok(Some(Entry {
            name: name.to_owned(),
            value,
            line: 0,
            start,
            end,
        }))
    }

    fn value(&mut self) -> Result<String, &'static str> {
        match self.rest().chars().next() {
            Some(quote @ ('\'' | '"')) => {
                self.at += 1;
                self.quoted(quote)
            }
            _ => {
                let before = &self.text[..self.at];
                let line = self.take_while(|c| c != '\n' && c != '\r');
                let spaced = |i: usize| match i {
                    0 => before.ends_with(char::is_whitespace),
                    _ => line[..i].ends_with(char::is_whitespace),
                };
                let comment = line.char_indices().find(|&(i, c)| c == '#' && spaced(i));
                let bare = comment.map_or(line, |(i, _)| &line[..i]);
                self.at -= line.len() - bare.len();
                Ok(bare.trim_end().to_owned())
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, &'static str> {
        let mut out = String::new();
        let mut lines = 0;
        let mut chars = self.rest().char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at += i + 1;
                    self.line += lines;
                    return Ok(out);
                }
                '\\' => match (quote, chars.next().map(|(_, c)| c)) {
                    (_, Some(c @ ('\\' | '\''))) => out.push(c),
                    ('"', Some('"')) => out.push('"'),
                    ('"', Some('n')) => out.push('\n'),
                    ('"', Some('t')) => out.push('\t'),
                    ('"', Some('r')) => out.push('\r'),
                    ('"', Some('a')) => out.push('\u{7}'),
                    ('"', Some('b')) => out.push('\u{8}'),
                    ('"', Some('v')) => out.push('\u{b}'),
                    ('"', Some('f')) => out.push('\u{c}'),
                    (_, Some(c)) => {
                        lines += usize::from(c == '\n');
                        out.extend(['\\', c]);
                    }
                    (_, None) => break,
                },
                c => {
                    lines += usize::from(c == '\n');
                    out.push(c);
                }
            }
        }
        // As python-dotenv: only this line is lost, not the rest of the file.
        Err("a quote is not closed")
    }
}

/// Replaces `${NAME}` and `${NAME:-default}`; a name that is not set becomes empty.
fn expand(value: &str, look: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(open) = rest.find("${") {
        out.push_str(&rest[..open]);
        let inner = &rest[open + 2..];
        let Some(close) = inner.find('}') else {
            out.push_str(&rest[open..]);
            return out;
        };
        let (name, default) = match inner[..close].split_once(":-") {
            Some((name, default)) => (name, default),
            None => (&inner[..close], ""),
        };
        out.push_str(&look(name).unwrap_or_else(|| default.to_owned()));
        rest = &inner[close + 1..];
    }
    out.push_str(rest);
    out
}

/// How a value is written, so that python-dotenv, docker and a shell read the same; `None` if there is no such way.
pub(crate) fn quote(value: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/@%+=".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return Some(value.to_owned());
    }
    let hard = |c: char| c.is_control() || c == '\'' || c == '\\';
    (!value.chars().any(hard) && !value.contains("${")).then(|| format!("'{value}'"))
}

/// The text with one more line at its end; everything before stays as it is.
pub(crate) fn append(text: &str, name: &str, quoted: &str) -> String {
    format!("{text}{}", appendix(text, name, quoted))
}

/// What [`append`] adds.
pub(crate) fn appendix(text: &str, name: &str, quoted: &str) -> String {
    let newline = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    format!("{newline}{name}={quoted}\n")
}

/// The text with the assignment that counts replaced, or appended if there is none; all else stays.
pub(crate) fn replace(text: &str, name: &str, quoted: &str) -> String {
    match parse(text).last(name) {
        None => append(text, name, quoted),
        Some(entry) => {
            let old = &text[entry.start..entry.end];
            let export = if old.starts_with("export")
                && old != format!("{name}=")
                && old[6..].starts_with([' ', '\t'])
            {
                "export "
            } else {
                ""
            };
            format!(
                "{}{export}{name}={quoted}{}",
                &text[..entry.start],
                &text[entry.end..]
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        let environment = BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]);
        parse(text).values(&environment).into_iter().collect()
    }

    fn check(text: &str, want: &[(&str, &str)]) {
        let want: Vec<_> = want
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(values(text), want, "{text:?}");
    }

    #[test]
    fn what_people_write() {
        check("A=1\n# x\n\nexport B=2\n", &[("A", "1"), ("B", "2")]);
        check(
            " A = 1 # no\nB=a#b\nC=#x\nD= #x\n",
            &[("A", "1"), ("B", "a#b"), ("C", "#x"), ("D", "")],
        );
        check(
            "A='x y' # c\nB=\"a\\nb\\\"\"\nC='it\\'s \\n'\n",
            &[("A", "x y"), ("B", "a\nb\""), ("C", "it's \\n")],
        );
        check("A=\"one\ntwo\"\nB=3", &[("A", "one\ntwo"), ("B", "3")]);
        check("A=1\r\nB='2'\r\n", &[("A", "1"), ("B", "2")]);
        check("\u{feff}A=1", &[("A", "1")]);
        check("A=1\nA=2\n", &[("A", "2")]);
        check(
            "exported=1\nexport=2\n'Q'=3",
            &[("Q", "3"), ("export", "2"), ("exported", "1")],
        );
        check(
            "A=x\nB=${A}/${HOME}/${NO:-d}/${NO}$A\n",
            &[("A", "x"), ("B", "x//root/d/$A")],
        );
        check("K=a=b==\n", &[("K", "a=b==")]);
    }

    #[test]
    fn lines_that_say_nothing_are_named_and_skipped() {
        let text = "A\n=1\nB='open\nC=3\nD=\"x\"y\nE F=1\nG=\"\0\"\nH=8\n";
        let file = parse(text);
        let lines: Vec<_> = file.problems.iter().map(|p| p.line).collect();
        assert_eq!(lines, [1, 2, 3, 5, 6, 7]);
        check(text, &[("C", "3"), ("H", "8")]);
    }

    #[test]
    fn lines_are_counted_through_values_of_several() {
        let file = parse("A='1\n2\n3'\nB=1\n");
        assert_eq!((file.entries[0].line, file.entries[1].line), (1, 4));
    }

    #[test]
    fn appending_and_replacing_lose_nothing() {
        assert_eq!(append("A=1", "K", "v"), "A=1\nK=v\n");
        assert_eq!(append("", "K", "v"), "K=v\n");
        assert_eq!(append("# x\n", "K", "v"), "# x\nK=v\n");
        assert_eq!(
            replace("K=1\nA=2\n export K='o'  # c\r\nZ=1", "K", "n"),
            "K=1\nA=2\n export K=n  # c\r\nZ=1"
        );
        assert_eq!(replace("K=\"a\nb\"\nA=1\n", "K", "n"), "K=n\nA=1\n");
        assert_eq!(replace("A=1", "K", "n"), "A=1\nK=n\n");
    }

    #[test]
    fn values_are_quoted_so_that_every_reader_agrees() {
        assert_eq!(quote("abc-1=="), Some("abc-1==".to_owned()));
        assert_eq!(quote("a b#$c\""), Some("'a b#$c\"'".to_owned()));
        for hard in ["a'b", "a\\b", "a\nb", "${x}"] {
            assert_eq!(quote(hard), None);
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        for text in [
            "export", "export ", "'", "'='", "A='", "A=\"\\", "=", "é=é", "A='é\\", "\u{feff}",
            "A=${", "#", "A=\"\n\n", "'a\n'=1",
        ] {
            let _ = values(text);
            let _ = replace(text, "A", "n");
        }
    }
}
