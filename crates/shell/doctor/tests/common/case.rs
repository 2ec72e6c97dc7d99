//! A case of the corpus: one text that holds its files and what must be found.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A case of the corpus.
pub(crate) struct Case {
    pub(crate) expect: Vec<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) fixed: Option<Vec<String>>,
}

fn codes(text: &str) -> Vec<String> {
    text.split([',', ' '])
        .filter(|c| !c.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Reads a case and writes its files.
pub(crate) fn lay_out(text: &str, dir: &Path) -> Case {
    let mut case = Case {
        expect: Vec::new(),
        notes: Vec::new(),
        fixed: None,
    };
    let (head, files) = text.split_once("--- ").expect("a case has files");
    for line in head.lines() {
        match line.split_once(':') {
            Some(("expect", rest)) => case.expect = codes(rest),
            Some(("notes", rest)) => case.notes = codes(rest),
            Some(("fixed", rest)) => case.fixed = Some(codes(rest)),
            _ => panic!("not a line of a case: {line}"),
        }
    }
    for file in files.split("\n--- ") {
        let (name, body) = file.split_once('\n').expect("a file has a name");
        let (name, mode) = name.split_once(' ').unwrap_or((name, ""));
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("lies in the directory")).expect("made");
        fs::write(&path, format!("{}\n", body.trim_end_matches('\n'))).expect("written");
        let mode = match mode {
            "" if name.ends_with(".env") => 0o600,
            "" => 0o644,
            octal => u32::from_str_radix(octal, 8).expect("a mode"),
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
    }
    case
}
