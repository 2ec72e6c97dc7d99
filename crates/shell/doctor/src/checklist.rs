//! The deployment checklist of the story, at the end of each report: six points, ticked or not, each with its evidence.

use finding::Severity;

use crate::judge::Judged;
use crate::scene::shown::Live;
use crate::scene::{Scene, Source, Subject};
use crate::time::duration;

/// How a point stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Yes,
    No,
    /// It could not be seen.
    Unseen,
}

/// One point.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) name: &'static str,
    pub(crate) state: State,
    pub(crate) evidence: String,
}

/// The six points.
pub(crate) fn list(scene: &Scene, judged: &Judged) -> Vec<Point> {
    let live = scene.live.as_ref();
    vec![
        development(scene, judged),
        key(scene, judged),
        pings(scene, judged, live),
        uptime(scene, judged),
        changes(scene, judged, live),
        sessions(scene, judged, live),
    ]
}

fn codes<'a>(judged: &'a Judged, prefix: &'a str) -> impl Iterator<Item = &'static str> + 'a {
    judged
        .diagnoses
        .iter()
        .filter(move |d| d.rule.code.starts_with(prefix) && d.severity() <= Severity::Warning)
        .map(|d| d.rule.code)
}

fn named(codes: impl Iterator<Item = &'static str>) -> String {
    let mut all: Vec<&str> = codes.collect();
    all.dedup();
    all.join(", ")
}

/// Why a point is open.
fn nothing(scene: &Scene, words: &str) -> String {
    let is_address = |s: &Subject| s.source == Source::Address;
    match !scene.subjects.is_empty() && scene.subjects.iter().all(is_address) {
        true => "only its address is known".to_owned(),
        false => words.to_owned(),
    }
}

fn serves(scene: &Scene) -> bool {
    scene
        .subjects
        .iter()
        .any(|s| s.serves() || !s.layers.is_empty())
}

fn development(scene: &Scene, judged: &Judged) -> Point {
    let found = named(codes(judged, "SF1"));
    let (state, evidence) = match (found.is_empty(), serves(scene)) {
        (false, _) => (State::No, found),
        (true, true) => (
            State::Yes,
            format!(
                "{} program{} looked at",
                scene.subjects.len(),
                if scene.subjects.len() == 1 { "" } else { "s" }
            ),
        ),
        (true, false) => (State::Unseen, nothing(scene, "no program was found")),
    };
    Point {
        name: "no development mode",
        state,
        evidence,
    }
}

fn key(scene: &Scene, judged: &Judged) -> Point {
    let found = named(codes(judged, "SF2"));
    let keys: Vec<&str> = scene
        .subjects
        .iter()
        .flat_map(|s| &s.keys)
        .filter(|k| !k.values.is_empty())
        .map(|k| k.name.as_str())
        .collect();
    let (state, evidence) = match (found.is_empty(), keys.first()) {
        (false, _) => (State::No, found),
        (true, Some(name)) => (State::Yes, format!("{name} is set, strong and kept")),
        (true, None) => (State::Unseen, nothing(scene, "no signing key was seen")),
    };
    Point {
        name: "SECRET_KEY exists, strong, persistent",
        state,
        evidence,
    }
}

fn pings(scene: &Scene, judged: &Judged, live: Option<&Live>) -> Point {
    let logs = || scene.subjects.iter().flat_map(|s| &s.logs);
    let (all, ok) = logs().fold((0, 0), |(all, ok), log| {
        (all + log.pings, ok + log.pings_ok)
    });
    let asked = scene.subjects.iter().filter_map(|s| s.health.as_ref());
    let well: Vec<_> = asked
        .filter(|h| {
            h.answer
                .as_ref()
                .is_ok_and(|a| (200..300).contains(&a.status))
        })
        .collect();
    let bad = named(codes(judged, "SF40"));
    let measured = live.and_then(|l| l.pings.first());
    let (state, evidence) = match (bad.is_empty(), all, well.first()) {
        (false, _, _) => (State::No, bad),
        (true, _, _) if measured.is_some() => {
            measured.map_or((State::Unseen, String::new()), |p| {
                (
                    if p.answered == p.asked {
                        State::Yes
                    } else {
                        State::No
                    },
                    p.words(),
                )
            })
        }
        (true, 1.., _) if ok * 10 >= all * 9 => {
            (State::Yes, format!("{ok} of {all} in the logs answered"))
        }
        (true, 1.., _) => (
            State::No,
            format!("only {ok} of {all} in the logs answered"),
        ),
        (true, 0, Some(health)) => (State::Yes, format!("{} answers", health.url)),
        (true, 0, None) => (State::Unseen, "no ping was seen".to_owned()),
    };
    Point {
        name: "keep-alive pings answered",
        state,
        evidence,
    }
}

fn uptime(scene: &Scene, judged: &Judged) -> Point {
    let found = named(
        codes(judged, "SF5").filter(|c| ["SF501", "SF502", "SF506", "SF508", "SF515"].contains(c)),
    );
    let ages = scene
        .subjects
        .iter()
        .filter_map(|s| s.processes.first())
        .map(|p| scene.now_unix_s.saturating_sub(p.start_unix_s));
    let restarted = scene
        .subjects
        .iter()
        .any(|s| s.logs.iter().any(|l| !l.reloads.is_empty()))
        && codes(judged, "SF1").next().is_some();
    let (state, evidence) = match (found.is_empty() && !restarted, ages.min()) {
        (false, _) if found.is_empty() => (State::No, "files restarted it".to_owned()),
        (false, _) => (State::No, found),
        (true, Some(age)) => (State::Yes, format!("up for {}", duration(age))),
        (true, None) => (State::Unseen, nothing(scene, "nothing runs")),
    };
    Point {
        name: "uptime grows",
        state,
        evidence,
    }
}

fn changes(scene: &Scene, judged: &Judged, live: Option<&Live>) -> Point {
    let found = named(codes(judged, "SF").filter(|c| {
        [
            "SF101", "SF102", "SF104", "SF105", "SF106", "SF504", "SF505",
        ]
        .contains(c)
    }));
    let (state, evidence) = match live.filter(|l| !l.tests.is_empty()) {
        Some(live) if live.any_restarted() => (State::No, live.words()),
        Some(live) => (State::Yes, live.words()),
        None if !found.is_empty() => (State::No, found),
        None if scene.subjects.iter().any(|s| !s.processes.is_empty()) => (
            State::Yes,
            "nothing watches the code (--live proves it)".to_owned(),
        ),
        None => (State::Unseen, nothing(scene, "nothing runs")),
    };
    Point {
        name: "file changes do not restart",
        state,
        evidence,
    }
}

fn sessions(scene: &Scene, judged: &Judged, live: Option<&Live>) -> Point {
    let key = key(scene, judged);
    let restarts = changes(scene, judged, live).state == State::No;
    let tried = live.and_then(|l| l.restarts.iter().find(|r| r.token_is_valid.is_some()));
    if let Some(tried) = tried {
        let state = match tried.token_is_valid {
            Some(true) => State::Yes,
            Some(false) | None => State::No,
        };
        return Point {
            name: "sessions persist",
            state,
            evidence: tried.words(),
        };
    }
    let (state, evidence) = match (key.state, restarts) {
        (State::No, _) => (State::No, key.evidence),
        (State::Yes, true) => (
            State::No,
            "the key stays, and restarts break connections".to_owned(),
        ),
        (State::Yes, false) => (
            State::Yes,
            "the key stays, so sessions outlive a restart".to_owned(),
        ),
        (State::Unseen, _) => (State::Unseen, key.evidence),
    };
    Point {
        name: "sessions persist",
        state,
        evidence,
    }
}
