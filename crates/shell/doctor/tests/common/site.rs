//! A real supervisord with one real server below it, in a directory of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::doctor;

/// How long anything real may take on a loaded machine of two cores.
const WITHIN: Duration = Duration::from_secs(90);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A key that nothing is to be said against.
pub(crate) const KEY: &str = "8d1f5b2c9a7e4630f1b8d5c2e9a6730418f5b2c9d6a3e7041b8f5c2d9e6a7304";

/// Waits for a condition, and says what did not come.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + WITHIN;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "{what}: not within {WITHIN:?}");
        std::thread::park_timeout(LOOK);
    }
}

/// A program of the venv that `cargo xtask test` makes.
pub(crate) fn venv(program: &str) -> String {
    let venv =
        std::env::var("STEADFAST_VENV").expect("STEADFAST_VENV is not set: run cargo xtask test");
    let path = Path::new(&venv).join("bin").join(program);
    assert!(
        path.exists(),
        "{} is missing: run cargo xtask test",
        path.display()
    );
    path.display().to_string()
}

/// A port that is nobody else's until this process ends.
pub(crate) fn free_port() -> u16 {
    storm::ports::free().expect("a free port")
}

/// The site.
pub(crate) struct Site {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) port: u16,
    supervisord: Child,
}

impl Drop for Site {
    fn drop(&mut self) {
        // SIGTERM: supervisord stops what it started.
        let pid = rustix::process::Pid::from_child(&self.supervisord);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.supervisord.wait();
    }
}

impl Site {
    /// `command` may name `PORT`; `files` lie in the program's directory.
    pub(crate) fn new(command: &str, keys: &str, files: &[(&str, &str)]) -> Site {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let port = free_port();
        let here = dir.path().display();
        let app = dir.path().join("app");
        fs::create_dir(&app).expect("made");
        for (name, text) in files {
            if let Some(dir) = app.join(name).parent() {
                fs::create_dir_all(dir).expect("made");
            }
            fs::write(app.join(name), text).expect("written");
        }
        let command = command.replace("PORT", &port.to_string());
        let text = format!(
            "[supervisord]\npidfile = {here}/s.pid\nlogfile = {here}/s.log\nchildlogdir = {here}\n\
             [unix_http_server]\nfile = {here}/s.sock\n[supervisorctl]\nserverurl = unix://{here}/s.sock\n\
             [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
             \n[program:backend]\ncommand = {command}   ; as it was found\ndirectory = {here}/app\n\
             stdout_logfile = {here}/out.log\nstderr_logfile = {here}/err.log\nstopasgroup = true\nkillasgroup = true\n{keys}"
        );
        fs::write(dir.path().join("supervisord.conf"), text).expect("written");
        let supervisord = Command::new(venv("supervisord"))
            .arg("-n")
            .arg("-c")
            .arg(dir.path().join("supervisord.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("supervisord starts");
        let site = Site {
            dir,
            port,
            supervisord,
        };
        if command.contains(&port.to_string()) {
            site.answers();
        }
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn config(&self) -> String {
        self.path("supervisord.conf").display().to_string()
    }

    /// Waits until the program takes connections.
    pub(crate) fn answers(&self) {
        until("the server answers", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()
        });
    }

    /// The report as JSON.
    pub(crate) fn report(&self, words: &[&str]) -> serde_json::Value {
        let config = self.config();
        let said = doctor(&[&["-c", &config, "--json"], words].concat());
        serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {} {}", said.out, said.err))
    }

    /// The report as text.
    pub(crate) fn text(&self) -> String {
        doctor(&["-c", &self.config()]).out
    }

    /// The finding of a code; the report fails the test if there is none.
    pub(crate) fn finding(&self, code: &str) -> serde_json::Value {
        let report = self.report(&[]);
        let found = report["findings"]
            .as_array()
            .and_then(|all| all.iter().find(|f| f["code"] == code));
        found
            .cloned()
            .unwrap_or_else(|| panic!("{code} is not found:\n{}", self.text()))
    }

    /// Everything that the logs of the program say.
    pub(crate) fn logs(&self) -> String {
        ["out.log", "err.log"]
            .iter()
            .map(|l| fs::read_to_string(self.path(l)).unwrap_or_default())
            .collect()
    }

    /// `supervisorctl WORDS`.
    pub(crate) fn ctl(&self, words: &[&str]) -> String {
        let output = Command::new(venv("supervisorctl"))
            .arg("-c")
            .arg(self.config())
            .args(words)
            .output()
            .expect("supervisorctl runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The program's pid, as Supervisor tells it.
    pub(crate) fn pid(&self) -> i32 {
        until("it runs", || {
            self.ctl(&["pid", "backend"])
                .trim()
                .parse()
                .ok()
                .filter(|pid| *pid > 0)
        })
    }
}

/// Codes of warning and above, but for those about the user that a test runs as and where its directory lies.
pub(crate) fn bad(report: &serde_json::Value) -> Vec<String> {
    let all = report["findings"].as_array().expect("findings");
    let bad = all
        .iter()
        .filter(|f| f["severity"] != "note")
        .map(|f| f["code"].as_str().unwrap_or("").to_owned());
    bad.filter(|code| code != "SF308" && code != "SF209")
        .collect()
}
