//! One JSON line on stderr for each failed request, up to a rate; nothing for the others.

use std::cell::Cell;
use std::io::Write;

use crate::limits::{NOTE_PATH_BYTES_MAX, NOTES_PER_SECOND_MAX};

/// What failed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed<'a> {
    pub(crate) program: &'a str,
    pub(crate) method: &'a [u8],
    /// With its query, which is cut off: it may hold secrets.
    pub(crate) path: &'a [u8],
    pub(crate) status: u16,
    pub(crate) why: &'a str,
    pub(crate) waited_ms: u64,
    pub(crate) repeats: u8,
}

/// Bounds the notes of one worker.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    second: Cell<u64>,
    written: Cell<u32>,
    dropped: Cell<u64>,
    /// A sign-in on a path that is no login was noted.
    elsewhere: Cell<bool>,
}

impl Notes {
    /// Writes a note, or only counts it.
    pub(crate) fn failed(&self, failed: &Failed<'_>, now_ms: u64) {
        let second = now_ms / 1000;
        if self.second.replace(second) != second {
            self.written.set(0);
        }
        if self.written.get() >= NOTES_PER_SECOND_MAX {
            self.dropped.set(self.dropped.get() + 1);
            return;
        }
        self.written.set(self.written.get() + 1);
        write(&line(failed, self.dropped.take()));
    }

    /// A program signs somebody in on a path that is no login: noted once, since it will go on doing so.
    pub(crate) fn sign_in_elsewhere(&self, path: &[u8]) {
        if !self.elsewhere.replace(true) {
            self.say(&elsewhere(path));
        }
    }

    /// Something that is not about one request.
    pub(crate) fn say(&self, what: &str) {
        write(&format!("{{\"note\":{}}}\n", json(what.as_bytes())));
    }
}

fn write(line: &str) {
    // Notes are the least of a worker's duties: where stderr is gone, it goes on without.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// A path without its query, and not all of a long one.
fn shown(path: &[u8]) -> &[u8] {
    let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
    &path[..path.len().min(NOTE_PATH_BYTES_MAX)]
}

fn elsewhere(path: &[u8]) -> String {
    format!(
        "a program's Steadfast-Sign-In on {} signs nobody in: it counts on the path that login names",
        String::from_utf8_lossy(shown(path))
    )
}

fn line(failed: &Failed<'_>, dropped: u64) -> String {
    let path = shown(failed.path);
    let mut line = format!(
        "{{\"failed\":{},\"method\":{},\"path\":{},\"program\":{},\"why\":{},\"waited_ms\":{},\"repeats\":{}",
        failed.status,
        json(failed.method),
        json(path),
        json(failed.program.as_bytes()),
        json(failed.why.as_bytes()),
        failed.waited_ms,
        failed.repeats,
    );
    if dropped > 0 {
        line.push_str(&format!(",\"not_noted\":{dropped}"));
    }
    line.push_str("}\n");
    line
}

fn json(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for letter in String::from_utf8_lossy(bytes).chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            letter if letter < ' ' => text.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => text.push(letter),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_elsewhere_is_noted_once_without_the_query() {
        let notes = Notes::default();
        assert!(!notes.elsewhere.get());
        notes.sign_in_elsewhere(b"/api/signin?user=ada");
        assert!(notes.elsewhere.get());
        let text = elsewhere(b"/api/signin?user=ada");
        assert!(text.contains("/api/signin signs nobody in"), "{text}");
    }

    #[test]
    fn a_note_is_json_without_the_query() {
        let failed = Failed {
            program: "back\"end",
            method: b"POST",
            path: b"/a\n?token=secret",
            status: 502,
            why: "it may have run",
            waited_ms: 7,
            repeats: 1,
        };
        assert_eq!(
            line(&failed, 2),
            "{\"failed\":502,\"method\":\"POST\",\"path\":\"/a\\u000a\",\"program\":\"back\\\"end\",\
             \"why\":\"it may have run\",\"waited_ms\":7,\"repeats\":1,\"not_noted\":2}\n"
        );
    }
}
