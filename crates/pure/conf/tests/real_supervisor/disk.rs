//! The machine that the tests run on.

use std::fs;

use conf::{Account, DirEntry, Files, Kind, ReadError};

/// The machine as it is.
pub(crate) struct Disk;

impl Files for Disk {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
        let meta = fs::metadata(path).map_err(|_| ReadError::NotFound)?;
        if !meta.is_file() {
            return Err(ReadError::NotAFile);
        }
        if meta.len() > bytes_max {
            return Err(ReadError::TooLarge);
        }
        fs::read(path).map_err(|_| ReadError::Denied)
    }

    fn list(&self, dir: &str) -> Vec<DirEntry> {
        let Ok(entries) = fs::read_dir(dir) else {
            return Vec::new();
        };
        entries
            .flatten()
            .map(|entry| DirEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_dir: entry.path().is_dir(),
            })
            .collect()
    }

    fn kind(&self, path: &str) -> Option<Kind> {
        let meta = fs::metadata(path).ok()?;
        Some(if meta.is_dir() { Kind::Dir } else { Kind::File })
    }

    fn account(&self, user: &str) -> Option<Account> {
        lines_of("/etc/passwd").into_iter().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, gid, _, home, ..] = fields.as_slice() else {
                return None;
            };
            (*name == user || *uid == user).then(|| Account {
                name: (*name).to_string(),
                uid: uid.parse().expect("a number"),
                gid: gid.parse().expect("a number"),
                home: (*home).to_string(),
            })
        })
    }

    fn group_id(&self, group: &str) -> Option<u32> {
        lines_of("/etc/group").into_iter().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, gid, ..] = fields.as_slice() else {
                return None;
            };
            (*name == group || *gid == group).then(|| gid.parse().expect("a number"))
        })
    }
}

fn lines_of(path: &str) -> Vec<String> {
    fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .map(str::to_string)
        .collect()
}
