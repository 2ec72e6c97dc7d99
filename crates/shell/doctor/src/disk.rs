//! The file system as the doctor sees it: regular files only, bounded, with changes laid over it that are not written yet.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use conf::{Account, DirEntry, Files, Kind, ReadError};

/// Names listed of one directory: a directory of uploads has more, a directory of configurations does not.
const DIR_ENTRIES_MAX: usize = 20_000;

/// The file system.
#[derive(Debug, Default, Clone)]
pub(crate) struct Disk {
    /// Files as they would be after a fix.
    pub(crate) overlay: BTreeMap<PathBuf, Vec<u8>>,
}

impl Disk {
    /// A regular file as text, at most `bytes_max` of it; `None` if it is not there, may not be read, is larger or is not text.
    pub(crate) fn text(&self, path: &Path, bytes_max: u64) -> Option<String> {
        let bytes = self.bytes(path, bytes_max).ok()?;
        String::from_utf8(bytes).ok().filter(|t| !t.contains('\0'))
    }

    pub(crate) fn bytes(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
        if let Some(bytes) = self.overlay.get(path) {
            return Ok(bytes.clone());
        }
        whole(open(path)?, bytes_max)
    }

    /// The text of a file that is going to be changed. As root not through somebody's link to what is not his: it would be
    /// written into a file of his, if he puts one there meanwhile.
    pub(crate) fn own_text(&self, path: &Path, bytes_max: u64) -> Result<String, String> {
        let bytes = match self.overlay.get(path) {
            Some(bytes) => Ok(bytes.clone()),
            None => match sys::files::regular(path) {
                Ok(file) => whole(file, bytes_max),
                Err(why) => return Err(format!("{} cannot be read: {why}", path.display())),
            },
        };
        let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        text.filter(|text| !text.contains('\0'))
            .ok_or_else(|| format!("{} cannot be read", path.display()))
    }

    pub(crate) fn is_file(&self, path: &Path) -> bool {
        self.overlay.contains_key(path) || path.is_file()
    }
}

fn whole(file: fs::File, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|e| ReadError::Other(e.kind().to_string()))?;
    if bytes.len() as u64 > bytes_max {
        return Err(ReadError::TooLarge);
    }
    Ok(bytes)
}

/// Opens a regular file. Never waits: a FIFO or a device is refused, also one that takes the place of the file meanwhile.
pub(crate) fn open(path: &Path) -> Result<fs::File, ReadError> {
    let words = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => ReadError::NotFound,
        std::io::ErrorKind::PermissionDenied => ReadError::Denied,
        kind => ReadError::Other(kind.to_string()),
    };
    if !fs::metadata(path).map_err(words)?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(words)?;
    if file.metadata().map_err(words)?.is_file() {
        Ok(file)
    } else {
        Err(ReadError::NotAFile)
    }
}

/// The end of a file, at most `bytes_max`, from the first whole line on, and the size of the whole.
pub(crate) fn tail(path: &Path, bytes_max: u64) -> Result<(String, u64), ReadError> {
    let words = |e: std::io::Error| ReadError::Other(e.kind().to_string());
    let mut file = open(path)?;
    let size = file.metadata().map_err(words)?.len();
    let from = size.saturating_sub(bytes_max);
    file.seek(SeekFrom::Start(from)).map_err(words)?;
    let mut bytes = Vec::new();
    file.take(bytes_max)
        .read_to_end(&mut bytes)
        .map_err(words)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = if from > 0 {
        text.split_once('\n').map_or("", |(_, rest)| rest)
    } else {
        &text
    };
    Ok((text.to_string(), size))
}

impl Files for Disk {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
        self.bytes(Path::new(path), bytes_max)
    }

    fn list(&self, dir: &str) -> Vec<DirEntry> {
        let entry = |entry: fs::DirEntry| DirEntry {
            name: entry.file_name().to_string_lossy().into_owned(),
            is_dir: entry.path().is_dir(),
        };
        let Ok(entries) = fs::read_dir(dir) else {
            return Vec::new();
        };
        entries.take(DIR_ENTRIES_MAX).flatten().map(entry).collect()
    }

    fn kind(&self, path: &str) -> Option<Kind> {
        if self.overlay.contains_key(Path::new(path)) {
            return Some(Kind::File);
        }
        let meta = fs::metadata(path).ok()?;
        Some(if meta.is_dir() { Kind::Dir } else { Kind::File })
    }

    fn account(&self, user: &str) -> Option<Account> {
        let user = sys::users::lookup(user).ok()??;
        Some(Account {
            name: user.name,
            uid: user.uid,
            gid: user.gid,
            home: user.home,
        })
    }

    fn group_id(&self, group: &str) -> Option<u32> {
        sys::users::group(group).ok()?
    }
}

/// The file system of the machine that a configuration is for, which need not be this one: the users and directories that it
/// names are there.
#[derive(Debug)]
pub(crate) struct Elsewhere<'a>(pub(crate) &'a Disk);

/// Ids that no account of this machine has are handed out from here on.
const ELSEWHERE_ID_MIN: u32 = 0x7000_0000;

impl Elsewhere<'_> {
    /// The same id for the same name.
    fn id(name: &str) -> u32 {
        let sum = name.bytes().fold(7u32, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        name.parse()
            .unwrap_or(ELSEWHERE_ID_MIN + (sum & 0x00ff_ffff))
    }
}

impl Files for Elsewhere<'_> {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
        self.0.read(path, bytes_max)
    }

    fn list(&self, dir: &str) -> Vec<DirEntry> {
        self.0.list(dir)
    }

    fn kind(&self, path: &str) -> Option<Kind> {
        self.0.kind(path).or(Some(Kind::Dir))
    }

    fn account(&self, user: &str) -> Option<Account> {
        let id = Elsewhere::id(user);
        self.0.account(user).or_else(|| {
            Some(Account {
                name: user.to_owned(),
                uid: id,
                gid: id,
                home: format!("/home/{user}"),
            })
        })
    }

    fn group_id(&self, group: &str) -> Option<u32> {
        self.0.group_id(group).or(Some(Elsewhere::id(group)))
    }
}

/// A line of a text (counted from 1), without its end.
pub(crate) fn line_of(text: &str, line: u32) -> &str {
    text.lines()
        .nth(line.saturating_sub(1) as usize)
        .unwrap_or("")
}

/// A span of the bytes `range` of `text`, which lie in one line; what runs on is marked to the end of the first.
pub(crate) fn span_in(file: &str, text: &str, range: std::ops::Range<usize>) -> finding::Span {
    let start = floor(text, range.start);
    let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[..begin].bytes().filter(|b| *b == b'\n').count() + 1;
    let end = text[begin..].find('\n').map_or(text.len(), |at| begin + at);
    let shown = text[begin..end].trim_end_matches('\r');
    let column = text[begin..start].chars().count() + 1;
    let stop = floor(text, range.end.min(end)).max(start);
    let length = text[start..stop].chars().count();
    finding::Span::line(file, u32::try_from(line).unwrap_or(u32::MAX), shown).marked(
        u32::try_from(column).unwrap_or(u32::MAX),
        u32::try_from(length).unwrap_or(u32::MAX),
    )
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|i| text.is_char_boundary(*i))
        .unwrap_or(0)
}
