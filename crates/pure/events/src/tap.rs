//! What is done to a program's output on its way to the log: escape sequences stripped, the parts between Supervisor's
//! marks taken out, and what has to become an event named (dispatchers.py of Supervisor 4.3).

/// Begins a captured part.
const BEGIN: &[u8] = b"<!--XSUPERVISOR:BEGIN-->";
/// Ends it.
const END: &[u8] = b"<!--XSUPERVISOR:END-->";
/// What an escape sequence begins with.
const ESCAPE: &[u8] = b"\x1b[";
/// The letters that end one.
const ENDS: &[u8] = b"HfABCDRsuJKhlpm";

/// A part of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// For the log.
    Log(Vec<u8>),
    /// For whoever wants PROCESS_LOG events; also what is captured, as in Supervisor.
    Event(Vec<u8>),
    /// A captured part is complete.
    Captured(Vec<u8>),
}

/// One channel of one process.
#[derive(Debug, Default)]
pub struct Tap {
    /// `stdout_capture_maxbytes`; 0 = nothing is captured.
    capture_bytes_max: usize,
    /// `stdout_events_enabled`.
    events: bool,
    /// `strip_ansi`.
    strip: bool,
    /// The beginning of what may be a mark.
    held: Vec<u8>,
    /// What is captured, between the marks.
    captured: Option<Vec<u8>>,
}

impl Tap {
    /// A tap, or none where output goes straight to the log.
    pub fn new(capture_bytes_max: u64, events: bool, strip: bool) -> Option<Tap> {
        let capture_bytes_max = usize::try_from(capture_bytes_max).unwrap_or(usize::MAX);
        (capture_bytes_max > 0 || events || strip).then(|| Tap {
            capture_bytes_max,
            events,
            strip,
            ..Tap::default()
        })
    }

    /// The program wrote `bytes`.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut out = Vec::new();
        if self.capture_bytes_max == 0 {
            self.plain(bytes, &mut out);
            return out;
        }
        let mut data = std::mem::take(&mut self.held);
        data.extend_from_slice(bytes);
        let mut rest = data.as_slice();
        loop {
            let mark = if self.captured.is_some() { END } else { BEGIN };
            let found = rest.windows(mark.len()).position(|window| window == mark);
            let Some(at) = found else {
                let kept = prefix_at_end(rest, mark);
                let (sure, held) = rest.split_at(rest.len() - kept);
                self.plain(sure, &mut out);
                self.held = held.to_vec();
                return out;
            };
            self.plain(&rest[..at], &mut out);
            rest = &rest[at + mark.len()..];
            match self.captured.take() {
                Some(captured) => out.push(Piece::Captured(captured)),
                None => self.captured = Some(Vec::new()),
            }
        }
    }

    /// The channel has ended: what looked like the beginning of a mark was none.
    pub fn end(&mut self) -> Vec<Piece> {
        let mut out = Vec::new();
        let held = std::mem::take(&mut self.held);
        self.plain(&held, &mut out);
        out
    }

    fn plain(&mut self, bytes: &[u8], out: &mut Vec<Piece>) {
        if bytes.is_empty() {
            return;
        }
        let bytes = if self.strip {
            strip_ansi(bytes)
        } else {
            bytes.to_vec()
        };
        if self.events {
            out.push(Piece::Event(bytes.clone()));
        }
        match &mut self.captured {
            None => out.push(Piece::Log(bytes)),
            Some(captured) => {
                // Supervisor's rule: the oldest bytes make room; one piece is never longer than all of it.
                if captured.len() + bytes.len() > self.capture_bytes_max {
                    captured.drain(..bytes.len().min(captured.len()));
                }
                captured.extend_from_slice(&bytes);
                let over = captured.len().saturating_sub(self.capture_bytes_max);
                captured.drain(..over);
            }
        }
    }
}

/// Length of the longest end of `data` that `mark` begins with, less than all of it.
fn prefix_at_end(data: &[u8], mark: &[u8]) -> usize {
    let longest = (mark.len() - 1).min(data.len());
    (1..=longest)
        .rev()
        .find(|length| data.ends_with(&mark[..*length]))
        .unwrap_or(0)
}

/// Without escape sequences, by Supervisor's rule: `ESC [` up to the next letter that ends one.
pub fn strip_ansi(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest
        .windows(ESCAPE.len())
        .position(|window| window == ESCAPE)
    {
        out.extend_from_slice(&rest[..at]);
        let sequence = &rest[at + 1..];
        match sequence.iter().position(|byte| ENDS.contains(byte)) {
            Some(end) => rest = &sequence[end + 1..],
            None => return out,
        }
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the parts; `log`, `event` and `captured` pieces joined by kind.
    fn check(mut tap: Tap, parts: &[&str]) -> (String, String, Vec<String>) {
        let (mut log, mut event, mut captured) = (Vec::new(), Vec::new(), Vec::new());
        let mut pieces: Vec<Piece> = parts
            .iter()
            .flat_map(|part| tap.take(part.as_bytes()))
            .collect();
        pieces.extend(tap.end());
        for piece in pieces {
            match piece {
                Piece::Log(bytes) => log.extend(bytes),
                Piece::Event(bytes) => event.extend(bytes),
                Piece::Captured(bytes) => captured.push(String::from_utf8(bytes).unwrap()),
            }
        }
        (
            String::from_utf8(log).unwrap(),
            String::from_utf8(event).unwrap(),
            captured,
        )
    }

    #[test]
    fn what_stands_between_the_marks_is_taken_out() {
        let tap = || Tap::new(100, false, false).unwrap();
        let whole = "a<!--XSUPERVISOR:BEGIN-->hello<!--XSUPERVISOR:END-->b";
        let expected = ("ab".to_owned(), String::new(), vec!["hello".to_owned()]);
        assert_eq!(check(tap(), &[whole]), expected);
        for cut in 1..whole.len() {
            assert_eq!(
                check(tap(), &[&whole[..cut], &whole[cut..]]),
                expected,
                "cut at {cut}"
            );
        }
        assert_eq!(check(tap(), &["a <!--X", "SUPER no"]).0, "a <!--XSUPER no");
        assert_eq!(check(tap(), &["a <!--XSUPER"]).0, "a <!--XSUPER");
    }

    #[test]
    fn a_captured_part_is_bounded_and_its_newest_bytes_stay() {
        let tap = Tap::new(4, true, false).unwrap();
        let (log, event, captured) = check(
            tap,
            &[
                "<!--XSUPERVISOR:BEGIN-->ab",
                "cd",
                "ef",
                "<!--XSUPERVISOR:END-->",
            ],
        );
        assert_eq!(
            (log.as_str(), event.as_str(), captured),
            ("", "abcdef", vec!["cdef".to_owned()])
        );
    }

    #[test]
    fn escapes_are_stripped_as_supervisor_does() {
        let strip = |text: &str| String::from_utf8(strip_ansi(text.as_bytes())).unwrap();
        assert_eq!(strip("\x1b[31mred\x1b[0m plain"), "red plain");
        assert_eq!(strip("\x1b[2Jx\x1b[12;3Hy"), "xy");
        assert_eq!(strip("cut \x1b[3"), "cut ");
        assert_eq!(strip("no \x1b escape"), "no \x1b escape");
        let tap = Tap::new(0, true, true).unwrap();
        assert_eq!(
            check(tap, &["\x1b[31mred"]),
            ("red".into(), "red".into(), vec![])
        );
    }
}
