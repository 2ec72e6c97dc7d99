//! What `steadfast run` says at the beginning. Pure.

use wire::{Ready, Text};

use crate::model::{Active, Slot};

/// Programs that get a line of their own; with more the terminal would scroll away what is important.
const PROGRAMS_MAX: usize = 20;
/// Characters of a command that are shown.
const COMMAND_CHARS_MAX: usize = 40;

/// The lines.
pub(crate) fn lines(active: &Active, keys: &[String]) -> Vec<String> {
    let programs: Vec<&Slot> = active.programs().collect();
    let name = active
        .config
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or("command line");
    let gateways = crate::resolve::wanted_addresses(active).len();
    let mut counts = count(programs.len(), "program", "programs");
    if gateways > 0 {
        counts.push_str(&format!(", {}", count(gateways, "gateway", "gateways")));
    }
    if !active.left_out.is_empty() {
        counts.push_str(&format!(", {} left out", active.left_out.len()));
    }
    let mut lines = vec![format!(
        "steadfast {}  {name}  {counts}",
        env!("CARGO_PKG_VERSION")
    )];
    let width = programs
        .iter()
        .take(PROGRAMS_MAX)
        .map(|slot| slot.key().to_string().chars().count())
        .max()
        .unwrap_or(0);
    for slot in programs.iter().take(PROGRAMS_MAX) {
        lines.push(
            format!("  {:width$}  {}", slot.key().to_string(), details(slot))
                .trim_end()
                .to_owned(),
        );
    }
    if programs.len() > PROGRAMS_MAX {
        lines.push(format!("  and {} more", programs.len() - PROGRAMS_MAX));
    }
    let left: Vec<&str> = active
        .left_out
        .iter()
        .map(|left| left.name.as_str())
        .collect();
    if !left.is_empty() {
        let named = left[..left.len().min(PROGRAMS_MAX)].join(", ");
        let more = match left.len().saturating_sub(PROGRAMS_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        lines.push(format!(
            "  left out by the errors above, until they are mended (then: steadfast update): {named}{more}"
        ));
    }
    let mut said: Vec<&String> = Vec::new();
    for key in keys {
        if !said.contains(&key) {
            said.push(key);
            lines.push(format!("  {:width$}  {key}", "key"));
        }
    }
    lines
}

/// `1 program`, `3 programs`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn details(slot: &Slot) -> String {
    let mut parts = vec![command(slot)];
    if let Some(derived) = slot.derived.first() {
        parts.push(format!("gateway holds {}", derived.address));
    } else if let Some((addresses, _)) = slot.shown.split_once(" -> ") {
        parts.push(format!("gateway holds {addresses}"));
    } else if !slot.listeners.is_empty() {
        parts.push(format!("holds {}", slot.listeners.join(", ")));
    }
    match &slot.spec.ready {
        Ready::Http { path, .. } => parts.push(format!("ready = http:{path}")),
        Ready::Tcp {} => parts.push("ready = tcp".to_owned()),
        Ready::Descriptor { number } => parts.push(format!("ready = fd:{number}")),
        Ready::Log { pattern } => parts.push(format!("ready = log:{}", finding::escape(pattern))),
        Ready::Notify {} => parts.push("ready = notify".to_owned()),
        Ready::Exec { argv } => {
            let command = servers::quote_line(argv);
            parts.push(format!("ready = exec:{}", finding::escape(&command)));
        }
        Ready::Lived {} | Ready::Connect {} => {}
    }
    if !slot.up {
        parts.push("autostart = false".to_owned());
    }
    parts.join("   ")
}

/// The first words of the command, without options.
fn command(slot: &Slot) -> String {
    let words: Vec<&str> = slot
        .spec
        .argv
        .iter()
        .filter_map(|word| match word {
            Text::Plain { text } => Some(text.as_str()),
            Text::Socket { .. } | Text::Port { .. } => None,
        })
        .take(2)
        .take_while(|word| !word.starts_with('-'))
        .collect();
    let text = finding::mask_line(&words.join(" "));
    let text = match text.split_once(' ') {
        Some((program, rest)) => format!("{} {rest}", base_name(program)),
        None => base_name(&text).to_owned(),
    };
    finding::escape(&text.chars().take(COMMAND_CHARS_MAX).collect::<String>())
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_counted_and_named() {
        let left = |name: &str| crate::left::LeftOut {
            name: name.into(),
            why: "boom".into(),
        };
        let active = Active {
            left_out: vec![left("dev"), left("web")],
            ..Active::default()
        };
        let lines = lines(&active, &[]);
        assert!(lines[0].ends_with("0 programs, 2 left out"), "{lines:?}");
        assert!(lines[1].ends_with(": dev, web"), "{lines:?}");
    }

    #[test]
    fn the_picture() {
        let mut slot = Slot {
            group: "backend".into(),
            process: "backend".into(),
            up: true,
            ..Slot::default()
        };
        slot.spec.argv = ["/opt/venv/bin/uvicorn", "server:app", "--uds"]
            .map(Text::from)
            .into();
        slot.spec.ready = Ready::Http {
            path: "/api/health".into(),
            host: String::new(),
        };
        slot.derived = vec![routes::Listener {
            address: "0.0.0.0:8001".into(),
            ..routes::Listener::default()
        }];
        let active = Active {
            config: "/app/supervisord.conf".into(),
            slots: vec![slot],
            ..Active::default()
        };
        let keys = vec!["SECRET_KEY  made, kept in /app/.env".to_owned(); 2];
        assert_eq!(
            lines(&active, &keys),
            [
                format!("steadfast {}  supervisord.conf  1 program, 1 gateway", env!("CARGO_PKG_VERSION")),
                "  backend  uvicorn server:app   gateway holds 0.0.0.0:8001   ready = http:/api/health".to_owned(),
                "  key      SECRET_KEY  made, kept in /app/.env".to_owned(),
            ]
        );
    }
}
