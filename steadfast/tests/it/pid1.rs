//! As PID 1 of a container: `unshare --pid --fork --mount-proc`.

use crate::harness::{eventually, exe, head, seconds};
use rustix::process::Signal;
use std::path::Path;
use storm::installation::Installation;
use storm::procfs;

/// An installation whose root is PID 1 of a namespace of its own. `first` runs before it in the namespaces.
pub(crate) fn contained(config: impl Fn(&Path) -> String, first: &str) -> Installation {
    let mut installation = Installation::new(Path::new("/usr/bin/unshare")).expect("a directory");
    installation
        .configure(&config(installation.dir()))
        .expect("written");
    let script = format!(
        "{first} exec {} run -c {}",
        exe().display(),
        installation.config().display()
    );
    let mut args = vec![
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child=KILL",
        "sh",
        "-c",
        &script,
    ];
    if !rustix::process::geteuid().is_root() {
        args.splice(0..0, ["--user", "--map-root-user"]);
    }
    installation.run_with(&args).expect("unshare starts");
    installation
}

/// `steadfast ARGS` from outside, by the run directory.
pub(crate) fn say(installation: &Installation, args: &[&str]) -> storm::installation::Said {
    let mut command = std::process::Command::new(exe());
    command.env("STEADFAST_RUN_DIR", installation.path("run"));
    storm::installation::Said::of(command.args(args).arg("-c").arg(installation.config()))
        .expect("runs")
}

fn inner_root(installation: &Installation) -> i32 {
    eventually("root in the namespace", seconds(10), || {
        let outer = installation.root_pid();
        installation
            .processes()
            .into_iter()
            .find(|each| each.parent == outer && each.has("run"))
            .map(|each| each.pid)
    })
}

fn children(pid: i32) -> Vec<(i32, char)> {
    let list =
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace()
        .filter_map(|word| {
            let child: i32 = word.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
            Some((child, stat.rsplit_once(") ")?.1.chars().next()?))
        })
        .collect()
}

#[test]
fn as_pid_1_it_reaps_orphans_logs_to_stdout_survives_its_daemon_and_ends_in_order() {
    let config = |dir: &Path| {
        let program = |name: &str, priority: u32| {
            format!(
                "[program:{name}]
command = sh -c 'trap \"echo {name} ends; exit 0\" TERM; echo {name} begins; (sleep 0.2 &); while :; do sleep 0.1; done'
stdout_logfile = /dev/stdout
stdout_logfile_maxbytes = 0
redirect_stderr = true
priority = {priority}
"
            )
        };
        format!(
            "{}\n[steadfast]\nstate_dir = {}/state\n{}{}",
            head(dir),
            dir.display(),
            program("first", 1),
            program("second", 2)
        )
    };
    let mut installation = contained(config, "");
    let root = inner_root(&installation);
    let output = || installation.output();
    eventually("both programs in root's own output", seconds(20), || {
        let text = output();
        (text.contains("\nfirst begins") && text.contains("\nsecond begins")).then_some(())
    });
    // Each program left an orphan behind that has ended by now.
    eventually("no zombie child of PID 1", seconds(10), || {
        children(root)
            .iter()
            .all(|(_, state)| *state != 'Z')
            .then_some(())
    });
    let status = say(&installation, &["status"]);
    assert_eq!(status.exit, 0, "{}", status.text());
    let daemon = installation.daemon_pid().expect("a daemon");
    assert!(procfs::signal(daemon, Signal::KILL));
    eventually("another daemon", seconds(10), || {
        installation.daemon_pid().filter(|pid| *pid != daemon)
    });
    eventually("status of the new daemon", seconds(10), || {
        (say(&installation, &["status"]).exit == 0).then_some(())
    });
    assert_eq!(
        output().matches("begins").count(),
        2,
        "nothing was started again: {}",
        output()
    );
    assert!(procfs::signal(root, Signal::TERM));
    let status = installation.wait_root(seconds(30));
    let text = installation.output();
    assert_eq!(status, Some(0), "{text}");
    let (first, second) = (text.find("first ends"), text.find("second ends"));
    assert!(
        first.is_some() && second.is_some() && second < first,
        "the last to start is the first to stop: {text}"
    );
}
