//! A finding as text: a head line, the place with its line and marks below it, what it does, what to write.

use crate::mask::{MASK, secret_ranges};
use crate::text::{columns_of, escape, push_escaped, width, wrap};
use crate::{Finding, Span, mask_line};

/// The widest that text of ours gets, in columns: fits a terminal of 100 without wrapping.
pub const WIDTH_COLUMNS_MAX: usize = 99;
/// Narrower than this, nothing can be laid out; it is treated as this.
const WIDTH_COLUMNS_MIN: usize = 40;
/// A file name longer than this gets a line of its own, so that enough of the quoted line can be seen.
const PLACE_COLUMNS_MAX: usize = 40;
/// Text that stays visible before a mark when the line is cut, so that one sees what is marked.
const CONTEXT_COLUMNS: usize = 24;

/// One finding as lines of text, each ended by a newline and no wider than `width_columns` (held between 40 and 99).
pub fn render_finding(finding: &Finding, width_columns: usize) -> String {
    let columns = width_columns.clamp(WIDTH_COLUMNS_MIN, WIDTH_COLUMNS_MAX);
    let mut out = String::new();
    head(&mut out, finding, columns);
    if let Some(span) = &finding.span {
        place(&mut out, span, columns);
    }
    for related in &finding.related {
        paragraph(&mut out, &escape(&related.message), columns);
        place(&mut out, &related.span, columns);
    }
    if let Some(effect) = &finding.effect {
        paragraph(&mut out, &escape(effect), columns);
    }
    if let Some(fix) = &finding.fix {
        // Not wrapped: it is there to be copied.
        for line in mask_line(fix).split('\n') {
            out.push_str(&format!("  {}\n", escape(line)));
        }
    }
    if let Some(hint) = &finding.hint {
        paragraph(&mut out, &escape(hint), columns);
    }
    out
}

/// `error: message`, with how sure we are and the code at the right edge if they fit, else after the last line.
fn head(out: &mut String, finding: &Finding, columns: usize) {
    let text = format!("{}: {}", finding.severity.word(), escape(&finding.message));
    let tail = match finding.certainty {
        Some(certainty) => format!("{} [{}]", certainty.word(), escape(&finding.code)),
        None => format!("[{}]", escape(&finding.code)),
    };
    let mut lines = wrap(&text, columns, columns - 2);
    let last = lines.pop().unwrap_or_default();
    let indent = if lines.is_empty() { "" } else { "  " };
    for (i, line) in lines.iter().enumerate() {
        out.push_str(if i == 0 { "" } else { "  " });
        out.push_str(line);
        out.push('\n');
    }
    let used = indent.len() + width(&last);
    out.push_str(indent);
    out.push_str(&last);
    if used + 2 + width(&tail) <= columns {
        out.push_str(&" ".repeat(columns - used - width(&tail)));
    } else {
        out.push_str(&format!(
            "\n{}",
            " ".repeat(columns.saturating_sub(width(&tail)))
        ));
    }
    out.push_str(&tail);
    out.push('\n');
}

fn paragraph(out: &mut String, text: &str, columns: usize) {
    for line in wrap(text, columns - 2, columns - 2) {
        out.push_str("  ");
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// A place as lines of text: `  file:12  the line`, and `^^^^` below what is marked. For reports that lay themselves out.
pub fn render_place(span: &Span, width_columns: usize) -> String {
    let mut out = String::new();
    place(
        &mut out,
        span,
        width_columns.clamp(WIDTH_COLUMNS_MIN, WIDTH_COLUMNS_MAX),
    );
    out
}

/// Words as lines of text, indented by two columns, escaped and wrapped.
pub fn render_words(words: &str, width_columns: usize) -> String {
    let mut out = String::new();
    paragraph(
        &mut out,
        &escape(words),
        width_columns.clamp(WIDTH_COLUMNS_MIN, WIDTH_COLUMNS_MAX),
    );
    out
}

/// `  file:12  the line` and `^^^^` below what is marked.
fn place(out: &mut String, span: &Span, columns: usize) {
    let name = format!("  {}:{}", escape(&span.file), span.line);
    if span.text.trim().is_empty() {
        out.push_str(&name);
        out.push('\n');
        return;
    }
    let indent = if width(&name) > PLACE_COLUMNS_MAX {
        out.push_str(&name);
        out.push_str("\n    ");
        4
    } else {
        out.push_str(&name);
        out.push_str("  ");
        width(&name) + 2
    };
    let quoted = quote(span, columns.saturating_sub(indent));
    out.push_str(quoted.text.trim_end());
    out.push('\n');
    if quoted.mark_columns > 0 {
        out.push_str(&" ".repeat(indent + quoted.mark_start));
        out.push_str(&"^".repeat(quoted.mark_columns));
        out.push('\n');
    }
}

struct Quoted {
    text: String,
    mark_start: usize,
    mark_columns: usize,
}

/// A piece of the shown line: what it shows and whether it is marked.
struct Cell {
    text: String,
    columns: usize,
    marked: bool,
}

/// The line masked, escaped and cut to `room` columns around its mark.
fn quote(span: &Span, room: usize) -> Quoted {
    let cells = cells(span);
    let total: usize = cells.iter().map(|c| c.columns).sum();
    let before: usize = cells
        .iter()
        .take_while(|c| !c.marked)
        .map(|c| c.columns)
        .sum();
    let has_mark = cells.iter().any(|c| c.marked);
    let skip_columns = if total <= room || !has_mark {
        0
    } else {
        before.saturating_sub(CONTEXT_COLUMNS)
    };
    let mut text = String::new();
    let (mut at, mut used, mut mark_start, mut mark_columns) = (0, 0, 0, 0);
    if skip_columns > 0 {
        text.push('…');
        used = 1;
    }
    for cell in &cells {
        let start = at;
        at += cell.columns;
        if start < skip_columns {
            continue;
        }
        let more_follows = at < total;
        if used + cell.columns + usize::from(more_follows) > room {
            text.push('…');
            break;
        }
        if cell.marked {
            if mark_columns == 0 {
                mark_start = used;
            }
            mark_columns += cell.columns;
        }
        text.push_str(&cell.text);
        used += cell.columns;
    }
    Quoted {
        text,
        mark_start,
        mark_columns,
    }
}

/// The line in cells, a secret being one cell. Leading blanks are left out: where a continuation line begins says nothing.
fn cells(span: &Span) -> Vec<Cell> {
    let secrets = secret_ranges(&span.text);
    let mut secrets = secrets.iter().peekable();
    let mark = span.column..span.column.saturating_add(span.length);
    let mut cells: Vec<Cell> = Vec::new();
    let mut leading = true;
    for (number, (at, c)) in (1u32..).zip(span.text.char_indices()) {
        let marked = mark.contains(&number);
        if leading && c.is_whitespace() && !marked {
            continue;
        }
        leading = false;
        while secrets.next_if(|range| range.end <= at).is_some() {}
        if let Some(range) = secrets.peek().filter(|range| range.contains(&at)) {
            if range.start == at {
                cells.push(Cell {
                    text: MASK.to_string(),
                    columns: MASK.len(),
                    marked,
                });
            } else if let Some(last) = cells.last_mut() {
                last.marked |= marked;
            }
            continue;
        }
        let mut text = String::new();
        push_escaped(&mut text, c);
        let columns = text.chars().map(columns_of).sum();
        cells.push(Cell {
            text,
            columns,
            marked,
        });
    }
    cells
}
