//! The command line of supervisord itself, its way to the background, and the signals that it takes.

use crate::harness::{eventually, exe, seconds, venv};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use storm::wait;

const PROGRAMS: &str = "
[unix_http_server]
file = {dir}/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://{dir}/s.sock
[program:a]
command = sh -c 'pwd; umask; echo $TOLD; id -un; exec sleep 86460'
startsecs = 0
";

/// What only Steadfast says beside Supervisor's words. An error of supervisorctl names a class of Python's.
fn of_ours(line: &str) -> bool {
    let error = line.starts_with("error: ") && !line.starts_with("error: <class");
    error || line.starts_with("warning: ")
}

/// One of the two as people start it: by its name, from a directory of its own.
pub(super) struct Started {
    dir: tempfile::TempDir,
    pub(super) ours: bool,
    transcript: String,
}

impl Started {
    fn new(ours: bool) -> Started {
        let dir = tempfile::tempdir().expect("a directory");
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).expect("made");
        for name in ["supervisord", "supervisorctl"] {
            let target = if ours { exe().to_owned() } else { venv(name) };
            std::os::unix::fs::symlink(target, bin.join(name)).expect("linked");
        }
        Started {
            dir,
            ours,
            transcript: String::new(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("in a directory")).expect("made");
        let text = text.replace("{dir}", &self.dir.path().display().to_string());
        std::fs::write(path, text).expect("written");
    }

    pub(super) fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(self.path("bin").join(name));
        command
            .args(args.iter().map(|arg| self.filled(arg)))
            .current_dir(self.dir.path())
            .env("STEADFAST_RUN_DIR", self.path("run"))
            .stdin(Stdio::null());
        command
    }

    fn filled(&self, text: &str) -> String {
        text.replace("{dir}", &self.dir.path().display().to_string())
    }

    pub(super) fn note(&mut self, text: &str) {
        let text = text.replace(&self.dir.path().display().to_string(), "DIR");
        // Where Python's warnings come from is not what is compared.
        let line = |line: &str| match line.split_once("UserWarning: ") {
            Some((_, warning)) => format!("UserWarning: {warning}"),
            None => line.to_owned(),
        };
        let lines: Vec<String> = text
            .lines()
            .filter(|line| line.trim() != "self.warnings.warn(" && !of_ours(line))
            .map(line)
            .collect();
        self.transcript += &super::mask(&(lines.join("\n") + "\n"));
    }

    /// Runs it to its end (or to its way to the background) and writes down what it says.
    fn say(&mut self, name: &str, args: &[&str]) {
        let output = self.command(name, args).output().expect("runs");
        self.note(&format!(
            "$ {name} {}\n{}{}exit {:?}",
            args.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            output.status.code()
        ));
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn pid(&self, pidfile: &str) -> i32 {
        eventually("a pidfile", seconds(20), || {
            self.read(pidfile).trim().parse().ok()
        })
    }

    /// Waits for this in a file, which is written down without the times of its lines.
    fn file(&mut self, name: &str, until: &str) {
        let text = eventually(&format!("{until:?} in {name}"), seconds(20), || {
            let text = self.read(name);
            text.contains(until).then_some(text)
        });
        self.note(&format!("{name}:\n{text}"));
    }

    fn signal(&self, pidfile: &str, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid(pidfile)).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("signalled");
    }

    fn wait_gone(&self, pid: i32) {
        let gone = wait::until(wait::PATIENCE, || {
            (!Path::new(&format!("/proc/{pid}")).exists() || zombie(pid)).then_some(())
        });
        assert!(gone.is_some(), "ours: {}: {pid} does not end", self.ours);
    }

    fn end(&mut self, pidfile: &str) {
        let pid = self.pid(pidfile);
        self.signal(pidfile, rustix::process::Signal::TERM);
        self.wait_gone(pid);
    }
}

impl Drop for Started {
    /// Nothing of a test that failed stays behind.
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.dir.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            let pid = self.read(&name).trim().parse().ok();
            if let Some(pid) = pid.filter(|_| name.ends_with(".pid"))
                && let Some(pid) = rustix::process::Pid::from_raw(pid)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
    }
}

fn zombie(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_none_or(|rest| rest.trim_start().starts_with('Z'))
}

/// The same on both sides, one beside the other.
pub(super) fn both(script: impl Fn(&mut Started) + Sync) {
    let play = |ours| {
        let mut side = Started::new(ours);
        script(&mut side);
        std::mem::take(&mut side.transcript)
    };
    let (real, ours) = super::both(play);
    super::same(&real, &ours);
}

fn has(text: &str) -> impl Fn(&Started) -> bool {
    let text = text.to_owned();
    move |side| side.transcript.contains(&text)
}

#[test]
fn wrong_options_are_complained_of_in_the_same_words() {
    both(|side| {
        side.write("s.conf", &format!("[supervisord]\n{PROGRAMS}"));
        side.write("none.conf", "[program:x]\ncommand = true\n");
        for args in [
            &["-x"][..],
            &["start"],
            &["-c"],
            &["-c", "{dir}/missing.conf"],
            &["-c", "{dir}/s.conf", "-m", "9"],
            &["-c", "{dir}/s.conf", "-d", "/no/dir"],
            &["-c", "{dir}/s.conf", "-l", "/no/dir/log"],
            &["-c", "{dir}/s.conf", "-y", "big"],
            &["-c", "{dir}/s.conf", "-z", "many"],
            &["-c", "{dir}/s.conf", "-e", "loud"],
            &["-c", "{dir}/s.conf", "-j", "/no/dir/pid"],
            &["-c", "{dir}/s.conf", "-q", "/no/dir"],
            &["-c", "{dir}/s.conf", "-a", "x"],
            &["-c", "{dir}/s.conf", "--minprocs", "x"],
            &["-c", "{dir}/s.conf", "-u", "no-such-user-here"],
            &["-c", "{dir}/s.conf", "-n", "--nodaemon"],
            &["--nodaemon=1"],
            &["--log", "x"],
            &["-v"],
            &["--version"],
        ] {
            side.say("supervisord", args);
        }
        for args in [
            &["-x"][..],
            &["-c", "{dir}/missing.conf", "status"],
            &["-s", "x", "status"],
        ] {
            side.say("supervisorctl", args);
        }
        assert!(has("is not an existing directory")(side));
    });
}

#[test]
fn options_beat_the_file_in_the_background() {
    both(|side| {
        side.write(
            "s.conf",
            &format!("[supervisord]\nlogfile = {{dir}}/no.log\npidfile = {{dir}}/no.pid\numask = 077\nidentifier = file\nchildlogdir = {{dir}}\nenvironment = TOLD=\"by the file\"\n{PROGRAMS}"),
        );
        std::fs::create_dir(side.path("logs")).expect("made");
        std::fs::create_dir(side.path("there")).expect("made");
        side.say(
            "supervisord",
            &[
                "-c",
                "{dir}/s.conf",
                "-l",
                "{dir}/main.log",
                "-j",
                "main.pid",
                "-m",
                "027",
                "-i",
                "flag",
                "-q",
                "{dir}/logs",
                "-d",
                "{dir}/there",
                "-e",
                "info",
                "-y",
                "1MB",
                "-z",
                "2",
                "-u",
                "root",
                "-a",
                "512",
                "--minprocs",
                "10",
            ],
        );
        side.say("supervisorctl", &["-c", "{dir}/s.conf", "version"]);
        let log = eventually("an automatic log", seconds(20), || {
            let mut entries = std::fs::read_dir(side.path("logs")).ok()?.flatten();
            entries
                .find(|entry| {
                    entry
                        .file_name()
                        .to_string_lossy()
                        .starts_with("a-stdout---flag-")
                })
                .map(|entry| format!("logs/{}", entry.file_name().to_string_lossy()))
        });
        let told = eventually("the program's words", seconds(20), || {
            Some(side.read(&log)).filter(|text| text.contains("root"))
        });
        side.note(&told);
        side.end("main.pid");
        side.file("main.log", "stopped: a");
        side.note(&format!(
            "{:?}",
            ["no.log", "no.pid", "main.pid", "s.sock"].map(|name| side.path(name).exists())
        ));
    });
}

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
fn the_file_is_looked_for_where_supervisor_does() {
    both(|side| {
        side.say("supervisord", &["-e", "loud"]);
        side.say("supervisord", &[]);
        side.write(
            "etc/supervisord.conf",
            &format!(
                "[supervisord]\nlogfile = {{dir}}/etc.log\npidfile = {{dir}}/s.pid\n{PROGRAMS}"
            ),
        );
        side.say("supervisord", &[]);
        side.say("supervisorctl", &["version"]);
        side.end("s.pid");
        side.note(&format!("{}", side.path("etc.log").exists()));
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
                // Its shell is done with its own children then.
                eventually("a start", seconds(20), || {
                    let up = side.read("s.log").contains("a entered RUNNING state");
                    (up && side.read("a.log").contains("root")).then_some(())
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
        side.write("s.conf", &format!("[supervisord]\nlogfile = {{dir}}/s.log\npidfile = {{dir}}/s.pid\nloglevel = warn\nuser = root\n{PROGRAMS}"));
        foreground(side, &["-n", "-c", "{dir}/s.conf"], |side, _| {
            eventually("a start", seconds(20), || {
                let said = side
                    .command("supervisorctl", &["-c", "{dir}/s.conf", "status", "a"])
                    .output()
                    .ok()?;
                String::from_utf8_lossy(&said.stdout)
                    .contains("RUNNING")
                    .then_some(())
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
        side.file("a.log", "root");
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
        side.file("b.log", "root");
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
        side.file("a.log", "nobody");
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
    assert!(status(&side).contains("a  ready"), "{}", status(&side));
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
    assert!(status(&side).contains("a  ready"), "{}", status(&side));
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

#[test]
fn help_and_version_end_at_once() {
    both(|side| {
        for name in ["supervisord", "supervisorctl"] {
            for flag in ["-h", "--help", "-?"] {
                let output = side.command(name, &[flag]).output().expect("runs");
                let text = String::from_utf8_lossy(&output.stdout);
                let all = ["--configuration", "--username"]
                    .map(|word| text.contains(word) || name == "supervisord");
                assert!(
                    text.contains("Options:") || text.contains("options"),
                    "{name} {flag}: {text}"
                );
                side.note(&format!("{name} {flag} {:?} {all:?}", output.status.code()));
            }
        }
        side.say("supervisord", &["-v"]);
    });
}

#[test]
fn a_command_that_cannot_be_split_holds_nothing_else_up() {
    both(|side| {
        side.write(
            "s.conf",
            &format!(
                "[supervisord]\nlogfile = {{dir}}/main.log\npidfile = {{dir}}/main.pid\n{PROGRAMS}\
                 [program:broken]\ncommand = sleep 1 \"\nstartretries = 0\n\
                 [program:backslash]\ncommand = sleep 1 \\\nautostart = false\n\
                 [program:nothing]\ncommand =\nautostart = false\n"
            ),
        );
        // What we warn of meanwhile is no part of the comparison.
        let started = side
            .command("supervisord", &["-c", "{dir}/s.conf"])
            .output();
        side.note(&format!("exit {:?}", started.expect("runs").status.code()));
        eventually("the broken one has been given up", seconds(30), || {
            let mut status = side.command("supervisorctl", &["-c", "{dir}/s.conf", "status"]);
            let output = status.output().expect("runs");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            (text.contains("FATAL") && text.contains("RUNNING")).then_some(())
        });
        side.say("supervisorctl", &["-c", "{dir}/s.conf", "status"]);
        for name in ["broken", "backslash", "nothing"] {
            side.say("supervisorctl", &["-c", "{dir}/s.conf", "start", name]);
        }
        side.say("supervisorctl", &["-c", "{dir}/s.conf", "reread"]);
        assert!(has("can't parse command")(side));
        side.end("main.pid");
    });
}
