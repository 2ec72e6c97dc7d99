//! The owner's own command: what applies a change under the supervisor that runs it.

use crate::rules::Apply;
use crate::scene::{Owner, Scene, Source, Subject};

/// The owner's own command.
pub(crate) fn command(scene: &Scene, subject: &Subject, apply: Apply) -> Option<String> {
    let word = match apply {
        Apply::Update => "update",
        Apply::Restart => "restart",
        Apply::Nothing => return None,
    };
    match subject.source {
        Source::Supervisor(_) => {
            let config = subject.config(scene)?;
            let program = subject.program.as_ref()?;
            let name = match apply {
                Apply::Update => program.group.clone(),
                Apply::Restart | Apply::Nothing
                    if program.group == program.name && program.processes.len() == 1 =>
                {
                    program.name.clone()
                }
                Apply::Restart | Apply::Nothing => format!("{}:*", program.group),
            };
            let start = if config.daemon.is_none() && config.told.is_empty() {
                return None;
            } else {
                &config.ctl
            };
            Some(format!("{start} {word} {}", servers::shell_line(&[name])))
        }
        Source::Systemd => Some(systemctl(&subject.name, apply)),
        Source::Address => None,
        Source::Process => match subject.owner.as_ref()? {
            Owner::Systemd(unit) => Some(systemctl(unit, apply)),
            Owner::Supervisor { ctl, group, name } => {
                let full = match (apply, group == name) {
                    (Apply::Update, _) | (_, true) => group.clone(),
                    (Apply::Restart | Apply::Nothing, false) => format!("{group}:{name}"),
                };
                Some(format!("{ctl} {word} {}", servers::shell_line(&[full])))
            }
        },
    }
}

fn systemctl(unit: &str, apply: Apply) -> String {
    let unit = servers::shell_line(&[unit]);
    match apply {
        Apply::Update => format!("systemctl daemon-reload && systemctl restart {unit}"),
        Apply::Restart | Apply::Nothing => format!("systemctl restart {unit}"),
    }
}
