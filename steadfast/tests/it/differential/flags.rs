//! The command line of supervisord itself.

use super::started::{PROGRAMS, both, has};
use crate::harness::{eventually, seconds};

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
            Some(side.read(&log)).filter(|text| text.contains("that is all"))
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
