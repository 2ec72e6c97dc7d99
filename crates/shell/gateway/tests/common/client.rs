//! A client with a raw socket, and what it sends and gets.

use super::LIMIT;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A client's connection.
pub struct Client {
    pub stream: TcpStream,
    pub read: Vec<u8>,
}

/// An answer as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    /// Every value of that name.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }
}

impl Client {
    pub fn new(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("connects");
        stream.set_read_timeout(Some(LIMIT)).expect("set");
        stream.set_nodelay(true).expect("set");
        Client {
            stream,
            read: Vec::new(),
        }
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("sent");
    }

    pub fn get(&mut self, path: &str) {
        self.send(&get(path));
    }

    /// Reads until `done` says so, or the end.
    pub fn read_until(&mut self, done: impl Fn(&[u8]) -> bool) -> io::Result<()> {
        let mut piece = [0; 65536];
        while !done(&self.read) {
            match self.stream.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.read.extend_from_slice(&piece[..count]),
            }
        }
        Ok(())
    }

    /// Reads one answer.
    pub fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer")
    }

    pub fn try_answer(&mut self) -> io::Result<Answer> {
        self.read_until(|read| find(read, b"\r\n\r\n").is_some())?;
        let end = find(&self.read, b"\r\n\r\n").expect("found") + 4;
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        self.read.drain(..end);
        let mut answer = Answer {
            status: head[9..12].parse().expect("a status"),
            head,
            body: String::new(),
        };
        if answer.status < 200 && answer.status != 101 {
            return self.try_answer();
        }
        let body = if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().expect("a length");
            self.read_until(|read| read.len() >= length)?;
            self.read.drain(..length).collect()
        } else if answer.header("transfer-encoding").is_some() {
            self.chunks()?
        } else {
            Vec::new()
        };
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            self.read_until(|read| find(read, b"\r\n").is_some())?;
            let end = find(&self.read, b"\r\n").expect("found");
            let size = String::from_utf8_lossy(&self.read[..end]).into_owned();
            let size = usize::from_str_radix(&size, 16).expect("a chunk size");
            self.read_until(|read| read.len() >= end + 2 + size + 2)?;
            body.extend_from_slice(&self.read[end + 2..end + 2 + size]);
            self.read.drain(..end + 2 + size + 2);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    /// True if the gateway closes without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.read.is_empty() && !matches!(self.stream.read(&mut [0; 1]), Ok(1))
    }
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|part| part == needle)
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

pub fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
