//! Under the names `supervisord` and `supervisorctl`.

use crate::{printer, run};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::{Path, PathBuf};
use supervisord::flags::{self, Stop};

/// The version of Supervisor that this stands in for.
const VERSION: &str = "4.3.0";

/// `supervisord …`: detaches unless told not to, as Supervisor does.
pub(crate) fn supervisord(words: &[String]) -> i32 {
    match prepared(words) {
        Ok(Start::Run(plan)) => run::run(plan),
        Ok(Start::Said(text)) => {
            printer::out(&text);
            0
        }
        Err(complaint) => {
            let program = run::program();
            printer::note(&format!("Error: {complaint}\nFor help, use {program} -h"));
            2
        }
    }
}

enum Start {
    Run(run::Plan),
    Said(String),
}

/// From the command line to a plan, as the user that it names. The error is Supervisor's complaint.
fn prepared(words: &[String]) -> Result<Start, String> {
    let cwd = run::cwd();
    let home = std::env::var("HOME").ok();
    let given = match flags::parse(words, &cwd, home.as_deref()) {
        Ok(given) => given,
        Err(Stop::Help) => {
            let text = flags::USAGE.replace("%s", &run::program());
            return Ok(Start::Said(text));
        }
        Err(Stop::Version) => return Ok(Start::Said(VERSION.to_owned())),
        Err(Stop::Usage(complaint)) => return Err(complaint),
    };
    for flag in &given.idle {
        printer::warning(&format!(
            "{flag} has no effect: there is no Python to profile"
        ));
    }
    let config = match &given.config {
        Some(path) if Path::new(path).exists() => PathBuf::from(path),
        Some(path) => return Err(format!("could not find config file {path}")),
        None => {
            if sys::users::own_uid() == 0 {
                printer::note(flags::ROOT_SEARCHES);
            }
            run::found()?
        }
    };
    let ahead = match config.to_str() {
        Some(path) => daemon::ahead(path, &crate::check::environment(), &given.settings),
        None => daemon::Ahead::default(),
    };
    let named = given.settings.iter().find(|(key, _)| key == "user");
    let user = named
        .map(|(_, user)| user.as_str())
        .or(ahead.user.as_deref());
    // With our own section the daemon keeps its rights, to listen where only root may; programs run as that user.
    if let Some(user) = user.filter(|_| !ahead.steadfast) {
        become_user(user)?;
    }
    raise(Resource::Nofile, ahead.minfds, "file descriptors", "minfds")?;
    raise(Resource::Nproc, ahead.minprocs, "processes", "minprocs")?;
    // As PID 1, going to the background would end the container.
    let detach = !ahead.nodaemon && std::process::id() != 1;
    Ok(Start::Run(run::Plan {
        config: Some(config),
        command: Vec::new(),
        detach,
        dev: false,
        as_supervisord: true,
        settings: given.settings,
        kept: None,
    }))
}

/// options.py `drop_privileges`.
fn become_user(name: &str) -> Result<(), String> {
    let invalid = || match name.parse::<u32>() {
        Ok(_) => format!("Invalid user id {name}"),
        Err(_) => format!("Invalid user name {name}"),
    };
    let user = sys::users::lookup(name).map_err(|error| format!("{name}: {error}"))?;
    let user = user.ok_or_else(invalid)?;
    let own = sys::users::own_uid();
    if user.uid == own {
        return Ok(());
    }
    if own != 0 {
        return Err("Can't drop privilege as nonroot user".to_owned());
    }
    sys::users::become_user(&user).map_err(|error| format!("Could not become {name}: {error}"))
}

/// Makes sure of a limit, as a condition of the start; the hard one rises with it where we may.
fn raise(resource: Resource, least: u64, of: &str, key: &str) -> Result<(), String> {
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= least);
    let limit = getrlimit(resource);
    if enough(limit.current) {
        return Ok(());
    }
    let maximum = match enough(limit.maximum) {
        true => limit.maximum,
        false => Some(least),
    };
    let wanted = Rlimit {
        current: Some(least),
        maximum,
    };
    setrlimit(resource, wanted).map_err(|_| {
        let hard = limit.maximum.unwrap_or(least);
        let (needed, open) = match key {
            "minfds" => ("file descriptors", "open"),
            _ => ("available processes", "open"),
        };
        format!(
            "The minimum number of {needed} required to run this process is {least} as per the \"{key}\" command-line argument or config file setting. The current environment will only allow you to {open} {hard} {of}.  Either raise the number of usable {of} in your environment or lower the {key} setting in the config file to allow the process to start."
        )
    })
}

/// `supervisorctl …`.
pub(crate) fn supervisorctl(words: &[String]) -> i32 {
    let mut out = std::io::stdout();
    let mut err = std::io::stderr();
    // Byte by byte, so that nothing that `fg` or a program behind us should read is taken ahead.
    let mut input = std::io::BufReader::with_capacity(1, Stdin);
    let standard = |number| rustix::termios::isatty(sys::fds::standard(number));
    let cwd = std::env::current_dir().map(|path| path.to_string_lossy().into_owned());
    let mut io = supervisord::ctl::Io {
        out: &mut out,
        err: &mut err,
        input: &mut input,
        stdin: true,
        terminal: standard(0) && standard(1),
        program: Some(run::program())
            .filter(|word| word.ends_with("supervisorctl"))
            .unwrap_or_else(|| "steadfast ctl".into()),
        vars: std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        cwd: cwd.unwrap_or_else(|_| "/".into()),
    };
    i32::from(supervisord::ctl::main(words, &mut io))
}

/// Standard input without a buffer.
struct Stdin;

impl std::io::Read for Stdin {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        Ok(rustix::io::read(sys::fds::standard(0), bytes)?)
    }
}
