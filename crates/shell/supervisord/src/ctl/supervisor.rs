//! Commands about the supervisor itself: version, reload, shutdown, open.

use std::io;

use control::Fault as Kind;

use super::client::CallError;
use super::http::Place;
use super::shell::{Flow, Ran, Shell, status};

impl Shell<'_, '_> {
    pub(super) fn version(&mut self, arg: &str) -> Ran {
        if !arg.is_empty() {
            let words = "Error: version accepts no arguments";
            return self.misused(words, status::GENERIC, "version");
        }
        if self.upcheck()? {
            let version = self.call("getSupervisorVersion", &[])?;
            self.say(version.as_str().unwrap_or(""));
        }
        Ok(Flow::Next)
    }

    /// In a session a person is asked first.
    fn sure(&mut self, question: &str) -> Result<bool, CallError> {
        if !self.interactive {
            return Ok(true);
        }
        let answer = self.ask(question)?.unwrap_or_default();
        Ok(answer.to_lowercase().starts_with('y'))
    }

    pub(super) fn reload(&mut self, arg: &str) -> Ran {
        if !arg.is_empty() {
            let words = "Error: reload accepts no arguments";
            return self.misused(words, status::GENERIC, "reload");
        }
        if !self.sure("Really restart the remote supervisord process y/N? ")? {
            return Ok(Flow::Next);
        }
        match self.call("restart", &[]) {
            Ok(_) => self.say("Restarted supervisord"),
            Err(error) if error.is(Kind::ShutdownState) => {
                return self.fail("ERROR: already shutting down", status::GENERIC);
            }
            Err(error) => return Err(error),
        }
        Ok(Flow::Next)
    }

    pub(super) fn shutdown(&mut self, arg: &str) -> Ran {
        if !arg.is_empty() {
            let words = "Error: shutdown accepts no arguments";
            return self.misused(words, status::GENERIC, "shutdown");
        }
        if !self.sure("Really shut the remote supervisord process down y/N? ")? {
            return Ok(Flow::Next);
        }
        let url = self.client.url.clone();
        let already = "(already shut down?)";
        match self.call("shutdown", &[]) {
            Ok(_) => self.say("Shut down"),
            Err(error) if error.is(Kind::ShutdownState) => {
                self.say("ERROR: already shutting down");
            }
            Err(CallError::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                let words = format!("ERROR: {url} refused connection {already}");
                return self.fail(&words, status::GENERIC);
            }
            Err(CallError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                let words = format!("ERROR: {url} no such file {already}");
                return self.fail(&words, status::GENERIC);
            }
            Err(error) => return Err(error),
        }
        Ok(Flow::Next)
    }

    pub(super) fn open(&mut self, url: &str) -> Ran {
        if Place::of(url).is_none() {
            let words = "ERROR: url must be http:// or unix://";
            return self.fail(words, status::GENERIC);
        }
        self.client.url = url.to_owned();
        let before = self.exit;
        let ran = self.status("");
        self.exit = before;
        ran
    }
}
