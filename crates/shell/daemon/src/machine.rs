//! The machine as the reader of configurations sees it.

use std::collections::BTreeMap;
use std::io::Read;

use conf::{Account, DirEntry, Environment, Files, Kind, ReadError};

/// The real file system, with at most one file that exists only in memory (`run -- COMMAND`).
#[derive(Debug, Default)]
pub(crate) struct Machine {
    /// Path and text of the file in memory.
    pub(crate) memory: Option<(String, String)>,
}

impl Files for Machine {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
        if let Some((_, text)) = self.memory.as_ref().filter(|(name, _)| name == path) {
            return Ok(text.clone().into_bytes());
        }
        let other = |why: std::io::Error| match why.kind() {
            std::io::ErrorKind::NotFound => ReadError::NotFound,
            std::io::ErrorKind::PermissionDenied => ReadError::Denied,
            _ => ReadError::Other(why.to_string()),
        };
        let meta = std::fs::metadata(path).map_err(other)?;
        if !meta.is_file() {
            return Err(ReadError::NotAFile);
        }
        let mut bytes = Vec::new();
        // Looked at again when it is open, and not waited for: somebody may have put something else there.
        let file = sys::files::regular_anywhere(path.as_ref()).map_err(other)?;
        file.take(bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(other)?;
        if bytes.len() as u64 > bytes_max {
            Err(ReadError::TooLarge)
        } else {
            Ok(bytes)
        }
    }

    fn list(&self, dir: &str) -> Vec<DirEntry> {
        let entry = |entry: std::fs::DirEntry| DirEntry {
            name: entry.file_name().to_string_lossy().into_owned(),
            is_dir: entry.path().is_dir(),
        };
        std::fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .map(entry)
            .collect()
    }

    fn kind(&self, path: &str) -> Option<Kind> {
        if self.memory.as_ref().is_some_and(|(name, _)| name == path) {
            return Some(Kind::File);
        }
        let meta = std::fs::metadata(path).ok()?;
        Some(if meta.is_dir() { Kind::Dir } else { Kind::File })
    }

    fn account(&self, user: &str) -> Option<Account> {
        let user = sys::users::lookup(user).ok()??;
        Some(Account {
            name: user.name,
            uid: user.uid,
            gid: user.gid,
            home: user.home,
        })
    }

    fn group_id(&self, group: &str) -> Option<u32> {
        sys::users::group(group).ok()?
    }
}

/// The environment of a configuration: these variables, this process's directory and host name.
pub(crate) fn environment(env: &BTreeMap<String, String>) -> Environment {
    Environment {
        env: env.clone(),
        cwd: cwd(),
        hostname: hostname(),
    }
}

/// This process's variables, but for those that only concern the daemon itself.
pub(crate) fn own_env() -> BTreeMap<String, String> {
    let text = |value: std::ffi::OsString| value.into_string().ok();
    std::env::vars_os()
        .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
        .filter(|(name, _)| {
            !matches!(
                name.as_str(),
                "LISTEN_FDS" | "LISTEN_PID" | "LISTEN_FDNAMES" | "NOTIFY_SOCKET"
            )
        })
        .collect()
}

/// Working directory; `/` if it is gone.
pub(crate) fn cwd() -> String {
    std::env::current_dir().map_or_else(|_| "/".to_owned(), |dir| dir.display().to_string())
}

pub(crate) fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The words of a command as they stand in a configuration.
fn written(argv: &[String]) -> String {
    servers::quote_line(argv)
}

/// A configuration for `run -- COMMAND`: the program behind the gateway if it can be handed a socket, its output to
/// ours, and no files anywhere but in the run directory. Returns its path (in memory) and text.
pub(crate) fn for_command(
    argv: &[String],
    run_dir: &str,
    env: &BTreeMap<String, String>,
) -> (String, String) {
    let server = servers::read(argv, env);
    let name = match server.kind {
        servers::Kind::Unknown => argv
            .first()
            .map_or("program", |word| word.rsplit('/').next().unwrap_or(word))
            .to_owned(),
        kind => kind.name().to_owned(),
    };
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let name = if plain.is_empty() {
        "program".to_owned()
    } else {
        plain
    };
    let behind = server.public().is_ok() && servers::gateway(&server).is_ok();
    let listen = if behind { "gateway" } else { "own" };
    let run_dir = run_dir.replace('%', "%%");
    let text = format!(
        "[supervisord]\nlogfile = {run_dir}/steadfast.log\npidfile = {run_dir}/steadfast.pid\n\
         \n[steadfast]\n\n[program:{name}]\ncommand = {}\nlisten = {listen}\n\
         stdout_logfile = /dev/stdout\nstdout_logfile_maxbytes = 0\n\
         stderr_logfile = /dev/stderr\nstderr_logfile_maxbytes = 0\n",
        written(argv)
    );
    (
        format!("{}/command line", cwd().trim_end_matches('/')),
        text,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> conf::Loaded {
        let argv: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        let env = BTreeMap::new();
        let (path, text) = for_command(&argv, "/tmp", &env);
        conf::load(
            &path,
            &Machine {
                memory: Some((path.clone(), text)),
            },
            &environment(&env),
        )
    }

    #[test]
    fn a_command_becomes_a_program_behind_the_gateway() {
        let loaded = read(&["uvicorn", "server:app", "--port", "8001"]);
        assert_eq!(loaded.findings, vec![]);
        let program = &loaded.model.programs[0];
        assert_eq!(program.name, "uvicorn");
        assert_eq!(*program.listen, conf::Listen::Gateway);
    }

    #[test]
    fn words_survive_quoting_and_expansion() {
        let words = [
            "/opt/my prog:x",
            "a b",
            "100%",
            "%(here)s",
            "it's",
            "\"q\"",
            ";c",
            "back\\slash",
            "",
        ];
        let loaded = read(&words);
        assert_eq!(loaded.findings, vec![]);
        let program = &loaded.model.programs[0];
        assert_eq!(program.processes[0].command.argv(), words);
        assert_eq!(
            (program.name.as_str(), *program.listen),
            ("my_prog_x", conf::Listen::Own)
        );
    }
}
