//! The fuzz targets over their seeds and the corpus, mutated by a generator of our own: the same run everywhere.

#[path = "../../crates/pure/h1/tests/corpus/reader.rs"]
mod corpus;

use std::path::Path;
use std::time::{Duration, Instant};

/// Mutated inputs per target; `FUZZ_ROUNDS` asks for more.
const ROUNDS: u64 = 60_000;

/// Longest input, bytes: longer ones only repeat shorter ones, at a price.
const INPUT_BYTES_MAX: usize = 2048;

/// Pieces of the language, put in anywhere.
const WORDS: [&str; 69] = [
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "\0",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "0",
    "1",
    "5",
    "ffffffffffffffff",
    "+",
    "0x",
    "chunked",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Host: a\r\n",
    "Connection: close\r\n",
    "Connection: x-a, keep-alive\r\n",
    "X-A: 1\r\n",
    "X_A: 1\r\n",
    "Upgrade: websocket\r\nConnection: upgrade\r\n",
    "Expect: 100-continue\r\n",
    "GET / HTTP/1.1\r\n",
    "POST ",
    "http://a",
    "HTTP/1.0",
    "HTTP/1.1",
    "Steadfast-User: 1\r\n",
    "X-Forwarded-For: 1\r\n",
    "Trailer: x\r\n",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    ";a=b",
    "Content-Type: text/event-stream\r\n",
    "HTTP/1.1 304 Not Modified\r\n",
    "READY\n",
    "RESULT 2\nOK",
    "RESULT ",
    "FAIL",
    "1_0\n",
    "<!--XSUPERVISOR:BEGIN-->",
    "<!--XSUPERVISOR:END-->",
    "\u{1b}[31m",
    "[program:a]\n",
    "[supervisord]\n",
    "[include]\nfiles = conf.d/*.conf\n",
    "command = x\n",
    "%(here)s",
    "%(ENV_HOME)s",
    "%(",
    "=",
    " ;",
    "\"",
    "'",
    "<value>",
    "</value>",
    "<array><data>",
    "</data></array>",
    "<struct><member><name>a</name>",
    "</member></struct>",
    "&lt;",
    "&a;",
    "<!DOCTYPE a [<!ENTITY a \"b\">]>",
    "<![CDATA[x]]>",
];

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end.max(1)
    }
}

fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..random.below(5) {
        let at = random.below(bytes.len());
        let len = random.below(24).min(bytes.len() - at);
        match random.below(6) {
            0 if !bytes.is_empty() => bytes[at] = random.below(256) as u8,
            1 => drop(bytes.drain(at..at + len)),
            2 => {
                let word = WORDS[random.below(WORDS.len())].bytes();
                bytes.splice(at..at, word);
            }
            3 => {
                let part = bytes[at..at + len].to_vec();
                bytes.splice(at..at, part);
            }
            4 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => bytes.truncate(bytes.len() - len),
        }
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn run(target: fn(&[u8]), name: &str, mut seeds: Vec<Vec<u8>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(name);
    let mut files: Vec<_> = folder
        .read_dir()
        .expect("seeds")
        .map(|entry| entry.expect("a seed").path())
        .collect();
    files.sort();
    assert!(files.len() >= 5, "{name} has too few seeds");
    seeds.extend(
        files
            .iter()
            .map(|file| std::fs::read(file).expect("a seed")),
    );
    seeds.iter().for_each(|seed| target(seed));
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let seed = number("FUZZ_SEED").unwrap_or(0x5eed);
    let rounds = number("FUZZ_ROUNDS").unwrap_or(ROUNDS);
    let until = number("FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut random = Random(seed);
    let mut round = 0;
    // So many inputs, or as many as fit into the time.
    while until.map_or(round < rounds, |until| Instant::now() < until) {
        round += 1;
        let input = mutate(&mut random, &seeds);
        if std::panic::catch_unwind(|| target(&input)).is_err() {
            panic!(
                "{name} (FUZZ_SEED={seed}, input {round}): b\"{}\"",
                input.escape_ascii()
            );
        }
    }
}

/// The corpus' requests, with a byte in front that the targets take as a choice.
fn requests() -> impl Iterator<Item = Vec<u8>> {
    corpus::cases()
        .into_iter()
        .map(|case| case.send)
        .filter(|send| send.len() < INPUT_BYTES_MAX)
}

#[test]
fn h1_request() {
    let seeds = requests().map(|send| [&[9], &send[..]].concat()).collect();
    run(steadfast_fuzz::h1_request, "h1_request", seeds);
}

#[test]
fn session() {
    run(steadfast_fuzz::session, "session", Vec::new());
}

#[test]
fn h1_response() {
    run(steadfast_fuzz::h1_response, "h1_response", Vec::new());
}

#[test]
fn h1_chunked() {
    let body = |send: Vec<u8>| {
        let at = send.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
        Some([&[2], &send[at..]].concat())
    };
    run(
        steadfast_fuzz::h1_chunked,
        "h1_chunked",
        requests().filter_map(body).collect(),
    );
}

#[test]
fn control() {
    run(steadfast_fuzz::control, "control", frames());
}

/// One of each frame that has something in it, and lines of `control.sock`.
fn frames() -> Vec<Vec<u8>> {
    use wire::{Command, Fact, Hello, Notice, Order, Publish, Spec, Tell};
    let framed = |choice: u8, bytes: Vec<u8>| [&[choice], &bytes[..]].concat();
    let hello = Hello {
        build: "0.1.0".to_owned(),
        ..Hello::default()
    };
    let fact = Fact {
        address: "unix:/run/x/1.sock".to_owned(),
        ..Fact::default()
    };
    let order = Order::SpawnKeeper {
        slot: 3,
        dir: "/run/x/slots/3".to_owned(),
        events_gid: Some(7),
        name: "web".to_owned(),
    };
    let told = Tell::KeeperStarted {
        slot: 3,
        pid: 42,
        error: "no".to_owned(),
    };
    let notice = Notice::Acknowledge {
        seq: 9,
        in_flight: 2,
    };
    let publish = Publish::Now { fact: fact.clone() };
    vec![
        framed(0, wire::encode(&order)),
        framed(0, wire::encode(&Order::Reloading {})),
        framed(1, wire::encode(&told)),
        framed(2, wire::encode(&Command::ReopenLogs { op: 5 })),
        framed(4, wire::encode(&notice)),
        framed(5, wire::encode(&publish)),
        framed(6, wire::encode(&hello)),
        framed(7, wire::encode(&fact)),
        framed(8, wire::encode(&Spec::default())),
    ]
}

#[test]
fn listener() {
    run(steadfast_fuzz::listener, "listener", Vec::new());
}

#[test]
fn capture() {
    run(steadfast_fuzz::capture, "capture", Vec::new());
}

#[test]
fn conf() {
    let text: &[u8] =
        b"\0[supervisord]\n[program:a]\ncommand = sleep 1 ; x\nenvironment = A=\"b\"\n";
    run(steadfast_fuzz::conf, "conf", vec![text.to_vec()]);
}

#[test]
fn xmlrpc() {
    run(steadfast_fuzz::xmlrpc, "xmlrpc", Vec::new());
}
