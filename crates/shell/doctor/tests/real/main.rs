//! The doctor on real servers under the real supervisord: each is found, mended by what the report says, and healthy then.

mod apps;
mod clean;
#[path = "../common/mod.rs"]
mod common;
mod cured;
mod named;
mod restarts;

use std::fs;
use std::process::Command;

use common::doctor;
use common::site::{Site, bad, until};

/// Touches a file of the program until its log tells of the restart.
fn touch(site: &Site, name: &str, sign: &str) {
    let text = fs::read_to_string(site.path("app").join(name)).expect("is read");
    let before = site.logs().matches(sign).count();
    let mut times = 0u32;
    until("the reloader notices", || {
        if times.is_multiple_of(100) {
            fs::write(site.path("app").join(name), format!("{text}\n")).expect("written");
        }
        times += 1;
        (site.logs().matches(sign).count() > before).then_some(())
    });
    site.answers();
}

/// What `--fix CODE` and then the printed command do; the touch test must pass with the same pid.
fn cure(site: &Site, code: &str) {
    let finding = site.finding(code);
    let fix = finding["fix"].as_str().expect("a fix");
    let (ours, command) = fix.split_once(" && ").expect("two commands");
    assert_eq!(
        ours,
        format!("steadfast doctor -c {} --fix {code}", site.config())
    );
    let said = doctor(&["-c", &site.config(), "--fix", code]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert!(
        said.err.contains(&format!("then run: {command}")),
        "{}",
        said.err
    );
    let old = site.pid();
    let status = Command::new("sh")
        .arg("-c")
        .arg(command)
        .status()
        .expect("sh runs");
    assert!(status.success(), "{command}");
    until("a new process", || (site.pid() != old).then_some(()));
    site.answers();
}

/// A touch test that must pass with the same pid, and nothing of warning or above.
fn healthy(site: &Site) {
    until("it answers its health check", || {
        bad(&site.report(&["--select", "SF4"]))
            .is_empty()
            .then_some(())
    });
    stays(site, &[], &[]);
}

/// A touch test that must pass with the same pid; nothing but these of warning or above.
fn stays(site: &Site, left: &[&str], words: &[&str]) {
    let pid = site.pid();
    let report = site.report(&[words, &["--live"]].concat());
    assert_eq!(bad(&report), left, "{}", site.text());
    let list = report["checklist"].as_array().expect("a checklist");
    let point = list
        .iter()
        .find(|p| p["name"] == "file changes do not restart");
    let point = point.expect("the point");
    assert_eq!(point["state"], "yes", "{report}");
    let words = point["evidence"].as_str().unwrap_or("");
    assert!(words.contains(&format!("pid {pid} stayed")), "{words}");
    let touched = &report["live"]["touched"][0];
    assert_eq!(
        (&touched["pid"], &touched["restarted"]),
        (&pid.into(), &false.into())
    );
    assert!(
        touched["up_s"].as_u64() > touched["up_before_s"].as_u64(),
        "{touched}"
    );
    assert_eq!(site.pid(), pid);
    let left: Vec<_> = fs::read_dir(site.path("app"))
        .expect("listed")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert!(
        !left
            .iter()
            .any(|n| n.to_string_lossy().starts_with("steadfast_touch")),
        "{left:?}"
    );
}
