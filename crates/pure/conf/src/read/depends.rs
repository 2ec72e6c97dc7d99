//! `depends_on`: to whom it leads, and whether it leads in a circle.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use finding::Finding;

use super::Reader;
use crate::known::Kind;
use crate::model::{Model, Program, Spanned};
use crate::suggest::did_you_mean;

/// `depends_on` must name programs that exist and never lead back. Who depends on what was left out is left out.
pub(super) fn check(reader: &mut Reader<'_>, model: &mut Model) {
    let sections: BTreeSet<&str> = super::sections(reader.ini, Kind::Program)
        .map(|(_, own)| own.trim())
        .collect();
    let circle = in_a_circle(&model.programs);
    let mut wrong: Vec<String> = Vec::new();
    for program in &model.programs {
        let found = program.depends_on.iter().find_map(|wanted| {
            let name = wanted.value.as_str();
            let circular = circle.contains(&program.name) && circle.contains(name);
            let why = if circular {
                ", and the dependencies lead back to where they began: none could ever start"
                    .to_string()
            } else if sections.contains(name) {
                return None;
            } else {
                let near = did_you_mean(name, sections.iter().copied())
                    .map(|near| format!("; did you mean `{near}`?"));
                format!(", which is not a program{}", near.unwrap_or_default())
            };
            Some((wanted, why))
        });
        if let Some((wanted, why)) = found {
            dependency_error(reader, program, wanted, &why);
            wrong.push(program.name.clone());
        }
    }
    wrong.extend(without_an_error_of_their_own(
        reader, model, &sections, &wrong,
    ));
    let wrong: HashSet<String> = wrong.into_iter().collect();
    model
        .programs
        .retain(|program| !wrong.contains(&program.name));
}

/// Programs that depend, over however many others, on one that is left out.
fn without_an_error_of_their_own(
    reader: &mut Reader<'_>,
    model: &Model,
    sections: &BTreeSet<&str>,
    wrong: &[String],
) -> Vec<String> {
    let mut dependants: HashMap<&str, Vec<&Program>> = HashMap::new();
    for program in &model.programs {
        for wanted in &program.depends_on {
            dependants.entry(&wanted.value).or_default().push(program);
        }
    }
    let present: HashSet<&str> = model.programs.iter().map(|p| p.name.as_str()).collect();
    let mut known: HashSet<&str> = wrong.iter().map(String::as_str).collect();
    let mut next: Vec<&str> = wrong.iter().map(String::as_str).collect();
    next.extend(
        sections
            .iter()
            .copied()
            .filter(|name| !present.contains(name)),
    );
    let mut more = Vec::new();
    while let Some(left_out) = next.pop() {
        for program in dependants.get(left_out).into_iter().flatten() {
            if known.insert(&program.name) {
                let wanted = program
                    .depends_on
                    .iter()
                    .find(|wanted| wanted.value == left_out);
                if let Some(wanted) = wanted {
                    dependency_error(reader, program, wanted, ", which has an error");
                }
                more.push(program.name.clone());
                next.push(&program.name);
            }
        }
    }
    more
}

fn dependency_error(
    reader: &mut Reader<'_>,
    program: &Program,
    wanted: &Spanned<String>,
    why: &str,
) {
    let message = format!(
        "[program:{}] depends on {}{why}",
        program.name, wanted.value
    );
    let finding = Finding::error("conf.depends-on", message)
        .at(wanted.span.clone())
        .effect("the program is left out");
    reader.findings.push(finding);
}

/// Programs whose dependencies lead in a circle: what is left after taking away whoever depends on nobody that is left, and then
/// whoever nobody depends on that is left.
fn in_a_circle(programs: &[Program]) -> HashSet<String> {
    let mut on: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    for program in programs {
        on.entry(&program.name).or_default().extend(
            program
                .depends_on
                .iter()
                .map(|wanted| wanted.value.as_str()),
        );
    }
    let names: HashSet<&str> = on.keys().copied().collect();
    for wanted in on.values_mut() {
        wanted.retain(|name| names.contains(name));
    }
    let mut by: BTreeMap<&str, HashSet<&str>> =
        names.iter().map(|name| (*name, HashSet::new())).collect();
    for (name, wanted) in &on {
        for other in wanted {
            by.entry(other).or_default().insert(name);
        }
    }
    let mut left = names;
    peel(&mut left, &on, &by);
    peel(&mut left, &by, &on);
    left.into_iter().map(str::to_string).collect()
}

/// Takes away whoever has no edge out to another that is left, until everybody has one.
fn peel<'n>(
    left: &mut HashSet<&'n str>,
    out: &BTreeMap<&'n str, HashSet<&'n str>>,
    back: &BTreeMap<&'n str, HashSet<&'n str>>,
) {
    let mut degree: HashMap<&str, usize> = HashMap::new();
    for name in left.iter() {
        let edges = out.get(name).map_or(0, |others| {
            others.iter().filter(|other| left.contains(*other)).count()
        });
        degree.insert(name, edges);
    }
    let mut free: Vec<&str> = left
        .iter()
        .copied()
        .filter(|name| degree.get(name) == Some(&0))
        .collect();
    while let Some(name) = free.pop() {
        left.remove(name);
        for other in back
            .get(name)
            .into_iter()
            .flatten()
            .filter(|other| left.contains(*other))
        {
            if let Some(edges) = degree.get_mut(other) {
                *edges = edges.saturating_sub(1);
                if *edges == 0 {
                    free.push(other);
                }
            }
        }
    }
}
