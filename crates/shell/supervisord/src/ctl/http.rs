//! The client's half of HTTP/1.1: one request on one connection, the answer read as it comes.
//!
//! [`Reader`] is fed bytes and gives pieces; [`exchange`] reads an answer to its end, `tail` as it grows.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// Bytes of an answer's head. Ours have 200, Supervisor's 250.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an answer to a call: the largest that a server of ours gives (a log of 16 MiB, escaped) and some.
const BODY_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes of a chunk's length line.
const LINE_BYTES_MAX: usize = 1024;
const HEADERS_MAX: usize = 64;

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Unix(String),
    Tcp(String, u16),
}

impl Place {
    /// Of a server's URL; None for another protocol, or no port.
    pub(super) fn of(url: &str) -> Option<Place> {
        if let Some(path) = url.strip_prefix("unix://") {
            return Some(Place::Unix(path.to_owned()));
        }
        let authority = url.strip_prefix("http://")?;
        let authority = authority.split(['/', '?', '#']).next().unwrap_or("");
        let host_port = authority.rsplit('@').next().unwrap_or("");
        let bracketed = host_port
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'));
        let (host, port) = match bracketed {
            Some((host, port)) => (host, port.strip_prefix(':').unwrap_or("")),
            None => host_port.split_once(':').unwrap_or((host_port, "")),
        };
        let port = match port {
            "" => 80,
            port => port.parse().ok()?,
        };
        Some(Place::Tcp(host.to_owned(), port))
    }

    /// For the `Host` header.
    pub(super) fn host(&self) -> String {
        match self {
            Place::Unix(_) => "localhost".to_owned(),
            Place::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            Place::Tcp(host, port) => format!("{host}:{port}"),
        }
    }
}

/// A piece of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Head { status: u16, reason: String },
    Body(Vec<u8>),
    End,
}

#[derive(Debug)]
enum State {
    Head,
    Counted(u64),
    UntilClose,
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    Ended,
}

/// Reads one answer.
#[derive(Debug)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    state: State,
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Reader {
    pub(super) fn new() -> Reader {
        Reader {
            buffer: Vec::new(),
            state: State::Head,
        }
    }

    /// Takes in what was read.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The connection ended: whether the answer is whole.
    pub(super) fn closed(&mut self) -> bool {
        matches!(self.state, State::UntilClose | State::Ended)
    }

    /// Nothing of an answer has come yet.
    pub(super) fn untouched(&self) -> bool {
        matches!(self.state, State::Head) && self.buffer.is_empty()
    }

    /// The next piece of what was fed; None = more is needed.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            match self.state {
                State::Head => return self.head(),
                State::Counted(0) => return Ok(self.end()),
                State::Counted(left) => {
                    let Some(bytes) = self.some(left) else {
                        return Ok(None);
                    };
                    self.state = State::Counted(left - bytes.len() as u64);
                    return Ok(Some(Piece::Body(bytes)));
                }
                State::UntilClose => return Ok(self.some(u64::MAX).map(Piece::Body)),
                State::ChunkSize => {
                    let Some(line) = self.line()? else {
                        return Ok(None);
                    };
                    let digits = line.split(';').next().unwrap_or("").trim();
                    let size = u64::from_str_radix(digits, 16).map_err(|_| bad("bad chunk"))?;
                    self.state = match size {
                        0 => State::Trailer,
                        size => State::Chunk(size),
                    };
                }
                State::Chunk(0) => self.state = State::ChunkEnd,
                State::Chunk(left) => {
                    let Some(bytes) = self.some(left) else {
                        return Ok(None);
                    };
                    self.state = State::Chunk(left - bytes.len() as u64);
                    return Ok(Some(Piece::Body(bytes)));
                }
                State::ChunkEnd => match self.line()? {
                    None => return Ok(None),
                    Some(line) if line.is_empty() => self.state = State::ChunkSize,
                    Some(_) => return Err(bad("bad chunk")),
                },
                State::Trailer => match self.line()? {
                    None => return Ok(None),
                    Some(line) if line.is_empty() => return Ok(self.end()),
                    Some(_) => {}
                },
                State::Ended => return Ok(None),
            }
        }
    }

    fn end(&mut self) -> Option<Piece> {
        self.state = State::Ended;
        Some(Piece::End)
    }

    fn head(&mut self) -> io::Result<Option<Piece>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&self.buffer).map_err(|_| bad("not HTTP"))?;
        let httparse::Status::Complete(length) = parsed else {
            return match self.buffer.len() {
                0..HEAD_BYTES_MAX => Ok(None),
                _ => Err(bad("head too long")),
            };
        };
        let status = response.code.unwrap_or(0);
        let reason = response.reason.unwrap_or("").to_owned();
        let value = |name: &str| {
            let header = response.headers.iter();
            let mut of_name = header.filter(|h| h.name.eq_ignore_ascii_case(name));
            of_name.next().map(|h| h.value.trim_ascii().to_vec())
        };
        let chunked =
            value("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case(b"chunked"));
        let counted = match value("content-length") {
            None => None,
            Some(digits) => Some(
                std::str::from_utf8(&digits)
                    .ok()
                    .and_then(|digits| digits.parse().ok())
                    .ok_or_else(|| bad("bad length"))?,
            ),
        };
        self.buffer.drain(..length);
        self.state = match counted {
            _ if chunked => State::ChunkSize,
            Some(count) => State::Counted(count),
            None => State::UntilClose,
        };
        Ok(Some(Piece::Head { status, reason }))
    }

    /// At most `most` of the bytes that are there, if there are any.
    fn some(&mut self, most: u64) -> Option<Vec<u8>> {
        let count = usize::try_from(most).unwrap_or(usize::MAX);
        let count = count.min(self.buffer.len());
        (count > 0).then(|| self.buffer.drain(..count).collect())
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let Some(end) = self.buffer.iter().position(|b| *b == b'\n') else {
            return match self.buffer.len() {
                0..LINE_BYTES_MAX => Ok(None),
                _ => Err(bad("line too long")),
            };
        };
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
    }
}

/// A whole answer.
pub(super) struct Whole {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) body: Vec<u8>,
}

/// Sends `request` and reads the answer. There is no time-out: a start may take as long as it takes.
pub(super) async fn exchange(place: &Place, request: &[u8]) -> io::Result<Whole> {
    match place {
        Place::Unix(path) => whole(UnixStream::connect(path).await?, request).await,
        Place::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            whole(stream, request).await
        }
    }
}

async fn whole(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &[u8],
) -> io::Result<Whole> {
    // A server that refuses may answer and close before it has read all: the answer counts.
    let sent = stream.write_all(request).await;
    let mut reader = Reader::new();
    let mut answer = Whole {
        status: 0,
        reason: String::new(),
        body: Vec::new(),
    };
    let mut bytes = vec![0; 64 * 1024];
    loop {
        while let Some(piece) = reader.next()? {
            match piece {
                Piece::Head { status, reason } => (answer.status, answer.reason) = (status, reason),
                Piece::Body(more) => answer.body.extend_from_slice(&more),
                Piece::End => return Ok(answer),
            }
            if answer.body.len() > BODY_BYTES_MAX {
                return Err(bad("answer too long"));
            }
        }
        match stream.read(&mut bytes).await? {
            0 if reader.untouched() => {
                sent?;
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            0 if reader.closed() => return Ok(answer),
            0 => return Err(bad("answer cut short")),
            count => reader.feed(&bytes[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and whether it was whole, whatever the pieces it comes in.
    fn check(answer: &str, body: &str, ends: bool) {
        for step in [1, 3, answer.len()] {
            let mut reader = Reader::new();
            let (mut got, mut ended) = (Vec::new(), false);
            for bytes in answer.as_bytes().chunks(step) {
                reader.feed(bytes);
                while let Some(piece) = reader.next().expect("answer") {
                    match piece {
                        Piece::Head { status, .. } => assert_eq!(status, 200),
                        Piece::Body(more) => got.extend(more),
                        Piece::End => ended = true,
                    }
                }
            }
            assert_eq!(
                (String::from_utf8_lossy(&got).as_ref(), ended),
                (body, ends),
                "{answer:?} by {step}"
            );
        }
    }

    #[test]
    fn answers() {
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
            true,
        );
        check("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "", true);
        check("HTTP/1.0 200 OK\r\n\r\nhel", "hel", false);
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na;x=1\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
            "hello0123456789",
            true,
        );
        for wrong in [
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        ] {
            let mut reader = Reader::new();
            reader.feed(wrong.as_bytes());
            let bad = (0..3).any(|_| reader.next().is_err());
            assert!(bad, "{wrong:?}");
        }
    }

    #[test]
    fn places() {
        let tcp = |host: &str, port| Some(Place::Tcp(host.to_owned(), port));
        assert_eq!(Place::of("http://localhost:9001"), tcp("localhost", 9001));
        assert_eq!(Place::of("http://example.org/x:1"), tcp("example.org", 80));
        assert_eq!(Place::of("http://[::1]:9001/"), tcp("::1", 9001));
        assert_eq!(
            Place::of("unix:///run/s.sock"),
            Some(Place::Unix("/run/s.sock".into()))
        );
        assert_eq!(Place::of("https://localhost"), None);
        assert_eq!(Place::of("localhost:9001"), None);
        assert_eq!(Place::of("http://a:99999"), None);
    }
}
