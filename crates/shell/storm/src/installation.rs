//! One installation in a directory of its own: `steadfast run -c …` as a child, driven by its command line.
//!
//! Dropping it ends every process of it, whatever state it is in: root is asked first, then everything that
//! carries the directory's name in its environment is killed. The directory goes last.

use crate::procfs::{self, Process};
use crate::wait;
use rustix::process::Signal;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Root gets so long to end everything in order: above a drain (10 s) and a `stopwaitsecs` of 10 s, on a loaded machine.
const END_S_MAX: u64 = 60;
/// What root has waited for is gone; a leftover that nobody waits for may still be dying.
const LEFT_S_MAX: u64 = 10;
/// What SIGKILL leaves is gone after this, or something is very wrong.
const KILLED_S_MAX: u64 = 30;

/// How a command of ours ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Exit status; -1 after a signal.
    pub exit: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Said {
    /// Both outputs, for messages.
    pub fn text(&self) -> String {
        format!("exit {}\n{}{}", self.exit, self.stdout, self.stderr)
    }
    /// Runs `command` to its end, without input.
    pub fn of(command: &mut Command) -> io::Result<Said> {
        let output = command.stdin(Stdio::null()).output()?;
        Ok(Said {
            exit: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// See the module.
pub struct Installation {
    exe: PathBuf,
    dir: tempfile::TempDir,
    root: Option<Child>,
    /// Extra environment of root.
    pub env: Vec<(String, String)>,
}

impl Installation {
    /// An installation of the binary `exe` with nothing in it and nothing running.
    pub fn new(exe: &Path) -> io::Result<Installation> {
        // Under /tmp, not TMPDIR: paths of Unix sockets end at 108 bytes.
        let dir = tempfile::Builder::new()
            .prefix("steadfast-")
            .tempdir_in("/tmp")?;
        // Programs of other users have to get through.
        std::fs::set_permissions(
            dir.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )?;
        Ok(Installation {
            exe: exe.to_owned(),
            dir,
            root: None,
            env: Vec::new(),
        })
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }
    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.path("supervisord.conf")
    }
    /// Where root's own output goes.
    pub fn output(&self) -> String {
        std::fs::read(self.path("output.log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
    /// Writes the configuration.
    pub fn configure(&self, text: &str) -> io::Result<()> {
        std::fs::write(self.config(), text)
    }

    fn run_dir(&self) -> PathBuf {
        self.path("run")
    }

    /// A command of the binary in this installation's environment, without arguments yet.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.exe);
        command
            .env("STEADFAST_RUN_DIR", self.run_dir())
            .envs(self.env.iter().cloned())
            .current_dir(self.dir());
        command
    }

    /// `steadfast ARGS -c CONFIG`, run to its end.
    pub fn say(&self, args: &[&str]) -> io::Result<Said> {
        Said::of(self.command().args(args).arg("-c").arg(self.config()))
    }

    /// Starts `steadfast run -c CONFIG`; it need not have come up when this returns.
    pub fn run(&mut self) -> io::Result<()> {
        let config = self.config();
        self.run_with(&["run", "-c", &config.to_string_lossy()])
    }

    /// Starts root with these arguments.
    pub fn run_with(&mut self, args: &[&str]) -> io::Result<()> {
        use std::os::unix::process::CommandExt;
        std::fs::create_dir_all(self.run_dir())?;
        let output = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("output.log"))?;
        let child = self
            .command()
            .args(args)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()?;
        self.root = Some(child);
        Ok(())
    }

    /// Root's pid, 0 if it was never started.
    pub fn root_pid(&self) -> i32 {
        self.root.as_ref().map_or(0, |child| child.id() as i32)
    }
    /// Root's exit status if it has ended (-1 after a signal).
    pub fn root_ended(&mut self) -> Option<i32> {
        let status = self.root.as_mut()?.try_wait().ok()??;
        Some(status.code().unwrap_or(-1))
    }
    /// Waits for root's end.
    pub fn wait_root(&mut self, within: Duration) -> Option<i32> {
        wait::until(within, || self.root_ended())
    }

    /// Every process of this installation: root, daemon, keepers, programs.
    pub fn processes(&self) -> Vec<Process> {
        procfs::mentioning(&self.run_dir().to_string_lossy())
    }
    /// The daemon's pid.
    pub fn daemon_pid(&self) -> Option<i32> {
        let daemon = self
            .processes()
            .into_iter()
            .find(|process| process.has("__daemon"));
        daemon.map(|process| process.pid)
    }
    /// The keeper of a process: its parent.
    pub fn keeper_of(&self, pid: i32) -> Option<i32> {
        procfs::read(pid).map(|process| process.parent)
    }

    /// `steadfast status --json`.
    pub fn status(&self) -> Option<serde_json::Value> {
        let said = self.say(&["status", "--json"]).ok()?;
        serde_json::from_str(&said.stdout).ok()
    }
    /// One process of the status, by its name.
    pub fn process(&self, name: &str) -> Option<serde_json::Value> {
        find_process(&self.status()?, name).cloned()
    }
    /// The pid of a process that has one.
    pub fn pid(&self, name: &str) -> Option<i32> {
        let pid = self.process(name)?.get("pid")?.as_i64()?;
        i32::try_from(pid).ok().filter(|pid| *pid > 0)
    }
    /// Waits until a process is RUNNING and, behind a gateway, ready; its pid.
    pub fn wait_ready(&self, name: &str, within: Duration) -> Option<i32> {
        wait::until(within, || {
            let process = self.process(name)?;
            let ready = process.get("phase")?.as_str()? == "ready";
            let running = process.get("state")?.as_str()? == "RUNNING";
            if ready && running {
                self.pid(name)
            } else {
                None
            }
        })
    }

    /// SIGKILL for root alone (everything else lives on), and reaps it.
    pub fn kill_root(&mut self) {
        if let Some(mut child) = self.root.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends everything in order; true if nothing had to be killed and root's status was 0.
    pub fn end(&mut self) -> bool {
        let mut orderly = true;
        if let Some(child) = &self.root {
            procfs::signal(child.id() as i32, Signal::TERM);
            orderly = self.wait_root(Duration::from_secs(END_S_MAX)) == Some(0);
        }
        let left = wait::until(Duration::from_secs(LEFT_S_MAX), || {
            self.processes().is_empty().then_some(())
        })
        .is_none();
        if left {
            orderly = false;
            self.kill_all();
        }
        if let Some(mut child) = self.root.take() {
            let _ = child.wait();
        }
        orderly
    }

    /// SIGKILL for everything, until nothing is left.
    pub fn kill_all(&mut self) {
        let _ = wait::until(Duration::from_secs(KILLED_S_MAX), || {
            let left = self.processes();
            for process in &left {
                procfs::signal(process.pid, Signal::KILL);
                // A stopped process dies of SIGKILL as well.
            }
            let _ = self.root_ended();
            left.is_empty().then_some(())
        });
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A failed test wants its end now, not after an orderly one.
            self.kill_all();
        }
        self.end();
    }
}

/// The object with this name in a status document, wherever it stands.
fn find_process<'v>(value: &'v serde_json::Value, name: &str) -> Option<&'v serde_json::Value> {
    match value {
        serde_json::Value::Array(items) => items.iter().find_map(|item| find_process(item, name)),
        serde_json::Value::Object(map) => {
            let text = |key: &str| {
                map.get(key)
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or("")
            };
            let label = format!("{}:{}", text("group"), text("name"));
            if map.contains_key("pid") && (text("name") == name || label == name) {
                return Some(value);
            }
            map.values().find_map(|item| find_process(item, name))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_by_name_or_label_anywhere_in_the_document() {
        let text = r#"{"steadfast":1,"data":{"processes":[{"name":"a","group":"g","pid":4},{"name":"b","group":"b","pid":5}]}}"#;
        let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let pid = |name| find_process(&value, name).and_then(|p| p["pid"].as_i64());
        assert_eq!((pid("g:a"), pid("b"), pid("c")), (Some(4), Some(5), None));
    }

    #[test]
    fn dropping_ends_what_carries_the_directory_even_if_it_ignores_signals() {
        let mut installation = Installation::new(Path::new("/bin/sh")).expect("a directory");
        installation
            .run_with(&["-c", "trap '' TERM; (trap '' TERM; sleep 60) & wait"])
            .expect("starts");
        let two = wait::until(wait::PATIENCE, || {
            let found = installation.processes();
            (found.len() >= 2).then_some(found)
        });
        let pids: Vec<i32> = two
            .expect("sh and sleep")
            .iter()
            .map(|process| process.pid)
            .collect();
        installation.kill_root();
        drop(installation);
        assert!(pids.iter().all(|pid| !procfs::lives(*pid)));
    }
}
