//! Lines of output for the system's log (`stdout_syslog`), as Supervisor's go there: in the name of `supervisord`, each
//! with the name of its process.

/// Whose messages they are.
const IDENT: &str = "supervisord";

/// One channel's way to the system's log.
#[derive(Debug)]
pub(crate) struct Syslog {
    process: String,
    log: sys::syslog::Syslog,
    complained: bool,
}

impl Syslog {
    /// `path` empty = where systems have it.
    pub(crate) fn new(process: &str, path: &str) -> Syslog {
        Syslog {
            process: process.to_owned(),
            log: sys::syslog::Syslog::new(path),
            complained: false,
        }
    }

    /// Sends each line. Returns a complaint the first time that nobody takes it; a log never stops a program.
    pub(crate) fn write(&mut self, bytes: &[u8], wall_ms: u64) -> Option<String> {
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let mut failed = None;
        for line in text.split(|byte| *byte == b'\n') {
            let mut message = format!("{} ", self.process).into_bytes();
            message.extend_from_slice(line);
            match self.log.send(IDENT, &message, wall_ms) {
                Ok(()) => self.complained = false,
                Err(error) => failed = Some(error),
            }
        }
        let error = failed.filter(|_| !std::mem::replace(&mut self.complained, true))?;
        let path = self.log.path();
        Some(format!(
            "cannot write to the system's log at {path}: {error}; its lines there are lost"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_one_message_and_a_missing_log_is_said_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let text = path.to_str().unwrap();
        let mut log = Syslog::new("cat", text);
        assert!(log.write(b"lost\n", 0).unwrap().contains(text));
        assert_eq!(log.write(b"lost\n", 0), None);
        let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert_eq!(log.write(b"one\ntwo", 0), None);
        for line in ["one", "two"] {
            let mut buffer = [0; 200];
            let length = socket.recv(&mut buffer).unwrap();
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            assert!(message.starts_with("<14>"), "{message}");
            assert!(
                message.ends_with(&format!(" supervisord: cat {line}")),
                "{message}"
            );
        }
    }
}
