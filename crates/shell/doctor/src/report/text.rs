//! The report as text, narrower than 100 columns, understandable without colour.

use finding::{Severity, WIDTH_COLUMNS_MAX, escape, mask_line, render_place, render_words};

use super::words::{clean, fix_words};
use crate::checklist::{Point, State};
use crate::judge::{Diagnosis, Judged, cause};
use crate::model::Evidence;
use crate::scene::{Scene, Source, Subject};
use crate::time::{date, duration};

/// A longer cell (a path, an address) stands out of its column instead of moving those of all others.
const CELL_COLUMNS_MAX: usize = 40;
/// Programs named at the top; the rest is counted.
const NAMED_MAX: usize = 20;

pub(crate) fn text(scene: &Scene, judged: &Judged, list: &[Point]) -> String {
    let mut out = String::new();
    head(&mut out, scene);
    let all: Vec<_> = judged
        .diagnoses
        .iter()
        .map(|d| (d.subject, d.rule.code))
        .collect();
    for diagnosis in &judged.diagnoses {
        out.push_str(&one(diagnosis, cause(diagnosis, &all)));
    }
    for words in &scene.unseen {
        out.push_str(
            render_words(
                &format!("not seen: {}", mask_line(words)),
                WIDTH_COLUMNS_MAX,
            )
            .trim_start(),
        );
    }
    for (code, reason) in &judged.ignored {
        let reason = if reason.is_empty() {
            "no reason given"
        } else {
            reason
        };
        out.push_str(&format!("ignored: {code} ({})\n", clean(reason)));
    }
    out.push_str(&checklist(list));
    out.push_str(&summary(judged));
    out
}

/// What is said of a program whose process was not found. Who may not ask a supervisor cannot say that it does not run.
fn absent(scene: &Scene, subject: &Subject) -> &'static str {
    let config = subject.config(scene);
    match config.and_then(|config| config.daemon.as_ref()) {
        Some(daemon) if !daemon.answers => "not seen",
        _ => "not running",
    }
}

/// What was looked at.
fn head(out: &mut String, scene: &Scene) {
    let mut configs = Vec::new();
    for (index, config) in scene.configs.iter().enumerate() {
        let programs = scene
            .subjects
            .iter()
            .filter(|s| s.source == Source::Supervisor(index))
            .count();
        let running = match &config.daemon {
            Some(daemon) => format!(
                "supervisord {} up {}",
                daemon.pid,
                duration(scene.now_unix_s.saturating_sub(daemon.start_unix_s))
            ),
            None => "not running".to_owned(),
        };
        let files = config.loaded.tree.len();
        let what = format!(
            "{files} file{}, {programs} program{}, {running}",
            if files == 1 { "" } else { "s" },
            if programs == 1 { "" } else { "s" },
        );
        configs.push([escape(&config.shown), what]);
    }
    for line in columns(&configs) {
        out.push_str(&format!("{line}\n"));
    }
    let mut rows = Vec::new();
    for subject in scene.subjects.iter().take(NAMED_MAX) {
        if subject.source == Source::Address {
            let [url, said] = address(subject);
            rows.push([url, said, String::new()]);
            continue;
        }
        let process = subject.processes.first();
        let state = process.map_or_else(
            || absent(scene, subject).to_owned(),
            |p| {
                format!(
                    "pid {} up {}",
                    p.pid,
                    duration(scene.now_unix_s.saturating_sub(p.start_unix_s))
                )
            },
        );
        let command = subject
            .main_layer()
            .map_or_else(String::new, |l| mask_line(&l.line()));
        rows.push([escape(&subject.name), state, escape(&command)]);
    }
    for line in columns(&rows) {
        let line: String = line.chars().take(WIDTH_COLUMNS_MAX - 8).collect();
        out.push_str(&format!("  {}\n", line.trim_end()));
    }
    if scene.subjects.len() > NAMED_MAX {
        out.push_str(&format!(
            "  and {} more\n",
            scene.subjects.len() - NAMED_MAX
        ));
    }
    let pairs: Vec<_> = crate::before::pairs(scene).into_iter().collect();
    let names = pairs.iter().map(|(was, _)| was.program.chars().count());
    let wide = names.max().unwrap_or(0);
    for (was, is) in &pairs {
        for (word, of) in [("before", was), ("now   ", is)] {
            let line = format!(
                "{:wide$} {word}  pid {:<7} watches {:<4} {}",
                of.program, of.pid, of.watches, of.argv
            );
            let cut: String = escape(&line).chars().take(WIDTH_COLUMNS_MAX - 2).collect();
            out.push_str(&format!("  {}\n", cut.trim_end()));
        }
    }
    out.push('\n');
}

/// Rows as lines, each column as wide as its widest cell, but for cells that no other should make room for.
fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let mut wide = [0; N];
    for row in rows {
        for (wide, cell) in wide.iter_mut().zip(row) {
            let columns = cell.chars().count();
            if columns <= CELL_COLUMNS_MAX {
                *wide = columns.max(*wide);
            }
        }
    }
    let line = |row: &[String; N]| {
        let cells = row
            .iter()
            .zip(wide)
            .map(|(cell, wide)| format!("{cell:wide$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// `https://a.example/api/health` and `200 after 12 ms, certificate until 2027-01-31`.
fn address(subject: &Subject) -> [String; 2] {
    let health = subject.health.as_ref();
    let url = health.map_or(subject.name.as_str(), |h| h.url.as_str());
    let said = match health.map(|h| &h.answer) {
        Some(Ok(answer)) => format!("{} after {} ms", answer.status, answer.took_ms),
        Some(Err(_)) => "no answer".to_owned(),
        None if subject
            .certificate
            .as_ref()
            .is_some_and(|c| c.refused.is_some()) =>
        {
            "not asked".to_owned()
        }
        None => "no health check at the usual paths".to_owned(),
    };
    let until = subject.certificate.as_ref().map_or_else(String::new, |c| {
        format!(", certificate until {}", date(c.until_unix_s))
    });
    [url, &format!("{said}{until}")].map(|cell| escape(&mask_line(cell)))
}

fn one(diagnosis: &Diagnosis, cause: Option<&str>) -> String {
    let mut out = title(diagnosis);
    if let Some(cause) = cause {
        out.push_str(&format!("  follows from {cause}\n"));
    }
    for evidence in &diagnosis.hit.evidence {
        match evidence {
            Evidence::Place(span) => out.push_str(&render_place(span, WIDTH_COLUMNS_MAX)),
            Evidence::Said(words) => {
                out.push_str(&render_words(&mask_line(words), WIDTH_COLUMNS_MAX))
            }
        }
    }
    if cause.is_none() {
        let users = diagnosis
            .hit
            .effect
            .as_deref()
            .unwrap_or(diagnosis.rule.users);
        out.push_str(&render_words(&format!("users: {users}"), WIDTH_COLUMNS_MAX));
    }
    if let Some(fix) = fix_words(diagnosis) {
        // Not wrapped: it is there to be copied.
        let lines: Vec<String> = fix.lines().map(|l| escape(&mask_line(l))).collect();
        out.push_str(&format!("  fix: {}\n", lines.join("\n")));
    }
    out.push('\n');
    out
}

fn title(diagnosis: &Diagnosis) -> String {
    let words = escape(&diagnosis.title());
    let tail = match diagnosis.severity() {
        Severity::Note => format!("note, {}", diagnosis.hit.certainty.word()),
        other => format!("{}, {}", other.word(), diagnosis.hit.certainty.word()),
    };
    let code = diagnosis.rule.code;
    let wrapped = render_words(&format!("{code} {words}"), WIDTH_COLUMNS_MAX - 18);
    let mut lines = wrapped.lines();
    let first = lines.next().unwrap_or("").trim_start().to_owned();
    let used = first.chars().count();
    let gap = WIDTH_COLUMNS_MAX.saturating_sub(used + tail.len()).max(2);
    let mut out = format!("{first}{}{tail}\n", " ".repeat(gap));
    for line in lines {
        out.push_str(&format!("{line}\n"));
    }
    out
}

fn checklist(list: &[Point]) -> String {
    let ticked = list.iter().filter(|p| p.state == State::Yes).count();
    let mut out = format!("checklist {ticked}/{}\n", list.len());
    for point in list {
        let mark = match point.state {
            State::Yes => "[x]",
            State::No => "[ ]",
            State::Unseen => "[?]",
        };
        let line = format!("  {mark} {:<37} {}", point.name, clean(&point.evidence));
        let cut: String = line.chars().take(WIDTH_COLUMNS_MAX).collect();
        out.push_str(&format!("{}\n", cut.trim_end()));
    }
    out
}

fn summary(judged: &Judged) -> String {
    let count = |severity| {
        judged
            .diagnoses
            .iter()
            .filter(|d| d.severity() == severity)
            .count()
    };
    let counts = [
        (Severity::Error, "error"),
        (Severity::Warning, "warning"),
        (Severity::Note, "note"),
    ];
    let parts: Vec<String> = counts
        .into_iter()
        .map(|(severity, word)| (count(severity), word))
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}{}", if n == 1 { "" } else { "s" }))
        .collect();
    if parts.is_empty() {
        "healthy: no findings\n".to_owned()
    } else {
        format!("{}; steadfast explain CODE says more\n", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let long = "x".repeat(CELL_COLUMNS_MAX + 1);
        let rows = [
            row(["backend", "pid 7 up 2d", "uvicorn"]),
            row(["db", "not running", "postgres -D"]),
            row([&long, "200", ""]),
        ];
        assert_eq!(
            columns(&rows),
            [
                "backend  pid 7 up 2d  uvicorn".to_owned(),
                "db       not running  postgres -D".to_owned(),
                format!("{long}  200"),
            ]
        );
    }
}
