//! `environment = KEY="value",OTHER=value`: Supervisor's `dict_of_key_value_pairs`, with places and without its silence.
//!
//! Supervisor cuts the value with Python's non-POSIX `shlex` and takes the tokens by fours: key, `=`, value, whatever comes fourth.
//! A bare value ends at the first character that is not a letter, a digit or one of `_/.+-():`, and the fourth token is dropped
//! unseen: `A=50%` gives `50`. That is kept, since the real one must read the same, but it is said.

use std::ops::Range;

/// Characters of a bare word.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_/.+-():".contains(c)
}

/// A variable as written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
    /// The bytes of key and value.
    pub(crate) range: Range<usize>,
    /// The fourth token if it is not a comma: the value was cut here.
    pub(crate) cut: Option<Range<usize>>,
}

/// What was found in an `environment`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pairs {
    pub(crate) pairs: Vec<Pair>,
    /// `#` and what follows to the end of its line.
    pub(crate) comments: Vec<Range<usize>>,
}

/// Why it cannot be read, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EnvironError {
    pub(crate) message: String,
    pub(crate) range: Range<usize>,
}

#[derive(Debug)]
struct Token {
    value: String,
    range: Range<usize>,
}

/// Reads an expanded `environment`.
pub(crate) fn parse(text: &str) -> Result<Pairs, EnvironError> {
    let (tokens, comments) = tokens(text)?;
    let mut pairs = Vec::new();
    for four in tokens.chunks(4) {
        let [key, equals, value, rest @ ..] = four else {
            let range = four[0].range.start..text.len();
            return Err(EnvironError {
                message: "this is not `KEY=value`, separated by commas".to_string(),
                range,
            });
        };
        if equals.value != "=" {
            let range = key.range.start..equals.range.end;
            let message = "after the name of a variable comes `=`; a value with special characters needs quotes".to_string();
            return Err(EnvironError { message, range });
        }
        pairs.push(Pair {
            key: key.value.clone(),
            value: value.value.trim_matches(['\'', '"']).to_string(),
            range: key.range.start..value.range.end,
            cut: rest
                .first()
                .filter(|token| token.value != ",")
                .map(|token| token.range.clone()),
        });
    }
    Ok(Pairs { pairs, comments })
}

enum State {
    Blank,
    Word,
    Quoted(char),
}

/// Python's non-POSIX tokens. Quotes stay in a token; a quote inside a word is a letter of it.
fn tokens(text: &str) -> Result<(Vec<Token>, Vec<Range<usize>>), EnvironError> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut comments = Vec::new();
    let mut token = Token {
        value: String::new(),
        range: 0..0,
    };
    let mut state = State::Blank;
    let mut next = 0;
    let emit = |tokens: &mut Vec<Token>, token: &mut Token| {
        tokens.push(std::mem::replace(
            token,
            Token {
                value: String::new(),
                range: 0..0,
            },
        ));
    };
    while let Some(c) = text[next..].chars().next() {
        let at = next;
        let end = at + c.len_utf8();
        next = end;
        let blank = matches!(c, ' ' | '\t' | '\r' | '\n');
        match state {
            State::Quoted(quote) => {
                token.value.push(c);
                token.range.end = end;
                if c == quote {
                    emit(&mut tokens, &mut token);
                    state = State::Blank;
                }
            }
            // In a word a comment does not end the word: it goes on behind the comment. Kept, and said.
            State::Blank | State::Word if c == '#' => {
                let line_end = text[at..]
                    .find('\n')
                    .map_or(text.len(), |length| at + length + 1);
                comments.push(at..text[..line_end].trim_end().len());
                next = line_end;
            }
            State::Blank if blank => {}
            State::Blank => {
                token.value.push(c);
                token.range = at..end;
                if is_word(c) {
                    state = State::Word;
                } else if c == '\'' || c == '"' {
                    state = State::Quoted(c);
                } else {
                    emit(&mut tokens, &mut token);
                }
            }
            State::Word if blank => {
                emit(&mut tokens, &mut token);
                state = State::Blank;
            }
            State::Word if is_word(c) || c == '\'' || c == '"' => {
                token.value.push(c);
                token.range.end = end;
            }
            State::Word => {
                emit(&mut tokens, &mut token);
                tokens.push(Token {
                    value: c.to_string(),
                    range: at..end,
                });
                state = State::Blank;
            }
        }
    }
    match state {
        State::Blank => {}
        State::Word => emit(&mut tokens, &mut token),
        State::Quoted(_) => {
            return Err(EnvironError {
                message: "this quotation is not closed".to_string(),
                range: token.range,
            });
        }
    }
    Ok((tokens, comments))
}
