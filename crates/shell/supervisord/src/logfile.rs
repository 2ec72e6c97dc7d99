//! Bytes of a log file, by the rules of Supervisor's `readFile` and `tailFile` (options.py). Files that are not
//! regular (a log on `/dev/stdout`) have no bytes to read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes that one read gives at most. Supervisor has no bound and reads a 50 MB log into memory; as the longest
/// answer this is beyond what anybody reads, and a client that wants more asks again with an offset.
pub const READ_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why there are no bytes; the names are those of Supervisor's faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// A negative length, or a length with a negative offset.
    BadArguments,
    /// It could not be read.
    Failed,
}

/// What [`tail`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// The bytes, as text.
    pub text: String,
    /// The end of the log.
    pub offset: i64,
    /// There was more before them than asked for.
    pub overflow: bool,
}

/// Whether there is a log at `path` (empty = there is none).
pub fn exists(path: &str) -> bool {
    !path.is_empty() && std::path::Path::new(path).exists()
}

/// `length` bytes from `offset` on (0 = all); with a negative offset so many from the end, and then `length` must
/// be 0. Bytes that are not UTF-8 are shown as U+FFFD.
pub fn read(path: &str, offset: i64, length: i64) -> Result<String, ReadError> {
    if length < 0 || (offset < 0 && length != 0) {
        return Err(ReadError::BadArguments);
    }
    let failed = |_| ReadError::Failed;
    let (mut file, size) = open(path).map_err(failed)?;
    let (from, count) = match offset {
        ..0 => {
            let back = offset.unsigned_abs().min(READ_BYTES_MAX);
            (size.saturating_sub(back), back)
        }
        _ if length == 0 => (offset.unsigned_abs(), READ_BYTES_MAX),
        _ => (
            offset.unsigned_abs(),
            length.unsigned_abs().min(READ_BYTES_MAX),
        ),
    };
    bytes(&mut file, from, count).map_err(failed)
}

/// Supervisor's tail: `length` bytes from `offset` on if that reaches the end of the log; if the log has grown
/// beyond, the last `length` bytes and an overflow. A log that cannot be read is an empty one.
pub fn tail(path: &str, offset: i64, length: i64) -> Tail {
    let nothing = |offset| Tail {
        offset,
        ..Tail::default()
    };
    if !exists(path) {
        return nothing(0);
    }
    let Ok((mut file, size)) = open(path) else {
        return nothing(offset);
    };
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let (mut from, mut count) = (offset, length);
    let overflow = size > from.saturating_add(count);
    if overflow {
        from = size - 1;
    }
    if from.saturating_add(count) > size {
        if from > size - 1 {
            count = 0;
        }
        from = size.saturating_sub(count);
    }
    let from = from.max(0).unsigned_abs();
    let count = count.max(0).unsigned_abs().min(READ_BYTES_MAX);
    match bytes(&mut file, from, count) {
        Ok(text) => Tail {
            text,
            offset: size,
            overflow,
        },
        Err(_) => nothing(offset),
    }
}

/// Only regular files: opening a pipe would wait for its other end. Its directory may be its program's user's: a link of
/// his to what is not his would show that to whoever may read logs.
fn open(path: &str) -> io::Result<(File, u64)> {
    let file = sys::files::regular(path.as_ref())?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

fn bytes(file: &mut File, from: u64, count: u64) -> io::Result<String> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("log");
        std::fs::write(&path, text).expect("write");
        let path = path.to_str().expect("path").to_owned();
        (dir, path)
    }

    #[test]
    fn reads() {
        let (_dir, path) = log("0123456789");
        let read = |offset, length| read(&path, offset, length);
        assert_eq!(read(0, 0), Ok("0123456789".into()));
        assert_eq!(read(4, 3), Ok("456".into()));
        assert_eq!(read(4, 0), Ok("456789".into()));
        assert_eq!(read(-3, 0), Ok("789".into()));
        assert_eq!(read(-30, 0), Ok("0123456789".into()));
        assert_eq!(read(30, 5), Ok(String::new()));
        assert_eq!(read(-3, 1), Err(ReadError::BadArguments));
        assert_eq!(read(0, -1), Err(ReadError::BadArguments));
        assert_eq!(read(i64::MIN, 0), Ok("0123456789".into()));
        assert_eq!(super::read("/dev/null", 0, 0), Err(ReadError::Failed));
        assert_eq!(super::read("/nonexistent", 0, 0), Err(ReadError::Failed));
    }

    /// The expectations are what Supervisor's tailFile answers for the same arguments.
    #[test]
    fn tails() {
        let (_dir, path) = log("0123456789");
        let tail = |offset, length| {
            let tail = tail(&path, offset, length);
            (tail.text, tail.offset, tail.overflow)
        };
        assert_eq!(tail(0, 4), ("6789".into(), 10, true));
        assert_eq!(tail(0, 10), ("0123456789".into(), 10, false));
        assert_eq!(tail(5, 5), ("56789".into(), 10, false));
        assert_eq!(tail(8, 5), ("56789".into(), 10, false));
        assert_eq!(tail(10, 5), (String::new(), 10, false));
        assert_eq!(tail(0, 0), (String::new(), 10, true));
        assert_eq!(tail(-20, 5), ("56789".into(), 10, true));
        assert_eq!(super::tail("/nonexistent", 7, 5), Tail::default());
    }

    #[test]
    fn a_link_shows_only_what_is_its_makers() {
        use std::os::unix::fs::{MetadataExt, lchown, symlink};
        let (dir, real) = log("precious");
        let link = dir.path().join("link");
        symlink(&real, &link).expect("linked");
        let link = link.to_str().expect("path");
        assert_eq!(read(link, 0, 0), Ok("precious".to_owned()));
        if std::fs::metadata(&real).expect("there").uid() != 0 {
            return;
        }
        lchown(link, Some(4_000_001), None).expect("given");
        assert_eq!(read(link, 0, 0), Err(ReadError::Failed));
        assert_eq!(tail(link, 0, 100).text, "");
        lchown(&real, Some(4_000_001), None).expect("given");
        assert_eq!(read(link, 0, 0), Ok("precious".to_owned()));
    }
}
