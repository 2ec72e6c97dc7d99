//! Under the names `supervisord` and `supervisorctl`.

use crate::{printer, run};
use std::path::PathBuf;

/// `supervisord [-c FILE] [-n] [-s]`: detaches unless told not to, as Supervisor does.
pub(crate) fn supervisord(words: &[String]) -> i32 {
    let mut plan = run::Plan {
        config: None,
        command: Vec::new(),
        detach: true,
        dev: false,
        as_supervisord: true,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (flag, joined) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        match flag {
            "-c" | "--configuration" => match joined.or_else(|| words.next().cloned()) {
                Some(path) => plan.config = Some(PathBuf::from(path)),
                None => {
                    printer::note("supervisord: -c needs a file");
                    return 2;
                }
            },
            "-n" | "--nodaemon" => plan.detach = false,
            "-v" | "--version" => {
                printer::out("4.3.0");
                return 0;
            }
            "-h" | "--help" => {
                printer::out(
                    "supervisord (Steadfast) -- run a set of applications as daemons.\n\n  -c FILE  configuration\n  -n       stay in the foreground\n  -v       Supervisor's version that this stands in for",
                );
                return 0;
            }
            "-s" | "--silent" | "-k" | "--nocleanup" | "-t" | "--strip_ansi" => not_yet(flag),
            "-l" | "--logfile" | "-e" | "--loglevel" | "-j" | "--pidfile" | "-d"
            | "--directory" | "-i" | "--identifier" | "-q" | "--childlogdir" | "-m" | "--umask"
            | "-y" | "--logfile_maxbytes" | "-z" | "--logfile_backups" | "-a" | "--minfds"
            | "--minprocs" => {
                if joined.or_else(|| words.next().cloned()).is_none() {
                    printer::note(&format!("supervisord: {flag} needs a value"));
                    return 2;
                }
                not_yet(flag);
            }
            "-u" | "--user" => {
                printer::note(
                    "supervisord: -u is not supported yet: it would run as who you are; write user = NAME into the programs' sections",
                );
                return 2;
            }
            other => {
                printer::note(&format!("supervisord: there is no option {other}"));
                return 2;
            }
        }
    }
    // As in Supervisor the file may say that it stays; as PID 1 going to the background would end the container.
    let path = plan.config.clone().map_or_else(run::found, Ok);
    if let Some(path) = path.ok().as_deref().and_then(std::path::Path::to_str) {
        plan.detach &= !daemon::nodaemon(path, &crate::check::environment());
    }
    run::run(plan)
}

/// An option of the real one that has no effect here yet: named, so that nobody relies on it, and not in the way.
fn not_yet(flag: &str) {
    printer::note(&format!(
        "supervisord: {flag} has no effect yet; say it in the configuration file"
    ));
}

/// `supervisorctl …`.
pub(crate) fn supervisorctl(words: &[String]) -> i32 {
    let mut out = std::io::stdout();
    let mut err = std::io::stderr();
    let mut input = std::io::stdin().lock();
    let cwd = std::env::current_dir().map(|path| path.to_string_lossy().into_owned());
    let mut io = supervisord::ctl::Io {
        out: &mut out,
        err: &mut err,
        input: &mut input,
        program: std::env::args()
            .next()
            .filter(|word| word.ends_with("supervisorctl"))
            .unwrap_or_else(|| "steadfast ctl".into()),
        vars: std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        cwd: cwd.unwrap_or_else(|_| "/".into()),
    };
    i32::from(supervisord::ctl::main(words, &mut io))
}
