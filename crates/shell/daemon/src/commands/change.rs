//! The configuration read again: candidate, comparison, merge.

use std::collections::{BTreeMap, BTreeSet};

use finding::{Finding, Report, Severity, WIDTH_COLUMNS_MAX};
use ledger::Filter;

use crate::guard;
use crate::left::{self, LeftOut};
use crate::machine::{Machine, environment, for_command};
use crate::model::{Active, Slot};
use crate::options::Source;
use crate::resolve::{Context, Resolved, resolve, stamp};
use crate::state::Shared;

/// A configuration that could become active.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// What it comes to.
    pub(crate) resolved: Resolved,
    /// Everything found: by the reader, the guard, while resolving.
    pub(crate) report: Report,
    /// Errors for which nothing may be changed: what they concern runs, or it is not known what they concern.
    pub(crate) refusing: Vec<Finding>,
}

impl Candidate {
    /// Findings for people, one text each line.
    pub(super) fn findings(&self) -> Vec<String> {
        self.report
            .findings()
            .iter()
            // What is no reason to do anything was said at the start, and `check` says it again.
            .filter(|finding| finding.severity != Severity::Note)
            .map(|finding| finding::render_finding(finding, WIDTH_COLUMNS_MAX))
            .collect()
    }
}

/// Reads the file (or makes one of the command).
pub(crate) fn load(daemon: &Shared, base_env: &BTreeMap<String, String>) -> conf::Loaded {
    let mut loaded = read(daemon, base_env);
    let own = &mut loaded.model.supervisord;
    crate::overrides::apply(own, &daemon.settings, daemon.detached);
    loaded
}

fn read(daemon: &Shared, base_env: &BTreeMap<String, String>) -> conf::Loaded {
    match &daemon.source {
        Source::File(path) => {
            let load = match daemon.as_supervisord {
                true => conf::load_as_supervisor,
                false => conf::load,
            };
            let path = path.display().to_string();
            load(&path, &Machine::default(), &environment(base_env))
        }
        Source::Command(argv) => {
            let run_dir = daemon.run_dir.path().display().to_string();
            let (path, text) = for_command(argv, &run_dir, base_env);
            conf::load(
                &path,
                &Machine {
                    memory: Some((path.clone(), text)),
                },
                &environment(base_env),
            )
        }
    }
}

/// Hash of the files as they are on disk now; None for a command, or if they cannot be read.
pub(super) fn stamp_on_disk(daemon: &Shared) -> Option<String> {
    let base_env = daemon.state.borrow().active.base_env.clone();
    let loaded = match &daemon.source {
        Source::File(_) => load(daemon, &base_env),
        Source::Command(_) => return None,
    };
    (!loaded.unreadable).then(|| stamp(&loaded))
}

/// What a configuration comes to, with everything that is wrong with it. Programs that the guard refuses are left out.
pub(crate) fn candidate(
    daemon: &Shared,
    loaded: &conf::Loaded,
    before: &Active,
    dry: bool,
) -> Candidate {
    let strictness = guard::strictness(&loaded.model, daemon.dev, daemon.as_supervisord);
    let ran = |program: &conf::Program| {
        before.slots.iter().any(|slot| slot.program == program.name) || has_history(daemon, program)
    };
    let guarded = guard::findings(&loaded.model, &before.base_env, strictness, &ran);
    let mut model = loaded.model.clone();
    let refused: Vec<&str> = guarded
        .iter()
        .filter(|found| found.finding.is_error())
        .map(|found| found.program.as_str())
        .collect();
    model
        .programs
        .retain(|program| !refused.contains(&program.name.as_str()));
    let in_use = crate::in_use::known(daemon, before);
    let context = Context {
        before,
        in_use: in_use.as_ref(),
        base_env: &before.base_env,
        run_dir: daemon.run_dir.path(),
        state_dir: &daemon.state_dir,
        dry,
    };
    let mut resolved = resolve(&model, &context);
    resolved.active.stamp = stamp(loaded);
    let mut findings: Vec<Finding> = loaded.findings.clone();
    let mut alone: Vec<(String, Finding)> = std::mem::take(&mut resolved.left_out);
    alone.extend(
        guarded
            .iter()
            .filter(|found| found.finding.is_error())
            .map(|found| (found.program.clone(), found.finding.clone())),
    );
    findings.extend(guarded.into_iter().map(|found| found.finding));
    findings.extend(resolved.findings.drain(..).map(no_reason_to_refuse));
    findings.dedup();
    // A program that is new is refused alone, as at a first start; one that runs would be taken away by its error.
    let runs = |name: &str| before.programs().any(|slot| slot.program == name);
    let harmless: Vec<&Finding> = alone
        .iter()
        .filter(|(name, _)| !runs(name))
        .map(|(_, finding)| finding)
        .collect();
    let errors = findings.iter().filter(|found| found.is_error());
    let refusing = errors
        .filter(|found| !harmless.contains(found))
        .cloned()
        .collect();
    let known = alone
        .iter()
        .map(|(name, finding)| LeftOut::of(name, finding))
        .collect();
    let present = resolved.active.programs();
    let mut present: BTreeSet<&str> = present.map(|slot| slot.program.as_str()).collect();
    present.extend(model.gateways.iter().map(|gateway| gateway.name.as_str()));
    let left_out = left::all(known, &findings, &loaded.tree, &present);
    resolved.active.left_out = left_out;
    Candidate {
        resolved,
        report: Report::new(findings),
        refusing,
    }
}

/// What `check` calls an error although nothing was left out for it (two programs on one port, an overlap that becomes a
/// hold) is no reason to refuse the rest: Supervisor would run it too.
fn no_reason_to_refuse(mut found: Finding) -> Finding {
    if matches!(found.code.as_str(), "conflict" | "replace") {
        found.severity = found.severity.max(Severity::Warning);
    }
    found
}

/// The ledger knows the program: it ran before, so it is only warned about.
fn has_history(daemon: &Shared, program: &conf::Program) -> bool {
    let state = daemon.state.borrow();
    let Some(ledger) = &state.ledger else {
        return false;
    };
    program.processes.iter().any(|process| {
        let label = wire::spec::label(&program.group, &process.name);
        let entries = ledger.read(&Filter::last(1).of(&label));
        entries.is_ok_and(|entries| !entries.is_empty())
    })
}

/// The model of a first start: everything of the candidate, up where `autostart` says so.
pub(crate) fn first_start(candidate: &Candidate) -> Active {
    candidate.resolved.active.clone()
}

/// Which groups of a candidate become active.
#[derive(Debug, Clone, Copy)]
pub(super) enum Selected<'a> {
    /// All.
    All,
    /// These.
    Only(&'a [String]),
}

impl Selected<'_> {
    fn has(&self, group: &str) -> bool {
        match self {
            Selected::All => true,
            Selected::Only(groups) => groups.iter().any(|name| name == group),
        }
    }
}

/// How a merge treats what is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Merge<'a> {
    /// Groups.
    pub(super) selected: Selected<'a>,
    /// Everything starts as at a first start (Supervisor's reload).
    pub(super) anew: bool,
    /// Now, wall clock.
    pub(super) now_ms: u64,
}

/// The model in force with the selected groups of the candidate in it. Slots that are gone stay, out of service, until
/// their restart window is over.
pub(super) fn merge(active: &Active, candidate: &Active, how: Merge<'_>) -> Active {
    let mut merged = active.clone();
    merged.gateway = candidate.gateway.clone();
    merged.next_slot = merged.next_slot.max(candidate.next_slot);
    if matches!(how.selected, Selected::All) {
        merged.stamp = candidate.stamp.clone();
        merged.left_out = candidate.left_out.clone();
        merged.settings.steadfast = candidate.settings.steadfast;
    }
    for slot in merged
        .slots
        .iter_mut()
        .filter(|slot| !slot.first && how.selected.has(&slot.group))
    {
        if candidate.slot(&slot.key()).is_none() {
            take_out(slot, how.now_ms);
        }
    }
    for new in candidate
        .slots
        .iter()
        .filter(|slot| !slot.first && how.selected.has(&slot.group))
    {
        let key = new.key();
        let Some(old) = merged.slot_mut(&key) else {
            merged.slots.push(new.clone());
            continue;
        };
        let changed = old.definition() != new.definition();
        let up = match (how.anew || !old.in_service(), changed) {
            (true, _) => new.autostart,
            (false, true) => old.up || new.autostart,
            (false, false) => old.up,
        };
        *old = Slot {
            up,
            number: old.number,
            ..new.clone()
        };
    }
    merged
}

/// Takes a slot out of service; it vanishes after its restart window.
pub(super) fn take_out(slot: &mut Slot, now_ms: u64) {
    slot.up = false;
    if slot.in_service() {
        slot.removed_until_ms = now_ms.saturating_add(slot.spec.restart_window_ms).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(name: &str, hash: &str, up: bool) -> Slot {
        let mut slot = Slot {
            group: name.into(),
            process: name.into(),
            up,
            ..Slot::default()
        };
        slot.spec.hash = hash.into();
        slot.spec.restart_window_ms = 5000;
        slot.autostart = true;
        slot
    }

    fn model(slots: Vec<Slot>) -> Active {
        Active {
            slots,
            ..Active::default()
        }
    }

    fn check(
        active: Vec<Slot>,
        candidate: Vec<Slot>,
        selected: Selected<'_>,
        anew: bool,
    ) -> Vec<String> {
        let merged = merge(
            &model(active),
            &model(candidate),
            Merge {
                selected,
                anew,
                now_ms: 100,
            },
        );
        let line = |slot: &Slot| {
            let up = if slot.up { "up" } else { "down" };
            let gone = if slot.in_service() {
                String::new()
            } else {
                format!(" until {}", slot.removed_until_ms)
            };
            format!("{} {} {up}{gone}", slot.process, slot.spec.hash)
        };
        merged.slots.iter().map(line).collect()
    }

    #[test]
    fn an_update_keeps_what_an_operator_stopped_and_starts_what_changed() {
        let active = vec![
            slot("same", "1", false),
            slot("changed", "1", false),
            slot("gone", "1", true),
        ];
        let candidate = vec![
            slot("same", "1", true),
            slot("changed", "2", true),
            slot("new", "1", true),
        ];
        assert_eq!(
            check(active, candidate, Selected::All, false),
            [
                "same 1 down",
                "changed 2 up",
                "gone 1 down until 5100",
                "new 1 up"
            ]
        );
    }

    #[test]
    fn groups_that_are_not_selected_stay() {
        let active = vec![slot("a", "1", true), slot("b", "1", true)];
        let candidate = vec![slot("a", "2", true)];
        let only = ["a".to_owned()];
        assert_eq!(
            check(active, candidate, Selected::Only(&only), false),
            ["a 2 up", "b 1 up"]
        );
    }

    #[test]
    fn what_was_removed_is_revived_in_its_place() {
        let mut gone = slot("a", "1", false);
        gone.removed_until_ms = 90;
        gone.number = 7;
        let merged = merge(
            &model(vec![gone]),
            &model(vec![slot("a", "2", true)]),
            Merge {
                selected: Selected::All,
                anew: false,
                now_ms: 100,
            },
        );
        assert_eq!(
            (
                merged.slots[0].number,
                merged.slots[0].up,
                merged.slots[0].in_service()
            ),
            (7, true, true)
        );
    }

    #[test]
    fn a_reload_starts_everything_anew() {
        let active = vec![slot("a", "1", false)];
        assert_eq!(
            check(active, vec![slot("a", "1", true)], Selected::All, true),
            ["a 1 up"]
        );
    }
}
