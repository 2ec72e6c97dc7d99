//! Nothing waits for what somebody put in the place of a file in his directory: the daemon has one thread.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::activity::Activity;
use crate::model::Settings;

/// What waits for ever is found by this.
const PATIENCE: Duration = Duration::from_secs(60);

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Whether it comes back.
fn comes_back(what: impl FnOnce() + Send + 'static) -> bool {
    let (send, back) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        what();
        let _ = send.send(());
    });
    back.recv_timeout(PATIENCE).is_ok()
}

#[test]
fn for_a_fifo() {
    type Use = fn(&Path);
    let uses: [(&str, Use); 4] = [
        ("a maintenance page", |path| {
            let (value, mut findings) = (text(path), Vec::new());
            let path = conf::Spanned { value, span: None };
            assert_eq!(crate::extras::page(Some(&path), &mut findings), "");
            assert_eq!(findings.len(), 1);
        }),
        ("the activity log", |path| {
            let settings = Settings {
                logfile: text(path),
                ..Settings::default()
            };
            assert!(Activity::open(&settings).1.is_some());
        }),
        ("a pidfile that is read", |path| {
            assert!(!crate::rival::is_own_pidfile(&text(path), 7));
        }),
        ("a pidfile that is written", |path| {
            assert!(crate::opening::write_pid(&text(path), 7).is_err());
        }),
    ];
    let dir = tempfile::tempdir().expect("directory");
    for (name, it) in uses {
        let path = dir.path().join(name);
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, mode, 0).expect("made");
        assert!(comes_back(move || it(&path)), "{name}");
    }
}

#[test]
fn for_a_socket_whose_queue_is_full() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let dir = tempfile::tempdir().expect("directory");
    let path: PathBuf = dir.path().join("s");
    let address = SocketAddrUnix::new(&path).expect("an address");
    let socket = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .expect("a socket")
    };
    let listens = socket();
    rustix::net::bind(&listens, &address).expect("bound");
    rustix::net::listen(&listens, 0).expect("listens");
    let mut waiting = Vec::new();
    loop {
        let client = socket();
        if rustix::net::connect(&client, &address).is_err() {
            break;
        }
        waiting.push(client);
    }
    let asked = path.clone();
    assert!(comes_back(move || {
        let refused = crate::listeners::clear_stale(&asked).expect_err("somebody listens");
        assert!(refused.contains("in use"), "{refused}");
    }));
    drop((listens, waiting));
    assert_eq!(crate::listeners::clear_stale(&path), Ok(()));
    assert!(!path.exists());
}
