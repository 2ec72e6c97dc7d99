//! `log_prefix` and `log_format = json`: a program's output, line by line, on its way to its log.
//!
//! What was not ended by a newline waits for it (a program writes a line in parts), up to a bound and until its
//! pipe is closed. Each line is written whole, so that lines of many programs on one `/dev/stdout` do not mix.

use std::fmt::Write;
use wire::Spec;

/// Bytes of one line; what is longer is cut into several, as container runtimes do (16 KiB). In JSON the parts say
/// `"partial":true`.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// How one stream of one process is written.
#[derive(Debug)]
pub(crate) struct Lines {
    kind: Kind,
    part: Vec<u8>,
}

#[derive(Debug)]
enum Kind {
    Prefix(String),
    Json { head: String },
}

impl Lines {
    /// None where output is written as it comes.
    pub(crate) fn new(spec: &Spec, pid: i32, stderr: bool) -> Option<Lines> {
        let kind = if spec.log_json {
            let stream = if stderr { "stderr" } else { "stdout" };
            let mut head = String::from("\"program\":");
            json_text(&mut head, &spec.program);
            head.push_str(",\"process\":");
            json_text(&mut head, &spec.label());
            let _ = write!(head, ",\"pid\":{pid},\"stream\":\"{stream}\"");
            if !spec.log_prefix.is_empty() {
                head.push_str(",\"prefix\":");
                json_text(&mut head, &spec.log_prefix);
            }
            Kind::Json { head }
        } else if spec.log_prefix.is_empty() {
            return None;
        } else {
            Kind::Prefix(spec.log_prefix.clone())
        };
        Some(Lines {
            kind,
            part: Vec::new(),
        })
    }

    /// The lines that `bytes` completes.
    pub(crate) fn push(&mut self, bytes: &[u8], wall_ms: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 4);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (mut text, ended) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            while self.part.len() + text.len() > LINE_BYTES_MAX {
                let room = LINE_BYTES_MAX - self.part.len();
                self.part.extend_from_slice(&text[..room]);
                text = &text[room..];
                self.line(&mut out, wall_ms, true);
            }
            self.part.extend_from_slice(text);
            if ended {
                self.line(&mut out, wall_ms, false);
            }
        }
        out
    }

    /// What is left when the pipe is closed.
    pub(crate) fn end(&mut self, wall_ms: u64) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.part.is_empty() {
            self.line(&mut out, wall_ms, false);
        }
        out
    }

    fn line(&mut self, out: &mut Vec<u8>, wall_ms: u64, partial: bool) {
        match &self.kind {
            Kind::Prefix(prefix) => {
                out.extend_from_slice(prefix.as_bytes());
                out.push(b' ');
                out.extend_from_slice(&self.part);
            }
            Kind::Json { head } => {
                let message = String::from_utf8_lossy(&self.part);
                let mut text = format!("{{\"time\":\"{}\",{head},\"message\":", time(wall_ms));
                json_text(&mut text, message.trim_end_matches('\r'));
                text.push_str(if partial { ",\"partial\":true}" } else { "}" });
                out.extend_from_slice(text.as_bytes());
            }
        }
        out.push(b'\n');
        self.part.clear();
    }
}

/// RFC 3339 in UTC, with milliseconds.
fn time(wall_ms: u64) -> String {
    let (seconds, ms) = (wall_ms / 1000, wall_ms % 1000);
    let (year, month, day) = sys::clock::civil((seconds / 86_400) as i64);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z",
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// A JSON string (RFC 8259 section 7).
fn json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(spec: Spec) -> Lines {
        Lines::new(&spec, 7, false).expect("a format")
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_prefix_stands_before_each_whole_line() {
        let mut lines = lines(Spec {
            log_prefix: "web |".into(),
            ..Spec::default()
        });
        assert_eq!(text(lines.push(b"one\ntw", 0)), "web | one\n");
        assert_eq!(text(lines.push(b"o\n\n", 0)), "web | two\nweb | \n");
        assert_eq!(text(lines.push(b"rest", 0)), "");
        assert_eq!(text(lines.end(0)), "web | rest\n");
        assert_eq!(text(lines.end(0)), "");
    }

    #[test]
    fn json_is_one_object_a_line_whatever_the_program_says() {
        let mut lines = lines(Spec {
            program: "w\"eb".into(),
            group: "g".into(),
            process: "w".into(),
            log_json: true,
            ..Spec::default()
        });
        let said = lines.push(b"a \"q\" \\ \x1b[1m \xff\tb\r\n", 951_782_400_005);
        assert_eq!(
            text(said),
            "{\"time\":\"2000-02-29T00:00:00.005Z\",\"program\":\"w\\\"eb\",\"process\":\"g:w\",\"pid\":7,\"stream\":\"stdout\",\
             \"message\":\"a \\\"q\\\" \\\\ \\u001b[1m \u{fffd}\\tb\"}\n"
        );
    }

    #[test]
    fn a_line_without_end_is_cut_and_says_so() {
        let mut lines = lines(Spec {
            log_json: true,
            ..Spec::default()
        });
        let said = text(lines.push(&vec![b'x'; LINE_BYTES_MAX + 10], 0));
        assert_eq!(said.matches("\"partial\":true").count(), 1);
        assert!(lines.part.len() == 10, "bounded");
        assert!(Lines::new(&Spec::default(), 1, true).is_none());
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(1_798_761_599_999), "2026-12-31T23:59:59.999Z");
    }
}
