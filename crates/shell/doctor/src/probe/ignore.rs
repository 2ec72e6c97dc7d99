//! Comments by which a finding is ignored, and how far they reach.

use crate::scene::Config;

/// Comments that ignore a rule, in a text: `; steadfast: ignore SF101 reason`, as (line, code, reason).
pub(crate) fn ignores(text: &str) -> Vec<(u32, String, String)> {
    let mut found = Vec::new();
    for (number, line) in (1u32..).zip(text.lines()) {
        let Some((before, rest)) = line.split_once("steadfast: ignore") else {
            continue;
        };
        if !before.contains([';', '#', '/']) {
            continue;
        }
        let mut words = rest.split_whitespace();
        if let Some(codes) = words.next() {
            let reason: Vec<&str> = words.collect();
            found.extend(
                codes
                    .split(',')
                    .map(|c| (number, c.to_ascii_uppercase(), reason.join(" "))),
            );
        }
    }
    found
}

/// The section (first and last line) that a line of a configuration lies in.
pub(crate) fn section_of(config: &Config, file: &str, line: u32) -> Option<(u32, u32)> {
    let text = config.text_of(file)?;
    let mut start = None;
    let mut last = 0;
    for (number, content) in (1u32..).zip(text.lines()) {
        if content.starts_with('[') {
            if number > line {
                return start.map(|s| (s, number - 1));
            }
            start = Some(number);
        }
        last = number;
    }
    start.map(|s| (s, last))
}
