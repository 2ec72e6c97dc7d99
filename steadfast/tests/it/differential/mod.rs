//! The differential run: the same file and the same commands against the real supervisord and against ours, both
//! by the real supervisorctl. Output, exit statuses, states and log files must be the same once pids, times and
//! the directory are masked.

mod ansible;
mod background;
mod commands;
mod events;
mod examples;
mod files;
mod flags;
mod half_closed;
mod image;
mod lives;
mod more;
mod rpc;
mod sequences;
mod sessions;
mod started;
mod syslog;

use crate::harness::{exe, head, venv};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use storm::installation::{Installation, Said};
use storm::wait::{self, PATIENCE};

/// One of the two.
struct Side {
    installation: Installation,
    ours: bool,
    transcript: String,
}

/// Runs `script` on both sides at the same time and compares what was written down.
/// `config` comes behind [`head`]; `{dir}` in it is the side's directory.
fn compare(config: &str, script: impl Fn(&mut Side) + Sync) {
    compare_with(|_| config.to_owned(), script);
}

/// The same with a configuration that depends on the side (its ports).
fn compare_with(config: impl Fn(&Side) -> String + Sync, script: impl Fn(&mut Side) + Sync) {
    let (real, ours) = both(|ours| play(ours, &config, &script));
    same(&real, &ours);
}

/// What `play` wrote down with the real supervisord and with ours, at the same time.
fn both(play: impl Fn(bool) -> String + Sync) -> (String, String) {
    let (real, ours) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| play(true));
        (play(false), ours.join())
    });
    let ours = ours.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    (real, ours)
}

/// Two transcripts must be the same, and say something.
fn same(real: &str, ours: &str) {
    if real != ours {
        let diff = similar::TextDiff::from_lines(real, ours);
        let unified = diff
            .unified_diff()
            .context_radius(4)
            .header("the real supervisord", "ours")
            .to_string();
        panic!("{unified}");
    }
    assert!(!real.is_empty());
}

fn play(
    ours: bool,
    config: &(impl Fn(&Side) -> String + Sync),
    script: &(impl Fn(&mut Side) + Sync),
) -> String {
    let binary = if ours {
        exe().to_owned()
    } else {
        venv("supervisord")
    };
    let installation = Installation::new(&binary).expect("a directory");
    let mut side = Side {
        installation,
        ours,
        transcript: String::new(),
    };
    let config = config(&side);
    side.configure(&config);
    side.run();
    script(&mut side);
    std::mem::take(&mut side.transcript)
}

impl Side {
    fn dir(&self) -> &Path {
        self.installation.dir()
    }

    /// Writes the configuration; `{dir}` is filled in.
    fn configure(&self, config: &str) {
        let text = head(self.dir()) + config;
        self.installation
            .configure(&text.replace("{dir}", &self.dir().display().to_string()))
            .expect("written");
    }

    fn run(&mut self) {
        let config = self.installation.config().display().to_string();
        let args: &[&str] = if self.ours {
            &["run", "-c", &config]
        } else {
            &["-n", "-c", &config]
        };
        self.installation.run_with(args).expect("started");
        self.wait_up();
    }

    /// Waits until supervisorctl is answered.
    fn wait_up(&self) {
        let up = wait::until(PATIENCE, || {
            storm::procfs::is_socket(&self.installation.path("s.sock")).then_some(())?;
            (self.raw(&["version"]).exit == 0).then_some(())
        });
        assert!(
            up.is_some(),
            "{} did not come up:\n{}",
            self.name(),
            self.installation.output()
        );
    }

    fn name(&self) -> &'static str {
        if self.ours {
            "ours"
        } else {
            "the real supervisord"
        }
    }

    fn raw(&self, args: &[&str]) -> Said {
        let mut command = Command::new(venv("supervisorctl"));
        Said::of(command.arg("-c").arg(self.installation.config()).args(args))
            .expect("supervisorctl runs")
    }

    /// Writes down what a supervisorctl command says.
    fn ctl(&mut self, args: &[&str]) {
        let said = self.raw(args);
        self.note(&format!(
            "$ supervisorctl {}\n{}{}exit {}",
            args.join(" "),
            said.stdout,
            said.stderr,
            said.exit
        ));
    }

    /// The same with sorted lines: where the order is a matter of timing.
    fn ctl_sorted(&mut self, args: &[&str]) {
        let said = self.raw(args);
        let mut lines: Vec<&str> = said.stdout.lines().collect();
        lines.sort_unstable();
        self.note(&format!(
            "$ supervisorctl {}\n{}\nexit {}",
            args.join(" "),
            lines.join("\n"),
            said.exit
        ));
    }

    /// Writes down a masked text.
    fn note(&mut self, text: &str) {
        let masked = mask(&text.replace(&self.dir().display().to_string(), "DIR"));
        let _ = writeln!(self.transcript, "{masked}");
    }

    /// Waits until the status of a process has this state.
    fn settle(&self, name: &str, state: &str) {
        let mut last = String::new();
        let settled = wait::until(PATIENCE, || {
            last = self.raw(&["status", name]).stdout;
            last.split_whitespace()
                .nth(1)
                .is_some_and(|word| word == state)
                .then_some(())
        });
        assert!(
            settled.is_some(),
            "{}: {name} is not {state} but: {last}\n{}",
            self.name(),
            self.installation.output()
        );
    }

    /// Waits until these are RUNNING.
    fn all_run(&self, names: &[&str]) {
        for name in names {
            self.settle(name, "RUNNING");
        }
    }

    /// Waits until nothing is on its way: what is done next must meet the same states on both sides.
    fn rest(&self) {
        let at_rest = wait::until(PATIENCE, || {
            let status = self.raw(&["status"]).stdout;
            let moving = ["STARTING", "STOPPING", "BACKOFF"];
            (!moving.iter().any(|word| status.contains(word))).then_some(())
        });
        assert!(
            at_rest.is_some(),
            "{}: {}",
            self.name(),
            self.raw(&["status"]).stdout
        );
    }

    /// What a program of the test waits for.
    fn touch(&self, name: &str) {
        std::fs::write(self.installation.path(name), "").expect("written");
    }

    /// Waits until a file has this text; its whole text.
    fn wait_file(&self, name: &str, text: &str) -> String {
        let mut last = String::new();
        let found = wait::until(PATIENCE, || {
            last = std::fs::read_to_string(self.installation.path(name)).unwrap_or_default();
            last.contains(text).then_some(())
        });
        assert!(
            found.is_some(),
            "{}: {text:?} does not come in {name}: {last:?}",
            self.name()
        );
        last
    }

    /// Waits until a program of the test has made this file.
    fn wait_file_there(&self, name: &str) {
        let there = wait::until(PATIENCE, || {
            self.installation.path(name).exists().then_some(())
        });
        assert!(there.is_some(), "{}: no {name}", self.name());
    }

    /// Writes down a file of the directory.
    fn file(&mut self, name: &str) {
        let text = match std::fs::read(self.installation.path(name)) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => format!("({})", error.kind()),
        };
        self.note(&format!("{name}:\n{text}"));
    }

    /// Writes down the names of the files in the directory.
    fn listing(&mut self) {
        let own = ["run", "output.log", "state"];
        let mut names: Vec<String> = std::fs::read_dir(self.dir())
            .expect("read")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !own.contains(&name.as_str()))
            .collect();
        names.sort();
        self.note(&format!("files:\n{}", names.join("\n")));
    }

    /// Writes down the lines of the activity log that tell of processes, without their times.
    fn activity(&mut self) {
        let text =
            std::fs::read_to_string(self.installation.path("supervisord.log")).unwrap_or_default();
        let told = [
            "spawned:",
            "success:",
            "exited:",
            "stopped:",
            "gave up:",
            "waiting for",
            "killing",
            "spawnerr:",
        ];
        let mut lines: Vec<&str> = text
            .lines()
            .filter(|line| told.iter().any(|word| line.contains(word)))
            .map(|line| line.get(24..).unwrap_or(line))
            .collect();
        // Said every two seconds: how often is a matter of time.
        lines.dedup_by(|one, other| one == other && one.contains("waiting for"));
        self.note(&format!("activity:\n{}", lines.join("\n")));
    }

    /// Writes down what XML-RPC methods answer: one JSON array `[method, argument…]` a line.
    fn rpc(&mut self, calls: &str) {
        use std::io::Write;
        let script = crate::harness::workspace().join("steadfast/tests/apps/rpc.py");
        let mut child = Command::new(venv("python"))
            .arg(script)
            .arg(self.installation.path("s.sock"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("python runs");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(calls.as_bytes()).expect("written");
        drop(stdin);
        let output = child.wait_with_output().expect("ends");
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        self.note(&text);
    }
}

/// Lets real time pass where a time is what is tested (a back-off, `startsecs`).
fn pass(time: Duration) {
    wait::pace(time, &|| false);
}

/// Takes out what differs between any two runs: pids, times, random parts of names.
fn mask(text: &str) -> String {
    const MASKS: [(&str, &str); 11] = [
        (r"' \(\d+\)", "' (N)"),
        (r"pid \d+", "pid N"),
        (r"uptime \d+:\d\d:\d\d", "uptime T"),
        (r"(?m)^\d+$", "N"),
        (r"[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M", "DATE"),
        (r#""(pid|now|start|stop)": [1-9]\d*"#, "\"$1\": N"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", "TIME"),
        (r"(---supervisor-)\w+", "${1}RANDOM"),
        (r"PID=\d+", "PID=N"),
        (r"line: \d+", "line: N"),
        (r"<class '[^']*'>, ", "CLASS, "),
    ];
    let mut text = text.to_owned();
    for (pattern, with) in MASKS {
        let regex = regex_lite::Regex::new(pattern).expect("a pattern of ours");
        text = regex.replace_all(&text, with).into_owned();
    }
    text
}

#[test]
fn masks_take_out_pids_times_and_random_names_and_nothing_else() {
    let text = "a   RUNNING   pid 123, uptime 0:00:04\nb   STOPPED   Nov 25 01:02 AM\n4711\nx-stdout---supervisor-abc_12.log";
    assert_eq!(
        mask(text),
        "a   RUNNING   pid N, uptime T\nb   STOPPED   DATE\nN\nx-stdout---supervisor-RANDOM.log"
    );
    assert_eq!(
        mask(r#"{"pid": 0, "start": 12, "exitstatus": 3}"#),
        r#"{"pid": 0, "start": N, "exitstatus": 3}"#
    );
}
