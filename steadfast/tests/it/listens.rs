//! The ladder of the listening socket, and servers other than uvicorn.

use crate::harness::{
    Backend, USERS, Wanted, exe, figure, free_port, head, seconds, tell, venv, workspace,
};
use storm::client::Request;
use storm::installation::Installation;
use storm::load::{Log, Plan};

fn five_restarts(listen: &'static str, keep_alive: bool) -> Log {
    let backend = Wanted {
        listen,
        ..Wanted::default()
    }
    .start();
    let plan = Plan {
        keep_alive,
        ..backend.plan()
    };
    let log = backend.under_load(plan, 5, |backend, _| {
        backend.say(&["restart", "backend"], 0);
    });
    tell(
        &format!("5 x restart, listen = {listen}, keep-alive {keep_alive}"),
        &log,
    );
    backend.assert_no_effect_twice(&log);
    assert_eq!(log.sign_outs(), 0);
    log
}

#[test]
fn a_held_listener_loses_a_fraction_of_what_its_own_loses() {
    for keep_alive in [false, true] {
        let own = five_restarts("own", keep_alive);
        let held = five_restarts("held", keep_alive);
        let (own_bad, held_bad) = (own.bad().count(), held.bad().count());
        assert!(own_bad > 100, "own: {}", own.describe_bad());
        // A keep-alive connection that the server closes while a request is on its way stays lost: one a user and restart.
        let lost = if keep_alive { USERS * 5 } else { 0 };
        let most = lost.max(own_bad / 10);
        assert!(held_bad <= most, "held: {}", held.describe_bad());
    }
}

/// A backend whose command is written by the test.
fn start(command: &str, keys: &str) -> Backend {
    let mut installation = Installation::new(exe()).expect("a directory");
    let port = free_port();
    let dir = installation.dir().display().to_string();
    let apps = workspace().join("steadfast/tests/apps");
    let config = format!(
        "{head}
[steadfast]
state_dir = {dir}/state
[program:backend]
command = {command}
directory = {apps}
environment = EFFECT_LOG=\"{dir}/effects.log\",PYTHONDONTWRITEBYTECODE=\"1\",PORT=\"{port}\"
listen = gateway
ready = http:/api/health
redirect_stderr = true
stdout_logfile = {dir}/backend.log
{keys}
",
        head = head(installation.dir()),
        apps = apps.display(),
    )
    .replace("{port}", &port.to_string());
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

fn three_restarts_lose_nothing(what: &str, backend: &Backend) {
    let plan = Plan {
        login: None,
        ..backend.plan()
    };
    let log = backend.under_load(plan, 3, |backend, _| {
        backend.say(&["restart", "backend"], 0);
    });
    backend.assert_nothing_failed(what, &log);
}

#[test]
fn gunicorn_with_sync_workers_is_held_through_restarts() {
    let gunicorn = venv("gunicorn").display().to_string();
    let backend = start(
        &format!("{gunicorn} wsgi:app --bind 127.0.0.1:{{port}} --workers 2"),
        "",
    );
    three_restarts_lose_nothing("3 x restart of gunicorn", &backend);
}

#[test]
fn gunicorn_with_uvicorn_workers_is_held_through_restarts() {
    let gunicorn = venv("gunicorn").display().to_string();
    let command = format!(
        "{gunicorn} backend:app -k uvicorn_worker.UvicornWorker -b 127.0.0.1:{{port}} -w 1"
    );
    let backend = start(&command, "");
    three_restarts_lose_nothing("3 x restart of gunicorn with a uvicorn worker", &backend);
}

#[test]
fn node_with_port_is_held_through_restarts() {
    let backend = start("node server.js", "");
    three_restarts_lose_nothing("3 x restart of Node with PORT", &backend);
}

#[test]
fn a_steadfast_command_hands_any_server_its_socket() {
    let keys = "steadfast_command = node server.js --socket %(socket)s\n[gateway:web]\nlisten = 127.0.0.1:{port}\nroute = / -> backend";
    let backend = start("node server.js", keys);
    let said = backend.say(&["check"], 0);
    assert!(
        said.text().contains("node server.js --socket "),
        "check prints what will be run: {}",
        said.text()
    );
    three_restarts_lose_nothing("3 x restart of Node with steadfast_command", &backend);
}

#[test]
fn without_a_file_the_same_is_derived_from_the_command() {
    let mut installation = Installation::new(exe()).expect("a directory");
    let port = free_port();
    let uvicorn = venv("uvicorn").display().to_string();
    let apps = workspace()
        .join("steadfast/tests/apps")
        .display()
        .to_string();
    let effects = installation.path("effects.log").display().to_string();
    installation.env = vec![
        ("EFFECT_LOG".into(), effects),
        ("PYTHONDONTWRITEBYTECODE".into(), "1".into()),
        ("HOME".into(), installation.dir().display().to_string()),
    ];
    let port_text = port.to_string();
    let args = [
        "run",
        "--",
        &uvicorn,
        "backend:app",
        "--app-dir",
        &apps,
        "--port",
        &port_text,
    ];
    installation.run_with(&args).expect("started");
    let backend = Backend {
        installation,
        port,
        config: String::new(),
    };
    let answer = crate::harness::eventually("answer", seconds(30), || {
        backend
            .ask(&Request::get("/api/health"))
            .ok()
            .filter(|answer| answer.status == 200)
    });
    let app = backend
        .installation
        .processes()
        .into_iter()
        .find(|process| process.has("backend:app") && process.has("--uds"));
    assert!(app.is_some(), "uvicorn is behind the gateway: {answer:?}");
    figure("run -- COMMAND", "behind the gateway");
}
