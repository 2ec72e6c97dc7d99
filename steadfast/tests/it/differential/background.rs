//! supervisord's way to the background, the foreground, and the signals that it takes.

use super::started::{PROGRAMS, Started, both, has};
use crate::harness::{eventually, exe, seconds};
use std::process::Command;

#[test]
fn supervisord_then_supervisorctl_as_entrypoints_write_it() {
    both(|side| {
        side.write(
            "s.conf",
            &format!("[supervisord]\nlogfile = {{dir}}/s.log\npidfile = {{dir}}/s.pid\n{PROGRAMS}"),
        );
        let script = "bin/supervisord -c s.conf && bin/supervisorctl -c s.conf stop a; bin/supervisorctl -c s.conf status; bin/supervisorctl -c s.conf start a && bin/supervisorctl -c s.conf pid >pid.txt";
        let output = Command::new("sh")
            .args(["-c", script])
            .current_dir(side.dir.path())
            .env("STEADFAST_RUN_DIR", side.path("run"))
            .output()
            .expect("runs");
        // Whether the program was up before the stop is a matter of milliseconds.
        let text = String::from_utf8_lossy(&output.stdout)
            .replace("a: ERROR (not running)", "a: stopped")
            .replace("Not started", "Nov 29 01:02 AM");
        side.note(&text);
        assert_eq!(side.read("pid.txt"), side.read("s.pid"));
        side.end("s.pid");
    });
}

#[test]
fn an_init_script_finds_what_it_asks_for() {
    // What Debian's /etc/init.d/supervisor does: the pidfile, start-stop-daemon's way of looking, a second start.
    both(|side| {
        side.write(
            "s.conf",
            &format!("[supervisord]\nlogfile = {{dir}}/s.log\npidfile = {{dir}}/s.pid\n{PROGRAMS}"),
        );
        let script = "start-stop-daemon --start --quiet --pidfile $PWD/s.pid --startas $PWD/bin/supervisord -- -c $PWD/s.conf; echo start $?
until bin/supervisorctl -c s.conf status a | grep -q RUNNING; do :; done
kill -0 $(cat s.pid); echo alive $?
start-stop-daemon --status --pidfile $PWD/s.pid; echo status $?
start-stop-daemon --stop --quiet --retry=TERM/30/KILL/5 --pidfile $PWD/s.pid; echo stop $?
test -e s.pid; echo pidfile $?
test -e s.sock; echo socket $?";
        let output = Command::new("sh")
            .args(["-c", script])
            .current_dir(side.dir.path())
            .env("STEADFAST_RUN_DIR", side.path("run"))
            .env(
                "PATH",
                format!(
                    "/sbin:/usr/sbin:{}",
                    std::env::var("PATH").unwrap_or_default()
                ),
            )
            .output()
            .expect("runs");
        side.note(&String::from_utf8_lossy(&output.stdout));
        assert!(has("stop 0")(side), "{}", side.transcript);
    });
}

/// In the foreground, with what it says on stdout.
fn foreground(side: &mut Started, args: &[&str], act: impl Fn(&Started, &mut std::process::Child)) {
    let out = std::fs::File::create(side.path("out")).expect("made");
    let err = out.try_clone().expect("a second handle");
    let mut child = side
        .command("supervisord", args)
        .stdout(out)
        .stderr(err)
        .spawn()
        .expect("runs");
    act(side, &mut child);
    let status = child.wait().expect("ends");
    side.note(&format!(
        "$ supervisord {} = {:?}",
        args.join(" "),
        status.code()
    ));
}

/// Log lines of these words only: what a level of detail adds is not compared.
fn lines_with(text: &str, words: &[&str]) -> String {
    let lines = text
        .lines()
        .filter(|line| words.iter().any(|word| line.contains(word)));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_foreground_shows_the_log_unless_it_is_silent() {
    both(|side| {
        side.write("s.conf", &format!("[supervisord]\nlogfile = {{dir}}/s.log\npidfile = {{dir}}/s.pid\nuser = root\n{PROGRAMS}\nstdout_logfile = {{dir}}/a.log\n"));
        for args in [
            &["-n", "-c", "{dir}/s.conf"][..],
            &["-n", "-s", "-c", "{dir}/s.conf"],
        ] {
            foreground(side, args, |side, _| {
                // Its shell is done with its own children then, also with `id`.
                eventually("a start", seconds(20), || {
                    let up = side.read("s.log").contains("a entered RUNNING state");
                    (up && side.read("a.log").contains("that is all")).then_some(())
                });
                side.signal("s.pid", rustix::process::Signal::INT);
            });
            let told = lines_with(&side.read("out"), &["INFO", "WARN", "CRIT"]);
            side.note(&told);
            let _ = std::fs::remove_file(side.path("s.log"));
            let _ = std::fs::remove_file(side.path("a.log"));
        }
    });
}

#[test]
fn the_least_level_of_the_log_counts() {
    both(|side| {
        side.write("s.conf", &format!("[supervisord]\nlogfile = {{dir}}/s.log\npidfile = {{dir}}/s.pid\nloglevel = warn\nuser = root\n{PROGRAMS}\nstdout_logfile = {{dir}}/a.log\n"));
        foreground(side, &["-n", "-c", "{dir}/s.conf"], |side, _| {
            eventually("a start", seconds(20), || {
                let said = side
                    .command("supervisorctl", &["-c", "{dir}/s.conf", "status", "a"])
                    .output()
                    .ok()?;
                let up = String::from_utf8_lossy(&said.stdout).contains("RUNNING");
                // A signal between fork and exec would be lost in the real one's child.
                (up && side.read("a.log").contains("that is all")).then_some(())
            });
            side.signal("s.pid", rustix::process::Signal::QUIT);
        });
        side.file("s.log", "stopped: a");
    });
}

#[test]
fn signals_reopen_reload_and_end() {
    both(|side| {
        side.write("s.conf", &format!("[supervisord]\nlogfile = {{dir}}/s.log\npidfile = {{dir}}/s.pid\nuser = root\n{PROGRAMS}\nstdout_logfile = {{dir}}/a.log\n"));
        side.say("supervisord", &["-c", "{dir}/s.conf"]);
        side.file("a.log", "that is all");
        std::fs::rename(side.path("s.log"), side.path("s.log.old")).expect("moved");
        std::fs::rename(side.path("a.log"), side.path("a.log.old")).expect("moved");
        side.signal("s.pid", rustix::process::Signal::USR2);
        eventually("new logs", seconds(20), || {
            (side.path("s.log").exists() && side.path("a.log").exists()).then_some(())
        });
        side.file("s.log.old", "logreopen");
        side.write("s.conf", &format!("[supervisord]\nlogfile = {{dir}}/s.log\npidfile = {{dir}}/s.pid\nuser = root\n{PROGRAMS}\nstdout_logfile = {{dir}}/b.log\n"));
        let before = side.pid("s.pid");
        side.signal("s.pid", rustix::process::Signal::HUP);
        side.file("b.log", "that is all");
        side.note(&format!(
            "the same process: {}",
            before == side.pid("s.pid")
        ));
        let told = lines_with(&side.read("s.log"), &["received"]);
        side.note(&told);
        side.end("s.pid");
    });
}

#[test]
fn old_automatic_logs_go_unless_they_are_kept() {
    for args in [&["-c", "{dir}/s.conf"][..], &["-k", "-c", "{dir}/s.conf"]] {
        both(|side| {
            side.write("s.conf", &format!("[supervisord]\nlogfile = {{dir}}/s.log\npidfile = {{dir}}/s.pid\nchildlogdir = {{dir}}/logs\nuser = root\n{PROGRAMS}"));
            side.write("logs/old-stdout---supervisor-abc123.log", "old");
            side.write("logs/old-stdout---other-abc123.log", "old");
            side.say("supervisord", args);
            side.file("s.log", "a entered RUNNING state");
            let kept = [
                "old-stdout---supervisor-abc123.log",
                "old-stdout---other-abc123.log",
            ];
            side.note(&format!(
                "{:?}",
                kept.map(|name| side.path("logs").join(name).exists())
            ));
            side.end("s.pid");
        });
    }
}

#[test]
fn it_becomes_the_user_that_the_file_names() {
    if !rustix::process::getuid().is_root() {
        // Only root can become somebody else; what others are told is compared instead.
        both(|side| {
            side.write("s.conf", &format!("[supervisord]\nuser = root\n{PROGRAMS}"));
            side.say("supervisord", &["-c", "{dir}/s.conf"]);
        });
        return;
    }
    both(|side| {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        std::fs::set_permissions(side.dir.path(), std::fs::Permissions::from_mode(0o777))
            .expect("opened");
        side.write("s.conf", &format!("[supervisord]\nlogfile = {{dir}}/s.log\npidfile = {{dir}}/s.pid\nchildlogdir = {{dir}}\nuser = nobody\n{PROGRAMS}\nstdout_logfile = {{dir}}/a.log\n"));
        side.say("supervisord", &["-c", "{dir}/s.conf"]);
        side.file("a.log", "that is all");
        side.file("s.log", "a entered RUNNING state");
        for name in ["s.log", "s.pid", "s.sock", "a.log"] {
            let meta = std::fs::metadata(side.path(name)).expect("there");
            side.note(&format!("{name} {} {:o}", meta.uid(), meta.mode()));
        }
        side.end("s.pid");
    });
}

#[test]
fn root_finds_what_runs_as_another_user() {
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    if !rustix::process::getuid().is_root() {
        // Only root has others' installations to look after; who is not root is told whose it is by another test.
        return;
    }
    let nobody = sys::users::lookup("nobody")
        .expect("looked up")
        .expect("a user");
    let status = |side: &Started| {
        let output = Command::new(exe())
            .args(["status", "a", "-c"])
            .arg(side.path("s.conf"))
            .env("STEADFAST_RUN_DIR", side.path("run"))
            .output()
            .expect("runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    };
    let conf = |user: &str| {
        format!(
            "[supervisord]\nlogfile = {{dir}}/s.log\npidfile = {{dir}}/s.pid\nchildlogdir = {{dir}}\n{user}\n{PROGRAMS}"
        )
    };
    let open = |side: &Started| {
        let mode = std::fs::Permissions::from_mode(0o1777);
        std::fs::set_permissions(side.dir.path(), mode).expect("opened");
    };

    // The user that the file names.
    let mut side = Started::new(true);
    open(&side);
    side.write("s.conf", &conf("user = nobody"));
    side.say("supervisord", &["-c", "{dir}/s.conf"]);
    let up = |side: &Started| {
        // The starter comes back when it has begun.
        eventually("it is ready", seconds(30), || {
            status(side).contains("a  ready").then_some(())
        });
    };
    up(&side);
    // The same file without its name, and not that user's: nobody's directory is not believed.
    side.write("s.conf", &conf(""));
    assert!(
        status(&side).contains("is not running"),
        "{}",
        status(&side)
    );
    side.write("s.conf", &conf("user = nobody"));
    side.end("s.pid");

    // The file's owner, who started it.
    let mut side = Started::new(true);
    open(&side);
    side.write("s.conf", &conf(""));
    chown(side.path("s.conf"), Some(nobody.uid), None).expect("given away");
    let started = side
        .command("supervisord", &["-c", "{dir}/s.conf"])
        .uid(nobody.uid)
        .gid(nobody.gid)
        .status()
        .expect("runs");
    assert!(started.success());
    up(&side);
    side.end("s.pid");
}

#[test]
fn run_daemon_comes_back_once_everything_was_started_and_says_what_came_up() {
    let side = Started::new(true);
    side.write("s.conf", "[supervisord]\nlogfile = {dir}/s.log\npidfile = {dir}/s.pid\n[program:web]\ncommand = sleep 86461\n[program:bad]\ncommand = /no/such\n");
    let config = side.path("s.conf").display().to_string();
    let run = |args: &[&str]| {
        // Read to its end: whoever goes to the background must let go of what the starter wrote to.
        let output = Command::new(exe())
            .args(args)
            .args(["-c", &config])
            .env("STEADFAST_RUN_DIR", side.path("run"))
            .output()
            .expect("runs");
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            output.status.code(),
        )
    };
    let (told, status) = run(&["run", "--daemon"]);
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains("2 programs"), "{told}");
    assert!(told.contains("web  ready in"), "{told}");
    assert!(
        told.contains("bad  did not start: can't find command '/no/such'"),
        "{told}"
    );
    let (told, _) = run(&["status", "web"]);
    assert!(told.contains("web  ready"), "{told}");
    let (_, status) = run(&["shutdown"]);
    assert_eq!(status, Some(0));
    // What cannot begin says why, and is not in the background.
    side.write("s.conf", "[supervisord\n");
    let output = Command::new(exe())
        .args(["run", "--daemon", "-c", &config])
        .env("STEADFAST_RUN_DIR", side.path("run"))
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error"));
}
