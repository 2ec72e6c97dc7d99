//! Did you mean …?

/// The name among `known` that was probably meant: the nearest by edit distance (a swap of two neighbours counts one), if it is near
/// enough. A third of the letters may differ, so that `stdout_logfile_maxbyte` finds its `s` and `foo` finds nothing.
pub(crate) fn did_you_mean<'k>(
    name: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let lower = name.to_lowercase();
    let wanted: Vec<char> = lower.chars().take(LETTERS_MAX + 1).collect();
    if wanted.len() > LETTERS_MAX {
        return None;
    }
    let bound = (wanted.len() / 3).clamp(1, 4);
    known
        .into_iter()
        .take(CANDIDATES_MAX)
        .map(|candidate| {
            (
                distance(
                    &wanted,
                    &candidate.to_lowercase().chars().collect::<Vec<_>>(),
                ),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= bound && *candidate != name)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Candidates that are compared: there may be a hundred thousand programs, and the hint is only a hint.
const CANDIDATES_MAX: usize = 1000;
/// No name of ours is longer, in letters; a longer one was not mistyped from it.
const LETTERS_MAX: usize = 64;

/// Optimal string alignment distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}
