//! Where the ledger is: a segment that is written, and the one before it.

use std::path::{Path, PathBuf};

/// Name of the file in the state directory; the segment before it has `.1` behind.
pub const FILE_NAME: &str = "ledger.jsonl";
/// Bytes at which a segment is full. At some 400 bytes a line that is 10,000 lines, months of ordinary life or a
/// day of the worst crash loop; two segments are read in well under 100 ms.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Path of the older segment.
pub(crate) fn old_path(dir: &Path) -> PathBuf {
    dir.join(format!("{FILE_NAME}.1"))
}
