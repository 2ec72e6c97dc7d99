//! SF4xx: health. One answer was asked for; these say what it means.

use crate::model::Hit;
use crate::scene::http::{Answer, Health};
use crate::scene::shown::Pings;
use crate::scene::{Scene, Subject};
use crate::time::{date, duration};

/// A health endpoint that needs longer checks more than health.
const SLOW_MS: u64 = 1_000;

/// Words of a body that contradict a 200.
const BAD_WORDS: &[&str] = &[
    "\"unhealthy\"",
    "\"down\"",
    "\"error\"",
    "\"fail\"",
    "\"failed\"",
    "\"degraded\"",
    "\"critical\"",
    "\"healthy\":false",
    "\"ok\":false",
    "\"healthy\": false",
    "\"ok\": false",
];

/// Whatever renews certificates does so well before (Let's Encrypt's at a third of their life).
const CERTIFICATE_LEFT_S_MAX: u64 = 14 * 86_400;

fn answered(subject: &Subject) -> Option<(&Health, &Answer)> {
    let health = subject.health.as_ref()?;
    Some((health, health.answer.as_ref().ok()?))
}

pub(crate) fn missing(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let serves = subject.serves() && subject.main_layer().is_some();
    let named = subject.program.as_ref().is_some_and(|p| p.ready.is_some());
    let asked = subject.logs.iter().any(|log| log.pings > 0);
    let there = answered(subject).is_some_and(|(_, a)| a.status != 404)
        || subject.health.as_ref().is_some_and(|h| h.answer.is_err());
    if !serves || named || asked || there {
        return Vec::new();
    }
    let hit = Hit::likely(match (subject.processes.is_empty(), subject.was_asked) {
        (true, _) => "none is configured",
        (false, true) => "none was found at the usual paths",
        (false, false) => "none is configured, and it was not seen where to ask",
    });
    vec![hit.at(subject.span())]
}

fn on_answer(subject: &Subject, judge: impl Fn(&Answer) -> Option<String>) -> Vec<Hit> {
    let Some((health, answer)) = answered(subject) else {
        return Vec::new();
    };
    let found =
        judge(answer).map(|words| Hit::proved("").said(format!("GET {}: {words}", health.url)));
    found.into_iter().collect()
}

/// What several pings showed, if they were sent.
fn pings<'a>(scene: &'a Scene, subject: &Subject) -> Option<&'a Pings> {
    let mut all = scene.live.iter().flat_map(|live| &live.pings);
    all.find(|pings| pings.who.is(subject))
}

pub(crate) fn slow(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    if let Some(pings) = pings(scene, subject) {
        // Half of them: one slow answer happens to everyone.
        let slow = pings.median_us().is_some_and(|us| us >= SLOW_MS * 1_000);
        return match slow {
            true => vec![Hit::proved("").said(format!("{}: {}", pings.url, pings.words()))],
            false => Vec::new(),
        };
    }
    on_answer(subject, |a| {
        (a.took_ms >= SLOW_MS).then(|| {
            format!(
                "answered {} after {}.{} s",
                a.status,
                a.took_ms / 1000,
                a.took_ms % 1000 / 100
            )
        })
    })
}

pub(crate) fn lying(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    on_answer(subject, |a| {
        if !(200..300).contains(&a.status) {
            return None;
        }
        let body = a.body.to_ascii_lowercase();
        if a.is_page() {
            return Some(format!("{} with a page of HTML", a.status));
        }
        let word = BAD_WORDS.iter().find(|w| body.contains(**w))?;
        Some(format!("{}, and the body says {word}", a.status))
    })
}

pub(crate) fn redirecting(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    on_answer(subject, |a| {
        (300..400).contains(&a.status).then(|| {
            format!(
                "{} to {}",
                a.status,
                a.header("location").unwrap_or("nowhere")
            )
        })
    })
}

pub(crate) fn auth(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    on_answer(subject, |a| {
        [401, 403, 407]
            .contains(&a.status)
            .then(|| format!("{}", a.status))
    })
}

pub(crate) fn silent(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let Some(health) = &subject.health else {
        return Vec::new();
    };
    if let Some(pings) = pings(scene, subject).filter(|p| p.answered > 0 && p.answered < p.asked) {
        let why = pings.failure.clone().unwrap_or_default();
        let hit = Hit::proved("not always").said(format!("{}: {}", pings.url, pings.words()));
        return vec![hit.said(format!("the last that failed: {why}"))];
    }
    let why = match &health.answer {
        Ok(answer) if answer.status >= 500 => format!("{}", answer.status),
        Ok(_) => return Vec::new(),
        Err(why) => why.clone(),
    };
    // A server that was started a moment ago is still starting.
    let young = subject
        .processes
        .first()
        .is_some_and(|p| scene.now_unix_s.saturating_sub(p.start_unix_s) < 10);
    let hit = Hit::proved("").said(format!("GET {}: {why}", health.url));
    vec![if young {
        hit.weigh(finding::Severity::Note)
            .said("it was started less than 10 s ago")
    } else {
        hit
    }]
}

pub(crate) fn certificate(_scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let certificate = subject.certificate.as_ref();
    let refused = certificate.and_then(|c| Some((c, c.refused.as_ref()?)));
    let hit = refused.map(|(c, why)| Hit::proved("").said(format!("{}: {why}", c.at)));
    hit.into_iter().collect()
}

pub(crate) fn ends_soon(scene: &Scene, subject: &Subject) -> Vec<Hit> {
    let Some(seen) = subject.certificate.as_ref() else {
        return Vec::new();
    };
    let life = seen.until_unix_s.saturating_sub(seen.from_unix_s);
    let left = seen.until_unix_s.saturating_sub(scene.now_unix_s);
    let soon = left > 0 && left < (life / 10).min(CERTIFICATE_LEFT_S_MAX);
    let (at, until) = (&seen.at, date(seen.until_unix_s));
    let hit = soon
        .then(|| Hit::proved("").said(format!("{at}: it ends on {until}, in {}", duration(left))));
    hit.into_iter().collect()
}
