//! `supervisorctl`: Supervisor's commands, texts and exit statuses, against our server or the real one.
//!
//! It is only a client of XML-RPC: scripts written for Supervisor see no difference, and a person who is on the
//! way over (or back) has one tool for both. Where Supervisor shows an exception of Python with the line of its
//! own source, the exception is shown and the line is not.

mod client;
mod foreground;
mod groups;
mod help;
mod http;
mod interrupt;
mod line;
mod options;
mod processes;
mod results;
mod shell;
mod supervisor;
mod tail;

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

pub use client::{Answered, pid_at, repr};
use options::Stop;
use shell::Shell;

/// What the binary gives it: the only way in and out.
pub struct Io<'a> {
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// Standard input, for the interactive mode and its questions.
    pub input: &'a mut dyn BufRead,
    /// `input` is this process's standard input, read byte by byte: what is not read yet is still in the terminal.
    pub stdin: bool,
    /// Both are a terminal: lines are edited, completed, and kept for the next session.
    pub terminal: bool,
    /// `argv[0]`: in usage messages, and Supervisor looks for its file beside it.
    pub program: String,
    /// Environment, for `%(ENV_X)s` and `~`.
    pub vars: BTreeMap<String, String>,
    /// Working directory.
    pub cwd: String,
}

impl std::fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Io({})", self.program)
    }
}

/// Runs `supervisorctl ARGS` (without the program's name) and answers its exit status: 0 done, 1 not, 2 wrong
/// usage, 3 something is not running (`status`), 4 no connection (`status`) or refused, 7 not running. When the output cannot be
/// written, 1.
pub fn main(args: &[String], io: &mut Io<'_>) -> u8 {
    let options = match options::realize(&io.program, args, &io.vars, &io.cwd) {
        Ok(options) => options,
        Err(Stop::Help) => {
            let text = help::USAGE.replace("%s", &io.program);
            return u8::from(io.out.write_all(text.as_bytes()).is_err());
        }
        Err(Stop::Usage(words)) => {
            let program = &io.program;
            let _ = writeln!(io.err, "Error: {words}\nFor help, use {program} -h");
            return 2;
        }
    };
    let words = options.words.join(" ");
    let mut shell = Shell::new(options, io);
    if words.is_empty() {
        shell.interact();
        return 0;
    }
    shell.command(&words);
    shell.finish()
}
