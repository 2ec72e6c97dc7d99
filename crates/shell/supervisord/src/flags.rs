//! The command line of `supervisord` (options.py `ServerOptions`): which options there are, what they may be, and the
//! complaints. They are settings of `[supervisord]` that beat the file's.
//!
//! A value is checked here, by the same rules and in the same words as Supervisor's, so that the daemon gets nothing
//! that it could not use; paths become absolute here, where the directory that they are relative to is known.

use std::path::Path;

use crate::ctl::repr;
use crate::getopt::{Given, Opt, getopt, opt, places};

/// For `-h`; `%s` is the program.
pub const USAGE: &str = "\
supervisord (Steadfast) -- run a set of applications as daemons.

Usage: %s [options]

Options:
-c/--configuration FILENAME -- configuration file path (searches if not given)
-n/--nodaemon -- stay in the foreground (as 'nodaemon=true' in the file)
-s/--silent -- no log on stdout (as 'silent=true' in the file)
-h/--help -- this text
-v/--version -- the version of Supervisor that this stands in for
-u/--user USER -- become this user (or uid)
-m/--umask UMASK -- umask of the programs (022)
-d/--directory DIRECTORY -- directory to change to when going to the background
-l/--logfile FILENAME -- activity log
-y/--logfile_maxbytes BYTES -- size at which the activity log is rotated
-z/--logfile_backups NUM -- rotated activity logs that are kept
-e/--loglevel LEVEL -- least level of the activity log (debug,info,warn,error,critical)
-j/--pidfile FILENAME -- where the pid is written
-i/--identifier STR -- name of this instance
-q/--childlogdir DIRECTORY -- directory of the programs' automatic logs
-k/--nocleanup -- do not remove old automatic logs at the start
-a/--minfds NUM -- file descriptors without which it does not start
-t/--strip_ansi -- take escape sequences out of the programs' logs
--minprocs NUM -- processes without which it does not start
--profile_options OPTIONS -- accepted; there is no Python to profile
";

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// The file, as it was named.
    pub config: Option<String>,
    /// Keys of `[supervisord]` with the values that beat the file's. Checked.
    pub settings: Vec<(String, String)>,
    /// Options that are accepted and do nothing.
    pub idle: Vec<String>,
}

impl Flags {
    /// Whether a switch was given (`nodaemon`).
    pub fn has(&self, key: &str) -> bool {
        self.settings.iter().any(|(name, _)| name == key)
    }
}

/// Not a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// `-h`.
    Help,
    /// `-v`.
    Version,
    /// For stderr behind `Error: `; exit status 2.
    Usage(String),
}

/// What a value must be.
#[derive(Debug, Clone, Copy)]
enum Check {
    Switch,
    Text,
    Octal,
    Directory,
    PathInDirectory,
    Bytes,
    Number,
    Level,
}

const KNOWN: [(Opt, Check); 21] = [
    (opt("help", 'h', false), Check::Switch),
    (opt("", '?', false), Check::Switch),
    (opt("configuration", 'c', true), Check::Text),
    (opt("version", 'v', false), Check::Switch),
    (opt("nodaemon", 'n', false), Check::Switch),
    (opt("user", 'u', true), Check::Text),
    (opt("umask", 'm', true), Check::Octal),
    (opt("directory", 'd', true), Check::Directory),
    (opt("logfile", 'l', true), Check::PathInDirectory),
    (opt("logfile_maxbytes", 'y', true), Check::Bytes),
    (opt("logfile_backups", 'z', true), Check::Number),
    (opt("loglevel", 'e', true), Check::Level),
    (opt("pidfile", 'j', true), Check::PathInDirectory),
    (opt("identifier", 'i', true), Check::Text),
    (opt("childlogdir", 'q', true), Check::Directory),
    (opt("minfds", 'a', true), Check::Number),
    (opt("minprocs", '\0', true), Check::Number),
    (opt("nocleanup", 'k', false), Check::Switch),
    (opt("strip_ansi", 't', false), Check::Switch),
    (opt("profile_options", '\0', true), Check::Text),
    (opt("silent", 's', false), Check::Switch),
];

/// Long names of all options, for the table of what is compatible.
pub fn names() -> impl Iterator<Item = (&'static str, char)> {
    let named = KNOWN.iter().map(|(opt, _)| (opt.long, opt.short));
    named.filter(|(long, _)| !long.is_empty())
}

/// Reads the command line without the program's name. `cwd`: what relative paths mean; `home`: what `~` means.
pub fn parse(args: &[String], cwd: &str, home: Option<&str>) -> Result<Flags, Stop> {
    let known: Vec<Opt> = KNOWN.iter().map(|(opt, _)| *opt).collect();
    let (given, words) = getopt(&known, args).map_err(Stop::Usage)?;
    if !words.is_empty() {
        let shown: Vec<String> = words.iter().map(|word| repr(word)).collect();
        let shown = shown.join(", ");
        return Err(Stop::Usage(format!(
            "positional arguments are not supported: [{shown}]"
        )));
    }
    let mut flags = Flags::default();
    for Given {
        written,
        index,
        value,
    } in given
    {
        let (Opt { long, short, .. }, check) = KNOWN[index];
        match short {
            'h' | '?' => return Err(Stop::Help),
            'v' => return Err(Stop::Version),
            _ => {}
        }
        let value = checked(check, &value, cwd, home).map_err(|why| {
            Stop::Usage(format!(
                "invalid value for {written} {}: {why}",
                repr(&value)
            ))
        })?;
        match long {
            "configuration" if flags.config.is_none() => flags.config = Some(value),
            "profile_options" => flags.idle.push(written),
            _ if long != "configuration" && !flags.has(long) => {
                flags.settings.push((long.to_owned(), value));
            }
            _ => {
                let written = repr(&written);
                return Err(Stop::Usage(format!(
                    "conflicting command line option {written}"
                )));
            }
        }
    }
    Ok(flags)
}

/// The value as the daemon wants it.
fn checked(check: Check, value: &str, cwd: &str, home: Option<&str>) -> Result<String, String> {
    let full = || absolute(value, cwd, home);
    match check {
        Check::Switch => Ok("true".to_owned()),
        Check::Text => Ok(value.to_owned()),
        Check::Octal => match u32::from_str_radix(octal_digits(value), 8) {
            Ok(_) => Ok(octal_digits(value).to_owned()),
            Err(_) => Err(format!("{value} can not be converted to an octal type")),
        },
        Check::Directory if Path::new(&full()).is_dir() => Ok(full()),
        Check::Directory => Err(format!("{value} is not an existing directory")),
        Check::PathInDirectory if value == "syslog" => Ok(value.to_owned()),
        Check::PathInDirectory => match full().rsplit_once('/') {
            Some((dir, _)) if dir.is_empty() || Path::new(dir).is_dir() => Ok(full()),
            _ => Err(format!(
                "The directory named as part of the path {value} does not exist"
            )),
        },
        Check::Bytes => bytes(value),
        Check::Number => number(value).map(|number| number.to_string()),
        Check::Level => {
            let level = value.to_lowercase();
            let known = [
                "critical", "error", "warn", "info", "debug", "trace", "blather",
            ];
            match known.contains(&level.as_str()) {
                true => Ok(level),
                false => Err(format!("bad logging level name {}", repr(value))),
            }
        }
    }
}

fn octal_digits(value: &str) -> &str {
    let value = value.trim();
    value
        .strip_prefix("0o")
        .or_else(|| value.strip_prefix("0O"))
        .unwrap_or(value)
}

/// Python's `int`.
fn number(value: &str) -> Result<u64, String> {
    let plain = value.trim();
    let plain = plain.strip_prefix('+').unwrap_or(plain);
    let negative = plain.strip_prefix('-');
    let digits = negative.unwrap_or(plain);
    match digits.parse::<u64>() {
        // Less than nothing is nothing: no bound.
        Ok(_) if negative.is_some() => Ok(0),
        Ok(number) if !digits.starts_with('+') => Ok(number),
        _ => Err(format!(
            "invalid literal for int() with base 10: {}",
            repr(value)
        )),
    }
}

fn bytes(value: &str) -> Result<String, String> {
    let lower = value.to_lowercase();
    let units = [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1u64 << 30)];
    let unit = units
        .iter()
        .find_map(|(unit, size)| Some((lower.strip_suffix(unit)?, *size)));
    let (digits, size) = unit.unwrap_or((&lower, 1));
    Ok(number(digits)?.saturating_mul(size).to_string())
}

fn absolute(path: &str, cwd: &str, home: Option<&str>) -> String {
    let path = match (path.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            format!("{home}{rest}")
        }
        _ => path.to_owned(),
    };
    match path.starts_with('/') {
        true => path,
        false => format!("{}/{path}", cwd.trim_end_matches('/')),
    }
}

/// The file that options name, as they name it; whatever else is wrong with them.
pub(crate) fn named(args: &[String]) -> Option<String> {
    let known: Vec<Opt> = KNOWN.iter().map(|(opt, _)| *opt).collect();
    let (given, _) = getopt(&known, args).ok()?;
    let mut files = given.into_iter().filter(|it| known[it.index].short == 'c');
    files.next().map(|it| it.value)
}

/// Where the file is, if none was named: the first of Supervisor's places that exists, or the complaint.
pub fn search(program: &str, cwd: &str) -> Result<String, String> {
    crate::getopt::search(program, cwd).ok_or_else(|| {
        format!(
            "No config file found at default paths ({}); use the -c option to specify a config file at a different path",
            places(program).join(", ")
        )
    })
}

/// What Supervisor warns of when root searches.
pub const ROOT_SEARCHES: &str = "UserWarning: Supervisord is running as root and it is searching for its configuration file in default locations (including its current working directory); you probably want to specify a \"-c\" argument specifying an absolute path to a configuration file for improved security.";

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(args: &str) -> Result<Flags, Stop> {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        parse(&args, "/tmp", Some("/root"))
    }

    fn settings(args: &str) -> Vec<(String, String)> {
        flags(args).expect("options").settings
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn every_option_becomes_a_setting() {
        let all = "-n -u root -m 027 -d /tmp -l s.log -y 2KB -z 3 -e WARN -j s.pid -i me -q / -k -t -a 99 --minprocs=5 -s";
        assert_eq!(
            settings(all),
            pairs(&[
                ("nodaemon", "true"),
                ("user", "root"),
                ("umask", "027"),
                ("directory", "/tmp"),
                ("logfile", "/tmp/s.log"),
                ("logfile_maxbytes", "2048"),
                ("logfile_backups", "3"),
                ("loglevel", "warn"),
                ("pidfile", "/tmp/s.pid"),
                ("identifier", "me"),
                ("childlogdir", "/"),
                ("nocleanup", "true"),
                ("strip_ansi", "true"),
                ("minfds", "99"),
                ("minprocs", "5"),
                ("silent", "true"),
            ])
        );
        let long = "--nodaemon --configuration x.conf --logfile=/tmp/a --profile_options calls";
        let found = flags(long).expect("options");
        assert_eq!(found.config.as_deref(), Some("x.conf"));
        assert_eq!(found.idle, ["--profile_options"]);
        assert!(found.has("nodaemon"));
        // Letters may stand together, with the value of the last behind them.
        assert_eq!(
            settings("-nsm022"),
            pairs(&[("nodaemon", "true"), ("silent", "true"), ("umask", "022")])
        );
    }

    #[test]
    fn complaints_are_supervisors() {
        let wrong = |args: &str| match flags(args) {
            Err(Stop::Usage(words)) => words,
            other => panic!("{args}: {other:?}"),
        };
        assert_eq!(
            wrong("start"),
            "positional arguments are not supported: ['start']"
        );
        assert_eq!(wrong("-x"), "option -x not recognized");
        assert_eq!(wrong("-c"), "option -c requires argument");
        assert_eq!(wrong("--log"), "option --log not a unique prefix");
        assert_eq!(
            wrong("-m 9"),
            "invalid value for -m '9': 9 can not be converted to an octal type"
        );
        assert_eq!(
            wrong("-d /no/dir"),
            "invalid value for -d '/no/dir': /no/dir is not an existing directory"
        );
        assert_eq!(
            wrong("--pidfile /no/dir/x"),
            "invalid value for --pidfile '/no/dir/x': The directory named as part of the path /no/dir/x does not exist"
        );
        assert_eq!(
            wrong("-a many"),
            "invalid value for -a 'many': invalid literal for int() with base 10: 'many'"
        );
        assert_eq!(
            wrong("-e loud"),
            "invalid value for -e 'loud': bad logging level name 'loud'"
        );
        assert_eq!(wrong("-n -n"), "conflicting command line option '-n'");
        assert_eq!(flags("-nh"), Err(Stop::Help));
        assert_eq!(flags("--version"), Err(Stop::Version));
    }
}
