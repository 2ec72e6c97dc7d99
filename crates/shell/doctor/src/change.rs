//! Changes of text files: made, shown as a difference, written at once with a copy of the old one beside.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use finding::{escape, mask_line};
use similar::TextDiff;

use crate::model::TextEdit;

/// Copies kept of one file.
const BACKUPS_MAX: u32 = 99;

/// A text with places changed. Columns and lengths count characters.
pub(crate) fn edit(text: &str, edits: &[TextEdit]) -> Result<String, String> {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let mut edits = edits.to_vec();
    edits.sort_by_key(|e| std::cmp::Reverse((e.line, e.column)));
    let mut gone = Vec::new();
    for edit in &edits {
        let index = edit.line.checked_sub(1).ok_or("there is no such line")? as usize;
        let line = lines.get_mut(index).ok_or("there is no such line")?;
        let byte = |line: &str, characters: u32| {
            line.char_indices()
                .nth(characters as usize)
                .map_or(line.len(), |(at, _)| at)
        };
        let mut start = byte(line, edit.column.saturating_sub(1));
        let end = byte(line, edit.column.saturating_sub(1) + edit.length);
        if edit.text.is_empty() {
            start = line[..start].trim_end_matches([' ', '\t']).len();
        }
        line.replace_range(start..end, &edit.text);
        if edit.text.is_empty() && line.trim().is_empty() {
            gone.push(index);
        } else if edit.text.is_empty()
            && line.trim_end().ends_with('=')
            && line.trim().starts_with("environment")
        {
            // A variable that was the only one takes its key along.
            gone.push(index);
        }
    }
    gone.sort_unstable_by(|a, b| b.cmp(a));
    gone.dedup();
    for index in gone {
        lines.remove(index);
    }
    Ok(lines.concat())
}

/// A text with lines added behind one, in its own kind of line ends.
pub(crate) fn insert(text: &str, after_line: u32, new: &[String]) -> String {
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut out = String::new();
    for (number, line) in (1u32..).zip(text.split_inclusive('\n')) {
        out.push_str(line);
        if number == after_line {
            if !line.ends_with('\n') {
                out.push_str(end);
            }
            for line in new {
                out.push_str(line);
                out.push_str(end);
            }
        }
    }
    out
}

/// The difference of two texts, without secrets.
pub(crate) fn diff(path: &Path, old: &str, new: &str) -> String {
    let shown = escape(&path.display().to_string());
    let diff = TextDiff::from_lines(old, new);
    let text = diff
        .unified_diff()
        .context_radius(3)
        .header(&shown, &shown)
        .to_string();
    let mut out = String::new();
    for line in text.lines() {
        out.push_str(&escape(&mask_line(line)));
        out.push('\n');
    }
    out
}

/// Copies that were made of a file, oldest first.
pub(crate) fn backups(path: &Path) -> Vec<PathBuf> {
    (1..=BACKUPS_MAX)
        .map(|n| backup_name(path, n))
        .take_while(|p| p.exists())
        .collect()
}

fn backup_name(path: &Path, number: u32) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.steadfast-backup-{number}"))
}

/// Replaces a file at once, with its owner and permissions; the copy of the old one, if there was one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<Option<PathBuf>> {
    // A link stays a link.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let old = fs::metadata(path).ok();
    let parent = path.parent().and_then(|d| fs::metadata(d).ok());
    let (mode, owner) = match (&old, &parent) {
        (Some(old), _) => (
            old.permissions().mode() & 0o7777,
            Some((old.uid(), old.gid())),
        ),
        (None, Some(dir)) => (0o600, Some((dir.uid(), dir.gid()))),
        (None, None) => (0o600, None),
    };
    let mut backup = None;
    if old.is_some() {
        let free = (1..=BACKUPS_MAX)
            .map(|n| backup_name(path, n))
            .find(|p| !p.exists());
        let free = free.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::AlreadyExists))?;
        put(&free, &fs::read(path)?, mode, owner)?;
        backup = Some(free);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.steadfast-new-{}", std::process::id()));
    let _ = fs::remove_file(&new);
    put(&new, bytes, mode, owner)
        .and_then(|()| fs::rename(&new, path))
        .inspect_err(|_| {
            let _ = fs::remove_file(&new);
        })?;
    Ok(backup)
}

fn put(path: &Path, bytes: &[u8], mode: u32, owner: Option<(u32, u32)>) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    if let Some((uid, gid)) = owner {
        let now = file.metadata()?;
        if (now.uid(), now.gid()) != (uid, gid) {
            // Without the right to give it away it stays ours; the permissions decide who reads it.
            let _ = chown(path, Some(uid), Some(gid));
        }
    }
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_keep_everything_else() {
        let text = "; é\n[program:a]\ncommand = uvicorn a:b --reload ; why\nenvironment = FLASK_DEBUG=\"1\"\nuser = x\n";
        let take = |line, column, length| TextEdit {
            line,
            column,
            length,
            text: String::new(),
        };
        let got = edit(text, &[take(3, 23, 8), take(4, 15, 15)]).expect("is edited");
        assert_eq!(
            got,
            "; é\n[program:a]\ncommand = uvicorn a:b ; why\nuser = x\n"
        );
        assert!(edit(text, &[take(99, 1, 1)]).is_err());
        assert_eq!(insert("a\r\nb", 1, &["c".into()]), "a\r\nc\r\nb");
    }
}
