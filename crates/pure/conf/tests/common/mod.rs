//! What the tests share: cases of the corpus, and the machine they run on.

use std::fs;
use std::path::{Path, PathBuf};

/// A configuration of the corpus: files by name, the first one is the main file.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Ours refuses it, the real one does not: one of the differences that the crate's documentation names.
    pub(crate) stricter: bool,
    /// It has sections that we leave out, so that the models differ: only that both accept it is compared.
    pub(crate) partly: bool,
    pub(crate) files: Vec<(String, String)>,
}

pub(crate) fn corpus_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// Every case: files `NAME.txt` in which `=== file` begins a file; before the first one, words about the case.
pub(crate) fn corpus() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = fs::read_dir(corpus_dir())
        .expect("the corpus is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 30, "the corpus has {} cases", paths.len());
    paths.iter().map(|path| case(path)).collect()
}

fn case(path: &Path) -> Case {
    let text = fs::read_to_string(path).expect("text");
    let mut head = String::new();
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        match (line.strip_prefix("=== "), files.last_mut()) {
            (Some(name), _) => files.push((name.trim().to_string(), String::new())),
            (None, Some((_, content))) => content.push_str(line),
            (None, None) => head.push_str(line),
        }
    }
    // What an editor would not keep: <TAB>, <CR>, <BOM>, <ESC>, <RLO>.
    let marks = [
        ("<TAB>", "\t"),
        ("<CR>", "\r"),
        ("<BOM>", "\u{feff}"),
        ("<ESC>", "\x1b"),
        ("<RLO>", "\u{202e}"),
        ("<NBSP>", "\u{a0}"),
    ];
    for (_, content) in &mut files {
        for (mark, character) in marks {
            *content = content.replace(mark, character);
        }
    }
    let name = path
        .file_stem()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    Case {
        name,
        stricter: head.contains("stricter"),
        partly: head.contains("partly"),
        files,
    }
}
