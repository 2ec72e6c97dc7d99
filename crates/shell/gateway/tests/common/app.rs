//! A program on a Unix socket that does as it is told.

use super::{LIMIT, find, ok};
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

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
