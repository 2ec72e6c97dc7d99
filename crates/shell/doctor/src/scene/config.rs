//! A configuration of Supervisor's: its files, the supervisord that runs from it, its programs with all that belongs to them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use conf::{LogFile, Ready};

use crate::disk::Disk;
use crate::model::Env;
use crate::scene::app::{self, App, Apps, EnvText};
use crate::scene::layers::{self, Layer};
use crate::scene::{Config, Daemon, Scene, Source, Subject, http, keys, logs, ports, procs, rpc};

/// A pidfile holds a number.
const PIDFILE_BYTES_MAX: u64 = 64;
/// Programs whose code, processes and logs are looked at; the rules about the files see all of them.
const PROGRAMS_MAX: usize = 500;
/// Env files that a command names.
const ENV_FILE_BYTES_MAX: u64 = 1 << 20;

/// How far to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Processes, sockets and logs as well as files.
    pub(crate) running: bool,
}

/// Adds a configuration and its programs. `false` if it cannot be read at all.
pub(crate) fn add(
    scene: &mut Scene,
    shown: &str,
    disk: &Disk,
    around: &conf::Environment,
    look: Look,
) -> bool {
    let first = conf::load(shown, disk, &outside(around, None));
    if first.unreadable {
        return false;
    }
    let mut daemon = look
        .running
        .then(|| daemon(&first.model.pidfile()))
        .flatten();
    let mut told = Vec::new();
    if look.running {
        match rpc::processes(&first.model) {
            Ok(list) => {
                daemon = daemon.or_else(|| above(&list));
                if let Some(daemon) = &mut daemon {
                    daemon.answers = true;
                }
                told = list;
            }
            Err(why) if daemon.is_some() => {
                scene.not_seen(format!("supervisord's own list of processes: {why}"))
            }
            Err(_) => {}
        }
    }
    // Its own variables decide what %(ENV_x)s means.
    let env = daemon.as_ref().and_then(|d| d.env.as_ref());
    let loaded = match env {
        Some(env) => conf::load(shown, disk, &outside(around, Some(env))),
        None => first,
    };
    let index = scene.configs.len();
    let ctl = ctl(shown, daemon.as_ref(), around);
    let log = match &loaded.model.supervisord.logfile {
        LogFile::Path(path) if look.running => logs::read(Path::new(path)).ok(),
        LogFile::Path(_) | LogFile::Auto | LogFile::None => None,
    };
    let config = Config {
        shown: shown.to_owned(),
        loaded,
        daemon,
        ctl,
        log,
        told,
    };
    let mut apps = Apps::new();
    let mut subjects = Vec::new();
    for program in config.loaded.model.programs.iter().take(PROGRAMS_MAX) {
        if let Some(subject) = subject(
            index, &config, program, disk, around, &mut apps, look, scene,
        ) {
            subjects.push(subject);
        }
    }
    if config.loaded.model.programs.len() > PROGRAMS_MAX {
        scene.not_seen(format!("programs after the first {PROGRAMS_MAX}"));
    }
    scene.configs.push(config);
    scene.subjects.extend(subjects);
    true
}

/// The environment that a configuration is read with: the daemon's, if it runs. Otherwise ours, since the operator's shell is
/// the best guess at what it will be started from.
fn outside(around: &conf::Environment, daemon: Option<&Env>) -> conf::Environment {
    conf::Environment {
        env: daemon.cloned().unwrap_or_else(|| around.env.clone()),
        ..around.clone()
    }
}

trait PidFile {
    fn pidfile(&self) -> PathBuf;
}

impl PidFile for conf::Model {
    fn pidfile(&self) -> PathBuf {
        PathBuf::from(&self.supervisord.pidfile)
    }
}

/// The supervisord of a pidfile. A number in a file proves nothing: the process must be one.
fn daemon(pidfile: &Path) -> Option<Daemon> {
    let text = Disk::default().text(pidfile, PIDFILE_BYTES_MAX)?;
    of_pid(text.trim().parse().ok()?)
}

pub(crate) fn of_pid(pid: i32) -> Option<Daemon> {
    let process = procs::read(pid).filter(|p| is_supervisord(&p.argv))?;
    Some(Daemon {
        pid,
        start_unix_s: process.start_unix_s,
        env: process.env,
        answers: false,
    })
}

/// Whether a command line is supervisord's, ours under that name included.
pub(crate) fn is_supervisord(argv: &[String]) -> bool {
    let base = |word: &String| word.rsplit('/').next().unwrap_or(word).to_owned();
    argv.iter().take(3).any(|word| base(word) == "supervisord")
        || argv.first().is_some_and(|w| base(w) == "steadfast") && argv.iter().any(|w| w == "run")
}

/// The supervisord above the processes that were told.
fn above(told: &[rpc::Told]) -> Option<Daemon> {
    let pid = told.iter().map(|t| t.pid).find(|pid| *pid > 0)?;
    of_pid(sys::proc::stat(pid)?.parent)
}

/// What the owner's commands begin with. `-c` only where supervisorctl would not find the file by itself.
fn ctl(shown: &str, daemon: Option<&Daemon>, around: &conf::Environment) -> String {
    let path = around.env.get("PATH").map_or("", String::as_str);
    let in_path = path
        .split(':')
        .any(|dir| Path::new(dir).join("supervisorctl").is_file());
    let beside = daemon
        .filter(|_| !in_path)
        .and_then(|daemon| procs::read(daemon.pid))
        .and_then(|p| {
            p.argv
                .iter()
                .take(3)
                .find(|w| w.ends_with("/supervisord"))
                .cloned()
        })
        .map(|word| Path::new(&word).with_file_name("supervisorctl"))
        .filter(|path| path.is_file());
    let program = beside.map_or("supervisorctl".to_owned(), |p| {
        servers::shell_line(&[p.display().to_string()])
    });
    let default = ["/etc/supervisord.conf", "/etc/supervisor/supervisord.conf"].contains(&shown);
    if default {
        program
    } else {
        format!("{program} -c {}", servers::shell_line(&[shown]))
    }
}

#[allow(clippy::too_many_arguments)] // one place that brings everything about a program together
fn subject(
    index: usize,
    config: &Config,
    program: &conf::Program,
    disk: &Disk,
    around: &conf::Environment,
    apps: &mut Apps,
    look: Look,
    scene: &mut Scene,
) -> Option<Subject> {
    let process = program.processes.first()?;
    let inherited = config.daemon.as_ref().and_then(|d| d.env.clone());
    let mut env = inherited.clone().unwrap_or_default();
    env.extend(process.environment.clone());
    let processes = if look.running {
        processes(config, program, scene)
    } else {
        Vec::new()
    };
    let daemon_cwd = config
        .daemon
        .as_ref()
        .and_then(|d| std::fs::read_link(format!("/proc/{}/cwd", d.pid)).ok());
    let base = daemon_cwd.unwrap_or_else(|| PathBuf::from(&around.cwd));
    let dir = match &process.directory {
        Some(dir) => Some(base.join(&dir.value)),
        None => processes.first().and_then(|p| p.cwd.clone()),
    };
    let words = (0..process.command.words().len())
        .map(|i| process.command.span_of_word(i))
        .collect();
    let mut first = Layer::new(process.command.argv(), words, &env);
    first.whole = process.command.span();
    let mut layers = layers::follow(first, dir.as_deref(), &env, disk);
    let app = app_of(dir.as_deref(), disk, apps);
    let mut env_files = env_files(program, &layers, dir.as_deref(), &app, disk);
    env_files.dedup_by(|a, b| a.path == b.path);
    if env_files.iter().any(|f| f.is_read) {
        // Variables of env files decide about reloaders as well.
        let mut whole = env.clone();
        for file in env_files.iter().filter(|f| f.is_read) {
            for (name, value) in secrets::parse(&file.text).values(&env) {
                whole.entry(name).or_insert(value);
            }
        }
        for layer in &mut layers {
            layer.server = servers::read(&layer.argv, &whole);
        }
    }
    let named: Vec<String> = program.secrets.iter().map(|s| s.value.clone()).collect();
    let mut keys = keys::find(
        &app,
        &named,
        &env,
        process.environment_span.as_ref(),
        &env_files,
    );
    for key in &mut keys {
        // What the process itself was started with; only where nothing else tells.
        let live = processes
            .first()
            .and_then(|p| Some((p.pid, p.env.as_ref()?.get(&key.name)?)));
        if let Some((pid, value)) = live
            && key.values.is_empty()
        {
            key.values.push(keys::Value {
                secret: secrets::Secret::new(value.as_str()),
                home: keys::Home::Process(pid),
                span: None,
            });
        }
    }
    let logs = if look.running {
        logs_of(config, program, process, scene)
    } else {
        Vec::new()
    };
    Some(Subject {
        name: program.name.clone(),
        source: Source::Supervisor(index),
        program: Some(program.clone()),
        layers,
        env_span: process.environment_span.clone(),
        env_is_whole: inherited.is_some(),
        dir,
        app,
        keys,
        processes,
        logs,
        health: None,
    })
}

pub(crate) fn app_of(dir: Option<&Path>, disk: &Disk, apps: &mut Apps) -> Arc<App> {
    let Some(dir) = dir.filter(|d| d.is_dir()) else {
        return Arc::new(App::default());
    };
    let app = apps
        .entry(dir.to_path_buf())
        .or_insert_with(|| Arc::new(app::read(dir, disk)));
    Arc::clone(app)
}

/// The env files of a program: ours, those that the server reads by an option, the app's own.
fn env_files(
    program: &conf::Program,
    layers: &[Layer],
    dir: Option<&Path>,
    app: &App,
    disk: &Disk,
) -> Vec<EnvText> {
    let mut files = Vec::new();
    let mut add = |path: PathBuf| {
        if let Some(text) = disk.text(&path, ENV_FILE_BYTES_MAX) {
            files.push(EnvText {
                path,
                text,
                is_read: true,
            });
        }
    };
    if let Some(file) = program.processes.first().and_then(|p| p.env_file.as_ref()) {
        add(PathBuf::from(&file.value));
    }
    for layer in layers {
        for (i, word) in layer.argv.iter().enumerate() {
            let value = word.strip_prefix("--env-file=").or_else(|| {
                (word == "--env-file")
                    .then(|| layer.argv.get(i + 1).map(String::as_str))
                    .flatten()
            });
            if let Some(value) = value {
                add(dir.unwrap_or(Path::new("/")).join(value));
            }
        }
    }
    files.extend(app.env_files.iter().cloned());
    files
}

/// The processes of a program: those that Supervisor names, else children of the daemon that carry the program's name.
fn processes(config: &Config, program: &conf::Program, scene: &mut Scene) -> Vec<procs::Proc> {
    let told = config
        .told
        .iter()
        .filter(|t| t.group == program.group && t.pid > 0);
    let named = |name: &str| program.processes.iter().any(|p| p.name == name);
    let mut pids: Vec<i32> = told.filter(|t| named(&t.name)).map(|t| t.pid).collect();
    if let Some(daemon) = config.daemon.as_ref().filter(|d| !d.answers) {
        for process in sys::proc::children(daemon.pid)
            .into_iter()
            .filter_map(procs::read)
        {
            let by_name = process
                .env
                .as_ref()
                .and_then(|e| e.get("SUPERVISOR_PROCESS_NAME"));
            let by_words = || {
                program
                    .processes
                    .iter()
                    .any(|p| process.argv.ends_with(&p.command.argv()))
            };
            if by_name.map_or_else(by_words, |name| named(name)) {
                pids.push(process.pid);
            }
        }
    }
    let found: Vec<procs::Proc> = pids.into_iter().flat_map(procs::tree).collect();
    if found.iter().any(|p| p.env.is_none()) {
        scene.not_seen(
            "environments and open files of other users' processes (run as root to see them)",
        );
    }
    found
}

/// The ends of a program's logs.
fn logs_of(
    config: &Config,
    program: &conf::Program,
    process: &conf::ProcessDef,
    scene: &mut Scene,
) -> Vec<logs::Log> {
    let told = config
        .told
        .iter()
        .find(|t| t.group == program.group && t.name == process.name);
    let mut paths = Vec::new();
    for (target, told) in [
        (&process.stdout, told.map(|t| &t.stdout_log)),
        (&process.stderr, told.map(|t| &t.stderr_log)),
    ] {
        match &target.file.value {
            LogFile::Path(path) => paths.push(PathBuf::from(path)),
            LogFile::Auto => paths.extend(told.filter(|t| !t.is_empty()).map(PathBuf::from)),
            LogFile::None => {}
        }
    }
    paths.dedup();
    let mut found = Vec::new();
    for path in paths {
        match logs::read(&path) {
            Ok(log) => found.push(log),
            Err(conf::ReadError::Denied) => {
                scene.not_seen(format!("the log {} (permission denied)", path.display()))
            }
            Err(_) => {}
        }
    }
    found
}

/// A server that does not listen after so long will not.
const START_S_MAX: u64 = 60;

/// What to do to learn of a server's health.
enum Question {
    Ask(http::Target, Option<String>),
    /// It was seen without asking: nothing of the program listens at its address.
    Deaf(String),
}

/// Asks every running server for its health, all at the same time, so that a hung one costs its time once.
pub(crate) fn ask_health(scene: &mut Scene) {
    let now = scene.now_unix_s;
    let questions: Vec<Option<Question>> =
        scene.subjects.iter().map(|s| question(s, now)).collect();
    std::thread::scope(|scope| {
        let mut asked = Vec::new();
        for (subject, question) in scene.subjects.iter_mut().zip(&questions) {
            match question {
                Some(Question::Ask(target, path)) => asked.push(scope.spawn(move || {
                    subject.health = http::health(target, path.as_deref());
                })),
                Some(Question::Deaf(url)) => {
                    let answer = Err("no process of it listens there".to_owned());
                    subject.health = Some(http::Health {
                        url: url.clone(),
                        answer,
                    });
                }
                None => {}
            }
        }
        for thread in asked {
            let _ = thread.join();
        }
    });
}

/// Where a running server takes connections, and its health path if it is known. A port that another program holds is never asked.
fn question(subject: &Subject, now_unix_s: u64) -> Option<Question> {
    let process = subject.processes.first()?;
    let layer = subject
        .main_layer()
        .filter(|l| l.server.serves() && !l.server.tls)?;
    let ready = subject.program.as_ref().and_then(|p| p.ready.as_ref());
    let path = match ready.map(|r| &r.value) {
        Some(Ready::Http { path }) => Some(path.clone()),
        Some(Ready::Tcp | Ready::Fd(_) | Ready::Log(_) | Ready::Notify | Ready::Exec(_)) | None => {
            None
        }
    };
    // The gateway or a keeper listens there for it.
    let held = subject
        .program
        .as_ref()
        .is_some_and(|p| *p.listen != conf::Listen::Own);
    for bind in &layer.server.binds {
        match &bind.address {
            servers::Address::Tcp { port: 0, .. } | servers::Address::Fd(_) => {}
            servers::Address::Tcp { host, port } => {
                let any = ["0.0.0.0", "::", "", "*"].contains(&host.as_str());
                let host = if any { "127.0.0.1" } else { host };
                let old = now_unix_s.saturating_sub(process.start_unix_s) > START_S_MAX;
                let listens = match held {
                    true => Some(true),
                    false => ports::listens(&subject.processes, *port),
                };
                match listens {
                    Some(true) => {
                        let target = http::Target::Tcp(host.to_owned(), *port);
                        return Some(Question::Ask(target, path));
                    }
                    Some(false) if bind.is_given() && old => {
                        return Some(Question::Deaf(format!("http://{host}:{port}")));
                    }
                    Some(false) | None => {}
                }
            }
            servers::Address::Unix(socket) => {
                return Some(Question::Ask(http::Target::Unix(socket.clone()), path));
            }
        }
    }
    None
}
