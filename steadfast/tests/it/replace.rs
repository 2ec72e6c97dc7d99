//! Replacements that fail, and updates.

use crate::harness::{Backend, Wanted, eventually, seconds};
use rustix::process::Signal;
use storm::procfs;

fn overlap() -> Backend {
    Wanted::keys("replace = overlap\nready_timeout = 20s").start()
}

#[test]
fn a_replacement_that_is_never_ready_leaves_the_old_one_serving_and_the_command_exits_1() {
    let backend = overlap();
    let pid = backend.pid();
    let log = backend.under_load(backend.plan(), 1, |backend, _| {
        backend
            .installation
            .configure(
                &backend
                    .config
                    .replace("http:/api/health", "http:/api/never"),
            )
            .expect("written");
        let said = backend.say(&["update"], 1);
        assert!(
            said.text().contains("404"),
            "the last answer of the check is told: {}",
            said.text()
        );
        assert_eq!(backend.installation.pid("backend"), Some(pid));
    });
    backend.assert_nothing_failed("a replacement that is never ready", &log);
    assert_eq!(backend.pid(), pid);
    // Mended, it goes on.
    backend
        .installation
        .configure(&backend.config)
        .expect("written");
    backend.say(&["update"], 0);
    assert_eq!(backend.pid(), pid, "the mended file is what runs");
}

#[test]
fn a_replacement_that_does_not_start_shows_the_last_lines_of_its_output() {
    let backend = overlap();
    let pid = backend.pid();
    backend
        .installation
        .configure(&backend.config.replace("backend:app", "no_such_module:app"))
        .expect("written");
    let said = backend.say(&["update"], 1);
    assert!(said.text().contains("no_such_module"), "{}", said.text());
    assert_eq!(backend.pid(), pid);
    let said = backend.say(&["status"], 0);
    assert!(said.stdout.contains("backend"), "{}", said.text());
}

#[test]
fn a_daemon_killed_in_the_middle_of_a_replacement_leaves_the_old_one_serving() {
    let backend = overlap();
    let pid = backend.pid();
    let log = backend.under_load(backend.plan(), 1, |backend, _| {
        backend
            .installation
            .configure(
                &backend
                    .config
                    .replace("http:/api/health", "http:/api/never"),
            )
            .expect("written");
        let mut update = backend
            .installation
            .command()
            .args(["update", "-c"])
            .arg(backend.installation.config())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("runs");
        let backends = || {
            backend
                .installation
                .processes()
                .iter()
                .filter(|process| process.has("backend:app"))
                .count()
        };
        eventually("second generation", seconds(5), || {
            (backends() == 2).then_some(())
        });
        let daemon = backend.installation.daemon_pid().expect("a daemon");
        assert!(procfs::signal(daemon, Signal::KILL));
        eventually("end of the second generation", seconds(20), || {
            (backends() == 1).then_some(())
        });
        update.wait().expect("ends");
        assert_eq!(backend.pid(), pid);
    });
    backend.assert_nothing_failed("the daemon killed during a replacement", &log);
}

#[test]
fn update_restarts_only_what_changed_and_says_so() {
    let backend = Wanted {
        sections: "[program:other]\ncommand = sleep 86398\n",
        ..Wanted::default()
    }
    .start();
    let (pid, other) = (
        backend.pid(),
        backend.installation.pid("other").expect("a pid"),
    );
    let said = backend.say(&["update"], 0);
    assert_eq!(
        (backend.pid(), backend.installation.pid("other")),
        (pid, Some(other)),
        "{}",
        said.text()
    );
    backend
        .installation
        .configure(&backend.config.replace("sleep 86398", "sleep 86397"))
        .expect("written");
    let said = backend.say(&["reread"], 0);
    assert!(said.text().contains("other"), "{}", said.text());
    assert_eq!(
        backend.installation.pid("other"),
        Some(other),
        "reread changes nothing"
    );
    let said = backend.say(&["update"], 0);
    assert!(said.text().contains("other"), "{}", said.text());
    assert_eq!(backend.pid(), pid);
    assert_ne!(backend.installation.pid("other"), Some(other));
}

#[test]
fn depends_on_starts_after_and_stops_before() {
    let backend = Wanted {
        keys: "depends_on = db",
        sections: "[program:db]\ncommand = sh -c 'sleep 1; echo open for business; exec sleep 86396'\nready = log:open for business\nautostart = true\n",
        ..Wanted::default()
    }
    .start();
    let started = |name: &str| {
        backend
            .installation
            .process(name)
            .and_then(|process| process["started_ms"].as_u64())
            .expect("started")
    };
    assert!(
        started("backend") >= started("db") + 900,
        "{} {}",
        started("backend"),
        started("db")
    );
}

#[test]
fn an_env_file_is_frozen_until_the_next_update() {
    let backend = Wanted::default();
    let mut installation =
        storm::installation::Installation::new(crate::harness::exe()).expect("a directory");
    let port = crate::harness::free_port();
    let config = backend.config(installation.dir(), port);
    std::fs::write(
        installation.path(".env"),
        "COLOUR=red\nSECRET_KEY=0123456789abcdef0123456789abcdef\n",
    )
    .expect("written");
    installation.configure(&config).expect("written");
    installation.run().expect("started");
    let mut backend = Backend {
        installation,
        port,
        config,
    };
    backend.come_up();
    let colour = |backend: &Backend| {
        let answer = backend
            .ask(&storm::client::Request::get("/api/env"))
            .expect("an answer");
        (answer.json("COLOUR"), answer.json("SECRET_KEY"))
    };
    let key = Some("0123456789abcdef0123456789abcdef".to_owned());
    assert_eq!(
        colour(&backend),
        (Some("red".into()), key.clone()),
        "an existing key is kept"
    );
    let file = std::fs::read_to_string(backend.installation.path(".env")).expect("read");
    std::fs::write(
        backend.installation.path(".env"),
        file.replace("red", "blue"),
    )
    .expect("written");
    let pid = backend.pid();
    assert!(procfs::signal(pid, Signal::KILL));
    eventually("new pid", seconds(20), || {
        (backend.pid() != pid).then_some(())
    });
    assert_eq!(
        colour(&backend).0,
        Some("red".into()),
        "a crash never picks up a half-edited file"
    );
    backend.say(&["update"], 0);
    assert_eq!(colour(&backend), (Some("blue".into()), key));
}
