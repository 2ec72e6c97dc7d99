//! What a test stands on: an installation in a directory of its own with a real backend, users, and words for
//! what is expected of them.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use storm::client::{Answer, Client, Failure, Request, Target};
use storm::installation::{Installation, Said};
use storm::load::{Log, Plan, Running};
use storm::wait::{self, PATIENCE};

/// Users of the load tests, as in the story.
pub(crate) const USERS: usize = 20;
/// Fewer requests show nothing.
const SAMPLES_MIN: usize = 500;

/// The binary under test.
pub(crate) fn exe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_steadfast"))
}

/// The workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
}

/// A program of the venv that `cargo xtask test` makes.
pub(crate) fn venv(program: &str) -> PathBuf {
    let venv = match std::env::var_os("STEADFAST_VENV") {
        Some(path) => PathBuf::from(path),
        None => workspace().join("target/venv"),
    };
    let path = venv.join("bin").join(program);
    assert!(
        path.exists(),
        "{} is missing: run `cargo xtask test`, which makes it",
        path.display()
    );
    path
}

/// What npm installed for `cargo xtask test`: a program's packages, where NODE_PATH says so.
pub(crate) fn node_modules() -> PathBuf {
    let node = match std::env::var_os("STEADFAST_NODE") {
        Some(path) => PathBuf::from(path),
        None => workspace().join("target/node"),
    };
    let path = node.join("node_modules");
    assert!(
        path.exists(),
        "{} is missing: run `cargo xtask test`, which makes it",
        path.display()
    );
    path
}

/// A port that no other test is given.
pub(crate) fn free_port() -> u16 {
    storm::ports::free().expect("a free port")
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// How long users are busy in a load test.
pub(crate) fn load_time() -> Duration {
    if std::env::var_os("STEADFAST_LONG").is_some() {
        seconds(24)
    } else {
        seconds(8)
    }
}

/// A figure for the README and the closing note: to stderr, and into the file of STEADFAST_FIGURES.
pub(crate) fn figure(what: &str, value: &str) {
    let line = format!("figure: {what}: {value}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("STEADFAST_FIGURES") {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("the figure is written");
    }
}

/// The sections that the real supervisorctl needs.
pub(crate) fn head(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "[supervisord]
logfile = {dir}/supervisord.log
pidfile = {dir}/supervisord.pid
childlogdir = {dir}
[unix_http_server]
file = {dir}/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://{dir}/s.sock
"
    )
}

/// An installation with one backend behind the gateway.
pub(crate) struct Backend {
    pub(crate) installation: Installation,
    pub(crate) port: u16,
    pub(crate) config: String,
}

/// What is different from the usual backend: uvicorn with `apps/backend.py` behind the gateway.
#[derive(Clone)]
pub(crate) struct Wanted {
    /// The FastAPI app of `examples/fastapi` instead.
    pub(crate) example: bool,
    /// Arguments behind `uvicorn backend:app --host … --port …`.
    pub(crate) args: &'static str,
    /// Keys of `[program:backend]`.
    pub(crate) keys: &'static str,
    /// More of `environment`, with its leading comma.
    pub(crate) environment: &'static str,
    /// `listen`.
    pub(crate) listen: &'static str,
    /// Sections behind it.
    pub(crate) sections: &'static str,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted {
            example: false,
            args: "--workers 1",
            keys: "",
            environment: "",
            listen: "gateway",
            sections: "",
        }
    }
}

impl Wanted {
    /// The usual with these keys.
    pub(crate) fn keys(keys: &'static str) -> Wanted {
        Wanted {
            keys,
            ..Wanted::default()
        }
    }

    /// The configuration for an installation in `dir`.
    pub(crate) fn config(&self, dir: &Path, port: u16) -> String {
        let Wanted {
            example,
            args,
            keys,
            environment,
            listen,
            sections,
        } = self;
        let (apps, app) = if *example {
            ("examples/fastapi", "server:app")
        } else {
            ("steadfast/tests/apps", "backend:app")
        };
        let apps = workspace().join(apps);
        format!(
            "{head}
[steadfast]
state_dir = {dir}/state

[program:backend]
command = {uvicorn} {app} --host 127.0.0.1 --port {port} {args}
directory = {apps}
environment = EFFECT_LOG=\"{dir}/effects.log\",PYTHONDONTWRITEBYTECODE=\"1\"{environment}
listen = {listen}
env_file = {dir}/.env
secrets = SECRET_KEY
ready = http:/api/health
redirect_stderr = true
stdout_logfile = {dir}/backend.log
{keys}
{sections}
",
            head = head(dir),
            uvicorn = venv("uvicorn").display(),
            apps = apps.display(),
            dir = dir.display(),
        )
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(self) -> Backend {
        let mut installation = Installation::new(exe()).expect("a directory");
        let port = free_port();
        let config = self.config(installation.dir(), port);
        installation.configure(&config).expect("written");
        installation.run().expect("started");
        let mut backend = Backend {
            installation,
            port,
            config,
        };
        backend.come_up();
        backend
    }
}

impl Backend {
    /// The usual backend, ready.
    pub(crate) fn start() -> Backend {
        Wanted::default().start()
    }

    /// The FastAPI app of the story, ready.
    pub(crate) fn example(keys: &'static str) -> Backend {
        Wanted {
            example: true,
            ..Wanted::keys(keys)
        }
        .start()
    }

    /// Waits until the backend is ready.
    pub(crate) fn come_up(&mut self) {
        if self.installation.wait_ready("backend", PATIENCE).is_none() {
            let ended = self.installation.root_ended();
            let status = self
                .installation
                .say(&["status"])
                .map(|said| said.text())
                .unwrap_or_default();
            let log =
                std::fs::read_to_string(self.installation.path("backend.log")).unwrap_or_default();
            panic!(
                "not ready within {} s; root ended: {ended:?}\noutput:\n{}\nstatus:\n{status}\nbackend.log:\n{log}",
                PATIENCE.as_secs(),
                self.installation.output()
            );
        }
    }

    pub(crate) fn target(&self) -> Target {
        Target::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
    }

    /// The usual users.
    pub(crate) fn plan(&self) -> Plan {
        Plan::new(self.target(), USERS)
    }

    /// The backend's pid.
    pub(crate) fn pid(&self) -> i32 {
        self.installation
            .wait_ready("backend", PATIENCE)
            .expect("a ready backend")
    }

    /// `steadfast ARGS -c …`, which must end with `exit`.
    pub(crate) fn say(&self, args: &[&str], exit: i32) -> Said {
        let said = self.installation.say(args).expect("the binary runs");
        assert_eq!(
            said.exit,
            exit,
            "steadfast {args:?}: {}\noutput of root:\n{}",
            said.text(),
            self.installation.output()
        );
        said
    }

    /// The real supervisorctl on the same file.
    pub(crate) fn supervisorctl(&self, args: &[&str]) -> Said {
        let config = self.installation.config();
        Said::of(
            Command::new(venv("supervisorctl"))
                .arg("-c")
                .arg(config)
                .args(args),
        )
        .expect("supervisorctl runs")
    }

    /// One request by a client of its own.
    pub(crate) fn ask(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        ask(self.target(), request)
    }

    /// How often each id ran.
    pub(crate) fn effects(&self) -> HashMap<String, u32> {
        storm::app::count_effects(&self.installation.path("effects.log"))
    }

    /// Busy users, `count` strikes spread over the time of a load test, the users' log.
    pub(crate) fn under_load(
        &self,
        plan: Plan,
        count: u32,
        mut strike: impl FnMut(&Backend, &Running),
    ) -> Log {
        let time = load_time();
        let load = Running::start(plan).expect("users");
        assert!(
            load.wait_good(100, PATIENCE),
            "before any strike: {}",
            load.stop().describe_bad()
        );
        let begun = Instant::now();
        for number in 0..count {
            strike(self, &load);
            let next = time * (number + 1) / count;
            wait::pace(next.saturating_sub(begun.elapsed()), &|| false);
        }
        // On a slow machine the time alone may not be enough.
        let _ = wait::until(PATIENCE, || (load.counts().0 > SAMPLES_MIN).then_some(()));
        load.stop()
    }

    /// No effect happened twice, and every POST that was answered well has happened.
    pub(crate) fn assert_no_effect_twice(&self, log: &Log) {
        let twice: Vec<_> = self
            .effects()
            .into_iter()
            .filter(|(_, count)| *count > 1)
            .collect();
        assert!(
            twice.is_empty(),
            "ran twice: {twice:?}\n{}",
            log.describe_bad()
        );
    }

    /// Every request succeeded, nobody was signed out, nothing ran twice.
    pub(crate) fn assert_nothing_failed(&self, what: &str, log: &Log) {
        tell(what, log);
        assert!(
            log.samples.len() > SAMPLES_MIN,
            "too few requests to show anything: {}",
            log.samples.len()
        );
        let why = || {
            let history = self
                .installation
                .say(&["history"])
                .map(|said| said.text())
                .unwrap_or_default();
            format!(
                "{what}: {}\n{history}\n{}",
                log.describe_bad(),
                self.installation.output()
            )
        };
        assert_eq!(log.bad().count(), 0, "{}", why());
        self.assert_no_effect_twice(log);
    }
}

/// The figures of a load test.
pub(crate) fn tell(what: &str, log: &Log) {
    let bad = log.bad().count();
    let (gets, posts) = (log.bad_gets().len(), log.bad_posts().len());
    figure(
        what,
        &format!(
            "{bad} failed of {} ({gets} GET, {posts} POST), {} signed out, longest {:.2} s",
            log.samples.len(),
            log.sign_outs(),
            log.longest().as_secs_f64()
        ),
    );
}

/// One request by a client of its own.
pub(crate) fn ask(target: Target, request: &Request<'_>) -> Result<Answer, Failure> {
    on_runtime(async { Client::new(target, false, seconds(90)).ask(request).await })
}

/// Runs a future to its end.
pub(crate) fn on_runtime<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(future)
}

/// Waits for a condition; its absence is a failure that says `what` was waited for. Anything that must come gets
/// [`PATIENCE`] at least: how long it takes is never what is tested.
pub(crate) fn eventually<T>(
    what: &str,
    within: Duration,
    condition: impl FnMut() -> Option<T>,
) -> T {
    let within = within.max(PATIENCE);
    match wait::until(within, condition) {
        Some(value) => value,
        None => panic!("within {} s there was no: {what}", within.as_secs_f32()),
    }
}
