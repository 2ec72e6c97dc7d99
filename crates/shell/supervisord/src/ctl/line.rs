//! The line editor of an interactive session at a terminal: history from session to session, and completion by
//! Supervisor's rules (supervisorctl.py `Controller.complete`): actions first, then groups or processes.

use std::cell::RefCell;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use rustyline::completion::Completer;
use rustyline::config::{Builder, CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::history::{History, MemHistory, SearchDirection};
use rustyline::{Context, Editor, Helper, highlight, hint, validate};

use super::client::Client;
use super::help;
use crate::names;
use crate::xmlrpc::Value;

/// Lines of history that are kept; older ones are forgotten.
const LINES_MAX: usize = 1000;
/// Bytes of a history file that are read: a thousand lines are far below.
const HISTORY_BYTES_MAX: u64 = 1024 * 1024;

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Line(String),
    /// Ctrl-D.
    End,
    /// Ctrl-C: the end of the session.
    Interrupted,
}

pub(super) struct Lines {
    editor: Editor<Words, MemHistory>,
    history_file: Option<String>,
}

impl Lines {
    /// An editor with the lines of earlier sessions; None where the terminal cannot be edited on.
    pub(super) fn new(history_file: Option<String>) -> Option<Lines> {
        let config: Config = Builder::new()
            .max_history_size(LINES_MAX)
            .ok()?
            .completion_type(CompletionType::List)
            .bracketed_paste(true)
            .build();
        let history = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history).ok()?;
        editor.set_helper(Some(Words::default()));
        for line in history_file.as_deref().map(read).unwrap_or_default() {
            let _ = editor.add_history_entry(line);
        }
        Some(Lines {
            editor,
            history_file,
        })
    }

    /// Reads a line; `client` is asked for names when there is something to complete.
    pub(super) fn read(&mut self, prompt: &str, client: &Client) -> Typed {
        if let Some(words) = self.editor.helper_mut() {
            *words = Words {
                client: Some(client.clone()),
                known: RefCell::new(None),
            };
        }
        match self.editor.readline(prompt) {
            Ok(line) => {
                if !line.trim().is_empty() {
                    let _ = self.editor.add_history_entry(&line);
                }
                Typed::Line(line)
            }
            Err(ReadlineError::Interrupted) => Typed::Interrupted,
            Err(_) => Typed::End,
        }
    }

    /// Keeps the lines for the next session, one a line, as readline's file is. What cannot be written is lost.
    pub(super) fn keep(&self) {
        let Some(path) = &self.history_file else {
            return;
        };
        let history = self.editor.history();
        let mut text = String::new();
        for index in 0..history.len() {
            if let Ok(Some(found)) = history.get(index, SearchDirection::Forward) {
                text.push_str(&found.entry);
                text.push('\n');
            }
        }
        // Lines may hold what is nobody else's business.
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path);
        let _ = file.and_then(|mut file| file.write_all(text.as_bytes()));
    }
}

fn read(path: &str) -> Vec<String> {
    let small = std::fs::metadata(path).is_ok_and(|meta| meta.len() <= HISTORY_BYTES_MAX);
    let bytes = small.then(|| std::fs::read(path).ok()).flatten();
    let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(LINES_MAX);
    lines[from..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect()
}

/// What can be completed to.
#[derive(Default)]
struct Words {
    client: Option<Client>,
    /// Group and name of every process, asked for once a line.
    known: RefCell<Option<Vec<(String, String)>>>,
}

impl Words {
    fn known(&self) -> Vec<(String, String)> {
        let mut known = self.known.borrow_mut();
        let ask = || {
            let infos = self.client.as_ref()?.call("getAllProcessInfo", &[]).ok()?;
            let text = |info: &Value, key: &str| {
                let text = info.get(key).and_then(Value::as_str);
                text.unwrap_or("").to_owned()
            };
            let infos = infos.as_array().unwrap_or(&[]).iter();
            Some(
                infos
                    .map(|info| (text(info, "group"), text(info, "name")))
                    .collect(),
            )
        };
        known
            .get_or_insert_with(|| ask().unwrap_or_default())
            .clone()
    }
}

impl Helper for Words {}
impl highlight::Highlighter for Words {}
impl validate::Validator for Words {}
impl hint::Hinter for Words {
    type Hint = String;
}

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = &line[..at];
        let start = before
            .rfind(char::is_whitespace)
            .map_or(0, |space| space + 1);
        Ok((start, complete(before, &before[start..], || self.known())))
    }
}

/// Completions of `word`, the last of `line`.
fn complete(line: &str, word: &str, known: impl FnOnce() -> Vec<(String, String)>) -> Vec<String> {
    let mut words = line.split_whitespace();
    let action = words.next().unwrap_or("");
    let first = action.is_empty() || (words.next().is_none() && !line.ends_with(' '));
    let all: Vec<String> = match action {
        _ if first => help::actions().map(str::to_owned).collect(),
        "help" => help::actions().map(str::to_owned).collect(),
        "add" | "remove" | "update" => {
            let mut groups: Vec<String> = Vec::new();
            for (group, _) in known() {
                if !groups.contains(&group) {
                    groups.push(group);
                }
            }
            groups
        }
        "clear" | "fg" | "pid" | "restart" | "signal" | "start" | "status" | "stop" | "tail" => {
            processes(word, known())
        }
        _ => Vec::new(),
    };
    let fits = all.into_iter().filter(|name| name.starts_with(word));
    fits.map(|name| format!("{name} ")).collect()
}

fn processes(word: &str, known: Vec<(String, String)>) -> Vec<String> {
    let mut all = Vec::new();
    for (group, name) in known {
        if word.contains(':') || name != group {
            all.push(format!("{group}:{name}"));
            let whole = format!("{group}:*");
            if !all.contains(&whole) {
                all.push(whole);
            }
        } else {
            all.push(names::join(&group, &name));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> Vec<String> {
        let known = || {
            [("a", "a"), ("w", "w_0"), ("w", "w_1"), ("b", "b")]
                .map(|(group, name)| (group.to_owned(), name.to_owned()))
                .into()
        };
        let word = line.rsplit(' ').next().unwrap_or("");
        complete(line, word, known)
    }

    #[test]
    fn actions_groups_and_processes() {
        assert_eq!(completed("sta"), ["start ", "status "]);
        assert_eq!(completed("help ma"), ["maintail "]);
        assert_eq!(completed("remove "), ["a ", "w ", "b "]);
        assert_eq!(completed("start w"), ["w:w_0 ", "w:* ", "w:w_1 "]);
        assert_eq!(completed("start a:"), ["a:a ", "a:* "]);
        assert_eq!(completed("restart b"), ["b "]);
        assert!(completed("version x").is_empty());
        assert!(completed("").contains(&"tail ".to_owned()));
    }

    #[test]
    fn history_is_readlines_file() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("history").display().to_string();
        std::fs::write(&path, "status\nstop a\n").expect("written");
        assert_eq!(read(&path), ["status", "stop a"]);
        assert!(read("/nonexistent").is_empty());
        let lines = Lines::new(Some(path.clone())).expect("an editor");
        std::fs::remove_file(&path).expect("removed");
        lines.keep();
        assert_eq!(
            std::fs::read_to_string(&path).expect("kept"),
            "status\nstop a\n"
        );
    }
}
