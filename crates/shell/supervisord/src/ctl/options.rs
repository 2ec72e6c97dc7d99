//! Options and configuration of `supervisorctl` (options.py `ClientOptions`): the command line before the file before the
//! defaults; the file by `-c`, else the first that exists of Supervisor's places.

use std::collections::BTreeMap;
use std::path::Path;

use conf::{Account, DirEntry, Environment, Files, Kind, ReadError};

use super::client::repr;
use crate::getopt::{Given, Opt, getopt, opt, search};

/// What to do, and with whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) url: String,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) prompt: String,
    /// Where an interactive session keeps its lines, from one to the next.
    pub(super) history_file: Option<String>,
    pub(super) interactive: bool,
    pub(super) words: Vec<String>,
}

/// Not a command to carry out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Help,
    /// For stderr, behind `Error: `; exit status 2.
    Usage(String),
}

const DEFAULT_URL: &str = "http://localhost:9001";

const KNOWN: [Opt; 8] = [
    opt("configuration", 'c', true),
    opt("help", 'h', false),
    opt("interactive", 'i', false),
    opt("history_file", 'r', true),
    opt("serverurl", 's', true),
    opt("username", 'u', true),
    opt("password", 'p', true),
    opt("", '?', false),
];

/// Reads everything that decides. `program` is argv[0], `vars` the environment, `cwd` the working directory.
pub(super) fn realize(
    program: &str,
    args: &[String],
    vars: &BTreeMap<String, String>,
    cwd: &str,
) -> Result<Options, Stop> {
    let (given, words) = getopt(&KNOWN, args).map_err(Stop::Usage)?;
    let mut values: [Option<String>; KNOWN.len()] = Default::default();
    for Given {
        written,
        index,
        value,
    } in given
    {
        match KNOWN[index].short {
            'h' | '?' => return Err(Stop::Help),
            's' if !is_url(&value) => {
                let value = repr(&value);
                return Err(Stop::Usage(format!(
                    "invalid value for {written} {value}: value {value} is not a URL"
                )));
            }
            _ => {}
        }
        if values[index].replace(value).is_some() {
            return Err(Stop::Usage(format!(
                "conflicting command line option {}",
                repr(&written)
            )));
        }
    }
    let [file, _, interactive, history, url, username, password, _] = values;
    let file = file.or_else(|| search(program, cwd));
    let ctl = match &file {
        None => None,
        Some(path) => Some(read(path, vars, cwd).map_err(Stop::Usage)?),
    };
    let login = ctl.as_ref().and_then(|ctl| ctl.login.as_ref());
    let from_file = login.map(|login| (login.username.clone(), login.password.clone()));
    let (file_user, file_password) = from_file.unzip();
    Ok(Options {
        url: url
            .or_else(|| ctl.as_ref().map(|ctl| ctl.serverurl.clone()))
            .unwrap_or_else(|| DEFAULT_URL.to_owned()),
        username: username.or(file_user),
        password: password.or(file_password),
        history_file: history
            .or_else(|| ctl.as_ref().and_then(|ctl| ctl.history_file.clone()))
            .map(|path| home(&path, vars)),
        prompt: ctl.map_or_else(|| "supervisor".to_owned(), |ctl| ctl.prompt),
        interactive: interactive.is_some() || words.is_empty(),
        words,
    })
}

/// `~` and `~/x`.
fn home(path: &str, vars: &BTreeMap<String, String>) -> String {
    match (path.strip_prefix('~'), vars.get("HOME")) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            format!("{home}{rest}")
        }
        _ => path.to_owned(),
    }
}

/// datatypes.py `url`: a scheme, and something behind it.
fn is_url(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once(':') else {
        return false;
    };
    let letter = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    letter && scheme.chars().all(plain) && !matches!(rest, "" | "//")
}

fn read(path: &str, vars: &BTreeMap<String, String>, cwd: &str) -> Result<conf::Ctl, String> {
    if !Path::new(cwd).join(path).exists() {
        return Err(format!("could not find config file {path}"));
    }
    let environment = Environment {
        env: vars.clone(),
        cwd: cwd.to_owned(),
        hostname: String::new(),
    };
    let loaded = conf::load(path, &OneFile, &environment);
    if loaded.unreadable {
        return Err(format!("could not read config file {path}"));
    }
    let ctl = loaded.model.ctl;
    ctl.ok_or_else(|| ".ini file does not include supervisorctl section".to_owned())
}

/// The machine as `[supervisorctl]` sees it: its own file and nothing else.
struct OneFile;

impl Files for OneFile {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
        let metadata = std::fs::metadata(path).map_err(|_| ReadError::NotFound)?;
        if !metadata.is_file() {
            return Err(ReadError::NotAFile);
        }
        if metadata.len() > bytes_max {
            return Err(ReadError::TooLarge);
        }
        std::fs::read(path).map_err(|error| ReadError::Other(error.to_string()))
    }
    fn list(&self, _dir: &str) -> Vec<DirEntry> {
        vec![]
    }
    fn kind(&self, _path: &str) -> Option<Kind> {
        None
    }
    fn account(&self, _user: &str) -> Option<Account> {
        None
    }
    fn group_id(&self, _group: &str) -> Option<u32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(dir: &Path, args: &str) -> Result<Options, Stop> {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let cwd = dir.to_str().expect("path");
        realize(
            "/nonexistent/bin/supervisorctl",
            &args,
            &BTreeMap::new(),
            cwd,
        )
    }

    fn with_file() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("dir");
        let text = "[supervisorctl]\nserverurl = unix://%(here)s/s.sock ; here\nusername = u\npassword = p\nprompt = p\n[program:x]\ncommand = x\n";
        std::fs::write(dir.path().join("supervisord.conf"), text).expect("write");
        std::fs::write(dir.path().join("other.conf"), "[supervisord]\n").expect("write");
        dir
    }

    #[test]
    fn the_command_line_before_the_file() {
        let dir = with_file();
        let found = parse(dir.path(), "status a").expect("options");
        let here = dir.path().display();
        assert_eq!(found.url, format!("unix://{here}/s.sock"));
        assert_eq!(
            (found.username.as_deref(), found.prompt.as_str()),
            (Some("u"), "p")
        );
        assert_eq!(
            (found.interactive, found.words),
            (false, vec!["status".into(), "a".into()])
        );
        let found = parse(dir.path(), "--serv http://x:1 -pq -u r").expect("options");
        assert_eq!(
            (found.url.as_str(), found.username, found.password),
            ("http://x:1", Some("r".into()), Some("q".into()))
        );
        assert!(found.interactive);
    }

    #[test]
    fn usage() {
        let dir = with_file();
        let wrong = |args: &str| match parse(dir.path(), args) {
            Err(Stop::Usage(words)) => words,
            other => panic!("{args}: {other:?}"),
        };
        assert_eq!(wrong("-x"), "option -x not recognized");
        assert_eq!(wrong("-c"), "option -c requires argument");
        assert_eq!(wrong("--help=3"), "option --help must not have an argument");
        assert_eq!(wrong("--h"), "option --h not a unique prefix");
        assert_eq!(
            wrong("-s zzz status"),
            "invalid value for -s 'zzz': value 'zzz' is not a URL"
        );
        assert_eq!(wrong("-u a -u b"), "conflicting command line option '-u'");
        assert_eq!(wrong("-c none status"), "could not find config file none");
        assert_eq!(
            wrong("-c other.conf status"),
            ".ini file does not include supervisorctl section"
        );
        assert_eq!(parse(dir.path(), "-h"), Err(Stop::Help));
    }
}
