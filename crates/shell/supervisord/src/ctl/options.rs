//! Options and configuration of `supervisorctl` (options.py `ClientOptions`): the command line before the file before the
//! defaults; the file by `-c`, else the first that exists of Supervisor's places.

use std::collections::BTreeMap;
use std::path::Path;

use conf::{Account, DirEntry, Environment, Files, Kind, ReadError};

use super::client::repr;

/// What to do, and with whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) url: String,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) prompt: String,
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

/// Long name, short name, whether it takes a value.
const KNOWN: [(&str, char, bool); 7] = [
    ("configuration", 'c', true),
    ("help", 'h', false),
    ("interactive", 'i', false),
    ("history_file", 'r', true),
    ("serverurl", 's', true),
    ("username", 'u', true),
    ("password", 'p', true),
];

/// Of the command line: `(name as written, index in KNOWN, value)`, and the words behind them (Python's getopt).
type Given = (Vec<(String, usize, String)>, Vec<String>);

fn getopt(args: &[String]) -> Result<Given, String> {
    let mut given = Vec::new();
    let mut rest = args.iter();
    let mut words = Vec::new();
    while let Some(arg) = rest.next() {
        if arg == "--" {
            break;
        }
        if let Some(long) = arg.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let index = long_option(name)?;
            let full = KNOWN[index].0;
            let value = match (KNOWN[index].2, value) {
                (true, Some(value)) => value,
                (true, None) => rest
                    .next()
                    .cloned()
                    .ok_or_else(|| format!("option --{full} requires argument"))?,
                (false, None) => String::new(),
                (false, Some(_)) => {
                    return Err(format!("option --{full} must not have an argument"));
                }
            };
            given.push((format!("--{full}"), index, value));
        } else if arg.len() > 1 && arg.starts_with('-') {
            let mut letters = arg[1..].chars();
            while let Some(letter) = letters.next() {
                let index = KNOWN.iter().position(|known| known.1 == letter);
                let index = index.ok_or_else(|| format!("option -{letter} not recognized"))?;
                let mut value = String::new();
                if KNOWN[index].2 {
                    value = letters.as_str().to_owned();
                    letters = "".chars();
                    if value.is_empty() {
                        value = rest
                            .next()
                            .cloned()
                            .ok_or_else(|| format!("option -{letter} requires argument"))?;
                    }
                }
                given.push((format!("-{letter}"), index, value));
            }
        } else {
            words.push(arg.clone());
            break;
        }
    }
    words.extend(rest.cloned());
    Ok((given, words))
}

/// A long option may be cut as long as it is unique.
fn long_option(name: &str) -> Result<usize, String> {
    if let Some(exact) = KNOWN.iter().position(|known| known.0 == name) {
        return Ok(exact);
    }
    let mut fits = (0..KNOWN.len()).filter(|index| KNOWN[*index].0.starts_with(name));
    match (fits.next(), fits.next()) {
        (Some(index), None) => Ok(index),
        (None, _) => Err(format!("option --{name} not recognized")),
        (Some(_), Some(_)) => Err(format!("option --{name} not a unique prefix")),
    }
}

/// Reads everything that decides. `program` is argv[0], `vars` the environment, `cwd` the working directory.
pub(super) fn realize(
    program: &str,
    args: &[String],
    vars: &BTreeMap<String, String>,
    cwd: &str,
) -> Result<Options, Stop> {
    let (given, words) = getopt(args).map_err(Stop::Usage)?;
    let mut values: [Option<String>; KNOWN.len()] = Default::default();
    for (written, index, value) in given {
        match KNOWN[index].1 {
            'h' => return Err(Stop::Help),
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
    let [file, _, interactive, _, url, username, password] = values;
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
        prompt: ctl.map_or_else(|| "supervisor".to_owned(), |ctl| ctl.prompt),
        interactive: interactive.is_some() || words.is_empty(),
        words,
    })
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

/// Supervisor's places: beside the program's directory, here, then /etc.
fn search(program: &str, cwd: &str) -> Option<String> {
    let parent = |path: &str| match path.rsplit_once('/') {
        Some(("", _)) => "/".to_owned(),
        Some((parent, _)) => parent.to_owned(),
        None => String::new(),
    };
    let here = parent(&parent(program));
    let beside = |name: &str| match here.as_str() {
        "" => name.to_owned(),
        here => format!("{here}/{name}"),
    };
    [
        beside("etc/supervisord.conf"),
        beside("supervisord.conf"),
        "supervisord.conf".to_owned(),
        "etc/supervisord.conf".to_owned(),
        "/etc/supervisord.conf".to_owned(),
        "/etc/supervisor/supervisord.conf".to_owned(),
    ]
    .into_iter()
    .find(|path| Path::new(cwd).join(path).exists())
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
