//! One command line, or a session of them (supervisorctl.py `Controller`).

use std::io;

use control::Fault as Kind;

use super::Io;
use super::client::{CallError, Client};
use super::help;
use super::interrupt::{Interruptible, readable};
use super::line::{Lines, Typed};
use super::options::Options;
use crate::methods::API_VERSION;
use crate::xmlrpc::Value;

/// Exit statuses (supervisorctl.py `LSBInitExitStatuses`, `LSBStatusExitStatuses`).
pub(super) mod status {
    pub(crate) const GENERIC: u8 = 1;
    pub(crate) const INVALID_ARGS: u8 = 2;
    pub(crate) const UNIMPLEMENTED: u8 = 3;
    pub(crate) const INSUFFICIENT_PRIVILEGES: u8 = 4;
    pub(crate) const NOT_INSTALLED: u8 = 5;
    pub(crate) const NOT_RUNNING: u8 = 7;
    pub(crate) const STATUS_NOT_RUNNING: u8 = 3;
    pub(crate) const STATUS_UNKNOWN: u8 = 4;
}

/// How a command ended that did not end in an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    /// The session ends.
    Quit,
}

pub(super) type Ran = Result<Flow, CallError>;

pub(super) struct Shell<'a, 'io> {
    pub(super) io: &'a mut Io<'io>,
    pub(super) client: Client,
    pub(super) interactive: bool,
    /// Exit status.
    pub(super) exit: u8,
    prompt: String,
    history_file: Option<String>,
    /// Output could not be written; nothing more is tried.
    broken: bool,
    /// In a session, and once a log was followed: what waits for Ctrl-C too.
    pub(super) ctrl_c: Option<Interruptible>,
}

impl<'a, 'io> Shell<'a, 'io> {
    pub(super) fn new(options: Options, io: &'a mut Io<'io>) -> Shell<'a, 'io> {
        Shell {
            io,
            client: Client {
                url: options.url,
                username: options.username,
                password: options.password,
            },
            interactive: options.interactive,
            exit: 0,
            prompt: options.prompt,
            history_file: options.history_file,
            broken: false,
            ctrl_c: None,
        }
    }

    /// A line to stdout.
    pub(super) fn say(&mut self, line: &str) {
        self.write(format!("{line}\n").as_bytes());
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        let written = self
            .io
            .out
            .write_all(bytes)
            .and_then(|()| self.io.out.flush());
        self.broken |= written.is_err();
    }

    /// A line to stdout, and an exit status.
    pub(super) fn fail(&mut self, line: &str, exit: u8) -> Ran {
        self.say(line);
        self.exit = exit;
        Ok(Flow::Next)
    }

    /// The same, with the help of the command.
    pub(super) fn misused(&mut self, line: &str, exit: u8, command: &str) -> Ran {
        let _ = self.fail(line, exit);
        self.say(help::of(command).unwrap_or(""));
        Ok(Flow::Next)
    }

    /// The exit status.
    pub(super) fn finish(self) -> u8 {
        match (self.exit, self.broken) {
            (0, true) => status::GENERIC,
            (exit, _) => exit,
        }
    }

    pub(super) fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        match &mut self.ctrl_c {
            Some(ctrl_c) => ctrl_c
                .wait(self.client.ask(method, params))
                .unwrap_or(Err(CallError::Interrupted)),
            None => self.client.call(method, params),
        }
    }

    /// Catches Ctrl-C, if that is not done yet. Whoever takes it puts it back.
    pub(super) fn catch(&mut self) -> Result<Interruptible, CallError> {
        match self.ctrl_c.take() {
            Some(ctrl_c) => Ok(ctrl_c),
            None => Interruptible::new().map_err(CallError::Io),
        }
    }

    /// The session: `status` first, then what is typed.
    pub(super) fn interact(&mut self) {
        let prompt = format!("{}> ", self.prompt);
        let terminal = self.io.terminal;
        let mut lines = terminal
            .then(|| Lines::new(self.history_file.clone()))
            .flatten();
        self.ctrl_c = self.catch().ok();
        let mut flow = self.command("status");
        while flow == Flow::Next && !self.broken {
            let interrupted = self.ctrl_c.as_mut().is_some_and(Interruptible::interrupted);
            let typed = match &mut lines {
                _ if interrupted => Typed::Interrupted,
                Some(lines) => lines.read(&prompt, &self.client),
                None => match self.ask(&prompt) {
                    Ok(line) => line.map_or(Typed::End, Typed::Line),
                    Err(_) => Typed::Interrupted,
                },
            };
            flow = match typed {
                Typed::Line(line) => self.command(&line),
                // As Python's cmd module: the end of the input is a command.
                Typed::End => self.command("EOF"),
                Typed::Interrupted => self.interrupted(),
            };
        }
        if let Some(lines) = &lines {
            lines.keep();
        }
    }

    fn interrupted(&mut self) -> Flow {
        self.say("");
        Flow::Quit
    }

    /// A line of input behind a prompt; None at its end.
    pub(super) fn ask(&mut self, prompt: &str) -> Result<Option<String>, CallError> {
        self.write(prompt.as_bytes());
        if let Some(ctrl_c) = &mut self.ctrl_c {
            let there = ctrl_c.wait(readable(self.io.stdin));
            there.ok_or(CallError::Interrupted)?;
        }
        let mut line = String::new();
        Ok(match self.io.input.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end_matches(['\n', '\r']).to_owned()),
        })
    }

    /// Runs a command line and shows what went wrong.
    pub(super) fn command(&mut self, line: &str) -> Flow {
        let line = match line.trim().strip_prefix('?') {
            Some(topic) => format!("help {topic}"),
            None => line.trim().to_owned(),
        };
        if line.is_empty() {
            return Flow::Next;
        }
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = line.find(|c| !word(c)).unwrap_or(line.len());
        let (name, arg) = (&line[..end], line[end..].trim());
        match self.run(name, arg) {
            Some(Ok(flow)) => flow,
            Some(Err(CallError::Interrupted)) => self.interrupted(),
            Some(Err(error)) => match self.authenticated(&error) {
                Ok(true) => self.command(&line),
                Ok(false) => Flow::Next,
                Err(_) => self.interrupted(),
            },
            None => {
                let _ = self.fail(&format!("*** Unknown syntax: {line}"), status::GENERIC);
                Flow::Next
            }
        }
    }

    fn run(&mut self, name: &str, arg: &str) -> Option<Ran> {
        Some(match name {
            "add" => self.add(arg),
            "avail" => self.avail(arg),
            "clear" => self.clear(arg),
            "exit" | "quit" | "EOF" => {
                self.say("");
                Ok(Flow::Quit)
            }
            "fg" => self.foreground(arg),
            "help" => self.help(arg),
            "maintail" => self.maintail(arg),
            "open" => self.open(arg),
            "pid" => self.pid(arg),
            "reload" => self.reload(arg),
            "remove" => self.remove(arg),
            "reread" => self.reread(arg),
            "restart" => self.restart(arg),
            "shutdown" => self.shutdown(arg),
            "signal" => self.signal(arg),
            "start" => self.start(arg),
            "status" => self.status(arg),
            "stop" => self.stop(arg),
            "tail" => self.tail(arg),
            "update" => self.update(arg),
            "version" => self.version(arg),
            _ => return None,
        })
    }

    /// Shows an error; at a refused log-in of a session it asks for another, and says that it did.
    fn authenticated(&mut self, error: &CallError) -> Result<bool, CallError> {
        let CallError::Protocol(401, _) = error else {
            let _ = self.fail(&error.to_string(), status::GENERIC);
            return Ok(false);
        };
        self.say("Server requires authentication");
        if !self.interactive {
            // Supervisor tries once more, and shows what that comes to.
            let _ = self.fail(&error.to_string(), status::GENERIC);
            return Ok(false);
        }
        let Some(username) = self.ask("Username:")? else {
            return Ok(false);
        };
        let Some(password) = self.ask_hidden("Password:")? else {
            return Ok(false);
        };
        self.say("");
        self.client.username = Some(username);
        self.client.password = Some(password);
        Ok(true)
    }

    fn ask_hidden(&mut self, prompt: &str) -> Result<Option<String>, CallError> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let terminal = rustix::stdio::stdin();
        let before = tcgetattr(terminal).ok();
        if let Some(before) = &before {
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(terminal, OptionalActions::Flush, &hidden);
        }
        let line = self.ask(prompt);
        if let Some(before) = &before {
            let _ = tcsetattr(terminal, OptionalActions::Flush, before);
            self.say("");
        }
        line
    }

    /// Whether there is a Supervisor that understands us. If not, that is said and the exit status set.
    pub(super) fn upcheck(&mut self) -> Result<bool, CallError> {
        let url = self.client.url.clone();
        let (words, exit) = match self.call("getVersion", &[]) {
            Ok(version) if version.as_str() == Some(API_VERSION) => return Ok(true),
            Ok(version) => (
                format!(
                    "Sorry, this version of supervisorctl expects to talk to a server with API version {API_VERSION}, but the remote version is {}.",
                    version.as_str().unwrap_or("unknown")
                ),
                status::NOT_INSTALLED,
            ),
            Err(error) if error.is(Kind::UnknownMethod) => (
                "Sorry, supervisord responded but did not recognize the supervisor namespace commands that supervisorctl uses to control it.  Please check that the [rpcinterface:supervisor] section is enabled in the configuration file (see sample.conf).".to_owned(),
                status::UNIMPLEMENTED,
            ),
            Err(CallError::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused => (
                format!("{url} refused connection"),
                status::INSUFFICIENT_PRIVILEGES,
            ),
            Err(CallError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                (format!("{url} no such file"), status::NOT_RUNNING)
            }
            Err(error) => {
                self.exit = status::GENERIC;
                return Err(error);
            }
        };
        let _ = self.fail(&words, exit);
        Ok(false)
    }

    fn help(&mut self, arg: &str) -> Ran {
        match arg {
            "" => self.say(help::TOPICS),
            topic => match help::of(topic) {
                Some(text) => self.say(text),
                None => self.say(&format!("*** No help on {topic}")),
            },
        }
        Ok(Flow::Next)
    }
}
