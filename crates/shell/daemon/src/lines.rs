//! What happened, as Supervisor's log says it (supervisor/process.py) and as people on a terminal read it. Pure.

use wire::{State, Transition, Why};

/// Last lines of a failed start that are shown: the error of a traceback is among them.
const LAST_WORDS_MAX: usize = 3;

/// Supervisor's log levels (loggers.py).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// 20.
    Info,
    /// 30.
    Warn,
    /// 40.
    Error,
    /// 50.
    Critical,
}

impl Level {
    /// Supervisor's number.
    pub(crate) fn number(self) -> u32 {
        match self {
            Level::Info => 20,
            Level::Warn => 30,
            Level::Error => 40,
            Level::Critical => 50,
        }
    }
    /// Supervisor's word in the log.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERRO",
            Level::Critical => "CRIT",
        }
    }
}

/// `exit status 1` or `terminated by SIGKILL` (options.py `decode_wait_status`).
pub(crate) fn ended(exit: i32) -> String {
    if exit < 0 {
        format!("terminated by {}", sys::signal::name(-exit))
    } else {
        format!("exit status {exit}")
    }
}

/// The lines of Supervisor's log for one transition of `process`.
pub(crate) fn supervisor(process: &str, start_secs: u32, t: &Transition) -> Vec<(Level, String)> {
    let mut lines = Vec::new();
    let by_result = |expected: bool| if expected { Level::Info } else { Level::Warn };
    match (t.from, t.to) {
        _ if t.replaced => {
            lines.push((Level::Info, format!("replaced: {process} by generation {} with pid {}", t.generation, t.pid)));
        }
        (State::Starting, State::Running) => lines.push((
            Level::Info,
            format!(
                "success: {process} entered RUNNING state, process has stayed up for > than {start_secs} seconds (startsecs)"
            ),
        )),
        (from, to) if from == to => {
            if let Some(exit) = t.exit {
                lines.push((Level::Info, format!("stopped: {process} ({})", ended(exit))));
            } else if t.note == process::KILLING {
                lines.push((Level::Warn, format!("killing '{process}' ({}) with SIGKILL", t.pid)));
            } else if !matches!(t.note.as_str(), "" | "ready" | "left") {
                lines.push((Level::Warn, format!("{process}: {}", t.note)));
            }
        }
        (_, State::Starting) => {
            if t.pid > 0 {
                lines.push((Level::Info, format!("spawned: '{process}' with pid {}", t.pid)));
            }
        }
        (_, State::Backoff) => match t.exit {
            Some(exit) => lines.push((Level::Warn, format!("exited: {process} ({}; not expected)", ended(exit)))),
            None => lines.push((Level::Info, format!("spawnerr: {}", first_line(&t.note)))),
        },
        (_, State::Exited) => {
            let exit = ended(t.exit.unwrap_or(0));
            let expected = if t.expected { "expected" } else { "not expected" };
            lines.push((by_result(t.expected), format!("exited: {process} ({exit}; {expected})")));
        }
        (_, State::Fatal) => lines.push((
            Level::Info,
            format!("gave up: {process} entered FATAL state, too many start retries too quickly"),
        )),
        // At its own end Supervisor names everybody at once, before the first stop.
        (_, State::Stopping) if t.cause.why == wire::Why::Shutdown => {}
        (_, State::Stopping) => lines.push((Level::Info, format!("waiting for {process} to stop"))),
        (_, State::Stopped) => {
            if let Some(exit) = t.exit {
                lines.push((by_result(exit == 0 || t.expected), format!("stopped: {process} ({})", ended(exit))));
            }
        }
        (_, State::Running | State::Unknown) => {}
    }
    lines
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

/// The same for a terminal: `(process, what)`, or nothing where nothing is worth a line.
pub(crate) fn terminal(t: &Transition) -> Option<String> {
    let pid = |pid: i32| format!("pid {pid}");
    match (t.from, t.to) {
        _ if t.replaced => Some(format!(
            "generation {} took over, {}",
            t.generation,
            pid(t.pid)
        )),
        (State::Starting, State::Running) => {
            Some(format!("ready in {}  {}", seconds(t.took_ms), pid(t.pid)))
        }
        (from, to) if from == to => match t.note.as_str() {
            "" | "ready" | "left" => None,
            note => Some(note.to_owned()),
        },
        (_, State::Backoff) => {
            let why = match t.cause.why {
                Why::NotReady => &t.cause.text,
                _ => first_line(&t.note),
            };
            Some(format!("did not start: {why}"))
        }
        (_, State::Exited) => {
            let oom = if t.cause.why == Why::OutOfMemory {
                ", out of memory"
            } else {
                ""
            };
            Some(format!(
                "ended ({}{oom}) after {}",
                ended(t.exit.unwrap_or(0)),
                ledger::duration(t.lived_ms)
            ))
        }
        (_, State::Fatal) => Some("gave up: its start retries are used up".to_owned()),
        (_, State::Stopped) => t.exit.map(|exit| format!("stopped ({})", ended(exit))),
        (_, State::Starting | State::Stopping | State::Running | State::Unknown) => None,
    }
}

/// The last lines of a start that failed, and where the rest is; only of the first of several tries.
pub(crate) fn last_words(label: &str, t: &Transition) -> Vec<String> {
    let ran = t.exit.is_some() || t.cause.why == Why::NotReady;
    if t.to != State::Backoff || !ran || t.tries > 1 {
        return Vec::new();
    }
    let all: Vec<&str> = t.note.lines().skip(1).collect();
    let from = all.len().saturating_sub(LAST_WORDS_MAX);
    let mut lines: Vec<String> = all[from..]
        .iter()
        .map(|line| format!("    {}", finding::escape(&finding::mask_line(line))))
        .collect();
    lines.push(format!("    see: steadfast logs {label}"));
    lines
}

/// `1.4 s`.
pub(crate) fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

/// What somebody who waits for a restart is told about a transition.
pub(crate) fn progress(t: &Transition) -> Option<String> {
    match (t.from, t.to) {
        _ if t.replaced => Some(format!(
            "generation {} ready in {}, pid {}",
            t.generation,
            seconds(t.took_ms),
            t.pid
        )),
        (State::Starting, State::Running) => {
            Some(format!("ready in {}, pid {}", seconds(t.took_ms), t.pid))
        }
        (_, State::Stopped) => t.exit.map(|exit| format!("stopped ({})", exit_words(exit))),
        (_, State::Backoff) => Some(match t.exit {
            Some(exit) => format!("{} before it was ready", ended(exit)),
            None => first_line(&t.note).to_owned(),
        }),
        (_, State::Exited) => Some(format!("ended ({})", ended(t.exit.unwrap_or(0)))),
        (_, State::Fatal) => Some("gave up".to_owned()),
        (_, State::Starting | State::Stopping | State::Running | State::Unknown) => None,
    }
}

fn exit_words(exit: i32) -> String {
    if exit < 0 {
        sys::signal::name(-exit)
    } else {
        format!("exit {exit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: State, to: State, change: impl FnOnce(&mut Transition)) -> String {
        let mut t = Transition {
            from,
            to,
            pid: 12,
            ..Transition::default()
        };
        change(&mut t);
        let lines: Vec<String> = supervisor("backend", 1, &t)
            .into_iter()
            .map(|(level, text)| format!("{} {text}", level.word()))
            .collect();
        lines.join("\n")
    }

    #[test]
    fn supervisors_words() {
        assert_eq!(
            check(State::Stopped, State::Starting, |_| {}),
            "INFO spawned: 'backend' with pid 12"
        );
        assert_eq!(
            check(State::Starting, State::Running, |_| {}),
            "INFO success: backend entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)"
        );
        assert_eq!(
            check(State::Running, State::Exited, |t| (t.exit, t.expected) =
                (Some(0), true)),
            "INFO exited: backend (exit status 0; expected)"
        );
        assert_eq!(
            check(State::Running, State::Exited, |t| t.exit = Some(-9)),
            "WARN exited: backend (terminated by SIGKILL; not expected)"
        );
        assert_eq!(
            check(State::Starting, State::Backoff, |t| t.exit = Some(1)),
            "WARN exited: backend (exit status 1; not expected)"
        );
        assert_eq!(
            check(State::Starting, State::Backoff, |t| t.note =
                "can't find command 'x'\nmore".into()),
            "INFO spawnerr: can't find command 'x'"
        );
        assert_eq!(
            check(State::Backoff, State::Fatal, |_| {}),
            "INFO gave up: backend entered FATAL state, too many start retries too quickly"
        );
        assert_eq!(
            check(State::Stopping, State::Stopped, |t| t.exit = Some(-15)),
            "WARN stopped: backend (terminated by SIGTERM)"
        );
        assert_eq!(
            check(State::Running, State::Stopping, |_| {}),
            "INFO waiting for backend to stop"
        );
    }

    #[test]
    fn ours() {
        assert_eq!(
            check(State::Running, State::Running, |t| (
                t.replaced,
                t.generation
            ) = (true, 8)),
            "INFO replaced: backend by generation 8 with pid 12"
        );
        assert_eq!(
            check(State::Running, State::Running, |t| t.note = "ready".into()),
            ""
        );
        assert_eq!(
            check(State::Running, State::Running, |t| t.note =
                "leftovers".into()),
            "WARN backend: leftovers"
        );
    }

    #[test]
    fn a_waiter_reads_what_goes_on() {
        let t = Transition {
            from: State::Starting,
            to: State::Running,
            pid: 2203,
            took_ms: 1432,
            ..Transition::default()
        };
        assert_eq!(progress(&t).as_deref(), Some("ready in 1.4 s, pid 2203"));
        let t = Transition {
            from: State::Stopping,
            to: State::Stopped,
            exit: Some(0),
            ..Transition::default()
        };
        assert_eq!(progress(&t).as_deref(), Some("stopped (exit 0)"));
    }
}
