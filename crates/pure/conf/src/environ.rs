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

#[derive(Debug, Default)]
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
    let mut lexer = Lexer {
        tokens: Vec::new(),
        token: Token::default(),
        state: State::Blank,
    };
    let mut comments = Vec::new();
    let mut next = 0;
    while let Some(c) = text[next..].chars().next() {
        let at = next;
        next = at + c.len_utf8();
        // In a word a comment does not end the word: it goes on behind the comment. Kept, and said.
        if c == '#' && !matches!(lexer.state, State::Quoted(_)) {
            next = text[at..]
                .find('\n')
                .map_or(text.len(), |length| at + length + 1);
            comments.push(at..text[..next].trim_end().len());
        } else {
            lexer.step(c, at..next);
        }
    }
    match lexer.state {
        State::Blank => {}
        State::Word => lexer.emit(),
        State::Quoted(_) => {
            let message = "this quotation is not closed".to_string();
            return Err(EnvironError {
                message,
                range: lexer.token.range,
            });
        }
    }
    Ok((lexer.tokens, comments))
}

struct Lexer {
    tokens: Vec<Token>,
    /// The one that is being read.
    token: Token,
    state: State,
}

impl Lexer {
    fn emit(&mut self) {
        self.tokens.push(std::mem::take(&mut self.token));
        self.state = State::Blank;
    }

    fn step(&mut self, c: char, range: Range<usize>) {
        let blank = matches!(c, ' ' | '\t' | '\r' | '\n');
        let quote = c == '\'' || c == '"';
        match self.state {
            State::Quoted(open) => {
                self.token.value.push(c);
                self.token.range.end = range.end;
                if c == open {
                    self.emit();
                }
            }
            State::Blank if blank => {}
            State::Blank => {
                self.token = Token {
                    value: c.to_string(),
                    range,
                };
                if is_word(c) {
                    self.state = State::Word;
                } else if quote {
                    self.state = State::Quoted(c);
                } else {
                    self.emit();
                }
            }
            State::Word if blank => self.emit(),
            State::Word if is_word(c) || quote => {
                self.token.value.push(c);
                self.token.range.end = range.end;
            }
            State::Word => {
                self.emit();
                self.tokens.push(Token {
                    value: c.to_string(),
                    range,
                });
            }
        }
    }
}
