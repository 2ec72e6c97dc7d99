//! The same files, read by the real Supervisor 4.3 and by us: every field of every process must be the same, or both refuse.
//!
//! The real one runs in the Python that `STEADFAST_PY` names (`cargo xtask test` sets it). The configurations are the corpus, and
//! some hundred put together at random, many of them mutilated afterwards.

#[path = "../common/mod.rs"]
mod common;
mod disk;
mod dump;
mod generate;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use conf::{Environment, Loaded, load};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use disk::Disk;
use dump::difference;
use generate::configuration;

/// Configurations made at random.
const GENERATED: usize = 2000;

/// The environment of both readers.
fn variables() -> BTreeMap<String, String> {
    let pairs = [
        ("HOME", "/root"),
        ("PATH", "/usr/bin:/bin"),
        ("PORT", "8001"),
        ("PERCENT", "a%b"),
        ("WORD", "two words"),
        ("API_TOKEN", "hunter4"),
        ("LC_ALL", "C.UTF-8"),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

/// Has the real one read files; answers one value for each.
fn real(cwd: &Path, paths: &[PathBuf]) -> (String, Vec<Value>) {
    let python =
        std::env::var("STEADFAST_PY").expect("STEADFAST_PY is not set; run cargo xtask test");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_supervisor/dump.py");
    let mut child = Command::new(python)
        .arg(script)
        .current_dir(cwd)
        .env_clear()
        .envs(variables())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut stdin = child.stdin.take().expect("piped");
    let list: String = paths
        .iter()
        .map(|path| format!("{}\n", path.display()))
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(list.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it read the list");
    let mut answers = String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect::<Vec<Value>>();
    let node = answers.remove(0)["node"]
        .as_str()
        .expect("a name")
        .to_string();
    assert_eq!(answers.len(), paths.len(), "it answered for every file");
    (node, answers)
}

fn ours(cwd: &Path, node: &str, path: &Path) -> Loaded {
    let env = Environment {
        env: variables(),
        cwd: cwd.to_string_lossy().into_owned(),
        hostname: node.to_string(),
    };
    load(&path.to_string_lossy(), &Disk, &env)
}

fn write_case(dir: &Path, files: &[(String, String)]) -> PathBuf {
    for (name, content) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, content).expect("written");
    }
    dir.join(&files[0].0)
}

fn compare(cases: &[common::Case]) {
    let root = tempfile::tempdir().expect("a directory");
    let root = root.path();
    let paths: Vec<PathBuf> = cases
        .iter()
        .enumerate()
        .map(|(i, case)| write_case(&root.join(format!("case{i}")), &case.files))
        .collect();
    let (node, answers) = real(root, &paths);
    let mut agreed = 0;
    let mut wrong = Vec::new();
    for ((case, path), answer) in cases.iter().zip(&paths).zip(answers) {
        agreed += usize::from(answer.get("refused").is_none());
        let loaded = ours(root, &node, path);
        if let Some(difference) = difference(&loaded, answer, case.stricter, case.partly) {
            wrong.push(format!(
                "--- {}\n{difference}\n{}",
                case.name,
                case.files
                    .iter()
                    .map(|(n, c)| format!("=== {n}\n{c}\n"))
                    .collect::<String>()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong.iter().take(6).cloned().collect::<String>()
    );
    assert!(
        agreed * 3 >= cases.len(),
        "the real one accepted only {agreed} of {}: the comparison says little",
        cases.len()
    );
}

#[test]
fn the_corpus_means_the_same() {
    compare(&common::corpus());
}

/// Whether a line may be a section without its closing bracket, which we refuse and Python takes for a key.
fn unclosed(files: &[(String, String)]) -> bool {
    let lines = || files.iter().flat_map(|(_, content)| content.lines());
    lines().any(|line| line.starts_with('[') && !line.contains(']'))
}

#[test]
fn generated_files_mean_the_same() {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let strategy = configuration();
    let cases: Vec<_> = (0..GENERATED)
        .map(|i| {
            let files = strategy.new_tree(&mut runner).expect("a value").current();
            common::Case {
                name: format!("generated {i}"),
                stricter: unclosed(&files),
                partly: false,
                files,
            }
        })
        .collect();
    compare(&cases);
}
