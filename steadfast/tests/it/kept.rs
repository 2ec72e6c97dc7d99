//! What is kept: the key, the history, logs; what people are told.

use crate::harness::{Backend, Wanted, eventually, seconds};
use rustix::process::Signal;
use storm::procfs;

#[test]
fn the_key_is_made_once_kept_in_the_env_file_and_never_shown() {
    let mut backend = Backend::start();
    let text =
        std::fs::read_to_string(backend.installation.path(".env")).expect("the env file was made");
    let key = text
        .lines()
        .find_map(|line| line.strip_prefix("SECRET_KEY="))
        .expect("a key")
        .trim_matches(['"', '\''])
        .to_owned();
    assert!(key.len() >= 43, "256 bits: {}", key.len());
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(backend.installation.path(".env"))
            .expect("there")
            .permissions(),
    );
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    let listed = backend.say(&["secrets", "list"], 0);
    assert!(
        listed.stdout.contains("SECRET_KEY") && !listed.text().contains(&key),
        "{}",
        listed.stdout
    );
    let shown: Vec<String> = [
        &["status"][..],
        &["check"],
        &["history"],
        &["plan"],
        &["status", "--json"],
    ]
    .iter()
    .map(|args| backend.installation.say(args).expect("runs").text())
    .collect();
    assert!(
        shown.iter().all(|text| !text.contains(&key)),
        "a secret was shown"
    );
    assert!(!backend.installation.output().contains(&key));
    let argv_shows = backend
        .installation
        .processes()
        .iter()
        .any(|each| each.argv.iter().any(|word| word.contains(&key)));
    assert!(!argv_shows, "a secret in argv");
    // A whole new life has the same key.
    assert!(
        backend.installation.end(),
        "{}",
        backend.installation.output()
    );
    backend.installation.run().expect("started");
    backend.come_up();
    let after = std::fs::read_to_string(backend.installation.path(".env")).expect("there");
    assert_eq!(after, text);
}

#[test]
fn the_history_knows_why_and_explain_says_it_in_a_few_lines() {
    let mut backend = Backend::start();
    backend.say(&["restart", "backend"], 0);
    let pid = backend.pid();
    assert!(procfs::signal(pid, Signal::SEGV));
    eventually("new pid", seconds(20), || {
        (backend.pid() != pid).then_some(())
    });
    let whole = |backend: &Backend| {
        let said = backend.say(&["history", "backend"], 0);
        (said.stdout.contains("operator") && said.stdout.contains("SEGV")).then_some(said.stdout)
    };
    eventually("both reasons in the history", seconds(5), || {
        whole(&backend)
    });
    let explained = backend.say(&["explain", "backend"], 0);
    assert!(
        explained.stdout.lines().count() <= 20 && explained.stdout.contains("SIGSEGV"),
        "{}",
        explained.stdout
    );
    let json = backend.say(&["history", "backend", "--json"], 0);
    let value: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(value["steadfast"], 1);
    assert!(backend.installation.end());
    backend.installation.run().expect("started");
    backend.come_up();
    assert!(
        whole(&backend).is_some(),
        "kept over a restart of everything"
    );
}

#[test]
fn ten_thousand_lines_in_a_burst_are_all_in_the_log() {
    let backend = Wanted {
        sections: "[program:burst]\ncommand = sh -c 'i=0; while [ $i -lt 10000 ]; do i=$((i+1)); echo line $i; done; sleep 86395'\nstdout_logfile = burst.log\nstdout_logfile_maxbytes = 0\ndirectory = /tmp\n",
        ..Wanted::default()
    };
    let mut installation =
        storm::installation::Installation::new(crate::harness::exe()).expect("a directory");
    let log = installation.path("burst.log");
    let config = backend
        .config(installation.dir(), crate::harness::free_port())
        .replace("burst.log", &log.display().to_string());
    installation.configure(&config).expect("written");
    installation.run().expect("started");
    let text = eventually("last line", seconds(30), || {
        std::fs::read_to_string(&log)
            .ok()
            .filter(|text| text.contains("line 10000\n"))
    });
    let expected: String = (1..=10_000)
        .map(|number| format!("line {number}\n"))
        .collect();
    assert!(text == expected, "lines are missing or out of order");
}

#[test]
fn status_restart_and_stop_say_what_happened_and_json_has_one_envelope() {
    let backend = Backend::start();
    for args in [
        &["status", "--json"][..],
        &["plan", "--json"],
        &["check", "--json"],
        &["history", "--json"],
    ] {
        let said = backend.say(args, 0);
        let value: serde_json::Value = serde_json::from_str(&said.stdout)
            .unwrap_or_else(|error| panic!("{args:?}: {error}: {}", said.text()));
        assert_eq!(value["steadfast"], 1, "{args:?}");
        assert!(value["kind"].is_string(), "{args:?}");
    }
    let said = backend.say(&["restart", "backend"], 0);
    let pid = backend.pid().to_string();
    assert!(
        said.text().contains(&pid),
        "the new pid is told: {}",
        said.text()
    );
    let said = backend.say(&["pid", "backend"], 0);
    assert_eq!(said.stdout.trim(), pid);
    let said = backend.say(&["restart", "nobody"], 1);
    assert!(
        said.text().contains("nobody") && !said.text().contains(":nobody"),
        "{}",
        said.text()
    );
    let status = backend.say(&["status"], 0);
    assert!(
        status.stdout.contains("backend") && status.stdout.contains("ready"),
        "{}",
        status.stdout
    );
    assert!(
        status
            .stdout
            .lines()
            .all(|line| line.chars().count() <= 100),
        "{}",
        status.stdout
    );
}

#[test]
fn a_second_run_of_the_same_file_says_that_it_is_already_running() {
    let backend = Backend::start();
    let config = backend.installation.config();
    let said = storm::installation::Said::of(
        backend
            .installation
            .command()
            .args(["run", "-c"])
            .arg(config),
    )
    .expect("runs");
    assert_eq!(said.exit, 2, "{}", said.text());
    assert!(
        said.stderr.contains("already running")
            && said
                .stderr
                .contains(&backend.installation.root_pid().to_string()),
        "{}",
        said.text()
    );
}

#[test]
fn under_the_name_supervisord_the_file_decides_whether_it_stays_in_the_foreground() {
    use crate::harness::{exe, head};
    use std::os::unix::process::CommandExt;
    use std::process::Stdio;
    use storm::installation::Installation;
    use storm::wait;

    let installation = Installation::new(exe()).expect("a directory");
    let write = |stays: &str| {
        let text = head(installation.dir()).replace(
            "[supervisord]\n",
            &format!("[supervisord]\nnodaemon = {stays}\n"),
        );
        let text = format!("{text}\n[program:cat]\ncommand = /bin/cat\nstartsecs = 0\n");
        assert!(text.contains("nodaemon"), "{text}");
        installation.configure(&text).expect("written");
    };
    let supervisord = || {
        let mut command = installation.command();
        command
            .arg0("supervisord")
            .arg("-c")
            .arg(installation.config());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    let up = || {
        wait::until(wait::PATIENCE, || {
            installation.pid("cat").filter(|pid| *pid > 0)
        })
    };

    write("true");
    let mut root = supervisord().spawn().expect("starts");
    up().expect("cat runs");
    assert!(
        root.try_wait().expect("asked").is_none(),
        "it went to the background"
    );
    assert!(procfs::signal(root.id() as i32, Signal::TERM));
    assert_eq!(root.wait().expect("ends").code(), Some(0));

    write("false");
    assert!(supervisord().status().expect("detaches").success());
    up().expect("cat runs in the background");
    assert_eq!(installation.say(&["shutdown"]).expect("runs").exit, 0);
}
