//! The event system: what a listener hears of the real supervisord and of ours.

use super::{Side, compare};
use crate::harness::{venv, workspace};

/// A recording listener. `{listener}` in a configuration is its command line up to the file that it writes.
fn listener(config: &str) -> String {
    let script = workspace().join("steadfast/tests/apps/listener.py");
    let command = format!("{} {}", venv("python").display(), script.display());
    config.replace("{listener}", &command)
}

impl Side {
    /// Writes down what the listener heard, once `text` is in it. Pids differ, times too.
    fn heard(&mut self, file: &str, text: &str) {
        let all = self.wait_file(file, text);
        let masked = regex_lite::Regex::new(r"\b(pid|len):\d+").expect("a pattern");
        self.note(&masked.replace_all(&all, "$1:N"));
    }
    /// Waits for the listener to have heard `text`.
    fn hears(&self, file: &str, text: &str) {
        self.wait_file(file, text);
    }
    /// Writes down the lines of the activity log about the listener protocol.
    fn protocol_log(&mut self, last: &str) {
        let text = self.wait_file("supervisord.log", last);
        let told = ["UNKNOWN state", "bad result", "rejected", "overflowed"];
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| told.iter().any(|word| line.contains(word)))
            .map(|line| line.get(24..).unwrap_or(line))
            .collect();
        self.note(&lines.join("\n"));
    }
}

const STATES: &str = "
[program:cat]
command = /bin/cat
autostart = false
[program:missing]
command = /no/such/program
autostart = false
startretries = 0
[program:ends]
command = sh -c 'until [ -e {dir}/end ]; do sleep 0.05; done; exit 3'
autostart = false
autorestart = false
[eventlistener:hears]
command = {listener} {dir}/heard
events = PROCESS_STATE,PROCESS_GROUP,REMOTE_COMMUNICATION,SUPERVISOR_STATE_CHANGE
buffer_size = 100
";

#[test]
fn every_change_of_state_is_heard_in_order() {
    compare(&listener(STATES), |side| {
        // One after the other: which of two that start at once is up first is a matter of timing.
        side.settle("hears", "RUNNING");
        side.ctl(&["start", "cat"]);
        side.hears("heard", "processname:cat groupname:cat from_state:STARTING");
        side.ctl(&["stop", "cat"]);
        side.ctl(&["start", "cat"]);
        side.ctl(&["start", "missing"]);
        side.ctl(&["start", "ends"]);
        side.touch("end");
        side.hears("heard", "from_state:RUNNING expected:0");
        side.rpc("[\"supervisor.sendRemoteCommEvent\", \"kind\", \"some\\ntext \u{e4}\"]\n");
        side.hears("heard", "type:kind");
        side.ctl(&["signal", "KILL", "cat"]);
        side.hears("heard", "from_state:EXITED");
        side.settle("cat", "RUNNING");
        side.ctl(&["stop", "cat"]);
        side.ctl(&["remove", "cat"]);
        side.hears("heard", "PROCESS_GROUP_REMOVED");
        side.ctl(&["add", "cat"]);
        side.ctl(&["start", "cat"]);
        side.ctl(&["stop", "cat"]);
        side.rpc("[\"supervisor.sendRemoteCommEvent\", \"end\", \"\"]\n");
        side.heard("heard", "type:end");
    });
}

#[test]
fn a_pool_hears_what_it_asked_for_and_counts_its_own() {
    let config = "
[program:cat]
command = /bin/cat
[eventlistener:all]
command = {listener} {dir}/all
events = EVENT
buffer_size = 100
priority = -5
[eventlistener:some]
command = {listener} {dir}/some
events = process_state_stopped, REMOTE_COMMUNICATION
buffer_size = 3
";
    compare(&listener(config), |side| {
        side.settle("cat", "RUNNING");
        side.ctl(&["stop", "cat"]);
        side.ctl(&["start", "cat"]);
        side.ctl(&["stop", "cat"]);
        side.rpc("[\"supervisor.sendRemoteCommEvent\", \"a\", \"b\"]\n");
        let all = side.wait_file("some", "type:a");
        let payloads: Vec<&str> = all
            .lines()
            .filter(|line| !line.starts_with("ver:"))
            .collect();
        side.note(
            &regex_lite::Regex::new(r"pid:\d+")
                .expect("a pattern")
                .replace_all(&payloads.join("\n"), "pid:N"),
        );
        // Its own serials go up by one; ticks between depend on the clock and are everybody's.
        let serials: Vec<&str> = all
            .lines()
            .filter_map(|line| line.split(' ').find(|word| word.starts_with("poolserial:")))
            .collect();
        side.note(&serials.join(" "));
        side.ctl(&["status"]);
    });
}

#[test]
fn output_becomes_events_and_captured_parts_leave_the_log() {
    let config = "
[program:talks]
command = sh -c 'printf \"first line of more than 24 bytes\\n\"; read x; printf \"before<!--XSUPERVISOR:BEGIN-->told to listeners<!--XSUPERVISOR:END-->after it all there is more\\n\"; read x; printf \"caf\\303\\251 \\377 bytes that are none of any text\\n\" >&2; read x'
autorestart = false
stdout_logfile = {dir}/talks.log
stdout_events_enabled = true
stdout_capture_maxbytes = 1MB
stderr_logfile = {dir}/talks.err
stderr_events_enabled = true
[eventlistener:hears]
command = {listener} {dir}/heard
events = PROCESS_LOG,PROCESS_COMMUNICATION
buffer_size = 100
";
    compare(&listener(config), |side| {
        side.settle("hears", "RUNNING");
        side.hears("heard", "first line");
        side.rpc("[\"supervisor.sendProcessStdin\", \"talks\", \"\\n\"]\n");
        side.hears("heard", "after it all");
        side.rpc("[\"supervisor.sendProcessStdin\", \"talks\", \"\\n\"]\n");
        side.heard("heard", "channel:stderr");
        side.file("talks.log");
        side.file("talks.err");
    });
}

#[test]
fn escapes_are_stripped_from_log_and_events() {
    let config = "
[supervisord]
strip_ansi = true
logfile = {dir}/supervisord.log
pidfile = {dir}/supervisord.pid
childlogdir = {dir}
[program:colours]
command = sh -c 'printf \"\\033[31mred\\033[0m and \\033[1;32mgreen\\033[0m\\n\"; sleep 86400'
stdout_logfile = {dir}/colours.log
stdout_events_enabled = true
[eventlistener:hears]
command = {listener} {dir}/heard
events = PROCESS_LOG
";
    compare(&listener(config), |side| {
        side.heard("heard", "green");
        side.file("colours.log");
    });
}

/// One listener that answers in its own way to two events. Alone: the real supervisord takes every process of the same
/// priority for the one that rejected an event, so that other pools hear it again.
fn answers(mode: &str, script: impl Fn(&mut Side) + Sync) {
    let config = "
[eventlistener:odd]
command = {listener} {dir}/heard MODE
events = REMOTE_COMMUNICATION
";
    compare(&listener(config).replace("MODE", mode), |side| {
        side.settle("odd", "RUNNING");
        side.rpc("[\"supervisor.sendRemoteCommEvent\", \"a\", \"1\"]\n[\"supervisor.sendRemoteCommEvent\", \"a\", \"2\"]\n");
        script(side);
        side.ctl(&["status", "odd"]);
    });
}

#[test]
fn a_rejected_event_comes_again_before_the_others() {
    answers("fail-first", |side| {
        // It was rejected twice by then.
        side.hears("heard", "type:a\n2\n--\nver:");
        side.protocol_log("event was rejected");
        side.heard("heard", "poolserial:1");
    });
}

#[test]
fn junk_instead_of_a_result_ends_the_conversation() {
    answers("junk", |side| {
        side.protocol_log("odd: has entered the UNKNOWN state");
        side.heard("heard", "type:a");
    });
    answers("badresult", |side| {
        side.protocol_log("odd: has entered the UNKNOWN state");
        side.heard("heard", "type:a");
    });
}

#[test]
fn a_full_buffer_loses_the_oldest_and_says_which() {
    let config = "
[eventlistener:silent]
command = {listener} {dir}/silent silent
events = REMOTE_COMMUNICATION
buffer_size = 2
";
    compare(&listener(config), |side| {
        side.settle("silent", "RUNNING");
        side.rpc("[\"supervisor.sendRemoteCommEvent\", \"a\", \"0\"]\n");
        side.hears("silent", "type:a");
        for number in 1..=5 {
            side.rpc(&format!(
                "[\"supervisor.sendRemoteCommEvent\", \"a\", \"{number}\"]\n"
            ));
        }
        side.protocol_log("discarding event 3");
        side.ctl(&["restart", "silent"]);
        // What it had comes first again, and takes the place of the oldest that waits.
        side.heard("silent", "--\nver:");
    });
}

#[test]
fn a_fastcgi_program_takes_connections_from_its_standard_input() {
    let app = |name: &str| {
        workspace()
            .join("steadfast/tests/apps")
            .join(name)
            .display()
            .to_string()
    };
    let python = venv("python").display().to_string();
    let config = format!(
        "
[fcgi-program:site]
command = {python} {}
socket = unix://{{dir}}/%(program_name)s.fcgi
socket_mode = 0640
numprocs = 2
process_name = %(program_name)s_%(process_num)d
stdout_logfile = {{dir}}/%(program_name)s_%(process_num)d.log
",
        app("fcgi.py")
    );
    compare(&config, |side| {
        side.settle("site:site_0", "RUNNING");
        side.settle("site:site_1", "RUNNING");
        let socket = side.installation.path("site.fcgi");
        let mode =
            std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&socket).expect("a socket"));
        side.note(&format!("mode {:o}", mode & 0o777));
        let get = |path: &str| {
            let said = std::process::Command::new(venv("python"))
                .args([
                    app("fcgi_get.py"),
                    format!("unix:{}", socket.display()),
                    path.to_owned(),
                ])
                .output()
                .expect("python runs");
            String::from_utf8_lossy(&said.stdout).into_owned()
                + &String::from_utf8_lossy(&said.stderr)
        };
        for path in ["/a", "/b/c"] {
            let answer = get(path);
            side.note(&answer);
        }
        side.ctl_sorted(&["restart", "site:*"]);
        side.settle("site:site_0", "RUNNING");
        let answer = get("/again");
        side.note(&answer);
        side.ctl(&["stop", "site:site_0"]);
        let answer = get("/one");
        side.note(&answer);
        side.ctl(&["avail"]);
    });
}

#[test]
fn the_clock_is_heard_every_five_seconds() {
    let config = "
[eventlistener:clock]
command = {listener} {dir}/ticks
events = TICK
";
    compare(&listener(config), |side| {
        let all = side.wait_file("ticks", "poolserial:3 ");
        let mut when = Vec::new();
        for event in all.split("\n--\n").filter(|event| !event.is_empty()) {
            let (head, payload) = event.split_once('\n').expect("a head and a payload");
            // A minute, or an hour, may begin meanwhile.
            if !head.contains("eventname:TICK_5 ") {
                continue;
            }
            let names: Vec<&str> = head
                .split(' ')
                .filter_map(|word| word.split(':').next())
                .collect();
            if when.len() < 2 {
                side.note(&format!("{} of TICK_5", names.join(" ")));
            }
            let time = payload.strip_prefix("when:").expect("a time");
            when.push(time.parse::<u64>().expect("seconds since 1970"));
        }
        let [first, second, ..] = when[..] else {
            panic!("{all}");
        };
        assert_eq!(first % 5, 0, "{all}");
        assert!(second > first && second % 5 == 0, "{all}");
    });
}
