//! AUTO logs: names as Supervisor makes them (options.py `get_autochildlog_name`), and their removal at a first start.

use std::path::Path;

/// Tries to find a free name; 36^8 names make a second try a rarity.
const TRIES_MAX: u32 = 8;
/// Letters of the random part, those of Python's tempfile.
const LETTERS: &[u8; 37] = b"abcdefghijklmnopqrstuvwxyz0123456789_";

/// What a name is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name<'a> {
    /// `childlogdir`.
    pub(crate) dir: &'a str,
    /// Process name.
    pub(crate) process: &'a str,
    /// `stdout` or `stderr`.
    pub(crate) channel: &'a str,
    /// `identifier`.
    pub(crate) identifier: &'a str,
}

impl Name<'_> {
    fn prefix(&self) -> String {
        let Name {
            dir,
            process,
            channel,
            identifier,
        } = self;
        format!(
            "{}/{process}-{channel}---{identifier}-",
            dir.trim_end_matches('/')
        )
    }

    /// Whether `path` is a name of this process and channel.
    pub(crate) fn fits(&self, path: &str) -> bool {
        path.strip_prefix(&self.prefix())
            .is_some_and(|rest| rest.ends_with(".log") && !rest.contains('/'))
    }

    /// Makes a new empty log (0600) and returns its path; empty in a dry run or if it cannot be made (the keeper then
    /// says why it cannot log).
    pub(crate) fn make(&self, dry: bool) -> String {
        if dry {
            return String::new();
        }
        use std::os::unix::fs::OpenOptionsExt;
        let mut path = String::new();
        for _ in 0..TRIES_MAX {
            path = format!("{}{}.log", self.prefix(), random_letters());
            let made = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            match made {
                Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {}
                Ok(_) | Err(_) => break,
            }
        }
        path
    }
}

fn random_letters() -> String {
    let mut bytes = [0u8; 8];
    // Early boot of a machine aside this never fails; then all names are tried with the same letters.
    let _ = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty());
    bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect()
}

/// Removes the AUTO logs of an earlier run (options.py `clear_autochildlogdir`). Only at a first start: at an adoption
/// they are live. Returns a complaint if the directory cannot be read.
pub(crate) fn clear(dir: &str, identifier: &str) -> Option<String> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Some("Could not clear childlog dir".to_owned());
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| is_auto(name, identifier)) {
            let _ = sys::named::remove(&Path::new(dir).join(&name));
        }
    }
    None
}

/// Supervisor's `.+?---IDENTIFIER-\S+\.log\.{0,1}\d{0,4}`, matched to the end, since a rest that is no number is nobody's
/// rotated log.
fn is_auto(name: &str, identifier: &str) -> bool {
    let Some((before, rest)) = name.split_once(&format!("---{identifier}-")) else {
        return false;
    };
    let Some((letters, end)) = rest.rsplit_once(".log") else {
        return false;
    };
    let number = end.strip_prefix('.').unwrap_or(end);
    !before.is_empty()
        && !letters.is_empty()
        && !letters.contains(char::is_whitespace)
        && number.len() <= 4
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_supervisors_and_are_found_again() {
        let dir = tempfile::tempdir().expect("directory");
        let dir = dir.path().display().to_string();
        let name = Name {
            dir: &dir,
            process: "backend",
            channel: "stdout",
            identifier: "supervisor",
        };
        let path = name.make(false);
        assert!(
            path.starts_with(&format!("{dir}/backend-stdout---supervisor-"))
                && path.ends_with(".log"),
            "{path}"
        );
        assert!(name.fits(&path));
        assert!(
            !Name {
                channel: "stderr",
                ..name
            }
            .fits(&path)
        );
        assert_eq!(name.make(true), "");
        let keep = format!("{dir}/backend.log");
        std::fs::write(&keep, "").expect("written");
        std::fs::write(format!("{path}.3"), "").expect("written");
        assert_eq!(clear(&dir, "supervisor"), None);
        assert!(
            !Path::new(&path).exists()
                && !Path::new(&format!("{path}.3")).exists()
                && Path::new(&keep).exists()
        );
        assert_eq!(
            clear("/no/such/dir", "supervisor").as_deref(),
            Some("Could not clear childlog dir")
        );
    }

    #[test]
    fn only_autos_of_this_identifier() {
        assert!(is_auto("a-stderr---supervisor-x1_y.log", "supervisor"));
        assert!(is_auto("a-stderr---supervisor-x1_y.log.12", "supervisor"));
        assert!(!is_auto("a-stderr---other-x1_y.log", "supervisor"));
        assert!(!is_auto("a-stderr---supervisor-x.log.gz", "supervisor"));
        assert!(!is_auto("---supervisor-x.log", "supervisor"));
    }
}
