//! Configurations: whatever a file holds, it is read to an end, the same each time, and its text is kept to the byte.

use conf::{Account, DirEntry, Environment, Files, Kind, ReadError};
use std::collections::BTreeMap;

/// A machine with one file, and one that it may include.
struct Machine<'a> {
    main: &'a [u8],
    included: &'a [u8],
}

impl Files for Machine<'_> {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
        let bytes = match path {
            "/etc/supervisord.conf" => self.main,
            "/etc/conf.d/a.conf" => self.included,
            _ => return Err(ReadError::NotFound),
        };
        if bytes.len() as u64 > bytes_max {
            return Err(ReadError::TooLarge);
        }
        Ok(bytes.to_vec())
    }
    fn list(&self, dir: &str) -> Vec<DirEntry> {
        let entry = |name: &str, is_dir| DirEntry {
            name: name.to_owned(),
            is_dir,
        };
        match dir {
            "/etc" => vec![entry("supervisord.conf", false), entry("conf.d", true)],
            "/etc/conf.d" => vec![entry("a.conf", false)],
            _ => vec![],
        }
    }
    fn kind(&self, path: &str) -> Option<Kind> {
        match path {
            "/etc/supervisord.conf" | "/etc/conf.d/a.conf" => Some(Kind::File),
            "/" | "/etc" | "/etc/conf.d" | "/tmp" => Some(Kind::Dir),
            _ => None,
        }
    }
    fn account(&self, user: &str) -> Option<Account> {
        (user == "root").then(|| Account {
            name: "root".to_owned(),
            uid: 0,
            gid: 0,
            home: "/root".to_owned(),
        })
    }
    fn group_id(&self, group: &str) -> Option<u32> {
        (group == "root").then_some(0)
    }
}

/// See the README. The first byte says where the main file ends and the included one begins.
pub fn conf(data: &[u8]) {
    let Some((&first, bytes)) = data.split_first() else {
        return;
    };
    let cut = bytes.len() - usize::from(first).min(bytes.len());
    let (main, included) = bytes.split_at(cut);
    let machine = Machine { main, included };
    let environment = Environment {
        env: BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]),
        cwd: "/etc".to_owned(),
        hostname: "host".to_owned(),
    };
    let read = || conf::load("/etc/supervisord.conf", &machine, &environment);
    let loaded = read();
    assert!(!loaded.unreadable, "the file is there");
    for file in &loaded.tree {
        let bytes = match file.path.as_str() {
            "/etc/supervisord.conf" => main,
            _ => included,
        };
        assert_eq!(file.bytes(), bytes, "the text is kept to the byte");
    }
    let again = read();
    assert_eq!(loaded.model, again.model, "read twice, it means the same");
    let text = finding::Report::new(loaded.findings.clone()).render_text(100);
    let escapes = |c: char| c.is_control() && c != '\n';
    assert!(
        !text.contains(escapes),
        "a finding carries an escape: {text:?}"
    );
    for program in &loaded.model.programs {
        assert!(!program.name.is_empty(), "a program without a name");
        // `numprocs = 0` is none to Supervisor as well; that is said.
        let said = |finding: &finding::Finding| finding.code == "conf.no-process";
        assert!(
            !program.processes.is_empty() || loaded.findings.iter().any(said),
            "a program without a process"
        );
    }
}
