//! What a process watches: its inotify watches (`/proc/PID/fdinfo`), and the files and directories behind their inodes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::scene::procs::{FDS_MAX, Proc};

/// Watches of one process that are read: a reloader of a large project has some thousand.
const WATCHES_MAX: usize = 20_000;
/// Names of the program's directory that are compared with the watches.
const NAMES_MAX: usize = 20_000;
/// Directories below the program's.
const DEPTH_MAX: usize = 6;

/// The watches of a process tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Watches {
    /// The process that has them.
    pub(crate) pid: i32,
    pub(crate) count: usize,
    /// Watched paths within the program's directory, sorted.
    pub(crate) inside: Vec<PathBuf>,
    /// The program's directory itself is among them.
    pub(crate) whole_dir: bool,
}

/// The process with the most watches, and what they are; `None` if there are none or they may not be seen.
pub(crate) fn find(processes: &[Proc], dir: Option<&Path>) -> Option<Watches> {
    let all = processes.iter().map(|p| (p.pid, inodes(p.pid)));
    let (pid, inodes) = all
        .filter(|(_, inodes)| !inodes.is_empty())
        .max_by_key(|(_, inodes)| inodes.len())?;
    let mut watches = Watches {
        pid,
        count: inodes.len(),
        ..Watches::default()
    };
    if let Some(dir) = dir {
        watches.inside = inside(dir, &inodes);
        watches.whole_dir = watches.inside.first().is_some_and(|first| first == dir);
    }
    Some(watches)
}

/// Inode numbers, with their devices where the kernel and `stat` agree on them.
fn inodes(pid: i32) -> BTreeMap<u64, BTreeSet<u64>> {
    let mut found: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return found;
    };
    let mut count = 0;
    for fd in fds.flatten().take(FDS_MAX) {
        let is_inotify =
            fs::read_link(fd.path()).is_ok_and(|l| l.as_os_str() == "anon_inode:inotify");
        if !is_inotify {
            continue;
        }
        let name = fd.file_name();
        let info = Path::new("/proc")
            .join(pid.to_string())
            .join("fdinfo")
            .join(name);
        for line in fs::read_to_string(info).unwrap_or_default().lines() {
            if let Some((inode, device)) = watch(line)
                && count < WATCHES_MAX
            {
                count += 1;
                found.entry(inode).or_default().insert(device);
            }
        }
    }
    found
}

/// `inotify wd:1 ino:5 sdev:800001 mask:2 …`, numbers in hexadecimal (proc_pid_fdinfo(5)); the device as `stat` gives it.
fn watch(line: &str) -> Option<(u64, u64)> {
    let rest = line.strip_prefix("inotify ")?;
    let field = |name: &str| {
        let word = rest.split(' ').find_map(|w| w.strip_prefix(name))?;
        u64::from_str_radix(word, 16).ok()
    };
    let (inode, kernel) = (field("ino:")?, field("sdev:")?);
    // The kernel's own numbering has 20 bits of minor number.
    let (major, minor) = ((kernel >> 20) as u32, (kernel & 0xf_ffff) as u32);
    Some((inode, rustix::fs::makedev(major, minor)))
}

fn inside(dir: &Path, inodes: &BTreeMap<u64, BTreeSet<u64>>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut queue = vec![(dir.to_path_buf(), 0)];
    let mut names = 0;
    let is_watched = |path: &Path| {
        // Devices are compared only where stat shows the same (overlayfs and btrfs show others).
        fs::symlink_metadata(path).is_ok_and(|meta| {
            inodes.get(&meta.ino()).is_some_and(|devices| {
                devices.contains(&meta.dev()) || !inodes.values().any(|d| d.contains(&meta.dev()))
            })
        })
    };
    if is_watched(dir) {
        found.push(dir.to_path_buf());
    }
    while let Some((here, depth)) = queue.pop() {
        let Ok(entries) = fs::read_dir(&here) else {
            continue;
        };
        for entry in entries.flatten() {
            names += 1;
            if names > NAMES_MAX {
                return found;
            }
            let path = entry.path();
            if is_watched(&path) {
                found.push(path.clone());
            }
            if entry.file_type().is_ok_and(|t| t.is_dir()) && depth < DEPTH_MAX {
                queue.push((path, depth + 1));
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_fdinfo() {
        let line = "inotify wd:3 ino:9e7e sdev:800013 mask:800afce ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:7e9e0000640d1b6d";
        let (inode, device) = watch(line).expect("is a watch");
        assert_eq!(
            (inode, rustix::fs::major(device), rustix::fs::minor(device)),
            (0x9e7e, 8, 19)
        );
        assert_eq!(watch("pos:\t0"), None);
    }
}
