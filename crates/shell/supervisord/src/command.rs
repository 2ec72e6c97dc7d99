//! The command line of a supervisor that runs: whether a process is one, and which configuration it reads.
//!
//! `python3 /usr/bin/supervisord -n -c x`, `supervisord`, `steadfast run -c x`, `steadfast -c x run`. Options of
//! Supervisor's are read by its own rules ([`crate::flags`]); where none names a file, it is searched in Supervisor's
//! places, beginning beside the program (`<venv>/etc/supervisord.conf`).

use std::path::{Path, PathBuf};

/// Words before which the program stands: an interpreter and an option of it.
const BEFORE_MAX: usize = 3;

/// A supervisor's words.
struct Words<'a> {
    /// As it was called.
    program: &'a str,
    /// What follows.
    rest: &'a [String],
    /// Under our own name.
    ours: bool,
}

fn words(argv: &[String]) -> Option<Words<'_>> {
    let base = |word: &str| word.rsplit('/').next().unwrap_or("").to_owned();
    let called = |at: usize, ours| Words {
        program: &argv[at],
        rest: &argv[at + 1..],
        ours,
    };
    let first = argv.iter().take(BEFORE_MAX);
    if let Some(at) = first.clone().position(|word| base(word) == "supervisord") {
        return Some(called(at, false));
    }
    let at = first.take(1).position(|word| base(word) == "steadfast")?;
    let mut own = argv[at + 1..].iter().take_while(|word| *word != "--");
    own.any(|word| word == "run").then(|| called(at, true))
}

/// Whether a command line is a supervisor's, ours included.
pub fn is_supervisor(argv: &[String]) -> bool {
    words(argv).is_some()
}

/// The configuration that its options name, as they name it.
pub fn named(argv: &[String]) -> Option<String> {
    let words = words(argv)?;
    match words.ours {
        true => of_ours(words.rest),
        false => crate::flags::named(words.rest),
    }
}

/// Ours has no letter but `-c` before a value, and options on both sides of `run`.
fn of_ours(words: &[String]) -> Option<String> {
    let mut words = words.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word == "-c" || word == "--config" {
            return words.next().cloned();
        }
        let joined = word.strip_prefix("--config=");
        let joined = joined.or_else(|| word.strip_prefix("-c").filter(|_| !word.starts_with("--")));
        if let Some(path) = joined {
            return Some(path.trim_start_matches('=').to_owned());
        }
    }
    None
}

/// The file that a supervisor with this command line reads, started in `cwd`: what its options name, else the first of
/// Supervisor's places that exists. None: it is no supervisor, or there is no file.
pub fn file_of(argv: &[String], cwd: &Path) -> Option<PathBuf> {
    let called = words(argv)?;
    if called.ours && called.rest.iter().any(|word| word == "--") {
        // A command in place of a file.
        return None;
    }
    let path = match named(argv) {
        Some(path) => path,
        None => crate::getopt::search(called.program, &cwd.to_string_lossy())?,
    };
    Some(cwd.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_file_of_a_supervisor_is_in_its_command_line() {
        for (line, file) in [
            ("supervisord -n -c x.conf", "/at/x.conf"),
            ("python3 /usr/bin/supervisord -c/etc/x.conf", "/etc/x.conf"),
            ("supervisord --configuration=/x", "/x"),
            ("supervisord --conf /x -n", "/x"),
            ("supervisord -nc/x", "/x"),
            ("supervisord -l -c -c y.conf", "/at/y.conf"),
            ("/opt/steadfast run -c y.conf", "/at/y.conf"),
            ("/opt/steadfast -c y.conf run", "/at/y.conf"),
            ("steadfast run --config=y.conf", "/at/y.conf"),
        ] {
            let read = file_of(&argv(line), Path::new("/at"));
            assert_eq!(read, Some(PathBuf::from(file)), "{line}");
        }
        for line in [
            "steadfast status -c y.conf",
            "steadfast run -- supervise -c y.conf",
            "sleep 100",
            "vi /etc/supervisord.conf",
        ] {
            assert_eq!(file_of(&argv(line), Path::new("/at")), None, "{line}");
        }
    }

    #[test]
    fn without_an_option_it_is_searched_beside_the_program_first() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name);
        for name in ["venv/etc", "venv/bin", "here"] {
            std::fs::create_dir_all(path(name)).expect("made");
        }
        let program = path("venv/bin/supervisord").display().to_string();
        let words = argv(&format!("python3 {program} -n"));
        std::fs::write(path("here/supervisord.conf"), "").expect("written");
        assert_eq!(
            file_of(&words, &path("here")),
            Some(path("here/supervisord.conf"))
        );
        std::fs::write(path("venv/etc/supervisord.conf"), "").expect("written");
        assert_eq!(
            file_of(&words, &path("here")),
            Some(path("venv/etc/supervisord.conf"))
        );
        // By a bare name it is looked for where it was started, as Supervisor does with its argv[0].
        assert_eq!(
            file_of(&argv("supervisord"), &path("here")),
            Some(path("here/supervisord.conf"))
        );
    }
}
