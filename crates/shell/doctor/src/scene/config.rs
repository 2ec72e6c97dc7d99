//! A configuration of Supervisor's: its files, the supervisord that runs from it, its programs with all that belongs to them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use conf::LogFile;
use finding::Finding;

use crate::disk::{Disk, Elsewhere};
use crate::model::Env;
use crate::scene::app::{self, App, Apps, EnvText};
use crate::scene::layers::Layer;
use crate::scene::{
    Config, Scene, Source, Subject, daemon, follow, history, keys, logs, ours, procs, rpc,
};

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
    let first = load(shown, disk, &outside(around, None));
    if first.unreadable {
        return false;
    }
    let mut daemon = look
        .running
        .then(|| daemon::of_pidfile(Path::new(&first.model.supervisord.pidfile)))
        .flatten();
    let mut told = Vec::new();
    if look.running {
        let asked = rpc::processes(&first.model)
            .or_else(|why| ours::processes(Path::new(shown), around).ok_or(why));
        match asked {
            Ok(list) => {
                daemon = daemon.or_else(|| daemon::above(&list));
                if let Some(daemon) = &mut daemon {
                    daemon.answers = true;
                }
                told = list;
            }
            // A socket that hangs is worth a word, whoever made it.
            Err(why) if daemon.is_some() || why.starts_with("no answer") => {
                scene.not_seen(format!("supervisord's own list of processes: {why}"))
            }
            Err(_) => {}
        }
    }
    // Its own variables decide what %(ENV_x)s means.
    let env = daemon.as_ref().and_then(|d| d.env.as_ref());
    let loaded = match env {
        Some(env) => load(shown, disk, &outside(around, Some(env))),
        None => first,
    };
    let index = scene.configs.len();
    let ctl = daemon::ctl(shown, daemon.as_ref(), around);
    let log = match &loaded.model.supervisord.logfile {
        LogFile::Path(path) if look.running => logs::read(Path::new(path)).ok(),
        LogFile::Path(_) | LogFile::Auto | LogFile::None => None,
    };
    let config = Config {
        shown: shown.to_owned(),
        is_elsewhere: daemon.is_none() && !(look.running && is_here(&loaded.model)),
        loaded,
        daemon,
        ctl,
        log,
        told,
    };
    let mut apps = Apps::new();
    let mut subjects = Vec::new();
    let gather = Gather {
        index,
        config: &config,
        disk,
        cwd: Path::new(&around.cwd),
        look,
        ledger: look
            .running
            .then(|| history::dir(&config, around))
            .flatten(),
    };
    for program in config.loaded.model.programs.iter().take(PROGRAMS_MAX) {
        subjects.extend(subject(&gather, program, &mut apps, scene));
    }
    if config.loaded.model.programs.len() > PROGRAMS_MAX {
        scene.not_seen(format!("programs after the first {PROGRAMS_MAX}"));
    }
    scene.configs.push(config);
    scene.subjects.extend(subjects);
    true
}

/// Reads a configuration. A user or a directory that is not here leaves a program out of the model, and with it whatever else is
/// wrong with it: so the model is that of a machine which has them, beside the findings of this one.
fn load(shown: &str, disk: &Disk, around: &conf::Environment) -> conf::Loaded {
    let strict = conf::load(shown, disk, around);
    if !strict.findings.iter().any(is_lacking) {
        return strict;
    }
    let mut whole = conf::load(shown, &Elsewhere(disk), around);
    whole.model.has_errors = true;
    whole.findings = strict.findings;
    whole
}

/// Whether a finding says that this machine lacks a user or a directory, with which the file would be right.
pub(crate) fn is_lacking(found: &Finding) -> bool {
    const WORDS: &[&str] = &[
        ": there is no user `",
        ": there is no group `",
        ": there is no directory `",
    ];
    found.code == "conf.value" && WORDS.iter().any(|words| found.message.contains(words))
}

/// Whether a configuration is for this machine: it lies where machines keep theirs, or some directory or command of its
/// programs is here.
fn is_here(model: &conf::Model) -> bool {
    // Every machine has these.
    const EVERYWHERE: &[&str] = &[
        "/",
        "/bin",
        "/sbin",
        "/usr/bin",
        "/usr/sbin",
        "/usr/local/bin",
        "/tmp",
        "/root",
        "/home",
        "/srv",
        "/opt",
    ];
    if model.here == "/etc" || model.here.starts_with("/etc/") {
        return true;
    }
    model
        .programs
        .iter()
        .flat_map(|p| &p.processes)
        .any(|process| {
            let dir = process.directory.iter().map(|dir| dir.value.clone());
            let command = process.command.argv().into_iter().take(1);
            let mut paths = dir.chain(command);
            paths.any(|path| {
                let path = Path::new(&path);
                let of = |dir: &&str| {
                    path == Path::new(dir)
                        || path.parent() == Some(Path::new(dir)) && path.is_file()
                };
                path.is_absolute() && path.exists() && !EVERYWHERE.iter().any(of)
            })
        })
}

/// The environment that a configuration is read with: the daemon's, if it runs. Otherwise ours, since the operator's shell is
/// the best guess at what it will be started from.
fn outside(around: &conf::Environment, daemon: Option<&Env>) -> conf::Environment {
    conf::Environment {
        env: daemon.cloned().unwrap_or_else(|| around.env.clone()),
        ..around.clone()
    }
}

/// What a program is gathered with.
struct Gather<'a> {
    /// Of the configuration in the scene.
    index: usize,
    config: &'a Config,
    disk: &'a Disk,
    /// Where the doctor stands.
    cwd: &'a Path,
    look: Look,
    /// The ledger, if Steadfast runs it.
    ledger: Option<PathBuf>,
}

fn subject(
    gather: &Gather<'_>,
    program: &conf::Program,
    apps: &mut Apps,
    scene: &mut Scene,
) -> Option<Subject> {
    let process = program.processes.first()?;
    let daemon = gather.config.daemon.as_ref();
    let inherited = daemon.and_then(|d| d.env.clone());
    let mut env = inherited.clone().unwrap_or_default();
    env.extend(process.environment.clone());
    let (mut processes, mut logs) = (Vec::new(), Vec::new());
    if gather.look.running {
        processes = self::processes(gather.config, program, scene);
        logs = logs_of(gather.config, program, process, scene);
    }
    let dir = directory(gather, process, &processes);
    let mut layers = layers_of(process, dir.as_deref(), &env, gather.disk);
    let app = app_of(dir.as_deref(), gather.disk, apps);
    let mut env_files = env_files(program, &layers, dir.as_deref(), &app, gather.disk);
    env_files.dedup_by(|a, b| a.path == b.path);
    read_env_files(&mut layers, &env_files, &env);
    let named: Vec<String> = program.secrets.iter().map(|s| s.value.clone()).collect();
    let span = process.environment_span.as_ref();
    let mut keys = keys::find(&app, &named, &env, span, &env_files);
    add_live_values(&mut keys, &processes);
    let ledger = gather.ledger.as_deref();
    let happened = ledger.map_or_else(Vec::new, |dir| history::of(dir, program, scene.now_unix_s));
    Some(Subject {
        program: Some(program.clone()),
        layers,
        env_span: process.environment_span.clone(),
        env_is_whole: inherited.is_some(),
        dir,
        app,
        keys,
        processes,
        logs,
        happened,
        ..Subject::new(program.name.clone(), Source::Supervisor(gather.index))
    })
}

/// Where a program runs: `directory`, from where its supervisor stands, or where it is seen to be.
fn directory(
    gather: &Gather<'_>,
    process: &conf::ProcessDef,
    processes: &[procs::Proc],
) -> Option<PathBuf> {
    let Some(dir) = &process.directory else {
        return processes.first().and_then(|p| p.cwd.clone());
    };
    let daemon = gather.config.daemon.as_ref();
    let base = daemon.and_then(|d| std::fs::read_link(format!("/proc/{}/cwd", d.pid)).ok());
    Some(
        base.as_deref()
            .unwrap_or(gather.cwd)
            .join(dir.value.as_str()),
    )
}

/// The command of a program and what it leads to.
fn layers_of(process: &conf::ProcessDef, dir: Option<&Path>, env: &Env, disk: &Disk) -> Vec<Layer> {
    let words = (0..process.command.words().len())
        .map(|i| process.command.span_of_word(i))
        .collect();
    let mut first = Layer::new(process.command.argv(), words, env);
    first.whole = process.command.span();
    follow::follow(first, dir, env, disk)
}

/// Variables of env files decide about reloaders as well.
fn read_env_files(layers: &mut [Layer], files: &[EnvText], env: &Env) {
    if !files.iter().any(|f| f.is_read) {
        return;
    }
    let mut whole = env.clone();
    for file in files.iter().filter(|f| f.is_read) {
        for (name, value) in secrets::parse(&file.text).values(env) {
            whole.entry(name).or_insert(value);
        }
    }
    for layer in layers {
        layer.server = servers::read(&layer.argv, &whole);
    }
}

/// What the process itself was started with; only where nothing else tells.
fn add_live_values(keys: &mut [keys::Key], processes: &[procs::Proc]) {
    let Some((pid, env)) = processes
        .first()
        .and_then(|p| Some((p.pid, p.env.as_ref()?)))
    else {
        return;
    };
    for key in keys.iter_mut().filter(|key| key.values.is_empty()) {
        if let Some(value) = env.get(&key.name) {
            key.values.push(keys::Value {
                secret: secrets::Secret::new(value.as_str()),
                home: keys::Home::Process(pid),
                span: None,
            });
        }
    }
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
