//! Answers as lines for people. Understandable without colour, narrower than 100 columns.

use control::{Body, Fault, Outcome, ProcessInfo, ProgressLine};

/// What a keeper says of a replacement that it refused.
const GOES_ON: &str = "the one before it goes on";

/// The envelope's kind.
pub(crate) fn kind(body: &Body) -> &'static str {
    match body {
        Body::Nothing => "nothing",
        Body::Status { .. } => "status",
        Body::Outcomes { .. } => "outcomes",
        Body::Changes { .. } => "changes",
        Body::Plan { .. } => "plan",
        Body::Rotated { .. } => "rotated",
        Body::Available { .. } => "available",
        Body::Log { .. } => "log",
        Body::History { .. } => "history",
        Body::Metrics { .. } => "metrics",
        Body::About(_) => "about",
    }
}

/// `group:name`, or just the name where both are the same.
pub(crate) fn label(group: &str, name: &str) -> String {
    if group == name || group.is_empty() {
        name.to_owned()
    } else {
        format!("{group}:{name}")
    }
}

/// One line of progress.
pub(crate) fn progress(line: &ProgressLine) -> String {
    format!("{}  {}", line.process, line.text)
}

/// `3d 02h`, `1h 02m`, `4m 10s`, `12 s`.
pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    if days > 0 {
        format!("{days}d {hours:02}h")
    } else if hours > 0 {
        format!("{hours}h {minutes:02}m")
    } else if minutes > 0 {
        format!("{minutes}m {:02}s", seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

/// One line a process: `backend  ready  pid 1067  up 3d 02h  restarts 2 (operator)  waited 41  failed 0`.
pub(crate) fn status(body: &Body) -> Vec<String> {
    let Body::Status { processes, store } = body else {
        return Vec::new();
    };
    let width = processes
        .iter()
        .map(|process| label(&process.group, &process.name).chars().count())
        .max()
        .unwrap_or(0);
    let lines = processes.iter().map(|process| status_line(process, width));
    let store = store
        .iter()
        .map(|store| format!("session store  {}: {}", store.kind, store.text));
    lines.chain(store).collect()
}

fn status_line(process: &ProcessInfo, width: usize) -> String {
    let mut parts = vec![
        format!("{:width$}", label(&process.group, &process.name)),
        process.phase.clone(),
    ];
    if process.pid > 0 {
        parts.push(format!("pid {}", process.pid));
        parts.push(format!(
            "up {}",
            duration(process.now_ms.saturating_sub(process.started_ms))
        ));
    } else if !process.spawn_error.is_empty() {
        parts.push(process.spawn_error.clone());
    } else if process.phase == "exited" {
        parts.push(format!("status {}", process.exit_status));
    }
    if process.generation > 0 || process.restarts > 0 {
        let by = match (process.restarts, process.operator_restarts) {
            (0, _) | (_, 0) => String::new(),
            (all, operator) if operator >= all => " (operator)".into(),
            (_, operator) => format!(" ({operator} operator)"),
        };
        parts.push(format!("restarts {}{by}", process.restarts));
    }
    if process.unhealthy > 0 {
        parts.push(format!("unhealthy: {} checks failed", process.unhealthy));
    }
    if let (Some(requests), Some(waited), Some(failed)) =
        (process.requests, process.waited, process.failed)
    {
        parts.push(format!("requests {requests}"));
        let longest = process
            .longest_wait_ms
            .filter(|_| waited > 0)
            .map(seconds)
            .map(|text| format!(" (longest {text})"));
        parts.push(format!("waited {waited}{}", longest.unwrap_or_default()));
        parts.push(format!("failed {failed}"));
    }
    if !process.waiting.is_empty() {
        parts.push(format!("not ready yet: {}", process.waiting));
    }
    if !process.trouble.is_empty() {
        parts.push(process.trouble.clone());
    }
    if !process.unreachable.is_empty() {
        parts.push(format!("nobody can reach it: {}", process.unreachable));
    } else if !process.listens.is_empty() && process.requests.is_none() {
        parts.push(process.listens.clone());
    }
    parts.join("  ").trim_end().to_owned()
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

/// What became of a key and of its programs.
pub(crate) fn rotated(body: &Body) -> Vec<String> {
    match body {
        Body::Rotated { lines, .. } => lines.clone(),
        _ => Vec::new(),
    }
}

/// One line for each process that was meant. What was said on the way already is not said again.
pub(crate) fn outcomes(body: &Body) -> Vec<String> {
    let Body::Outcomes { outcomes } = body else {
        return Vec::new();
    };
    outcomes.iter().map(outcome).collect()
}

/// True where the lines of the answer name what failed, so that its summary would say it twice.
pub(crate) fn says_what_failed(body: &Body) -> bool {
    match body {
        Body::Outcomes { outcomes } => outcomes
            .iter()
            .any(|outcome| outcome.status != Fault::Success),
        Body::Changes {
            outcomes, findings, ..
        } => {
            findings.iter().any(|text| text.starts_with("error: "))
                || outcomes
                    .iter()
                    .any(|outcome| outcome.status != Fault::Success)
        }
        _ => false,
    }
}

fn outcome(outcome: &Outcome) -> String {
    let name = label(&outcome.group, &outcome.name);
    let word = match outcome.status {
        Fault::Success => "done",
        Fault::AlreadyStarted => "already started",
        Fault::NotRunning => "not running",
        Fault::BadName => "no such process",
        Fault::NoFile => "no such file",
        Fault::NotExecutable => "not executable",
        Fault::AbnormalTermination => "failed: ended before it was ready",
        Fault::SpawnError => "failed: could not be started",
        Fault::BadSignal => "no such signal",
        Fault::UnknownMethod
        | Fault::IncorrectParameters
        | Fault::BadArguments
        | Fault::SignatureUnsupported
        | Fault::ShutdownState
        | Fault::Failed
        | Fault::AlreadyAdded
        | Fault::StillRunning
        | Fault::CantReread => "failed",
    };
    let text = outcome.text.trim_end();
    // The way there said the pid already.
    let text = match outcome.status {
        Fault::Success if is_pid(text) => "",
        _ => text,
    };
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let first = match lines.next().filter(|line| *line != word) {
        None => word.to_owned(),
        // The name and the kind of failure are in it.
        Some(line) if outcome.status == Fault::BadName => return indented(line, lines),
        // Where a start failed the words for it say more than the kind of failure.
        Some(line) if word.starts_with("failed") => line.to_owned(),
        Some(line) => format!("{word}: {line}"),
    };
    let all = indented(&first, lines);
    let hint = if text.contains(GOES_ON) {
        format!("\n    nothing was lost. Mend it and run: steadfast restart {name}")
    } else {
        String::new()
    };
    format!("{name}  {all}{hint}")
}

/// Lines below the first, indented.
fn indented<'a>(first: &str, rest: impl Iterator<Item = &'a str>) -> String {
    let rest: String = rest.map(|line| format!("\n    {line}")).collect();
    format!("{first}{rest}")
}

fn is_pid(text: &str) -> bool {
    text.strip_prefix("pid ")
        .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `reread` and `update`.
pub(crate) fn changes(body: &Body) -> Vec<String> {
    let Body::Changes {
        added,
        changed,
        removed,
        detail,
        findings,
        beside,
        outcomes,
    } = body
    else {
        return Vec::new();
    };
    let mut lines: Vec<String> = findings.clone();
    lines.extend(added.iter().map(|name| format!("{name}: new")));
    let mut told = vec![false; detail.len()];
    for group in changed {
        lines.push(format!(
            "{group}: changed{}",
            parts(group, detail, &mut told)
        ));
    }
    lines.extend(
        removed
            .iter()
            .map(|name| format!("{name}: gone from the file")),
    );
    let rest = detail.iter().zip(&told).filter(|(line, told)| {
        let whole = added.iter().chain(removed).any(|name| {
            line.strip_prefix(name.as_str())
                .is_some_and(|rest| rest == ": new" || rest == ": removed")
        });
        !**told && !whole
    });
    lines.extend(rest.map(|(line, _)| format!("    {line}")));
    let groups = added.len() + changed.len() + removed.len();
    if groups == 0 && outcomes.is_empty() && beside.is_empty() {
        let broken = findings.iter().any(|text| text.starts_with("error: "));
        lines.push(match broken {
            true => "nothing was changed: mend the errors first".into(),
            false => "nothing differs".into(),
        });
    }
    lines.extend(outcomes.iter().map(outcome));
    lines.extend(beside.iter().cloned());
    lines
}

/// ` (env_file: +DEBUG)`: what changed of a group, where it is the same for each of its processes that changed.
fn parts(group: &str, detail: &[String], told: &mut [bool]) -> String {
    let of_group: Vec<(usize, &str, &str)> = detail
        .iter()
        .enumerate()
        .filter_map(|(at, line)| {
            let (process, part) = line.split_once(": ")?;
            let own = process == group || process.strip_prefix(group)?.starts_with(':');
            own.then_some((at, process, part))
        })
        .collect();
    let of = |wanted: &str| -> Vec<&str> {
        let mine = of_group.iter().filter(|(_, process, _)| *process == wanted);
        mine.map(|(_, _, part)| *part).collect()
    };
    let Some((_, first, _)) = of_group.first() else {
        return String::new();
    };
    let text = of(first);
    if of_group.iter().any(|(_, process, _)| of(process) != text) {
        return String::new();
    }
    of_group.iter().for_each(|(at, _, _)| told[*at] = true);
    let which: std::collections::BTreeSet<&str> = of_group
        .iter()
        .map(|(_, process, _)| *process)
        .filter(|process| *process != group)
        .collect();
    let which = match which.len() {
        0 => String::new(),
        1..=4 => format!("{}: ", which.into_iter().collect::<Vec<_>>().join(", ")),
        many => format!("{many} processes: "),
    };
    format!(" ({which}{})", text.join("; "))
}

/// The text of `metrics`.
pub(crate) fn metrics(body: &Body) -> Vec<String> {
    match body {
        Body::Metrics { text } => text.lines().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The steps of `plan`.
pub(crate) fn plan(body: &Body) -> Vec<String> {
    match body {
        Body::Plan { steps } if steps.is_empty() => vec!["nothing to do".into()],
        Body::Plan { steps } => steps.clone(),
        _ => Vec::new(),
    }
}

/// Root's pid.
pub(crate) fn root_pid(body: &Body) -> Vec<String> {
    match body {
        Body::About(about) => vec![about.root_pid.to_string()],
        _ => Vec::new(),
    }
}

/// Pids of processes, 0 for one that does not run, as Supervisor prints them.
pub(crate) fn pids(body: &Body) -> Vec<String> {
    match body {
        Body::Status { processes, .. } => processes
            .iter()
            .map(|process| process.pid.to_string())
            .collect(),
        _ => Vec::new(),
    }
}

fn zone() -> ledger::Zone {
    ledger::Zone {
        offset_s: sys::clock::utc_offset_s(sys::clock::wall_ms()),
    }
}

fn entries(body: &Body) -> Vec<ledger::Entry> {
    match body {
        Body::History { entries } => entries
            .iter()
            .filter_map(|entry| serde_json::from_value(entry.clone()).ok())
            .collect(),
        _ => Vec::new(),
    }
}

/// The ledger, a line an entry.
pub(crate) fn history(body: &Body) -> Vec<String> {
    ledger::history(&entries(body), zone())
}

fn memory(info: &ProcessInfo) -> Option<ledger::Memory> {
    Some(ledger::Memory {
        bytes: info.memory_bytes?,
        first_bytes: info.memory_first_bytes?,
        first_ms: info.memory_first_ms?,
        max_bytes: info.memory_max_bytes,
        limit_bytes: info.memory_limit_bytes.unwrap_or(0),
    })
}

/// Why it restarted.
pub(crate) fn explain(info: &ProcessInfo, body: &Body) -> Vec<String> {
    let now = ledger::Now {
        wall_ms: sys::clock::wall_ms(),
        zone: zone(),
        phase: info.phase.clone(),
        pid: info.pid,
        started_ms: info.started_ms,
        gated: info.requests.is_some(),
        counts: wire::Counts {
            requests: info.requests.unwrap_or(0),
            waited: info.waited.unwrap_or(0),
            failed: info.failed.unwrap_or(0),
            longest_wait_ms: info.longest_wait_ms.unwrap_or(0),
            may_have_run: 0,
        },
        keeper: None,
        reloader: None,
        memory: memory(info),
    };
    let mut lines = ledger::explain(&label(&info.group, &info.name), &entries(body), &now);
    if !info.waiting.is_empty() {
        lines.insert(
            lines.len().min(1),
            format!("  not ready yet: {}", info.waiting),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_one_line() {
        let process = ProcessInfo {
            name: "backend".into(),
            group: "backend".into(),
            phase: "ready".into(),
            pid: 1067,
            generation: 3,
            started_ms: 1_000,
            now_ms: 1_000 + (3 * 86_400 + 2 * 3600) * 1000,
            restarts: 2,
            operator_restarts: 2,
            requests: Some(1200),
            waited: Some(41),
            failed: Some(0),
            longest_wait_ms: Some(1600),
            ..ProcessInfo::default()
        };
        let text = status(&Body::Status {
            processes: vec![process],
            store: None,
        });
        let expected = "backend  ready  pid 1067  up 3d 02h  restarts 2 (operator)  requests 1200  waited 41 (longest 1.6 s)  failed 0";
        assert_eq!(text, [expected]);
    }

    #[test]
    fn a_refused_replacement_says_what_to_do() {
        let text = "generation 8 exited with status 1 before it was ready; the one before it goes on\nlast lines of its output:\nboom";
        let refused = Outcome {
            name: "backend".into(),
            group: "backend".into(),
            status: Fault::AbnormalTermination,
            text: text.into(),
        };
        let shown = outcome(&refused);
        assert!(
            shown.starts_with("backend  generation 8 exited with status 1"),
            "{shown}"
        );
        assert!(
            shown.ends_with("Mend it and run: steadfast restart backend"),
            "{shown}"
        );
        assert!(
            shown.lines().all(|line| line.chars().count() < 100),
            "{shown}"
        );
    }

    #[test]
    fn a_name_that_means_nothing_is_said_once() {
        let bad = Outcome {
            name: "nosuch".into(),
            group: "nosuch".into(),
            status: Fault::BadName,
            text: "there is no process `nosuch`".into(),
        };
        assert_eq!(outcome(&bad), "there is no process `nosuch`");
    }

    #[test]
    fn a_file_with_errors_changed_nothing_and_is_not_said_to_be_the_same() {
        let body = |finding: &str| Body::Changes {
            added: vec![],
            changed: vec![],
            removed: vec![],
            detail: vec![],
            findings: vec![finding.to_owned()],
            beside: vec![],
            outcomes: vec![],
        };
        let last = |finding: &str| changes(&body(finding)).pop().unwrap_or_default();
        assert_eq!(
            last("error: boom"),
            "nothing was changed: mend the errors first"
        );
        assert_eq!(last("warning: careful"), "nothing differs");
        assert!(says_what_failed(&body("error: boom")), "said twice");
    }

    #[test]
    fn an_address_that_is_taken_is_said_of_whoever_cannot_be_reached() {
        let process = ProcessInfo {
            name: "a".into(),
            group: "a".into(),
            phase: "ready".into(),
            requests: Some(0),
            waited: Some(0),
            failed: Some(0),
            unreachable: "127.0.0.1:1 is in use by pid 7 (x)".into(),
            ..ProcessInfo::default()
        };
        let text = status_line(&process, 1);
        assert!(
            text.ends_with("nobody can reach it: 127.0.0.1:1 is in use by pid 7 (x)"),
            "{text}"
        );
    }

    #[test]
    fn times_are_short() {
        for (ms, text) in [
            (12_000, "12 s"),
            (250_000, "4m 10s"),
            (3_720_000, "1h 02m"),
            (266_400_000, "3d 02h"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }
}
