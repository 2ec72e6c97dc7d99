//! A PostgreSQL of our own, in a temporary directory, on a Unix socket.
#![allow(dead_code, reason = "each test file uses its part")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Server {
    dir: tempfile::TempDir,
    child: Option<Child>,
    more: Vec<String>,
    port: u16,
}

/// PostgreSQL refuses to run as root: it runs as its own user then.
pub(crate) fn command(program: &str) -> Command {
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
    pub(crate) fn start() -> Self {
        let mut server = Self::made();
        server.run();
        server
    }

    /// On loopback as well, for encrypted connections only, with `server.crt` and `server.key` of this directory. Its
    /// port.
    pub(crate) fn start_with_tls(certificates: &Path) -> (Self, u16) {
        let mut server = Self::made();
        let data = server.work().join("data");
        for name in ["server.crt", "server.key"] {
            let path = data.join(name);
            std::fs::copy(certificates.join(name), &path).expect("copied");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
            if is_root() {
                let done = Command::new("chown").arg("postgres:").arg(&path).status();
                assert!(done.expect("chown").success());
            }
        }
        let rules = "local all all trust\nhostssl all all 127.0.0.1/32 trust\nhostssl all all ::1/128 trust\n";
        std::fs::write(data.join("pg_hba.conf"), rules).expect("written");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let more = [
            "listen_addresses=localhost".to_owned(),
            format!("port={port}"),
            "ssl=on".to_owned(),
        ];
        server.more = more.to_vec();
        server.port = port;
        server.run();
        (server, port)
    }

    fn made() -> Self {
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
        Self {
            dir,
            child: None,
            more: vec!["listen_addresses=".to_owned()],
            port: 5432,
        }
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("pg")
    }

    /// Starts it and waits until it answers. Connections of a killed one may be in its way for a moment.
    pub(crate) fn run(&mut self) {
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
                    // Processes are killed here, machines are not: what was written stays, and a slow disk fails no test.
                    .args(["-c", "fsync=off"])
                    .args(self.more.iter().flat_map(|set| ["-c", set]));
                run.current_dir(&work)
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                self.child = Some(run.spawn().expect("postgres runs"));
            }
            let mut ask = self.psql("SELECT 1");
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

    fn psql(&self, sql: &str) -> Command {
        let mut psql = command("psql");
        psql.args(["-U", "steadfast", "-d", "postgres", "-c", sql, "-p"])
            .arg(self.port.to_string())
            .arg("-h")
            .arg(self.work());
        psql
    }

    /// What somebody does to the database beside us.
    pub(crate) fn sql(&self, sql: &str) {
        let done = self.psql(sql).output().expect("psql runs");
        assert!(done.status.success(), "{done:?}");
    }

    /// kill -9 of the server and of all its connections: what was acknowledged must be there.
    pub(crate) fn kill(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        child.kill().expect("killed");
        child.wait().expect("reaped");
    }

    /// As `[sessions] store` names it.
    pub(crate) fn as_store(&self) -> String {
        format!(
            "postgres:///postgres?user=steadfast&host={}",
            self.work().display()
        )
    }

    pub(crate) fn url(&self) -> String {
        format!(
            "host={} user=steadfast dbname=postgres",
            self.work().display()
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
