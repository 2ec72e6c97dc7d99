//! Other users than root: the gateway's and a program's change while people are served.

use crate::harness::{Backend, Wanted, eventually, exe, free_port, head, seconds};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use storm::client::Request;
use storm::installation::Installation;
use storm::load::Running;

/// Users that every Debian has, with a group of the same number each.
const ONE: (&str, u32) = ("daemon", 1);
const OTHER: (&str, u32) = ("www-data", 33);

fn config(installation: &Installation, port: u16, gateway: &str) -> String {
    let usual = Wanted::default().config(installation.dir(), port);
    format!(
        "{usual}\n[gateway:web]\nlisten = 127.0.0.1:{port}\nroute = / -> backend\nuser = {gateway}\n"
    )
}

/// User, group and further groups of the gateways that live.
fn gateways(installation: &Installation) -> Vec<(u32, u32, Vec<u32>)> {
    let processes = installation.processes();
    let gateways = processes.iter().filter(|it| it.has("__gateway"));
    gateways
        .filter_map(|it| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", it.pid)).ok()?;
            let numbers = |name: &str| -> Vec<u32> {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                let numbers = line.unwrap_or_default().split_whitespace();
                numbers.filter_map(|text| text.parse().ok()).collect()
            };
            let (uid, gid) = (*numbers("Uid:").first()?, *numbers("Gid:").first()?);
            Some((uid, gid, numbers("Groups:")))
        })
        .collect()
}

/// Our user, if it is not root.
fn not_root() -> Option<u32> {
    let uid = rustix::process::geteuid();
    (!uid.is_root()).then(|| uid.as_raw())
}

/// The program's directory that its sockets lie in.
fn app_dir(installation: &Installation) -> PathBuf {
    let runs = std::fs::read_dir(installation.path("run")).expect("a run directory");
    let slots = runs.flatten().map(|run| run.path().join("slots"));
    let mut found = slots
        .filter_map(|slots| std::fs::read_dir(slots).ok())
        .flat_map(|slots| slots.flatten())
        .map(|slot| slot.path().join("app"))
        .filter(|app| std::fs::read_dir(app).is_ok_and(|mut inside| inside.next().is_some()));
    found.next().expect("a program with a socket")
}

fn backend(user: &str) -> Backend {
    let mut installation = Installation::new(exe()).expect("a directory");
    let port = free_port();
    let config = config(&installation, port, user);
    installation.configure(&config).expect("written");
    installation.run().expect("started");
    let mut backend = Backend {
        installation,
        port,
        config,
    };
    backend.come_up();
    backend
}

/// Directory and gateway are of this user, nobody else's, and nothing is lent any more.
fn is_of(backend: &Backend, (_, number): (&str, u32)) {
    let installation = &backend.installation;
    eventually("gateway of its user alone", seconds(60), || {
        let gateways = gateways(installation);
        let meta = std::fs::metadata(app_dir(installation)).ok()?;
        let events = app_dir(installation).with_file_name("events");
        let events = std::fs::metadata(events).ok()?;
        let own = |(uid, gid, more): &(u32, u32, Vec<u32>)| {
            (*uid, *gid) == (number, number) && more.iter().all(|it| *it == number)
        };
        let one = gateways.len() == 1 && gateways.iter().all(own);
        let dir = (meta.gid(), meta.mode() & 0o777) == (number, 0o710);
        let socket = (events.uid(), events.gid(), events.mode() & 0o777) == (0, number, 0o660);
        (one && dir && socket).then_some(())
    });
}

#[test]
fn the_gateway_gets_another_user_and_nobody_notices() {
    let backend = backend(ONE.0);
    if let Some(uid) = not_root() {
        // Only root can become somebody else: `user` is of no effect, also when it changes.
        let text = config(&backend.installation, backend.port, OTHER.0);
        backend.installation.configure(&text).expect("written");
        backend.say(&["update"], 0);
        let meta = std::fs::metadata(app_dir(&backend.installation)).expect("a directory");
        assert_eq!((meta.uid(), meta.mode() & 0o777), (uid, 0o700));
        let own = |gateway: &(u32, u32, Vec<u32>)| gateway.0 == uid;
        assert!(gateways(&backend.installation).iter().all(own));
        let health = backend.ask(&Request::get("/api/health"));
        assert_eq!(health.expect("answered").status, 200);
        return;
    }
    is_of(&backend, ONE);
    let load = Running::start(backend.plan()).expect("users");
    assert!(load.wait_good(100, seconds(30)), "before any change");
    for user in [OTHER, ONE] {
        let text = config(&backend.installation, backend.port, user.0);
        backend.installation.configure(&text).expect("written");
        backend.say(&["update"], 0);
        is_of(&backend, user);
    }
    backend.assert_nothing_failed("the gateway's user changed twice", &load.stop());
}

/// A server that any user may run, wherever the venv is: it says who it is.
const SERVER: &str = "
const server = require('http').createServer((_, answer) => answer.end(String(process.getuid())));
server.listen(process.argv[2]);
process.on('SIGTERM', () => process.exit(0));
";

#[test]
fn a_program_gets_another_user() {
    let mut installation = Installation::new(exe()).expect("a directory");
    let (port, dir) = (free_port(), installation.dir().display().to_string());
    std::fs::write(installation.path("server.js"), SERVER).expect("written");
    let top = head(installation.dir());
    let config = |user: &str| {
        format!(
            "{}[steadfast]\nstate_dir = {dir}/state\n[program:backend]\ncommand = node {dir}/server.js\n\
             steadfast_command = node {dir}/server.js %(socket)s\nuser = {user}\nlisten = gateway\nready = http:/\n\
             stdout_logfile = {dir}/backend.log\nredirect_stderr = true\n\
             [gateway:web]\nlisten = 127.0.0.1:{port}\nroute = / -> backend\nuser = {}\n",
            top, ONE.0
        )
    };
    // Who is not root can name himself only.
    let own = not_root().unwrap_or(0);
    let first = config(&own.to_string());
    installation.configure(&first).expect("written");
    installation.run().expect("started");
    let texts = [
        (config(OTHER.0), OTHER.1),
        (config(ONE.0), ONE.1),
        (first.clone(), own),
    ];
    let mut backend = Backend {
        installation,
        port,
        config: first,
    };
    backend.come_up();
    for (text, owner) in texts {
        if not_root().is_some_and(|uid| uid != owner) {
            continue;
        }
        backend.installation.configure(&text).expect("written");
        backend.say(&["update"], 0);
        backend.pid();
        let meta = std::fs::metadata(app_dir(&backend.installation)).expect("a directory");
        assert_eq!(meta.uid(), owner);
        assert!(not_root().is_some() || meta.gid() == ONE.1);
        let answer = backend.ask(&Request::get("/")).expect("answered");
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!((answer.status, said), (200, owner.to_string()));
    }
}
