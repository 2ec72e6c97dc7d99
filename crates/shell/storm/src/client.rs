//! A small HTTP/1.1 client that says exactly how a request ended.
//!
//! A load generator that hides retries or lumps errors together proves nothing: this one never repeats a
//! request, and tells a refused connection from a reset, an early end, a time-out and a wrong answer. It does
//! what every good client does before it reuses a connection: it looks whether the other side has closed it.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// Bytes of the longest head that is read; servers under test send a few hundred.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the longest body that is read: more is a test of something else.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Headers of an answer.
const HEADERS_MAX: usize = 64;

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// One request.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Path with query.
    pub path: &'a str,
    /// Value of Authorization.
    pub authorization: Option<&'a str>,
    /// A JSON body.
    pub json: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// A GET.
    pub fn get(path: &'a str) -> Request<'a> {
        Request {
            method: "GET",
            path,
            ..Request::default()
        }
    }
    /// A POST with a JSON body.
    pub fn post(path: &'a str, json: &'a str) -> Request<'a> {
        Request {
            method: "POST",
            path,
            json: Some(json),
            ..Request::default()
        }
    }
    fn to_bytes(&self, keep_alive: bool) -> Vec<u8> {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: localhost\r\n",
            self.method, self.path
        );
        if !keep_alive {
            text.push_str("Connection: close\r\n");
        }
        if let Some(value) = self.authorization {
            text.push_str(&format!("Authorization: {value}\r\n"));
        }
        match self.json {
            Some(json) => text.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
                json.len()
            )),
            None => text.push_str("\r\n"),
        }
        text.into_bytes()
    }
}

/// An answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The decoded body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that (lower case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(each, _)| each == name)
            .map(|(_, value)| value.as_str())
    }
    /// The body as text, lossily.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    /// A string or number of a JSON body by its key.
    pub fn json(&self, key: &str) -> Option<String> {
        let value: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        match value.get(key)? {
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
    /// How long the gateway says that it held the request (`Server-Timing: hold;dur=1234`).
    pub fn held_ms(&self) -> Option<u64> {
        let value = self.header("server-timing")?;
        let after = value.split("hold;dur=").nth(1)?;
        let number = after.split(|c: char| !c.is_ascii_digit()).next()?;
        number.parse().ok()
    }
}

/// How a request ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nobody listens.
    Refused,
    /// No connection for another reason.
    Connect(String),
    /// Reset or broken pipe; `sent`: the whole request had been written.
    Reset {
        /// The request had been written.
        sent: bool,
        /// Bytes of the answer that had come.
        received: usize,
    },
    /// The connection ended before the answer did.
    Ended {
        /// Bytes of the answer that had come.
        received: usize,
    },
    /// No whole answer in time.
    TimedOut,
    /// Not HTTP.
    Garbled(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Refused => f.write_str("connection refused"),
            Failure::Connect(why) => write!(f, "no connection: {why}"),
            Failure::Reset { sent, received } => {
                let when = if *sent {
                    "after the request was sent"
                } else {
                    "while the request was sent"
                };
                write!(f, "reset {when}, {received} bytes of the answer had come")
            }
            Failure::Ended { received } => {
                write!(f, "ended, {received} bytes of the answer had come")
            }
            Failure::TimedOut => f.write_str("timed out"),
            Failure::Garbled(why) => write!(f, "not an HTTP answer: {why}"),
        }
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    async fn connect(target: &Target) -> Result<Stream, Failure> {
        let connected = match target {
            Target::Tcp(address) => TcpStream::connect(address).await.map(|stream| {
                // A request is one write; waiting to fill a segment would only measure Nagle.
                let _ = stream.set_nodelay(true);
                Stream::Tcp(stream)
            }),
            Target::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        };
        connected.map_err(|error| match error.kind() {
            std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound => {
                Failure::Refused
            }
            _ => Failure::Connect(error.to_string()),
        })
    }
    async fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.write_all(bytes).await,
            Stream::Unix(stream) => stream.write_all(bytes).await,
        }
    }
    async fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(into).await,
            Stream::Unix(stream) => stream.read(into).await,
        }
    }
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
    /// Nothing to read and not closed: an idle connection that may be used again.
    fn is_idle(&self) -> bool {
        use rustix::net::RecvFlags;
        let mut byte = [0u8; 1];
        let peeked = rustix::net::recv(
            self.as_fd(),
            &mut byte,
            RecvFlags::PEEK | RecvFlags::DONTWAIT,
        );
        matches!(peeked, Err(rustix::io::Errno::WOULDBLOCK))
    }
}

/// One user's client: at most one connection, one request at a time.
pub struct Client {
    target: Target,
    keep_alive: bool,
    timeout: Duration,
    stream: Option<Stream>,
}

impl Client {
    /// A client that keeps its connection if `keep_alive`; `timeout` is for the whole request.
    pub fn new(target: Target, keep_alive: bool, timeout: Duration) -> Client {
        Client {
            target,
            keep_alive,
            timeout,
            stream: None,
        }
    }

    /// Closes the connection if there is one.
    pub fn close(&mut self) {
        self.stream = None;
    }

    /// Sends one request and reads its answer; never repeats it.
    pub async fn ask(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.exchange(request)).await {
            Ok(end) => end,
            Err(_) => {
                self.stream = None;
                Err(Failure::TimedOut)
            }
        }
    }

    async fn exchange(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        let kept = self.stream.take().filter(Stream::is_idle);
        let mut stream = match kept {
            Some(stream) => stream,
            None => Stream::connect(&self.target).await?,
        };
        if let Err(error) = stream.write_all(&request.to_bytes(self.keep_alive)).await {
            return Err(failed_io(&error, false, 0));
        }
        let mut reader = Reader {
            bytes: Vec::new(),
            stream: &mut stream,
        };
        let (answer, reusable) = reader.answer(request.method == "HEAD").await?;
        if reusable && self.keep_alive {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

fn failed_io(error: &std::io::Error, sent: bool, received: usize) -> Failure {
    match error.kind() {
        std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe => {
            Failure::Reset { sent, received }
        }
        _ => Failure::Connect(error.to_string()),
    }
}

struct Reader<'s> {
    bytes: Vec<u8>,
    stream: &'s mut Stream,
}

impl Reader<'_> {
    /// Reads more; false at the end of the connection.
    async fn more(&mut self) -> Result<bool, Failure> {
        if self.bytes.len() > BODY_BYTES_MAX {
            return Err(Failure::Garbled("too long".into()));
        }
        let mut buffer = [0u8; 16 * 1024];
        match self.stream.read(&mut buffer).await {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.bytes.extend_from_slice(&buffer[..count]);
                Ok(true)
            }
            Err(error) => Err(failed_io(&error, true, self.bytes.len())),
        }
    }

    async fn need(&mut self, length: usize) -> Result<(), Failure> {
        while self.bytes.len() < length {
            if !self.more().await? {
                return Err(Failure::Ended {
                    received: self.bytes.len(),
                });
            }
        }
        Ok(())
    }

    async fn answer(&mut self, head_only: bool) -> Result<(Answer, bool), Failure> {
        let (status, headers, head_length, http11) = loop {
            if let Some((status, headers, length, http11)) = parse_head(&self.bytes)? {
                if (100..200).contains(&status) && status != 101 {
                    self.bytes.drain(..length);
                    continue;
                }
                break (status, headers, length, http11);
            }
            if self.bytes.len() > HEAD_BYTES_MAX {
                return Err(Failure::Garbled("head too long".into()));
            }
            let length = self.bytes.len() + 1;
            self.need(length).await?;
        };
        let mut answer = Answer {
            status,
            headers,
            body: Vec::new(),
        };
        let close = answer
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let chunked = answer
            .header("transfer-encoding")
            .is_some_and(|value| value.to_ascii_lowercase().contains("chunked"));
        let length = answer
            .header("content-length")
            .and_then(|value| value.parse::<usize>().ok());
        let mut reusable = http11 && !close;
        if head_only || status == 204 || status == 304 {
            // no body
        } else if chunked {
            answer.body = self.chunks(head_length).await?;
        } else if let Some(length) = length {
            self.need(head_length + length).await?;
            answer.body = self.bytes[head_length..head_length + length].to_vec();
        } else {
            reusable = false;
            while self.more().await? {}
            answer.body = self.bytes[head_length..].to_vec();
        }
        Ok((answer, reusable))
    }

    async fn chunks(&mut self, mut at: usize) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        loop {
            let (line_end, size) = loop {
                match httparse::parse_chunk_size(&self.bytes[at..]) {
                    Ok(httparse::Status::Complete((line, size))) => break (line, size as usize),
                    Ok(httparse::Status::Partial) => {
                        let length = self.bytes.len() + 1;
                        self.need(length).await?;
                    }
                    Err(_) => return Err(Failure::Garbled("bad chunk size".into())),
                }
            };
            at += line_end;
            self.need(at + size + 2).await?;
            body.extend_from_slice(&self.bytes[at..at + size]);
            at += size + 2;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

type Head = (u16, Vec<(String, String)>, usize, bool);

fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => {
            let headers = response
                .headers
                .iter()
                .map(|header| {
                    let value = String::from_utf8_lossy(header.value).into_owned();
                    (header.name.to_ascii_lowercase(), value)
                })
                .collect();
            let http11 = response.version == Some(1);
            Ok(Some((response.code.unwrap_or(0), headers, length, http11)))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(Failure::Garbled(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// A server that answers one connection with `script`, then closes it.
    fn ask_of(script: &'static [u8]) -> Result<Answer, Failure> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut buffer = [0u8; 1024];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(script);
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let mut client = Client::new(Target::Tcp(address), true, Duration::from_secs(5));
        let end = runtime.block_on(client.ask(&Request::get("/")));
        server.join().expect("served");
        end
    }

    fn check(script: &'static [u8], expected: Result<(u16, &str), Failure>) {
        let end = ask_of(script).map(|answer| (answer.status, answer.text()));
        assert_eq!(
            end,
            expected.map(|(status, text)| (status, text.to_owned()))
        );
    }

    #[test]
    fn answers_of_every_framing_are_read_whole() {
        check(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            Ok((200, "hi")),
        );
        check(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n",
            Ok((200, "hi!")),
        );
        check(
            b"HTTP/1.0 200 OK\r\n\r\nto the end",
            Ok((200, "to the end")),
        );
        check(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            Ok((204, "")),
        );
    }

    #[test]
    fn an_early_end_is_told_from_a_wrong_answer() {
        check(b"", Err(Failure::Ended { received: 0 }));
        check(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
            Err(Failure::Ended { received: 40 }),
        );
        assert!(matches!(
            ask_of(b"\x00\x01nonsense\r\n\r\n"),
            Err(Failure::Garbled(_))
        ));
    }

    #[test]
    fn the_time_that_a_request_was_held_is_read_from_server_timing() {
        let answer =
            ask_of(b"HTTP/1.1 200 OK\r\nServer-Timing: hold;dur=1234\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(answer.expect("an answer").held_ms(), Some(1234));
    }
}
