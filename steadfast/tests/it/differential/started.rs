//! One of the two as people start it: by its name, with options, from a directory of its own.

use crate::harness::{eventually, exe, seconds, venv};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use storm::wait;

pub(super) const PROGRAMS: &str = "
[unix_http_server]
file = {dir}/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://{dir}/s.sock
[program:a]
command = sh -c 'pwd; umask; echo $TOLD; id -un; echo that is all; exec sleep 86460'
startsecs = 0
";

/// What only Steadfast says beside Supervisor's words. An error of supervisorctl names a class of Python's.
fn of_ours(line: &str) -> bool {
    let error = line.starts_with("error: ") && !line.starts_with("error: <class");
    error || line.starts_with("warning: ")
}

/// One of the two as people start it: by its name, from a directory of its own.
pub(super) struct Started {
    pub(super) dir: tempfile::TempDir,
    pub(super) ours: bool,
    pub(super) transcript: String,
}

impl Started {
    pub(super) fn new(ours: bool) -> Started {
        let dir = tempfile::tempdir().expect("a directory");
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).expect("made");
        for name in ["supervisord", "supervisorctl"] {
            let target = if ours { exe().to_owned() } else { venv(name) };
            std::os::unix::fs::symlink(target, bin.join(name)).expect("linked");
        }
        Started {
            dir,
            ours,
            transcript: String::new(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("in a directory")).expect("made");
        let text = text.replace("{dir}", &self.dir.path().display().to_string());
        std::fs::write(path, text).expect("written");
    }

    pub(super) fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.path("bin").join(name));
        command
            .args(args.iter().map(|arg| self.filled(arg)))
            .current_dir(self.dir.path())
            .env("STEADFAST_RUN_DIR", self.path("run"))
            .stdin(Stdio::null());
        command
    }

    pub(super) fn filled(&self, text: &str) -> String {
        text.replace("{dir}", &self.dir.path().display().to_string())
    }

    pub(super) fn note(&mut self, text: &str) {
        let text = text.replace(&self.dir.path().display().to_string(), "DIR");
        // Where Python's warnings come from is not what is compared.
        let line = |line: &str| match line.split_once("UserWarning: ") {
            Some((_, warning)) => format!("UserWarning: {warning}"),
            None => line.to_owned(),
        };
        let lines: Vec<String> = text
            .lines()
            .filter(|line| line.trim() != "self.warnings.warn(" && !of_ours(line))
            .map(line)
            .collect();
        self.transcript += &super::mask(&(lines.join("\n") + "\n"));
    }

    /// Runs it to its end (or to its way to the background) and writes down what it says.
    pub(super) fn say(&mut self, name: &str, args: &[&str]) {
        let output = self.command(name, args).output().expect("runs");
        self.note(&format!(
            "$ {name} {}\n{}{}exit {:?}",
            args.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            output.status.code()
        ));
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(super) fn pid(&self, pidfile: &str) -> i32 {
        eventually("a pidfile", seconds(20), || {
            self.read(pidfile).trim().parse().ok()
        })
    }

    /// Waits for this in a file, which is written down without the times of its lines.
    pub(super) fn file(&mut self, name: &str, until: &str) {
        let text = eventually(&format!("{until:?} in {name}"), seconds(20), || {
            let text = self.read(name);
            text.contains(until).then_some(text)
        });
        // Said every three seconds: how often is a matter of time.
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        let said = |line: &str| line.get(24..).map(str::to_owned);
        lines.dedup_by(|one, other| one.contains("waiting for") && said(one) == said(other));
        let text = lines.concat();
        self.note(&format!("{name}:\n{text}"));
    }

    pub(super) fn signal(&self, pidfile: &str, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid(pidfile)).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("signalled");
    }

    pub(super) fn wait_gone(&self, pid: i32) {
        let gone = wait::until(wait::PATIENCE, || {
            (!Path::new(&format!("/proc/{pid}")).exists() || zombie(pid)).then_some(())
        });
        assert!(gone.is_some(), "ours: {}: {pid} does not end", self.ours);
    }

    pub(super) fn end(&mut self, pidfile: &str) {
        let pid = self.pid(pidfile);
        self.signal(pidfile, rustix::process::Signal::TERM);
        self.wait_gone(pid);
    }
}

impl Drop for Started {
    /// Nothing of a test that failed stays behind.
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.dir.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            let pid = self.read(&name).trim().parse().ok();
            if let Some(pid) = pid.filter(|_| name.ends_with(".pid"))
                && let Some(pid) = rustix::process::Pid::from_raw(pid)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
    }
}

fn zombie(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_none_or(|rest| rest.trim_start().starts_with('Z'))
}

/// The same on both sides, one beside the other.
pub(super) fn both(script: impl Fn(&mut Started) + Sync) {
    let play = |ours| {
        let mut side = Started::new(ours);
        script(&mut side);
        std::mem::take(&mut side.transcript)
    };
    let (real, ours) = super::both(play);
    super::same(&real, &ours);
}

pub(super) fn has(text: &str) -> impl Fn(&Started) -> bool {
    let text = text.to_owned();
    move |side| side.transcript.contains(&text)
}
