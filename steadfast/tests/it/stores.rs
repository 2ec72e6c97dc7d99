//! The session store as operators meet it: another one in the file, one that is lost, one that is back.

use crate::harness::{Backend, Wanted, exe};
use crate::people::piped;
use storm::installation::Installation;
use storm::wait;

const SIGNED_IN: Wanted = Wanted {
    example: false,
    args: "--workers 1",
    keys: "",
    environment: "",
    listen: "gateway",
    sections: "[sessions]\n",
};

fn started() -> Backend {
    let installation = Installation::new(exe()).expect("a directory");
    let port = crate::harness::free_port();
    let config = SIGNED_IN.config(installation.dir(), port);
    installation.configure(&config).expect("written");
    let mut backend = Backend {
        installation,
        port,
        config,
    };
    backend.installation.run().expect("started");
    backend.come_up();
    backend
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let seen = wait::until(wait::PATIENCE, || condition().then_some(()));
    assert!(seen.is_some(), "{what}");
}

fn said(installation: &Installation, args: &[&str]) -> String {
    let (status, out, notes) = piped(installation, args, "");
    assert_eq!(status, 0, "{args:?}: {out}{notes}");
    out
}

#[test]
fn update_says_what_it_did_beside_programs() {
    let backend = started();
    let installation = &backend.installation;
    assert_eq!(said(installation, &["reread"]), "nothing differs\n");
    assert_eq!(said(installation, &["update"]), "nothing differs\n");

    let url = "postgres://ada:hunter2@127.0.0.1:1/app";
    let moved = format!("{}store = {url}\n", backend.config);
    installation.configure(&moved).expect("written");
    let checked = piped(installation, &["check"], "");
    let checked = format!("{}{}", checked.1, checked.2).replace("\n  ", " ");
    for text in [
        said(installation, &["plan"]),
        said(installation, &["reread"]),
        said(installation, &["update"]),
        checked,
    ] {
        for wanted in [
            "/state/sessions/sessions.db -> postgres 127.0.0.1:1/app",
            "`steadfast sessions forget-store`; then people sign in again",
        ] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        assert!(!text.contains("nothing differs"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    until("operators are told", || {
        let log = said(installation, &["logs", "--main"]);
        let begin = "cannot open the session store: postgres 127.0.0.1:1/app: error connecting";
        assert!(!log.contains("hunter2"), "{log}");
        log.contains(begin) && log.contains("gets a 503; nobody is signed out\n")
    });
    installation.configure(&backend.config).expect("written");
    let back = said(installation, &["update"]);
    let replaced = "steadfast:gateway  replaced (its listeners or routes)\n";
    assert!(back.starts_with(replaced), "{back}");
    assert_eq!(said(installation, &["update"]), "nothing differs\n");

    let asked = backend
        .config
        .replace("[sessions]", "[sessions]\nprefix = /auth");
    installation.configure(&asked).expect("written");
    let changed = "steadfast:gateway  changed (its listeners or routes)\n";
    assert_eq!(said(installation, &["reread"]), changed);
    assert_eq!(said(installation, &["update"]), replaced);
    assert_eq!(said(installation, &["reread"]), "nothing differs\n");
}

#[test]
fn a_password_of_a_server_counts_after_a_reload_and_update_says_so() {
    let backend = started();
    let installation = &backend.installation;
    let port = crate::harness::free_port();
    let server = format!(
        "{}[inet_http_server]\nport = 127.0.0.1:{port}\n",
        backend.config
    );
    installation.configure(&server).expect("written");
    let due = "[inet_http_server]  changed; it counts after: steadfast reload\n";
    assert_eq!(said(installation, &["update"]), due);
    let applied = "[inet_http_server]  applied\n";
    assert_eq!(said(installation, &["reload"]), applied);
    let closed = format!("{server}username = ada\npassword = hunter2\n");
    installation.configure(&closed).expect("written");
    for command in ["reread", "plan", "update", "update"] {
        assert_eq!(said(installation, &[command]), due, "{command}");
    }
    assert_eq!(said(installation, &["reload"]), applied);
    assert_eq!(said(installation, &["update"]), "nothing differs\n");
}

#[test]
fn a_store_that_is_lost_is_told_to_operators_and_so_is_its_end() {
    let mut backend = started();
    let dir = backend.installation.dir().to_owned();
    let notify = format!(
        "notify = sh -c 'cat >> {0}/mail; echo >> {0}/mail'",
        dir.display()
    );
    backend.config = backend
        .config
        .replace("[steadfast]", &format!("[steadfast]\n{notify}"));
    let installation = &backend.installation;
    installation.configure(&backend.config).expect("written");
    said(installation, &["update"]);
    let metric = |line: &str| {
        said(installation, &["metrics"])
            .lines()
            .any(|it| it == line)
    };
    let status = || said(installation, &["status"]);
    until("the store is up", || metric("steadfast_session_store_up 1"));
    assert!(!status().contains("session store"), "{}", status());

    let store = dir.join("state/sessions/sessions.db");
    let aside = dir.join("aside.db");
    std::fs::rename(&store, &aside).expect("moved away");
    until("it is down", || {
        metric("steadfast_session_store_up{reason=\"missing\"} 0")
    });
    let line = status();
    let line = line.lines().last().expect("a line");
    let begin = format!(
        "session store  missing: the session store {} is missing (store ",
        store.display()
    );
    assert!(line.starts_with(&begin), "{line}");
    assert!(
        line.ends_with("with: steadfast sessions forget-store"),
        "{line}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&said(installation, &["status", "--json"])).expect("JSON");
    assert_eq!(json["store"]["kind"], "missing", "{json}");
    // A gateway that takes over is no end of it, and no news.
    let asked = backend
        .config
        .replace("[sessions]", "[sessions]\nprefix = /auth");
    installation.configure(&asked).expect("written");
    said(installation, &["update"]);
    assert_eq!(status().lines().last(), Some(line));
    // Nor is a daemon that takes over.
    let daemon = installation.daemon_pid().expect("a daemon");
    storm::procfs::signal(daemon, rustix::process::Signal::KILL);
    until("another daemon", || {
        installation.daemon_pid().is_some_and(|pid| pid != daemon)
    });
    until("it knows the store", || {
        status().lines().last() == Some(line)
    });

    std::fs::rename(&aside, &store).expect("moved back");
    until("it is up", || metric("steadfast_session_store_up 1"));
    assert!(!status().contains("session store"), "{}", status());
    let told = |text: &str, what: &str| {
        assert_eq!(
            text.matches("sessions.db is missing").count(),
            1,
            "{what}: {text}"
        );
        assert_eq!(
            text.matches("the session store answers again").count(),
            1,
            "{what}: {text}"
        );
    };
    told(&said(installation, &["history"]), "history");
    told(&said(installation, &["logs", "--main"]), "the log");
    let mail = dir.join("mail");
    let news = || std::fs::read_to_string(&mail).unwrap_or_default();
    until("the news were sent", || news().contains("store-back"));
    told(&news(), "notify");
}
