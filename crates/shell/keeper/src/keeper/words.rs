//! What a role of ours says on its readiness descriptor, a line each: `ready`, `trouble KIND TEXT`, `trouble` when it is over.
//!
//! Only roles of ours are heard beyond readiness; a program's descriptor is closed with its first byte.

use wire::Trouble;

/// Bytes of one line; the rest of a longer one is left out.
const LINE_BYTES_MAX: usize = 2048;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// The line so far.
    line: Vec<u8>,
    trouble: Option<Trouble>,
    /// Nobody asks any more whether it is ready.
    over: bool,
}

impl Words {
    pub(super) fn end_check(&mut self) {
        self.over = true;
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// True = it is ready, and that was asked.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> bool {
        let mut ready = false;
        for byte in bytes {
            if *byte != b'\n' {
                if self.line.len() < LINE_BYTES_MAX {
                    self.line.push(*byte);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            let mut words = line.splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some("ready"), None, None) => ready = !self.over,
                (Some("trouble"), None, None) => self.trouble = None,
                (Some("trouble"), Some(kind), Some(text)) => {
                    self.trouble = Some(Trouble {
                        kind: crate::plain::plain(kind),
                        text: crate::plain::plain(text),
                    });
                }
                // Of a newer build.
                _ => {}
            }
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_begins_and_ends_and_lines_come_in_parts() {
        let mut words = Words::default();
        let text = |words: &Words| words.trouble().map(|it| format!("{}|{}", it.kind, it.text));
        assert!(!words.hear(b"trouble missing the store is mis"));
        assert_eq!(text(&words), None);
        assert!(words.hear(b"sing\nready\n"));
        assert_eq!(
            text(&words).as_deref(),
            Some("missing|the store is missing")
        );
        assert!(!words.hear(b"later words\ntrouble\n"));
        assert_eq!(text(&words), None);
        words.end_check();
        assert!(!words.hear(b"ready\n"), "too late");
        assert!(!words.hear(&[b'x'; 3 * LINE_BYTES_MAX]));
        assert_eq!(words.line.len(), LINE_BYTES_MAX);
    }
}
