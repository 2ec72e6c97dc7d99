//! Which processes a command means.
//!
//! Supervisor's names first (`group:process`, `group:*`, `group:`, `all`, a name for a process of a group of the same
//! name). Beyond that a person may give the name of a program for all its processes, of a group for all of it, or of a
//! process that only one group has; Supervisor refuses those, so nothing that it accepts changes its meaning.

use plan::Key;

/// A slot as names see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its name.
    pub(crate) key: Key,
    /// Its program.
    pub(crate) program: String,
    /// Ours: meant only when it is named in full.
    pub(crate) hidden: bool,
}

/// The slots that `names` mean, each once, in the order of the names and then of `known`; and the names that mean
/// nothing. No name at all means all.
pub(crate) fn resolve(known: &[Known], names: &[String]) -> (Vec<Key>, Vec<String>) {
    let mut keys: Vec<Key> = Vec::new();
    let mut bad = Vec::new();
    let all = ["all".to_owned()];
    let names = if names.is_empty() { &all[..] } else { names };
    for name in names {
        let meant = one(known, name);
        if meant.is_empty() && name != "all" {
            bad.push(name.clone());
        }
        for key in meant {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    (keys, bad)
}

fn one(known: &[Known], name: &str) -> Vec<Key> {
    let pick = |wanted: &dyn Fn(&Known) -> bool| -> Vec<Key> {
        known
            .iter()
            .filter(|slot| wanted(slot))
            .map(|slot| slot.key.clone())
            .collect()
    };
    if name == "all" {
        return pick(&|slot| !slot.hidden);
    }
    if let Some((group, process)) = name.split_once(':') {
        return match process {
            "" | "*" => pick(&|slot| slot.key.group == group),
            process => pick(&|slot| slot.key.group == group && slot.key.process == process),
        };
    }
    let exact = pick(&|slot| slot.key.group == name && slot.key.process == name);
    if !exact.is_empty() {
        return exact;
    }
    let program = pick(&|slot| slot.program == name && !slot.hidden);
    if !program.is_empty() {
        return program;
    }
    let group = pick(&|slot| slot.key.group == name && !slot.hidden);
    if !group.is_empty() {
        return group;
    }
    let process = pick(&|slot| slot.key.process == name && !slot.hidden);
    if process.len() == 1 {
        process
    } else {
        Vec::new()
    }
}

/// The name that was probably meant.
pub(crate) fn suggest(known: &[Known], name: &str) -> Option<String> {
    let labels = known
        .iter()
        .filter(|slot| !slot.hidden)
        .flat_map(|slot| [slot.key.to_string(), slot.program.clone()]);
    let mut best: Option<(usize, String)> = None;
    for label in labels {
        let distance = distance(name, &label);
        if distance <= 2 && best.as_ref().is_none_or(|(least, _)| distance < *least) {
            best = Some((distance, label));
        }
    }
    best.map(|(_, label)| label)
}

/// Letters to change, add or take away.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = changed.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Known> {
        [
            ("backend", "backend", "backend", false),
            ("work", "w_0", "w", false),
            ("work", "w_1", "w", false),
            ("work", "beat", "beat", false),
            ("steadfast", "gateway", "steadfast:gateway", true),
        ]
        .map(|(group, process, program, hidden)| Known {
            key: Key::new(group, process),
            program: program.into(),
            hidden,
        })
        .to_vec()
    }

    fn check(names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let (keys, bad) = resolve(&known(), &names);
        let keys: Vec<String> = keys.iter().map(Key::to_string).collect();
        if bad.is_empty() {
            keys.join(" ")
        } else {
            format!("{} bad {}", keys.join(" "), bad.join(" "))
        }
    }

    #[test]
    fn supervisors_names() {
        assert_eq!(check(&["backend"]), "backend");
        assert_eq!(check(&["work:w_1"]), "work:w_1");
        assert_eq!(check(&["work:*"]), "work:w_0 work:w_1 work:beat");
        assert_eq!(check(&["work:"]), "work:w_0 work:w_1 work:beat");
        assert_eq!(check(&["all"]), "backend work:w_0 work:w_1 work:beat");
        assert_eq!(check(&[]), "backend work:w_0 work:w_1 work:beat");
        assert_eq!(
            check(&["backend", "all", "backend"]),
            "backend work:w_0 work:w_1 work:beat"
        );
    }

    #[test]
    fn shorter_names_for_people() {
        assert_eq!(check(&["w"]), "work:w_0 work:w_1");
        assert_eq!(check(&["work"]), "work:w_0 work:w_1 work:beat");
        assert_eq!(check(&["w_1"]), "work:w_1");
    }

    #[test]
    fn ours_only_in_full_and_unknown_ones_are_named() {
        assert_eq!(check(&["steadfast:gateway"]), "steadfast:gateway");
        assert_eq!(check(&["gateway"]), " bad gateway");
        assert_eq!(
            check(&["nope", "backend", "work:x"]),
            "backend bad nope work:x"
        );
        assert_eq!(suggest(&known(), "bakend").as_deref(), Some("backend"));
        assert_eq!(suggest(&known(), "quite-another"), None);
    }
}
