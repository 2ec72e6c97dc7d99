//! `[eventlistener:x]`: a pool of processes that hear of events.

use std::collections::{BTreeMap, BTreeSet};

use finding::Finding;

use super::group::{Made, name_of};
use super::program::{self, Place};
use super::{Keys, Reader, here_vars};
use crate::expand::{EnvMap, Vars};
use crate::ini::Section;
use crate::model::{Listen, Pool, ProgramKind, Replace, Spanned};
use crate::suggest::did_you_mean;
use crate::values::{self, shown};

/// The only judge of results that is not Python code.
const RESULT_HANDLER: &str = "supervisor.dispatchers:default_handler";
/// Listeners start first and stop last.
const PRIORITY: i64 = -1;
/// Events that wait.
const BUFFER_SIZE: u32 = 10;

/// Reads a pool; its group has its name.
pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &Section,
    own: &str,
    env: &EnvMap,
    common: &BTreeMap<String, String>,
) -> Option<Made> {
    let name = name_of(reader, section, own)?;
    let few = here_vars(reader, env);
    let mut keys = Keys::new(reader, section);
    let priority = keys
        .value("priority", PRIORITY, &few, values::integer)
        .value;
    let pool = pool(&mut keys, &few);
    let redirected = keys.value("redirect_stderr", false, &few, values::boolean);
    if redirected.value {
        let message = format!("[{}] sets redirect_stderr = true", section.name);
        let finding = Finding::error("conf.listener-stderr", message)
            .at(redirected.span)
            .effect("what the listener writes to stderr would break the conversation on its stdout")
            .fix("write: redirect_stderr = false");
        keys.reader.findings.push(finding);
        keys.failed = true;
    }
    let failed = keys.failed;
    let place = Place {
        section,
        name: &name,
        group: &name,
        grouped: true,
        env,
        common,
    };
    let mut program = program::read(reader, &place)?;
    if failed {
        return None;
    }
    program.kind = ProgramKind::EventListener(pool?);
    program.listen = Spanned::default_of(Listen::Own);
    program.replace = Spanned::default_of(Replace::Hold);
    Some(Made::of_one(section, program, priority))
}

fn pool(keys: &mut Keys<'_, '_>, vars: &Vars<'_>) -> Option<Pool> {
    let buffer_size = keys.value(
        "buffer_size",
        BUFFER_SIZE,
        vars,
        |text| match values::integer(text)? {
            number if number < 1 => Err(format!("{} is less than 1", shown(text))),
            number => u32::try_from(number).map_err(|_| format!("{} is out of range", shown(text))),
        },
    );
    if let Some((text, span)) = keys.text("result_handler", vars)
        && text.as_str() != RESULT_HANDLER
    {
        let message = format!(
            "[{}]: result_handler = {} is Python code, and Steadfast runs none",
            keys.section.name,
            shown(text.as_str())
        );
        let finding = Finding::error("conf.result-handler", message)
            .at(span)
            .effect("the listener is left out: who knows what its results mean?")
            .hint(format!("without this line, or with {RESULT_HANDLER}, `OK` means that an event was processed"));
        keys.reader.findings.push(finding);
        keys.failed = true;
    }
    let events = names(keys, vars);
    Some(Pool {
        buffer_size,
        events: events?,
    })
}

/// `events` and `steadfast_events`.
fn names(keys: &mut Keys<'_, '_>, vars: &Vars<'_>) -> Option<Spanned<Vec<String>>> {
    let section = keys.section.name.clone();
    let mut all = BTreeSet::new();
    let mut first = None;
    for key in ["events", "steadfast_events"] {
        let Some((text, span)) = keys.text(key, vars) else {
            continue;
        };
        if text.as_str().is_empty() {
            continue;
        }
        for (name, at) in super::ours::comma_items(keys, key, &text, &span) {
            let name = name.to_uppercase();
            if events::Kinds::of(&name).is_none() {
                let mut message = format!("[{section}]: there is no event of the type `{name}`");
                if let Some(near) = did_you_mean(&name, events::Kinds::words()) {
                    message.push_str(&format!("; did you mean {near}?"));
                }
                keys.error("conf.event", message, at);
                continue;
            }
            if key == "events" && name == events::Kind::Replaced.name() {
                let message = format!(
                    "{name} in `events` of [{section}] is an event of ours, which the real supervisord refuses"
                );
                let finding = Finding::warning("conf.event-ours", message)
                    .at(at)
                    .fix(format!("write: steadfast_events = {name}"));
                keys.reader.findings.push(finding);
            }
            all.insert(name);
        }
        first.get_or_insert(span);
    }
    if first.is_none() {
        if !keys.failed {
            let finding = Finding::error(
                "conf.missing-key",
                format!("[{section}] has no `events`"),
            )
            .at(keys.section.header.clone())
            .fix("write: events = the types that it wants, such as PROCESS_STATE_EXITED, TICK_60");
            keys.reader.findings.push(finding);
            keys.failed = true;
        }
        return None;
    }
    Some(Spanned {
        value: all.into_iter().collect(),
        span: first,
    })
}
