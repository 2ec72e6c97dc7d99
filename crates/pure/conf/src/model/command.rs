//! The command of a process: its words, and where each stands in the file.

use std::ops::Range;

use finding::Span;

use crate::argv::{self, SplitError, Word};
use crate::mapped::Text;

/// A command as Supervisor runs it: expanded, then split into words as a POSIX shell would, without any expansion by a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    text: Text,
    words: Vec<Word>,
    /// Why it cannot be started at all; only as Supervisor reads it ([`crate::load_as_supervisor`]).
    wrong: Option<SplitError>,
}

impl Command {
    /// Splits an expanded command.
    pub fn new(text: Text) -> Result<Command, SplitError> {
        let words = argv::split(text.as_str())?;
        Ok(Command {
            text,
            words,
            wrong: None,
        })
    }

    /// One that cannot be split, all of it as one word.
    pub(crate) fn unsplit(text: Text, why: SplitError) -> Command {
        let value = text.as_str().to_owned();
        let range = 0..value.len();
        Command {
            text,
            words: vec![Word { value, range }],
            wrong: Some(why),
        }
    }

    /// Why it cannot be started at all, if so.
    pub fn wrong(&self) -> Option<&SplitError> {
        self.wrong.as_ref()
    }

    /// The expanded command, as written otherwise.
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// The words; at least one.
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// The argument vector; at least one.
    pub fn argv(&self) -> Vec<String> {
        self.words.iter().map(|w| w.value.clone()).collect()
    }

    /// Where a word (counted from 0) stands in the file.
    pub fn span_of_word(&self, index: usize) -> Option<Span> {
        let word = self.words.get(index)?;
        self.text.span(word.range.clone())
    }

    /// Where a range of bytes of [`Command::as_str`] stands in the file.
    pub fn span_of(&self, range: Range<usize>) -> Option<Span> {
        self.text.span(range)
    }

    /// Where the whole command stands in the file.
    pub fn span(&self) -> Option<Span> {
        self.text.whole_span()
    }
}

/// The places that `steadfast_command` may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `%(socket)s`: the path of a Unix socket to listen on.
    Socket,
    /// `%(port)s`: a TCP port of loopback to listen on.
    Port,
    /// `%(fd)s`: the number of an inherited listening socket.
    Fd,
}

impl Place {
    /// Every place.
    pub const ALL: [Place; 3] = [Place::Socket, Place::Port, Place::Fd];

    /// The place as it stands in the file: `%(socket)s`.
    pub fn written(self) -> &'static str {
        match self {
            Place::Socket => "%(socket)s",
            Place::Port => "%(port)s",
            Place::Fd => "%(fd)s",
        }
    }
}

/// A `steadfast_command`: expanded but for its places, which stand in it as in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    command: Command,
}

impl Template {
    pub(crate) fn new(text: Text) -> Result<Template, SplitError> {
        Command::new(text).map(|command| Template { command })
    }

    /// The places that it names.
    pub fn places(&self) -> Vec<Place> {
        let names = |place: &Place| {
            self.command
                .words()
                .iter()
                .any(|w| w.value.contains(place.written()))
        };
        Place::ALL.into_iter().filter(names).collect()
    }

    /// The argument vector; its places stand as `%(socket)s`, `%(port)s` and `%(fd)s`.
    pub fn argv(&self) -> Vec<String> {
        self.command.argv()
    }

    /// The command as written otherwise.
    pub fn as_str(&self) -> &str {
        self.command.as_str()
    }

    /// Where it stands in the file.
    pub fn span(&self) -> Option<Span> {
        self.command.span()
    }
}
