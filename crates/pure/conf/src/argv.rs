//! A command split into words, as Python's `shlex.split(command)` does it (POSIX rules, no comments), which Supervisor uses.
//!
//! ```text
//! blank ──char──> word ──blank──> emit
//!   │ ' or "  ──> quoted ──same quote──> word        'single': nothing is special until the next '
//!   └ \       ──> escaped ──any char──> word         "double": \ takes its meaning only before " and \
//! ```
//!
//! Blanks are space, tab, carriage return and newline only. A backslash keeps any next character, newline included, as it is.

use std::ops::Range;

use crate::command::Word;

/// Why a command cannot be split. The texts are those of Python, as Supervisor shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitError {
    /// `No closing quotation`: the quote that begins here does not end.
    NoClosingQuotation(Range<usize>),
    /// `No escaped character`: the command ends with this backslash.
    NoEscapedCharacter(Range<usize>),
    /// There is no word in it.
    Empty,
}

impl SplitError {
    /// The error in words.
    pub fn words(&self) -> &'static str {
        match self {
            SplitError::NoClosingQuotation(_) => "No closing quotation",
            SplitError::NoEscapedCharacter(_) => "No escaped character",
            SplitError::Empty => "command is empty",
        }
    }

    /// The bytes that are wrong, if one can point at them.
    pub fn range(&self) -> Option<Range<usize>> {
        match self {
            SplitError::NoClosingQuotation(range) | SplitError::NoEscapedCharacter(range) => {
                Some(range.clone())
            }
            SplitError::Empty => None,
        }
    }
}

#[derive(Clone, Copy)]
enum State {
    Blank,
    Word,
    Quoted { quote: char, from: usize },
    Escaped { from: usize, back: Back },
}

/// Where a backslash returns to.
#[derive(Clone, Copy)]
enum Back {
    Word,
    Quoted { from: usize },
}

/// Splits a command into its words, each with the bytes it came from. An empty command is an error, as when Supervisor starts it.
///
/// ```
/// let words = conf::argv::split(r#"sh -c "echo \"hi there\"" 'a b'"#).unwrap();
/// let values: Vec<_> = words.iter().map(|w| w.value.as_str()).collect();
/// assert_eq!(values, ["sh", "-c", "echo \"hi there\"", "a b"]);
/// ```
pub fn split(command: &str) -> Result<Vec<Word>, SplitError> {
    let mut words = Vec::new();
    let mut word = Word {
        value: String::new(),
        range: 0..0,
    };
    let mut state = State::Blank;
    for (at, c) in command.char_indices() {
        let end = at + c.len_utf8();
        state = match (state, c) {
            (State::Blank, ' ' | '\t' | '\r' | '\n') => State::Blank,
            (State::Word, ' ' | '\t' | '\r' | '\n') => {
                words.push(std::mem::replace(
                    &mut word,
                    Word {
                        value: String::new(),
                        range: 0..0,
                    },
                ));
                State::Blank
            }
            (State::Blank | State::Word, _) => {
                if let State::Blank = state {
                    word.range = at..end;
                }
                word.range.end = end;
                match c {
                    '\'' | '"' => State::Quoted { quote: c, from: at },
                    '\\' => State::Escaped {
                        from: at,
                        back: Back::Word,
                    },
                    c => {
                        word.value.push(c);
                        State::Word
                    }
                }
            }
            (State::Quoted { quote, from }, c) => {
                word.range.end = end;
                match c {
                    c if c == quote => State::Word,
                    '\\' if quote == '"' => State::Escaped {
                        from: at,
                        back: Back::Quoted { from },
                    },
                    c => {
                        word.value.push(c);
                        State::Quoted { quote, from }
                    }
                }
            }
            (State::Escaped { back, .. }, c) => {
                word.range.end = end;
                if let Back::Quoted { .. } = back
                    && c != '"'
                    && c != '\\'
                {
                    word.value.push('\\');
                }
                word.value.push(c);
                match back {
                    Back::Word => State::Word,
                    Back::Quoted { from } => State::Quoted { quote: '"', from },
                }
            }
        };
    }
    match state {
        State::Blank => {}
        State::Word => words.push(word),
        State::Quoted { from, .. } => {
            return Err(SplitError::NoClosingQuotation(from..command.len()));
        }
        State::Escaped { from, .. } => {
            return Err(SplitError::NoEscapedCharacter(from..command.len()));
        }
    }
    if words.is_empty() {
        Err(SplitError::Empty)
    } else {
        Ok(words)
    }
}
