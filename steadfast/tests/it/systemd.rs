//! What systemd is told under `Type=notify` and `notify-reload`: a socket of the test's stands for systemd's.

use crate::harness::{exe, head, seconds};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::net::UnixDatagram;
use storm::installation::Installation;

/// The socket, and what came on it.
struct Systemd(UnixDatagram);

impl Systemd {
    /// The next word: its first line, and MONOTONIC_USEC if that is in it.
    fn hears(&self) -> (String, Option<u64>) {
        let mut words = [0u8; 256];
        let count = self.0.recv(&mut words).expect("word from root");
        let text = String::from_utf8_lossy(&words[..count]).into_owned();
        let usec = text
            .lines()
            .find_map(|line| line.strip_prefix("MONOTONIC_USEC="))
            .map(|number| number.parse().expect("a number"));
        (text.lines().next().unwrap_or_default().to_owned(), usec)
    }

    /// A reload that began after `since_us`, and its end.
    fn hears_a_reload(&self, since_us: u64) {
        let (word, usec) = self.hears();
        assert_eq!(word, "RELOADING=1");
        let usec = usec.expect("its time");
        assert!(since_us <= usec && usec <= sys::clock::mono_us(), "{usec}");
        assert_eq!(self.hears(), ("READY=1".to_owned(), None));
    }
}

fn up(programs: &str) -> (Installation, Systemd) {
    let mut installation = Installation::new(exe()).expect("a directory");
    let config = head(installation.dir()) + programs;
    installation.configure(&config).expect("written");
    let path = installation.path("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    socket.set_read_timeout(Some(seconds(30))).expect("set");
    let notify = ("NOTIFY_SOCKET".to_owned(), path.display().to_string());
    installation.env.push(notify);
    installation.run().expect("started");
    let systemd = Systemd(socket);
    assert_eq!(systemd.hears(), ("READY=1".to_owned(), None));
    (installation, systemd)
}

const PROGRAM: &str = "[program:a]\ncommand = sleep 86490\nstartsecs = 0\n";

#[test]
fn systemd_hears_of_reloads_and_of_the_end() {
    let (mut installation, systemd) = up(PROGRAM);
    let since = sys::clock::mono_us();
    assert_eq!(installation.say(&["reload"]).expect("runs").exit, 0);
    systemd.hears_a_reload(since);

    // As `Type=notify-reload` asks for it.
    let root = Pid::from_raw(installation.root_pid()).expect("a pid");
    let since = sys::clock::mono_us();
    kill_process(root, Signal::HUP).expect("signalled");
    systemd.hears_a_reload(since);

    // A file that cannot be read is no reason to keep systemd waiting.
    let broken = head(installation.dir()) + "[program:a]\nautostart = perhaps\n";
    installation.configure(&broken).expect("written");
    let since = sys::clock::mono_us();
    kill_process(root, Signal::HUP).expect("signalled");
    systemd.hears_a_reload(since);

    assert_eq!(installation.say(&["shutdown"]).expect("runs").exit, 0);
    assert_eq!(systemd.hears(), ("STOPPING=1".to_owned(), None));
    assert_eq!(installation.wait_root(seconds(30)), Some(0));
    systemd.0.set_nonblocking(true).expect("set");
    let more = systemd.0.recv(&mut [0; 64]);
    assert!(more.is_err(), "nothing comes behind it: {more:?}");
}

#[test]
fn a_daemon_that_dies_while_it_reloads_does_not_leave_systemd_waiting() {
    // A reload that takes as long as this program takes to die.
    let slow = "[program:a]\ncommand = sh -c 'trap \"\" TERM; while :; do sleep 1; done'\nstartsecs = 0\nstopwaitsecs = 60\n";
    let (mut installation, systemd) = up(slow);
    let root = Pid::from_raw(installation.root_pid()).expect("a pid");
    let since = sys::clock::mono_us();
    kill_process(root, Signal::HUP).expect("signalled");
    let (word, usec) = systemd.hears();
    assert_eq!(word, "RELOADING=1");
    assert!(usec.is_some_and(|usec| usec >= since));
    let daemon = installation.daemon_pid().expect("a daemon");
    let daemon = Pid::from_raw(daemon).expect("a pid");
    kill_process(daemon, Signal::KILL).expect("killed");
    assert_eq!(systemd.hears(), ("READY=1".to_owned(), None));
    // An orderly end would take a minute.
    installation.kill_all();
}
