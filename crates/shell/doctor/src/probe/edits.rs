//! From a finding to the change of a file that mends it: the fewest characters, so that comments and layout stay.

use finding::Span;

use crate::model::{Repair, TextEdit};
use crate::scene::layers::Layer;
use crate::scene::{Scene, Subject};

/// The file of a span of this subject.
fn path(
    scene: &Scene,
    subject: &Subject,
    layer: Option<&Layer>,
    span: &Span,
) -> Option<std::path::PathBuf> {
    if let Some(file) = layer.and_then(|l| l.file.clone()) {
        return Some(file);
    }
    match subject.config(scene) {
        Some(config) => config.path_of(&span.file),
        None => Some(std::path::PathBuf::from(&*span.file)),
    }
}

/// The change that makes a layer's words these; `None` if it cannot be said where.
pub(crate) fn words(
    scene: &Scene,
    subject: &Subject,
    layer: &Layer,
    wanted: &[String],
) -> Option<Repair> {
    let pairs = align(&layer.argv, wanted);
    let mut edits = Vec::new();
    let mut file = None;
    let mut at = 0;
    while at < pairs.len() {
        let (old, new) = pairs[at];
        at += 1;
        let old = old?;
        let mut words: Vec<&String> = Vec::new();
        let same = new.is_some_and(|n| wanted[n] == layer.argv[old]);
        if let Some(n) = new {
            words.push(&wanted[n]);
        }
        // Words that are only in the wanted command go behind the one before them.
        while let Some((None, Some(n))) = pairs.get(at) {
            words.push(&wanted[*n]);
            at += 1;
        }
        if same && words.len() == 1 {
            continue;
        }
        let span = layer.words.get(old).cloned().flatten()?;
        file = Some(path(scene, subject, Some(layer), &span)?);
        if words.len() == 1 && !same {
            edits.push(within(&span, &layer.argv[old], words[0])?);
            continue;
        }
        let mut text = if same { raw(&span)? } else { String::new() };
        for word in words.iter().skip(usize::from(same)) {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&servers::quote_line(&[word.as_str()]));
        }
        edits.push(TextEdit {
            line: span.line,
            column: span.column,
            length: span.length,
            text,
        });
    }
    let file = file?;
    (!edits.is_empty()).then_some(Repair::Edit { file, edits })
}

/// The characters that a span marks.
fn raw(span: &Span) -> Option<String> {
    let text: String = span
        .text
        .chars()
        .skip(span.column.checked_sub(1)? as usize)
        .take(span.length as usize)
        .collect();
    (!text.is_empty()).then_some(text)
}

/// A word that changed within: only what changed is written, so that its quotes stay.
fn within(span: &Span, old: &str, new: &str) -> Option<TextEdit> {
    let raw = raw(span)?;
    let text = if raw.contains(old) {
        raw.replacen(old, new, 1)
    } else if raw == old {
        new.to_owned()
    } else {
        servers::quote_line(&[new])
    };
    Some(TextEdit {
        line: span.line,
        column: span.column,
        length: span.length,
        text,
    })
}

/// The words of two command lines side by side: kept, changed, gone (`(old, None)`) or new (`(None, new)`).
fn align(old: &[String], new: &[String]) -> Vec<(Option<usize>, Option<usize>)> {
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while i < old.len() || j < new.len() {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                pairs.push((Some(i), Some(j)));
                i += 1;
                j += 1;
            }
            (Some(_), Some(b)) => {
                if let Some(ahead) = old[i..].iter().position(|w| w == b) {
                    pairs.extend((i..i + ahead).map(|k| (Some(k), None)));
                    i += ahead;
                } else if let Some(ahead) = new[j..].iter().position(|w| Some(w) == old.get(i)) {
                    pairs.extend((j..j + ahead).map(|k| (None, Some(k))));
                    j += ahead;
                } else {
                    pairs.push((Some(i), Some(j)));
                    i += 1;
                    j += 1;
                }
            }
            (Some(_), None) => {
                pairs.push((Some(i), None));
                i += 1;
            }
            (None, Some(_)) => {
                pairs.push((None, Some(j)));
                j += 1;
            }
            (None, None) => break,
        }
    }
    pairs
}

/// The mark of `NAME=value` in the line of an `environment`; the line as a whole if it stands elsewhere.
pub(crate) fn variable_span(span: &Span, name: &str) -> Span {
    match pair(&span.text, name) {
        Some(range) => {
            let column = span.text[..range.start].chars().count() + 1;
            let length = span.text[range.clone()].chars().count();
            span.clone().marked(
                u32::try_from(column).unwrap_or(1),
                u32::try_from(length).unwrap_or(0),
            )
        }
        None => span.clone(),
    }
}

/// The bytes of `NAME=value` or `NAME="value"` in a line.
fn pair(line: &str, name: &str) -> Option<std::ops::Range<usize>> {
    let mut from = 0;
    while let Some(at) = line.get(from..)?.find(name).map(|at| from + at) {
        from = at + name.len();
        let whole = line[..at]
            .chars()
            .next_back()
            .is_none_or(|c| !(c.is_alphanumeric() || c == '_'));
        let rest = line[from..].trim_start();
        if !whole || !rest.starts_with('=') {
            continue;
        }
        let value_at = line.len() - rest.len() + 1;
        let value = line[value_at..].trim_start();
        let value_at = line.len() - value.len();
        let length = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].find(quote)? + 2,
            _ => value.find([',', ' ', '\t']).unwrap_or(value.len()),
        };
        return Some(at..value_at + length);
    }
    None
}

/// The change that takes a variable out of a program's `environment`, or gives it another value.
pub(crate) fn variable(
    scene: &Scene,
    subject: &Subject,
    name: &str,
    value: Option<&str>,
) -> Option<Repair> {
    let span = subject.env_span.as_ref()?;
    let own = subject.program.as_ref()?.processes.first()?;
    if !own.environment.contains_key(name) {
        return None;
    }
    let config = subject.config(scene)?;
    let file = config.path_of(&span.file)?;
    let text = config.text_of(&span.file)?;
    // The value may go on in the lines below.
    for (number, line) in (1u32..)
        .zip(text.lines())
        .skip(span.line.saturating_sub(1) as usize)
    {
        let goes_on = number == span.line || line.starts_with([' ', '\t']);
        if !goes_on {
            return None;
        }
        let Some(range) = pair(line, name) else {
            continue;
        };
        let quoted = value.map(|v| format!("{name}=\"{}\"", v.replace('%', "%%")));
        let range = if quoted.is_some() {
            range
        } else {
            with_comma(line, range)
        };
        let column = line[..range.start].chars().count() + 1;
        let length = line[range].chars().count();
        return Some(Repair::Edit {
            file,
            edits: vec![TextEdit {
                line: number,
                column: u32::try_from(column).ok()?,
                length: u32::try_from(length).ok()?,
                text: quoted.unwrap_or_default(),
            }],
        });
    }
    None
}

/// A pair with one of the commas beside it.
fn with_comma(line: &str, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let after = &line[range.end..];
    let trimmed = after.trim_start();
    if let Some(rest) = trimmed.strip_prefix(',') {
        return range.start..line.len() - rest.trim_start().len();
    }
    let before = line[..range.start].trim_end();
    match before.strip_suffix(',') {
        Some(rest) => rest.len()..range.end,
        None => range,
    }
}

/// Lines added to a program's section, right behind its command.
pub(crate) fn add_keys(scene: &Scene, subject: &Subject, keys: &[(&str, &str)]) -> Option<Repair> {
    let program = subject.program.as_ref()?;
    let config = subject.config(scene)?;
    let file = config.path_of(&program.header.file)?;
    let lines = keys
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    Some(Repair::Insert {
        file,
        after_line: program.header.line,
        lines,
    })
}

/// A value of a key given another.
pub(crate) fn value(
    scene: &Scene,
    subject: &Subject,
    span: Option<&Span>,
    text: &str,
) -> Option<Repair> {
    let span = span?;
    let file = path(scene, subject, None, span)?;
    Some(Repair::Edit {
        file,
        edits: vec![TextEdit {
            line: span.line,
            column: span.column,
            length: span.length,
            text: text.to_owned(),
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_whole() {
        for (line, name, want) in [
            (
                "environment = A=\"1\",FLASK_DEBUG=\"1\",B=2",
                "FLASK_DEBUG",
                Some("FLASK_DEBUG=\"1\""),
            ),
            ("environment = NOT_A=1,A=2", "A", Some("A=2")),
            ("environment = A = \"x, y\"", "A", Some("A = \"x, y\"")),
            ("environment = B=A", "A", None),
        ] {
            assert_eq!(pair(line, name).map(|r| &line[r]), want, "{line}");
        }
        let line = "environment = A=1,B=2";
        assert_eq!(&line[with_comma(line, 14..17)], "A=1,");
        assert_eq!(&line[with_comma(line, 18..21)], ",B=2");
    }

    #[test]
    fn words_are_aligned() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let pairs = align(
            &words("fastapi dev app.py"),
            &words("fastapi run --host 1 app.py"),
        );
        assert_eq!(pairs[0], (Some(0), Some(0)));
        assert!(pairs.contains(&(Some(2), Some(4))));
    }
}
