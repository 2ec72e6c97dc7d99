//! What Supervisor has, and what becomes of it here. Each row names the test that shows it.

mod calls;
mod file;
mod programs;
mod words;

use super::Verdict;

/// Names of one area that share a verdict.
pub(super) struct Row {
    pub(super) area: &'static str,
    pub(super) names: &'static [&'static str],
    pub(super) verdict: Verdict,
    /// The test, by its function's name.
    pub(super) test: &'static str,
}

const fn row(
    area: &'static str,
    names: &'static [&'static str],
    verdict: Verdict,
    test: &'static str,
) -> Row {
    Row {
        area,
        names,
        verdict,
        test,
    }
}

/// `{}` in a name of a key stands for `program`, `eventlistener` and `fcgi-program`.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [file::ROWS, programs::ROWS, words::ROWS, calls::ROWS]
        .into_iter()
        .flatten()
}
