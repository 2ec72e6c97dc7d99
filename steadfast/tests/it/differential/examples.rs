//! One can always go back: every example of ours also runs under the real supervisord.

use crate::harness::{eventually, head, node_modules, seconds, venv, workspace};
use std::path::{Path, PathBuf};
use storm::installation::{Installation, Said};

/// The directories with a supervisord.conf.
fn examples() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(workspace().join("examples"))
        .expect("examples")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("supervisord.conf").exists())
        .collect();
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("read").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("copied");
        }
    }
}

#[test]
fn every_example_starts_under_the_real_supervisord() {
    let examples = examples();
    assert!(!examples.is_empty(), "there are no examples");
    for example in examples {
        let name = example.display();
        let mut installation = Installation::new(&venv("supervisord")).expect("a directory");
        copy(&example, installation.dir());
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = venv("python").parent().expect("bin").display().to_string();
        installation
            .env
            .push(("PATH".into(), format!("{bin}:{path}")));
        installation
            .env
            .push(("NODE_PATH".into(), node_modules().display().to_string()));
        // The example keeps its programs; where the server lives is the test's.
        let text = std::fs::read_to_string(installation.config()).expect("read");
        let programs = text
            .find("[steadfast]")
            .or_else(|| text.find("[program:"))
            .expect("programs");
        let port = crate::harness::free_port();
        let programs = text[programs..].to_owned();
        let programs = ["8001", "8002", "8003"]
            .iter()
            .fold(programs, |text, old| text.replace(old, &port.to_string()));
        installation
            .configure(&(head(installation.dir()) + &programs))
            .expect("written");
        let config = installation.config().display().to_string();
        installation
            .run_with(&["-n", "-c", &config])
            .expect("started");
        let status = || {
            Said::of(
                std::process::Command::new(venv("supervisorctl")).args(["-c", &config, "status"]),
            )
        };
        eventually("all programs RUNNING", seconds(30), || {
            let said = status().ok()?;
            let running = said.stdout.lines().all(|line| line.contains("RUNNING"));
            (said.exit == 0 && running && !said.stdout.is_empty()).then_some(())
        });
        assert!(installation.end(), "{name}: {}", installation.output());
    }
}

#[test]
fn every_example_is_clean_and_runs_ready_under_steadfast() {
    for example in examples() {
        let name = example.display();
        let mut installation = Installation::new(crate::harness::exe()).expect("a directory");
        copy(&example, installation.dir());
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = venv("python").parent().expect("bin").display().to_string();
        installation
            .env
            .push(("PATH".into(), format!("{bin}:{path}")));
        installation
            .env
            .push(("NODE_PATH".into(), node_modules().display().to_string()));
        let port = crate::harness::free_port();
        let text = std::fs::read_to_string(installation.config()).expect("read");
        let text = ["8001", "8002", "8003"]
            .iter()
            .fold(text, |text, old| text.replace(old, &port.to_string()));
        installation.configure(&text).expect("written");
        let said = installation.say(&["check"]).expect("runs");
        assert_eq!(said.exit, 0, "{name}: {}", said.text());
        installation.run().expect("started");
        let program = text
            .split("[program:")
            .nth(1)
            .and_then(|rest| rest.split(']').next())
            .expect("a program");
        assert!(
            installation
                .wait_ready(program, storm::wait::PATIENCE)
                .is_some(),
            "{name}: {}",
            installation.output()
        );
        let target = storm::client::Target::Tcp(([127, 0, 0, 1], port).into());
        let answer = crate::harness::ask(target, &storm::client::Request::get("/api/health"))
            .expect("an answer");
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert!(installation.end(), "{name}: {}", installation.output());
    }
}

#[test]
fn the_mistake_of_the_story_is_told() {
    let installation = Installation::new(crate::harness::exe()).expect("a directory");
    let before = workspace().join("examples/fastapi/before.conf");
    let said = Said::of(installation.command().args(["check", "-c"]).arg(before)).expect("runs");
    let text = said.text();
    assert!(
        text.contains("--reload") && text.contains("signed out") && text.contains("^^^^^^^^"),
        "{text}"
    );
}

#[test]
fn our_sections_and_keys_are_ignored_by_the_real_supervisord() {
    let mut installation = Installation::new(&venv("supervisord")).expect("a directory");
    let port = crate::harness::free_port();
    let keys = "steadfast_command = uvicorn backend:app --uds %(socket)s\nkeepalive = 30s\nunhealthy = restart after 3\nreplace = overlap\ndepends_on = other";
    let sections = "[program:other]\ncommand = sleep 86438\n[gateway:web]\nlisten = 127.0.0.1:1\nroute = / -> backend\nhold = 30s\n[upstream:legacy]\nconnect = unix:/run/legacy.sock\n";
    let wanted = crate::harness::Wanted {
        keys,
        sections,
        ..crate::harness::Wanted::default()
    };
    let config = wanted.config(installation.dir(), port);
    installation.configure(&config).expect("written");
    let path = installation.config().display().to_string();
    installation
        .run_with(&["-n", "-c", &path])
        .expect("started");
    let target = storm::client::Target::Tcp(([127, 0, 0, 1], port).into());
    eventually("answer of the app by itself", seconds(30), || {
        let answer =
            crate::harness::ask(target.clone(), &storm::client::Request::get("/api/health"))
                .ok()?;
        (answer.status == 200).then_some(())
    });
}
