//! Our server, a table behind it, and the real clients: `supervisorctl` of PyPI and Python's `xmlrpc.client`.

mod common;

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use common::fake::Served;
use common::{DEADLINE, run, venv, wait_for};
use supervisord::Auth;

const USAGE_SIGNAL: &str = "Error: signal requires a signal name and a process name\n";

fn open() -> Served {
    Served::new(Auth::open())
}

/// Runs the real supervisorctl; what it said and its exit status.
fn ctl(served: &Served, line: &str) -> (String, i32) {
    let conf = served.path("ctl.conf");
    let mut args = vec!["-c", conf.as_str()];
    args.extend(line.split_whitespace());
    let output = run("supervisorctl", &args);
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (said, output.status.code().unwrap_or(-1))
}

fn check(served: &Served, line: &str, said: &str, exit: i32) {
    assert_eq!(ctl(served, line), (said.to_owned(), exit), "{line}");
}

/// STOPPED, EXITED or FATAL, and its keeper would start it in a moment: only the daemon knows.
#[test]
fn what_is_about_to_return_is_stopped_although_it_does_not_run() {
    let s = open();
    let returns = |served: &Served| {
        let mut state = served.fake.state.lock().expect("state");
        let mut info = state.processes[3].clone();
        for name in [&mut info.name, &mut info.group] {
            "returns".clone_into(name);
        }
        state.processes.push(info);
    };
    returns(&s);
    check(&s, "stop returns", "returns: stopped\n", 0);
    check(&s, "stop idle", "idle: ERROR (not running)\n", 0);
    let all = "web: stopped\npair:pair_00: stopped\nreturns: stopped\n";
    check(&s, "stop all", all, 0);
}

#[test]
fn supervisorctl_on_processes() {
    let s = open();
    let status = "\
broken                           STOPPED   Not started
dies                             STOPPED   Not started
idle                             STOPPED   Not started
noexec                           STOPPED   Not started
nospawn                          STOPPED   Not started
pair:pair_00                     RUNNING   pid 101, uptime 0:01:40
pair:pair_01                     STOPPED   Not started
web                              RUNNING   pid 100, uptime 0:01:40
";
    check(&s, "status", status, 3);
    check(
        &s,
        "status web",
        "web                              RUNNING   pid 100, uptime 0:01:40\n",
        0,
    );
    check(&s, "status nope", "nope: ERROR (no such process)\n", 4);
    check(
        &s,
        "status gateway",
        "gateway: ERROR (no such process)\n",
        4,
    );
    check(&s, "pid", "42\n", 0);
    check(&s, "pid web", "100\n", 0);
    check(&s, "pid idle", "0\n", 7);
    check(&s, "pid nope", "No such process nope\n", 1);
    check(&s, "start idle", "idle: started\n", 0);
    check(&s, "start idle", "idle: ERROR (already started)\n", 0);
    check(&s, "start nope", "nope: ERROR (no such process)\n", 1);
    check(&s, "start broken", "broken: ERROR (no such file)\n", 1);
    check(
        &s,
        "start noexec",
        "noexec: ERROR (file is not executable)\n",
        1,
    );
    check(&s, "start dies", "dies: ERROR (abnormal termination)\n", 7);
    check(&s, "start nospawn", "nospawn: ERROR (spawn error)\n", 7);
    check(&s, "start pair:*", "pair:pair_01: started\n", 0);
    check(&s, "start nope:*", "nope: ERROR (no such group)\n", 2);
    check(
        &s,
        "stop pair:*",
        "pair:pair_00: stopped\npair:pair_01: stopped\n",
        0,
    );
    check(
        &s,
        "stop pair:pair_00",
        "pair:pair_00: ERROR (not running)\n",
        0,
    );
    check(&s, "restart web", "web: stopped\nweb: started\n", 0);
    check(&s, "stop all", "web: stopped\nidle: stopped\n", 0);
    check(
        &s,
        "start all",
        "web: started\npair:pair_00: started\npair:pair_01: started\nidle: started\nbroken: ERROR (no such file)\n\
         noexec: ERROR (file is not executable)\ndies: ERROR (abnormal termination)\nnospawn: ERROR (spawn error)\n",
        7,
    );
    check(&s, "signal HUP web", "web: signalled\n", 0);
    check(
        &s,
        "signal 15 pair:*",
        "pair:pair_00: signalled\npair:pair_01: signalled\n",
        0,
    );
    check(&s, "signal NOPE web", "web: ERROR (bad signal name)\n", 1);
    check(&s, "signal HUP dies", "dies: ERROR (not running)\n", 7);
    assert!(ctl(&s, "signal HUP").0.starts_with(USAGE_SIGNAL));
}

#[test]
fn supervisorctl_on_the_rest() {
    let s = open();
    check(&s, "version", "4.3.0\n", 0);
    check(
        &s,
        "reread",
        "idle: disappeared\nnew: available\nweb: changed\n",
        0,
    );
    check(
        &s,
        "avail",
        "new                              avail     manual    999:10\n\
         pair:pair_00                     in use    auto      999:10\n\
         web                              in use    auto      999:10\n",
        0,
    );
    check(&s, "add web", "ERROR: process group already active\n", 0);
    check(
        &s,
        "add nonesuch",
        "ERROR: no such process/group: nonesuch\n",
        1,
    );
    check(&s, "add new", "new: added process group\n", 0);
    check(
        &s,
        "remove web",
        "ERROR: process/group still running: web\n",
        1,
    );
    check(
        &s,
        "remove nonesuch",
        "ERROR: no such process/group: nonesuch\n",
        1,
    );
    check(&s, "remove idle", "idle: removed process group\n", 0);
    {
        let mut state = s.fake.state.lock().expect("state");
        state.changes.1.clear();
    }
    check(
        &s,
        "update",
        "idle: stopped\nidle: removed process group\nnew: added process group\n",
        0,
    );
    s.fake.state.lock().expect("state").broken_file = Some("line 3: bad".into());
    check(&s, "reread", "ERROR: CANT_REREAD: line 3: bad\n", 1);
    let (said, exit) = ctl(&s, "reload");
    assert!(
        said.contains("<Fault 92: 'CANT_REREAD: line 3: bad'>"),
        "{said}"
    );
    assert_eq!(exit, 1);
    s.fake.state.lock().expect("state").broken_file = None;
    check(&s, "shutdown", "Shut down\n", 0);
    wait_for("the state", || {
        s.fake.state.lock().expect("state").about.state_code == -1
    });
    check(&s, "shutdown", "ERROR: already shutting down\n", 0);
    check(&s, "reread", "ERROR: supervisor shutting down\n", 1);
}

#[test]
fn supervisorctl_on_logs() {
    let s = open();
    std::fs::write(s.path("web-stdout.log"), "hällo\u{1b}[1m\nout\n").expect("log");
    std::fs::write(s.path("web-stderr.log"), "err\n").expect("log");
    std::fs::write(s.path("main.log"), "began\n").expect("log");
    check(&s, "tail web", "hällo\u{fffd}[1m\nout\n\n", 0);
    check(&s, "tail -4 web", "out\n\n", 0);
    check(&s, "tail web stderr", "err\n\n", 0);
    check(&s, "tail idle", "idle: ERROR (no log file)\n", 1);
    check(&s, "tail nope", "nope: ERROR (no such process name)\n", 1);
    check(&s, "maintail", "began\n\n", 0);
    check(&s, "maintail -3", "an\n\n", 0);
    check(&s, "clear web", "web: cleared\n", 0);
    check(&s, "tail web", "\n", 0);
    check(&s, "clear nope", "nope: ERROR (no such process)\n", 1);
    let (said, exit) = ctl(&s, "clear all");
    assert!(
        said.contains("dies: ERROR (failed)\n") && said.contains("pair:pair_01: cleared\n"),
        "{said}"
    );
    assert_eq!(exit, 1);
}

#[test]
fn supervisorctl_follows_a_log_through_a_rotation_and_a_truncation() {
    let s = open();
    let log = s.path("web-stdout.log");
    std::fs::write(&log, format!("{}\nlast\n", "x".repeat(2000))).expect("log");
    let mut child = Command::new(venv("supervisorctl"))
        .args(["-c", &s.path("ctl.conf"), "tail", "-f", "web"])
        .env("PYTHONUNBUFFERED", "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("run");
    let mut out = child.stdout.take().expect("stdout");
    let (sender, received) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = out.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            if sender.send(text).is_err() {
                return;
            }
        }
    });
    let mut text = String::new();
    let mut until = |end: &str| {
        while !text.ends_with(end) {
            text += &received.recv_timeout(DEADLINE).expect(end);
        }
        text.clone()
    };
    let append = |path: &str, line: &str| {
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).open(path).expect("log");
        file.write_all(line.as_bytes()).expect("log");
    };
    assert_eq!(
        until("last\n"),
        format!("==> Press Ctrl-C to exit <==\n{}\nlast\n", "x".repeat(1018))
    );
    append(&log, "one\n");
    until("last\none\n");
    std::fs::rename(&log, s.path("web-stdout.log.1")).expect("rename");
    append(&s.path("web-stdout.log.1"), "late\n");
    append(&log, "fresh\n");
    until("one\nlate\nfresh\n");
    std::fs::write(&log, "").expect("truncate");
    until("fresh\n==> File truncated <==\n");
    append(&log, "again\n");
    until("<==\nagain\n");
    child.kill().expect("kill");
    child.wait().expect("wait");
    reader.join().expect("reader");
}

const SCRIPT: &str = r#"
import sys, json, xmlrpc.client as x
url, = sys.argv[1:]
s = x.ServerProxy(url)
def fault(call, *args):
    try: return call(*args)
    except x.Fault as f: return [f.faultCode, f.faultString]
v = s.supervisor
print(json.dumps({
    "api": [v.getAPIVersion(), v.getVersion(), v.getSupervisorVersion(), v.getIdentification(), v.getState(), v.getPID()],
    "info": v.getProcessInfo("web"),
    "names": [i["group"] + ":" + i["name"] for i in v.getAllProcessInfo()],
    "config": v.getAllConfigInfo()[2],
    "reload": v.reloadConfig(),
    "start": [fault(v.startProcess, "idle", False), fault(v.startProcess, "idle"), fault(v.startProcess, "pair:*")],
    "group": v.startProcessGroup("dies"),
    "faults": [fault(v.startProcess, "nope"), fault(v.startProcess), fault(v.startProcess, "a", True, 1), fault(v.startProcess, 5),
               fault(v.getProcessInfo, "pair:*"), fault(v.startProcessGroup, "nope"), fault(v.signalProcess, "web", "XYZ"),
               fault(v.signalProcess, "web", 1), fault(v.readLog, -3, 1), fault(v.readProcessLog, "idle", 0, 0)[0],
               fault(v.sendProcessStdin, "web", "hi"), fault(v.sendProcessStdin, "broken", "hi"), fault(v.sendRemoteCommEvent, "a", "b"),
               fault(v.startProcess, "broken"), fault(v.stopProcess, "broken"), fault(v._update, "x"), fault(s.supervisor.supervisord.options.server),
               fault(s.os.system, "x"), fault(s.system.methodHelp, "nope")],
    "tail": v.tailProcessStdoutLog("web", 0, 4),
    "read": v.readProcessStdoutLog("web", "2", 3),
    "many": s.system.multicall([{"methodName": "supervisor.getPID"}, {"methodName": "supervisor.nope", "params": []}, {"params": []}, 7,
                                {"methodName": "system.multicall", "params": [[]]}, {"methodName": "supervisor.startProcess", "params": ["nope"]}]),
    "signature": s.system.methodSignature("supervisor.startProcess"),
    "count": len(s.system.listMethods()),
}))
"#;

#[test]
fn python_gets_every_structure_and_every_fault() {
    let s = Served::new(Auth::user("admin", "s3:cret"));
    std::fs::write(s.path("web-stdout.log"), "0123456789").expect("log");
    std::fs::write(s.path("main.log"), "began\n").expect("log");
    let url = format!("http://admin:s3%3Acret@127.0.0.1:{}/RPC2", s.port);
    let output = run("python", &["-c", SCRIPT, &url]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let got: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
    let dir = s.dir.path().display();
    let expected = serde_json::json!({
        "api": ["3.0", "3.0", "4.3.0", "fake", {"statecode": 1, "statename": "RUNNING"}, 42],
        "info": {
            "name": "web", "group": "web", "start": 1_700_000_000, "stop": 0, "now": 1_700_000_100, "state": 20, "statename": "RUNNING",
            "spawnerr": "", "exitstatus": 0, "logfile": format!("{dir}/web-stdout.log"), "stdout_logfile": format!("{dir}/web-stdout.log"),
            "stderr_logfile": format!("{dir}/web-stderr.log"), "pid": 100, "description": "pid 100, uptime 0:01:40",
        },
        "names": ["broken:broken", "dies:dies", "idle:idle", "noexec:noexec", "nospawn:nospawn", "pair:pair_00", "pair:pair_01", "web:web"],
        "config": {
            "autostart": true, "directory": "none", "uid": "none", "command": "/bin/cat", "exitcodes": [0, 2], "group": "web", "group_prio": 999,
            "inuse": true, "killasgroup": true, "name": "web", "process_prio": 10, "redirect_stderr": false, "startretries": 3, "startsecs": 5,
            "stdout_capture_maxbytes": 0, "stdout_events_enabled": false, "stdout_logfile": "auto", "stdout_logfile_backups": 10,
            "stdout_logfile_maxbytes": 52_428_800, "stdout_syslog": false, "stopsignal": 15, "stopwaitsecs": 10, "stderr_capture_maxbytes": 0,
            "stderr_events_enabled": false, "stderr_logfile": "auto", "stderr_logfile_backups": 10, "stderr_logfile_maxbytes": 52_428_800,
            "stderr_syslog": false, "serverurl": "auto",
        },
        "reload": [[["new"], ["web"], ["idle"]]],
        "start": [true, [60, "ALREADY_STARTED: idle"], [{"name": "pair_01", "group": "pair", "status": 80, "description": "OK"}]],
        "group": [{"name": "dies", "group": "dies", "status": 40, "description": "ABNORMAL_TERMINATION: dies"}],
        "faults": [
            [10, "BAD_NAME: nope"], [2, "INCORRECT_PARAMETERS"], [2, "INCORRECT_PARAMETERS"], [2, "INCORRECT_PARAMETERS"],
            [10, "BAD_NAME: pair:*"], [10, "BAD_NAME: nope"], [11, "BAD_SIGNAL: XYZ"], true, [3, "BAD_ARGUMENTS"], 20,
            true, [70, "NOT_RUNNING: broken"], true, [20, "NO_FILE: can't find command '/nonexistent'"],
            [70, "NOT_RUNNING: broken"], [1, "UNKNOWN_METHOD"], [1, "UNKNOWN_METHOD"], [1, "UNKNOWN_METHOD"], [4, "SIGNATURE_UNSUPPORTED"],
        ],
        "tail": ["6789", 10, true],
        "read": "234",
        "many": [
            42, {"faultCode": 1, "faultString": "UNKNOWN_METHOD"}, {"faultCode": 2, "faultString": "INCORRECT_PARAMETERS: No methodName"},
            {"faultCode": 2, "faultString": "INCORRECT_PARAMETERS: No methodName"},
            {"faultCode": 2, "faultString": "INCORRECT_PARAMETERS: Recursive system.multicall forbidden"},
            {"faultCode": 10, "faultString": "BAD_NAME: nope"},
        ],
        "signature": ["boolean", "string", "boolean"],
        "count": 41,
    });
    for (key, value) in expected.as_object().expect("object") {
        assert_eq!(&got[key], value, "{key}");
    }
    let asked = s.fake.asked();
    assert!(
        asked
            .iter()
            .all(|(_, by)| by == "XML-RPC, admin (127.0.0.1)"),
        "{asked:?}"
    );
}

#[test]
fn who_may_not_is_told_so() {
    let hashed = "{SHA}82ab876d1387bfafe46cc1c8a2ef074eae50cb1d"; // thepassword
    let s = Served::new(Auth::user("chris", hashed));
    let url = format!("http://127.0.0.1:{}", s.port);
    let conf = s.path("ctl.conf");
    let ctl = |user: &[&str]| {
        let mut args = vec!["-c", conf.as_str(), "-s", url.as_str()];
        args.extend(user);
        args.push("version");
        let output = run("supervisorctl", &args);
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            output.status.code(),
        )
    };
    for wrong in [
        &[][..],
        &["-u", "chris", "-p", "wrong"],
        &["-u", "chris", "-p", hashed],
        &["-u", "other", "-p", "thepassword"],
    ] {
        let (said, exit) = ctl(wrong);
        assert!(
            said.starts_with("Server requires authentication\n"),
            "{said}"
        );
        assert!(!said.contains("4.3.0") && exit == Some(1), "{said}");
    }
    assert_eq!(
        ctl(&["-u", "chris", "-p", "thepassword"]),
        ("4.3.0\n".into(), Some(0))
    );
}

/// The status line of the answer to raw bytes, and what follows the head.
fn raw(mut stream: impl Read + Write, request: &[u8]) -> (String, String) {
    // A server that refuses early may close before all is written.
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text.as_str(), ""));
    let line = head.lines().next().unwrap_or("").to_owned();
    (line, body.to_owned())
}

fn post(body: &str) -> String {
    format!(
        "POST /RPC2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn malformed_requests_are_answered_and_harm_nobody() {
    let s = open();
    std::fs::write(s.path("web-stdout.log"), "x\n").expect("log");
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let huge = "x".repeat(2 * 1024 * 1024);
    let deep = format!(
        "<methodCall><methodName>a.b</methodName><params><param><value>{}",
        "<array><data><value>".repeat(50_000)
    );
    let table = [
        (
            "not HTTP",
            "\0\x01\x02\r\n\r\n".to_owned(),
            "HTTP/1.1 400 Bad Request",
        ),
        ("no XML", post("hello"), "HTTP/1.1 400 Bad Request"),
        (
            "a page of another site",
            post("<methodCall><methodName>supervisor.stopAllProcesses</methodName></methodCall>")
                .replacen(
                    "Host: x\r\n",
                    "Host: x\r\nOrigin: http://evil.example\r\n",
                    1,
                ),
            "HTTP/1.1 403 Forbidden",
        ),
        ("empty", post(""), "HTTP/1.1 400 Bad Request"),
        (
            "no method",
            post("<methodCall><methodName/></methodCall>"),
            "HTTP/1.1 400 Bad Request",
        ),
        ("deep", post(&deep), "HTTP/1.1 400 Bad Request"),
        ("too long", post(&huge), "HTTP/1.1 413 Payload Too Large"),
        (
            "announced too long",
            "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n".to_owned(),
            "HTTP/1.1 413 Payload Too Large",
        ),
        (
            "chunked too long",
            format!(
                "POST /RPC2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n{huge}\r\n0\r\n\r\n"
            ),
            "HTTP/1.1 413 Payload Too Large",
        ),
        (
            "bad length",
            "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 1x\r\n\r\n".to_owned(),
            "HTTP/1.1 400 Bad Request",
        ),
        (
            "long head",
            format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(100_000)),
            "HTTP/1.1 431 Request Header Fields Too Large",
        ),
        ("get of RPC2", get("/RPC2"), "HTTP/1.1 400 Bad Request"),
        ("nothing there", get("/nope"), "HTTP/1.1 404 Not Found"),
        (
            "up and away",
            get("/../../etc/passwd"),
            "HTTP/1.1 404 Not Found",
        ),
        (
            "no such process",
            get("/logtail/nope/stdout"),
            "HTTP/1.1 404 Not Found",
        ),
        (
            "no such channel",
            get("/logtail/web/both"),
            "HTTP/1.1 404 Not Found",
        ),
        ("a group", get("/logtail/pair:*"), "HTTP/1.1 404 Not Found"),
        ("no log yet", get("/logtail/idle"), "HTTP/1.1 404 Not Found"),
        (
            "a name with a line break",
            get("/logtail/web%0a"),
            "HTTP/1.1 404 Not Found",
        ),
        (
            "bad escape",
            get("/logtail/%zz"),
            "HTTP/1.1 400 Bad Request",
        ),
        ("welcome", get("/"), "HTTP/1.1 200 OK"),
    ];
    // A client that never finishes its request stays beside the others.
    let mut half = UnixStream::connect(s.path("s.sock")).expect("connect");
    half.write_all(b"POST /RPC2 HTTP/1.1\r\nContent-Le")
        .expect("half");
    for (what, request, line) in table {
        let stream = TcpStream::connect(("127.0.0.1", s.port)).expect("connect");
        assert_eq!(raw(stream, request.as_bytes()).0, line, "{what}");
    }
    let call = post("<methodCall><methodName>supervisor.getPID</methodName></methodCall>");
    let stream = UnixStream::connect(s.path("s.sock")).expect("connect");
    let (line, body) = raw(stream, call.as_bytes());
    assert_eq!(line, "HTTP/1.1 200 OK");
    assert!(body.contains("<int>42</int>"), "{body}");
}

#[test]
fn no_more_than_so_many_followers() {
    let s = open();
    std::fs::write(s.path("main.log"), "x\n").expect("log");
    let request = b"GET /mainlogtail HTTP/1.1\r\nHost: x\r\n\r\n";
    let follow = || {
        let mut stream = UnixStream::connect(s.path("s.sock")).expect("connect");
        stream.write_all(request).expect("write");
        let mut bytes = [0; 12];
        stream.read_exact(&mut bytes).expect("answer");
        (stream, String::from_utf8_lossy(&bytes).into_owned())
    };
    let mut followers: Vec<_> = (0..supervisord::FOLLOWERS_MAX).map(|_| follow()).collect();
    assert!(followers.iter().all(|(_, line)| line == "HTTP/1.1 200"));
    assert_eq!(follow().1, "HTTP/1.1 503");
    // One goes, and there is room for another.
    followers.pop();
    wait_for("a place", || follow().1 == "HTTP/1.1 200");
}

#[test]
fn many_calls_in_one_do_not_read_logs_without_end() {
    let s = open();
    // Sparse: it is long and takes no room.
    let log = std::fs::File::create(s.path("web-stdout.log")).expect("log");
    log.set_len(16 * 1024 * 1024).expect("longer");
    let one = "<value><struct>\
        <member><name>methodName</name><value>supervisor.readProcessStdoutLog</value></member>\
        <member><name>params</name><value><array><data><value>web</value><value><int>0</int></value>\
        <value><int>0</int></value></data></array></value></member></struct></value>";
    let calls = 12;
    let body = format!(
        "<methodCall><methodName>system.multicall</methodName><params><param><value><array><data>{}\
         </data></array></value></param></params></methodCall>",
        one.repeat(calls)
    );
    let stream = TcpStream::connect(("127.0.0.1", s.port)).expect("connected");
    let (line, answer) = raw(stream, post(&body).as_bytes());
    assert_eq!(line, "HTTP/1.1 200 OK");
    let refused = answer.matches("the results are too long together").count();
    assert_eq!(refused, calls - 3);
}
