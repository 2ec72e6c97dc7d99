//! A command line and where it stands. A command leads to a start script, to an entry of package.json (`follow`): each is read
//! as a command line of its own, and each of its words knows where it stands.

use std::path::PathBuf;

use finding::Span;
use servers::{Place, Server};

use crate::model::Env;

/// One command line and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) argv: Vec<String>,
    /// Where each word stands.
    pub(crate) words: Vec<Option<Span>>,
    /// The command as a whole.
    pub(crate) whole: Option<Span>,
    /// The file that it stands in, if that is not the configuration.
    pub(crate) file: Option<PathBuf>,
    pub(crate) server: Server,
    /// Spring's developer tools in the jar that is started: the jar, and the entry in it.
    pub(crate) devtools: Option<(PathBuf, String)>,
}

impl Layer {
    pub(crate) fn new(argv: Vec<String>, words: Vec<Option<Span>>, env: &Env) -> Layer {
        let server = servers::read(&argv, env);
        Layer {
            whole: words.first().cloned().flatten(),
            argv,
            words,
            file: None,
            server,
            devtools: None,
        }
    }

    /// Where a place stands in its file.
    pub(crate) fn span(&self, place: &Place) -> Option<Span> {
        match place {
            Place::Word(index) => self.words.get(*index).cloned().flatten(),
            Place::Inside { word, start, end } => {
                let span = self.words.get(*word).cloned().flatten()?;
                let value = self.argv.get(*word)?;
                let before = value.get(..*start)?.chars().count();
                let length = value.get(*start..*end)?.chars().count();
                // A quote stands before the inner command; the range is exact where no quotes are undone within.
                let quote = usize::from(span.length as usize > value.chars().count());
                let column = span.column + u32::try_from(quote + before).ok()?;
                Some(span.marked(column, u32::try_from(length).ok()?))
            }
            Place::Env(_) => None,
        }
    }

    /// Several places as one mark, if they stand side by side in one line; else the first.
    pub(crate) fn span_of_all(&self, places: &[Place]) -> Option<Span> {
        let spans: Vec<Span> = places.iter().filter_map(|p| self.span(p)).collect();
        let (first, last) = (spans.first()?, spans.last()?);
        let mut span = first.clone();
        if first.line == last.line && last.column >= first.column {
            span.length = last.column + last.length - first.column;
        }
        Some(span)
    }

    /// The words as one line.
    pub(crate) fn line(&self) -> String {
        servers::shell_line(&self.argv)
    }
}
