//! Rules about what runs, on real processes: each with one that they must fire on, and one that they must not.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{doctor, findings};

/// A process that says "ready" when it is, and its directory.
struct Running {
    child: Child,
    dir: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it does until it is killed, once it is ready.
const WAIT: &str = "print('ready', flush=True)\nimport time\nwhile True: time.sleep(0.01)\n";

impl Running {
    /// Python code, in a directory with `server.py`; `sh` runs `before` in the same process.
    fn start(before: &str, code: &str) -> Running {
        let python = std::env::var("STEADFAST_PY").expect("STEADFAST_PY: run cargo xtask test");
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        fs::write(dir.path().join("server.py"), code).expect("written");
        let mut child = Command::new("sh")
            .args(["-c", &format!("{before} exec {python} server.py")])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh runs");
        let mut line = String::new();
        let pipe = child.stdout.take().expect("a pipe");
        BufReader::new(pipe).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        Running { child, dir }
    }

    fn codes(&self, words: &[&str]) -> Vec<String> {
        let pid = self.child.id().to_string();
        let found = findings(&[&["--pid", &pid], words].concat());
        found.into_iter().map(|(code, _)| code).collect()
    }
}

/// Code that watches a directory by inotify.
fn watcher(dir: &str) -> String {
    format!(
        "import ctypes\nlibc = ctypes.CDLL(None)\nfd = libc.inotify_init()\n\
         assert libc.inotify_add_watch(fd, b'{dir}', 0x100) > 0\n{WAIT}"
    )
}

#[test]
fn a_process_that_watches_its_code() {
    let running = Running::start("", &watcher("."));
    assert!(running.codes(&[]).contains(&"SF504".to_owned()));
    let pid = running.child.id().to_string();
    let out = doctor(&["--pid", &pid, "--select", "SF504"]).out;
    assert!(out.contains(&format!("pid {pid} watches 1 paths")), "{out}");
    let dir = running.dir.path().canonicalize().expect("is there");
    assert!(
        out.replace("\n  ", "").contains(&dir.display().to_string()),
        "{out}"
    );
}

#[test]
fn a_process_that_watches_something_else() {
    let running = Running::start("WERKZEUG_RUN_MAIN=false", &watcher("/etc"));
    let codes = running.codes(&[]);
    for code in ["SF504", "SF505", "SF510"] {
        assert!(!codes.contains(&code.to_owned()), "{codes:?}");
    }
}

#[test]
fn a_process_with_the_mark_of_a_reloader() {
    let running = Running::start("WERKZEUG_RUN_MAIN=true", WAIT);
    assert!(running.codes(&[]).contains(&"SF505".to_owned()));
}

#[test]
fn descriptors_that_run_out() {
    let code = format!("files = [open('server.py') for _ in range(24)]\n{WAIT}");
    let running = Running::start("ulimit -n 32;", &code);
    assert!(running.codes(&[]).contains(&"SF510".to_owned()));
}

/// Python that keeps 2 MB more every 10 ms, and opens a file, up to a bound.
const LEAK: &str = "print('ready', flush=True)
import time
kept = []
while True:
    if len(kept) < 600:
        kept.append((bytearray(b'x' * (1 << 20)), open('server.py')))
    time.sleep(0.01)
";

#[test]
fn memory_that_grows() {
    let running = Running::start("", LEAK);
    let pid = running.child.id().to_string();
    let said = doctor(&["--pid", &pid, "--live", "--select", "SF512"]);
    assert!(said.out.contains("SF512"), "{}", said.out);
    assert!(said.out.contains("descriptors"), "{}", said.out);
    assert_eq!(said.status, 1);
}

/// Too slow for 4 s: some 13 files are open more then, and some 40 after 12 s.
const SLOW_LEAK: &str = "print('ready', flush=True)
import time
kept = []
while True:
    kept.append(open('server.py'))
    time.sleep(0.3)
";

#[test]
fn a_slow_leak_is_seen_within_as_long_as_is_said() {
    let running = Running::start("", SLOW_LEAK);
    let pid = running.child.id().to_string();
    let said = doctor(&["--pid", &pid, "--live=12s", "--select", "SF512"]);
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("SF512 memory or descriptors grow: descriptors"),
        "{words}"
    );
    assert!(words.contains("within 12s"), "{words}");
    assert!(
        said.err
            .contains("memory and descriptors are watched for 12s"),
        "{}",
        said.err
    );
    for wrong in ["--live=3s", "--live=2d", "--live=soon"] {
        assert_eq!(doctor(&["--pid", &pid, wrong]).status, 2, "{wrong}");
    }
}

#[test]
fn memory_that_stays() {
    let running = Running::start("", WAIT);
    assert!(!running.codes(&["--live"]).contains(&"SF512".to_owned()));
}

#[test]
fn who_writes_is_told_under_live() {
    let running = Running::start(
        "",
        "print('ready', flush=True)\nimport time\nwhile True:\n    open('out.log', 'a').write('x')\n    time.sleep(0.05)\n",
    );
    let pid = running.child.id().to_string();
    let said = doctor(&["--pid", &pid, "--live", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let may = sys::writers::Writers::listen().is_ok();
    if !may {
        assert!(said.out.contains("not visible"), "{}", said.out);
        return;
    }
    let writes = report["live"]["writes"].as_array().expect("writes");
    let of = |w: &&serde_json::Value| w["pid"].as_u64() == Some(running.child.id().into());
    let write = writes.iter().find(of).unwrap_or_else(|| panic!("{report}"));
    assert!(write["times"].as_u64() > Some(1), "{write}");
    assert!(
        write["file"]
            .as_str()
            .is_some_and(|f| f.ends_with("/out.log")),
        "{write}"
    );
    assert!(
        write["command"]
            .as_str()
            .is_some_and(|c| c.contains("server.py")),
        "{write}"
    );
}

/// Whether the doctor says that a key in a directory does not last.
fn is_fleeting(dir: &Path) -> bool {
    let key = common::site::KEY;
    fs::write(dir.join("key.env"), format!("SECRET_KEY={key}\n")).expect("written");
    let here = dir.display();
    let text = format!(
        "[supervisord]\npidfile = {here}/s.pid\nlogfile = {here}/s.log\n[program:backend]\n\
         command = uvicorn server:app --env-file key.env --port 8001\ndirectory = {here}\n"
    );
    let config = dir.join("supervisord.conf");
    fs::write(&config, text).expect("written");
    let found = findings(&["-c", &config.display().to_string()]);
    found.iter().any(|(code, _)| code == "SF209")
}

/// What a directory lies on, as stat(1) names it.
fn lies_on(dir: &Path) -> String {
    let output = Command::new("stat")
        .args(["-f", "-c", "%T"])
        .arg(dir)
        .output()
        .expect("stat runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_key_in_memory_does_not_last() {
    let dir = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    assert_eq!(lies_on(dir.path()), "tmpfs");
    assert!(is_fleeting(dir.path()), "SF209");
}

#[test]
fn a_key_on_a_disk_lasts() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let fleeting = ["tmpfs", "ramfs", "overlayfs"].contains(&lies_on(dir.path()).as_str());
    assert_eq!(is_fleeting(dir.path()), fleeting);
}
