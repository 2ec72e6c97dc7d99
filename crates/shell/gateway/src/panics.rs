//! A panic in each of the tasks that serve for good: it goes on, and nobody has to notice.
//!
//! Each is made to panic by holding what it borrows, as a bug of ours might; what panics waits a second if that comes
//! back, so whatever is waited for here is waited for longer than that.
#![expect(
    clippy::await_holding_refcell_ref,
    reason = "it is held so that others panic"
)]

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hold::{Event, Place, Request, Room, Slot};
use routes::{Listener, Ready, Sessions};
use rustix::fd::OwnedFd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::LocalSet;

use crate::accept::{self, Socket};
use crate::connect::Whose;
use crate::door::{Door, streams};
use crate::handle::{End, Handle};
use crate::keeper::{self, Unheard};
use crate::site::Site;
use crate::target::Target;
use crate::telling;
use crate::torn::Torn;
use crate::upstream;
use crate::worker::Worker;
use crate::{Error, Leave, News, stay};

/// Nothing here takes longer unless it is broken.
const LIMIT: Duration = Duration::from_secs(60);

async fn until(done: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < end, "not within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Every task has had its turn.
async fn turns() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

fn worker(targets: Vec<Rc<Target>>) -> Rc<Worker> {
    Rc::new(Worker::new(targets, Room::new(10, 1 << 20), 10))
}

fn target(slot: Slot, torn: &Rc<Torn>) -> Rc<Target> {
    let whose = vec![Whose::Anybody];
    Rc::new(Target::new("app", vec![slot], whose, None, torn.clone()))
}

/// A listener that answers whatever it is asked with 404, and its socket.
fn listening(path: &Path) -> (Rc<Site>, Socket) {
    let site = Site::new(Listener::default(), None, |_| None).expect("a site");
    let socket = std::os::unix::net::UnixListener::bind(path).expect("bound");
    let socket = Socket::new(OwnedFd::from(socket)).expect("a socket");
    (Rc::new(site), socket)
}

/// What is said to one question on a connection of its own; empty: the connection was closed.
async fn asked(path: &Path) -> String {
    let conversation = async {
        let mut stream = UnixStream::connect(path).await.expect("connected");
        let question = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        // Fails if the connection is closed already.
        let _closed = stream.write_all(question).await;
        let mut answer = String::new();
        let _closed = stream.read_to_string(&mut answer).await;
        answer
    };
    let answer = tokio::time::timeout(LIMIT, conversation).await;
    answer.expect("answered or closed")
}

#[tokio::test]
async fn accepting_goes_on_after_a_panic() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("listener");
    let worker = worker(Vec::new());
    let (site, socket) = listening(&path);
    let scene = async {
        let accepting = accept::start(worker.clone(), site, socket);
        let held = worker.handles_read();
        assert_eq!(asked(&path).await, "", "its connection ends");
        drop(held);
        let answer = asked(&path).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        accepting.abort();
        let end = accepting.await.expect_err("it accepts until it is ended");
        assert!(end.is_cancelled());
    };
    LocalSet::new().run_until(scene).await;
}

#[tokio::test]
async fn the_clock_goes_on_after_a_panic() {
    let worker = worker(Vec::new());
    let scene = async {
        worker.start_ticking();
        let held = worker.handles_held();
        worker.keep_ticking();
        let begin = worker.now();
        // It reads the clock, and panics then.
        until(|| worker.now() > begin).await;
        drop(held);
        let begin = worker.now();
        until(|| worker.now() > begin).await;
    };
    LocalSet::new().run_until(scene).await;
}

#[tokio::test]
async fn requests_are_released_after_a_panic() {
    let target = target(Slot::fixed("unix:/nowhere"), &Rc::default());
    let worker = worker(vec![target.clone()]);
    let handle = Rc::new(Handle::default());
    let request = |hold_ms| Request::new([0; 16], true, hold_ms);
    let scene = async {
        // It is found unreachable, so who comes then waits for the next try.
        let mut first = request(0);
        let _forward = target.arrive(&mut first, Place::Back);
        let _over = target.event(&worker.room, &mut first, Event::ConnectFailed);
        let mut second = request(60_000);
        let _park = target.arrive(&mut second, Place::Back);
        let parked = target.park(&worker.room, second, 1, &handle);
        parked.expect("there is room");
        target.start_probing(&worker);
        let held = target.program_held();
        turns().await;
        drop(held);
        until(|| handle.take_told().is_some()).await;
    };
    LocalSet::new().run_until(scene).await;
}

#[tokio::test]
async fn a_keeper_is_followed_after_a_panic() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("events");
    let listener = sys::seq::Listener::bind(&path, 0o600).expect("bound");
    let target = target(Slot::unknown(), &Rc::default());
    let worker = worker(vec![target.clone()]);
    let scene = async {
        let held = target.program_held();
        let events = path.display().to_string();
        keeper::start(
            worker,
            target.clone(),
            0,
            events,
            &Rc::new(Unheard::default()),
        );
        turns().await;
        drop(held);
        until(|| listener.accept().is_ok()).await;
    };
    LocalSet::new().run_until(scene).await;
}

#[tokio::test]
async fn an_upstream_is_asked_after_a_panic() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("upstream");
    let address = format!("unix:{}", path.display());
    let target = target(Slot::fixed_and_asked(&address), &Rc::default());
    let worker = worker(vec![target.clone()]);
    let scene = async {
        let mut request = Request::new([0; 16], true, 0);
        let _forward = target.arrive(&mut request, Place::Back);
        let _over = target.event(&worker.room, &mut request, Event::ConnectFailed);
        assert!(target.is_away());
        let held = target.program_held();
        upstream::start(worker, target.clone(), address, Ready::default());
        turns().await;
        drop(held);
        let listener = tokio::net::UnixListener::bind(&path).expect("bound");
        let (mut asks, _) = tokio::time::timeout(LIMIT, listener.accept())
            .await
            .expect("in time")
            .expect("it asks");
        let fine = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        asks.write_all(fine).await.expect("written");
        until(|| !target.is_away()).await;
    };
    LocalSet::new().run_until(scene).await;
}

#[tokio::test]
async fn streams_of_sessions_that_ended_are_closed_after_a_panic() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Sessions {
        store: format!("sqlite:{}", dir.path().display()),
        ..Sessions::default()
    };
    let door = Rc::new(Door::open(config).await.expect("a sound configuration"));
    let handle = Rc::new(Handle::default());
    let scene = async {
        let held = door.open_held();
        streams::start(&door);
        turns().await;
        drop(held);
        // Nobody tells that it has ended: the panic came between.
        door.opened(session::Sid([7; 16]), &handle);
        until(|| handle.must_end() == Some(End::Revoked)).await;
    };
    LocalSet::new().run_until(scene).await;
}

#[tokio::test]
async fn news_are_told_after_a_panic() {
    let trouble = |kind| {
        Some(accounts::Trouble {
            kind,
            text: String::new(),
        })
    };
    let (sender, mut receiver) = tokio::sync::watch::channel(trouble("missing"));
    receiver.mark_unchanged();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let first = Cell::new(true);
    let to = heard.clone();
    let tell = move |news: News<'_>| {
        assert!(!first.replace(false), "a bug");
        let News::Store(now) = news else { return true };
        to.borrow_mut().push(now.map(|trouble| trouble.kind));
        true
    };
    let scene = async {
        telling::start(receiver, Rc::new(tell));
        sender.send_replace(trouble("foreign"));
        until(|| !heard.borrow().is_empty()).await;
        sender.send_replace(None);
        until(|| heard.borrow().len() == 2).await;
    };
    LocalSet::new().run_until(scene).await;
    assert_eq!(*heard.borrow(), [Some("foreign"), None]);
}

/// What a connection's task does is given back whatever ends it, and others are served.
#[tokio::test]
async fn a_panic_in_the_task_of_a_connection_ends_that_one_and_nothing_else() {
    let torn = Rc::new(Torn::default());
    // A slot without its side: whoever connects to it panics.
    let slot = vec![Slot::fixed("unix:/nowhere")];
    let broken = Rc::new(Target::new("app", slot, Vec::new(), None, torn.clone()));
    let worker = worker(vec![broken.clone()]);
    let listener = Listener {
        routes: vec![routes::Route {
            target: "app".into(),
            ..routes::Route::default()
        }],
        ..Listener::default()
    };
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = socket.local_addr().expect("bound");
    let socket = Socket::new(OwnedFd::from(socket)).expect("a socket");
    let find = |_: &str| Some(broken.clone());
    let site = Rc::new(Site::new(listener, None, find).expect("a site"));
    let scene = async {
        let _accepting = accept::start(worker.clone(), site, socket);
        let mut idle = TcpStream::connect(address).await.expect("connected");
        let mut ends = TcpStream::connect(address).await.expect("connected");
        until(|| worker.connections() == 2).await;
        let question = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        ends.write_all(question).await.expect("written");
        let read = tokio::time::timeout(LIMIT, ends.read(&mut [0])).await;
        let end = read.expect("in time").expect_err("no end that looks clean");
        assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
        until(|| worker.connections() == 1).await;
        assert_eq!(broken.in_flight(), 0, "its place is given back");
        idle.write_all(b"nonsense\r\n\r\n").await.expect("written");
        let mut answer = vec![0; 12];
        let read = tokio::time::timeout(LIMIT, idle.read_exact(&mut answer)).await;
        read.expect("in time").expect("an answer");
        assert_eq!(answer, b"HTTP/1.1 400");
    };
    LocalSet::new().run_until(scene).await;
    let heard = tokio::time::timeout(Duration::ZERO, torn.heard()).await;
    assert!(heard.is_err(), "nothing is torn by it");
}

/// As long as anybody is connected it would stay for ever, but for the bound.
#[tokio::test]
async fn a_worker_whose_requests_are_torn_answers_what_it_can_and_ends() {
    ends_torn(std::future::pending(), |_| true).await;
}

#[tokio::test]
async fn also_one_that_is_leaving_already() {
    ends_torn(std::future::ready(Leave::Replaced), |worker| {
        worker.leaving.get()
    })
    .await;
}

/// It is torn as soon as `when` is so.
async fn ends_torn(leave: impl Future<Output = Leave>, when: fn(&Worker) -> bool) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("listener");
    let torn = Rc::new(Torn::default());
    let target = target(Slot::unknown(), &torn);
    let worker = worker(vec![target.clone()]);
    let (site, socket) = listening(&path);
    let scene = async {
        let accepting = vec![accept::start(worker.clone(), site, socket)];
        let mut idle = UnixStream::connect(&path).await.expect("connected");
        until(|| worker.connections() == 1).await;
        let worker_then = worker.clone();
        let bug = tokio::task::spawn_local(async move {
            until(|| when(&worker_then)).await;
            let _half_changed = target.program_held();
            panic!("a bug");
        });
        let stays = stay(&worker, &torn, accepting, leave, 3_600_000);
        let asks = async {
            until(|| worker.leaving.get()).await;
            let question = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            idle.write_all(question).await.expect("written");
            let mut answer = String::new();
            idle.read_to_string(&mut answer).await.expect("an answer");
            assert!(answer.contains("Connection: close"), "{answer}");
        };
        let both = async { tokio::join!(stays, asks).0 };
        let end = tokio::time::timeout(LIMIT, both).await.expect("in time");
        assert!(matches!(end, Err(Error::Torn)), "{end:?}");
        assert!(bug.await.is_err_and(|end| end.is_panic()));
    };
    LocalSet::new().run_until(scene).await;
}
