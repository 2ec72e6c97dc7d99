//! A keeper's events socket, played by a thread.

use super::LIMIT;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;
use sys::seq::Conn;
use wire::{Fact, Hello, Notice, Publish, Role};

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

/// The default fact with its safest phase.
pub fn zero_fact() -> Fact {
    wire::decode(&wire::encode(&Fact::default())).expect("a fact")
}
