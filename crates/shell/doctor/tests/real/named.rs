//! Edits, keys and ports, named with what to do.

use std::fs;
use std::process::Command;

use crate::apps::{ASGI, key};
use crate::common::doctor;
use crate::common::site::{Site, until, venv};
use crate::healthy;

#[test]
fn an_edit_that_is_not_applied_is_named_with_its_command() {
    let command = format!(
        "{} server:app --host 127.0.0.1 --port PORT --workers 1",
        venv("uvicorn")
    );
    let site = Site::new(&command, &key(), &[("server.py", ASGI)]);
    healthy(&site);
    let text = fs::read_to_string(site.path("supervisord.conf")).expect("is read");
    fs::write(
        site.path("supervisord.conf"),
        text.replace("--workers 1", "--workers 1 --no-access-log"),
    )
    .expect("written");
    let finding = site.finding("SF302");
    let command = finding["command"].as_str().expect("a command");
    assert!(command.ends_with("update backend"), "{command}");
    let status = Command::new("sh")
        .arg("-c")
        .arg(command)
        .status()
        .expect("sh runs");
    assert!(status.success());
    site.answers();
    healthy(&site);
}

#[test]
fn a_missing_key_is_made_and_kept() {
    let server = ASGI
        .replace(
            "import os\n",
            "import os\nfrom dotenv import load_dotenv\nload_dotenv()\n",
        )
        .replace("os.environ['SECRET_KEY']", "os.environ.get('SECRET_KEY')");
    let command = format!(
        "{} server:app --host 127.0.0.1 --port PORT",
        venv("uvicorn")
    );
    let site = Site::new(
        &command,
        "",
        &[("server.py", &server), (".env", "# the database\nDB=x\n")],
    );
    let finding = site.finding("SF201");
    assert_eq!(finding["certainty"], "proved");
    doctor(&["-c", &site.config(), "--fix", "SF201,SF208"]);
    let text = fs::read_to_string(site.path("app/.env")).expect("is read");
    assert!(
        text.starts_with("# the database\nDB=x\nSECRET_KEY=") && text.lines().count() == 3,
        "{text}"
    );
    site.ctl(&["restart", "backend"]);
    site.answers();
    healthy(&site);
    assert!(
        !site
            .text()
            .contains(text.trim().rsplit('=').next().expect("a key"))
    );
}

#[test]
fn a_taken_port_is_named_with_its_holder() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = holder.local_addr().expect("bound").port();
    let command = format!(
        "{} server:app --host 127.0.0.1 --port {port}",
        venv("uvicorn")
    );
    let site = Site::new(
        &command,
        // On a busy machine it needs more than a second to find out.
        &format!("startretries = 0\nstartsecs = 30\n{}", key()),
        &[("server.py", ASGI)],
    );
    until("it is given up", || {
        site.ctl(&["status"]).contains("FATAL").then_some(())
    });
    let text = site.text();
    assert!(text.contains("SF506") && text.contains("SF507"), "{text}");
    assert!(
        text.contains(&format!("pid {} holds port {port} now", std::process::id())),
        "{text}"
    );
}
