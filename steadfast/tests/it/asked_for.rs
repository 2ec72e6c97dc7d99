//! What Supervisor's users have asked for for ten years, in the same file and with the whole binary.

use crate::harness::{exe, free_port, head, workspace};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use storm::installation::Installation;
use storm::wait;

/// An installation with these sections behind the usual ones; `DIR` in them is its directory.
fn installation(sections: &str) -> Installation {
    let installation = Installation::new(exe()).expect("a directory");
    configure(&installation, sections);
    installation
}

fn configure(installation: &Installation, sections: &str) {
    let dir = installation.dir().display().to_string();
    let text = format!(
        "{}[steadfast]\nstate_dir = {dir}/state\n{}",
        head(installation.dir()),
        sections.replace("DIR", &dir)
    );
    installation.configure(&text).expect("written");
}

fn started(sections: &str) -> Installation {
    let mut installation = installation(sections);
    installation.run().expect("started");
    installation
}

fn say(installation: &Installation, args: &[&str]) -> String {
    let said = installation.say(args).expect("said");
    said.text()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let found = wait::until(wait::PATIENCE, || condition().then_some(()));
    assert!(found.is_some(), "{what}");
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn the_end_of_an_essential_program_ends_everything_with_its_status() {
    let mut tree = installation(
        "[program:side]
command = sh -c 'trap \"echo stopped > DIR/side; exit 0\" TERM; echo up > DIR/side; while :; do sleep 0.05; done'
[program:main]
command = sh -c 'until grep -q up DIR/side; do sleep 0.05; done; exit 7'
essential = true
",
    );
    tree.run().expect("started");
    assert_eq!(tree.wait_root(wait::PATIENCE), Some(7));
    assert_eq!(read(&tree.path("side")), "stopped\n", "the rest in order");
}

#[test]
fn an_essential_program_that_cannot_start_ends_everything() {
    let mut tree = installation("[program:main]\ncommand = /no/such/program\nessential = true\n");
    tree.run().expect("started");
    assert_eq!(tree.wait_root(wait::PATIENCE), Some(127));
}

#[test]
fn what_depends_on_a_oneshot_waits_for_its_success() {
    let tree = started(
        "[program:migrate]
command = sh -c 'until test -f DIR/go; do sleep 0.05; done; echo migrated >> DIR/order'
oneshot = true
[program:web]
command = sh -c 'echo web >> DIR/order; exec sleep 1000'
depends_on = migrate
",
    );
    until("the migration runs", || {
        say(&tree, &["status", "migrate"]).contains("running")
    });
    assert!(!tree.path("order").exists());
    std::fs::write(tree.path("go"), "").expect("written");
    assert!(tree.wait_ready("web", wait::PATIENCE).is_some());
    until("web says that it runs", || {
        read(&tree.path("order")) == "migrated\nweb\n"
    });
    let output = tree.output();
    assert!(output.contains("migrate  started  pid "), "{output}");
    assert!(say(&tree, &["status", "migrate"]).contains("exited"));
}

#[test]
fn a_oneshot_that_fails_holds_back_what_depends_on_it() {
    let tree = started(
        "[program:migrate]
command = sh -c 'exit 3'
oneshot = true
[program:web]
command = sh -c 'echo web >> DIR/order; exec sleep 1000'
depends_on = migrate
",
    );
    until("it is said", || {
        say(&tree, &["status", "web"]).contains("migrate is not ready")
    });
    assert!(!tree.path("order").exists());
}

const WORKERS: &str = "[program:worker]
command = sh -c 'trap \"rm DIR/up_worker_%(process_num)d; echo stop %(process_num)d >> DIR/order; exit 0\" TERM; echo start %(process_num)d >> DIR/order; touch DIR/up_worker_%(process_num)d; while :; do sleep 0.05; done'
process_name = worker_%(process_num)d
numprocs = COUNT
ready = exec:sh -c 'test -f DIR/up_$SUPERVISOR_PROCESS_NAME'
";

#[test]
fn numprocs_changes_keep_the_survivors_and_a_restart_goes_one_by_one() {
    let workers = |count: &str| WORKERS.replace("COUNT", count);
    let tree = started(&workers("2"));
    let pid = |number: u32| tree.wait_ready(&format!("worker:worker_{number}"), wait::PATIENCE);
    let (first, second) = (pid(0), pid(1));
    assert!(first.is_some() && second.is_some());
    configure(&tree, &workers("4"));
    say(&tree, &["update"]);
    assert!(pid(2).is_some() && pid(3).is_some());
    assert_eq!((pid(0), pid(1)), (first, second), "the survivors");
    configure(&tree, &workers("1"));
    say(&tree, &["update"]);
    assert_eq!(pid(0), first);
    assert_eq!(tree.pid("worker:worker_1"), None);

    configure(&tree, &workers("3"));
    say(&tree, &["update"]);
    assert!(pid(1).is_some() && pid(2).is_some());
    std::fs::write(tree.path("order"), "").expect("emptied");
    say(&tree, &["restart", "worker:*"]);
    let order = read(&tree.path("order"));
    let order: Vec<&str> = order.lines().collect();
    assert_eq!(
        order,
        [
            "stop 0", "start 0", "stop 1", "start 1", "stop 2", "start 2"
        ],
        "one at a time"
    );
}

#[test]
fn update_restarts_only_what_changed_in_a_group() {
    let group = |seconds: &str| {
        format!(
            "[group:g]\nprograms = a,b\n[program:a]\ncommand = sleep 1000\n[program:b]\ncommand = sleep {seconds}\n"
        )
    };
    let tree = started(&group("1000"));
    let pid = |name: &str| tree.wait_ready(name, wait::PATIENCE).expect("ready");
    let (a, b) = (pid("g:a"), pid("g:b"));
    configure(&tree, &group("1001"));
    let plan = say(&tree, &["plan"]);
    assert!(
        plan.contains("g:b") && plan.contains("command sleep 1000 -> sleep 1001"),
        "{plan}"
    );
    say(&tree, &["update"]);
    assert_eq!(pid("g:a"), a);
    assert_ne!(pid("g:b"), b);
}

#[test]
fn reread_names_what_an_env_file_changed_without_values() {
    let tree = installation(
        "[program:backend]\ncommand = sleep 1000\nenv_file = DIR/.env\n[program:other]\ncommand = sleep 1000\n",
    );
    std::fs::write(tree.path(".env"), "A=1\nOLD=x\n").expect("written");
    let mut tree = tree;
    tree.run().expect("started");
    tree.wait_ready("backend", wait::PATIENCE).expect("ready");
    std::fs::write(tree.path(".env"), "A=s3cr3t\nDEBUG=s3cr3t\n").expect("written");
    let text = say(&tree, &["reread"]);
    assert!(
        text.contains("backend: changed (env_file: ~A +DEBUG -OLD)"),
        "{text}"
    );
    assert!(
        !text.contains("s3cr3t") && !text.contains("other"),
        "{text}"
    );
}

#[test]
fn reload_sends_the_signal_that_the_program_reloads_itself_by() {
    let tree = started(
        "[program:web]
command = sh -c 'trap \"echo reloaded >> DIR/said\" HUP; echo up >> DIR/said; while :; do sleep 0.05; done'
reload_signal = HUP
[program:plain]
command = sleep 1000
",
    );
    let pid = tree.wait_ready("web", wait::PATIENCE).expect("ready");
    until("it is up", || read(&tree.path("said")).contains("up"));
    let text = say(&tree, &["reload", "web"]);
    assert!(text.contains("SIGHUP sent"), "{text}");
    until("it reloads", || {
        read(&tree.path("said")).contains("reloaded")
    });
    assert_eq!(tree.pid("web"), Some(pid), "the same process");
    // Whoever restarts wants another process: for the signal there is reload.
    say(&tree, &["restart", "web"]);
    assert_ne!(tree.pid("web"), Some(pid), "another process");
    let signals = read(&tree.path("said"));
    assert_eq!(signals.matches("reloaded").count(), 1, "{signals}");
    let refused = tree.say(&["reload", "plain"]).expect("said");
    assert_eq!(refused.exit, 1);
    assert!(
        refused.text().contains("reload_signal = HUP"),
        "{}",
        refused.text()
    );
}

/// The next request with a body of JSON, not answered yet.
fn posted(listener: &TcpListener) -> (std::net::TcpStream, String) {
    let (mut client, _) = listener.accept().expect("a request");
    client
        .set_read_timeout(Some(wait::PATIENCE))
        .expect("a time-out");
    let mut request = Vec::new();
    let mut buffer = [0u8; 4096];
    while !request.ends_with(b"}") {
        let count = client.read(&mut buffer).expect("read");
        assert!(count > 0, "{}", String::from_utf8_lossy(&request));
        request.extend_from_slice(&buffer[..count]);
    }
    (client, String::from_utf8_lossy(&request).into_owned())
}

#[test]
fn news_under_way_outlive_the_daemon() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let tree = started(&format!(
        "[program:broken]
command = sh -c 'exit 9'
startsecs = 30
startretries = 0
notify = http://127.0.0.1:{port}/
"
    ));
    let (_unanswered, first) = posted(&listener);
    let daemon = tree.daemon_pid().expect("a daemon");
    assert!(storm::procfs::signal(daemon, rustix::process::Signal::KILL));
    let (mut client, again) = posted(&listener);
    client
        .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        .expect("answered");
    let body = |request: &str| {
        request
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.to_owned())
    };
    assert_eq!(body(&first), body(&again), "the same news");
    let runs = std::fs::read_dir(tree.path("run")).expect("a run directory");
    let file = runs.flatten().map(|run| run.path().join("news.json"));
    let file = file
        .into_iter()
        .find(|file| file.exists())
        .expect("news.json");
    until("nothing is under way", || {
        read(&file).contains("\"waiting\":[]")
    });
}

#[test]
fn trouble_is_told_by_command_and_by_url() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let tree = started(&format!(
        "notify = http://127.0.0.1:{port}/T0KEN
[program:broken]
command = sh -c 'exit 9'
startsecs = 30
startretries = 0
[program:mail]
command = sh -c 'exit 8'
startsecs = 30
startretries = 0
notify = sh -c 'cat > DIR/mail.tmp && mv DIR/mail.tmp DIR/mail'
"
    ));
    let (mut client, request) = posted(&listener);
    client
        .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        .expect("answered");
    let (head, body) = request.split_once("\r\n\r\n").expect("a body");
    assert!(head.starts_with("POST /T0KEN HTTP/1.1\r\n"), "{head}");
    let news: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(
        (
            &news["steadfast"],
            &news["kind"],
            &news["event"],
            &news["process"]
        ),
        (&1.into(), &"news".into(), &"fatal".into(), &"broken".into())
    );
    until("the mail", || tree.path("mail").exists());
    let mail: serde_json::Value = serde_json::from_str(&read(&tree.path("mail"))).expect("JSON");
    assert_eq!(
        (&mail["event"], &mail["process"]),
        (&"fatal".into(), &"mail".into())
    );
    let log = read(&tree.path("supervisord.log"));
    assert!(!log.contains("T0KEN"), "{log}");
}

#[test]
fn a_program_that_takes_too_much_memory_is_replaced() {
    let tree = started(
        "[program:leak]
command = python3 -c \"import os,time; x=b'x'*(0 if os.path.exists('DIR/small') else 90<<20); time.sleep(1000)\"
memory_max = 60MB
",
    );
    let first = tree.wait_ready("leak", wait::PATIENCE).expect("ready");
    std::fs::write(tree.path("small"), "").expect("written");
    until("it is replaced", || {
        tree.pid("leak").is_some_and(|pid| pid != first)
    });
    let text = say(&tree, &["explain", "leak"]);
    assert!(text.contains("memory"), "{text}");
    let log = read(&tree.path("supervisord.log"));
    assert!(
        log.contains("is more than memory_max = 60 MB: it is replaced"),
        "{log}"
    );
}

#[test]
fn a_url_is_pinged_from_outside() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let _tree = started(&format!(
        "[program:web]
command = sleep 1000
ready = exec:true
keepalive = 1s
keepalive_url = http://127.0.0.1:{port}/up
"
    ));
    for _ in 0..2 {
        let (mut client, _) = listener.accept().expect("a request");
        let mut buffer = [0u8; 1024];
        let count = client.read(&mut buffer).expect("read");
        assert!(buffer[..count].starts_with(b"GET /up HTTP/1.1\r\n"));
        client
            .write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            .expect("answered");
    }
}

#[test]
fn a_maintenance_page_is_what_browsers_see_of_a_stopped_program() {
    let port = free_port();
    let apps = workspace().join("steadfast/tests/apps");
    let tree = installation(&format!(
        "[program:web]
command = python3 -m http.server {port} --bind 127.0.0.1
directory = {}
steadfast_command = python3 -m http.server %(port)s --bind 127.0.0.1
listen = gateway
[gateway:front]
listen = 127.0.0.1:{port}
route = / -> web
maintenance_page = soon.html
",
        apps.display()
    ));
    std::fs::write(tree.path("soon.html"), "<h1>back soon</h1>").expect("written");
    let mut tree = tree;
    tree.run().expect("started");
    tree.wait_ready("web", wait::PATIENCE).expect("ready");
    say(&tree, &["stop", "web"]);
    let mut client = std::net::TcpStream::connect(("127.0.0.1", port)).expect("the gateway");
    client
        .write_all(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n",
        )
        .expect("asked");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.ends_with("<h1>back soon</h1>"), "{answer}");
}

#[test]
fn logs_on_standard_output_say_whose_they_are() {
    let tree = started(
        "[program:a]
command = sh -c 'echo hello; exec sleep 1000'
stdout_logfile = /dev/stdout
stdout_logfile_maxbytes = 0
log_prefix = true
[program:b]
command = sh -c 'echo hello >&2; exec sleep 1000'
stderr_logfile = /dev/stdout
stderr_logfile_maxbytes = 0
log_format = json
",
    );
    until("both lines", || tree.output().matches("hello").count() >= 2);
    let output = tree.output();
    assert!(output.lines().any(|line| line == "a | hello"), "{output}");
    let json = output
        .lines()
        .find(|line| line.starts_with("{\"time\""))
        .expect("a JSON line");
    let line: serde_json::Value = serde_json::from_str(json).expect("JSON");
    assert_eq!(
        (&line["program"], &line["stream"], &line["message"]),
        (&"b".into(), &"stderr".into(), &"hello".into())
    );
    assert!(line["pid"].as_i64().is_some_and(|pid| pid > 0) && line["time"].is_string());
}

/// Reads metrics as Prometheus' own client does and prints name, labels and value of each sample.
const SCRAPE: &str = "import sys
from prometheus_client.parser import text_string_to_metric_families as families
for family in families(sys.stdin.read()):
 for sample in family.samples:
  print(sample.name, ','.join(f'{k}={v}' for k,v in sorted(sample.labels.items())), int(sample.value))";

#[test]
fn metrics_have_the_names_of_node_exporter_and_ask_for_the_password() {
    let port = free_port();
    let tree = started(&format!(
        "[program:web]
command = sleep 1000
[program:job]
command = sh -c 'exit 3'
startsecs = 0
autorestart = false
[inet_http_server]
port = 127.0.0.1:{port}
username = u
password = p
"
    ));
    tree.wait_ready("web", wait::PATIENCE).expect("ready");
    say(&tree, &["restart", "web"]);
    until("the job ended", || {
        say(&tree, &["status", "job"]).contains("exited")
    });
    let ask = |credential: &str| {
        let mut client = std::net::TcpStream::connect(("127.0.0.1", port)).expect("connected");
        let head =
            format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{credential}Connection: close\r\n\r\n");
        client.write_all(head.as_bytes()).expect("asked");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("answered");
        answer
    };
    assert!(ask("").starts_with("HTTP/1.1 401"));
    let answer = ask("Authorization: Basic dTpw\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(
        head.to_lowercase()
            .contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let mut python = std::process::Command::new(crate::harness::venv("python"))
        .args(["-c", SCRAPE])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("python");
    python
        .stdin
        .take()
        .expect("piped")
        .write_all(body.as_bytes())
        .expect("written");
    let output = python.wait_with_output().expect("ended");
    let samples = String::from_utf8_lossy(&output.stdout).into_owned();
    for sample in [
        "node_supervisord_up group=web,name=web 1",
        "node_supervisord_up group=job,name=job 0",
        "node_supervisord_state group=web,name=web 20",
        "node_supervisord_exit_status group=job,name=job 3",
        "steadfast_restarts_total group=web,name=web,reason=operator 1",
        "steadfast_ready group=web,name=web,program=web 1",
    ] {
        assert!(
            samples.lines().any(|line| line == sample),
            "{sample}\n{samples}\n{body}"
        );
    }
    // Its own parser calls a counter `…_total`; the name in the text is node_exporter's.
    assert!(body.contains("\nnode_supervisord_start_time_seconds{name=\"web\",group=\"web\"} 1"));
    assert!(samples.contains("steadfast_memory_bytes group=web,name=web "));
    let printed = say(&tree, &["metrics"]);
    assert!(
        printed.contains("node_supervisord_up{name=\"web\",group=\"web\"} 1"),
        "{printed}"
    );
}
