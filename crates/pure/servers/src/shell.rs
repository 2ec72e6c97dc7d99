//! The commands inside `sh -c '…'`: enough of the shell's grammar to see which server is started, and no more.
//!
//! `a && exec b`, `a; b` and newlines separate commands; redirections are skipped; quotes are undone. What the shell
//! would compute (`$(…)`, backticks, here-documents, groups) is not guessed: the answer is `None`.

use crate::words::{Place, Token};

/// The simple commands of a script, in order. Places are byte ranges within word `word` of argv.
pub(crate) fn commands(script: &str, word: usize) -> Option<Vec<Vec<Token>>> {
    let mut lexer = Lexer {
        src: script.as_bytes(),
        script,
        word,
        at: 0,
    };
    let mut all = Vec::new();
    let mut current = Vec::new();
    while let Some(lexeme) = lexer.next()? {
        match lexeme {
            Lexeme::Word(token) => current.push(token),
            Lexeme::End => {
                if !current.is_empty() {
                    all.push(std::mem::take(&mut current));
                }
            }
        }
    }
    if !current.is_empty() {
        all.push(current);
    }
    Some(all)
}

enum Lexeme {
    Word(Token),
    /// `;`, `&`, `&&`, `|`, `||` or a newline.
    End,
}

struct Lexer<'a> {
    src: &'a [u8],
    script: &'a str,
    word: usize,
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.src.get(self.at).copied()
    }

    /// Outer `None`: a construct that is not understood. Inner `None`: the end.
    fn next(&mut self) -> Option<Option<Lexeme>> {
        loop {
            while matches!(self.peek(), Some(b' ' | b'\t')) {
                self.at += 1;
            }
            match self.peek() {
                None => return Some(None),
                Some(b'#') => {
                    while !matches!(self.peek(), None | Some(b'\n')) {
                        self.at += 1;
                    }
                }
                Some(b';' | b'&' | b'|' | b'\n') => {
                    self.at += 1;
                    return Some(Some(Lexeme::End));
                }
                Some(b'(' | b')' | b'`') => return None,
                Some(b'<' | b'>') => self.redirection()?,
                Some(_) => {
                    let start = self.at;
                    let text = self.text()?;
                    let is_fd = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                    if is_fd && matches!(self.peek(), Some(b'<' | b'>')) {
                        self.redirection()?;
                        continue;
                    }
                    let at = Place::Inside {
                        word: self.word,
                        start,
                        end: self.at,
                    };
                    return Some(Some(Lexeme::Word(Token { text, at })));
                }
            }
        }
    }

    /// `> file`, `2>&1`, `>> file`, `< file`; a here-document is not understood.
    fn redirection(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'<' | b'>' | b'&' | b'|')) {
            self.at += 1;
        }
        if self.script.get(start..self.at)?.starts_with("<<") {
            return None;
        }
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.text().map(|_| ())
    }

    /// One word with its quotes undone. `$NAME` stays as it is written: its value is not known here.
    fn text(&mut self) -> Option<String> {
        let mut out = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => break,
                b'`' => return None,
                b'$' if self.src.get(self.at + 1) == Some(&b'(') => return None,
                b'\'' => self.single(&mut out)?,
                b'"' => self.double(&mut out)?,
                b'\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some(b'\n') => self.at += 1,
                        Some(escaped) => {
                            out.push(escaped);
                            self.at += 1;
                        }
                        None => out.push(b'\\'),
                    }
                }
                other => {
                    out.push(other);
                    self.at += 1;
                }
            }
        }
        String::from_utf8(out).ok()
    }

    fn single(&mut self, out: &mut Vec<u8>) -> Option<()> {
        self.at += 1;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            if byte == b'\'' {
                return Some(());
            }
            out.push(byte);
        }
    }

    fn double(&mut self, out: &mut Vec<u8>) -> Option<()> {
        self.at += 1;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(()),
                b'`' => return None,
                b'$' if self.peek() == Some(b'(') => return None,
                b'\\' if matches!(self.peek(), Some(b'"' | b'\\' | b'$' | b'`')) => {
                    out.push(self.peek()?);
                    self.at += 1;
                }
                other => out.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(script: &str) -> Option<Vec<Vec<String>>> {
        commands(script, 2).map(|all| {
            all.into_iter()
                .map(|c| c.into_iter().map(|t| t.text).collect())
                .collect()
        })
    }

    #[test]
    fn simple_commands_are_split() {
        assert_eq!(
            words("cd '/app dir' && exec uvicorn a:b --port \"80\"01 >>log 2>&1"),
            Some(vec![
                vec!["cd".into(), "/app dir".into()],
                vec![
                    "exec".into(),
                    "uvicorn".into(),
                    "a:b".into(),
                    "--port".into(),
                    "8001".into()
                ],
            ])
        );
    }

    #[test]
    fn what_the_shell_computes_is_not_guessed() {
        for script in [
            "$(cat cmd)",
            "`cat cmd`",
            "(a; b)",
            "cat <<E",
            "'open",
            "\"open",
        ] {
            assert_eq!(words(script), None, "{script}");
        }
    }

    #[test]
    fn places_are_byte_ranges_of_the_word() {
        let all = commands("é uvicorn", 4).unwrap();
        assert_eq!(
            all[0][1].at,
            Place::Inside {
                word: 4,
                start: 3,
                end: 10
            }
        );
    }
}
