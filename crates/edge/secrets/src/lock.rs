//! The state directory: ours, and one at a time.
//!
//! Whoever may write in it may choose the keys, and so sign in as anybody. So it is looked at each time, like the run
//! directory, before a key is handed out or changed: it and the keyring in it belong to root or to us, and nobody else may
//! write there. (Who only lists keys may be root, and the installation somebody's.) A directory in which
//! anybody may make things (`/tmp`) protects what is ours in it, so what lies directly in such a one has to be ours too.
//!
//! The lock is held for milliseconds. Whoever holds it longer was stopped with it, and must not stop the daemon, whose
//! only thread asks as well: it is tried for a second, and the error names the holder. The daemon waits longer by
//! asking [`held`] beforehand, beside everything else that it does.

use crate::error::{Error, Step};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{DirBuilder, File, Metadata};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tries for the lock, and the pause between them: a second together, a hundred times of what a change of keys takes.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Holds everyone else off while keys are read, made and written.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "open as long as the lock is held")] File);

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("keys.lock")
}

impl Lock {
    /// Makes the state directory if needed and takes the lock in it.
    pub(crate) fn take(state_dir: &Path) -> Result<Self, Error> {
        if !state_dir.is_dir() {
            let made = DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(state_dir);
            made.map_err(|e| Error::io(Step::MakeStateDir, state_dir, &e))?;
        }
        check_dir(state_dir)?;
        check_file(&crate::keyring::path(state_dir))?;
        let path = path(state_dir);
        let fail = |e: &std::io::Error| Error::io(Step::Lock, &path, e);
        let file = sys::files::private(&path).map_err(|e| fail(&e))?;
        for _ in 0..TRIES {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(file)),
                Err(Errno::WOULDBLOCK) => pause(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(fail(&error.into())),
            }
        }
        let holder = holder(&file);
        Err(Error::Locked { path, holder })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a lock of a file tells nobody that it is free"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

/// Whether somebody holds the lock now.
#[must_use]
pub fn held(state_dir: &Path) -> bool {
    let Ok(file) = File::open(path(state_dir)) else {
        return false;
    };
    // Given back when the file is closed.
    flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
}

/// Who holds it: `pid 842 (steadfast)`, by /proc/locks.
fn holder(file: &File) -> Option<String> {
    let inode = file.metadata().ok()?.ino().to_string();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let kind = fields.next()?;
        let pid = fields.nth(2)?;
        let place = fields.next()?;
        (kind == "FLOCK" && place.rsplit(':').next() == Some(&inode)).then(|| pid.to_owned())
    })?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(match name.trim() {
        "" => format!("pid {pid}"),
        name => format!("pid {pid} ({name})"),
    })
}

/// Refuses a state directory in which somebody else may write.
pub(crate) fn check_dir(dir: &Path) -> Result<(), Error> {
    let real = std::fs::canonicalize(dir).map_err(|e| Error::io(Step::MakeStateDir, dir, &e))?;
    check(&real)?;
    for dir in real.ancestors() {
        let above = dir.parent().and_then(|above| std::fs::metadata(above).ok());
        if above.is_some_and(|above| above.mode() & 0o1002 == 0o1002) {
            check(dir)?;
        }
    }
    Ok(())
}

/// Likewise a keyring; one that is not there is fine.
pub(crate) fn check_file(path: &Path) -> Result<(), Error> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => check(path),
        Err(_) => Ok(()),
    }
}

fn check(path: &Path) -> Result<(), Error> {
    let meta =
        std::fs::symlink_metadata(path).map_err(|e| Error::io(Step::ReadKeyring, path, &e))?;
    let own = rustix::process::geteuid().as_raw();
    match fault(&meta, own) {
        None => Ok(()),
        Some(why) => Err(Error::NotOurs {
            path: path.to_owned(),
            why,
        }),
    }
}

fn fault(meta: &Metadata, own: u32) -> Option<String> {
    let (uid, mode) = (meta.uid(), meta.mode() & 0o7777);
    if meta.is_symlink() {
        Some("is a link; put the file itself there".to_owned())
    } else if uid != own && uid != 0 {
        Some(format!(
            "belongs to uid {uid}; give it to uid {own} (chown), or name another state_dir"
        ))
    } else if mode & 0o022 != 0 {
        Some(format!(
            "may be written by others (mode {mode:o}); run chmod go-w, or name a directory in it: one that is made here is \
             closed"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_lock_that_is_held_is_an_error_that_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let first = Lock::take(&state).unwrap();
        assert!(held(&state));
        let Err(Error::Locked { holder, .. }) = Lock::take(&state) else {
            panic!("taken twice");
        };
        // The table is empty where the kernel shows no locks of other namespaces.
        if let Some(holder) = holder {
            assert!(holder.contains(&std::process::id().to_string()), "{holder}");
        }
        drop(first);
        assert!(!held(&state));
        Lock::take(&state).unwrap();
    }

    #[test]
    fn a_directory_or_keyring_that_others_may_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        drop(Lock::take(&state).unwrap());
        for mode in [0o770, 0o702, 0o1777] {
            std::fs::set_permissions(&state, Permissions::from_mode(mode)).unwrap();
            let refused = Lock::take(&state).unwrap_err().to_string();
            assert!(refused.contains("chmod go-w"), "{mode:o}: {refused}");
        }
        std::fs::set_permissions(&state, Permissions::from_mode(0o755)).unwrap();
        drop(Lock::take(&state).unwrap());
        let keyring = state.join("keyring.json");
        assert_eq!(check_file(&keyring), Ok(()));
        std::fs::write(&keyring, "{}").unwrap();
        std::fs::set_permissions(&keyring, Permissions::from_mode(0o620)).unwrap();
        assert!(check_file(&keyring).is_err());
        assert!(Lock::take(&state).is_err());
        let link = state.join("link");
        std::os::unix::fs::symlink("keyring.json", &link).unwrap();
        assert!(check_file(&link).is_err());
    }

    #[test]
    fn what_belongs_to_somebody_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let meta = std::fs::metadata(dir.path()).unwrap();
        assert_eq!(fault(&meta, meta.uid()), None);
        let proc = std::fs::metadata("/proc/self").unwrap();
        assert_eq!(fault(&proc, proc.uid()), None);
        let root = std::fs::metadata("/").unwrap();
        assert_eq!(fault(&root, 4_000_001), None, "root may do it anyway");
        if meta.uid() == 0 {
            std::os::unix::fs::chown(dir.path(), Some(4_000_001), None).unwrap();
            assert!(check_dir(dir.path()).is_err());
            // Nor what lies in a directory where anybody could have made it first.
            let inner = dir.path().join("inner");
            std::fs::create_dir(&inner).unwrap();
            assert!(check_dir(&inner).is_err());
        }
    }
}
