//! The corpus: small configurations with what must and what must not be found in each, and what is left after `--fix`.
//!
//! A case is one text: `expect:` the codes of warning and above, exactly; `notes:` codes that must (`!SF…`: must not) be there as notes;
//! `fixed:` what is left of `expect` after `--fix`. Then files: `--- path [mode]`.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::case::lay_out;
use common::{doctor, findings};

fn at_least_warnings(all: &[(String, String)]) -> Vec<String> {
    // Where the tests' own directory lies is not what a case is about.
    let mut codes: Vec<String> = all
        .iter()
        .filter(|(c, s)| s != "note" && c != "SF209")
        .map(|(c, _)| c.clone())
        .collect();
    codes.sort();
    codes.dedup();
    codes
}

/// What must hold of every report.
fn readable(name: &str, text: &str) {
    for line in text.lines() {
        assert!(!line.contains(|c: char| c.is_control()), "{name}: {line:?}");
        // What is there to be copied is not wrapped.
        let copied = ["  fix: ", "written: ", "  the old one: "]
            .iter()
            .any(|w| line.starts_with(w));
        assert!(copied || line.chars().count() < 100, "{name}: {line}");
    }
    for secret in [
        "8d1f5b2c9a7e4630",
        "4037a6e9d2c5f8b1",
        "09d25e094faa6ca2",
        "k3J9dQ77",
        "abcdefghijklmnopqrstuvwxyz",
    ] {
        assert!(!text.contains(secret), "{name} shows a key");
    }
}

fn check(path: &Path) -> Result<(), String> {
    let name = path
        .file_stem()
        .expect("has a name")
        .to_string_lossy()
        .into_owned();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let case = lay_out(&fs::read_to_string(path).expect("is read"), dir.path());
    let config = dir.path().join("supervisord.conf").display().to_string();
    // Those of containers: what of them is on this machine must make no difference.
    let elsewhere = name.starts_with("wild_").then_some("--files-only");
    let words: Vec<&str> = elsewhere.into_iter().chain(["-c", &config]).collect();
    let said = doctor(&words);
    // How deep the tests' own directory lies makes no line too long.
    let here = dir.path().display().to_string();
    readable(&name, &said.out.replace(&here, "/app/backend"));
    let found = findings(&words);
    let got = at_least_warnings(&found);
    if got != case.expect {
        return Err(format!(
            "{name}: expected {:?}, found {got:?}\n{}",
            case.expect, said.out
        ));
    }
    assert_eq!(said.status, u8::from(!got.is_empty()), "{name}");
    for note in &case.notes {
        let (code, wanted) = note
            .strip_prefix('!')
            .map_or((note.as_str(), true), |c| (c, false));
        if found.iter().any(|(c, _)| c == code) != wanted {
            return Err(format!("{name}: {note}\n{}", said.out));
        }
    }
    let before = snapshot(dir.path());
    doctor(&["-c", &config, "--fix", "--diff"]);
    assert_eq!(
        snapshot(dir.path()),
        before,
        "{name}: --diff wrote something"
    );
    let Some(left) = case.fixed else {
        return Ok(());
    };
    let fixed = doctor(&["-c", &config, "--fix"]);
    readable(&name, &fixed.out.replace(&here, "/app/backend"));
    let got = at_least_warnings(&findings(&["-c", &config]));
    if got != left {
        return Err(format!(
            "{name}: after --fix {got:?} is left, expected {left:?}\n{}{}",
            fixed.out, fixed.err
        ));
    }
    let once = snapshot(dir.path());
    let again = doctor(&["-c", &config, "--fix"]);
    assert_eq!(
        snapshot(dir.path()),
        once,
        "{name}: --fix is not idempotent: {}",
        again.err
    );
    Ok(())
}

/// Every file with its content.
fn snapshot(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut queue = vec![dir.to_path_buf()];
    while let Some(here) = queue.pop() {
        for entry in fs::read_dir(here).expect("is listed").flatten() {
            if entry.path().is_dir() {
                queue.push(entry.path());
            } else {
                all.push((
                    entry.path().display().to_string(),
                    fs::read(entry.path()).unwrap_or_default(),
                ));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn every_case_is_found_and_nothing_else() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut cases: Vec<_> = fs::read_dir(dir)
        .expect("is there")
        .flatten()
        .map(|e| e.path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(|path| check(path).err()).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn comments_and_layout_survive_a_fix() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let config = dir.path().join("supervisord.conf");
    let text = "; the head\r\n[program:a]\r\n; why\r\ncommand   =   uvicorn a:b  --port 1   --reload   ; tail\r\nenvironment = A=\"1\",\r\n   UVICORN_RELOAD=\"1\",\r\n   B=\"2\" ; c\r\n\r\n";
    fs::write(&config, text).expect("written");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o640)).expect("set");
    let shown = config.display().to_string();
    assert_eq!(doctor(&["-c", &shown, "--fix", "SF101"]).status, 0);
    let got = fs::read_to_string(&config).expect("is read");
    assert_eq!(
        got,
        text.replace("   --reload", "")
            .replace("   UVICORN_RELOAD=\"1\",\r\n", "")
    );
    assert_eq!(
        fs::metadata(&config)
            .expect("is there")
            .permissions()
            .mode()
            & 0o777,
        0o640
    );
    let backup = dir.path().join(".supervisord.conf.steadfast-backup-1");
    assert_eq!(fs::read_to_string(&backup).expect("a backup"), text);
    // The flag comes back: that is noticed.
    fs::write(&config, text).expect("written");
    let again = findings(&["-c", &shown]);
    assert!(again.iter().any(|(code, _)| code == "SF303"), "{again:?}");
}

#[test]
fn the_examples_are_clean_and_the_story_is_not() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples");
    let look = |name: &str| {
        at_least_warnings(&findings(&[
            "--files-only",
            "-c",
            &examples.join(name).display().to_string(),
        ]))
    };
    for name in ["fastapi", "node", "gunicorn"] {
        assert_eq!(
            look(&format!("{name}/supervisord.conf")),
            Vec::<String>::new(),
            "{name}"
        );
    }
    assert_eq!(
        look("fastapi/before.conf").first().map(String::as_str),
        Some("SF101")
    );
}
