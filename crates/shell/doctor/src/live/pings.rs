//! Pings: the same question several times, since one answer says little about the next.

use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crate::live::{TOUCH, Who};
use crate::scene::Scene;
use crate::scene::http::{self, Place};

/// Pings of one program, at least.
const COUNT_MIN: u32 = 5;
/// As many say how it goes on.
const COUNT_MAX: u32 = 60;

/// Pings of one program within a time: some each second, while they are few.
pub(crate) fn count(time: Duration) -> u32 {
    let of_touch = COUNT_MIN.saturating_mul(u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
    let seconds = u32::try_from(TOUCH.as_secs()).unwrap_or(1);
    (of_touch / seconds).clamp(COUNT_MIN, COUNT_MAX)
}

/// What came of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pings {
    pub(crate) who: Who,
    pub(crate) url: String,
    pub(crate) asked: usize,
    /// With 2xx.
    pub(crate) answered: usize,
    /// How long answers took, in microseconds, sorted; of every answer, whatever it was.
    pub(crate) took_us: Vec<u64>,
    /// Why the last one that failed did.
    pub(crate) failure: Option<String>,
}

impl Pings {
    pub(crate) fn min_us(&self) -> Option<u64> {
        self.took_us.first().copied()
    }

    pub(crate) fn median_us(&self) -> Option<u64> {
        self.took_us.get(self.took_us.len() / 2).copied()
    }

    pub(crate) fn max_us(&self) -> Option<u64> {
        self.took_us.last().copied()
    }

    /// `5 of 5 answered, min 0.8, median 1.1, max 3.0 ms`.
    pub(crate) fn words(&self) -> String {
        let mut words = format!("{} of {} answered", self.answered, self.asked);
        for (name, value) in [
            ("min", self.min_us()),
            ("median", self.median_us()),
            ("max", self.max_us()),
        ] {
            if let Some(us) = value {
                words.push_str(&format!(", {name} {}.{}", us / 1_000, us / 100 % 10));
            }
        }
        if !self.took_us.is_empty() {
            words.push_str(" ms");
        }
        words
    }
}

/// Asks every program that has a health path, each in a thread of its own, spread over the time of the experiment.
pub(crate) fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    scene: &'scope Scene,
    time: Duration,
) -> Vec<ScopedJoinHandle<'scope, Pings>> {
    let asked = scene.subjects.iter().filter_map(|subject| {
        let health = subject.health.as_ref()?;
        let place = health.at.as_ref()?;
        let (who, url) = (Who::of(subject), health.url.clone());
        Some(scope.spawn(move || measure(who, url, place, time)))
    });
    asked.collect()
}

fn measure(who: Who, url: String, place: &Place, time: Duration) -> Pings {
    let mut pings = Pings {
        who,
        url,
        asked: 0,
        answered: 0,
        took_us: Vec::new(),
        failure: None,
    };
    let begin = Instant::now();
    let count = count(time);
    let apart = time / count;
    for number in 0..count {
        let due = begin + apart * number;
        while let Some(left) = due.checked_duration_since(Instant::now()) {
            if left.is_zero() {
                break;
            }
            std::thread::park_timeout(left);
        }
        let start = Instant::now();
        pings.asked += 1;
        match http::get(&place.target, &place.host, &place.path) {
            Ok(answer) => {
                let took = start.elapsed().as_micros();
                pings.took_us.push(u64::try_from(took).unwrap_or(u64::MAX));
                match answer.status {
                    200..300 => pings.answered += 1,
                    status => pings.failure = Some(status.to_string()),
                }
            }
            Err(why) => pings.failure = Some(why),
        }
    }
    pings.took_us.sort_unstable();
    pings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Source;

    #[test]
    fn more_pings_within_more_time() {
        let counts = [4, 8, 30, 3600].map(|s| count(Duration::from_secs(s)));
        assert_eq!(counts, [5, 10, 37, 60]);
    }

    #[test]
    fn the_middle_is_the_median() {
        let pings = Pings {
            who: Who {
                source: Source::Process,
                name: "a".to_owned(),
            },
            url: "http://h/".to_owned(),
            asked: 5,
            answered: 3,
            took_us: vec![800, 1_150, 3_000],
            failure: None,
        };
        assert_eq!(
            pings.words(),
            "3 of 5 answered, min 0.8, median 1.1, max 3.0 ms"
        );
    }
}
