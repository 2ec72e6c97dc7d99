//! What a jar holds, by its table of contents alone: the end of the file, never the classes in it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::disk;

/// The end record and the longest comment that may follow it (APPNOTE.TXT 4.3.16).
const END_BYTES_MAX: u64 = 22 + 0xffff;
/// A table of contents: an application of 20,000 classes and libraries has some 2 MB.
const TABLE_BYTES_MAX: u64 = 8 << 20;
/// Entries that are looked at.
const ENTRIES_MAX: usize = 100_000;
/// The library that restarts an application whenever its classes change.
const DEVTOOLS: &str = "spring-boot-devtools-";

/// The entry of Spring's developer tools in a jar, if it has them.
pub(crate) fn devtools(path: &Path) -> Option<String> {
    names(path)?.into_iter().find(|name| {
        let file = name.rsplit('/').next().unwrap_or(name);
        file.starts_with(DEVTOOLS) && file.ends_with(".jar")
    })
}

/// The names of all entries; `None` if it is no jar, or one that needs more than we read.
fn names(path: &Path) -> Option<Vec<String>> {
    let mut file = disk::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    let from = size.saturating_sub(END_BYTES_MAX);
    let end = bytes(&mut file, from, END_BYTES_MAX)?;
    let at = end.windows(4).rposition(|w| w == b"PK\x05\x06")?;
    let table_bytes = u64::from(number(&end, at + 12, 4)?);
    let table_at = u64::from(number(&end, at + 16, 4)?);
    if table_bytes > TABLE_BYTES_MAX {
        return None;
    }
    let table = bytes(&mut file, table_at, table_bytes)?;
    let mut names = Vec::new();
    let mut rest = table.as_slice();
    while rest.starts_with(b"PK\x01\x02") && names.len() < ENTRIES_MAX {
        let length = |at: usize| Some(number(rest, at, 2)? as usize);
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        let text = rest.get(46..46 + name)?;
        names.push(String::from_utf8_lossy(text).into_owned());
        rest = rest.get(46 + name + extra + comment..)?;
    }
    Some(names)
}

fn bytes(file: &mut File, from: u64, bytes_max: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from)).ok()?;
    file.take(bytes_max).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A number of 2 or 4 bytes, the least of them first.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    let part = bytes.get(at..at.checked_add(length)?)?;
    Some(part.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A jar with these entries, all of them empty.
    fn jar(names: &[&str]) -> Vec<u8> {
        let mut table = Vec::new();
        for name in names {
            let length = u16::try_from(name.len()).expect("short");
            table.extend_from_slice(b"PK\x01\x02");
            table.extend_from_slice(&[0; 24]);
            table.extend_from_slice(&length.to_le_bytes());
            table.extend_from_slice(&[0; 16]);
            table.extend_from_slice(name.as_bytes());
        }
        let mut jar = b"front".to_vec();
        let at = u32::try_from(jar.len()).expect("short");
        let size = u32::try_from(table.len()).expect("short");
        jar.extend_from_slice(&table);
        jar.extend_from_slice(b"PK\x05\x06");
        jar.extend_from_slice(&[0; 8]);
        jar.extend_from_slice(&size.to_le_bytes());
        jar.extend_from_slice(&at.to_le_bytes());
        jar.extend_from_slice(&[0; 2]);
        jar
    }

    #[test]
    fn the_table_of_contents_tells() {
        let dir = std::env::temp_dir().join(format!("steadfast-jars-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("made");
        let look = |bytes: &[u8]| {
            let path = dir.join("a.jar");
            std::fs::write(&path, bytes).expect("written");
            devtools(&path)
        };
        let with = jar(&["a.class", "BOOT-INF/lib/spring-boot-devtools-3.4.1.jar"]);
        assert_eq!(
            look(&with).as_deref(),
            Some("BOOT-INF/lib/spring-boot-devtools-3.4.1.jar")
        );
        assert_eq!(look(&jar(&["BOOT-INF/lib/spring-boot-3.4.1.jar"])), None);
        // Cut short, or no jar at all.
        for cut in [0, 4, 30] {
            assert_eq!(look(&with[..cut]), None, "{cut}");
        }
        assert_eq!(devtools(&dir), None);
        std::fs::remove_dir_all(&dir).expect("gone");
    }
}
