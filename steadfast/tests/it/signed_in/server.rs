//! A PostgreSQL of our own, in a temporary directory, on a Unix socket only.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(super) struct Server {
    dir: tempfile::TempDir,
    child: Option<Child>,
}

/// PostgreSQL refuses to run as root: it runs as its own user then.
fn command(program: &str) -> Command {
    let path = [
        "/usr/local/bin",
        "/usr/bin",
        "/usr/lib/postgresql/17/bin",
        "/usr/lib/postgresql/15/bin",
    ]
    .iter()
    .map(|dir| Path::new(dir).join(program))
    .find(|path| path.exists())
    .unwrap_or_else(|| panic!("{program} is missing: install PostgreSQL (apt install postgresql)"));
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(path);
    command
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("/proc")) == 0
}

impl Server {
    pub(super) fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))
            .expect("opened");
        let work = dir.path().join("pg");
        std::fs::create_dir(&work).expect("made");
        if is_root() {
            let done = Command::new("chown")
                .arg("postgres:")
                .arg(&work)
                .status()
                .expect("chown");
            assert!(done.success());
        }
        let mut init = command("initdb");
        init.arg("-D").arg(work.join("data")).args([
            "-U",
            "steadfast",
            "--auth=trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]);
        let done = init.current_dir(&work).output().expect("initdb runs");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        let mut server = Self { dir, child: None };
        server.run();
        server
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("pg")
    }

    /// Starts it and waits until it answers. Connections of a killed one may be in its way for a moment.
    pub(super) fn run(&mut self) {
        let work = self.work();
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            let running = self
                .child
                .as_mut()
                .is_some_and(|child| matches!(child.try_wait(), Ok(None)));
            if !running {
                let mut run = command("postgres");
                run.arg("-D")
                    .arg(work.join("data"))
                    .arg("-k")
                    .arg(&work)
                    .args(["-c", "listen_addresses="]);
                run.current_dir(&work)
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                self.child = Some(run.spawn().expect("postgres runs"));
            }
            let mut ask = command("psql");
            ask.args(["-U", "steadfast", "-d", "postgres", "-c", "SELECT 1", "-h"])
                .arg(&work);
            let answer = ask
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .expect("psql runs");
            if answer.success() {
                return;
            }
        }
        panic!("PostgreSQL did not start in 60 s");
    }

    /// kill -9 of the server and of all its connections: what was acknowledged must be there.
    pub(super) fn kill(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        child.kill().expect("killed");
        child.wait().expect("reaped");
    }

    /// As `[sessions] store` names it.
    pub(super) fn url(&self) -> String {
        format!(
            "postgres:///postgres?user=steadfast&host={}",
            self.work().display()
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
