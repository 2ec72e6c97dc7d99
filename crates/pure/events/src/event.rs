//! One event as a listener reads it: a line of `key:value` words, then the payload (events.py of Supervisor 4.3).

use crate::kind::Kind;
use std::fmt::Write;

/// An event with its payload written out: what was true when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its type.
    pub kind: Kind,
    /// The text behind the header.
    pub payload: String,
}

/// Bytes of output as text, in Python's words where they are none.
pub fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("Undecodable: {}", python_bytes(bytes)),
    }
}

/// `repr` of a bytes object.
fn python_bytes(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') {
        '"'
    } else {
        '\''
    };
    let mut out = format!("b{quote}");
    for byte in bytes {
        match byte {
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\\' => out.push_str("\\\\"),
            byte if char::from(*byte) == quote => {
                out.push('\\');
                out.push(quote);
            }
            0x20..=0x7e => out.push(char::from(*byte)),
            byte => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push(quote);
    out
}

impl Event {
    /// A change of state. `extra`: the words behind `from_state` (`pid:12`), `late_s`: when it happened, if that was before
    /// anybody could be told.
    pub fn process_state(
        kind: Kind,
        process: &str,
        group: &str,
        from: &str,
        extra: &[(&str, i64)],
        late_s: Option<u64>,
    ) -> Event {
        let mut payload = format!("processname:{process} groupname:{group} from_state:{from}");
        for (name, value) in extra {
            let _ = write!(payload, " {name}:{value}");
        }
        payload.push_str(&when(late_s));
        Event { kind, payload }
    }

    /// Output of a program (`stdout_events_enabled`).
    pub fn log(
        stderr: bool,
        process: &str,
        group: &str,
        pid: i32,
        data: &[u8],
        late_s: Option<u64>,
    ) -> Event {
        let (kind, channel) = if stderr {
            (Kind::ProcessLogStderr, "stderr")
        } else {
            (Kind::ProcessLogStdout, "stdout")
        };
        let (data, when) = (text(data), when(late_s));
        let payload = format!(
            "processname:{process} groupname:{group} pid:{pid} channel:{channel}{when}\n{data}"
        );
        Event { kind, payload }
    }

    /// What a program wrote between the marks (`stdout_capture_maxbytes`).
    pub fn communication(
        stderr: bool,
        process: &str,
        group: &str,
        pid: i32,
        data: &[u8],
        late_s: Option<u64>,
    ) -> Event {
        let kind = if stderr {
            Kind::ProcessCommunicationStderr
        } else {
            Kind::ProcessCommunicationStdout
        };
        let (data, when) = (text(data), when(late_s));
        let payload = format!("processname:{process} groupname:{group} pid:{pid}{when}\n{data}");
        Event { kind, payload }
    }

    /// `sendRemoteCommEvent`.
    pub fn remote(kind: &str, data: &str) -> Event {
        let payload = format!("type:{kind}\n{data}");
        Event {
            kind: Kind::RemoteCommunication,
            payload,
        }
    }

    /// A group came or went.
    pub fn group(added: bool, name: &str) -> Event {
        let kind = if added {
            Kind::ProcessGroupAdded
        } else {
            Kind::ProcessGroupRemoved
        };
        Event {
            kind,
            payload: format!("groupname:{name}\n"),
        }
    }

    /// A slice of time has begun, at this second since 1970.
    pub fn tick(kind: Kind, when_s: u64) -> Event {
        Event {
            kind,
            payload: format!("when:{when_s}"),
        }
    }

    /// An event without a payload: the supervisor runs, or stops.
    pub fn bare(kind: Kind) -> Event {
        Event {
            kind,
            payload: String::new(),
        }
    }
}

fn when(late_s: Option<u64>) -> String {
    late_s.map_or_else(String::new, |at| format!(" when:{at}"))
}

/// The bytes that a listener is sent. `len` counts characters, as in Supervisor, whose listeners read text.
pub fn envelope(server: &str, serial: u64, pool: &str, pool_serial: u64, event: &Event) -> Vec<u8> {
    let Event { kind, payload } = event;
    let (name, length) = (kind.name(), payload.chars().count());
    format!(
        "ver:3.0 server:{server} serial:{serial} pool:{pool} poolserial:{pool_serial} eventname:{name} len:{length}\n{payload}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_supervisors() {
        let event = Event::process_state(
            Kind::ProcessStateExited,
            "cat",
            "cat",
            "RUNNING",
            &[("expected", 0), ("pid", 2766)],
            None,
        );
        assert_eq!(
            String::from_utf8(envelope("supervisor", 21, "listener", 10, &event)).unwrap(),
            "ver:3.0 server:supervisor serial:21 pool:listener poolserial:10 eventname:PROCESS_STATE_EXITED len:71\n\
             processname:cat groupname:cat from_state:RUNNING expected:0 pid:2766"
                .replace("len:71", &format!("len:{}", event.payload.len()))
        );
    }

    #[test]
    fn a_length_counts_characters_and_bytes_that_are_no_text_are_shown() {
        let event = Event::log(false, "a", "g", 7, "é".as_bytes(), None);
        let bytes = envelope("s", 0, "p", 0, &event);
        let head = String::from_utf8(bytes).unwrap();
        assert!(
            head.contains(&format!("len:{}\n", event.payload.len() - 1)),
            "{head}"
        );
        assert_eq!(text(b"a\xff'\n\\"), "Undecodable: b\"a\\xff'\\n\\\\\"");
        assert_eq!(text(b"\xff'\""), "Undecodable: b'\\xff\\'\"'");
    }

    #[test]
    fn what_happened_earlier_says_when() {
        let event = Event::communication(true, "a", "g", 7, b"x", Some(1_700_000_000));
        assert_eq!(
            event.payload,
            "processname:a groupname:g pid:7 when:1700000000\nx"
        );
    }
}
