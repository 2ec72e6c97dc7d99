//! A bare Debian 12 in a directory: where the `.deb` is installed for real, and removed again.
//!
//! `mmdebstrap` makes it with the machine's own apt (its proxy, its keys) from Debian's mirrors. It needs root and nothing else:
//! where mounts are forbidden it does without them. What is in it: the packages that every Debian has (priority
//! `required`), and systemd for `systemd-analyze verify`. Which versions is decided by the release.

use crate::shell::{note, run, target, which};
use std::path::PathBuf;
use std::process::Command;

/// What it was made with; another one is made when this changes.
const MADE_WITH: &str = "mmdebstrap --variant=required --include=systemd bookworm";

/// Makes it, or finds it there.
pub(crate) fn root() -> Result<PathBuf, String> {
    let root = target().join("debian");
    // Beside it: what is in it is Debian's alone, and root's.
    let stamp = target().join("debian.stamp");
    if root.exists() && super::is_made(&stamp, MADE_WITH) {
        note(&format!("have a bare Debian: {}", root.display()));
        return Ok(root);
    }
    if which("mmdebstrap").is_none() {
        super::install(&["mmdebstrap"])?;
    }
    note(&format!("making a bare Debian in {}", root.display()));
    let unfinished = target().join("debian.unfinished");
    for old in [&root, &unfinished] {
        if old.exists() {
            run(super::privileged("rm").arg("-rf").arg(old))?;
        }
    }
    let mut words = MADE_WITH.split(' ');
    let mut command: Command = super::privileged(words.next().unwrap_or_default());
    // It is thrown away with the target directory: nothing of it has to outlive a power cut.
    command.args(["--quiet", "--dpkgopt=force-unsafe-io"]);
    run(command.args(words).arg(&unfinished))?;
    // The option is for making it, not for what is installed later.
    std::fs::rename(&unfinished, &root).map_err(|why| format!("{}: {why}", root.display()))?;
    std::fs::write(&stamp, MADE_WITH).map_err(|why| format!("{}: {why}", stamp.display()))?;
    Ok(root)
}
