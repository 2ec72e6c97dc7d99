//! The console in Chromium: list, a log as it grows, restart and stop by its buttons.

use crate::harness::{exe, free_port, head, workspace};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use storm::installation::Installation;

/// The driver that the browser client's tests use.
fn playwright() -> PathBuf {
    let path = match std::env::var_os("STEADFAST_PLAYWRIGHT") {
        Some(path) => PathBuf::from(path),
        None => workspace().join("clients/browser/node_modules/playwright-core"),
    };
    assert!(
        path.exists(),
        "{} is missing: run `cargo xtask browser`, which installs it",
        path.display()
    );
    path
}

#[test]
fn a_person_sees_logs_and_restarts_in_a_real_browser() {
    let mut installation = Installation::new(exe()).expect("a directory");
    let port = free_port();
    let config = format!(
        "{}\n[inet_http_server]\nport = 127.0.0.1:{port}\nusername = admin\npassword = secret\n\
         [program:web]\ncommand = sh -c 'n=0; while :; do n=$((n+1)); echo line $n; sleep 0.3; done'\nstartsecs = 0\n\
         stdout_logfile = {}/web.log\n",
        head(installation.dir()),
        installation.dir().display()
    );
    installation.configure(&config).expect("written");
    installation.run().expect("started");
    installation
        .wait_ready("web", storm::wait::PATIENCE)
        .expect("ready");
    let mut child = Command::new("node")
        .arg(workspace().join("steadfast/tests/apps/console.cjs"))
        .arg(playwright())
        .arg("/usr/bin/chromium")
        .arg(format!("http://127.0.0.1:{port}/"))
        .args(["admin", "secret"])
        .arg(installation.path("console.png"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("node runs");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("read");
    if line == "STOPPED\n" {
        let said = installation.say(&["start", "web"]).expect("runs");
        assert_eq!(said.exit, 0, "{}", said.text());
        line.clear();
        out.read_line(&mut line).expect("read");
    }
    let mut error = String::new();
    let mut stderr = child.stderr.take().expect("piped");
    stderr.read_to_string(&mut error).expect("read");
    assert!(child.wait().expect("ends").success(), "{error}");
    let seen: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    if let Some(keep) = std::env::var_os("STEADFAST_PICTURES") {
        let _ = std::fs::copy(
            installation.path("console.png"),
            PathBuf::from(keep).join("console.png"),
        );
    }
    assert_eq!(seen["stranger"], 401);
    assert_eq!(seen["before"][1], "RUNNING", "{seen}");
    assert!(
        seen["log"]
            .as_str()
            .is_some_and(|line| line.contains("line")),
        "{seen}"
    );
    assert_ne!(seen["before"][2], seen["after"][2], "another pid: {seen}");
    assert_eq!(seen["after"][1], "RUNNING");
    assert_eq!(seen["home"], "/");
    assert_eq!(seen["stopped"], "STOPPED");
    assert_eq!(seen["again"], "RUNNING");
    assert_eq!(seen["errors"], serde_json::json!([]), "{seen}");
}
