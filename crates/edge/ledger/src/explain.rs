//! `steadfast explain backend`: why it restarted, what it cost, what is most likely next. Pure.
//!
//! Transitions are folded into *episodes*: from the moment the process went away (or was first started) to the
//! moment it was ready again, whatever number of tries that took. Users feel episodes, not tries.
//!
//! What an episode cost is the difference of the gateways' counts between its own beginning and the beginning of the next
//! one: a request that waited is counted when it is released, which is after *ready*.

use wire::Counts;

use crate::entry::{Entry, Happened, Keeper};
use crate::history::{ending, first_line, one_line, reason};
use crate::words::{Zone, ago, count, duration};

/// The window that is explained.
const WINDOW_MS: u64 = 24 * 3600 * 1000;
/// Episodes that are listed; the rest is counted.
const LISTED_MAX: usize = 10;
/// Columns of a reason: time, reason and cost stay below 100.
const REASON_COLUMNS_MAX: usize = 46;
/// Refused replacements that are listed.
const REFUSED_LISTED_MAX: usize = 3;
/// A crash loop: so many ends by itself ...
const LOOP_ENDS: usize = 3;
/// ... within this time: what a person still calls "all the time".
const LOOP_MS: u64 = 10 * 60 * 1000;
/// Less than this says nothing about a trend: programs fill their caches first.
const GROWTH_MS_MIN: u64 = 30 * 60 * 1000;
/// Growth an hour that is worth a line.
const GROWTH_BYTES_MIN: u64 = 1 << 20;
/// What lies further ahead is no prediction.
const PREDICTED_MS_MAX: u64 = 24 * 3600 * 1000;
/// Lines of last output that are shown for a process that is not up.
const OUTPUT_LINES_MAX: usize = 5;

/// What is true now, from the keeper's last word and the configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Now {
    /// Wall clock, ms.
    pub wall_ms: u64,
    /// Where the reader is.
    pub zone: Zone,
    /// Our word for the state: `ready`, `restarting`, `fatal`; empty = not in the configuration.
    pub phase: String,
    /// Pid, 0 = none.
    pub pid: i32,
    /// When it was started, wall clock, ms; 0 = it does not run.
    pub started_ms: u64,
    /// A gateway stands in front, so requests are counted.
    pub gated: bool,
    /// The counts, and the keeper that they are from.
    pub counts: Counts,
    /// The keeper, if known.
    pub keeper: Option<Keeper>,
    /// What makes it restart by itself in development (`--reload`), if its command or environment has it.
    pub reloader: Option<String>,
    /// Its memory, if it was sampled.
    pub memory: Option<Memory>,
}

/// Memory of a process's tree over its present life, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Now.
    pub bytes: u64,
    /// At the first sample.
    pub first_bytes: u64,
    /// When that was, wall clock, ms.
    pub first_ms: u64,
    /// `memory_max`; 0 = none.
    pub max_bytes: u64,
    /// What it could take at all; 0 = not known.
    pub limit_bytes: u64,
}

#[derive(Debug, Default)]
struct Episode<'a> {
    left: Option<&'a Happened>,
    ended: Option<&'a Happened>,
    start: Option<&'a Happened>,
    /// RUNNING.
    ready: Option<&'a Happened>,
    /// Ready, where that was another moment.
    remark: Option<&'a Happened>,
    /// The last try that failed.
    failed: Option<&'a Happened>,
    tries: u32,
    at_ms: u64,
}

/// The lines that explain `process`, from the entries of the ledger about it.
pub fn explain(process: &str, entries: &[Entry], now: &Now) -> Vec<String> {
    let since = now.wall_ms.saturating_sub(WINDOW_MS);
    let mine: Vec<(u64, &Happened)> = entries
        .iter()
        .filter(|entry| entry.process == process && entry.at_ms >= since)
        .filter_map(|entry| entry.happened().map(|happened| (entry.at_ms, happened)))
        .collect();
    let episodes = episodes(&mine);
    let started: Vec<&Episode> = episodes.iter().filter(|e| e.start.is_some()).collect();
    let mut lines = vec![headline(process, &started, now)];
    lines.extend(listing(process, &episodes, now));
    lines.extend(refused(&mine, now));
    lines.extend(last_output(&mine, now));
    lines.extend(hints(process, &mine, now));
    lines
}

fn episodes<'a>(mine: &[(u64, &'a Happened)]) -> Vec<Episode<'a>> {
    let mut done = Vec::new();
    let mut open: Option<Episode<'a>> = None;
    for &(at_ms, h) in mine {
        if h.is_remark() {
            if let Some(episode) = open.as_mut().or(done.last_mut())
                && h.is_ready_remark()
            {
                episode.remark.get_or_insert(h);
            }
            continue;
        }
        if h.replaced {
            done.push(Episode {
                left: Some(h),
                start: Some(h),
                ready: Some(h),
                at_ms,
                ..Episode::default()
            });
            continue;
        }
        // Another keeper after tries in vain: everything was ended in between, and this is another story.
        let another = |episode: &Episode| {
            let start = episode.start.filter(|_| episode.tries > 0);
            start.is_some_and(|start| start.keeper() != h.keeper())
        };
        if h.is_start() && open.as_ref().is_some_and(another) {
            done.extend(open.take());
        }
        let begins = h.from == "RUNNING" && h.to != "RUNNING";
        if begins {
            done.extend(open.take());
        }
        if begins || h.is_start() || open.is_some() {
            let episode = open.get_or_insert_with(|| Episode {
                at_ms,
                ..Episode::default()
            });
            if begins {
                episode.left = Some(h);
            }
            if h.is_end() {
                episode.ended.get_or_insert(h);
            }
            if h.to == "BACKOFF" || (h.is_end() && h.why == "not ready") {
                episode.failed = Some(h);
            }
            if h.is_start() {
                episode.start.get_or_insert(h);
                episode.tries += 1;
            }
        }
        if h.is_running() {
            let mut episode = open.take().unwrap_or_default();
            episode.ready = Some(h);
            episode.at_ms = at_ms;
            episode.start.get_or_insert(h);
            done.push(episode);
        }
    }
    done.extend(open);
    done
}

fn headline(process: &str, started: &[&Episode], now: &Now) -> String {
    let name = finding::escape(process);
    let mut line = match now.phase.as_str() {
        "" => format!("{name} is not in the configuration"),
        phase => format!("{name} is {phase}"),
    };
    if now.pid > 0 {
        line += &format!(", pid {}", now.pid);
        if now.started_ms > 0 {
            line += &format!(", up {}", ago(now.wall_ms.saturating_sub(now.started_ms)));
        }
    }
    let up = started
        .iter()
        .filter(|episode| episode.ready.is_some())
        .count();
    let in_vain = started.iter().filter(|episode| episode.ready.is_none());
    let in_vain: u32 = in_vain.map(|episode| episode.tries).sum();
    line + &match (up, in_vain) {
        (0, 0) => ". It did not start in the last 24 h.".to_owned(),
        (0, 1) => ". It was tried once in the last 24 h and did not get up:".to_owned(),
        (0, tries) => format!(". It was tried {tries} times in the last 24 h and did not get up:"),
        (_, _) if started.len() == 1 => ". It started once in the last 24 h:".to_owned(),
        (_, _) => format!(". It started {} times in the last 24 h:", started.len()),
    }
}

/// Replacements that were refused while the generation before went on: no episode, since nobody felt them.
fn refused(mine: &[(u64, &Happened)], now: &Now) -> Vec<String> {
    let refused = mine
        .iter()
        .rev()
        .filter(|(_, h)| h.is_remark() && h.note.starts_with("generation "));
    let line = |(at_ms, h): &(u64, &Happened)| {
        format!(
            "  {}  replacement refused: {}",
            now.zone.time(*at_ms),
            one_line(h.note.lines().next().unwrap_or(""))
        )
    };
    refused.take(REFUSED_LISTED_MAX).map(line).collect()
}

fn listing(process: &str, episodes: &[Episode], now: &Now) -> Vec<String> {
    let mut rows: Vec<(String, String, String)> = Vec::new();
    for (index, episode) in episodes.iter().enumerate().rev().take(LISTED_MAX) {
        let cost = cost(episode, episodes.get(index + 1), now);
        rows.push((now.zone.time(episode.at_ms), short(&why(episode)), cost));
    }
    let width = rows.iter().map(|r| r.1.chars().count()).max().unwrap_or(0);
    let mut lines: Vec<String> = rows
        .iter()
        .map(|(time, why, cost)| format!("  {time}  {why:<width$}  {cost}"))
        .map(|line| line.trim_end().to_owned())
        .collect();
    if episodes.len() > LISTED_MAX {
        let more = episodes.len() - LISTED_MAX;
        lines.push(format!(
            "  and {more} before: steadfast history {}",
            finding::escape(process)
        ));
    }
    lines
}

/// The reason of an episode: why it went away, unless somebody wanted that; then why it was started.
fn why(episode: &Episode) -> String {
    let end = [episode.left, episode.ended].into_iter().flatten();
    let by_itself = end.clone().find(|h| {
        matches!(
            h.why.as_str(),
            "crash" | "out of memory" | "not ready" | "unhealthy" | "keeper lost" | "exit"
        )
    });
    let best = by_itself.or(episode.start).or(episode.left);
    let failed = episode
        .failed
        .filter(|_| episode.ready.is_none() && episode.left.is_none_or(|left| left.exit.is_none()));
    let words = match failed.map(why_failed) {
        Some(words) if !words.is_empty() => words,
        Some(_) | None => best.map(reason).unwrap_or_default(),
    };
    match episode.tries {
        0 | 1 => words,
        tries => format!("{words} ({tries} tries)"),
    }
}

/// Why a start failed: its end, or that there was nothing to start.
fn why_failed(h: &Happened) -> String {
    match h.why.as_str() {
        "crash" | "out of memory" | "not ready" => reason(h),
        _ => first_line(&h.note),
    }
}

fn cost(episode: &Episode, next: Option<&Episode>, now: &Now) -> String {
    // How long it was away is said once, by whichever of RUNNING and ready came with it.
    let said = [episode.ready, episode.remark].into_iter().flatten();
    let away_ms = said.map(|h| h.away_ms).max().unwrap_or(0);
    let took_ms = episode.remark.or(episode.ready).map_or(0, |h| h.took_ms);
    let mut words = match episode.ready {
        Some(h) if h.replaced => "away 0.0 s (overlap)".to_owned(),
        Some(_) if episode.left.is_none() && away_ms == 0 => {
            format!("ready in {}", duration(took_ms))
        }
        Some(_) => format!("away {}", duration(away_ms)),
        None if next.is_none() => "not back".to_owned(),
        None => "did not get ready".to_owned(),
    };
    let Some(from) = episode.left.filter(|_| now.gated) else {
        return words;
    };
    let (to, keeper) = match next.and_then(|next| next.left.or(next.start)) {
        Some(h) => (h.counts(), Some(h.keeper())),
        None => (now.counts.clone(), now.keeper),
    };
    let base = if keeper.is_none_or(|keeper| keeper == from.keeper()) {
        from.counts()
    } else {
        Counts::default()
    };
    let waited = to.waited.saturating_sub(base.waited);
    let failed = to.failed.saturating_sub(base.failed);
    // The newest line says what is counted, the others only the numbers.
    let waited = match next {
        None => count(waited, "request", "requests"),
        Some(_) => waited.to_string(),
    };
    words += &format!(", {waited} waited, {failed} failed");
    if to.may_have_run > base.may_have_run {
        words += " (may have run)";
    }
    words
}

fn short(reason: &str) -> String {
    if reason.chars().count() <= REASON_COLUMNS_MAX {
        return reason.to_owned();
    }
    let kept: String = reason.chars().take(REASON_COLUMNS_MAX - 1).collect();
    format!("{kept}…")
}

/// Of a process that is not up, the last words.
fn last_output(mine: &[(u64, &Happened)], now: &Now) -> Vec<String> {
    let up = matches!(now.phase.as_str(), "ready" | "stopped" | "");
    let end = mine
        .iter()
        .rev()
        .find(|(_, h)| h.is_end() && !h.note.is_empty());
    let Some((_, end)) = end.filter(|_| !up) else {
        return vec![];
    };
    let all: Vec<&str> = end.note.lines().collect();
    let from = all.len().saturating_sub(OUTPUT_LINES_MAX);
    let mut lines = vec!["Its last words:".to_owned()];
    lines.extend(
        all[from..]
            .iter()
            .map(|line| format!("  {}", finding::escape(line))),
    );
    lines
}

/// Where its memory is heading, if that can be said.
fn memory(name: &str, now: &Now) -> Vec<String> {
    let Some(memory) = now.memory else {
        return Vec::new();
    };
    let time_ms = now.wall_ms.saturating_sub(memory.first_ms);
    let grown = memory.bytes.saturating_sub(memory.first_bytes);
    let per_hour = u64::try_from(u128::from(grown) * 3_600_000 / u128::from(time_ms.max(1)));
    let per_hour = per_hour.unwrap_or(u64::MAX);
    let grows = time_ms >= GROWTH_MS_MIN
        && per_hour >= GROWTH_BYTES_MIN
        && grown.saturating_mul(20) >= memory.first_bytes;
    if !grows {
        return Vec::new();
    }
    let end = match memory.max_bytes {
        0 => memory.limit_bytes,
        max => max,
    };
    let left_ms = u128::from(end.saturating_sub(memory.bytes)) * 3_600_000 / u128::from(per_hour);
    let left_ms = u64::try_from(left_ms).unwrap_or(u64::MAX);
    let pace = format!(
        "Most likely next: memory grew {} MB per hour since {}",
        per_hour >> 20,
        now.zone.time(memory.first_ms).get(..5).unwrap_or("")
    );
    if end == 0 || left_ms > PREDICTED_MS_MAX {
        return vec![format!("{pace}.")];
    }
    let at = now.zone.time(now.wall_ms.saturating_add(left_ms));
    let at = at.get(..5).unwrap_or("");
    if memory.max_bytes > 0 {
        let max = memory.max_bytes >> 20;
        return vec![format!(
            "{pace}; at this pace it reaches memory_max = {max}MB at about {at} and is replaced."
        )];
    }
    // Room to grow, but well below where the kernel ends it.
    let wanted = (memory.bytes + memory.bytes / 2).min(end / 4 * 3);
    let wanted = (wanted >> 20).div_ceil(50) * 50;
    vec![
        format!("{pace}; at this pace it ends at about {at}."),
        format!("  try: memory_max = {wanted}MB in [program:{name}]"),
    ]
}

fn hints(process: &str, mine: &[(u64, &Happened)], now: &Now) -> Vec<String> {
    let name = finding::escape(process);
    let mut lines = Vec::new();
    if let Some(flag) = &now.reloader {
        lines.push(format!(
            "`{}` restarts it whenever a file changes: connections break and people are signed out.",
            one_line(flag)
        ));
        lines.push("  see: steadfast check".to_owned());
    }
    let by_itself: Vec<&(u64, &Happened)> = mine
        .iter()
        .filter(|(_, h)| h.is_end() && matches!(h.why.as_str(), "crash" | "not ready"))
        .collect();
    let recent = by_itself
        .iter()
        .filter(|(at_ms, _)| *at_ms + LOOP_MS >= now.wall_ms)
        .count();
    if let Some((_, last)) = by_itself.last().filter(|_| recent >= LOOP_ENDS) {
        let how = ending(last).unwrap_or_else(|| "no status".to_owned());
        lines.push(format!(
            "Crash loop: it ended by itself {recent} times in 10 min, the last with {how} after {}.",
            duration(last.lived_ms)
        ));
        lines.push(format!("  see: steadfast logs {name}"));
    }
    let out_of_memory = mine
        .iter()
        .filter(|(_, h)| h.is_end() && h.why == "out of memory")
        .count();
    if out_of_memory > 0 {
        lines.push(format!(
            "The kernel ended it {} for lack of memory, and will again: run fewer workers, or give it more memory.",
            count(out_of_memory as u64, "time", "times")
        ));
    }
    lines.extend(memory(&name, now));
    match now.phase.as_str() {
        "fatal" => {
            lines.push("Its start retries are used up. When it is mended:".to_owned());
            lines.push(format!("  steadfast start {name}"));
        }
        "exited" => {
            lines.push("It ended by itself, and `autorestart` says to leave it so.".to_owned());
            lines.push(format!("  to start it: steadfast start {name}"));
        }
        _ => {}
    }
    lines
}
