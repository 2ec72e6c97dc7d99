//! SARIF 2.1.0 (OASIS): what code scanners read.

use finding::Span;
use serde_json::{Value, json};

use super::words::clean;
use crate::judge::{Diagnosis, Judged};
use crate::model::Evidence;
use crate::rules;

/// `--sarif`.
pub(crate) fn sarif(judged: &Judged) -> String {
    let rules: Vec<Value> = rules::all()
        .map(|rule| {
            json!({
                "id": rule.code,
                "shortDescription": { "text": rule.title },
                "fullDescription": { "text": rule.what },
                "help": { "text": format!("{} {}", rule.why, rule.fix) },
                "defaultConfiguration": { "level": rule.severity.word() },
            })
        })
        .collect();
    let results: Vec<Value> = judged.diagnoses.iter().map(result).collect();
    let value = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "steadfast doctor", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{value}\n")
}

fn result(diagnosis: &Diagnosis) -> Value {
    let index = rules::all().position(|rule| rule.code == diagnosis.rule.code);
    let users = diagnosis
        .hit
        .effect
        .as_deref()
        .unwrap_or(diagnosis.rule.users);
    let places = diagnosis.hit.evidence.iter().filter_map(|e| match e {
        Evidence::Place(span) => Some(location(span)),
        Evidence::Said(_) => None,
    });
    json!({
        "ruleId": diagnosis.rule.code,
        "ruleIndex": index,
        "level": diagnosis.severity().word(),
        "message": { "text": format!("{}: {}", finding::escape(&diagnosis.title()), clean(users)) },
        "locations": places.collect::<Vec<_>>(),
    })
}

fn location(span: &Span) -> Value {
    let mut region = json!({ "startLine": span.line });
    if span.length > 0 {
        region["startColumn"] = span.column.into();
        region["endColumn"] = (span.column + span.length).into();
    }
    json!({ "physicalLocation": { "artifactLocation": { "uri": uri(&span.file) }, "region": region } })
}

/// A path as a URI reference: everything but unreserved characters and `/` in percent signs (RFC 3986 section 2).
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
