//! Ansible's own module (`community.general.supervisorctl`) against the real supervisord and against ours, there in
//! turn by the real supervisorctl and by ours. It reads what supervisorctl prints word by word.

use super::{Side, both, same};
use crate::harness::{exe, free_port, venv, workspace};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;
use storm::installation::Installation;

const CONFIG: &str = "
[inet_http_server]
port = 127.0.0.1:{port}
username = user
password = right
[program:web]
command = sh -c 'trap \"echo told\" HUP; echo up; while :; do sleep 86480 & wait $!; kill $!; done'
startsecs = 0
stopasgroup = true
killasgroup = true
stdout_logfile = {dir}/web.log
[group:pair]
programs = a,b
[program:a]
command = sleep 86483
startsecs = 0
[program:b]
command = sleep 86484
startsecs = 0
[program:broken]
command = false
autostart = false
startsecs = 30
startretries = 0
[include]
files = {dir}/more.ini
";

#[test]
fn ansibles_module_sees_no_difference() {
    let (real, ours) = both(play);
    // What must be in it, or the playbook asked for nothing.
    for told in [
        r#"changed=true failed=false name="new" state="present""#,
        r#"changed=true failed=false name="pair" state="restarted" affected=["pair:a","pair:b"]"#,
        "failed=true msg=\"\" rc=7",
        "still running: new",
        "\ntold\n",
    ] {
        assert!(real.contains(told), "no {told:?} in:\n{real}");
    }
    same(&real, &ours);
}

/// Runs the playbook; the answers, and what became of the programs.
fn play(ours: bool) -> String {
    let supervisord = if ours {
        exe().to_owned()
    } else {
        venv("supervisord")
    };
    let mut side = Side {
        installation: Installation::new(&supervisord).expect("a directory"),
        ours,
        transcript: String::new(),
    };
    let port = free_port().to_string();
    side.configure(&CONFIG.replace("{port}", &port));
    side.run();
    for name in ["web", "pair:a", "pair:b"] {
        side.settle(name, "RUNNING");
    }
    side.wait_file("web.log", "up");
    playbook(&side, &port);
    side.answers();
    side.ctl(&["status"]);
    side.file("web.log");
    side.file("late.log");
    side.transcript
}

/// The two that tasks use in turn: the real one, and the one of this side by its name.
fn ctls(side: &Side) -> [PathBuf; 2] {
    if !side.ours {
        return [venv("supervisorctl"), venv("supervisorctl")];
    }
    let own = side.installation.path("supervisorctl");
    std::os::unix::fs::symlink(exe(), &own).expect("linked");
    [venv("supervisorctl"), own]
}

fn playbook(side: &Side, port: &str) {
    let collections = venv("../collections/ansible_collections/community/general");
    let collections = collections.ancestors().nth(3).expect("its path");
    let values = serde_json::json!({
        "ctls": ctls(side),
        "conf": side.installation.config(),
        "dir": side.dir(),
        "url": format!("http://127.0.0.1:{port}"),
    });
    // An empty one, so that the machine's own is not read.
    let config = side.installation.path("ansible.cfg");
    std::fs::write(&config, "").expect("written");
    let output = Command::new(venv("ansible-playbook"))
        .arg("--extra-vars")
        .arg(values.to_string())
        .arg(workspace().join("steadfast/tests/apps/ansible.yml"))
        .env("ANSIBLE_COLLECTIONS_PATH", collections)
        .env("ANSIBLE_HOME", side.installation.path("ansible"))
        .env("ANSIBLE_CONFIG", &config)
        .env("ANSIBLE_NOCOLOR", "1")
        .env("ANSIBLE_LOCALHOST_WARNING", "False")
        .env("ANSIBLE_INVENTORY_UNPARSED_WARNING", "False")
        .env("ANSIBLE_PYTHON_INTERPRETER", venv("python"))
        .env("ANSIBLE_PIPELINING", "True")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("ansible-playbook runs");
    assert!(
        output.status.success(),
        "{}: {}{}\n{}",
        side.name(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        side.installation.output()
    );
}

impl Side {
    /// Writes down what the module answered: one line a task.
    fn answers(&mut self) {
        let text = std::fs::read(self.installation.path("answers.json")).expect("answers");
        let answers: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("JSON");
        let mut lines = String::new();
        for answer in answers {
            let _ = write!(lines, "{}:", answer["item"]);
            for key in [
                "changed", "failed", "name", "state", "affected", "msg", "rc",
            ] {
                if let Some(value) = answer.get(key) {
                    let _ = write!(lines, " {key}={value}");
                }
            }
            lines.push('\n');
        }
        self.note(&lines);
    }
}
