//! The corpus of malformed and ambiguous requests, run against the codec: whole, and in pieces.

#[path = "corpus/reader.rs"]
mod reader;

use h1::body::Decoder;
use h1::{Framing, Limits, Reject, Scan, Status, request};
use reader::{Answer, CLIENT, Case, Program, cases};
use std::collections::HashSet;

/// What became of the bytes, in the words of the corpus.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    answer: Answer,
    /// The head, if it was accepted, as the program gets it.
    head: Option<Vec<u8>>,
    body: Vec<u8>,
    rest: Vec<u8>,
}

impl Outcome {
    fn new(answer: Answer) -> Outcome {
        Outcome {
            answer,
            head: None,
            body: Vec::new(),
            rest: Vec::new(),
        }
    }

    fn refused(reject: Reject) -> Answer {
        Answer::Refused(reject.status(), reject.reason().to_owned())
    }
}

/// Offers `send` in pieces of `step` bytes, as a connection would.
fn serve(send: &[u8], step: usize) -> Outcome {
    let limits = Limits::default();
    let (mut scan, mut head) = (Scan::default(), request::RequestHead::default());
    let mut have = 0;
    loop {
        have = (have + step).min(send.len());
        match request::parse(&send[..have], &mut scan, &limits, &mut head) {
            Ok(Status::Complete) => break,
            Ok(Status::Partial) if have < send.len() => {}
            Ok(Status::Partial) => return Outcome::new(Answer::Wait),
            Err(reject) => return Outcome::new(Outcome::refused(reject)),
        }
    }
    let mut outcome = Outcome::new(Answer::Forwarded);
    let host = head.host.map(|host| host.of(send)).unwrap_or_default();
    let forward = request::Forward {
        client: CLIENT.as_bytes(),
        proto: b"http",
        host,
        ..Default::default()
    };
    let mut out = Vec::new();
    request::write_upstream(&mut out, &head, send, &forward);
    outcome.head = Some(out);

    let mut decoder = Decoder::payload(head.framing, limits.body_bytes_max);
    let mut at = head.len;
    while at < send.len() && !decoder.is_finished() {
        let input = &send[at..(at + step).min(send.len())];
        match decoder.decode(input) {
            Ok(progress) => {
                outcome.body.extend_from_slice(&input[progress.data]);
                at += progress.consumed;
            }
            Err(error) => {
                outcome.answer = Outcome::refused(error.into());
                return outcome;
            }
        }
    }
    if !decoder.is_finished() {
        outcome.answer = Answer::Wait;
    }
    outcome.rest = send[at..].to_vec();
    outcome
}

fn check(case: &Case, step: usize) {
    let Case {
        name,
        send,
        answer,
        program,
        body,
        rest,
    } = case;
    let got = serve(send, step);
    let shown = got.head.as_deref().map(String::from_utf8_lossy);
    assert_eq!(
        got.answer, *answer,
        "{name}, pieces of {step}; the program saw {shown:?}"
    );
    match (program, &got.head) {
        (Program::Nothing, None) | (Program::Part, Some(_)) => {}
        (Program::Head(wanted), Some(head)) => {
            assert_eq!(
                String::from_utf8_lossy(head),
                String::from_utf8_lossy(wanted),
                "{name}"
            );
            assert_eq!(
                (&got.body, &got.rest),
                (body, rest),
                "{name}: body and rest"
            );
        }
        (program, _) => panic!("{name}: the program should see {program:?}, saw {shown:?}"),
    }
}

#[test]
fn every_case_whole_and_in_pieces() {
    for case in &cases() {
        for step in [usize::MAX / 2, 1, 2, 3, 7, 100] {
            check(case, step);
        }
    }
}

#[test]
fn the_corpus_is_large_and_its_names_are_unique() {
    let cases = cases();
    let names: HashSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len());
    let refused = cases
        .iter()
        .filter(|case| matches!(case.answer, Answer::Refused(..)))
        .count();
    assert!(refused >= 90, "only {refused} refused");
}

/// Whatever the program sees is itself a request that is accepted, says the same, and is not rewritten again.
#[test]
fn forwarded_heads_parse_again_to_the_same() {
    let limits = Limits::default();
    for case in cases() {
        let Program::Head(first) = &case.program else {
            continue;
        };
        let mut head = request::RequestHead::default();
        let got = request::parse(first, &mut Scan::default(), &limits, &mut head);
        if first.windows(2).filter(|pair| pair == b"\r\n").count() > h1::HEADER_LINES_MAX + 2 {
            // The three lines of ours may exceed what a client may send.
            assert_eq!(got, Err(Reject::TooManyHeaders), "{}", case.name);
            continue;
        }
        assert_eq!(got, Ok(Status::Complete), "{}", case.name);
        assert_eq!(head.len, first.len(), "{}", case.name);
        let again = serve(first, usize::MAX / 2).head;
        let host = head.host.map(|host| host.of(first).to_vec());
        assert_eq!(
            again.as_deref(),
            Some(&first[..]),
            "{} for {host:?}",
            case.name
        );
        assert_ne!(head.framing, Framing::UntilClose);
    }
}
