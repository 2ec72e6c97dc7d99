//! What supervisorctl says and how it ends.

use super::compare;

const TWO: &str = "
[program:a]
command = sleep 86401
startsecs = 0
[program:b]
command = sleep 86402
autostart = false
startsecs = 0
";

#[test]
fn status_of_running_stopped_and_unknown_processes() {
    compare(TWO, |side| {
        side.settle("a", "RUNNING");
        for args in [
            &["status"][..],
            &["status", "a"],
            &["status", "b"],
            &["status", "a", "b"],
            &["status", "nobody"],
            &["status", "a", "nobody"],
            &["status", "nogroup:*"],
        ] {
            side.ctl(args);
        }
    });
}

#[test]
fn start_stop_and_restart_once_and_again() {
    compare(TWO, |side| {
        side.settle("a", "RUNNING");
        for args in [
            &["stop", "a"][..],
            &["stop", "a"],
            &["start", "a"],
            &["start", "a"],
            &["restart", "a"],
            &["restart", "b"],
            &["stop", "b"],
            &["start", "nobody"],
            &["stop", "nobody"],
            &["restart", "nobody"],
            &["start"],
            &["stop"],
            &["restart"],
            &["start", "a", "b"],
            &["stop", "a", "nobody"],
        ] {
            side.ctl(args);
        }
        side.ctl(&["status"]);
    });
}

const GROUP: &str = "
[group:g]
programs = a,b
[program:a]
command = sleep 86403
startsecs = 0
[program:b]
command = sleep 86404
startsecs = 0
[program:alone]
command = sleep 86405
startsecs = 0
";

#[test]
fn groups_and_their_members() {
    compare(GROUP, |side| {
        side.all_run(&["g:a", "g:b", "alone"]);
        for args in [
            &["status"][..],
            &["status", "g:*"],
            &["status", "a"],
            &["stop", "g:a"],
            &["status", "g:*"],
            &["start", "g:a"],
            &["stop", "nogroup:*"],
            &["start", "g:nobody"],
        ] {
            side.ctl(args);
        }
        for args in [
            &["stop", "g:*"][..],
            &["start", "g:*"],
            &["restart", "g:*"],
            &["restart", "g:"],
        ] {
            side.ctl_sorted(args);
        }
        side.all_run(&["g:a", "g:b"]);
        side.ctl(&["status"]);
    });
}

#[test]
fn all_processes_at_once() {
    compare(GROUP, |side| {
        side.all_run(&["g:a", "g:b", "alone"]);
        for args in [
            &["stop", "all"][..],
            &["stop", "all"],
            &["start", "all"],
            &["start", "all"],
            &["restart", "all"],
        ] {
            side.ctl_sorted(args);
        }
        side.all_run(&["g:a", "g:b", "alone"]);
        side.ctl(&["status"]);
    });
}

#[test]
fn several_processes_of_one_program() {
    let config = "
[program:w]
command = sh -c 'echo %(process_num)d %(program_name)s %(group_name)s; exec sleep 86406'
process_name = %(program_name)s_%(process_num)02d
numprocs = 3
numprocs_start = 5
startsecs = 0
stdout_logfile = {dir}/%(program_name)s-%(process_num)d.log
";
    compare(config, |side| {
        for number in 5..8 {
            side.settle(&format!("w:w_0{number}"), "RUNNING");
            side.wait_file(&format!("w-{number}.log"), "w");
            side.file(&format!("w-{number}.log"));
        }
        for args in [
            &["status"][..],
            &["stop", "w:w_06"],
            &["status", "w:*"],
            &["stop", "w"],
            &["start", "w:w_06"],
        ] {
            side.ctl(args);
        }
        side.ctl_sorted(&["stop", "w:*"]);
    });
}

#[test]
fn pids_version_and_avail() {
    compare(GROUP, |side| {
        side.all_run(&["g:a", "g:b", "alone"]);
        for args in [
            &["pid"][..],
            &["pid", "g:a"],
            &["pid", "alone"],
            &["pid", "nobody"],
            &["pid", "all"],
            &["version"],
            &["avail"],
            &["no-such-command"],
        ] {
            side.ctl(args);
        }
    });
}

#[test]
fn signals_reach_the_program() {
    let config = "
[program:a]
command = sh -c 'trap \"echo got usr1\" USR1; trap \"echo got hup\" HUP; echo up; while :; do sleep 0.05; done'
startsecs = 0
stdout_logfile = {dir}/a.log
[program:off]
command = sleep 1
autostart = false
";
    compare(config, |side| {
        side.wait_file("a.log", "up");
        side.ctl(&["signal", "USR1", "a"]);
        side.wait_file("a.log", "got usr1");
        side.ctl(&["signal", "SIGHUP", "a"]);
        side.wait_file("a.log", "got hup");
        for args in [
            &["signal", "10", "a"][..],
            &["signal", "NOPE", "a"],
            &["signal", "HUP", "off"],
            &["signal", "HUP", "nobody"],
            &["signal", "HUP"],
            &["signal", "0", "a"],
        ] {
            side.ctl(args);
        }
        side.ctl_sorted(&["signal", "0", "all"]);
    });
}

#[test]
fn tails_and_clears_of_logs() {
    let config = "
[program:a]
command = sh -c 'i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo out $i; done; echo err >&2; exec sleep 86407'
startsecs = 0
stdout_logfile = {dir}/a.log
stderr_logfile = {dir}/a.err
[program:none]
command = sleep 86408
stdout_logfile = NONE
startsecs = 0
";
    compare(config, |side| {
        side.wait_file("a.log", "out 200");
        side.wait_file("a.err", "err");
        for args in [
            &["tail", "a"][..],
            &["tail", "-30", "a"],
            &["tail", "a", "stderr"],
            &["tail", "a", "nothing"],
            &["tail", "nobody"],
            &["tail", "none"],
            &["tail"],
            &["clear", "a"],
            &["tail", "a"],
            &["clear", "nobody"],
            &["clear", "none"],
        ] {
            side.ctl(args);
        }
        side.file("a.log");
        side.file("a.err");
        side.ctl_sorted(&["clear", "all"]);
    });
}

#[test]
fn reread_names_what_is_new_changed_and_gone() {
    compare(TWO, |side| {
        side.settle("a", "RUNNING");
        side.ctl(&["reread"]);
        side.configure(&format!(
            "{}\n[program:c]\ncommand = sleep 86409\nstartsecs = 0\n",
            TWO.replace("86402", "86410")
        ));
        side.ctl(&["reread"]);
        side.ctl(&["avail"]);
        side.ctl(&["status"]);
        side.configure("[program:b]\ncommand = sleep 86402\nautostart = false\nstartsecs = 0\n");
        side.ctl(&["reread"]);
        side.ctl(&["status"]);
    });
}

#[test]
fn update_adds_changes_and_removes() {
    compare(TWO, |side| {
        side.settle("a", "RUNNING");
        side.ctl(&["update"]);
        side.configure(&format!(
            "{}\n[program:c]\ncommand = sleep 86411\nstartsecs = 0\n",
            TWO.replace("86401", "86412")
        ));
        side.ctl_sorted(&["update"]);
        side.settle("c", "RUNNING");
        side.settle("a", "RUNNING");
        side.ctl(&["status"]);
        side.configure("[program:c]\ncommand = sleep 86411\nstartsecs = 0\n");
        side.ctl_sorted(&["update"]);
        side.ctl(&["status"]);
        side.configure("[program:c]\ncommand = sleep 86411\nstartsecs = 0\n[program:d]\ncommand = sleep 1\nautostart = false\n[program:e]\ncommand = sleep 1\nautostart = false\n");
        side.ctl(&["update", "d"]);
        side.ctl(&["status"]);
    });
}

#[test]
fn add_and_remove() {
    compare(TWO, |side| {
        side.settle("a", "RUNNING");
        side.configure(&format!(
            "{TWO}\n[program:c]\ncommand = sleep 86413\nstartsecs = 0\n"
        ));
        for args in [
            &["add", "c"][..],
            &["reread"],
            &["add", "c"],
            &["add", "c"],
            &["add", "nobody"],
        ] {
            side.ctl(args);
        }
        side.settle("c", "RUNNING");
        for args in [
            &["remove", "c"][..],
            &["stop", "c"],
            &["remove", "c"],
            &["remove", "c"],
            &["remove", "nobody"],
            &["status"],
        ] {
            side.ctl(args);
        }
    });
}

#[test]
fn a_broken_file_is_refused_by_reread_and_nothing_changes() {
    compare(TWO, |side| {
        side.settle("a", "RUNNING");
        for broken in [
            "[program:a]\nautostart = true\n",
            "[program:a]\ncommand = sleep 1\nstartsecs = soon\n",
            "[program:a]\ncommand = sleep %(nothing)s\n",
        ] {
            side.configure(broken);
            let said = side.raw(&["reread"]);
            // The words of the error are ours; that it is one, and its code, is Supervisor's.
            side.note(&format!(
                "{} {}",
                said.exit,
                said.stdout.contains("CANT_REREAD")
            ));
        }
        side.ctl(&["status"]);
    });
}

#[test]
fn reload_restarts_everything() {
    compare(TWO, |side| {
        side.settle("a", "RUNNING");
        let before = side.raw(&["pid", "a"]).stdout;
        side.ctl(&["reload"]);
        storm::wait::until(storm::wait::PATIENCE, || {
            let after = side.raw(&["pid", "a"]);
            (after.exit == 0
                && after.stdout != before
                && after.stdout.trim().parse::<i32>().is_ok_and(|pid| pid > 0))
            .then_some(())
        })
        .expect("another pid after the reload");
        side.settle("a", "RUNNING");
        side.ctl(&["status"]);
    });
}

#[test]
fn shutdown_ends_everything() {
    compare(TWO, |side| {
        side.settle("a", "RUNNING");
        side.ctl(&["shutdown"]);
        let status = side.installation.wait_root(storm::wait::PATIENCE);
        side.note(&format!("ended: {status:?}"));
        side.ctl(&["status"]);
        side.listing();
    });
}

#[test]
fn the_tcp_port_wants_user_and_password() {
    let port = crate::harness::free_port();
    let other = crate::harness::free_port();
    // Each side gets a port of its own by its directory's file; {port} differs, so it is masked.
    let config = "
[inet_http_server]
port = 127.0.0.1:{port}
username = ada
password = {SHA}82ab876d1387bfafe46cc1c8a2ef074eae50cb1d
[program:a]
command = sleep 86414
startsecs = 0
";
    compare("", |side| {
        let port = if side.ours { port } else { other };
        side.configure(&config.replace("{port}", &port.to_string()));
        side.ctl(&["reload"]);
        let url = format!("http://127.0.0.1:{port}");
        let ask = |side: &super::Side, user: &str, password: &str| {
            side.raw(&["-s", &url, "-u", user, "-p", password, "status"])
        };
        storm::wait::until(storm::wait::PATIENCE, || {
            ask(side, "ada", "thepassword")
                .stdout
                .contains("RUNNING")
                .then_some(())
        })
        .unwrap_or_else(|| {
            panic!(
                "{}: {}",
                side.name(),
                ask(side, "ada", "thepassword").text()
            )
        });
        for (user, password) in [
            ("ada", "thepassword"),
            ("ada", "wrong"),
            ("eve", "thepassword"),
        ] {
            let said = ask(side, user, password);
            side.note(&said.text().replace(&port.to_string(), "PORT"));
        }
    });
}

#[test]
fn several_commands_on_standard_input() {
    compare(TWO, |side| {
        side.settle("a", "RUNNING");
        let config = side.installation.config();
        let mut child = std::process::Command::new(crate::harness::venv("supervisorctl"))
            .arg("-c")
            .arg(config)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("runs");
        let input = b"status\nstop a\nstart b\nstatus\nexit\n";
        std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input).expect("written");
        let output = child.wait_with_output().expect("ends");
        side.note(&String::from_utf8_lossy(&output.stdout));
    });
}
