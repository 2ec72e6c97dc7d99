//! Words that every form of the report has.

use crate::judge::Diagnosis;

/// Words from outside: without secrets and control characters.
pub(super) fn clean(words: &str) -> String {
    finding::escape(&finding::mask_line(words))
}

/// What mends it: our command and the owner's, or words.
pub(super) fn fix_words(diagnosis: &Diagnosis) -> Option<String> {
    let ours = diagnosis.hit.repair.as_ref().map(|_| {
        format!(
            "steadfast doctor{} --fix {}",
            diagnosis.scope(),
            diagnosis.rule.code
        )
    });
    let words = diagnosis
        .hit
        .advice
        .clone()
        .or_else(|| Some(diagnosis.rule.fix.trim_end_matches('.').to_owned()));
    match (ours, &diagnosis.command) {
        (Some(ours), Some(command)) => Some(format!("{ours} && {command}")),
        (Some(ours), None) => Some(ours),
        (None, Some(command)) => words.map(|w| format!("{w}; then {command}")),
        (None, None) => words,
    }
}
