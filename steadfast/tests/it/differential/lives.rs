//! Lives of processes: back-off, exits, signals, groups of processes, order.

use super::{compare, pass};
use std::time::Duration;

#[test]
fn a_program_that_ends_as_expected_is_exited() {
    let config = "
[program:good]
command = sh -c 'until [ -e {dir}/end ]; do sleep 0.1; done; exit 0'
[program:seven]
command = sh -c 'until [ -e {dir}/end ]; do sleep 0.1; done; exit 7'
exitcodes = 7
[program:never]
command = sh -c 'until [ -e {dir}/end ]; do sleep 0.1; done; exit 9'
autorestart = false
";
    compare(config, |side| {
        side.all_run(&["good", "seven", "never"]);
        side.touch("end");
        for name in ["good", "seven", "never"] {
            side.settle(name, "EXITED");
            side.ctl(&["status", name]);
        }
        std::fs::remove_file(side.installation.path("end")).expect("removed");
        side.ctl(&["start", "good"]);
        side.ctl(&["status", "good"]);
        side.rpc("[\"supervisor.getProcessInfo\", \"seven\"]\n[\"supervisor.getProcessInfo\", \"never\"]\n");
    });
}

#[test]
fn a_program_that_ends_unexpectedly_is_started_again() {
    let config = "
[program:a]
command = sh -c 'echo life >> {dir}/lives; [ $(wc -l < {dir}/lives) -ge 2 ] && exec sleep 86415; until grep -q success:.a {dir}/supervisord.log; do sleep 0.1; done; exit 3'
stdout_logfile = NONE
";
    compare(config, |side| {
        let text = side.wait_file("lives", "life\nlife\n");
        side.settle("a", "RUNNING");
        side.note(&text);
        side.activity();
    });
}

#[test]
fn a_program_that_dies_at_once_backs_off_and_ends_fatal() {
    let config = "
[program:a]
command = sh -c 'echo life; exit 1'
startsecs = 30
startretries = 1
stdout_logfile = {dir}/a.log
";
    compare(config, |side| {
        side.settle("a", "FATAL");
        side.ctl(&["status"]);
        side.file("a.log");
        side.activity();
        side.ctl(&["start", "a"]);
    });
}

#[test]
fn a_missing_or_unexecutable_program_is_told() {
    let config = "
[program:missing]
command = /no/such/program
autostart = false
startretries = 0
[program:text]
command = {dir}/supervisord.conf
autostart = false
startretries = 0
[program:nowhere]
command = no-such-program-in-path
autostart = false
startretries = 0
";
    compare(config, |side| {
        for name in ["missing", "text", "nowhere"] {
            side.ctl(&["start", name]);
            side.ctl(&["status", name]);
        }
    });
}

#[test]
fn a_directory_that_is_not_there_is_a_spawn_error() {
    let config = "
[program:a]
command = sleep 86416
directory = {dir}/nowhere
startsecs = 30
startretries = 0
";
    compare(config, |side| {
        side.settle("a", "FATAL");
        // Supervisor's child ends with 127 and it says "Exited too quickly"; ours says why.
        let told = side.raw(&["status"]).text();
        side.note(told.split_whitespace().nth(3).unwrap_or_default());
        assert!(!side.ours || told.contains("nowhere"), "{told}");
        side.ctl(&["start", "a"]);
    });
}

#[test]
fn startsecs_0_counts_a_quick_end_as_a_life() {
    let config = "
[program:quick]
command = sh -c 'if [ -e {dir}/slowly ]; then sleep 2; fi; exit 0'
startsecs = 0
[program:bad]
command = false
startsecs = 0
autorestart = false
";
    compare(config, |side| {
        side.settle("quick", "EXITED");
        side.settle("bad", "EXITED");
        side.ctl(&["status"]);
        // Whether it still lives when a start is answered would be a matter of milliseconds.
        side.touch("slowly");
        side.ctl(&["start", "quick"]);
    });
}

#[test]
fn starting_is_seen_until_startsecs_are_over() {
    let config = "
[program:a]
command = sleep 86417
startsecs = 3
[program:long]
command = sleep 86417
startsecs = 600
";
    compare(config, |side| {
        side.settle("long", "STARTING");
        side.ctl(&["status", "long"]);
        side.ctl(&["start", "long"]);
        side.settle("a", "RUNNING");
        side.ctl(&["status"]);
    });
}

#[test]
fn a_program_that_ignores_its_signal_is_killed() {
    let config = "
[program:deaf]
command = sh -c 'trap \"\" TERM; echo up; while :; do sleep 0.1; done'
stopwaitsecs = 1
startsecs = 0
stdout_logfile = {dir}/deaf.log
";
    compare(config, |side| {
        side.wait_file("deaf.log", "up");
        side.ctl(&["stop", "deaf"]);
        side.ctl(&["status"]);
        side.wait_file("supervisord.log", "stopped: deaf");
        side.activity();
    });
}

#[test]
fn the_stop_signal_is_the_one_of_the_file() {
    let config = "
[program:a]
command = sh -c 'trap \"echo int; exit 4\" INT; trap \"echo term; exit 5\" TERM; echo up; while :; do sleep 0.05; done'
stopsignal = INT
startsecs = 0
stdout_logfile = {dir}/a.log
";
    compare(config, |side| {
        side.wait_file("a.log", "up");
        side.ctl(&["stop", "a"]);
        side.file("a.log");
        side.rpc("[\"supervisor.getProcessInfo\", \"a\"]\n");
    });
}

#[test]
fn groups_of_processes_are_stopped_where_the_file_says_so() {
    let config = "
[program:together]
command = sh -c '(trap \"echo grandchild ends >> {dir}/ended; exit 0\" TERM; echo up; while :; do sleep 0.05; done) & wait'
stopasgroup = true
startsecs = 0
stdout_logfile = {dir}/together.log
";
    compare(config, |side| {
        side.wait_file("together.log", "up");
        side.ctl(&["stop", "together"]);
        side.wait_file("ended", "grandchild ends");
        side.file("ended");
    });
}

#[test]
fn programs_start_by_priority_and_stop_the_other_way_round() {
    let program = |name: &str, priority: u32| {
        format!(
            "[program:{name}]\ncommand = sh -c 'trap \"echo {name} ends >> {{dir}}/order; exit 0\" TERM; echo {name} begins >> {{dir}}/order; while :; do sleep 0.05; done'\npriority = {priority}\nstartsecs = 1\n"
        )
    };
    let config = format!(
        "{}{}{}",
        program("third", 30),
        program("first", 10),
        program("second", 20)
    );
    compare(&config, |side| {
        for name in ["first", "second", "third"] {
            side.settle(name, "RUNNING");
            // From then on its trap is set.
            side.wait_file("order", &format!("{name} begins"));
        }
        side.ctl(&["status"]);
        side.ctl(&["shutdown"]);
        side.installation.wait_root(storm::wait::PATIENCE);
        let text = std::fs::read_to_string(side.installation.path("order")).expect("written");
        // All three are started at the same moment; only the ends are in order.
        let ends: Vec<&str> = text.lines().filter(|line| line.ends_with("ends")).collect();
        side.note(&ends.join("\n"));
    });
}

#[test]
fn a_stop_during_back_off_stops() {
    let config = "
[program:a]
command = sh -c 'exit 1'
startretries = 30
";
    compare(config, |side| {
        side.settle("a", "BACKOFF");
        side.ctl(&["stop", "a"]);
        pass(Duration::from_millis(1_500));
        side.ctl(&["status"]);
    });
}

#[test]
fn a_kill_from_outside_is_an_unexpected_exit() {
    let config = "
[program:a]
command = sleep 86418
autorestart = false
startsecs = 0
";
    compare(config, |side| {
        side.settle("a", "RUNNING");
        side.ctl(&["signal", "KILL", "a"]);
        side.settle("a", "EXITED");
        side.ctl(&["status"]);
        side.activity();
        side.rpc("[\"supervisor.getProcessInfo\", \"a\"]\n");
    });
}
