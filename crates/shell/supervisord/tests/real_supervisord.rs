//! Our `supervisorctl` against the real supervisord, beside the real one: two instances of the same
//! configuration, the same commands in the same order, one by each client; what is said and the exit status
//! must be the same.

mod common;
#[allow(unreachable_pub, reason = "public in its own crate")]
#[path = "../../storm/src/ports.rs"]
mod ports;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Cursor, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use common::{run, venv, wait_for};
use regex_lite::Regex;
use supervisord::ctl;

/// A real supervisord, ended when it is dropped.
struct Real {
    dir: tempfile::TempDir,
    port: u16,
    child: Child,
}

const PROGRAMS: &str = "
[program:talks]
command = /bin/sh -c 'echo hello; echo oops >&2; exec sleep 1000'
[program:late]
command = /bin/sleep 1000
autostart = false
startsecs = 0
[program:missing]
command = /nonexistent/program
autostart = false
[program:noexec]
command = %(here)s/data
autostart = false
[program:dies]
command = /bin/sh -c 'exit 3'
autostart = false
startsecs = 30
startretries = 0
[program:pair]
command = /bin/sleep 1000
process_name = %(program_name)s_%(process_num)02d
numprocs = 2
startsecs = 0
priority = 5
[program:quiet]
command = /bin/sleep 1000
stdout_logfile = NONE
stderr_logfile = NONE
startsecs = 0
";

fn configuration(dir: &Path, port: u16, programs: &str) -> String {
    let dir = dir.display();
    format!(
        "[supervisord]
logfile = {dir}/main.log
pidfile = {dir}/s.pid
childlogdir = {dir}
nodaemon = true
[unix_http_server]
file = {dir}/s.sock
[inet_http_server]
port = 127.0.0.1:{port}
username = admin
password = secret
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://{dir}/s.sock
{programs}"
    )
}

impl Real {
    fn start() -> Real {
        let dir = tempfile::tempdir().expect("dir");
        let port = ports::free().expect("a free port");
        let conf = dir.path().join("s.conf");
        fs::write(&conf, configuration(dir.path(), port, PROGRAMS)).expect("write");
        fs::write(dir.path().join("data"), "").expect("write");
        let child = Command::new(venv("supervisord"))
            .arg("-c")
            .arg(&conf)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("supervisord");
        let real = Real { dir, port, child };
        wait_for("supervisord", || {
            UnixStream::connect(real.path("s.sock")).is_ok() && TcpOk(real.port).up()
        });
        wait_for("talks", || {
            let status = real.real("status talks").0;
            status.contains("RUNNING") && real.real("tail talks").0.contains("hello")
        });
        real
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn rewrite(&self, programs: &str) {
        let text = configuration(self.dir.path(), self.port, programs);
        fs::write(self.dir.path().join("s.conf"), text).expect("write");
    }

    fn args(&self, line: &str) -> Vec<String> {
        let line = line
            .replace("DIR", &self.dir.path().display().to_string())
            .replace("PORT", &self.port.to_string());
        let words = line.split_whitespace().map(str::to_owned);
        match line.starts_with('-') {
            true => words.collect(),
            false => ["-c".to_owned(), self.path("s.conf")]
                .into_iter()
                .chain(words)
                .collect(),
        }
    }

    /// By the real supervisorctl: stdout, stderr, exit status.
    fn real(&self, line: &str) -> (String, String, i32) {
        let args = self.args(line);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = run("supervisorctl", &args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            text(&output.stdout),
            text(&output.stderr),
            output.status.code().unwrap_or(-1),
        )
    }

    /// By ours.
    fn ours(&self, line: &str, input: &str) -> (String, String, i32) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = ours(&self.args(line), &mut out, &mut err, input);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (text(out), text(err), i32::from(exit))
    }

    /// What differs between two instances: places, pids, times, and Python's own source lines.
    fn normal(&self, text: &str) -> String {
        let mut text = text
            .replace(&self.dir.path().display().to_string(), "DIR")
            .replace(
                &venv("supervisorctl").display().to_string(),
                "supervisorctl",
            )
            .replace(&self.port.to_string(), "PORT");
        for (pattern, with) in [
            (r"pid \d+", "pid N"),
            (r"uptime \d+:\d\d:\d\d", "uptime T"),
            (r"(?m)^[1-9]\d*$", "N"),
            (r"[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M", "DATE"),
            (r": file: .* line: \d+", ""),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+", "STAMP"),
        ] {
            let pattern = Regex::new(pattern).expect("pattern");
            text = pattern.replace_all(&text, with).into_owned();
        }
        text
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}

struct TcpOk(u16);

impl TcpOk {
    fn up(&self) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", self.0)).is_ok()
    }
}

fn ours(args: &[String], out: &mut dyn Write, err: &mut dyn Write, input: &str) -> u8 {
    let mut input = BufReader::new(Cursor::new(input.to_owned()));
    let mut io = ctl::Io {
        out,
        err,
        input: &mut input,
        stdin: false,
        terminal: false,
        program: "supervisorctl".to_owned(),
        vars: BTreeMap::new(),
        cwd: "/".to_owned(),
    };
    ctl::main(args, &mut io)
}

/// One instance for each client.
struct Pair {
    a: Real,
    b: Real,
}

impl Pair {
    fn start() -> Pair {
        Pair {
            a: Real::start(),
            b: Real::start(),
        }
    }

    /// The same command by both, on an instance each.
    fn check(&self, line: &str) {
        let (out, err, exit) = self.a.real(line);
        let real = (self.a.normal(&out), self.a.normal(&err), exit);
        let (out, err, exit) = self.b.ours(line, "");
        let ours = (self.b.normal(&out), self.b.normal(&err), exit);
        assert_eq!(ours, real, "{line} (ours, then the real one)");
    }

    fn rewrite(&self, programs: &str) {
        self.a.rewrite(programs);
        self.b.rewrite(programs);
    }
}

#[test]
fn the_same_words_about_processes() {
    let pair = Pair::start();
    for line in [
        "status",
        "status talks",
        "status pair:*",
        "status nope",
        "status nope:*",
        "status talks nope late",
        "status all",
        "pid",
        "pid talks",
        "pid late",
        "pid nope",
        "pid all",
        "pid talks late",
        "start",
        "start late",
        "start late",
        "start nope",
        "start nope:*",
        "start missing",
        "start noexec",
        "start dies",
        "start pair:*",
        "start pair:pair_00",
        "start late talks nope",
        "status late dies missing",
        "stop",
        "stop late",
        "stop late",
        "stop nope",
        "stop nope:*",
        "stop pair:pair_01",
        "stop pair:*",
        "status pair:*",
        "restart",
        "restart late",
        "restart nope",
        "restart quiet late",
        "restart pair:*",
        "signal",
        "signal HUP",
        "signal URG talks",
        "signal SIGURG talks late",
        "signal 23 talks",
        "signal NOPE talks",
        "signal 999 talks",
        "signal URG nope",
        "signal URG nope:*",
        "signal URG dies",
        "signal NOPE pair:*",
        "signal NOPE all",
        "fg",
        "fg nope",
        "fg dies",
        "fg a b",
    ] {
        pair.check(line);
    }
}

#[test]
fn the_same_words_about_logs_the_file_and_the_rest() {
    let pair = Pair::start();
    for line in [
        "version",
        "version x",
        "avail",
        "avail x",
        "reread",
        "reread x",
        "update",
        "update nope",
        "update all",
        "tail",
        "tail talks",
        "tail talks stderr",
        "tail talks STDERR",
        "tail -3 talks",
        "tail -3 talks stderr",
        "tail -x talks",
        "tail -5",
        "tail talks both",
        "tail a b c d",
        "tail nope",
        "tail quiet",
        "tail late",
        "tail -f nope",
        "tail -f quiet",
        "maintail x",
        "maintail -x",
        "maintail a b",
        "maintail -0",
        "clear",
        "clear talks",
        "tail talks",
        "clear nope",
        "clear talks nope",
        "clear all",
        "add",
        "add talks",
        "add nope",
        "remove talks",
        "remove nope",
        "remove late",
        "status late",
        "add late",
        "status late",
        "help",
        "help start",
        "help help",
        "help nope",
        "?tail",
        "nonsense",
        "nonsense with words",
        "!ls",
        "add2",
        "quit",
        "exit",
        "reload x",
        "shutdown x",
        "open ftp://x",
        "open unix://DIR/s.sock",
        "open unix://DIR/none.sock",
        "open",
    ] {
        pair.check(line);
    }
    let changed = PROGRAMS
        .replace("[program:quiet]\n", "[program:quiet]\npriority = 7\n")
        .replace("[program:noexec]", "[program:brandnew]\nstartsecs = 0");
    pair.rewrite(&changed);
    pair.check("reread");
    pair.check("avail");
    pair.check("update pair other");
    pair.check("update");
    pair.check("status");
    pair.rewrite("[program:bad]\ncommand = x\nstartsecs = soon\n");
    for line in ["reread", "update", "avail"] {
        pair.check(line);
    }
    pair.rewrite(PROGRAMS);
    pair.check("shutdown");
    for real in [&pair.a, &pair.b] {
        wait_for("the end", || !Path::new(&real.path("s.sock")).exists());
    }
    for line in [
        "status",
        "shutdown",
        "reread",
        "pid",
        "start talks",
        "tail -f talks",
    ] {
        pair.check(line);
    }
}

#[test]
fn the_same_words_about_servers_options_and_passwords() {
    let pair = Pair::start();
    for line in [
        "-s http://127.0.0.1:PORT status talks",
        "-s http://127.0.0.1:PORT -u admin -p wrong status talks",
        "-s http://127.0.0.1:PORT -u admin -p wrong shutdown",
        "-s http://127.0.0.1:PORT -u admin -p secret status talks",
        "-shttp://127.0.0.1:PORT --username=admin --pass secret version",
        "-s http://127.0.0.1:PORT -u admin -p secret tail -f nope",
        "-s http://127.0.0.1:PORT -u admin -p wrong tail -f talks",
        "-s http://127.0.0.1:1 status",
        "-s http://127.0.0.1:1 start talks",
        "-s http://127.0.0.1:1 reread",
        "-s http://127.0.0.1:1 shutdown",
        "-s unix://DIR/none.sock status",
        "-s unix://DIR/none.sock stop all",
        "-s unix://DIR/none.sock avail",
        "-s unix://DIR/none.sock shutdown",
        "-s unix://DIR/data status",
        "-s localhost:9001 status",
        "-s zzz status",
        "-c DIR/none.conf status",
        "-c DIR/data status",
        "-x",
        "-c",
        "--help=1",
        "--h",
        "-c DIR/s.conf -c DIR/s.conf status",
        "-c DIR/s.conf -i version",
    ] {
        pair.check(line);
    }
}

#[test]
fn a_session() {
    let pair = Pair::start();
    let script = "pid late\n\nnonsense\nversion\nshutdown\nno\nreload\nNO\nhelp help\nexit\n";
    let conf = pair.a.path("s.conf");
    let mut child = Command::new(venv("supervisorctl"))
        .args(["-c", &conf])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(script.as_bytes()).expect("write");
    drop(stdin);
    let output = child.wait_with_output().expect("wait");
    let real = pair.a.normal(&String::from_utf8_lossy(&output.stdout));
    let (out, _, exit) = pair.b.ours("-c DIR/s.conf", script);
    assert_eq!((pair.b.normal(&out), exit), (real, 0));
    // The end of the input ends it too.
    let (out, _, exit) = pair.b.ours("-c DIR/s.conf", "version");
    assert!(out.ends_with("supervisor> 4.3.0\nsupervisor> \n"), "{out}");
    assert_eq!(exit, 0);
}

/// Output that another thread looks at.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("output").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_log_is_followed_until_the_server_ends() {
    let real = Real::start();
    let shared = Shared::default();
    let (args, mut out) = (real.args("tail -f talks"), shared.clone());
    let following = std::thread::spawn(move || ours(&args, &mut out, &mut Vec::new(), ""));
    let text = || String::from_utf8_lossy(&shared.0.lock().expect("output")).into_owned();
    wait_for("the log", || {
        text() == "==> Press Ctrl-C to exit <==\nhello\n"
    });
    assert_eq!(real.ours("restart talks", "").2, 0);
    wait_for("more", || text().ends_with("hello\nhello\n"));
    drop(real);
    assert_eq!(following.join().expect("thread"), 0);
}

#[test]
fn the_table_of_methods_is_that_of_supervisor() {
    let real = Real::start();
    let script = "
import sys, json, xmlrpc.client as x
from supervisor.xmlrpc import SupervisorTransport
s = x.ServerProxy('http://x', SupervisorTransport(serverurl=sys.argv[1]))
def signature(n):
    try: return s.system.methodSignature(n)
    except x.Fault as f: return [f.faultString]
print(json.dumps({n: signature(n) for n in s.system.listMethods()}))
";
    let output = run(
        "python",
        &["-c", script, &format!("unix://{}", real.path("s.sock"))],
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let theirs: BTreeMap<String, Vec<String>> =
        serde_json::from_slice(&output.stdout).expect("json");
    let ours: BTreeMap<String, Vec<String>> = supervisord::methods::table::METHODS
        .iter()
        .map(|m| {
            (
                m.name.to_owned(),
                m.types.iter().map(|t| (*t).to_owned()).collect(),
            )
        })
        .collect();
    assert_eq!(ours, theirs);
}
