//! The listener's side of the protocol, read from its stdout (dispatchers.py of Supervisor 4.3).
//!
//! As strict as there: a listener that says anything out of turn is UNKNOWN until it is started again, and gets nothing
//! more. Unlike there a result is counted and not kept: only `OK` means anything.

/// Where a listener is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ListenerState {
    /// It has finished, or has just begun; it must say READY.
    #[default]
    Acknowledged,
    /// It waits for an event.
    Ready,
    /// It has an event.
    Busy,
    /// It broke the protocol.
    Unknown,
}

/// Bytes of a result line that are waited for; a listener that writes more without a line end is broken.
pub const LINE_BYTES_MAX: usize = 4096;
/// What a ready listener says.
const READY: &[u8] = b"READY\n";
/// What a result line begins with. As Supervisor, only its length counts.
const RESULT_BYTES: usize = b"RESULT ".len();
/// Bytes of a result that are kept: one more than `OK` has.
const RESULT_KEPT: usize = 3;

/// Something that a listener did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It waits for an event.
    Ready,
    /// It is done with the event; `ok` = processed, otherwise rejected.
    Result {
        /// `OK` was the result.
        ok: bool,
    },
    /// A result line without a number. UNKNOWN follows; its event was not processed.
    BadResult {
        /// The line, shortened.
        line: String,
    },
    /// It said something out of turn: UNKNOWN.
    Broken,
}

/// The conversation with one listener process.
#[derive(Debug, Default)]
pub struct Conversation {
    state: ListenerState,
    /// What does not make up a decision yet.
    buffer: Vec<u8>,
    /// Bytes of the result that are still to come, once its line was read.
    missing: Option<u64>,
    result: Vec<u8>,
}

impl Conversation {
    /// Where it is.
    pub fn state(&self) -> ListenerState {
        self.state
    }

    /// Bytes of what it wrote that are kept.
    pub fn kept_bytes(&self) -> usize {
        self.buffer.len() + self.result.len()
    }

    /// It gets an event. False if it does not wait for one.
    pub fn send(&mut self) -> bool {
        let ready = self.state == ListenerState::Ready;
        if ready {
            self.state = ListenerState::Busy;
            self.missing = None;
            self.result.clear();
        }
        ready
    }

    /// It cannot be written to: it gets nothing more.
    pub fn give_up(&mut self) {
        self.broken(&mut Vec::new());
    }

    /// It wrote `bytes`.
    pub fn hear(&mut self, mut bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        while !bytes.is_empty() {
            bytes = self.step(bytes, &mut heard);
        }
        heard
    }

    /// Takes in a part of `bytes`, at least one; the rest comes back.
    fn step<'a>(&mut self, bytes: &'a [u8], heard: &mut Vec<Heard>) -> &'a [u8] {
        match self.state {
            ListenerState::Unknown => &[],
            ListenerState::Ready => {
                self.broken(heard);
                &[]
            }
            ListenerState::Acknowledged => self.expect_ready(bytes, heard),
            ListenerState::Busy => match self.missing {
                None => self.result_line(bytes, heard),
                Some(missing) => self.result(bytes, missing, heard),
            },
        }
    }

    fn expect_ready<'a>(&mut self, bytes: &'a [u8], heard: &mut Vec<Heard>) -> &'a [u8] {
        let wanted = (READY.len() - self.buffer.len()).min(bytes.len());
        let (head, tail) = bytes.split_at(wanted);
        self.buffer.extend_from_slice(head);
        if self.buffer.len() < READY.len() {
            return tail;
        }
        if self.buffer == READY {
            self.buffer.clear();
            self.state = ListenerState::Ready;
            heard.push(Heard::Ready);
            tail
        } else {
            self.broken(heard);
            &[]
        }
    }

    fn result_line<'a>(&mut self, bytes: &'a [u8], heard: &mut Vec<Heard>) -> &'a [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let line = &bytes[..end.unwrap_or(bytes.len())];
        let room = LINE_BYTES_MAX - self.buffer.len();
        self.buffer.extend_from_slice(&line[..line.len().min(room)]);
        if end.is_none() && self.buffer.len() < LINE_BYTES_MAX {
            return &[];
        }
        let line = std::mem::take(&mut self.buffer);
        let number = line.get(RESULT_BYTES..).and_then(number);
        match (end, number) {
            (Some(end), Some(length)) => {
                self.missing = Some(length);
                if length == 0 {
                    self.finish(heard);
                }
                &bytes[end + 1..]
            }
            (Some(_) | None, _) => {
                let shown = &line[..line.len().min(200)];
                heard.push(Heard::BadResult {
                    line: crate::event::text(shown),
                });
                self.broken(heard);
                &[]
            }
        }
    }

    fn result<'a>(&mut self, bytes: &'a [u8], missing: u64, heard: &mut Vec<Heard>) -> &'a [u8] {
        let taken = usize::try_from(missing)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let (head, tail) = bytes.split_at(taken);
        let room = RESULT_KEPT - self.result.len();
        self.result.extend_from_slice(&head[..head.len().min(room)]);
        let missing = missing - taken as u64;
        self.missing = Some(missing);
        if missing == 0 {
            self.finish(heard);
        }
        tail
    }

    fn finish(&mut self, heard: &mut Vec<Heard>) {
        let ok = self.result == b"OK";
        self.state = ListenerState::Acknowledged;
        self.missing = None;
        self.result.clear();
        heard.push(Heard::Result { ok });
    }

    fn broken(&mut self, heard: &mut Vec<Heard>) {
        self.state = ListenerState::Unknown;
        self.buffer = Vec::new();
        self.result = Vec::new();
        self.missing = None;
        heard.push(Heard::Broken);
    }
}

/// A number as Python's `int` reads it, but for signs below zero: blanks around it, one `+`, `_` between digits.
fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let digits = text.strip_prefix('+').unwrap_or(text);
    let wrong = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    let known = |letter: char| letter.is_ascii_digit() || letter == '_';
    if wrong || digits.is_empty() || !digits.chars().all(known) {
        return None;
    }
    digits.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ListenerState::{Acknowledged, Busy, Unknown};

    /// A conversation in which the listener says these things; an event is handed over whenever it is ready.
    fn check(said: &[&str]) -> (Vec<Heard>, ListenerState) {
        let mut talk = Conversation::default();
        let mut heard = Vec::new();
        for part in said {
            heard.extend(talk.hear(part.as_bytes()));
            talk.send();
        }
        (heard, talk.state())
    }

    const OK: Heard = Heard::Result { ok: true };
    const FAIL: Heard = Heard::Result { ok: false };

    #[test]
    fn ready_result_ready() {
        assert_eq!(check(&["READY\n"]), (vec![Heard::Ready], Busy));
        assert_eq!(
            check(&["READY\n", "RESULT 2\nOK"]),
            (vec![Heard::Ready, OK], Acknowledged)
        );
        assert_eq!(
            check(&["READY\n", "RESULT 2\nOKREADY\n", "RESULT 4\nFAIL"]),
            (vec![Heard::Ready, OK, Heard::Ready, FAIL], Acknowledged)
        );
        assert_eq!(
            check(&["REA", "DY\n", "RESU", "LT 2", "\nO", "K"]),
            (vec![Heard::Ready, OK], Acknowledged)
        );
        assert_eq!(
            check(&["READY\n", "RESULT 0\n"]),
            (vec![Heard::Ready, FAIL], Acknowledged)
        );
        assert_eq!(
            check(&["READY\n", "RESULT  +2 \nOK"]),
            (vec![Heard::Ready, OK], Acknowledged)
        );
    }

    #[test]
    fn out_of_turn_is_unknown_for_good() {
        assert_eq!(
            check(&["hello\n", "READY\n"]),
            (vec![Heard::Broken], Unknown)
        );
        let mut talk = Conversation::default();
        assert_eq!(talk.hear(b"READY\nREADY\n"), [Heard::Ready, Heard::Broken]);
        assert!(!talk.send());
        assert!(talk.hear(b"READY\n").is_empty());
    }

    #[test]
    fn a_result_line_needs_a_number() {
        let line = |text: &str| Heard::BadResult { line: text.into() };
        let bad = |said: &str| check(&["READY\n", said]).0[1..].to_vec();
        assert_eq!(bad("RESULT two\n"), [line("RESULT two"), Heard::Broken]);
        assert_eq!(bad("OK\n"), [line("OK"), Heard::Broken]);
        assert_eq!(bad("RESULT -2\n"), [line("RESULT -2"), Heard::Broken]);
        assert_eq!(bad("RESULT 99999999999999999999\n").len(), 2);
    }

    #[test]
    fn a_result_of_any_length_is_counted_and_not_kept() {
        let mut talk = Conversation::default();
        talk.hear(b"READY\n");
        assert!(talk.send());
        assert!(talk.hear(b"RESULT 1000000\n").is_empty());
        let flood = vec![b'x'; 999_999];
        assert!(talk.hear(&flood).is_empty());
        assert!(talk.kept_bytes() <= RESULT_KEPT);
        assert_eq!(talk.hear(b"x"), [FAIL]);
        assert_eq!(
            (talk.hear(b"READY\n"), talk.send()),
            (vec![Heard::Ready], true)
        );
        let endless = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(talk.hear(&endless).last(), Some(&Heard::Broken));
    }
}
