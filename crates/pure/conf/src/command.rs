//! The command of a process: its words, and where each stands in the file.

use std::ops::Range;

use finding::Span;

use crate::argv::{self, SplitError};
use crate::mapped::Text;

/// A command as Supervisor runs it: expanded, then split into words as a POSIX shell would, without any expansion by a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    text: Text,
    words: Vec<Word>,
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word, quotes and backslashes taken off: what the program gets.
    pub value: String,
    /// The bytes of the expanded command that it came from, quotes included.
    pub range: Range<usize>,
}

impl Command {
    /// Splits an expanded command.
    pub fn new(text: Text) -> Result<Command, SplitError> {
        let words = argv::split(text.as_str())?;
        Ok(Command { text, words })
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

/// What stands at the places of a [`Template`]. A place that is not given must not be used by the template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places<'a> {
    /// For `%(socket)s`.
    pub socket: Option<&'a str>,
    /// For `%(port)s`.
    pub port: Option<u16>,
    /// For `%(fd)s`.
    pub fd: Option<i32>,
}

/// A `steadfast_command`: words in which places are still open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    command: Command,
}

/// Stands for a place while the command is split. NUL can neither stand in a file (refused) nor in an environment variable.
const MARKS: [(Place, &str); 3] = [(Place::Socket, "\0s\0"), (Place::Port, "\0p\0"), (Place::Fd, "\0f\0")];

impl Place {
    /// What stands for this place until it is filled.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Place::Socket => MARKS[0].1,
            Place::Port => MARKS[1].1,
            Place::Fd => MARKS[2].1,
        }
    }

    /// The name of the place in the file.
    pub fn name(self) -> &'static str {
        match self {
            Place::Socket => "socket",
            Place::Port => "port",
            Place::Fd => "fd",
        }
    }
}

impl Template {
    /// Splits an expanded `steadfast_command` whose places carry their marks.
    pub(crate) fn new(text: Text) -> Result<Template, SplitError> {
        Command::new(text).map(|command| Template { command })
    }

    /// Whether the template names this place.
    pub fn names(&self, place: Place) -> bool {
        self.command.words.iter().any(|w| w.value.contains(place.mark()))
    }

    /// The argument vector with its places filled, or the first place that is named but not given.
    pub fn fill(&self, places: &Places<'_>) -> Result<Vec<String>, Place> {
        let mut argv = Vec::with_capacity(self.command.words.len());
        for word in &self.command.words {
            let mut value = word.value.clone();
            for (place, mark) in MARKS {
                if !value.contains(mark) {
                    continue;
                }
                let given = match place {
                    Place::Socket => places.socket.map(str::to_string),
                    Place::Port => places.port.map(|port| port.to_string()),
                    Place::Fd => places.fd.map(|fd| fd.to_string()),
                };
                value = value.replace(mark, &given.ok_or(place)?);
            }
            argv.push(value);
        }
        Ok(argv)
    }

    /// The command as written otherwise, with the names of its places.
    pub fn shown(&self) -> String {
        let mut text = self.command.as_str().to_string();
        for (place, mark) in MARKS {
            text = text.replace(mark, &format!("%({})s", place.name()));
        }
        text
    }

    /// Where it stands in the file.
    pub fn span(&self) -> Option<Span> {
        self.command.span()
    }
}
