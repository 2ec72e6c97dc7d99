//! Keys: rotated under load without a sign-out, refused where that cannot be, given up when they leaked.

mod app;
mod attacks;
mod claims;
mod cookies;
mod machines;
mod proved;

use crate::harness::{Backend, Wanted, eventually, exe, free_port, head, seconds, venv, workspace};
use crate::people::piped;
use rustix::process::Signal;
use storm::client::{Answer, Request};
use storm::installation::Installation;
use storm::load::Plan;
use storm::procfs;

/// A token of the app's own, signed in as a person would.
fn token(backend: &Backend) -> String {
    let login = Request::post("/api/auth/login", r#"{"user":"ada","password":"demo"}"#);
    let answer = backend.ask(&login).expect("an answer");
    answer.json("token").expect("a token")
}

fn verify(backend: &Backend, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let request = Request {
        authorization: Some(&bearer),
        ..Request::get("/api/auth/verify")
    };
    backend.ask(&request).expect("an answer")
}

fn key_in_file(backend: &Backend) -> String {
    let text = std::fs::read_to_string(backend.installation.path(".env")).expect("an env file");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("SECRET_KEY="));
    line.expect("a key").trim_matches(['"', '\'']).to_owned()
}

/// No value of a key in what people, logs and the process table see.
fn assert_hidden(backend: &Backend, values: &[String]) {
    let mut seen = backend.installation.output();
    for args in [
        &["status", "--json"][..],
        &["history"],
        &["secrets", "list"],
        &["secrets", "list", "--json"],
        &["check"],
    ] {
        seen.push_str(&backend.installation.say(args).expect("runs").text());
    }
    for file in ["supervisord.log", "state/ledger.jsonl"] {
        let text = std::fs::read_to_string(backend.installation.path(file));
        seen.push_str(&text.unwrap_or_default());
    }
    for process in backend.installation.processes() {
        seen.push_str(&process.argv.join(" "));
    }
    for value in values {
        assert!(!seen.contains(value.as_str()), "a key is shown");
    }
}

/// GETs alone: a POST that a killed program had read may not be sent again.
fn gets(backend: &Backend) -> Plan {
    Plan {
        post: None,
        verify_every: 2,
        ..backend.plan()
    }
}

fn gateway_pid(backend: &Backend) -> i32 {
    let said = backend.say(&["pid", "steadfast:gateway"], 0);
    said.stdout.trim().parse().expect("a pid")
}

#[test]
fn a_key_is_rotated_three_times_under_load_and_nobody_is_signed_out() {
    for keys in ["", "replace = overlap"] {
        let backend = Wanted::keys(keys).start();
        let mut values = vec![key_in_file(&backend)];
        let first = token(&backend);
        let mut said = String::new();
        let plan = Plan {
            verify_every: 2,
            ..backend.plan()
        };
        let log = backend.under_load(plan, 3, |backend, _| {
            let pid = backend.pid();
            said = backend.say(&["secrets", "rotate", "SECRET_KEY"], 0).stdout;
            assert_ne!(backend.pid(), pid, "it was not restarted");
        });
        backend.assert_nothing_failed("3 x secrets rotate", &log);
        values.push(key_in_file(&backend));
        assert_ne!(values[0], values[1]);
        assert_hidden(&backend, &values);
        let lines: Vec<&str> = said.lines().collect();
        let env = backend.installation.path(".env");
        let made = format!(
            "SECRET_KEY  new key 4 made, kept in {}; key 3 verifies until ",
            env.display()
        );
        assert!(
            lines[0].starts_with(&made) && lines[0].ends_with(" (the last token it signed)"),
            "{said}"
        );
        assert!(
            lines[1].starts_with("backend  restarted with key 4: ")
                && lines[1].ends_with("0 failed; the gateway re-signs tokens of key 3"),
            "{said}"
        );
        // The app reads no older values, and what else it signs nobody knows.
        assert_eq!(lines.len(), 3, "{said}");
        assert!(
            lines[2].starts_with("backend  JWTs in Authorization go on; cookies and links"),
            "{said}"
        );
        // A token from before all of it.
        assert_eq!(verify(&backend, &first).status, 200);
        let listed = backend.say(&["secrets", "list"], 0).stdout;
        assert!(
            listed.contains("key 4  signs") && listed.contains("key 1  verifies until 20"),
            "{listed}"
        );
    }
}

#[test]
fn twenty_people_stay_signed_in_through_restarts_kills_and_rotations() {
    let backend = Backend::example("replace = hold");
    let log = backend.under_load(gets(&backend), 1, |backend, load| {
        let again = |what: &str| {
            let since = std::time::Instant::now();
            eventually(what, seconds(30), || load.good_since(since).then_some(()));
        };
        for _ in 0..3 {
            backend.say(&["secrets", "rotate", "SECRET_KEY"], 0);
            again("answer after a rotation");
            backend.say(&["restart", "backend"], 0);
            again("answer after a restart");
            let pid = backend.pid();
            procfs::signal(pid, Signal::KILL);
            eventually("new process", seconds(30), || {
                backend
                    .installation
                    .pid("backend")
                    .filter(|new| *new != pid)
            });
            again("answer after a crash");
            let daemon = backend.installation.daemon_pid().expect("a daemon");
            procfs::signal(daemon, Signal::KILL);
            eventually("new daemon", seconds(30), || {
                backend
                    .installation
                    .daemon_pid()
                    .filter(|new| *new != daemon)
            });
            again("answer after the daemon's death");
        }
    });
    assert_eq!(log.sign_outs(), 0, "{}", log.describe_bad());
    backend.assert_nothing_failed("L0: rotations, restarts, kills of backend and daemon", &log);
}

#[test]
fn a_killed_gateway_signs_nobody_out() {
    let backend = Backend::example("");
    let old = token(&backend);
    backend.say(&["secrets", "rotate", "SECRET_KEY"], 0);
    let pid = gateway_pid(&backend);
    procfs::signal(pid, Signal::KILL);
    eventually("new gateway", seconds(30), || {
        backend
            .installation
            .pid("steadfast:gateway")
            .filter(|new| *new != pid)
    });
    // Its configuration comes from its keeper, keys and all.
    assert_eq!(verify(&backend, &old).status, 200);
}

#[test]
fn a_rotation_that_would_sign_people_out_is_refused_and_says_why() {
    let backend = Wanted {
        listen: "own",
        ..Wanted::default()
    }
    .start();
    let (key, pid) = (key_in_file(&backend), backend.pid());
    let said = backend.say(&["secrets", "rotate", "SECRET_KEY"], 1);
    for part in [
        "was not rotated",
        "write listen = gateway",
        "secrets_fallbacks = SECRET_KEY_FALLBACKS:json",
        "steadfast secrets rotate SECRET_KEY --compromised",
    ] {
        assert!(said.stderr.contains(part), "{}", said.text());
    }
    assert_eq!((key_in_file(&backend), backend.pid()), (key, pid));
    let unknown = backend.say(&["secrets", "rotate", "NOTHING"], 1);
    assert!(
        unknown.stderr.contains("no program names NOTHING"),
        "{}",
        unknown.text()
    );
}

/// The one before had ended when the new process was started: its keeper numbers what happens to both.
fn assert_never_both(backend: &Backend, before: i32, after: i32) {
    let said = backend.say(&["history", "backend", "--json"], 0);
    let history: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    let entries = history["entries"].as_array().expect("entries");
    let happened = |pid: i32, ended: bool| {
        let of = |what: &&serde_json::Value| {
            what["kind"] == "transition" && what["pid"] == pid && what["exit"].is_i64() == ended
        };
        let found = entries.iter().map(|entry| &entry["what"]).find(of);
        let found = found.unwrap_or_else(|| panic!("{pid} {ended}: {}", said.stdout));
        found["seq"].as_u64().expect("a number")
    };
    assert_ne!(before, after);
    let (end, start) = (happened(before, true), happened(after, false));
    assert!(end < start, "two at once: {}", said.stdout);
}

#[test]
fn a_compromised_key_is_worth_nothing_at_once() {
    let backend = Backend::example("replace = overlap");
    let (old, key, pid) = (token(&backend), key_in_file(&backend), backend.pid());
    let said = backend.say(&["secrets", "rotate", "SECRET_KEY", "--compromised"], 0);
    assert_never_both(&backend, pid, backend.pid());
    assert!(
        said.stdout.contains("key 1 verifies nothing any more")
            && said.stdout.contains("tokens of key 1 are refused"),
        "{}",
        said.text()
    );
    assert_ne!(key_in_file(&backend), key);
    assert_eq!(verify(&backend, &old).status, 401);
    let new = token(&backend);
    assert_eq!(verify(&backend, &new).status, 200);
    // Nor does an ordinary rotation afterwards bring it back.
    backend.say(&["secrets", "rotate", "SECRET_KEY"], 0);
    assert_eq!(
        (verify(&backend, &old).status, verify(&backend, &new).status),
        (401, 200)
    );
}

/// The keyring says that it leaked, and the env file has it: the power went between the two.
#[test]
fn a_leaked_key_that_a_power_cut_left_in_the_env_file_signs_nothing_at_the_next_start() {
    let mut backend = Backend::example("");
    let (old, key) = (token(&backend), key_in_file(&backend));
    assert!(backend.installation.end(), "it ends");
    let env_file = backend.installation.path(".env");
    let before = std::fs::read_to_string(&env_file).expect("an env file");
    let config = backend.installation.config().display().to_string();
    let how = secrets::How::Compromised;
    daemon::rotate_at_rest(&config, &Default::default(), "SECRET_KEY", how).expect("rotated");
    let new = key_in_file(&backend);
    assert_ne!(new, key);
    std::fs::write(&env_file, before).expect("written");
    backend.installation.run().expect("started");
    backend.come_up();
    assert_eq!(key_in_file(&backend), new);
    assert_eq!(verify(&backend, &old).status, 401);
    assert_eq!(verify(&backend, &token(&backend)).status, 200);
}

#[test]
fn a_daemon_that_dies_while_a_leaked_key_is_given_up_is_followed_by_one_that_goes_on() {
    let backend = Backend::example("");
    let (old, key, pid) = (token(&backend), key_in_file(&backend), backend.pid());
    let installation = &backend.installation;
    // The new key is on disk and the daemon is gone: nobody has told the programs.
    let daemon = installation.daemon_pid().expect("a daemon");
    procfs::signal(installation.root_pid(), Signal::STOP);
    procfs::signal(daemon, Signal::KILL);
    let config = installation.path("supervisord.conf");
    let config = config.to_str().expect("UTF-8");
    let how = secrets::How::Compromised;
    daemon::rotate_at_rest(config, &Default::default(), "SECRET_KEY", how).expect("rotated");
    assert_ne!(key_in_file(&backend), key);
    procfs::signal(installation.root_pid(), Signal::CONT);
    eventually("a process with the new key", seconds(30), || {
        installation.pid("backend").filter(|new| *new != pid)
    });
    eventually("the end of the rotation", seconds(30), || {
        let history = backend.say(&["history"], 0).stdout;
        history
            .contains("nothing runs with the old key")
            .then_some(())
    });
    assert_eq!(verify(&backend, &old).status, 401);
    assert_eq!(verify(&backend, &token(&backend)).status, 200);
}

/// The soft limit of a process's core dump.
fn core_limit(pid: i32) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("readable");
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max core file size"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    soft.expect("a limit").to_owned()
}

#[test]
fn who_holds_keys_leaves_no_core_dump_and_programs_keep_their_limit() {
    let backend = Backend::example("");
    let installation = &backend.installation;
    let pid = backend.pid();
    let keeper = installation.keeper_of(pid).expect("a keeper");
    let daemon = installation.daemon_pid().expect("a daemon");
    let own = core_limit(std::process::id() as i32);
    for (what, pid) in [
        ("gateway", gateway_pid(&backend)),
        ("daemon", daemon),
        ("keeper", keeper),
    ] {
        let limit = core_limit(pid);
        assert!(
            limit == "1" || (limit == "0" && own == "0"),
            "{what}: {limit}"
        );
    }
    assert_eq!(core_limit(pid), own);
}

#[test]
fn a_program_that_reads_several_keys_gets_them_and_needs_no_gateway() {
    let backend = Wanted {
        listen: "own",
        ..Wanted::keys("secrets_fallbacks = SECRET_KEY_FALLBACKS:json")
    }
    .start();
    let first = key_in_file(&backend);
    let said = backend.say(&["secrets", "rotate", "SECRET_KEY"], 0);
    assert!(
        said.stdout.contains("it reads tokens of key 1 too"),
        "{}",
        said.text()
    );
    let environ = std::fs::read(format!("/proc/{}/environ", backend.pid())).expect("readable");
    let environ = String::from_utf8_lossy(&environ).into_owned();
    let has = |line: String| environ.split('\0').any(|each| each == line);
    assert!(
        has(format!("SECRET_KEY_FALLBACKS=[\"{first}\"]")),
        "no old key"
    );
    assert!(
        has(format!("SECRET_KEY={}", key_in_file(&backend))),
        "no new key"
    );
}

#[test]
fn a_second_rotation_waits_its_turn_and_one_at_rest_waits_for_the_start() {
    let mut backend = Wanted {
        environment: ",BOOT_S=\"6\"",
        ..Wanted::default()
    }
    .start();
    let old = token(&backend);
    let key = key_in_file(&backend);
    let mut command = backend.installation.command();
    let first = command
        .args(["secrets", "rotate", "SECRET_KEY"])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    eventually("first rotation that has begun", seconds(20), || {
        (key_in_file(&backend) != key).then_some(())
    });
    let second = backend.say(&["secrets", "rotate", "SECRET_KEY"], 1);
    assert!(
        second.stderr.contains("is being rotated"),
        "{}",
        second.text()
    );
    let first = first.wait_with_output().expect("ended");
    assert!(first.status.success(), "{first:?}");
    assert_eq!(verify(&backend, &old).status, 200);

    assert!(
        backend.installation.end(),
        "{}",
        backend.installation.output()
    );
    let said = backend.say(&["secrets", "rotate", "SECRET_KEY"], 0);
    assert!(
        said.stdout.contains("new key 3 made") && said.stdout.contains("nothing runs"),
        "{}",
        said.text()
    );
    backend.installation.run().expect("started");
    backend.come_up();
    assert_eq!(verify(&backend, &old).status, 200);
}

#[test]
fn keys_move_to_another_machine_only_where_that_is_asked_for() {
    let here = Backend::example("");
    let old = token(&here);
    here.say(&["secrets", "rotate", "SECRET_KEY"], 0);
    let refused = here.say(&["secrets", "export"], 2);
    assert!(refused.stderr.contains("--stdout"), "{}", refused.text());
    assert!(!refused.text().contains(&key_in_file(&here)));
    let export = here.say(&["secrets", "export", "--stdout"], 0);
    assert!(
        export.stderr.contains("sign in as anybody"),
        "{}",
        export.stderr
    );

    let there = Backend::example("");
    let theirs = token(&there);
    let refused = there.say(&["secrets", "import"], 2);
    assert!(refused.stderr.contains("--stdin"), "{}", refused.text());
    let mut command = there.installation.command();
    let mut import = command
        .args(["secrets", "import", "--stdin"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    let mut input = import.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut input, export.stdout.as_bytes()).expect("written");
    drop(input);
    let ended = import.wait_with_output().expect("ended");
    assert!(ended.status.success(), "{ended:?}");
    there.say(&["update"], 0);
    assert_eq!(key_in_file(&there), key_in_file(&here));
    for token in [&old, &theirs] {
        assert_eq!(verify(&there, token).status, 200);
    }
}

#[test]
fn a_deploy_with_a_wrong_key_is_found_before_anyone_is_sent_to_it() {
    let backend =
        Wanted::keys("replace = overlap\nprove = /api/auth/verify\nready_timeout = 20s").start();
    let (old, pid) = (token(&backend), backend.pid());
    backend.say(&["restart", "backend"], 0);
    assert_ne!(backend.pid(), pid, "a right key is no obstacle");

    let pid = backend.pid();
    let broken = backend.config.replace(
        "PYTHONDONTWRITEBYTECODE=\"1\"",
        "APP_KEY=\"forgotten-in-an-image\"",
    );
    assert_ne!(broken, backend.config);
    backend.installation.configure(&broken).expect("written");
    let said = backend.say(&["update"], 1);
    assert!(
        said.text().contains(
            "it does not accept a token signed with key 1 of SECRET_KEY (/api/auth/verify answered 401"
        ),
        "{}",
        said.text()
    );
    assert_eq!((backend.pid(), verify(&backend, &old).status), (pid, 200));
}

/// A program that somebody else runs: the FastAPI app of the story, with this key.
struct Somebodys(std::process::Child);

impl Somebodys {
    fn run(port: u16, key: &str) -> Somebodys {
        let mut command = std::process::Command::new(venv("uvicorn"));
        command
            .args(["server:app", "--host", "127.0.0.1", "--port"])
            .arg(port.to_string())
            .current_dir(workspace().join("examples/fastapi"))
            .env("SECRET_KEY", key)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        Somebodys(command.spawn().expect("started"))
    }
}

impl Drop for Somebodys {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Likewise behind the gateway, ready; its port.
fn before_an_upstream(key: &str) -> (Backend, Somebodys, u16) {
    let (port, theirs) = (free_port(), free_port());
    let mut installation = Installation::new(exe()).expect("a directory");
    let dir = installation.dir().display().to_string();
    let config = format!(
        "{}[steadfast]\nstate_dir = {dir}/state\n[gateway:web]\nlisten = 127.0.0.1:{port}\nroute = / -> legacy\n\
         [upstream:legacy]\nconnect = 127.0.0.1:{theirs}\nenv_file = {dir}/.env\nsecrets = SECRET_KEY\n",
        head(installation.dir())
    );
    std::fs::write(installation.path(".env"), format!("SECRET_KEY={key}\n")).expect("written");
    installation.configure(&config).expect("written");
    let program = Somebodys::run(theirs, key);
    installation.run().expect("started");
    let backend = Backend {
        installation,
        port,
        config,
    };
    well(&backend);
    (backend, program, theirs)
}

fn well(backend: &Backend) {
    eventually("answer of the upstream", seconds(30), || {
        let answer = backend.ask(&Request::get("/api/health"));
        answer.ok().filter(|answer| answer.status == 200)
    });
}

#[test]
fn the_key_of_an_upstream_is_rotated_by_hand_as_the_refusal_says() {
    let (first, second) = ("1f5b2c9a".repeat(8), "2e9a6730".repeat(8));
    let (backend, program, port) = before_an_upstream(&first);
    let old = token(&backend);
    assert_eq!(verify(&backend, &old).status, 200);
    let refused = backend.say(&["secrets", "rotate", "SECRET_KEY"], 1);
    let lines: Vec<&str> = refused.stderr.lines().map(str::trim).collect();
    let commands = [
        "steadfast secrets set SECRET_KEY --program upstream:legacy",
        "steadfast update",
    ];
    assert!(
        commands.iter().all(|command| lines.contains(command)),
        "{}",
        refused.text()
    );
    assert_eq!(key_in_file(&backend), first, "nothing was changed");

    drop(program);
    let _program = Somebodys::run(port, &second);
    let set = piped(
        &backend.installation,
        &[
            "secrets",
            "set",
            "SECRET_KEY",
            "--program",
            "upstream:legacy",
        ],
        &second,
    );
    assert_eq!(set.0, 0, "{}", set.2);
    backend.say(&["update"], 0);
    well(&backend);
    // Signed with the old key, which the program does not know any more.
    assert_eq!(verify(&backend, &old).status, 200, "signed again");
    assert_eq!(verify(&backend, &token(&backend)).status, 200);

    // A key that leaked is replaced at once, and the upstream refuses everybody until somebody gives it the new one.
    let said = backend.say(&["secrets", "rotate", "SECRET_KEY", "--compromised"], 0);
    assert!(
        said.text()
            .contains("upstream:legacy  refuses everybody until it is started again"),
        "{}",
        said.text()
    );
    assert_eq!(verify(&backend, &old).status, 401);
}
