//! One process and what belongs to it: pipes, check, the last lines of its output.

use super::Token;
use super::words::Words;
use crate::checks::{Check, Found};
use crate::format::Lines;
use crate::notify::{NotifySocket, Said};
use crate::probe::Probe;
use crate::prove::Proof;
use crate::start::{Pipes, Place};
use process::CheckMode;
use rustix::event::PollFlags;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::rc::Rc;
use wire::{Ready, Spec, Trouble};

/// Bytes of output kept per process, to show the last lines of one that failed.
const TAIL_BYTES_MAX: usize = 4096;
/// Lines of it that are shown.
const TAIL_LINES_MAX: usize = 10;
/// Bytes of one line that `log:REGEX` looks at.
const LINE_BYTES_MAX: usize = 8192;

/// Bytes for a standard input that wait for a program to read them: what one call of XML-RPC can bring. More means
/// that it does not read.
const STDIN_BYTES_MAX: usize = 1024 * 1024;

/// Why a standard input takes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StdinError {
    /// The program closed it.
    Closed,
    /// The program does not read it.
    Full,
}

#[derive(Debug)]
pub(super) struct Child {
    pub(super) generation: u64,
    /// 0 = dead; kept for its last lines and for what is still in its pipes.
    pub(super) pid: i32,
    /// The same, also after its death: what is still in its pipes is its output.
    pub(super) born_pid: i32,
    pub(super) place: Place,
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
    ready: Option<OwnedFd>,
    /// What a role of ours says there, also after it was ready.
    words: Option<Words>,
    /// Held open: a program that reads its stdin waits instead of ending, as under Supervisor. None once the
    /// program has closed its end.
    stdin: Option<OwnedFd>,
    /// What the pipe had no room for yet.
    unwritten: VecDeque<u8>,
    notify: Option<NotifySocket>,
    probe: Option<Probe>,
    /// How each stream is written; None = as it comes.
    formats: [Option<Lines>; 2],
    check: Option<Check>,
    /// Whether it accepts a token of nobody, too.
    doubt: Option<Check>,
    pattern: Option<regex_lite::Regex>,
    line: Vec<u8>,
    tail: VecDeque<u8>,
    /// SIGKILL came from us.
    pub(super) killed: bool,
    pub(super) oom_kills_before: Option<u64>,
    /// The listener protocol, if it is an event listener.
    pub(super) talk: Option<Box<events::Conversation>>,
    /// What is done to its stdout and stderr on their way to the logs.
    pub(super) taps: [Option<Box<events::Tap>>; 2],
}

impl Child {
    pub(super) fn new(
        generation: u64,
        pid: i32,
        place: Place,
        pipes: Pipes,
        spec: &Spec,
        notify: Option<NotifySocket>,
    ) -> Child {
        Child {
            generation,
            pid,
            born_pid: pid,
            place,
            stdout: Some(pipes.stdout),
            stderr: pipes.stderr,
            ready: pipes.ready,
            words: spec.role_of_ours.then(Words::default),
            stdin: Some(pipes.stdin),
            unwritten: VecDeque::new(),
            notify,
            probe: None,
            formats: [false, true].map(|stderr| Lines::new(spec, pid, stderr)),
            check: None,
            doubt: None,
            pattern: None,
            line: Vec::new(),
            tail: VecDeque::new(),
            killed: false,
            oom_kills_before: sys::proc::oom_kills(),
            talk: None,
            taps: [None, None],
        }
    }

    pub(super) fn poll<'a>(&'a self, tokens: &mut Vec<(Token, BorrowedFd<'a>, PollFlags)>) {
        let pipes = [
            (Token::Stdout(self.generation), &self.stdout),
            (Token::Stderr(self.generation), &self.stderr),
            (Token::Ready(self.generation), &self.ready),
        ];
        for (token, fd) in pipes {
            if let Some(fd) = fd {
                tokens.push((token, fd.as_fd(), PollFlags::IN));
            }
        }
        if let Some(fd) = self.stdin.as_ref().filter(|_| !self.unwritten.is_empty()) {
            tokens.push((Token::Stdin(self.generation), fd.as_fd(), PollFlags::OUT));
        }
        if let Some(notify) = &self.notify {
            tokens.push((Token::Notify(self.generation), notify.fd(), PollFlags::IN));
        }
        let checks = [&self.check, &self.doubt].into_iter().flatten();
        let probe = self.probe.as_ref().and_then(Probe::poll);
        for (fd, flags) in checks.filter_map(Check::poll).chain(probe) {
            tokens.push((Token::Check(self.generation), fd, flags));
        }
    }

    /// Takes bytes for the standard input and writes what fits; the rest follows when there is room.
    pub(super) fn feed_stdin(&mut self, bytes: &[u8]) -> Result<(), StdinError> {
        if self.stdin.is_none() {
            return Err(StdinError::Closed);
        }
        if self.unwritten.len() + bytes.len() > STDIN_BYTES_MAX {
            return Err(StdinError::Full);
        }
        self.unwritten.extend(bytes);
        self.write_stdin();
        match self.stdin {
            Some(_) => Ok(()),
            None => Err(StdinError::Closed),
        }
    }

    /// Listens to its output as the definition says.
    pub(super) fn listen(&mut self, spec: &Spec) {
        let tap =
            |capture, events| events::Tap::new(capture, events, spec.strip_ansi).map(Box::new);
        // A listener's stdout is a conversation: nothing of it is captured or becomes an event, as in Supervisor.
        self.talk = spec.listener.then(Box::default);
        self.taps = match spec.listener {
            true => [tap(0, false), tap(spec.stderr_capture, spec.stderr_events)],
            false => [
                tap(spec.stdout_capture, spec.stdout_events),
                tap(spec.stderr_capture, spec.stderr_events),
            ],
        };
    }

    /// Hands an event over. Err(true) = it cannot be written to, which takes it out of the conversation for good.
    pub(super) fn hand_event(&mut self, bytes: &[u8]) -> Result<(), bool> {
        let Some(talk) = self.talk.as_mut() else {
            return Err(false);
        };
        if !talk.send() {
            return Err(false);
        }
        if self.stdin.is_some() {
            // An event waits for nothing but its own listener, so its size is its only bound.
            self.unwritten.extend(bytes);
            self.write_stdin();
        }
        if self.stdin.is_some() {
            return Ok(());
        }
        if let Some(talk) = self.talk.as_mut() {
            talk.give_up();
        }
        Err(true)
    }

    /// Writes on, until there is nothing left or no room.
    pub(super) fn write_stdin(&mut self) {
        while let (Some(fd), false) = (&self.stdin, self.unwritten.is_empty()) {
            let (first, _) = self.unwritten.as_slices();
            match rustix::io::write(fd, first) {
                Ok(written) => drop(self.unwritten.drain(..written)),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                Err(_) => {
                    self.stdin = None;
                    self.unwritten = VecDeque::new();
                }
            }
        }
        // Nothing is kept for a program that is written to once.
        if self.unwritten.is_empty() {
            self.unwritten = VecDeque::new();
        }
    }

    pub(super) fn timer(&self) -> Option<u64> {
        let checks = [&self.check, &self.doubt].into_iter().flatten();
        checks
            .map(Check::timer)
            .chain(self.probe.as_ref().map(Probe::timer))
            .min()
    }

    /// Asks once whether it accepts a token of nobody.
    pub(super) fn begin_doubt(&mut self, spec: &Spec, proof: &Proof, mono_ms: u64) {
        let address = &self.place.address;
        self.doubt = Check::of_proof(&spec.ready, address, proof.of_nobody(), mono_ms);
    }

    /// True = it does.
    pub(super) fn step_doubt(&mut self, mono_ms: u64) -> bool {
        let found = match &mut self.doubt {
            Some(doubt) => doubt.step(mono_ms),
            None => Found::Nothing,
        };
        if found != Found::Nothing {
            self.doubt = None;
        }
        // No answer, or one that says nothing of tokens, is no acceptance.
        found == Found::Passed
    }

    pub(super) fn step_check(&mut self, mono_ms: u64) -> Found {
        if let Some(probe) = &mut self.probe {
            return probe.step(mono_ms);
        }
        let Some(check) = &mut self.check else {
            return Found::Nothing;
        };
        let found = check.step(mono_ms);
        if found == Found::Passed && check.until_ready() {
            // Ready once is ready: asked again, it would be a wake-up and a line in its access log each second.
            self.check = None;
        }
        found
    }

    /// Begins a check; Err = a pattern that is none.
    pub(super) fn begin_check(
        &mut self,
        spec: &Rc<Spec>,
        mode: CheckMode,
        mono_ms: u64,
    ) -> Result<(), String> {
        let period_ms = match mode {
            CheckMode::UntilReady => 0,
            CheckMode::KeepAlive(period_ms) => period_ms,
        };
        let proof = match mode {
            CheckMode::UntilReady => Proof::of(spec),
            CheckMode::KeepAlive(_) => None,
        };
        self.check = Check::new(&spec.ready, &self.place.address, period_ms, mono_ms)
            .map(|check| check.then(proof));
        if let Ready::Exec { argv } = &spec.ready {
            let (spec, argv, place) = (spec.clone(), argv.clone(), self.place.clone());
            self.probe = Some(Probe::new(spec, argv, place, period_ms, mono_ms));
        }
        if let (Ready::Log { pattern }, CheckMode::UntilReady) = (&spec.ready, mode) {
            let compiled = regex_lite::Regex::new(pattern);
            self.pattern = Some(
                compiled
                    .map_err(|error| format!("ready = log:{pattern} is not a pattern: {error}"))?,
            );
        }
        Ok(())
    }

    pub(super) fn end_checks(&mut self) {
        self.check = None;
        self.doubt = None;
        self.pattern = None;
        match &mut self.words {
            Some(words) => words.end_check(),
            None => self.ready = None,
        }
        self.probe = None;
        self.notify = None;
    }

    /// Session of the check's command that runs now; 0 = none.
    pub(super) fn probe_pid(&self) -> i32 {
        self.probe.as_ref().map_or(0, Probe::pid)
    }

    /// The check's command has ended.
    pub(super) fn probe_exited(&mut self, exit: i32, mono_ms: u64) -> Found {
        let Some(probe) = &mut self.probe else {
            return Found::Nothing;
        };
        let found = probe.exited(exit, mono_ms);
        if found == Found::Passed && probe.until_ready() {
            self.probe = None;
        }
        found
    }

    /// Something came on NOTIFY_SOCKET.
    pub(super) fn notified(&mut self) -> Said {
        let pid = self.pid;
        self.notify
            .as_ref()
            .map_or(Said::Nothing, |notify| notify.read(pid))
    }

    /// Output as it goes into the log.
    pub(super) fn formatted<'a>(&mut self, stderr: bool, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match &mut self.formats[usize::from(stderr)] {
            None => Cow::Borrowed(bytes),
            Some(lines) => Cow::Owned(lines.push(bytes, sys::clock::wall_ms())),
        }
    }

    /// What no newline ended before the pipe was closed.
    pub(super) fn rest(&mut self, stderr: bool) -> Vec<u8> {
        let lines = self.formats[usize::from(stderr)].as_mut();
        lines.map_or_else(Vec::new, |lines| lines.end(sys::clock::wall_ms()))
    }

    /// A byte on the readiness descriptor.
    pub(super) fn ready_came(&mut self) -> bool {
        let Some(fd) = &self.ready else { return false };
        let mut bytes = [0u8; 1024];
        match (rustix::io::read(fd, &mut bytes), &mut self.words) {
            (Ok(0), _) => {
                self.ready = None;
                false
            }
            (Ok(count), Some(words)) => words.hear(&bytes[..count]),
            (Ok(_), None) => {
                self.ready = None;
                true
            }
            (Err(_), _) => false,
        }
    }

    /// What a role of ours says is wrong.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.words.as_ref().and_then(Words::trouble)
    }

    /// Looks at output on its way to the log. True = the line that means ready was in it.
    pub(super) fn saw(&mut self, bytes: &[u8]) -> bool {
        let start = bytes.len().saturating_sub(TAIL_BYTES_MAX);
        self.tail.extend(&bytes[start..]);
        let over = self.tail.len().saturating_sub(TAIL_BYTES_MAX);
        self.tail.drain(..over);
        let Some(pattern) = &self.pattern else {
            return false;
        };
        let mut found = false;
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES_MAX - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                found |= pattern.is_match(String::from_utf8_lossy(&self.line).trim_end());
                self.line.clear();
            }
        }
        if found {
            self.pattern = None;
        }
        found
    }

    /// The last lines of its output, indented, for an answer.
    pub(super) fn last_lines(&self) -> String {
        let bytes: Vec<u8> = self.tail.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let mut lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let over = lines.len().saturating_sub(TAIL_LINES_MAX);
        lines.drain(..over);
        let lines: Vec<String> = lines.into_iter().map(crate::plain::plain).collect();
        lines.join("\n")
    }

    /// Dead and nothing left in its pipes.
    pub(super) fn is_over(&self) -> bool {
        self.pid == 0 && self.stdout.is_none() && self.stderr.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps the check until it finds something.
    fn found(child: &mut Child, mut mono_ms: u64) -> Found {
        loop {
            match child.step_check(mono_ms) {
                Found::Nothing => mono_ms += 1,
                found => return found,
            }
        }
    }

    #[test]
    fn a_readiness_check_ends_with_its_success_and_a_keepalive_goes_on() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = Place {
            address: format!("tcp:{}", listener.local_addr().unwrap()),
            ..Place::default()
        };
        let (stdout, stdin) = sys::fds::pipe().unwrap();
        let pipes = Pipes {
            stdin,
            stdout,
            stderr: None,
            ready: None,
        };
        let spec = Rc::new(Spec {
            ready: Ready::Tcp {},
            ..Spec::default()
        });
        let mut child = Child::new(1, 100, place, pipes, &spec, None);
        child.begin_check(&spec, CheckMode::UntilReady, 0).unwrap();
        assert_eq!((found(&mut child, 0), child.timer()), (Found::Passed, None));
        child
            .begin_check(&spec, CheckMode::KeepAlive(500), 0)
            .unwrap();
        assert_eq!(child.timer(), Some(500));
        assert_eq!(found(&mut child, 500), Found::Passed);
        assert!(child.timer().is_some());
    }
}
