//! Two programs on one port: the second cannot start.

use std::collections::BTreeMap;

use finding::Finding;

use super::handover;

/// Says who has a port already.
pub(super) fn conflicts(
    model: &conf::Model,
    env: &BTreeMap<String, String>,
    findings: &mut Vec<Finding>,
) {
    let mut taken: BTreeMap<String, (&conf::Program, &conf::ProcessDef)> = BTreeMap::new();
    for program in &model.programs {
        for process in &program.processes {
            let mut all = env.clone();
            all.extend(process.environment.clone());
            let server = servers::read(&process.command.argv(), &all);
            let shared = *program.listen != conf::Listen::Own;
            for at in handover::public(&server, process).unwrap_or_default() {
                let Some((other, earlier)) = taken.get(&at) else {
                    taken.insert(at, (program, process));
                    continue;
                };
                let same = other.name == program.name;
                if same && (shared || other.group != program.group) {
                    continue;
                }
                let message = format!(
                    "{} and {} both listen on {at}",
                    wire::spec::label(&other.group, &earlier.name),
                    wire::spec::label(&program.group, &process.name)
                );
                let mut finding = Finding::error("conflict", message).at(process.command.span());
                if let Some(span) = earlier.command.span().filter(|_| !same) {
                    finding = finding.related("the other one", span);
                }
                findings.push(
                    finding
                        .effect("whichever starts second fails")
                        .fix("give one of them another port"),
                );
            }
        }
    }
}
