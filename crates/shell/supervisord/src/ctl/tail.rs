//! `tail` and `maintail`: the last bytes by a call, `-f` by the log's stream (http_client.py).

use std::io::{self, Write};

use control::Fault as Kind;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::client::{CallError, repr};
use super::http::{Piece, Place, Reader};
use super::shell::{Flow, Ran, Shell, status};
use crate::xmlrpc::Value;

/// Bytes of a tail without a number, as in Supervisor.
const TAIL_BYTES: i64 = 1600;

/// How the stream ended.
pub(super) enum Ended {
    /// The server closed it.
    Closed,
    /// It answered something else.
    Status(u16),
}

impl Shell<'_, '_> {
    pub(super) fn tail(&mut self, arg: &str) -> Ran {
        if !self.upcheck()? {
            return Ok(Flow::Next);
        }
        let words: Vec<&str> = arg.split_whitespace().collect();
        match words.len() {
            0 => return self.misused("Error: too few arguments", status::GENERIC, "tail"),
            1..=3 => {}
            _ => return self.misused("Error: too many arguments", status::GENERIC, "tail"),
        }
        let (modifier, rest) = match words.as_slice() {
            [first, rest @ ..] if first.starts_with('-') => (Some(&first[1..]), rest),
            all => (None, all),
        };
        let (name, channel) = match rest {
            [] => return self.fail("Error: tail requires process name", status::GENERIC),
            [name] => (*name, "stdout".to_owned()),
            [name, .., channel] => (*name, channel.to_lowercase()),
        };
        if channel != "stdout" && channel != "stderr" {
            let words = format!("Error: bad channel {}", repr(&channel));
            return self.fail(&words, status::GENERIC);
        }
        if modifier == Some("f") {
            return self.follow(&format!("/logtail/{name}/{channel}"));
        }
        let Some(bytes) = modifier.map_or(Some(TAIL_BYTES), |digits| digits.parse().ok()) else {
            let words = format!("Error: bad argument -{}", modifier.unwrap_or(""));
            return self.fail(&words, status::GENERIC);
        };
        let method = match channel.as_str() {
            "stdout" => "readProcessStdoutLog",
            _ => "readProcessStderrLog",
        };
        self.last(name, bytes, method, &[name.into()])
    }

    pub(super) fn maintail(&mut self, arg: &str) -> Ran {
        if !self.upcheck()? {
            return Ok(Flow::Next);
        }
        let words: Vec<&str> = arg.split_whitespace().collect();
        let bytes = match words.as_slice() {
            [] => TAIL_BYTES,
            ["-f"] => return self.follow("/mainlogtail"),
            [word] => match word
                .strip_prefix('-')
                .and_then(|digits| digits.parse().ok())
            {
                Some(bytes) => bytes,
                None => return self.fail(&format!("Error: bad argument {word}"), status::GENERIC),
            },
            _ => return self.misused("Error: too many arguments", status::GENERIC, "maintail"),
        };
        self.last("supervisord", bytes, "readLog", &[])
    }

    /// The last bytes of a log.
    fn last(&mut self, name: &str, bytes: i64, method: &str, params: &[Value]) -> Ran {
        let mut params = params.to_vec();
        params.extend([Value::Int(bytes.saturating_neg()), Value::Int(0)]);
        let words = match self.call(method, &params) {
            Ok(text) => {
                self.say(text.as_str().unwrap_or(""));
                return Ok(Flow::Next);
            }
            Err(error) if error.is(Kind::NoFile) => "no log file",
            Err(error) if error.is(Kind::Failed) => "unknown error reading log",
            Err(error) if error.is(Kind::BadName) => "no such process name",
            Err(error) => return Err(error),
        };
        self.fail(&format!("{name}: ERROR ({words})"), status::GENERIC)
    }

    /// A log as it grows, until Ctrl-C.
    fn follow(&mut self, path: &str) -> Ran {
        let place = self.client.place()?;
        let mut ctrl_c = self.catch()?;
        self.say("==> Press Ctrl-C to exit <==");
        let request = request(&place, self.client.credentials().as_deref(), path);
        let url = format!("{}{path}", self.client.url);
        let ended = ctrl_c.wait(connected(&place, request.as_bytes(), self.io.out));
        self.ctrl_c = Some(ctrl_c);
        match ended {
            None => self.say(""),
            Some(Ok(Ended::Closed)) => {}
            Some(Ok(Ended::Status(status))) => {
                let _ = writeln!(self.io.err, "{url} Cannot read, status code {status}");
            }
            Some(Err(error)) => {
                let words = CallError::Io(error).to_string();
                let words = words
                    .trim_start_matches("error: ")
                    .replacen(">, ", "> (", 1);
                let _ = writeln!(self.io.err, "{url} Cannot connect, error: {words})");
            }
        }
        Ok(Flow::Next)
    }
}

/// The request for a log as it grows. As in Supervisor's client, credentials only with a password.
pub(super) fn request(place: &Place, credentials: Option<&str>, path: &str) -> String {
    let authorization = credentials.map_or_else(String::new, |c| format!("Authorization: {c}\r\n"));
    format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: steadfast\r\nAccept: */*\r\n{authorization}\r\n",
        place.host()
    )
}

pub(super) async fn connected(
    place: &Place,
    request: &[u8],
    out: &mut dyn Write,
) -> io::Result<Ended> {
    match place {
        Place::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await?;
            copy(stream, request, out).await
        }
        Place::Tcp(host, port) => {
            let stream = tokio::net::TcpStream::connect((host.as_str(), *port)).await?;
            copy(stream, request, out).await
        }
    }
}

async fn copy(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &[u8],
    out: &mut dyn Write,
) -> io::Result<Ended> {
    stream.write_all(request).await?;
    let mut reader = Reader::new();
    let mut bytes = vec![0; 16 * 1024];
    loop {
        while let Some(piece) = reader.next()? {
            match piece {
                Piece::Head { status: 200, .. } => {}
                Piece::Head { status, .. } => return Ok(Ended::Status(status)),
                Piece::Body(more) => {
                    out.write_all(&more)?;
                    out.flush()?;
                }
                Piece::End => return Ok(Ended::Closed),
            }
        }
        match stream.read(&mut bytes).await? {
            0 => return Ok(Ended::Closed),
            count => reader.feed(&bytes[..count]),
        }
    }
}
