//! Words of programs on their way to a person's terminal or to a line of the ledger.

/// `text` on one line without control characters: a program chooses its own name, its output and its answers,
/// and none of them may forge a line or move somebody's cursor. Tabs become spaces, the rest `?`.
pub(crate) fn plain(text: &str) -> String {
    let shown = |letter: char| match letter {
        '\t' => ' ',
        letter if letter.is_control() => '?',
        letter => letter,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_forged_and_no_cursor_moved() {
        assert_eq!(plain("a\tb\nc\u{1b}[2Jd é\u{9b}"), "a b?c?[2Jd é?");
    }
}
