//! What is told to whoever waits for a command.

use std::collections::BTreeMap;
use std::time::Duration;

use control::Progress;
use plan::Key;
use tokio::sync::mpsc;
use wire::Report;

use crate::lines;
use crate::state::{Shared, say};

/// What is still waited for is looked at this often: a usual start is over before, and what is said changes seldom.
const LOOK: Duration = Duration::from_millis(1500);

/// Tells what happens to these slots until the returned guard is dropped.
pub(super) fn follow(
    daemon: &Shared,
    keys: &[Key],
    progress: &Progress,
    since_ms: u64,
) -> Following {
    let reports = daemon.watch(keys.to_vec());
    let progress = progress.clone();
    let task = tokio::task::spawn_local(tell(reports, progress, since_ms));
    Following(task)
}

/// Ends the telling when it is dropped.
#[derive(Debug)]
pub(super) struct Following(tokio::task::JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn tell(
    mut reports: mpsc::UnboundedReceiver<(Key, Report)>,
    progress: Progress,
    since_ms: u64,
) {
    let mut draining: BTreeMap<Key, u64> = BTreeMap::new();
    let mut waiting: BTreeMap<Key, String> = BTreeMap::new();
    let mut said: BTreeMap<Key, String> = BTreeMap::new();
    let mut look = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
    loop {
        let report = tokio::select! {
            report = reports.recv() => report,
            _ = look.tick() => {
                for (key, text) in &waiting {
                    if said.get(key) != Some(text) {
                        said.insert(key.clone(), text.clone());
                        say(&progress, &key.to_string(), format!("not ready yet: {text}"), since_ms);
                    }
                }
                continue;
            }
        };
        let Some((key, report)) = report else { return };
        if let Report::Now { fact } = &report {
            match fact.waiting.as_str() {
                "" => drop(waiting.remove(&key)),
                text => drop(waiting.insert(key.clone(), text.to_owned())),
            }
        }
        if let Some(text) = words(&mut draining, &key, &report) {
            say(&progress, &key.to_string(), text, since_ms);
        }
    }
}

/// The words for one report; `draining` = requests that were last said to be in flight.
fn words(draining: &mut BTreeMap<Key, u64>, key: &Key, report: &Report) -> Option<String> {
    match report {
        Report::Drain {
            drained: false,
            in_flight,
            ..
        } => {
            let before = draining.insert(key.clone(), *in_flight);
            (*in_flight > 0 && before != Some(*in_flight)).then(|| match in_flight {
                1 => "draining 1 request".to_owned(),
                many => format!("draining {many} requests"),
            })
        }
        Report::Drain {
            drained: true,
            took_ms,
            ..
        } => draining
            .remove(key)
            .filter(|in_flight| *in_flight > 0)
            .map(|_| format!("drained in {}", lines::seconds(*took_ms))),
        Report::Happened { transition } => lines::progress(transition),
        Report::Now { .. }
        | Report::Answer { .. }
        | Report::Listeners { .. }
        | Report::StaleEpoch { .. }
        | Report::Listener { .. }
        | Report::Said { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{State, Transition};

    #[test]
    fn a_restart_is_told() {
        let mut draining = BTreeMap::new();
        let key = Key::new("a", "a");
        let mut told = |report: Report| words(&mut draining, &key, &report);
        let drain = |in_flight, drained, took_ms| Report::Drain {
            in_flight,
            drained,
            took_ms,
        };
        let happened = |from, to, exit| Report::Happened {
            transition: Transition {
                from,
                to,
                exit,
                pid: 2203,
                took_ms: 1400,
                ..Transition::default()
            },
        };
        assert_eq!(
            told(drain(3, false, 0)).as_deref(),
            Some("draining 3 requests")
        );
        assert_eq!(told(drain(3, false, 0)), None);
        assert_eq!(
            told(drain(1, false, 0)).as_deref(),
            Some("draining 1 request")
        );
        assert_eq!(
            told(drain(0, true, 212)).as_deref(),
            Some("drained in 0.2 s")
        );
        assert_eq!(
            told(happened(State::Stopping, State::Stopped, Some(0))).as_deref(),
            Some("stopped (exit 0)")
        );
        assert_eq!(told(happened(State::Stopped, State::Starting, None)), None);
        assert_eq!(
            told(happened(State::Starting, State::Running, None)).as_deref(),
            Some("ready in 1.4 s, pid 2203")
        );
        assert_eq!(told(drain(0, true, 0)), None);
    }
}
