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

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word, quotes and backslashes taken off: what the program gets.
    pub value: String,
    /// The bytes of the expanded command that it came from, quotes included.
    pub range: Range<usize>,
}

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
        let blank = matches!(c, ' ' | '\t' | '\r' | '\n');
        state = match state {
            State::Blank if blank => State::Blank,
            State::Blank => {
                word = Word {
                    value: String::new(),
                    range: at..end,
                };
                begin(&mut word, c, at)
            }
            State::Word if blank => {
                words.push(std::mem::replace(
                    &mut word,
                    Word {
                        value: String::new(),
                        range: 0..0,
                    },
                ));
                State::Blank
            }
            State::Word => begin(&mut word, c, at),
            State::Quoted { quote, from } => quoted(&mut word, c, at, quote, from),
            State::Escaped { back, .. } => escaped(&mut word, c, back),
        };
        if !matches!(state, State::Blank) {
            word.range.end = end;
        }
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

/// A character outside of quotes that is not blank.
fn begin(word: &mut Word, c: char, at: usize) -> State {
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

/// A character between quotes that opened at `from`.
fn quoted(word: &mut Word, c: char, at: usize, quote: char, from: usize) -> State {
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

/// The character behind a backslash.
fn escaped(word: &mut Word, c: char, back: Back) -> State {
    match back {
        Back::Word => {
            word.value.push(c);
            State::Word
        }
        Back::Quoted { from } => {
            if c != '"' && c != '\\' {
                word.value.push('\\');
            }
            word.value.push(c);
            State::Quoted { quote: '"', from }
        }
    }
}
