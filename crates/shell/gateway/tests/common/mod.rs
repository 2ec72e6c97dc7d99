//! A gateway in this process, a keeper played by a thread, programs that do as they are told.
#![allow(dead_code, unreachable_pub)] // each test binary uses its part

pub mod door;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gateway::Leave;
use gateway::config::{Config, Listener, Route, Slot, Target};
use sys::seq::Conn;
use wire::{Fact, Hello, Leaving, Notice, Phase, Publish, Role};

/// Nothing here takes longer unless it is broken, not even on a machine that is out of breath.
pub const LIMIT: Duration = Duration::from_secs(60);
/// Requests may wait so long, unless that is what is tested.
const HOLD_MS: u64 = 40_000;

/// A gateway with one listener and one program of one slot.
pub struct Gateway {
    pub address: SocketAddr,
    /// Its socket once more, for a successor.
    pub socket: TcpListener,
    stop: Option<tokio::sync::oneshot::Sender<Leave>>,
    thread: Option<JoinHandle<Result<(), gateway::Error>>>,
}

impl Gateway {
    /// Starts it; `change` adapts the configuration.
    pub fn start(targets: &[(&str, Target)], change: impl FnOnce(&mut Config)) -> Gateway {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Gateway::on(socket, targets, change)
    }

    /// The same on a socket that others may have, too.
    pub fn on(
        socket: TcpListener,
        targets: &[(&str, Target)],
        change: impl FnOnce(&mut Config),
    ) -> Gateway {
        let address = socket.local_addr().expect("bound");
        let again = socket.try_clone().expect("cloned");
        let routes = targets.iter().rev().map(|(name, _)| Route {
            target: name.to_string(),
            path_prefix: if *name == targets[0].0 {
                String::new()
            } else {
                format!("/{name}")
            },
            ..Route::default()
        });
        let mut config = Config {
            listeners: vec![Listener {
                address: address.to_string(),
                routes: routes.collect(),
                hold_ms: HOLD_MS,
                ..Listener::default()
            }],
            targets: targets
                .iter()
                .map(|(name, target)| (name.to_string(), target.clone()))
                .collect(),
            ..Config::default()
        };
        change(&mut config);
        let (stop, stopped) = tokio::sync::oneshot::channel::<Leave>();
        let (ready, is_ready) = channel();
        let thread = std::thread::spawn(move || {
            let leave = async { stopped.await.unwrap_or(Leave::Replaced) };
            gateway::serve(
                config,
                vec![socket.into()],
                move || ready.send(()).expect("awaited"),
                leave,
            )
        });
        is_ready.recv_timeout(LIMIT).expect("the gateway starts");
        Gateway {
            address,
            socket: again,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// One request on a connection of its own.
    pub fn ask(&self, request: &str) -> Answer {
        let mut client = self.client();
        client.send(request);
        client.answer()
    }

    /// Asks it to leave, as if another one had taken over.
    pub fn leave(&mut self) {
        self.stop.take().map(|stop| stop.send(Leave::Replaced));
    }

    /// Asks it to leave, and nobody comes after it.
    pub fn leave_for_good(&mut self) {
        self.stop.take().map(|stop| stop.send(Leave::ForGood));
    }

    /// Waits until it has left.
    pub fn left(&mut self) {
        self.leave();
        let result = self.thread.take().map(JoinHandle::join);
        assert!(matches!(result, Some(Ok(Ok(())))), "{result:?}");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.leave();
        // Joined only by tests that ask for it: an idle connection may keep it for its time-out.
    }
}

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
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
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

/// How often a program looks whether it is to die.
const LOOK: Duration = Duration::from_millis(5);

/// A connection as a program sees it.
pub struct Conversation {
    pub stream: UnixStream,
    pub number: usize,
    pub read: Vec<u8>,
    dies: Arc<AtomicBool>,
}

impl Conversation {
    /// Reads once; None at the end, or when the program dies.
    pub fn piece(&mut self) -> Option<Vec<u8>> {
        let mut piece = [0; 65536];
        while !self.dies.load(Ordering::Relaxed) {
            match self.stream.read(&mut piece) {
                Ok(0) => return None,
                Ok(count) => return Some(piece[..count].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Reads one request with the body that its length says; None at the end.
    pub fn request(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.read[..end + 4]).to_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let whole = end + 4 + length.map_or(0, |text| text.parse().expect("a length"));
                if self.read.len() >= whole {
                    let request = self.read.drain(..whole).collect::<Vec<u8>>();
                    return Some(String::from_utf8_lossy(&request).into_owned());
                }
            }
            let piece = self.piece()?;
            self.read.extend_from_slice(&piece);
        }
    }

    pub fn say(&mut self, text: &str) {
        // A gateway that has closed is a case of its own.
        let _ = self.stream.write_all(text.as_bytes());
    }

    /// Waits for the end of the gateway's side.
    pub fn ends(&mut self) -> bool {
        while self.piece().is_some() {}
        true
    }
}

/// A program on a Unix socket: a thread for each connection, which does what the test says. Dropped, it dies as a
/// process does: the kernel closes its connections, with or without unread bytes.
pub struct App {
    pub path: PathBuf,
    pub seen: Receiver<String>,
    dies: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl App {
    pub fn start(
        path: &Path,
        serve: impl Fn(&mut Conversation, &Sender<String>) + Send + Sync + 'static,
    ) -> App {
        _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).expect("bound");
        let (see, seen) = channel();
        let serve = Arc::new(serve);
        let dies = Arc::new(AtomicBool::new(false));
        let dying = dies.clone();
        let thread = std::thread::spawn(move || {
            let mut conversations = Vec::new();
            for (number, stream) in listener.incoming().enumerate() {
                if dying.load(Ordering::Relaxed) {
                    break;
                }
                let stream = stream.expect("accepted");
                stream.set_read_timeout(Some(LOOK)).expect("set");
                let (serve, see, dies) = (serve.clone(), see.clone(), dying.clone());
                conversations.push(std::thread::spawn(move || {
                    let mut conversation = Conversation {
                        stream,
                        number,
                        read: Vec::new(),
                        dies,
                    };
                    serve(&mut conversation, &see);
                }));
            }
            drop(listener);
            for conversation in conversations {
                _ = conversation.join();
            }
        });
        App {
            path: path.to_owned(),
            seen,
            dies,
            thread: Some(thread),
        }
    }

    /// Answers every request with its first line, and tells the test what it saw.
    pub fn echo(path: &Path) -> App {
        App::start(path, |conversation, see| {
            while let Some(request) = conversation.request() {
                let line = request.lines().next().unwrap_or_default().to_owned();
                _ = see.send(request);
                conversation.say(&ok(&line));
            }
        })
    }

    pub fn saw(&self) -> String {
        self.seen
            .recv_timeout(LIMIT)
            .expect("the program sees a request")
    }

    pub fn saw_nothing_else(&self) {
        assert_eq!(self.seen.try_recv().ok(), None);
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.dies.store(true, Ordering::Relaxed);
        // Wakes its accept.
        _ = UnixStream::connect(&self.path);
        self.thread.take().map(JoinHandle::join);
        _ = std::fs::remove_file(&self.path);
    }
}

/// A keeper's events socket.
pub struct Keeper {
    pub path: PathBuf,
    pub notices: Receiver<Notice>,
    publish: Sender<Option<Fact>>,
    wake: UnixStream,
    pub fact: Fact,
}

impl Keeper {
    /// Listens, and tells `fact` to whoever connects.
    pub fn start(path: &Path, fact: Fact) -> Keeper {
        let listener = sys::seq::Listener::bind(path, 0o600).expect("bound");
        let (heard, notices) = channel();
        let (publish, to_publish) = channel::<Option<Fact>>();
        let (wake, woken) = UnixStream::pair().expect("a pair");
        let first = fact.clone();
        std::thread::spawn(move || keep(&listener, first, &heard, &to_publish, woken));
        Keeper {
            path: path.to_owned(),
            notices,
            publish,
            wake,
            fact,
        }
    }

    /// Publishes a change.
    pub fn tell(&mut self, change: impl FnOnce(&mut Fact)) {
        self.fact.seq += 1;
        change(&mut self.fact);
        self.publish
            .send(Some(self.fact.clone()))
            .expect("published");
        self.wake.write_all(b"x").expect("woken");
    }

    /// Publishes, and waits until it was acted on; gives what is in flight.
    pub fn tell_and_wait(&mut self, change: impl FnOnce(&mut Fact)) -> u64 {
        self.tell(change);
        let wanted = self.fact.seq;
        match self
            .hears(|notice| matches!(notice, Notice::Acknowledge { seq, .. } if *seq == wanted))
        {
            Notice::Acknowledge { in_flight, .. } => in_flight,
            other => panic!("{other:?}"),
        }
    }

    /// The next notice that fits.
    pub fn hears(&self, wanted: impl Fn(&Notice) -> bool) -> Notice {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let notice = self.notices.recv_timeout(left).expect("the keeper hears");
            if wanted(&notice) {
                return notice;
            }
        }
    }

    pub fn hears_drained(&self) -> (u64, u64, u64) {
        match self.hears(|notice| matches!(notice, Notice::Drained { .. })) {
            Notice::Drained {
                generation,
                finished,
                cut,
            } => (generation, finished, cut),
            other => panic!("{other:?}"),
        }
    }

    /// Closes all connections and listens no more.
    pub fn die(&mut self) {
        self.publish.send(None).expect("told");
        self.wake.write_all(b"x").expect("woken");
        self.hears(|notice| matches!(notice, Notice::Acknowledge { seq: u64::MAX, .. }));
    }
}

fn keep(
    listener: &sys::seq::Listener,
    mut fact: Fact,
    heard: &Sender<Notice>,
    to_publish: &Receiver<Option<Fact>>,
    mut woken: UnixStream,
) {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut conns: Vec<(Conn, bool)> = Vec::new();
    let mut frame = Vec::new();
    loop {
        let ready: Vec<bool> = {
            let mut fds = vec![
                PollFd::new(listener, PollFlags::IN),
                PollFd::new(&woken, PollFlags::IN),
            ];
            fds.extend(
                conns
                    .iter()
                    .map(|(conn, _)| PollFd::new(conn, PollFlags::IN)),
            );
            poll(&mut fds, None).expect("polled");
            fds.iter().map(|fd| !fd.revents().is_empty()).collect()
        };
        if ready[0] {
            if let Ok(conn) = listener.accept() {
                conns.push((conn, false));
            }
            continue;
        }
        if ready[1] {
            if !matches!(woken.read(&mut [0; 1]), Ok(1)) {
                return;
            }
            let Ok(Some(new)) = to_publish.recv() else {
                _ = heard.send(Notice::Acknowledge {
                    seq: u64::MAX,
                    in_flight: 0,
                });
                return;
            };
            fact = new;
            let now = wire::encode(&Publish::Now { fact: fact.clone() });
            conns.retain(|(conn, greeted)| !greeted || conn.send(&now, &[]).is_ok());
            continue;
        }
        conns.retain_mut(|(conn, greeted)| match conn.recv(&mut frame) {
            Ok(Some(_)) if !*greeted => {
                let hello: Hello = wire::decode(&frame).expect("a hello");
                assert_eq!(hello.role, Role::Gateway);
                let own = Hello {
                    role: Role::Keeper,
                    min: 1,
                    max: 1,
                    ..Hello::default()
                };
                *greeted = true;
                let now = Publish::Now { fact: fact.clone() };
                conn.send(&wire::encode(&own), &[]).is_ok()
                    && conn.send(&wire::encode(&now), &[]).is_ok()
            }
            Ok(Some(_)) => {
                _ = heard.send(wire::decode(&frame).expect("a notice"));
                true
            }
            Ok(None) => false,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        });
    }
}

/// A program behind a gateway: its directory, keeper, gateway.
pub struct Scene {
    pub dir: tempfile::TempDir,
    pub keeper: Keeper,
    pub gateway: Gateway,
}

impl Scene {
    /// The keeper's first word is `phase`, generation 1, `1.sock`.
    pub fn new(phase: Phase) -> Scene {
        Scene::with(phase, |_| {})
    }

    pub fn with(phase: Phase, change: impl FnOnce(&mut Config)) -> Scene {
        let dir = tempfile::tempdir().expect("a directory");
        let fact = Fact {
            seq: 1,
            generation: 1,
            phase,
            pid: 100,
            address: format!("unix:{}", dir.path().join("1.sock").display()),
            ..zero_fact()
        };
        let keeper = Keeper::start(&dir.path().join("events"), fact);
        let target = Target::Program {
            slots: vec![Slot {
                name: "app".into(),
                events: keeper.path.display().to_string(),
                ..Slot::default()
            }],
            jwt: None,
        };
        let gateway = Gateway::start(&[("app", target)], change);
        Scene {
            dir,
            keeper,
            gateway,
        }
    }

    pub fn socket(&self, generation: u64) -> PathBuf {
        self.dir.path().join(format!("{generation}.sock"))
    }

    pub fn address(&self, generation: u64) -> String {
        format!("unix:{}", self.socket(generation).display())
    }

    /// An app that echoes at generation 1.
    pub fn echo(&self) -> App {
        App::echo(&self.socket(1))
    }

    /// An overlap's old generation.
    pub fn leaving(generation: u64) -> Leaving {
        Leaving {
            generation,
            deadline_ms: sys::clock::mono_ms() + 60_000,
            key: 0,
        }
    }
}

/// The default fact with its safest phase.
pub fn zero_fact() -> Fact {
    wire::decode(&wire::encode(&Fact::default())).expect("a fact")
}
