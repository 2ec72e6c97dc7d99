//! Reads `requests.txt`; the format is in the README beside it. Shared by path with the tests of other crates.

/// The client address that `{forwarded HOST}` stands for.
pub(crate) const CLIENT: &str = "203.0.113.9";

/// What a client gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Refused with a status, by a rule.
    Refused(u16, String),
    /// The program answers.
    Forwarded,
    /// Nothing yet.
    Wait,
}

/// What the program may see.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Not a byte.
    Nothing,
    /// Never a complete request.
    Part,
    /// This head.
    Head(Vec<u8>),
}

/// One case.
#[derive(Debug)]
pub(crate) struct Case {
    /// Its name.
    pub(crate) name: String,
    /// What the client sends.
    pub(crate) send: Vec<u8>,
    /// What the client gets.
    pub(crate) answer: Answer,
    /// What the program may see.
    pub(crate) program: Program,
    /// The content of the forwarded body.
    pub(crate) body: Vec<u8>,
    /// What follows the request.
    pub(crate) rest: Vec<u8>,
}

/// All cases of the file.
pub(crate) fn cases() -> Vec<Case> {
    let text = include_str!("requests.txt");
    text.split("\n\n").filter_map(case).collect()
}

fn case(block: &str) -> Option<Case> {
    let mut case = Case {
        name: String::new(),
        send: Vec::new(),
        answer: Answer::Wait,
        program: Program::Nothing,
        body: Vec::new(),
        rest: Vec::new(),
    };
    for line in block
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (field, value) = line
            .split_once(": ")
            .unwrap_or_else(|| panic!("no field: {line}"));
        match (field, value) {
            ("name", _) => case.name = value.to_owned(),
            ("send", _) => case.send = bytes(value),
            ("answer", "forwarded") => case.answer = Answer::Forwarded,
            ("answer", "wait") => case.answer = Answer::Wait,
            ("answer", _) => {
                let (status, reason) = value.split_once(' ').expect("status and reason");
                case.answer = Answer::Refused(status.parse().expect("a status"), reason.to_owned());
            }
            ("program", "nothing") => case.program = Program::Nothing,
            ("program", "part") => case.program = Program::Part,
            ("program", _) => case.program = Program::Head(bytes(value)),
            ("body", _) => case.body = bytes(value),
            ("rest", _) => case.rest = bytes(value),
            _ => panic!("unknown field: {line}"),
        }
    }
    (!case.name.is_empty()).then_some(case)
}

/// Undoes the escapes.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        match letter {
            '\\' => rest = escape(rest, &mut out),
            '{' => {
                let (inside, after) = rest.split_once('}').expect("a closing brace");
                braces(inside, &mut out);
                rest = after;
            }
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

fn escape<'a>(rest: &'a str, out: &mut Vec<u8>) -> &'a str {
    let (len, byte) = match rest.as_bytes()[0] {
        b'r' => (1, b'\r'),
        b'n' => (1, b'\n'),
        b't' => (1, b'\t'),
        b'0' => (1, 0),
        b'\\' => (1, b'\\'),
        b'x' => (
            3,
            u8::from_str_radix(&rest[1..3], 16).expect("two hexadecimal digits"),
        ),
        other => panic!("unknown escape {}", char::from(other)),
    };
    out.push(byte);
    &rest[len..]
}

fn braces(inside: &str, out: &mut Vec<u8>) {
    if let Some(host) = inside.strip_prefix("forwarded ") {
        let lines = format!(
            "X-Forwarded-For: {CLIENT}\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: {host}\r\n"
        );
        out.extend_from_slice(lines.as_bytes());
        return;
    }
    let (count, text) = inside.split_once('*').expect("N*TEXT");
    out.extend(bytes(text).repeat(count.parse().expect("a count")));
}
