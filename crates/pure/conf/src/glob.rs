//! `[include] files`: Python's `glob.glob` and `fnmatch` on POSIX, over the caller's file system.

use crate::files::{Files, Kind};
use crate::paths::join;

/// The paths that a pattern matches, sorted. `*` and `?` do not match a leading dot, `**` is `*`.
pub(crate) fn glob(pattern: &str, files: &dyn Files) -> Vec<String> {
    let mut found = expand(pattern, files, false);
    found.sort();
    found
}

fn has_magic(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

fn expand(pattern: &str, files: &dyn Files, only_dirs: bool) -> Vec<String> {
    if !has_magic(pattern) {
        let exists = match files.kind(pattern) {
            Some(Kind::Dir) => true,
            Some(Kind::File) => !only_dirs && !pattern.ends_with('/'),
            None => false,
        };
        return if exists {
            vec![pattern.to_string()]
        } else {
            Vec::new()
        };
    }
    let at = pattern.rfind('/').map_or(0, |at| at + 1);
    let (head, name) = pattern.split_at(at);
    let dir = if head.trim_end_matches('/').is_empty() {
        head
    } else {
        head.trim_end_matches('/')
    };
    let dirs = if has_magic(dir) {
        expand(dir, files, true)
    } else {
        vec![dir.to_string()]
    };
    let mut found = Vec::new();
    for dir in dirs {
        if !has_magic(name) {
            let path = join(&dir, name);
            let kind = files.kind(&path);
            let fits = if name.is_empty() {
                kind == Some(Kind::Dir)
            } else {
                kind.is_some()
            };
            if fits && (!only_dirs || kind == Some(Kind::Dir)) {
                found.push(path);
            }
            continue;
        }
        let pattern: Vec<char> = name.chars().collect();
        for entry in files.list(&dir) {
            let hidden = entry.name.starts_with('.') && !name.starts_with('.');
            if !hidden && (!only_dirs || entry.is_dir) && matches(&pattern, &entry.name) {
                found.push(join(&dir, &entry.name));
            }
        }
    }
    found
}

/// `fnmatch`: `*`, `?`, `[seq]`, `[!seq]`. Goes back only to the last `*`, so at worst pattern times name.
fn matches(pattern: &[char], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, n));
            p += 1;
        } else if let Some(next) = one(pattern, p, name[n]) {
            p = next;
            n += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            n = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// If the element of the pattern at `p` matches `c`, where the next element begins.
fn one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '*' => None,
        '?' => Some(p + 1),
        '[' => {
            let negated = pattern.get(p + 1) == Some(&'!');
            let start = p + 1 + usize::from(negated);
            // A `]` in the first place is a member; without a closing one, `[` is itself.
            let Some(length) = pattern
                .get(start + 1..)
                .and_then(|rest| rest.iter().position(|m| *m == ']'))
            else {
                return (c == '[').then_some(p + 1);
            };
            let end = start + 1 + length;
            (in_set(&pattern[start..end], c) != negated).then_some(end + 1)
        }
        other => (*other == c).then_some(p + 1),
    }
}

fn in_set(set: &[char], c: char) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
            if (set[at]..=set[at + 2]).contains(&c) {
                return true;
            }
            at += 3;
        } else {
            if set[at] == c {
                return true;
            }
            at += 1;
        }
    }
    false
}
