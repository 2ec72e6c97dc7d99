//! From strikes, requests and effects to the table and its verdict: pure.
//!
//! A request belongs to the strike in whose time it ended (a strike's time ends where the next begins): what a
//! strike does to requests that were on their way shows there. *Back in* is the longest time within a strike's
//! time in which no request succeeded, which is what users see.

use crate::fault::{FAULTS, Fault, Strike};
use crate::load::{End, Kind, Log, Sample};
use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// How many bad requests are told one by one.
const TOLD_MAX: usize = 10;

/// A line of the table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// Strikes.
    pub strikes: usize,
    /// Requests that ended in their time.
    pub requests: usize,
    /// Of these, failed.
    pub failed: usize,
    /// Of `failed`: POSTs that the program had read when it was killed.
    pub had_been_read: usize,
    /// Ids of POSTs that ran twice.
    pub twice: usize,
    /// Users signed out.
    pub sign_outs: usize,
    /// The longest that a request took.
    pub longest: Duration,
    /// See the module.
    pub back: Duration,
}

impl Row {
    /// Does this keep the promise?
    fn holds(&self) -> bool {
        self.failed == self.had_been_read && self.twice == 0 && self.sign_outs == 0
    }
    fn add(&mut self, other: &Row) {
        self.strikes += other.strikes;
        self.requests += other.requests;
        self.failed += other.failed;
        self.had_been_read += other.had_been_read;
        self.twice += other.twice;
        self.sign_outs += other.sign_outs;
        self.longest = self.longest.max(other.longest);
        self.back = self.back.max(other.back);
    }
}

/// The whole report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// One for each fault that struck, in the order of [`FAULTS`].
    pub rows: Vec<(Fault, Row)>,
    /// All together.
    pub total: Row,
    /// What did not go as it should.
    pub wrong: Vec<String>,
}

/// Makes the report. `effects`: how often each id ran.
pub fn report(strikes: &[Strike], log: &Log, effects: &HashMap<String, u32>) -> Report {
    let mut rows: HashMap<Fault, Row> = HashMap::new();
    for (number, strike) in strikes.iter().enumerate() {
        let begin = if number == 0 {
            log.origin
        } else {
            strike.begun
        };
        let end = strikes.get(number + 1).map(|next| next.begun);
        let row = row_of(strike, begin, end, log);
        rows.entry(strike.fault).or_default().add(&row);
    }
    // An id does not say when it ran twice; the first row that can have done it carries it.
    let twice = effects.values().filter(|count| **count > 1).count();
    let rows: Vec<(Fault, Row)> = FAULTS
        .iter()
        .filter_map(|fault| rows.remove(fault).map(|row| (*fault, row)))
        .collect();
    let mut total = Row::default();
    for (_, row) in &rows {
        total.add(row);
    }
    total.twice = twice;
    Report {
        rows,
        total,
        wrong: wrong(strikes, log, effects),
    }
}

fn row_of(strike: &Strike, begin: Instant, end: Option<Instant>, log: &Log) -> Row {
    let mut row = Row {
        strikes: 1,
        ..Row::default()
    };
    let mut last_good = strike.begun;
    let inside =
        |sample: &&Sample| sample.ended >= begin && end.is_none_or(|end| sample.ended < end);
    for sample in log.samples.iter().filter(inside) {
        row.requests += 1;
        row.longest = row.longest.max(sample.ended.duration_since(sample.begun));
        match &sample.end {
            End::Good => {
                if sample.ended >= last_good {
                    row.back = row.back.max(sample.ended.duration_since(last_good));
                    last_good = sample.ended;
                }
            }
            End::SignedOut => row.sign_outs += 1,
            End::MayHaveRun if sample.kind == Kind::Post && strike.fault.may_lose_posts() => {
                row.failed += 1;
                row.had_been_read += 1;
            }
            End::MayHaveRun | End::Status(..) | End::Failed(_) => row.failed += 1,
        }
    }
    if let Some(back) = strike.back {
        row.back = back;
    }
    row
}

fn wrong(strikes: &[Strike], log: &Log, effects: &HashMap<String, u32>) -> Vec<String> {
    let mut wrong: Vec<String> = strikes
        .iter()
        .filter_map(|strike| {
            strike
                .wrong
                .as_ref()
                .map(|why| format!("{}: {why}", strike.fault.name()))
        })
        .collect();
    let bad = log.bad().filter(|sample| sample.end != End::MayHaveRun);
    wrong.extend(bad.take(TOLD_MAX).map(|sample| sample.describe(log.origin)));
    let mut twice: Vec<&String> = effects
        .iter()
        .filter(|(_, count)| **count > 1)
        .map(|(id, _)| id)
        .collect();
    twice.sort();
    wrong.extend(
        twice
            .into_iter()
            .take(TOLD_MAX)
            .map(|id| format!("{id} ran more than once")),
    );
    wrong
}

impl Report {
    /// Did the promise hold?
    pub fn held(&self) -> bool {
        self.wrong.is_empty()
            && self.total.holds()
            && self.total.strikes > 0
            && self.total.requests > 0
    }

    /// The table, for people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{:<20} {:>7} {:>9} {:>7} {:>6} {:>10} {:>13} {:>8}\n",
            "fault",
            "strikes",
            "requests",
            "failed",
            "twice",
            "sign-outs",
            "longest wait",
            "back in"
        );
        for (fault, row) in &self.rows {
            let twice = "-".to_owned();
            text.push_str(&line(fault.name(), row, &twice));
            text.push('\n');
        }
        text.push_str(&line("total", &self.total, &self.total.twice.to_string()));
        text.push('\n');
        match self.total.had_been_read {
            0 => {}
            1 => text.push_str("the failed POST had been read when the program was killed: it may have run, and is not repeated\n"),
            many => {
                let _ = writeln!(
                    text,
                    "{many} failed POSTs had been read when the program was killed: they may have run, and are not repeated"
                );
            }
        }
        for why in &self.wrong {
            let _ = writeln!(text, "wrong: {why}");
        }
        text.push_str(if self.held() {
            "the promise held\n"
        } else {
            "the promise did not hold\n"
        });
        text
    }

    /// The same as one JSON document.
    pub fn json(&self) -> serde_json::Value {
        let row = |row: &Row| {
            serde_json::json!({
                "strikes": row.strikes,
                "requests": row.requests,
                "failed": row.failed,
                "had_been_read": row.had_been_read,
                "sign_outs": row.sign_outs,
                "longest_wait_ms": row.longest.as_millis() as u64,
                "back_in_ms": row.back.as_millis() as u64,
            })
        };
        let faults: Vec<serde_json::Value> = self
            .rows
            .iter()
            .map(|(fault, each)| {
                let mut value = row(each);
                value["fault"] = fault.key().into();
                value
            })
            .collect();
        let mut total = row(&self.total);
        total["twice"] = self.total.twice.into();
        serde_json::json!({
            "steadfast": 1, "kind": "storm", "held": self.held(), "faults": faults, "total": total, "wrong": self.wrong,
        })
    }
}

fn line(name: &str, row: &Row, twice: &str) -> String {
    format!(
        "{name:<20} {:>7} {:>9} {:>7} {twice:>6} {:>10} {:>13} {:>8}",
        row.strikes,
        thousands(row.requests),
        row.failed,
        row.sign_outs,
        seconds(row.longest),
        seconds(row.back),
    )
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// `34362` as `34,362`.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A storm of one strike at 1 s and requests that end at the given milliseconds.
    fn check(fault: Fault, ends: &[(u64, Kind, End)], effects: &[(&str, u32)]) -> Report {
        let origin = Instant::now();
        let at = |ms| origin + Duration::from_millis(ms);
        let samples = ends
            .iter()
            .map(|(ms, kind, end)| Sample {
                begun: at(ms - 1),
                ended: at(*ms),
                kind: *kind,
                end: end.clone(),
                id: None,
            })
            .collect();
        let strike = Strike {
            fault,
            begun: at(1_000),
            back: None,
            wrong: None,
        };
        let effects = effects
            .iter()
            .map(|(id, count)| (id.to_string(), *count))
            .collect();
        report(&[strike], &Log { origin, samples }, &effects)
    }

    #[test]
    fn the_promise_holds_when_all_is_good_and_back_in_is_the_longest_silence() {
        let good = |ms| (ms, Kind::Get, End::Good);
        let report = check(
            Fault::RestartHold,
            &[good(500), good(1_010), good(1_410), good(1_420)],
            &[("a", 1)],
        );
        assert!(report.held(), "{report:?}");
        assert_eq!(report.total.back, Duration::from_millis(400));
        assert_eq!(report.total.requests, 4);
    }

    #[test]
    fn a_read_post_is_forgiven_at_a_kill_and_nowhere_else() {
        let post = [
            (1_100, Kind::Post, End::MayHaveRun),
            (1_200, Kind::Get, End::Good),
        ];
        let forgiven = check(Fault::KillProgram, &post, &[]);
        assert!(forgiven.held());
        assert!(
            forgiven.text().contains("the failed POST had been read"),
            "{}",
            forgiven.text()
        );
        assert!(!check(Fault::RestartHold, &post, &[]).held());
        let get = [
            (1_100, Kind::Get, End::MayHaveRun),
            (1_200, Kind::Get, End::Good),
        ];
        assert!(!check(Fault::KillProgram, &get, &[]).held());
    }

    #[test]
    fn a_failure_a_sign_out_and_a_second_effect_each_break_it() {
        let good = (1_200, Kind::Get, End::Good);
        for bad in [
            (1_100, Kind::Verify, End::SignedOut),
            (1_100, Kind::Get, End::Status(503, "later".into())),
            (
                1_100,
                Kind::Get,
                End::Failed(crate::client::Failure::Refused),
            ),
        ] {
            let report = check(Fault::RestartOverlap, &[bad, good.clone()], &[]);
            assert!(!report.held(), "{report:?}");
            assert!(report.text().ends_with("the promise did not hold\n"));
        }
        let twice = check(Fault::KillProgram, &[good], &[("a", 2)]);
        assert!(!twice.held() && twice.json()["total"]["twice"] == 1);
    }

    #[test]
    fn a_storm_that_did_nothing_has_shown_nothing() {
        let log = Log {
            origin: Instant::now(),
            samples: Vec::new(),
        };
        assert!(!report(&[], &log, &HashMap::new()).held());
    }

    #[test]
    fn the_table_is_narrower_than_a_terminal() {
        let text = check(
            Fault::KillProgram,
            &[(1_100, Kind::Post, End::MayHaveRun)],
            &[],
        )
        .text();
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
