//! The demo: the README's first command.

use crate::harness::{eventually, exe, free_port, seconds};
use rustix::process::Signal;
use std::process::{Command, Stdio};
use storm::client::{Request, Target};
use storm::installation::Said;
use storm::procfs;

#[test]
fn a_storm_of_every_fault_keeps_the_promise_and_leaves_nothing_behind() {
    let port = free_port().to_string();
    let said =
        Said::of(Command::new(exe()).args(["demo", "--storm", "16s", "--json", "--port", &port]))
            .expect("runs");
    let value: serde_json::Value =
        serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{}", said.text()));
    assert_eq!(
        (said.exit, &value["held"]),
        (0, &serde_json::Value::Bool(true)),
        "{}",
        said.text()
    );
    assert_eq!(
        value["faults"].as_array().map(Vec::len),
        Some(6),
        "{}",
        said.text()
    );
    assert!(procfs::mentioning(&format!("--port {port}")).is_empty());
    assert!(
        procfs::mentioning(&port)
            .iter()
            .all(|process| !process.has("__demo-app"))
    );
}

#[test]
fn ctrl_c_ends_the_demo_and_leaves_nothing_behind() {
    let port = free_port();
    let mut demo = Command::new(exe())
        .args(["demo", "--port", &port.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("runs");
    let target = Target::Tcp(([127, 0, 0, 1], port).into());
    eventually("demo that answers", seconds(30), || {
        let answer = crate::harness::ask(target.clone(), &Request::get("/api/health")).ok()?;
        (answer.status == 200).then_some(())
    });
    let pid = demo.id() as i32;
    let dir = eventually("directory of the demo", seconds(5), || {
        let run = procfs::mentioning("STEADFAST_RUN_DIR=/tmp/steadfast-")
            .into_iter()
            .find(|each| each.parent == pid)?;
        let config = run
            .argv
            .iter()
            .find(|word| word.ends_with("/supervisord.conf"))?
            .clone();
        Some(config.trim_end_matches("/supervisord.conf").to_owned())
    });
    assert!(procfs::signal(pid, Signal::INT));
    let status = eventually("end of the demo", seconds(40), || {
        demo.try_wait().expect("waited")
    });
    assert_eq!(status.code(), Some(0));
    assert!(
        procfs::mentioning(&dir).is_empty(),
        "{:?}",
        procfs::mentioning(&dir)
    );
    assert!(!std::path::Path::new(&dir).exists());
}
