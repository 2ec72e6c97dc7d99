//! `check` on files as people have them.

use std::collections::BTreeMap;

struct Case {
    dir: tempfile::TempDir,
}

fn file(text: &str) -> Case {
    let dir = tempfile::tempdir().expect("directory");
    std::fs::write(
        dir.path().join("supervisord.conf"),
        format!("[supervisord]\n{text}"),
    )
    .expect("written");
    Case { dir }
}

impl Case {
    fn check(&self) -> daemon::Checked {
        let path = self
            .dir
            .path()
            .join("supervisord.conf")
            .display()
            .to_string();
        let env: BTreeMap<String, String> =
            [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into();
        daemon::check(&path, &env, false)
    }

    /// Messages by severity, as the report orders them.
    fn expect(&self, exit: u8, messages: &[&str]) {
        let checked = self.check();
        let found: Vec<String> = checked
            .report
            .findings()
            .iter()
            .map(|f| format!("{}: {}", f.severity.word(), f.message))
            .collect();
        assert_eq!(found.len(), messages.len(), "{found:#?}");
        for (found, wanted) in found.iter().zip(messages) {
            assert!(found.contains(wanted), "{found} does not contain {wanted}");
        }
        assert_eq!(checked.exit(), exit);
    }

    fn will_run(&self) -> Vec<String> {
        self.check().will_run
    }
}

#[test]
fn the_story_is_refused_with_the_line_to_write() {
    let case = file(
        "[steadfast]\n[program:backend]\ncommand = cat server:app\n[program:dev]\n\
         command = sh -c 'uvicorn server:app --host 0.0.0.0 --port 8001 --reload'\n",
    );
    case.expect(1, &["error: development server in production: --reload"]);
    let warn = file("[program:dev]\ncommand = sh -c 'uvicorn server:app --reload'\n");
    warn.expect(0, &["warning: development server in production: --reload"]);
}

#[test]
fn a_program_behind_the_gateway_shows_what_runs() {
    let case = file(
        "[steadfast]\n[program:backend]\ncommand = uvicorn server:app --host 0.0.0.0 --port 8001 --workers 1\nlisten = gateway\n\
         [gateway:web]\nlisten = 127.0.0.1:80\nuser = root\nroute = / -> backend\n",
    );
    let lines = case.will_run();
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("backend will run: uvicorn server:app "),
        "{}",
        lines[0]
    );
    assert!(lines[0].contains("/slots/0/app/1.sock"), "{}", lines[0]);
    case.expect(0, &["there is no command `uvicorn`"]);
}

#[test]
fn two_programs_on_one_port_and_an_overlap_that_cannot_be() {
    file("[program:a]\ncommand = sh -c 'uvicorn a:app --port 81'\n[program:b]\ncommand = sh -c 'uvicorn b:app --port 81'\n")
        .expect(1, &["error: a and b both listen on 127.0.0.1:81"]);
    file("[program:a]\ncommand = sh -c 'uvicorn a:app --port 81'\nreplace = overlap\n").expect(
        1,
        &["error: [program:a] cannot overlap: the old process still holds 127.0.0.1:81"],
    );
}

#[test]
fn what_cannot_be_handed_a_socket_is_refused_with_a_way_out() {
    let case = file(
        "[program:web]\ncommand = node server.js\nenvironment = PORT=\"3000\"\nlisten = held\n",
    );
    case.expect(
        1,
        &["error: [program:web] cannot be started with listen = held: node cannot take a listener"],
    );
    let hint = case.check().report.findings()[0]
        .hint
        .clone()
        .expect("a way out");
    assert!(hint.contains("steadfast_command"), "{hint}");
    file("[program:a]\ncommand = cat\nready = http:/x\n").expect(
        1,
        &["error: [program:a] cannot be checked over the network: its address is not visible"],
    );
}

#[test]
fn what_is_missing_is_said_at_once() {
    file(
        "[program:a]\ncommand = no-such-command\ndirectory = /no/such/dir\n[program:b]\ncommand = cat\nenv_file = none.env\n\
         [program:c]\ncommand = cat\nuser = no-such-user\n",
    )
    .expect(
        1,
        &[
            "no-such-user",
            "there is no command `no-such-command`",
            "the directory /no/such/dir does not exist",
            "none.env",
        ],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_exit_2() {
    let checked = daemon::check("/no/such/file.conf", &BTreeMap::new(), false);
    assert_eq!(checked.exit(), 2);
    assert_eq!(checked.report.findings().len(), 1);
}
