//! supervisorctl at a terminal: the real one and ours, each with the daemon of its side.

use super::{Side, compare};
use crate::harness::{exe, venv, workspace};
use std::io::Write;
use std::process::{Command, Stdio};

const CONFIG: &str = "
[program:cat]
command = sh -c 'while read line; do echo got $line; done'
startsecs = 0
stdout_logfile = {dir}/cat.log
[program:off]
command = sleep 86470
autostart = false
startsecs = 0
[group:g]
programs = m-1,m-2
[program:m-1]
command = sleep 86471
startsecs = 0
[program:m-2]
command = sleep 86472
startsecs = 0
";

/// What a person types, and what comes when it was done.
type Steps<'a> = &'a [(Option<&'a str>, Option<&'a str>)];

impl Side {
    /// Writes down a session of this side's own supervisorctl, in the environment `env`.
    fn session(&mut self, args: &[&str], steps: Steps<'_>) {
        let bin = self.installation.path("bin");
        let _ = std::fs::create_dir(&bin);
        let program = bin.join("supervisorctl");
        if !program.exists() {
            let target = if self.ours {
                exe().to_owned()
            } else {
                venv("supervisorctl")
            };
            std::os::unix::fs::symlink(target, &program).expect("linked");
        }
        let in_front = args.contains(&"fg")
            || steps
                .iter()
                .any(|(typed, _)| typed.is_some_and(|typed| typed.starts_with("fg ")));
        let mut command = Command::new(venv("python"));
        if in_front && !self.ours {
            command.env("SESSION_HANGS", "1");
        }
        let mut child = command
            .arg(workspace().join("steadfast/tests/apps/session.py"))
            .arg(&program)
            .args(
                args.iter()
                    .map(|arg| arg.replace("{dir}", &self.dir().display().to_string())),
            )
            .env("INPUTRC", "/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let mut stdin = child.stdin.take().expect("piped");
        for step in steps {
            let line = serde_json::to_string(step).expect("JSON");
            writeln!(stdin, "{line}").expect("written");
        }
        drop(stdin);
        let output = child.wait_with_output().expect("ends");
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        // Where its end finds the real client in the middle of a read (Ctrl-C) or its thread for a log not yet waiting for
        // more (`fg` ends it by SystemExit), it says so, and otherwise nothing.
        let by_chance = ["<class 'KeyboardInterrupt'>", "<class 'SystemExit'>"];
        text = text
            .split_inclusive('\n')
            .filter(|line| self.ours || !by_chance.iter().any(|class| line.contains(class)))
            .collect();
        if in_front {
            // The real one hangs behind its threads for the logs; ours must end.
            assert!(!self.ours || text.contains("exit 0"), "{text}");
            text = text
                .replace("(waited in vain for None)\n", "")
                .replace("exit -9", "exit 0");
        }
        self.note(&text);
    }

    fn typed(&mut self, lines: &[&str]) {
        let config = self.installation.config().display().to_string();
        let mut steps = vec![(None, Some("supervisor> "))];
        let lines: Vec<String> = lines.iter().map(|line| format!("{line}\r")).collect();
        steps.extend(
            lines
                .iter()
                .map(|line| (Some(line.as_str()), Some("PROMPT"))),
        );
        steps.push((Some("quit\r"), None));
        self.session(&["-c", &config], &steps);
    }
}

#[test]
fn every_command_says_the_same_at_a_terminal() {
    compare(CONFIG, |side| {
        side.settle("cat", "RUNNING");
        side.settle("g:m-2", "RUNNING");
        side.typed(&[
            "status",
            "status off",
            "version",
            "avail",
            "stop cat",
            "start cat",
            "start nobody",
            "signal HUP off",
            "pid off",
            "clear off",
            "reread",
            "update",
            "add nobody",
            "remove off",
            "add off",
            "maintail nonsense",
            "tail nobody",
            "fg",
            "fg off",
            "fg nobody",
            "nonsense",
            "   ",
            "?version",
            "open nonsense",
        ]);
    });
}

#[test]
fn help_of_every_command() {
    compare(CONFIG, |side| {
        side.settle("cat", "RUNNING");
        side.typed(&[
            "help",
            "help add",
            "help avail",
            "help clear",
            "help exit",
            "help fg",
            "help help",
            "help maintail",
            "help open",
            "help pid",
            "help quit",
            "help reload",
            "help remove",
            "help reread",
            "help restart",
            "help shutdown",
            "help signal",
            "help start",
            "help status",
            "help stop",
            "help tail",
            "help update",
            "help version",
            "help EOF",
            "help nonsense",
        ]);
    });
}

#[test]
fn words_are_completed() {
    compare(CONFIG, |side| {
        side.settle("g:m-1", "RUNNING");
        side.typed(&[
            "vers\t",
            "status of\t",
            "stop g:m-2\t",
            "help mainta\t",
            "update of\t",
            "status g:*\t",
        ]);
    });
}

#[test]
fn a_process_is_talked_to_in_front() {
    compare(CONFIG, |side| {
        side.settle("cat", "RUNNING");
        let config = side.installation.config().display().to_string();
        side.session(
            &["-c", &config],
            &[
                (None, Some("supervisor> ")),
                (Some("fg cat\r"), Some("Ctrl-C to exit")),
                (Some("hello there\r"), Some("got hello there")),
                (Some("and more\r"), Some("got and more")),
                (Some("\u{3}"), Some("PROMPT")),
                (Some("version\r"), Some("PROMPT")),
                (Some("exit\r"), None),
            ],
        );
        // Without a session; the input ends.
        side.session(
            &["-c", &config, "fg", "cat"],
            &[
                (None, Some("Ctrl-C to exit")),
                (Some("last\r"), Some("got last")),
                (Some("\u{4}"), None),
            ],
        );
    });
}

#[test]
fn sessions_end_by_ctrl_d_and_ctrl_c_and_logs_are_followed_until_ctrl_c() {
    compare(CONFIG, |side| {
        side.settle("cat", "RUNNING");
        let config = side.installation.config().display().to_string();
        // The real client catches Ctrl-C only some time after it has named it: something to read comes after.
        let log = side.installation.path("cat.log");
        std::fs::write(log, "a line to follow\n").expect("written");
        let follow = &[
            (None, Some("supervisor> ")),
            (Some("tail -f cat\r"), Some("a line to follow")),
            (Some("\u{3}"), Some("PROMPT")),
            (Some("\u{4}"), None),
        ];
        side.session(&["-c", &config], follow);
        side.session(
            &["-c", &config],
            &[(None, Some("supervisor> ")), (Some("\u{3}"), None)],
        );
        // Asked first.
        side.session(
            &["-c", &config, "-i"],
            &[
                (None, Some("supervisor> ")),
                (Some("shutdown\r"), Some("y/N?")),
                (Some("n\r"), Some("PROMPT")),
                (Some("reload\r"), Some("y/N?")),
                (Some("n\r"), Some("PROMPT")),
                (Some("shutdown\r"), Some("y/N?")),
                (Some("y\r"), Some("PROMPT")),
                (Some("quit\r"), None),
            ],
        );
    });
}

#[test]
fn lines_of_a_session_are_there_in_the_next() {
    compare(CONFIG, |side| {
        side.settle("cat", "RUNNING");
        let text = std::fs::read_to_string(side.installation.config()).expect("read");
        let with = text.replace(
            "[supervisorctl]",
            "[supervisorctl]\nhistory_file = %(here)s/history",
        );
        std::fs::write(side.installation.path("with-history.conf"), with).expect("written");
        let args = &["-c", "{dir}/with-history.conf"];
        let steps = |typed| {
            [
                (None, Some("supervisor> ")),
                (Some(typed), Some("PROMPT")),
                (Some("quit\r"), None),
            ]
        };
        side.session(args, &steps("status off\r"));
        side.file("history");
        // Twice back: past `quit`.
        side.session(args, &steps("\u{1b}[A\u{1b}[A\r"));
        side.file("history");
    });
}

#[test]
fn a_session_asks_for_user_and_password() {
    let config = "
[inet_http_server]
port = 127.0.0.1:{port}
username = user
password = secret
";
    let ports: [u16; 2] = [crate::harness::free_port(), crate::harness::free_port()];
    super::compare_with(
        |side| config.replace("{port}", &ports[usize::from(side.ours)].to_string()),
        |side| {
            let url = format!("http://127.0.0.1:{}", ports[usize::from(side.ours)]);
            std::fs::write(side.installation.path("ctl.conf"), "[supervisorctl]\n")
                .expect("written");
            side.session(
                &["-c", "{dir}/ctl.conf", "-s", &url],
                &[
                    (None, Some("Username:")),
                    (Some("user\r"), Some("Password:")),
                    (Some("secret\r"), Some("supervisor> ")),
                    (Some("version\r"), Some("PROMPT")),
                    (Some("quit\r"), None),
                ],
            );
        },
    );
}

/// Programs for Ctrl-C: one that says something, one that is slow to stop.
const INTERRUPTED: &str = "
[program:cat]
command = sh -c 'while read line; do echo got $line; done'
startsecs = 0
stdout_logfile = {dir}/cat.log
[program:deaf]
command = sh -c 'trap \": > {dir}/told\" TERM; : > {dir}/trapped; while :; do sleep 0.1; done'
stopwaitsecs = 20
startsecs = 0
";

/// How often Ctrl-C is pressed in a loop.
const TIMES: usize = 20;

#[test]
fn ctrl_c_counts_from_the_moment_that_it_is_named() {
    // Ours alone: the real client catches it only some time after it has named it.
    let script = |side: &mut Side| {
        side.settle("cat", "RUNNING");
        let config = side.installation.config().display().to_string();
        // To the prompt, again and again in one session.
        let mut steps = vec![(None, Some("supervisor> "))];
        for _ in 0..TIMES {
            for command in ["tail -f cat\r", "maintail -f\r", "fg cat\r"] {
                steps.push((Some(command), Some("Press Ctrl-C to exit <==")));
                steps.push((Some("\u{3}"), Some("PROMPT")));
            }
        }
        steps.push((Some("quit\r"), None));
        side.session(&["-c", &config], &steps);
        // Without one: the end, and a good one.
        for words in [
            &["tail", "-f", "cat"][..],
            &["maintail", "-f"],
            &["fg", "cat"],
        ] {
            for time in 0..TIMES {
                let ended = interrupted(&[&["-c", config.as_str()], words].concat());
                assert_eq!(ended, Some(0), "{words:?}, {time}");
            }
        }
    };
    let transcript = super::play(true, &|_: &Side| INTERRUPTED.to_owned(), &script);
    let count = |words: &str| transcript.matches(words).count();
    assert_eq!(count("Press Ctrl-C to exit <=="), 3 * TIMES, "{transcript}");
    assert_eq!(count("Exiting foreground"), TIMES, "{transcript}");
    assert!(transcript.ends_with("\nexit 0\n\n"), "{transcript}");
}

/// Starts our supervisorctl, and presses Ctrl-C as soon as it says that one may; its exit status.
fn interrupted(args: &[&str]) -> Option<i32> {
    use std::io::BufRead;
    use std::os::unix::process::CommandExt;
    let mut child = Command::new(exe())
        .arg0("supervisorctl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    // Open to the end: the end of the input is another one.
    let stdin = child.stdin.take();
    let mut lines = std::io::BufReader::new(child.stdout.take().expect("piped")).lines();
    let named = lines.any(|line| line.expect("read").contains("Press Ctrl-C to exit <=="));
    assert!(named, "it ended");
    assert!(storm::procfs::signal(
        i32::try_from(child.id()).expect("a pid"),
        rustix::process::Signal::INT
    ));
    let status = child.wait().expect("ends");
    drop(stdin);
    status.code()
}

#[test]
fn ctrl_c_ends_a_session_that_waits_also_after_a_log_was_followed() {
    compare(INTERRUPTED, |side| {
        side.settle("deaf", "RUNNING");
        side.wait_file_there("trapped");
        let config = side.installation.config().display().to_string();
        let told = side.installation.path("told").display().to_string();
        let log = side.installation.path("cat.log");
        std::fs::write(log, "a line to follow\n").expect("written");
        // A stop that takes its time: Ctrl-C does not wait for it.
        side.session(
            &["-c", &config],
            &[
                (None, Some("supervisor> ")),
                (Some("tail -f cat\r"), Some("a line to follow")),
                (Some("\u{3}"), Some("PROMPT")),
                (Some("stop deaf\r"), Some(&told)),
                (Some("\u{3}"), None),
            ],
        );
        // It goes on there: only the person left.
        let status = side.raw(&["status", "deaf"]).stdout;
        side.note(&format!("{}", status.contains("STOPPING")));
        // A question is no answer.
        side.session(
            &["-c", &config],
            &[
                (None, Some("supervisor> ")),
                (Some("shutdown\r"), Some("y/N?")),
                (Some("\u{3}"), None),
            ],
        );
        side.ctl(&["status", "cat"]);
    });
}
