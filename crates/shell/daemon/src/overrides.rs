//! What the command line of `supervisord` says against the file (`supervisord::flags` has checked it).

use conf::{Files, LogFile, LogLevel, Spanned, Supervisord, User};

use crate::machine::Machine;

/// Puts the settings over those of the file. What cannot be used any more (a user that is gone) is left as it was.
pub(crate) fn apply(own: &mut Supervisord, settings: &[(String, String)], detached: bool) {
    for (key, value) in settings {
        set(own, key, value);
    }
    // Supervisor changes its directory only on its way to the background.
    if !detached {
        own.directory = None;
    }
}

fn set(own: &mut Supervisord, key: &str, value: &str) {
    let number = || value.parse::<u64>().ok();
    let truth = value == "true";
    match key {
        "nodaemon" => own.nodaemon = truth,
        "silent" => own.silent = truth,
        "nocleanup" => own.nocleanup = truth,
        "strip_ansi" => own.strip_ansi = truth,
        "umask" => own.umask = u32::from_str_radix(value, 8).unwrap_or(own.umask),
        "directory" => own.directory = Some(value.to_owned()),
        "logfile" => own.logfile = LogFile::Path(value.to_owned()),
        "logfile_maxbytes" => own.logfile_maxbytes = number().unwrap_or(own.logfile_maxbytes),
        "logfile_backups" => {
            let backups = number().and_then(|number| u32::try_from(number).ok());
            own.logfile_backups = backups.unwrap_or(own.logfile_backups);
        }
        "loglevel" => own.loglevel = level(value).unwrap_or(own.loglevel),
        "pidfile" => own.pidfile = value.to_owned(),
        "identifier" => own.identifier = value.to_owned(),
        "childlogdir" => own.childlogdir = value.to_owned(),
        "minfds" => own.minfds = number().unwrap_or(own.minfds),
        "minprocs" => own.minprocs = number().unwrap_or(own.minprocs),
        "user" => own.user = user(value).or(own.user.take()),
        _ => {}
    }
}

fn level(word: &str) -> Option<LogLevel> {
    Some(match word {
        "blather" => LogLevel::Blather,
        "trace" => LogLevel::Trace,
        "debug" => LogLevel::Debug,
        "info" => LogLevel::Info,
        "warn" => LogLevel::Warn,
        "error" => LogLevel::Error,
        "critical" => LogLevel::Critical,
        _ => return None,
    })
}

fn user(name: &str) -> Option<Spanned<User>> {
    let account = Machine::default().account(name)?;
    let user = User {
        name: account.name,
        uid: account.uid,
        gid: account.gid,
        home: account.home,
        written: name.to_owned(),
    };
    Some(Spanned {
        value: user,
        span: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_beats_the_file() {
        let text =
            "[supervisord]\numask = 077\nidentifier = file\ndirectory = /tmp\nloglevel = error\n";
        let machine = Machine {
            memory: Some(("/x".into(), text.into())),
        };
        let env = crate::machine::environment(&Default::default());
        let mut own = conf::load("/x", &machine, &env).model.supervisord;
        let settings = [
            ("umask", "007"),
            ("loglevel", "debug"),
            ("minfds", "5"),
            ("logfile", "/tmp/s.log"),
            ("silent", "true"),
            ("user", "root"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        apply(&mut own, &settings, true);
        assert_eq!(
            (own.umask, own.minfds, own.silent, own.identifier.as_str()),
            (0o007, 5, true, "file")
        );
        assert_eq!(own.loglevel, LogLevel::Debug);
        assert_eq!(own.logfile, LogFile::Path("/tmp/s.log".into()));
        assert_eq!(own.user.as_ref().map(|user| user.uid), Some(0));
        assert_eq!(own.directory.as_deref(), Some("/tmp"));
        apply(&mut own, &[], false);
        assert_eq!(own.directory, None);
    }
}
