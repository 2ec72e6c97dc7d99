//! The report: for people, for machines, for code scanners. Everything that comes from outside is escaped and masked here.

mod sarif;
mod text;
mod words;

use finding::{Finding, Severity, Span};
use serde_json::{Value, json};

use crate::checklist::{Point, State};
use crate::judge::{Diagnosis, Judged, cause};
use crate::model::Evidence;
use crate::scene::Scene;
use crate::scene::shown::Live;

pub(crate) use sarif::sarif;
pub(crate) use text::text;
use words::{clean, fix_words};

/// `--json`: one envelope.
pub(crate) fn json(scene: &Scene, judged: &Judged, list: &[Point]) -> String {
    let count = |severity| {
        judged
            .diagnoses
            .iter()
            .filter(|d| d.severity() == severity)
            .count()
    };
    let all: Vec<_> = judged
        .diagnoses
        .iter()
        .map(|d| (d.subject, d.rule.code))
        .collect();
    let findings: Vec<Value> = judged
        .diagnoses
        .iter()
        .map(|d| one(d, cause(d, &all)))
        .collect();
    let points: Vec<Value> = list
        .iter()
        .map(|p| json!({ "name": p.name, "state": word(p.state), "evidence": clean(&p.evidence) }))
        .collect();
    let mut value = json!({
        "steadfast": 1,
        "kind": "doctor",
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "notes": count(Severity::Note),
        "findings": findings,
        "checklist": points,
        "since_fix": crate::before::pairs(scene).iter().map(|(was, is)| {
            let of = |w: &crate::before::Was| json!({ "pid": w.pid, "watches": w.watches, "argv": clean(&w.argv) });
            json!({ "program": clean(&was.program), "before": of(was), "now": of(is) })
        }).collect::<Vec<_>>(),
        "not_seen": scene.unseen.iter().map(|w| clean(w)).collect::<Vec<_>>(),
        "ignored": judged.ignored.iter().map(|(code, reason)| json!({ "code": code, "reason": clean(reason) })).collect::<Vec<_>>(),
    });
    let certificates = scene.subjects.iter().filter_map(|s| s.certificate.as_ref());
    let certificates: Vec<Value> = certificates
        .map(|c| {
            json!({
                "at": clean(&c.at), "from_unix_s": c.from_unix_s, "until_unix_s": c.until_unix_s,
                "accepted": c.refused.is_none(),
            })
        })
        .collect();
    if !certificates.is_empty() {
        value["certificates"] = certificates.into();
    }
    if let Some(live) = &scene.live {
        value["live"] = experiments(live);
    }
    format!("{value}\n")
}

/// What `--live` showed.
fn experiments(live: &Live) -> Value {
    let touched = live.tests.iter().map(|t| {
        json!({
            "program": clean(&t.who.name), "file": clean(&t.file.display().to_string()), "pid": t.pid,
            "start_unix_s": t.start_unix_s, "restarted": t.restarted, "up_before_s": t.up_before_s, "up_s": t.up_s,
        })
    });
    let pings = live.pings.iter().map(|p| {
        json!({
            "program": clean(&p.who.name), "url": clean(&p.url), "asked": p.asked, "answered": p.answered,
            "min_us": p.min_us(), "median_us": p.median_us(), "max_us": p.max_us(),
        })
    });
    let grown = live.growth.iter().map(|g| {
        json!({ "program": clean(&g.who.name), "pid": g.pid, "what": g.what, "values": g.values, "within_s": g.within_s })
    });
    let writes = live.writes.iter().map(|w| {
        json!({
            "program": clean(&w.who.name), "pid": w.pid, "command": clean(&w.command),
            "file": clean(&w.path.display().to_string()), "times": w.times,
        })
    });
    let restarts = live.restarts.iter().map(|r| {
        json!({
            "program": clean(&r.who.name), "command": clean(&r.command), "pid_before": r.pid_before,
            "pid_after": r.pid_after, "took_ms": r.took_ms, "token_is_valid": r.token_is_valid,
            "failure": r.failure.as_deref().map(clean),
        })
    });
    json!({
        "touched": touched.collect::<Vec<_>>(),
        "pings": pings.collect::<Vec<_>>(),
        "grown": grown.collect::<Vec<_>>(),
        "writes": writes.collect::<Vec<_>>(),
        "restarts": restarts.collect::<Vec<_>>(),
    })
}

fn word(state: State) -> &'static str {
    match state {
        State::Yes => "yes",
        State::No => "no",
        State::Unseen => "not seen",
    }
}

fn one(diagnosis: &Diagnosis, cause: Option<&str>) -> Value {
    let mut value = as_finding(diagnosis).to_json();
    let evidence: Vec<Value> = diagnosis.hit.evidence.iter().map(evidence).collect();
    if let Some(object) = value.as_object_mut() {
        object.insert("evidence".into(), evidence.into());
        if let Some(program) = &diagnosis.program {
            object.insert("program".into(), clean(program).into());
        }
        if let Some(command) = &diagnosis.command {
            object.insert("command".into(), command.as_str().into());
        }
        if let Some(cause) = cause {
            object.insert("follows".into(), cause.into());
        }
        object.insert("fixable".into(), diagnosis.hit.repair.is_some().into());
    }
    value
}

fn evidence(evidence: &Evidence) -> Value {
    match evidence {
        Evidence::Said(words) => json!({ "said": clean(words) }),
        Evidence::Place(span) => place(span),
    }
}

fn place(span: &Span) -> Value {
    json!({
        "file": finding::escape(&span.file),
        "line": span.line,
        "column": span.column,
        "length": span.length,
        "text": clean(&span.text),
    })
}

/// The diagnosis as the type that everything else in Steadfast reports with.
fn as_finding(diagnosis: &Diagnosis) -> Finding {
    let title = finding::escape(&diagnosis.title());
    let code = diagnosis.rule.code;
    let mut found = match diagnosis.severity() {
        Severity::Error => Finding::error(code, title),
        Severity::Warning => Finding::warning(code, title),
        Severity::Note => Finding::note(code, title),
    };
    found = found
        .certainty(diagnosis.hit.certainty)
        .at(diagnosis.span().cloned())
        .effect(
            diagnosis
                .hit
                .effect
                .as_deref()
                .unwrap_or(diagnosis.rule.users),
        );
    match fix_words(diagnosis) {
        Some(fix) => found.fix(fix),
        None => found,
    }
}
