//! Changes of text files: made, shown as a difference, written at once with a copy of the old one beside.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use finding::{escape, mask_line};
use similar::TextDiff;
use sys::named::Named;

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

/// What went wrong, for people. A message of ours says more than its kind.
pub(crate) fn words(why: &std::io::Error) -> String {
    match why.raw_os_error() {
        Some(_) => why.kind().to_string(),
        None => why.to_string(),
    }
}

/// Replaces a file at once, with its owner and permissions; the copy of the old one, if there was one. Its directory may be
/// somebody's, and we root: he must not lead us to what is not his, nor be given it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<Option<PathBuf>> {
    // A link stays a link.
    let named = Named::find(path)?;
    let old = match named.read() {
        Ok(file) => Some(file),
        Err(why) if why.kind() == ErrorKind::NotFound => None,
        Err(why) => return Err(why),
    };
    let access = match &old {
        Some(file) => {
            let meta = file.metadata()?;
            (meta.mode() & 0o7777, (meta.uid(), meta.gid()))
        }
        None => {
            let dir = named.directory()?;
            (0o600, (dir.st_uid, dir.st_gid))
        }
    };
    let mut backup = None;
    if let Some(mut file) = old {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let taken = named.names()?;
        let free = (1..=BACKUPS_MAX).map(|n| backup_name(named.path(), n));
        let free = free
            .into_iter()
            .find(|path| {
                path.file_name()
                    .is_some_and(|name| !taken.iter().any(|it| it == name))
            })
            .ok_or(ErrorKind::AlreadyExists)?;
        put(&named, free.file_name().unwrap_or_default(), &bytes, access)?;
        backup = Some(free);
    }
    let name = named.name().to_string_lossy();
    let new = OsString::from(format!(".{name}.steadfast-new-{}", std::process::id()));
    let _ = named.remove(&new);
    put(&named, &new, bytes, access)
        .and_then(|()| named.rename(&new, named.name()))
        .inspect_err(|_| {
            let _ = named.remove(&new);
        })?;
    Ok(backup)
}

fn put(
    named: &Named,
    name: &OsStr,
    bytes: &[u8],
    (mode, (uid, gid)): (u32, (u32, u32)),
) -> std::io::Result<()> {
    let mut file = named.create(name, 0o600)?;
    file.write_all(bytes)?;
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (uid, gid) {
        // Without the right to give it away it stays ours; the permissions decide who reads it. The file itself, not what
        // has its name by now.
        let _ = fchown(&file, Some(uid), Some(gid));
    }
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Gives a file other permissions: the file itself, not what somebody's link leads to.
pub(crate) fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    let file = Named::find(path)?.read()?;
    file.set_permissions(fs::Permissions::from_mode(mode))
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

    /// A directory of somebody's app, in which a file of his and a link of his to a file of ours lie.
    fn theirs() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let (app, ours) = (dir.path().join("app"), dir.path().join("ours"));
        fs::create_dir(&app).expect("made");
        fs::write(&ours, "KEY=ours\n").expect("written");
        std::os::unix::fs::symlink(&ours, app.join(".env")).expect("linked");
        (dir, app.join(".env"), ours)
    }

    #[test]
    fn a_link_stays_a_link_and_the_copy_lies_beside_what_it_leads_to() {
        let (_dir, link, ours) = theirs();
        let backup = write(&link, b"KEY=new\n")
            .expect("written")
            .expect("a copy");
        assert_eq!(backup, backup_name(&ours, 1));
        assert_eq!(fs::read_to_string(&backup).expect("copied"), "KEY=ours\n");
        assert_eq!(fs::read_to_string(&ours).expect("there"), "KEY=new\n");
        assert!(link.is_symlink());
        set_mode(&link, 0o640).expect("set");
        assert_eq!(fs::metadata(&ours).expect("there").mode() & 0o777, 0o640);
        assert_eq!(backups(&ours).len(), 1);
    }

    #[test]
    fn root_changes_nothing_that_somebodys_link_leads_to() {
        let (_dir, link, ours) = theirs();
        let before = fs::metadata(&ours).expect("there");
        if before.uid() != 0 {
            return;
        }
        std::os::unix::fs::lchown(&link, Some(4_000_001), None).expect("given");
        let refused = write(&link, b"KEY=new\n").expect_err("refused");
        assert!(words(&refused).contains("root does not follow it"));
        assert!(set_mode(&link, 0o666).is_err());
        assert!(crate::disk::Disk::default().own_text(&link, 100).is_err());
        assert_eq!(fs::read_to_string(&ours).expect("there"), "KEY=ours\n");
        assert_eq!(fs::metadata(&ours).expect("there").mode(), before.mode());
    }
}
