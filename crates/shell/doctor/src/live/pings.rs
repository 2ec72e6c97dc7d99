//! Pings: the same question several times, since one answer says little about the next.

use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crate::args::TOUCH;
use crate::scene::Scene;
use crate::scene::http::{self, Place};
use crate::scene::shown::{Pings, Who};

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

    #[test]
    fn more_pings_within_more_time() {
        let counts = [4, 8, 30, 3600].map(|s| count(Duration::from_secs(s)));
        assert_eq!(counts, [5, 10, 37, 60]);
    }
}
