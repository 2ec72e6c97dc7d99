//! What a new user runs into: two supervisors on one file, programs that lost theirs, one program that is wrong among
//! many, an address that somebody else holds.

use crate::harness::{eventually, exe, free_port, head, seconds, venv};
use std::process::{Command, Stdio};
use storm::installation::{Installation, Said};
use storm::procfs;

fn with(config: impl Fn(&str) -> String) -> Installation {
    let installation = Installation::new(exe()).expect("a directory");
    let dir = installation.dir().display().to_string();
    let text = head(installation.dir()) + &config(&dir);
    installation.configure(&text).expect("written");
    installation
}

fn say(installation: &Installation, args: &[&str], exit: i32) -> Said {
    let said = installation.say(args).expect("runs");
    assert_eq!(
        said.exit,
        exit,
        "steadfast {args:?}: {}\nroot said:\n{}",
        said.text(),
        installation.output()
    );
    said
}

fn up(installation: &Installation, name: &str) -> i32 {
    installation
        .wait_ready(name, seconds(30))
        .unwrap_or_else(|| panic!("{name} is not ready:\n{}", installation.output()))
}

/// The real supervisord in the foreground; it ends with the test.
struct Real(std::process::Child);

impl Drop for Real {
    fn drop(&mut self) {
        procfs::signal(self.0.id() as i32, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

fn supervisorctl(installation: &Installation, args: &[&str]) -> Said {
    let mut command = Command::new(venv("supervisorctl"));
    Said::of(command.arg("-c").arg(installation.config()).args(args)).expect("runs")
}

fn real(installation: &Installation) -> Real {
    let child = Command::new(venv("supervisord"))
        .args(["-n", "-c"])
        .arg(installation.config())
        .current_dir(installation.dir())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("supervisord runs");
    Real(child)
}

#[test]
fn a_file_that_another_supervisor_runs_is_not_run_twice() {
    let installation = with(|dir| {
        format!("[program:worker]\ncommand = sh -c 'echo life >> {dir}/lives; exec sleep 86501'\n")
    });
    let other = real(&installation);
    eventually("the real one answers", seconds(30), || {
        let said = supervisorctl(&installation, &["status", "worker"]);
        said.stdout.contains("RUNNING").then_some(())
    });
    let pidfile = std::fs::read_to_string(installation.path("supervisord.pid")).expect("written");

    let refused = say(&installation, &["run"], 2);
    let text = refused.text();
    assert!(text.contains(&format!("pid {}", other.0.id())), "{text}");
    assert!(
        text.contains("shutdown") && text.contains("steadfast adopt"),
        "{text}"
    );

    let after = std::fs::read_to_string(installation.path("supervisord.pid")).expect("stays");
    assert_eq!(after, pidfile, "the pidfile is another's");
    let status = supervisorctl(&installation, &["status", "worker"]);
    assert!(status.stdout.contains("RUNNING"), "{}", status.text());
    let lives = std::fs::read_to_string(installation.path("lives")).expect("written");
    assert_eq!(lives.lines().count(), 1, "it ran twice");
}

#[test]
fn a_supervisor_without_sockets_is_known_by_its_pidfile() {
    let installation = Installation::new(exe()).expect("a directory");
    let dir = installation.dir().display().to_string();
    let config = format!(
        "[supervisord]\nlogfile = {dir}/supervisord.log\npidfile = {dir}/supervisord.pid\n\
         [program:worker]\ncommand = sleep 86502\n"
    );
    installation.configure(&config).expect("written");
    let other = real(&installation);
    eventually("its pidfile", seconds(30), || {
        std::fs::read_to_string(installation.path("supervisord.pid"))
            .ok()
            .filter(|text| text.trim() == other.0.id().to_string())
    });
    let refused = say(&installation, &["run"], 2);
    assert!(
        refused.text().contains("supervisord.pid"),
        "{}",
        refused.text()
    );
}

#[test]
fn only_the_own_socket_is_removed_at_the_end() {
    let mut installation = with(|_| "[program:a]\ncommand = sleep 86503\n".to_owned());
    installation.run().expect("started");
    up(&installation, "a");
    let socket = installation.path("s.sock");
    std::fs::remove_file(&socket).expect("removed");
    let _other = std::os::unix::net::UnixListener::bind(&socket).expect("another's");
    std::fs::write(installation.path("supervisord.pid"), "1\n").expect("another's");
    say(&installation, &["shutdown"], 0);
    assert!(socket.exists(), "another's socket was removed");
    assert!(
        installation.path("supervisord.pid").exists(),
        "another's pidfile was removed"
    );
}

#[test]
fn programs_that_lost_their_supervisor_are_named_and_can_be_ended() {
    let mut installation = with(|_| "[program:a]\ncommand = sleep 86504\n".to_owned());
    installation.run().expect("started");
    let pid = up(&installation, "a");
    let daemon = installation.daemon_pid().expect("a daemon");
    installation.kill_root();
    eventually("the daemon's end", seconds(30), || {
        (!procfs::lives(daemon)).then_some(())
    });
    assert!(procfs::lives(pid));
    // Without a file it is found as well.
    let status = Said::of(installation.command().arg("status")).expect("runs");
    assert!(status.text().contains("still kept"), "{}", status.text());
    assert!(
        status.text().contains("steadfast shutdown -c"),
        "{}",
        status.text()
    );

    let ended = Said::of(installation.command().arg("shutdown")).expect("runs");
    assert_eq!(ended.exit, 0, "{}", ended.text());
    assert!(
        ended.stdout.contains("everything has ended"),
        "{}",
        ended.text()
    );
    assert!(!procfs::lives(pid), "it was said to have ended");
    // There is nothing left to end, and nothing is said to have ended.
    let again = Said::of(installation.command().arg("shutdown")).expect("runs");
    assert_eq!(again.exit, 2);
    assert!(
        !again.stdout.contains("everything has ended"),
        "{}",
        again.text()
    );
}

const REFUSED: &str = "
[steadfast]
[program:good]
command = sleep 86505
[program:dev]
command = uvicorn server:app --port 8001 --reload
[program:gated]
command = /opt/some-server
listen = gateway
";

#[test]
fn what_is_refused_is_seen_and_holds_nothing_else_up() {
    let mut installation = with(|_| REFUSED.to_owned());
    installation.run().expect("started");
    up(&installation, "good");
    assert!(
        installation.output().contains("1 program, 2 left out"),
        "{}",
        installation.output()
    );

    let status = say(&installation, &["status"], 0).stdout;
    let line = |name: &str| status.lines().find(|line| line.starts_with(name));
    for name in ["dev", "gated"] {
        let line = line(name).unwrap_or_else(|| panic!("{name} is not listed: {status}"));
        assert!(
            line.contains("refused") && line.contains("supervisord.conf:"),
            "{line}"
        );
    }
    let started = say(&installation, &["start", "dev"], 1).text();
    assert!(
        started.contains("dev was left out") && started.contains("supervisord.conf:"),
        "{started}"
    );
    let listed = supervisorctl(&installation, &["status"]);
    assert!(!listed.stdout.contains("dev"), "{}", listed.stdout);

    let more = format!(
        "{}{REFUSED}[program:fresh]\ncommand = sleep 86506\n",
        head(installation.dir())
    );
    installation.configure(&more).expect("written");
    let updated = say(&installation, &["update"], 1);
    assert!(updated.stdout.contains("fresh: new"), "{}", updated.text());
    assert!(
        !updated.text().contains("nothing differs"),
        "{}",
        updated.text()
    );
    assert_eq!(
        updated.text().matches("development server").count(),
        1,
        "{}",
        updated.text()
    );
    up(&installation, "fresh");

    // An error of the reader's may concern anything: nothing is changed.
    installation
        .configure(&format!("{more}stopsignal = NEVER\n"))
        .expect("written");
    let refused = say(&installation, &["update"], 1);
    assert!(
        refused
            .stdout
            .contains("nothing was changed: mend the errors first"),
        "{}",
        refused.text()
    );
    assert_eq!(
        refused.text().matches("NEVER").count(),
        2,
        "message and line: {}",
        refused.text()
    );
    let fault = supervisorctl(&installation, &["update"]).text();
    assert!(
        fault.contains("CANT_REREAD") && fault.len() < 700,
        "{fault}"
    );
    assert!(
        fault.contains("stopsignal") && !fault.contains("warning"),
        "{fault}"
    );
    up(&installation, "fresh");
}

#[test]
fn an_address_that_is_taken_is_said_and_taken_when_it_is_free() {
    let port = free_port();
    let holder = std::net::TcpListener::bind(("127.0.0.1", port)).expect("free");
    let web = free_port();
    let taken = std::net::TcpListener::bind(("127.0.0.1", web)).expect("free");
    let apps = crate::harness::workspace().join("steadfast/tests/apps");
    let uvicorn = venv("uvicorn");
    let mut installation = with(|_| {
        format!(
            "[inet_http_server]\nport = 127.0.0.1:{web}\n[steadfast]\n[program:app]\ncommand = {} backend:app \
             --host 127.0.0.1 --port {port}\ndirectory = {}\nenvironment = PYTHONDONTWRITEBYTECODE=1\n\
             listen = gateway\n",
            uvicorn.display(),
            apps.display()
        )
    });
    installation.run().expect("started");
    let said = eventually("it says so", seconds(30), || {
        let text = installation.output();
        text.contains("app  nobody can reach it").then_some(text)
    });
    assert!(said.contains("[inet_http_server] 127.0.0.1"), "{said}");
    assert!(said.contains("tried again every 15 s"), "{said}");
    eventually("status says so", seconds(30), || {
        let status = say(&installation, &["status"], 0).stdout;
        status
            .contains("nobody can reach it: 127.0.0.1")
            .then_some(())
    });
    drop((holder, taken));
    eventually("both listen", seconds(60), || {
        let text = installation.output();
        let both = text.contains("app  listening on 127.0.0.1")
            && text.contains("[inet_http_server]  listening");
        both.then_some(())
    });
    eventually("it is reached", seconds(30), || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    let status = say(&installation, &["status"], 0).stdout;
    assert!(!status.contains("nobody can reach it"), "{status}");
}

#[test]
fn what_is_waited_for_is_said_while_it_is_and_afterwards() {
    let mut installation = with(|_| {
        "[program:never]\ncommand = sh -c 'echo getting up; exec sleep 86507'\nready = log:WONTCOME\n\
         ready_timeout = 25s\nstartretries = 0\nautostart = false\n"
            .to_owned()
    });
    installation.run().expect("started");
    let awaited = "no line of its output matched `WONTCOME`";
    let mut start = installation.command();
    start
        .args(["start", "never", "-c"])
        .arg(installation.config());
    let start = start.stdout(Stdio::piped()).stderr(Stdio::piped());
    eventually("a daemon", seconds(30), || installation.status());
    let child = start.spawn().expect("runs");
    for command in ["status", "explain"] {
        eventually("it says what it waits for", seconds(30), || {
            let said = installation.say(&[command, "never"]).expect("runs").text();
            said.contains(&format!("not ready yet: {awaited}"))
                .then_some(())
        });
    }
    let output = child.wait_with_output().expect("ends");
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        notes.contains(&format!("never  not ready yet: {awaited}")),
        "{notes}"
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let whole = format!("not ready within 25 s: {awaited}");
    assert!(said.contains(&whole), "{said}");
    eventually("explain has the reason", seconds(30), || {
        let said = say(&installation, &["explain", "never"], 0).stdout;
        said.contains("not ready within 25 s").then_some(())
    });
    let output = installation.output();
    assert!(output.contains("see: steadfast logs never"), "{output}");
}

#[test]
fn the_links_are_made_where_it_is_said_or_where_it_was_called() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name);
    let given = path("given");
    std::fs::create_dir(&given).expect("made");
    let said = Said::of(Command::new(exe()).arg("links").arg(&given)).expect("runs");
    assert_eq!(said.exit, 0, "{}", said.text());
    let called = path("called");
    std::fs::create_dir(&called).expect("made");
    std::os::unix::fs::symlink(exe(), called.join("steadfast")).expect("linked");
    let mut by_path = Command::new("sh");
    by_path
        .args(["-c", "exec steadfast links"])
        .env("PATH", format!("{}:/usr/bin:/bin", called.display()));
    let said = Said::of(&mut by_path).expect("runs");
    assert_eq!(said.exit, 0, "{}", said.text());
    for dir in [&given, &called] {
        for name in ["supervisord", "supervisorctl"] {
            let link = dir.join(name);
            assert_eq!(
                link.canonicalize().expect("a link"),
                exe().canonicalize().expect("there")
            );
        }
    }
}

#[test]
fn a_key_that_was_made_is_no_change() {
    let backend = crate::harness::Backend::start();
    for command in ["reread", "plan"] {
        let said = backend.say(&[command], 0).text();
        assert!(!said.contains("SECRET_KEY"), "{command}: {said}");
    }
}

#[test]
fn the_doctor_sees_what_runs_also_without_a_socket_of_supervisors() {
    let mut installation = Installation::new(exe()).expect("a directory");
    let dir = installation.dir().display().to_string();
    let text = format!(
        "[steadfast]
state_dir = {dir}/state
[supervisord]
logfile = {dir}/s.log
pidfile = {dir}/s.pid
[program:away]
command = sleep 86480
autostart = false
[program:here]
command = sleep 86481
"
    );
    installation.configure(&text).expect("written");
    installation.run().expect("starts");
    let pid = up(&installation, "here");
    let said = installation.say(&["doctor"]).expect("runs").text();
    assert!(said.contains(&format!("here  pid {pid} ")), "{said}");
    assert!(said.contains("away  not running"), "{said}");
}

#[test]
fn a_server_with_another_password_is_opened_at_its_old_place_at_once() {
    let mut installation = Installation::new(exe()).expect("a directory");
    let dir = installation.dir().display().to_string();
    let config = |password: &str| {
        let with = format!("s.sock\nusername = ann\npassword = {password}\n[rpcinterface");
        let text = head(installation.dir()).replacen("s.sock\n[rpcinterface", &with, 1);
        text + &format!(
            "password = {password}\nusername = ann\n[program:here]\ncommand = sleep 86482\ndirectory = {dir}\n"
        )
    };
    let (first, second) = (config("one"), config("two"));
    installation.configure(&first).expect("written");
    installation.run().expect("starts");
    up(&installation, "here");
    installation.configure(&second).expect("written");
    say(&installation, &["reload"], 0);
    let status = supervisorctl(&installation, &["status", "here"]);
    assert!(status.stdout.contains("RUNNING"), "{}", status.text());
    let output = installation.output();
    assert!(!output.contains("in use"), "{output}");
}

#[test]
fn addresses_are_free_when_shutdown_has_answered() {
    let mut installation = Installation::new(exe()).expect("a directory");
    let [server, own] = [(); 2].map(|()| storm::ports::free().expect("a port"));
    let dir = installation.dir().display().to_string();
    let config = head(installation.dir())
        + &format!(
            "[inet_http_server]\nport = 127.0.0.1:{server}\n[fcgi-program:web]\ndirectory = {dir}\n\
             socket = tcp://127.0.0.1:{own}\ncommand = sleep 86483\n"
        );
    installation.configure(&config).expect("written");
    for _ in 0..5 {
        installation.run().expect("starts");
        up(&installation, "web");
        say(&installation, &["shutdown"], 0);
        for port in [server, own] {
            if let Err(why) = std::net::TcpListener::bind(("127.0.0.1", port)) {
                panic!("{port}: {why}");
            }
        }
    }
}

#[test]
fn a_reload_says_which_server_could_not_be_opened() {
    let mut installation = Installation::new(exe()).expect("a directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let dir = installation.dir().display().to_string();
    let program = format!("[program:here]\ncommand = sleep 86484\ndirectory = {dir}\n");
    let before = head(installation.dir()) + &program;
    installation.configure(&before).expect("written");
    installation.run().expect("starts");
    up(&installation, "here");
    let server = format!("[inet_http_server]\nport = 127.0.0.1:{port}\n");
    installation
        .configure(&(before + &server))
        .expect("written");
    let said = say(&installation, &["reload"], 1).text();
    assert!(
        said.contains("[inet_http_server]") && said.contains("in use"),
        "{said}"
    );
    assert!(!said.contains("applied"), "{said}");
    assert!(said.contains("it is tried again"), "{said}");
    drop(taken);
    eventually("the server is open", seconds(60), || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
}

#[test]
fn what_is_missing_on_a_command_line_is_said_with_the_words_to_write() {
    let installation = with(|_| "[program:worker]\ncommand = sleep 86503\n".to_owned());
    let check = |args: &[&str], exit: i32, words: &[&str]| {
        let said = say(&installation, args, exit);
        let text = said.text();
        assert!(said.stderr.starts_with("error: "), "{args:?}: {text}");
        for word in words {
            assert!(text.contains(word), "{args:?} without {word:?}: {text}");
        }
    };
    check(
        &["sessions", "revoke"],
        2,
        &[
            "steadfast sessions list",
            "steadfast sessions revoke --user NAME",
        ],
    );
    check(
        &["users", "add", " ada"],
        1,
        &["\" ada\"", "256 bytes", "ada@example.org"],
    );
    check(&["pid", "worker"], 2, &["steadfast"]);
    let said = Said::of(Command::new(exe()).args(["run", "--"])).expect("runs");
    assert_eq!(said.exit, 2, "{}", said.text());
    let text = said.text();
    assert!(
        said.stderr.starts_with("error: ") && text.contains("steadfast run -- uvicorn"),
        "{text}"
    );
}

#[test]
fn adopt_takes_the_file_as_every_other_command_does() {
    let installation = with(|_| "[program:worker]\ncommand = sleep 86504\n".to_owned());
    let config = installation.config().display().to_string();
    let plain = Said::of(Command::new(exe()).args(["adopt", &config])).expect("runs");
    assert!(plain.stdout.contains("[steadfast]"), "{}", plain.text());
    for args in [["-c", &config, "adopt"], ["adopt", "-c", &config]] {
        let said = Said::of(Command::new(exe()).args(args)).expect("runs");
        assert_eq!(said.stdout, plain.stdout, "{}", said.text());
    }
}

#[test]
fn a_value_that_is_no_text_is_named_and_not_shown() {
    let installation =
        with(|_| "[program:worker]\ncommand = sleep 86505\nsecrets = API_KEY\n".to_owned());
    let mut command = installation.command();
    let mut child = command
        .args(["secrets", "set", "API_KEY"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut input = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut input, b"hunter2\xff\n").expect("read");
    drop(input);
    let output = child.wait_with_output().expect("ends");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.starts_with("error: the value of API_KEY is not UTF-8 text (byte 8)"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_session_store_that_is_away_is_named_without_its_password() {
    let port = free_port();
    let installation = with(|_| {
        format!(
            "[program:worker]\ncommand = sleep 86506\n[sessions]\nstore = postgres://bob:hunter2@127.0.0.1:{port}/app\n"
        )
    });
    let said = say(&installation, &["sessions", "list"], 1);
    let text = said.text();
    assert!(text.contains(&format!("127.0.0.1:{port}/app")), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}
