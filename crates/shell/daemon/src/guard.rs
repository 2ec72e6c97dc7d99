//! The guard: development flags in production, as findings with the words underlined.
//!
//! It refuses only what is about to run for the first time: a program that already ran is only warned about, since a
//! refusal must never be an outage.

use std::collections::BTreeMap;

use conf::{Model, ProcessDef};
use finding::{Finding, Span};
use servers::{Fix, Place, Weight};

/// How strict it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Development flags are errors.
    Refuse,
    /// They are warnings.
    Warn,
    /// Nobody looks.
    Off,
}

/// The strictness that a file and a way of starting ask for.
pub(crate) fn strictness(model: &Model, dev: bool, as_supervisord: bool) -> Strictness {
    let wanted = match &model.steadfast {
        None => Strictness::Warn,
        Some(ours) => match *ours.guard {
            conf::Guard::Refuse => Strictness::Refuse,
            conf::Guard::Warn => Strictness::Warn,
            conf::Guard::Off => Strictness::Off,
        },
    };
    match wanted {
        _ if dev => Strictness::Off,
        Strictness::Refuse if as_supervisord => Strictness::Warn,
        other => other,
    }
}

/// What was found for one program.
#[derive(Debug)]
pub(crate) struct Found {
    /// The program.
    pub(crate) program: String,
    /// The finding; an error if it is refused.
    pub(crate) finding: Finding,
}

/// Development flags of every program; `already_ran` tells those that are only warned about.
pub(crate) fn findings(
    model: &Model,
    base_env: &BTreeMap<String, String>,
    strictness: Strictness,
    already_ran: &dyn Fn(&conf::Program) -> bool,
) -> Vec<Found> {
    let mut found = Vec::new();
    if strictness == Strictness::Off {
        return found;
    }
    for program in &model.programs {
        let Some(process) = program.processes.first() else {
            continue;
        };
        let mut env = base_env.clone();
        env.extend(process.environment.clone());
        let server = servers::read(&process.command.argv(), &env);
        for flag in servers::guard(&server) {
            let refuse = strictness == Strictness::Refuse
                && flag.weight == Weight::Refuse
                && !already_ran(program);
            let message = match flag.weight {
                Weight::Refuse => format!("development server in production: {}", flag.what),
                Weight::Warn => format!("not made for production: {}", flag.what),
            };
            let make = if refuse {
                Finding::error
            } else {
                Finding::warning
            };
            let mut finding = make("guard", message)
                .at(span(process, &flag.places))
                .effect(flag.effect);
            finding = match &flag.fix {
                Fix::Command { line, .. } => finding.fix(format!("write: command = {}", line)),
                Fix::Unset { name } => finding.fix(format!("remove {name} from the environment")),
                Fix::Set { name, value } => {
                    finding.fix(format!("write: environment = {name}=\"{value}\""))
                }
                Fix::Advice(text) => finding.fix(*text),
            };
            if !refuse && flag.weight == Weight::Refuse {
                finding = finding
                    .hint("as long as it runs like this, restarts cannot be kept from users");
            }
            found.push(Found {
                program: program.name.clone(),
                finding,
            });
        }
    }
    found
}

/// The first of the places that stands in a file; several words next to each other are marked as one.
fn span(process: &ProcessDef, places: &[Place]) -> Option<Span> {
    let of = |place: &Place| match place {
        Place::Word(index) => process.command.span_of_word(*index),
        Place::Inside { word, start, end } => {
            let all = process.command.words().get(*word)?;
            // Quotes may stand before the inner command; the range is exact where there are none to be undone.
            let begin = all.range.start + usize::from(all.range.len() > all.value.len());
            process
                .command
                .span_of(begin + start..(begin + end).min(all.range.end))
        }
        Place::Env(_) => process.environment_span.clone(),
    };
    let spans: Vec<Span> = places.iter().filter_map(of).collect();
    let (first, last) = (spans.first()?, spans.last()?);
    let mut span = first.clone();
    if first.line == last.line && last.column >= first.column {
        span.length = last.column + last.length - first.column;
    }
    Some(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Machine, environment};

    fn check(text: &str, strictness: Strictness, ran: bool) -> Vec<Finding> {
        let path = "/tmp/supervisord.conf".to_owned();
        let env = BTreeMap::new();
        let loaded = conf::load(
            &path,
            &Machine {
                memory: Some((path.clone(), text.into())),
            },
            &environment(&env),
        );
        findings(&loaded.model, &env, strictness, &|_| ran)
            .into_iter()
            .map(|found| found.finding)
            .collect()
    }

    const RELOAD: &str = "[program:backend]\ncommand = uvicorn server:app --port 8001 --reload\n";

    #[test]
    fn the_flag_is_underlined_and_the_line_is_corrected() {
        let found = check(RELOAD, Strictness::Refuse, false);
        assert_eq!(found.len(), 1);
        let span = found[0].span.as_ref().expect("has a place");
        assert_eq!((span.line, span.column, span.length), (2, 42, 8));
        assert!(found[0].is_error());
        assert_eq!(
            found[0].fix.as_deref(),
            Some("write: command = uvicorn server:app --port 8001")
        );
    }

    #[test]
    fn what_already_ran_is_warned_about() {
        assert!(!check(RELOAD, Strictness::Refuse, true)[0].is_error());
        assert!(!check(RELOAD, Strictness::Warn, false)[0].is_error());
        assert!(check(RELOAD, Strictness::Off, false).is_empty());
        assert!(
            check(
                "[program:a]\ncommand = uvicorn server:app\n",
                Strictness::Refuse,
                false
            )
            .is_empty()
        );
    }

    #[test]
    fn without_our_section_it_only_warns() {
        let model = |text: &str| {
            let machine = Machine {
                memory: Some(("/tmp/x".into(), text.into())),
            };
            conf::load("/tmp/x", &machine, &environment(&BTreeMap::new())).model
        };
        assert_eq!(strictness(&model(RELOAD), false, false), Strictness::Warn);
        let ours = model(&format!("[steadfast]\n{RELOAD}"));
        assert_eq!(strictness(&ours, false, false), Strictness::Refuse);
        assert_eq!(strictness(&ours, false, true), Strictness::Warn);
        assert_eq!(strictness(&ours, true, false), Strictness::Off);
    }
}
