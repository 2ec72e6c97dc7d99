//! A question over HTTP with one deadline for all of it, and what a health endpoint answers.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::model::Env;
use crate::scene::bounded::Bounded;
use crate::scene::tls::{self, Certificate, Trust};

/// The whole exchange: a control interface or a health endpoint that needs longer is part of the finding.
pub(crate) const ANSWER_MS_MAX: u64 = 2_000;

/// An answer of Supervisor's for 1000 programs has some 1.5 MB.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) took_ms: u64,
}

impl Answer {
    /// Whether it is a page for people.
    pub(crate) fn is_page(&self) -> bool {
        let html = |kind: &str| kind.starts_with("text/html");
        self.status == 200
            && self.header("content-type").is_some_and(html)
            && self.body.to_ascii_lowercase().contains("<html")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name)?;
        Some(&found.1)
    }
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Unix(String),
    Tcp(String, u16),
    Tls(String, u16, Trust),
}

impl Target {
    /// As people write it, without a path.
    fn shown(&self) -> String {
        let (scheme, usual, host, port) = match self {
            Target::Unix(path) => return format!("unix:{path}:"),
            Target::Tcp(host, port) => ("http", 80, host, *port),
            Target::Tls(host, port, _) => ("https", 443, host, *port),
        };
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.clone(),
        };
        match port == usual {
            true => format!("{scheme}://{host}"),
            false => format!("{scheme}://{host}:{port}"),
        }
    }
}

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// Connects to the first address of a host that takes the connection.
fn connect(host: &str, port: u16, deadline: Instant) -> Result<Bounded<TcpStream>, String> {
    let addresses = (host, port).to_socket_addrs().map_err(|_| {
        // The resolver's own words are an error number.
        format!("the name {host} is not known")
    })?;
    let mut why = "no such host".to_owned();
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        match TcpStream::connect_timeout(&address, left.max(Duration::from_millis(1))) {
            Ok(socket) => return Ok(Bounded { socket, deadline }),
            Err(error) => why = words(&error),
        }
    }
    Err(why)
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_millis(ANSWER_MS_MAX)
}

/// What the certificate of a server is worth; `None` if it has none, or does not answer.
pub(crate) fn certificate(target: &Target, now_unix_s: u64) -> Option<Certificate> {
    let Target::Tls(host, port, trust) = target else {
        return None;
    };
    let stream = connect(host, *port, deadline()).ok()?;
    tls::look(stream, host, *port, trust, now_unix_s)
}

/// Sends a request (head and body as they are) and reads the answer until it is whole or the connection ends.
pub(crate) fn ask(target: &Target, request: &[u8]) -> Result<Answer, String> {
    let start = Instant::now();
    let deadline = deadline();
    let mut stream: Box<dyn Stream> = match target {
        Target::Unix(path) => {
            let socket = UnixStream::connect(Path::new(path)).map_err(|e| words(&e))?;
            Box::new(Bounded { socket, deadline })
        }
        Target::Tcp(host, port) => Box::new(connect(host, *port, deadline)?),
        Target::Tls(host, port, trust) => {
            Box::new(tls::over(connect(host, *port, deadline)?, host, trust)?)
        }
    };
    // Many servers that want a certificate of ours say nothing more and hang up.
    let wants_ours = || matches!(target, Target::Tls(_, _, trust) if trust.was_asked_for_ours());
    let ended = |error: &io::Error| match wants_ours() && !is_late(error) {
        true => tls::WANTS_OURS.to_owned(),
        false => words(error),
    };
    stream
        .write_all(request)
        .and_then(|()| stream.flush())
        .map_err(|e| ended(&e))?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 << 10];
    while !is_whole(&bytes) && bytes.len() < ANSWER_BYTES_MAX {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            // Many servers end a TLS connection without saying so.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(e) => return Err(ended(&e)),
        }
    }
    if bytes.is_empty() && wants_ours() {
        return Err(tls::WANTS_OURS.to_owned());
    }
    let took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    parse(&bytes, took_ms).ok_or_else(|| "the answer is not HTTP".to_owned())
}

/// A GET.
pub(crate) fn get(target: &Target, host: &str, path: &str) -> Result<Answer, String> {
    ask(target, head("GET", host, path, "").as_bytes())
}

/// The head of a request. `more` are whole lines.
pub(crate) fn head(method: &str, host: &str, path: &str, more: &str) -> String {
    let clean = |text: &str| text.replace(|c: char| c.is_control() || c == ' ', "");
    format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: steadfast-doctor\r\nAccept: */*\r\nConnection: close\r\n{more}\r\n",
        clean(path),
        clean(host)
    )
}

/// An address in its parts: whom to ask, `HOST:PORT` as written, the path (`/` if there is none).
pub(crate) fn address(url: &str, env: &Env) -> Result<Place, String> {
    let (is_tls, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return Err("only http:// and https:// addresses can be asked".to_owned()),
    };
    let (authority, path) = rest
        .split_once('/')
        .map_or((rest, "/".to_owned()), |(a, p)| (a, format!("/{p}")));
    // A password in an address would be shown in reports.
    if authority.contains('@') {
        return Err("an address with a user in it is not asked".to_owned());
    }
    // `[::1]` has colons of its own.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        Some(_) | None => (authority, if is_tls { "443" } else { "80" }),
    };
    if host.is_empty() {
        return Err(format!("{url} names no host"));
    }
    let port = port.parse().map_err(|_| format!("{port} is not a port"))?;
    let host = host.trim_matches(['[', ']']).to_owned();
    let target = match is_tls {
        true => Target::Tls(host, port, Trust::system(env)?),
        false => Target::Tcp(host, port),
    };
    Ok(Place {
        target,
        host: authority.to_owned(),
        path,
    })
}

fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn words(error: &io::Error) -> String {
    if let Some(words) = tls::failure(error) {
        return words;
    }
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("no answer within {} s", ANSWER_MS_MAX / 1000)
        }
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        kind => kind.to_string(),
    }
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    Some((&bytes[..at], &bytes[at + 4..]))
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some((head, body)) = split(bytes) else {
        return false;
    };
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length:"))
        .and_then(|v| v.trim().parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

fn parse(bytes: &[u8], took_ms: u64) -> Option<Answer> {
    let (head, body) = split(bytes)?;
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let status = lines
        .next()?
        .strip_prefix("HTTP/1.")?
        .get(2..5)?
        .parse()
        .ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(n, v)| (n.trim().to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    let is_chunked = headers
        .iter()
        .any(|(n, v)| n == "transfer-encoding" && v.eq_ignore_ascii_case("chunked"));
    let joined = is_chunked.then(|| unchunked(body));
    let body = joined.as_deref().unwrap_or(body);
    Some(Answer {
        status,
        headers,
        body: String::from_utf8_lossy(body).into_owned(),
        took_ms,
    })
}

/// A body without the sizes of its chunks (RFC 9112 section 7.1), as far as it goes.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
        let line = String::from_utf8_lossy(&rest[..end]);
        let size = line.split(';').next().unwrap_or("").trim();
        let Ok(size) = usize::from_str_radix(size, 16) else {
            break;
        };
        let from = end + 2;
        let Some(chunk) = from.checked_add(size).and_then(|to| rest.get(from..to)) else {
            body.extend_from_slice(rest.get(from..).unwrap_or(&[]));
            break;
        };
        if size == 0 {
            break;
        }
        body.extend_from_slice(chunk);
        rest = rest.get(from + size + 2..).unwrap_or(&[]);
    }
    body
}

/// An address that can be asked: whom, by which name, for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) target: Target,
    pub(crate) host: String,
    pub(crate) path: String,
}

/// What a health endpoint answers.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    /// The address, as people write it.
    pub(crate) url: String,
    /// Where it can be asked again; `None` if it was seen without asking.
    pub(crate) at: Option<Place>,
    pub(crate) answer: Result<Answer, String>,
}

/// Paths that people answer health checks on, tried in this order.
const PATHS: &[&str] = &[
    "/api/health",
    "/health",
    "/healthz",
    "/api/healthz",
    "/ping",
];

/// A path that no server has: what is answered here is answered everywhere.
const NOBODYS: &str = "/steadfast-doctor-asks-what-is-not-there";

/// Asks for the health of a server: at `path` if one is known, else at the usual paths until one is not 404. `host` is the
/// name that it is asked by.
pub(crate) fn health(target: &Target, host: &str, path: Option<&str>) -> Option<Health> {
    let ask = |path: &str| Health {
        url: format!("{}{path}", target.shown()),
        at: Some(Place {
            target: target.clone(),
            host: host.to_owned(),
            path: path.to_owned(),
        }),
        answer: get(target, host, path),
    };
    if let Some(path) = path {
        return Some(ask(path));
    }
    let mut everywhere = None;
    for path in PATHS {
        let health = ask(path);
        match &health.answer {
            // A server of files or of a single-page app answers every path with its page: there is no health check.
            Ok(answer) if answer.status == 404 || answer.is_page() => {}
            // Whoever sends everybody to a sign-in says nothing about health.
            Ok(answer) if (300..500).contains(&answer.status) => {
                let ask = || get(target, host, NOBODYS).ok().map(|other| other.status);
                if *everywhere.get_or_insert_with(ask) != Some(answer.status) {
                    return Some(health);
                }
            }
            // A server that does not answer at one path is not asked five times.
            Ok(_) | Err(_) => return Some(health),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_as_far_as_they_go() {
        let answer = |body: &str| {
            let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
            parse(text.as_bytes(), 0).expect("an answer").body
        };
        assert_eq!(answer("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"), "abcde");
        assert_eq!(answer("ff\r\nabc"), "abc");
        assert_eq!(answer("ffffffffffffffff\r\nabc"), "abc");
        assert_eq!(answer("zz\r\nabc"), "");
    }

    #[test]
    fn addresses_in_their_parts() {
        let address = |url: &str| address(url, &Env::new());
        let Place { target, host, path } = address("http://[::1]:80/a/b").expect("an address");
        assert_eq!(target, Target::Tcp("::1".to_owned(), 80));
        assert_eq!(target.shown(), "http://[::1]");
        assert_eq!((host.as_str(), path.as_str()), ("[::1]:80", "/a/b"));
        assert_eq!(
            address("http://h").expect("an address").target,
            Target::Tcp("h".to_owned(), 80)
        );
        let target = address("https://h/a").expect("an address").target;
        assert_eq!(target.shown(), "https://h");
        for wrong in [
            "ftp://h/",
            "http://",
            "https://",
            "http://h:99999/",
            "http://:80/",
            "https://a:b@h/",
        ] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
