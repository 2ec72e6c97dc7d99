//! Readiness and keepalive checks, one connection at a time, never blocking the loop.

use crate::prove::Proof;
use rustix::event::PollFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wire::Ready;

/// Shortest pause between two tries while waiting for readiness.
const PAUSE_FIRST_MS: u64 = 20;
/// A pause is this part of the time waited so far, so readiness is noticed at most an eighth late. Doubling
/// pauses notice it up to twice as late: a restart of 0.3 s cost its users 0.6 s.
const PAUSE_PART: u64 = 8;
/// Longest pause: a slow start is noticed within a second.
const PAUSE_MAX_MS: u64 = 1_000;
/// One try may take this long; a keepalive's also ends with its period, so that the owner's period bounds how
/// long a hang goes unnoticed.
pub(crate) const TRY_MS: u64 = 5_000;
/// A keepalive try is never shorter than this: a busy second is no hang.
pub(crate) const KEEPALIVE_TRY_MS_MIN: u64 = 1_000;
/// Bytes of an answer that are looked at: the status line and some words for people.
const ANSWER_BYTES: usize = 512;

/// The pause before the next try of one that is waited for since `waited_ms`.
pub(crate) fn pause_ms(waited_ms: u64) -> u64 {
    (waited_ms / PAUSE_PART).clamp(PAUSE_FIRST_MS, PAUSE_MAX_MS)
}

/// The check of one generation.
#[derive(Debug)]
pub(crate) struct Check {
    ready: Ready,
    address: String,
    /// 0 = until ready; else keepalive period.
    period_ms: u64,
    since_ms: u64,
    next_at_ms: u64,
    running: Option<Running>,
    /// What comes after the check itself has passed.
    proof: Option<Proof>,
    proving: bool,
}

#[derive(Debug)]
struct Running {
    socket: OwnedFd,
    begun_ms: u64,
    deadline_ms: u64,
    /// Request bytes not written yet; empty = reading.
    to_write: Vec<u8>,
    answer: Vec<u8>,
}

/// What a step of a check found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Passed,
    Failed(String),
    Nothing,
}

impl Check {
    /// None where nothing is to be connected to: other checks come as bytes of a pipe or of the output.
    pub(crate) fn new(ready: &Ready, address: &str, period_ms: u64, now_ms: u64) -> Option<Check> {
        match ready {
            Ready::Connect {} | Ready::Http { .. } | Ready::Tcp {} => Some(Check {
                ready: ready.clone(),
                address: address.to_owned(),
                period_ms,
                since_ms: now_ms,
                next_at_ms: now_ms
                    + if period_ms > 0 {
                        period_ms
                    } else {
                        PAUSE_FIRST_MS
                    },
                running: None,
                proof: None,
                proving: false,
            }),
            Ready::Lived {}
            | Ready::Descriptor { .. }
            | Ready::Log { .. }
            | Ready::Notify {}
            | Ready::Exec { .. } => None,
        }
    }

    /// It passes only when the program has accepted a token too.
    pub(crate) fn then(mut self, proof: Option<Proof>) -> Check {
        self.proof = proof;
        self
    }

    /// A check that asks with this token alone, now and once.
    pub(crate) fn of_proof(
        ready: &Ready,
        address: &str,
        proof: Proof,
        now_ms: u64,
    ) -> Option<Check> {
        let check = Check::new(ready, address, 0, now_ms)?;
        Some(Check {
            next_at_ms: now_ms,
            proof: Some(proof),
            proving: true,
            ..check
        })
    }

    pub(crate) fn timer(&self) -> u64 {
        self.running
            .as_ref()
            .map_or(self.next_at_ms, |running| running.deadline_ms)
    }

    /// It ends with its first success; a keepalive goes on.
    pub(crate) fn until_ready(&self) -> bool {
        self.period_ms == 0
    }

    fn try_ms(&self) -> u64 {
        match self.period_ms {
            0 => TRY_MS,
            period_ms => period_ms.clamp(KEEPALIVE_TRY_MS_MIN, TRY_MS),
        }
    }

    pub(crate) fn poll(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let running = self.running.as_ref()?;
        let flags = if running.to_write.is_empty() {
            PollFlags::IN
        } else {
            PollFlags::OUT
        };
        Some((running.socket.as_fd(), flags))
    }

    /// Time has passed or the socket is ready.
    pub(crate) fn step(&mut self, now_ms: u64) -> Found {
        let found = match &mut self.running {
            None if self.next_at_ms > now_ms => return Found::Nothing,
            None => self.begin(now_ms),
            Some(running) => running.step(now_ms),
        };
        let found = match (found, &self.proof) {
            (Found::Passed, Some(_)) if !self.proving => {
                self.running = None;
                self.proving = true;
                self.begin(now_ms)
            }
            (Found::Failed(answer), Some(proof)) if self.proving => {
                Found::Failed(proof.refused(&answer))
            }
            (found, _) => found,
        };
        if found != Found::Nothing {
            let begun_ms = self
                .running
                .take()
                .map_or(now_ms, |running| running.begun_ms);
            if self.period_ms > 0 {
                // From beginning to beginning, so that three failures take three periods.
                self.next_at_ms = now_ms.max(begun_ms + self.period_ms);
            } else {
                let waited_ms = now_ms.saturating_sub(self.since_ms);
                self.next_at_ms = now_ms + pause_ms(waited_ms);
            }
        }
        found
    }

    fn begin(&mut self, now_ms: u64) -> Found {
        let request = match &self.ready {
            ready if self.proving => {
                let host = match ready {
                    Ready::Http { host, .. } => host.as_str(),
                    _ => "localhost",
                };
                let proof = self.proof.as_ref();
                proof.map_or_else(String::new, |proof| {
                    proof.request(sys::clock::wall_ms(), host)
                })
            }
            Ready::Http { path, host } => format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: steadfast-check\r\nAccept: */*\r\nConnection: close\r\n\r\n"
            ),
            Ready::Connect {} | Ready::Tcp {} => String::new(),
            Ready::Lived {}
            | Ready::Descriptor { .. }
            | Ready::Log { .. }
            | Ready::Notify {}
            | Ready::Exec { .. } => return Found::Nothing,
        };
        match open(&self.address) {
            Err(text) => Found::Failed(text),
            Ok((_, true)) if request.is_empty() => Found::Passed,
            Ok((socket, _)) => {
                let to_write = if request.is_empty() {
                    b"\0".to_vec()
                } else {
                    request.into_bytes()
                };
                self.running = Some(Running {
                    socket,
                    begun_ms: now_ms,
                    deadline_ms: now_ms + self.try_ms(),
                    to_write,
                    answer: Vec::new(),
                });
                Found::Nothing
            }
        }
    }
}

impl Running {
    fn step(&mut self, now_ms: u64) -> Found {
        if now_ms >= self.deadline_ms {
            return Found::Failed(format!(
                "no answer within {} ms",
                self.deadline_ms - self.begun_ms
            ));
        }
        if !self.to_write.is_empty() {
            match rustix::net::sockopt::socket_error(&self.socket) {
                Ok(Ok(())) => {}
                Ok(Err(error)) | Err(error) => return Found::Failed(words(error)),
            }
            if self.to_write == b"\0" {
                // A plain connect: POLLOUT without an error is the answer, unless it is not connected yet.
                return match rustix::net::getpeername(&self.socket) {
                    Ok(_) => Found::Passed,
                    Err(_) => Found::Nothing,
                };
            }
            match rustix::net::send(
                &self.socket,
                &self.to_write,
                rustix::net::SendFlags::NOSIGNAL,
            ) {
                Ok(count) => drop(self.to_write.drain(..count)),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::NOTCONN) => {}
                Err(error) => return Found::Failed(words(error)),
            }
            return Found::Nothing;
        }
        let mut buffer = [0; ANSWER_BYTES];
        match rustix::io::read(&self.socket, &mut buffer) {
            Ok(0) => self.judge(true),
            Ok(count) => {
                self.answer.extend_from_slice(&buffer[..count]);
                self.judge(self.answer.len() >= ANSWER_BYTES)
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Found::Nothing,
            Err(error) => Found::Failed(words(error)),
        }
    }

    /// 2xx is ready (RFC 9110 section 15.3); anything else is quoted for people.
    fn judge(&self, whole: bool) -> Found {
        let line_end = self.answer.windows(2).position(|pair| pair == b"\r\n");
        let Some(end) = line_end else {
            return match whole {
                true if self.answer.is_empty() => Found::Failed("closed without an answer".into()),
                true => Found::Failed("not an HTTP answer".into()),
                false => Found::Nothing,
            };
        };
        let line = crate::plain::plain(&String::from_utf8_lossy(&self.answer[..end]));
        let mut words = line.splitn(3, ' ');
        let (version, code) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        match (version.starts_with("HTTP/1."), code.parse::<u16>()) {
            (true, Ok(200..=299)) => Found::Passed,
            (true, Ok(code)) => Found::Failed(
                format!("{code} {}", words.next().unwrap_or(""))
                    .trim_end()
                    .to_owned(),
            ),
            _ => Found::Failed("not an HTTP answer".into()),
        }
    }
}

fn words(error: rustix::io::Errno) -> String {
    match error {
        rustix::io::Errno::CONNREFUSED => "connection refused".into(),
        rustix::io::Errno::NOENT => "its socket does not exist yet".into(),
        rustix::io::Errno::AGAIN => "its backlog is full".into(),
        rustix::io::Errno::CONNRESET => "connection reset".into(),
        other => other.to_string(),
    }
}

/// Opens a connection; true = it is connected already.
fn open(address: &str) -> Result<(OwnedFd, bool), String> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let new = |family| {
        socket_with(family, SocketType::STREAM, flags, None).map_err(|error| error.to_string())
    };
    let (socket, result) = if let Some(path) = address.strip_prefix("unix:") {
        let socket = new(AddressFamily::UNIX)?;
        let target = SocketAddrUnix::new(path).map_err(|error| format!("{path}: {error}"))?;
        let result = connect(&socket, &target);
        (socket, result)
    } else if let Some(tcp) = address.strip_prefix("tcp:") {
        let target = reachable(tcp.parse().map_err(|_| format!("not an address: {tcp}"))?);
        let socket = new(if target.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        })?;
        let result = connect(&socket, &target);
        (socket, result)
    } else {
        return Err("it has no known address".into());
    };
    match result {
        Ok(()) => Ok((socket, true)),
        Err(rustix::io::Errno::INPROGRESS) => Ok((socket, false)),
        Err(error) => Err(words(error)),
    }
}

/// A server that listens everywhere is asked on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// Runs one check against a server that answers with `answer`.
    fn check(answer: &'static [u8]) -> Found {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp:{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let _ = socket.read(&mut head);
            let _ = socket.write_all(answer);
        });
        let ready = Ready::Http {
            path: "/health".into(),
            host: "localhost".into(),
        };
        let mut check = Check::new(&ready, &address, 0, 0).unwrap();
        let found = loop {
            match check.step(100) {
                Found::Nothing => {
                    let (fd, flags) = check.poll().unwrap();
                    rustix::event::poll(&mut [rustix::event::PollFd::new(&fd, flags)], None)
                        .unwrap();
                }
                found => break found,
            }
        };
        server.join().unwrap();
        found
    }

    #[test]
    fn answers_are_judged() {
        assert_eq!(check(b"HTTP/1.1 204 No Content\r\n\r\n"), Found::Passed);
        assert_eq!(
            check(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"),
            Found::Failed("503 Service Unavailable".into())
        );
        assert_eq!(check(b"HTTP/1.1 302\r\n\r\n"), Found::Failed("302".into()));
        assert_eq!(
            check(b"hello\r\n"),
            Found::Failed("not an HTTP answer".into())
        );
        assert_eq!(check(b""), Found::Failed("closed without an answer".into()));
    }

    #[test]
    fn nothing_there_is_said_and_tried_again_later() {
        let mut check = Check::new(&Ready::Connect {}, "unix:/no/such/socket", 0, 0).unwrap();
        assert_eq!(check.step(19), Found::Nothing);
        assert_eq!(
            check.step(20),
            Found::Failed("its socket does not exist yet".into())
        );
        assert_eq!((check.timer(), check.step(39)), (40, Found::Nothing));
    }
}
