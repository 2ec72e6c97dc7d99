//! Calls of a Supervisor, ours or the real one, and what can become of them.

use std::io;

use base64::Engine;
use control::Fault as Kind;

use super::http::{Place, exchange};
use super::interrupt::runtime;
use crate::xmlrpc::{self, Fault, Value};

/// Whom to call, and as whom.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) url: String,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

/// Why a call did not give a value.
#[derive(Debug)]
pub(super) enum CallError {
    Fault(Fault),
    /// An HTTP status other than 200.
    Protocol(u16, String),
    Io(io::Error),
    /// The URL is of no protocol that we know.
    BadUrl(String),
    /// An answer that makes no sense.
    Value(String),
    /// Ctrl-C came first: the session ends.
    Interrupted,
}

impl CallError {
    /// Whether it is this fault.
    pub(super) fn is(&self, kind: Kind) -> bool {
        self.fault() == Some(kind.code())
    }
    /// The code of the fault, if it is one.
    pub(super) fn fault(&self) -> Option<i32> {
        match self {
            CallError::Fault(fault) => Some(fault.code),
            CallError::Protocol(..)
            | CallError::Io(_)
            | CallError::BadUrl(_)
            | CallError::Value(_)
            | CallError::Interrupted => None,
        }
    }
}

/// As Supervisor shows an exception that it did not expect, without the file and line of its own source.
impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CallError::Fault(Fault { code, text }) => write!(
                f,
                "error: <class 'xmlrpc.client.Fault'>, <Fault {code}: {}>",
                repr(text)
            ),
            CallError::Protocol(status, reason) => write!(
                f,
                "error: <class 'xmlrpc.client.ProtocolError'>, <ProtocolError for 127.0.0.1/RPC2: {status} {reason}>"
            ),
            CallError::Io(error) => write!(f, "error: {}", io_words(error)),
            CallError::BadUrl(url) => write!(
                f,
                "error: <class 'ValueError'>, Unknown protocol for serverurl {url}"
            ),
            CallError::Value(words) => write!(f, "error: <class 'ValueError'>, {words}"),
            CallError::Interrupted => f.write_str("error: <class 'KeyboardInterrupt'>"),
        }
    }
}

fn io_words(error: &io::Error) -> String {
    let class = match error.kind() {
        io::ErrorKind::NotFound => "FileNotFoundError",
        io::ErrorKind::ConnectionRefused => "ConnectionRefusedError",
        io::ErrorKind::PermissionDenied => "PermissionError",
        io::ErrorKind::ConnectionReset => "ConnectionResetError",
        io::ErrorKind::BrokenPipe => "BrokenPipeError",
        io::ErrorKind::TimedOut => "TimeoutError",
        io::ErrorKind::UnexpectedEof => {
            return "<class 'http.client.RemoteDisconnected'>, Remote end closed connection without response"
                .to_owned();
        }
        _ if error.raw_os_error().is_none() => "socket.gaierror",
        _ => "OSError",
    };
    let mut words = error.to_string();
    if let Some(number) = error.raw_os_error() {
        let plain = words.split(" (os error").next().unwrap_or("").to_owned();
        words = format!("[Errno {number}] {plain}");
    }
    format!("<class '{class}'>, {words}")
}

/// A string as Python's `repr` shows it.
pub fn repr(text: &str) -> String {
    let quote = match text.contains('\'') && !text.contains('"') {
        true => '"',
        false => '\'',
    };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// Who answers at a Supervisor's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// A Supervisor with this pid.
    Pid(i32),
    /// Somebody who wants another password.
    Locked,
    /// Nobody, or no Supervisor.
    Nobody,
}

/// Asks whoever listens at `url` for his pid, for at most `within`.
pub async fn pid_at(
    url: &str,
    login: Option<(&str, &str)>,
    within: std::time::Duration,
) -> Answered {
    let client = Client {
        url: url.to_owned(),
        username: login.map(|(user, _)| user.to_owned()),
        password: login.map(|(_, password)| password.to_owned()),
    };
    // One that is stopped takes the connection and never answers.
    match tokio::time::timeout(within, client.ask("getPID", &[])).await {
        Ok(Ok(Value::Int(pid))) => i32::try_from(pid).map_or(Answered::Nobody, Answered::Pid),
        Ok(Err(CallError::Protocol(401, _))) => Answered::Locked,
        // It holds the address and says nothing.
        Err(_) => Answered::Locked,
        Ok(Ok(_) | Err(_)) => Answered::Nobody,
    }
}

impl Client {
    /// Calls `supervisor.METHOD`; Ctrl-C does what it does.
    pub(super) fn call(&self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        let runtime = runtime().map_err(CallError::Io)?;
        runtime.block_on(self.ask(method, params))
    }

    /// Asks for `supervisor.METHOD`.
    pub(super) async fn ask(&self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        let place = self.place()?;
        let body = xmlrpc::write_call(&format!("supervisor.{method}"), params);
        let mut head = format!(
            "POST /RPC2 HTTP/1.1\r\nHost: {}\r\nUser-Agent: steadfast\r\nContent-Type: text/xml\r\nAccept: text/xml\r\nConnection: close\r\nContent-Length: {}\r\n",
            place.host(),
            body.len()
        );
        if let Some(credentials) = self.credentials() {
            head += &format!("Authorization: {credentials}\r\n");
        }
        let request = format!("{head}\r\n{body}");
        let answer = exchange(&place, request.as_bytes())
            .await
            .map_err(CallError::Io)?;
        if answer.status != 200 {
            return Err(CallError::Protocol(answer.status, answer.reason));
        }
        let text = String::from_utf8_lossy(&answer.body);
        match xmlrpc::response(&text) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(fault)) => Err(CallError::Fault(fault)),
            Err(error) => Err(CallError::Value(error.to_string())),
        }
    }

    pub(super) fn place(&self) -> Result<Place, CallError> {
        Place::of(&self.url).ok_or_else(|| CallError::BadUrl(self.url.clone()))
    }

    /// The `Authorization` header; only with both a user and a password, as in Supervisor.
    pub(super) fn credentials(&self) -> Option<String> {
        let (user, password) = (self.username.as_ref()?, self.password.as_ref()?);
        let both = format!("{user}:{password}");
        let encoded = base64::engine::general_purpose::STANDARD.encode(both);
        Some(format!("Basic {encoded}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_quotes() {
        assert_eq!(repr("foo"), "'foo'");
        assert_eq!(repr("it's"), "\"it's\"");
        assert_eq!(repr("'\"\n\u{1b}"), "'\\'\"\\n\\x1b'");
    }

    #[test]
    fn unexpected_errors_read_like_supervisors() {
        let refused = CallError::Io(io::Error::from_raw_os_error(111));
        assert_eq!(
            refused.to_string(),
            "error: <class 'ConnectionRefusedError'>, [Errno 111] Connection refused"
        );
        let fault = CallError::Fault(Fault::of(Kind::ShutdownState));
        assert_eq!(
            fault.to_string(),
            "error: <class 'xmlrpc.client.Fault'>, <Fault 6: 'SHUTDOWN_STATE'>"
        );
    }
}
