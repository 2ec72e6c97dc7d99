//! People who ask, again and again, whether they are signed in.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::harness::{eventually, figure, seconds};

/// Where the app says who asks.
const VERIFY: &str = "/api/auth/verify";
/// A request whose connection broke with the gateway that was killed is sent again, as browsers do with a GET, for so long;
/// beyond it, it failed. While nobody kills the gateway, a connection that breaks is a failure at once.
const AGAIN_MAX: Duration = Duration::from_secs(15);
/// Rest of a person between two requests: twenty of them must leave a core for what restarts.
const REST: Duration = Duration::from_millis(50);
/// An answer that takes longer is none: beyond the gateway's `hold`.
const ANSWER_MAX: Duration = Duration::from_secs(45);

/// One request as a browser on the gateway's own page sends it; None if the connection broke.
pub(crate) fn try_ask(
    port: u16,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Option<(u16, String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(ANSWER_MAX)).ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\nSec-Fetch-Site: same-origin\r\n\
         {headers}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let body = if chunked {
        whole(body)?
    } else {
        body.to_owned()
    };
    Some((status, head.to_owned(), body))
}

/// The body of a chunked answer; None if it was cut off.
fn whole(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}

/// Status and body of one request.
pub(crate) fn ask(port: u16, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let (status, _, body) = try_ask(port, method, path, headers, body).expect("an answer");
    (status, body)
}

/// Status of one request without a body.
pub(crate) fn status(port: u16, method: &str, path: &str, headers: &str) -> u16 {
    ask(port, method, path, headers, "").0
}

/// Signs in at the app; the header that says so from now on.
pub(crate) fn sign_in(port: u16, user: &str) -> String {
    try_sign_in(port, user).expect("signed in")
}

/// Likewise; None if it is refused.
pub(crate) fn try_sign_in(port: u16, user: &str) -> Option<String> {
    let body = format!("{{\"user\":\"{user}\",\"password\":\"demo\"}}");
    let (status, head, body) = try_ask(port, "POST", "/api/auth/login", "", &body)?;
    if status != 200 {
        return None;
    }
    cookie(&head).or_else(|| {
        let body: serde_json::Value = serde_json::from_str(&body).ok()?;
        Some(format!(
            "Authorization: Bearer {}\r\n",
            body["token"].as_str()?
        ))
    })
}

/// The first cookie that an answer sets, as a header to send.
pub(crate) fn cookie(head: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let value = value.split(';').next()?;
        name.eq_ignore_ascii_case("set-cookie")
            .then(|| format!("Cookie: {value}\r\n"))
    })
}

/// What people saw.
#[derive(Default)]
struct Seen {
    asked: AtomicU64,
    /// The gateway is being killed: connections break.
    may_break: AtomicBool,
    again: AtomicU64,
    bad: Mutex<Vec<String>>,
}

/// People who ask until they are stopped.
pub(crate) struct People {
    stop: Arc<AtomicBool>,
    seen: Arc<Seen>,
    /// Good answers of each.
    good: Vec<Arc<AtomicU64>>,
    threads: Vec<JoinHandle<()>>,
}

impl People {
    /// One for each credential.
    pub(crate) fn start(port: u16, credentials: Vec<String>) -> People {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
        let (mut good, mut threads) = (Vec::new(), Vec::new());
        for credential in credentials {
            let own = Arc::new(AtomicU64::new(0));
            good.push(own.clone());
            let (stop, seen) = (stop.clone(), seen.clone());
            threads.push(std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    person(port, &credential, &seen, &own);
                    std::thread::park_timeout(REST);
                }
            }));
        }
        People {
            stop,
            seen,
            good,
            threads,
        }
    }

    /// Waits until everyone has had two good answers from now on: the second was asked for after it.
    pub(crate) fn everyone_is_well(&self, after: &str) {
        let before: Vec<u64> = self
            .good
            .iter()
            .map(|it| it.load(Ordering::Relaxed))
            .collect();
        eventually(
            &format!("good answer for everyone after {after}"),
            seconds(60),
            || {
                let bad = self.seen.bad.lock().expect("not poisoned");
                assert!(
                    bad.is_empty(),
                    "after {after}: {:?}",
                    &bad[..bad.len().min(5)]
                );
                let well = self
                    .good
                    .iter()
                    .zip(&before)
                    .all(|(now, before)| now.load(Ordering::Relaxed) >= before + 2);
                well.then_some(())
            },
        );
    }

    /// Does this with the gateway and waits until everyone is well again: meanwhile, and only then, connections may break.
    pub(super) fn while_connections_break(&self, what: &str, kill: impl FnOnce()) {
        self.seen.may_break.store(true, Ordering::SeqCst);
        kill();
        self.everyone_is_well(what);
        self.seen.may_break.store(false, Ordering::SeqCst);
    }

    /// Ends it: nobody was signed out, nothing failed.
    pub(crate) fn stop(self, what: &str) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a person");
        }
        let bad = self.seen.bad.lock().expect("not poisoned");
        let asked = self.seen.asked.load(Ordering::Relaxed);
        let again = self.seen.again.load(Ordering::Relaxed);
        figure(
            &format!("{what}: {} people", self.good.len()),
            &format!(
                "{} bad answers of {asked}; {again} sent again when the gateway was killed",
                bad.len()
            ),
        );
        assert!(bad.is_empty(), "{:?}", &bad[..bad.len().min(5)]);
    }
}

/// One question, answered in the end.
fn person(port: u16, credential: &str, seen: &Seen, good: &AtomicU64) {
    let begun = Instant::now();
    seen.asked.fetch_add(1, Ordering::Relaxed);
    let bad = |text: String| seen.bad.lock().expect("not poisoned").push(text);
    loop {
        match try_ask(port, "GET", VERIFY, credential, "") {
            Some((200, _, body)) if body.contains("\"valid\":true") => {
                good.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Some((status, head, body)) => return bad(format!("{status}: {head} {body}")),
            None if !seen.may_break.load(Ordering::SeqCst) => {
                return bad("the connection broke, and nobody killed the gateway".to_owned());
            }
            None if begun.elapsed() > AGAIN_MAX => return bad("no answer".to_owned()),
            None => {
                seen.again.fetch_add(1, Ordering::Relaxed);
                std::thread::park_timeout(REST);
            }
        }
    }
}
