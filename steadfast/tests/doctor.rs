//! The doctor through the binary: what it prints can be pasted, and does what it says.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The binary under test, and its directory in front of PATH.
fn sh(line: &str, dir: &Path) -> Output {
    let exe = Path::new(env!("CARGO_BIN_EXE_steadfast"));
    let own = exe.parent().expect("a directory").display();
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new("sh")
        .args(["-c", line])
        .current_dir(dir)
        .env("PATH", format!("{own}:{path}"))
        .output()
        .expect("sh runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The story's file in a directory of its own, away from the example's code.
fn story(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("doctor-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("made");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/fastapi/before.conf");
    std::fs::copy(example, dir.join("supervisord.conf")).expect("copied");
    dir
}

#[test]
fn the_printed_fix_can_be_pasted() {
    let dir = story("paste");
    let before = sh("steadfast doctor -c supervisord.conf", &dir);
    let out = text(&before.stdout);
    assert_eq!(
        before.status.code(),
        Some(1),
        "{out}{}",
        text(&before.stderr)
    );
    let fix = out
        .lines()
        .find_map(|l| l.strip_prefix("  fix: "))
        .expect("a fix");
    assert!(fix.ends_with("--fix SF101"), "{fix}");
    let fixed = sh(fix, &dir);
    assert_eq!(fixed.status.code(), Some(0), "{}", text(&fixed.stderr));
    let after = sh("steadfast doctor -c supervisord.conf --select SF1", &dir);
    assert_eq!(after.status.code(), Some(0), "{}", text(&after.stdout));
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn every_rule_is_explained() {
    let dir = story("rules");
    let rules = text(&sh("steadfast doctor --rules", &dir).stdout);
    assert!(rules.lines().count() >= 30, "{rules}");
    for line in rules.lines() {
        let code = line.split_whitespace().next().expect("a code");
        let said = sh(&format!("steadfast explain {code}"), &dir);
        let out = text(&said.stdout);
        assert!(
            said.status.success() && out.starts_with(code) && out.contains("why:"),
            "{code}: {out}"
        );
    }
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn an_adopted_file_is_one_that_check_accepts() {
    let dir = story("adopt");
    let shown = sh("steadfast adopt supervisord.conf", &dir);
    let out = text(&shown.stdout);
    assert!(
        shown.status.success() && out.contains("+listen = gateway") && out.contains("--reload"),
        "{out}{}",
        text(&shown.stderr)
    );
    assert!(
        sh("steadfast adopt supervisord.conf --write", &dir)
            .status
            .success()
    );
    let check = sh("steadfast check -c supervisord.conf", &dir);
    assert!(
        check.status.success(),
        "{}{}",
        text(&check.stdout),
        text(&check.stderr)
    );
    let _ = std::fs::remove_dir_all(dir);
}

/// A steadfast that runs until this is dropped.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.0.wait();
    }
}

/// What a line says once it says these words.
fn eventually(line: &str, words: &str, dir: &Path) -> String {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let out = text(&sh(line, dir).stdout);
        if out.contains(words) {
            return out;
        }
        assert!(std::time::Instant::now() < end, "{words}: {out}");
        std::thread::park_timeout(std::time::Duration::from_millis(200));
    }
}

#[test]
fn what_steadfast_runs_is_known_by_its_ledger_and_its_own_commands() {
    let dir = story("ledger");
    let here = dir.display();
    std::fs::create_dir_all(dir.join("app")).expect("made");
    let text = format!(
        "[supervisord]\nlogfile = {here}/s.log\npidfile = {here}/s.pid\nchildlogdir = {here}\n\
         [unix_http_server]\nfile = {here}/s.sock\n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
         [program:backend]\ncommand = sh -c 'echo ValueError; exit 1'\nstartsecs = 0\nautorestart = true\n\
         directory = {here}/app\nstdout_logfile = {here}/out.log\n"
    );
    std::fs::write(dir.join("supervisord.conf"), text).expect("written");
    let runs = Command::new(env!("CARGO_BIN_EXE_steadfast"))
        .args(["run", "-c", "supervisord.conf"])
        .current_dir(&dir)
        .env("STEADFAST_RUN_DIR", dir.join("run"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("runs");
    let _running = Running(runs);
    let line = format!(
        "STEADFAST_RUN_DIR={here}/run steadfast doctor -c supervisord.conf --select SF501,SF308"
    );
    let out = eventually(&line, "unexpected exits in 24 h", &dir);
    assert!(out.contains("ledger, "), "{out}");
    assert!(out.contains("status 1 (crash)"), "{out}");
    drop(_running);
    let _ = std::fs::remove_dir_all(dir);
}

/// Runs a line as somebody who owns nothing; root becomes `nobody` for it.
fn as_nobody(line: &str, dir: &Path) -> Output {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|meta| {
        use std::os::unix::fs::MetadataExt;
        meta.uid() == 0
    });
    let words: &[&str] = match is_root {
        true => &[
            "setpriv",
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--",
        ],
        false => &["env"],
    };
    let (first, rest) = words.split_first().expect("a word");
    Command::new(first)
        .args(rest)
        .args(["sh", "-c", line])
        .current_dir(dir)
        .output()
        .expect("runs")
}

#[test]
fn without_root_it_looks_as_far_as_it_can_and_says_what_it_could_not_see() {
    use std::os::unix::fs::PermissionsExt;
    // Where everybody may go: the target directory may lie below a home.
    let dir = std::env::temp_dir().join(format!("steadfast-doctor-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("app")).expect("made");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&dir, open.clone()).expect("set");
    let exe = dir.join("steadfast");
    if std::fs::hard_link(env!("CARGO_BIN_EXE_steadfast"), &exe).is_err() {
        std::fs::copy(env!("CARGO_BIN_EXE_steadfast"), &exe).expect("copied");
    }
    let text = "[supervisord]\npidfile = %(here)s/s.pid\nlogfile = %(here)s/s.log\n[program:backend]\n\
                command = uvicorn server:app --port 8001 --reload\ndirectory = %(here)s/app\n\
                stdout_logfile = %(here)s/out.log\n";
    std::fs::write(dir.join("supervisord.conf"), text).expect("written");
    std::fs::write(dir.join("out.log"), "INFO: nobody may read this\n").expect("written");
    std::fs::set_permissions(dir.join("out.log"), std::fs::Permissions::from_mode(0o000))
        .expect("set");
    let said = as_nobody("./steadfast doctor -c supervisord.conf", &dir);
    let out = text_of(&said);
    assert_eq!(said.status.code(), Some(1), "{out}");
    assert!(out.contains("SF101"), "{out}");
    assert!(out.contains("out.log (permission denied)"), "{out}");
    // What cannot be read at all is no clean bill of health.
    let config = dir.join("supervisord.conf");
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o000)).expect("set");
    let said = as_nobody("./steadfast doctor -c supervisord.conf", &dir);
    assert_eq!(said.status.code(), Some(2), "{}", text_of(&said));
    // Another user's process: its environment is not seen, and that is said.
    let pid = std::process::id();
    if std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0) {
        let said = as_nobody(&format!("./steadfast doctor --pid {pid}"), &dir);
        let out = text_of(&said);
        assert!(
            out.contains("not seen: the environment and open files of process"),
            "{out}"
        );
    }
    let _ = std::fs::remove_dir_all(dir);
}

fn text_of(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}
