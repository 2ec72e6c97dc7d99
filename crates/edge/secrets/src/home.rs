//! Will a file still be there after the next boot or deploy?

use std::path::Path;

/// A place that does not last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volatile {
    /// In memory: gone at the next boot.
    Memory,
    /// In a container's own layer: gone when the container is made anew.
    ContainerLayer,
}

impl std::fmt::Display for Volatile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory => "in memory (tmpfs): it is gone at the next boot",
            Self::ContainerLayer => {
                "in the container's own layer: it is gone when the container is made anew"
            }
        })
    }
}

/// File system types, from linux/magic.h.
const TMPFS_MAGIC: i64 = 0x0102_1994;
const RAMFS_MAGIC: i64 = 0x8584_58f6;
const OVERLAYFS_SUPER_MAGIC: i64 = 0x794c_7630;

/// Looks at the file system of a path, or of the nearest directory above it that exists.
pub(crate) fn volatile(path: &Path) -> Option<Volatile> {
    let existing = path.ancestors().find(|p| p.exists())?;
    let stat = rustix::fs::statfs(existing).ok()?;
    kind(stat.f_type)
}

fn kind(magic: i64) -> Option<Volatile> {
    match magic {
        TMPFS_MAGIC | RAMFS_MAGIC => Some(Volatile::Memory),
        OVERLAYFS_SUPER_MAGIC => Some(Volatile::ContainerLayer),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_that_do_not_last() {
        assert_eq!(
            volatile(Path::new("/dev/shm/no/such/file")),
            Some(Volatile::Memory)
        );
        assert_eq!(kind(OVERLAYFS_SUPER_MAGIC), Some(Volatile::ContainerLayer));
        assert_eq!(kind(0xef53), None);
    }
}
