//! What differs between two models: Supervisor's three lists of groups, and words for people.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Active, Slot};

/// Groups by what happened to them (supervisord.py `diff_to_active`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GroupChanges {
    /// New.
    pub(crate) added: Vec<String>,
    /// Different.
    pub(crate) changed: Vec<String>,
    /// Gone.
    pub(crate) removed: Vec<String>,
}

/// Compares the groups of a candidate with those in force.
pub(crate) fn group_changes(active: &Active, candidate: &Active) -> GroupChanges {
    let (now, then) = (candidate.groups(), active.groups());
    let differs = |group: &String| {
        let definitions = |model: &Active| -> BTreeSet<String> {
            let members = model.programs().filter(|slot| slot.group == *group);
            members
                .map(|slot| format!("{} {:?}", slot.process, slot.definition()))
                .collect()
        };
        definitions(active) != definitions(candidate)
    };
    GroupChanges {
        added: now
            .iter()
            .filter(|group| !then.contains(group))
            .cloned()
            .collect(),
        changed: now
            .iter()
            .filter(|group| then.contains(group) && differs(group))
            .cloned()
            .collect(),
        removed: then
            .iter()
            .filter(|group| !now.contains(group))
            .cloned()
            .collect(),
    }
}

/// What differs between two definitions of one slot, one part each: `command a -> b`, `environment +LOG_LEVEL`,
/// `env_file: +DEBUG -OLD ~CHANGED`. No values of variables, nothing that looks secret.
pub(crate) fn difference(before: &Slot, after: &Slot) -> Vec<String> {
    let (before_parts, after_parts) = (parts(before), parts(after));
    let names: BTreeSet<&String> = before_parts.keys().chain(after_parts.keys()).collect();
    let mut words = Vec::new();
    let mut in_file: Vec<String> = Vec::new();
    for name in names {
        let (old, new) = (before_parts.get(name), after_parts.get(name));
        if old == new {
            continue;
        }
        let variable = name.strip_prefix("environment ");
        if let Some(variable) = name.strip_prefix("env_file ") {
            in_file.push(match (old, new) {
                (None, _) => format!("+{variable}"),
                (_, None) => format!("-{variable}"),
                (Some(_), Some(_)) => format!("~{variable}"),
            });
            continue;
        }
        if let Some(key) = name.strip_prefix("hidden ") {
            words.push(format!("{key} changed"));
            continue;
        }
        let text = match (variable, old, new) {
            (Some(variable), None, _) => format!("environment +{variable}"),
            (Some(variable), _, None) => format!("environment -{variable}"),
            (Some(variable), Some(_), Some(_)) => format!("environment {variable} changed"),
            (None, old, new) => {
                let shown = |value: Option<&String>| match value.map(String::as_str) {
                    None | Some("") => "(none)".to_owned(),
                    Some(value) => finding::mask_line(value).to_string(),
                };
                format!("{name} {} -> {}", shown(old), shown(new))
            }
        };
        words.push(text);
    }
    if !in_file.is_empty() {
        words.push(format!("env_file: {}", in_file.join(" ")));
    }
    if words.is_empty() && before.definition() != after.definition() {
        words.push("its definition".to_owned());
    }
    words
}

fn parts(slot: &Slot) -> BTreeMap<String, String> {
    serde_json::from_str(&slot.parts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(group: &str, hash: &str, parts: &[(&str, &str)]) -> Slot {
        let mut slot = Slot {
            group: group.into(),
            process: group.into(),
            ..Slot::default()
        };
        slot.spec.hash = hash.into();
        let parts: BTreeMap<&str, &str> = parts.iter().copied().collect();
        slot.parts = serde_json::to_string(&parts).expect("strings");
        slot
    }

    #[test]
    fn groups_are_added_changed_removed() {
        let active = Active {
            slots: vec![
                slot("a", "1", &[]),
                slot("b", "1", &[]),
                slot("c", "1", &[]),
            ],
            ..Active::default()
        };
        let candidate = Active {
            slots: vec![
                slot("a", "1", &[]),
                slot("b", "2", &[]),
                slot("d", "1", &[]),
            ],
            ..Active::default()
        };
        let changes = group_changes(&active, &candidate);
        assert_eq!(
            (changes.added, changes.changed, changes.removed),
            (vec!["d".into()], vec!["b".into()], vec!["c".into()])
        );
    }

    #[test]
    fn a_removed_group_can_be_added_again() {
        let mut gone = slot("a", "1", &[]);
        gone.removed_until_ms = 1;
        let active = Active {
            slots: vec![gone],
            ..Active::default()
        };
        let candidate = Active {
            slots: vec![slot("a", "1", &[])],
            ..Active::default()
        };
        assert_eq!(group_changes(&active, &candidate).added, ["a"]);
    }

    #[test]
    fn words_name_variables_without_values() {
        let before = slot(
            "a",
            "1",
            &[
                ("command", "x --a"),
                ("environment KEY", "h1"),
                ("environment OLD", "h"),
                ("env_file TOKEN", "h1"),
            ],
        );
        let after = slot(
            "a",
            "2",
            &[
                ("command", "x --b"),
                ("environment KEY", "h2"),
                ("environment NEW", "h"),
                ("env_file DEBUG", "h"),
                ("env_file TOKEN", "h2"),
                ("hidden notify", "h"),
                ("ready", "tcp"),
            ],
        );
        assert_eq!(
            difference(&before, &after),
            [
                "command x --a -> x --b",
                "environment KEY changed",
                "environment +NEW",
                "environment -OLD",
                "notify changed",
                "ready (none) -> tcp",
                "env_file: +DEBUG ~TOKEN"
            ]
        );
        assert_eq!(
            difference(&slot("a", "1", &[]), &slot("a", "2", &[])),
            ["its definition"]
        );
    }
}
