//! The rules: data for people, and a small probe each.
//!
//! What is said about a rule (`steadfast explain`, `docs/rules.md`, SARIF) comes from here and from nowhere else.

mod configuration;
mod development;
mod health;
mod keys;
mod live;
mod rule;
mod runtime;

pub(crate) use rule::{Apply, Probe, Rule};

/// Every rule, in the order of codes.
pub(crate) fn all() -> impl Iterator<Item = &'static Rule> {
    [
        development::RULES,
        keys::RULES,
        configuration::RULES,
        health::RULES,
        runtime::RULES,
        live::RULES,
    ]
    .into_iter()
    .flatten()
}

/// The rule of a code, in any case of letters.
pub(crate) fn find(code: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.code.eq_ignore_ascii_case(code))
}

/// How the owner applies a change, by supervisor.
fn commands(apply: Apply) -> &'static [(&'static str, &'static str)] {
    match apply {
        Apply::Update => &[
            ("Supervisor", "supervisorctl update NAME"),
            ("Steadfast", "steadfast update"),
            (
                "systemd",
                "systemctl daemon-reload && systemctl restart UNIT",
            ),
            (
                "a container",
                "build the image again and replace the container",
            ),
        ],
        Apply::Restart => &[
            ("Supervisor", "supervisorctl restart NAME"),
            ("Steadfast", "steadfast restart NAME"),
            ("systemd", "systemctl restart UNIT"),
            ("a container", "replace the container"),
        ],
        Apply::Nothing => &[],
    }
}

/// A rule for reading in a terminal.
pub(crate) fn explain(rule: &Rule) -> String {
    let mut out = format!(
        "{} {} ({})\n\n",
        rule.code,
        rule.title,
        rule.severity.word()
    );
    let sections = [
        ("what", rule.what),
        ("why", rule.why),
        ("users", rule.users),
        ("found by", rule.found),
        ("fix", rule.fix),
    ];
    for (name, text) in sections {
        out.push_str(&format!(
            "{name}:\n{}",
            finding::render_words(text, finding::WIDTH_COLUMNS_MAX)
        ));
    }
    if !commands(rule.apply).is_empty() {
        out.push_str("then:\n");
    }
    for (name, command) in commands(rule.apply) {
        out.push_str(&format!("  {name}: {command}\n"));
    }
    out.push_str(&format!(
        "ignore:\n{}  write `; steadfast: ignore {} reason` beside it or into the section\n",
        finding::render_words(rule.ignore, finding::WIDTH_COLUMNS_MAX),
        rule.code
    ));
    out
}

/// `docs/rules.md`: every rule, for reading in a browser.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Rules of the doctor\n\nMade from the rules themselves (`crates/shell/doctor/src/rules`); a test checks that it is fresh.\n\n\
         | code | severity | what is wrong |\n|---|---|---|\n",
    );
    for rule in all() {
        out.push_str(&format!(
            "| [{0}](#{1}) | {2} | {3} |\n",
            rule.code,
            rule.code.to_ascii_lowercase(),
            rule.severity.word(),
            rule.title
        ));
    }
    for rule in all() {
        out.push_str(&format!(
            "\n## {}\n\n**{}** ({})\n\n{}\n\n*Why:* {}\n\n*Users:* {}\n\n*Found by:* {}\n\n*Fix:* {}\n\n",
            rule.code,
            rule.title,
            rule.severity.word(),
            rule.what,
            rule.why,
            rule.users,
            rule.found,
            rule.fix
        ));
        for (name, command) in commands(rule.apply) {
            out.push_str(&format!("- {name}: `{command}`\n"));
        }
        if !commands(rule.apply).is_empty() {
            out.push('\n');
        }
        out.push_str(&format!("*Ignore it when:* {}\n", rule.ignore));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_sorted_and_said() {
        let codes: Vec<&str> = all().map(|r| r.code).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
        assert!(codes.len() >= 30, "{}", codes.len());
        for rule in all() {
            for text in [
                rule.title,
                rule.users,
                rule.what,
                rule.why,
                rule.found,
                rule.fix,
                rule.ignore,
            ] {
                assert!(text.len() > 8, "{}", rule.code);
            }
            for cause in rule.follows {
                assert!(find(cause).is_some(), "{} follows {cause}", rule.code);
            }
            assert!(
                explain(rule).lines().all(|line| line.chars().count() < 100),
                "{}",
                rule.code
            );
        }
    }
}
