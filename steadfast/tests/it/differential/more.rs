//! Names, files and requests that are seldom and must go the same way all the same.

use super::{Side, compare, compare_with};
use crate::harness::free_port;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use supervisord::methods::table::METHODS;

const ODD: &str = "
[program:naïve]
command = sleep 86480
startsecs = 0
[program:a.b-c_d]
command = sleep 86481
startsecs = 0
autostart = false
[program:w]
command = sleep 86482
process_name = %(program_name)s*%(process_num)d
numprocs = 2
startsecs = 0
";

#[test]
fn names_that_are_not_plain_words() {
    compare(ODD, |side| {
        side.all_run(&["naïve", "w:w*0", "w:w*1"]);
        for args in [
            &["status"][..],
            &["status", "naïve"],
            &["stop", "naïve"],
            &["start", "naïve"],
            &["start", "a.b-c_d"],
            &["stop", "w:w*0"],
            &["status", "w*0"],
            &["status", "w:"],
            &["status", ":"],
            &["status", ":w"],
            &["status", "*"],
            &["status", "*:*"],
            &["start", "naïve:naïve"],
            &["start", "w:*:"],
            &["signal", "HUP", ":"],
            &["pid", "*"],
            &["tail", "ü"],
            &["clear", "w:*"],
            &["start", "a b"],
            &["start", "a;b"],
        ] {
            side.ctl(args);
        }
    });
}

const MANY: &str = "
[program:late]
command = sleep 86483
priority = 1000
startsecs = 0
[program:early]
command = sleep 86484
priority = 1
startsecs = 0
[program:broken]
command = /no/such/command
startretries = 0
[program:off]
command = sleep 86485
autostart = false
startsecs = 0
stdout_logfile = {dir}/off.log
";

#[test]
fn all_of_them_with_some_that_cannot() {
    compare(MANY, |side| {
        side.settle("broken", "FATAL");
        side.all_run(&["early", "late"]);
        side.ctl(&["status"]);
        side.ctl(&["avail"]);
        for args in [
            &["start", "all"][..],
            &["signal", "CONT", "all"],
            &["signal", "NOPE", "all"],
            &["clear", "all"],
            &["restart", "all"],
            &["stop", "all"],
            &["stop", "all"],
        ] {
            side.ctl_sorted(args);
        }
        side.ctl(&["pid", "all"]);
        side.ctl(&["status", "all"]);
    });
}

#[test]
fn exit_statuses_of_status() {
    compare(MANY, |side| {
        side.settle("broken", "FATAL");
        side.all_run(&["early", "late"]);
        for args in [
            &["status", "late"][..],
            &["status", "late", "early"],
            &["status", "off"],
            &["status", "late", "off"],
            &["status", "broken"],
            &["status", "nobody"],
            &["status", "nobody", "late"],
        ] {
            side.ctl(args);
        }
    });
}

#[test]
fn commands_without_or_with_too_many_words() {
    compare(MANY, |side| {
        side.settle("late", "RUNNING");
        for args in [
            &["clear"][..],
            &["signal"],
            &["signal", "HUP"],
            &["tail"],
            &["tail", "-f"],
            &["tail", "a", "b", "c", "d"],
            &["tail", "-x", "late"],
            &["tail", "late", "stdwhat"],
            &["maintail", "a", "b"],
            &["avail", "x"],
            &["version", "x"],
            &["reread", "x"],
            &["reload", "x"],
            &["shutdown", "x"],
            &["add"],
            &["remove"],
            &["open"],
            &["fg", "a", "b"],
            &["exit"],
            &["quit"],
            &["help", "nonsense"],
            &["pid", "nobody"],
            &["nonsense"],
        ] {
            side.ctl(args);
        }
    });
}

#[test]
fn after_a_shutdown_nobody_is_there() {
    compare(MANY, |side| {
        side.settle("late", "RUNNING");
        side.ctl(&["shutdown"]);
        let gone = storm::wait::until(storm::wait::PATIENCE, || {
            (!side.installation.path("s.sock").exists()).then_some(())
        });
        assert!(gone.is_some());
        for args in [
            &["status"][..],
            &["start", "late"],
            &["version"],
            &["pid"],
            &["reread"],
            &["shutdown"],
        ] {
            side.ctl(args);
        }
    });
}

#[test]
fn an_address_where_nobody_listens() {
    let port = free_port();
    compare(MANY, |side| {
        side.settle("late", "RUNNING");
        for url in [
            format!("http://127.0.0.1:{port}"),
            "unix:///no/such/socket".into(),
            "ftp://x".into(),
        ] {
            for words in [&["status"][..], &["start", "late"], &["shutdown"]] {
                let mut args = vec!["-s", &url];
                args.extend(words);
                side.ctl(&args);
            }
        }
    });
}

const GROUPS: &str = "
[group:g]
programs = a,b
priority = 5
[program:a]
command = sleep 86486
startsecs = 0
[program:b]
command = sleep 86487
startsecs = 0
[program:w]
command = sleep 86488
process_name = %(program_name)s_%(process_num)d
numprocs = 2
startsecs = 0
";

fn changed(side: &mut Side, from: &str, to: &str) {
    let config = GROUPS.replace(from, to);
    assert_ne!(config, GROUPS);
    side.configure(&config);
}

#[test]
fn update_of_named_groups_only() {
    compare(GROUPS, |side| {
        side.all_run(&["g:a", "g:b", "w:w_0", "w:w_1"]);
        changed(side, "86486", "86489");
        side.ctl(&["update", "nobody"]);
        side.ctl(&["update", "w"]);
        side.ctl(&["update", "g", "nobody"]);
        side.all_run(&["g:a", "g:b"]);
        side.ctl(&["update", "all"]);
        side.ctl(&["status"]);
    });
}

#[test]
fn update_with_more_and_with_fewer_processes() {
    compare(GROUPS, |side| {
        side.all_run(&["g:a", "g:b", "w:w_0", "w:w_1"]);
        changed(side, "numprocs = 2", "numprocs = 3");
        side.ctl(&["reread"]);
        side.ctl(&["update"]);
        side.all_run(&["w:w_0", "w:w_1", "w:w_2"]);
        side.ctl(&["status"]);
        changed(side, "numprocs = 2", "numprocs = 1");
        side.ctl(&["update"]);
        side.settle("w:w_0", "RUNNING");
        side.ctl(&["status"]);
    });
}

#[test]
fn a_group_that_is_taken_apart() {
    compare(GROUPS, |side| {
        side.all_run(&["g:a", "g:b", "w:w_0", "w:w_1"]);
        changed(side, "[group:g]\nprograms = a,b\npriority = 5\n", "");
        side.ctl(&["reread"]);
        side.ctl(&["update"]);
        side.all_run(&["a", "b"]);
        side.ctl(&["status"]);
        side.ctl(&["status", "g:*"]);
    });
}

#[test]
fn a_reread_of_the_same_says_so() {
    compare(GROUPS, |side| {
        side.settle("g:b", "RUNNING");
        side.ctl(&["reread"]);
        changed(side, "startsecs = 0", "startsecs =   0   ; the same");
        side.ctl(&["reread"]);
        side.ctl(&["update"]);
    });
}

#[test]
fn values_over_lines_comments_and_quotes() {
    let config = "
; a comment
# another
[program:p]
command =
    sh -c 'echo \"one;two\" three%%; echo $A-$B-$C; exec sleep 86490' ; said
environment =
    A=\"x,y\",
    B='%(program_name)s %(group_name)s',
    C=%(ENV_HOME)s
startsecs: 0
stdout_logfile = %(here)s/p.log
Redirect_Stderr = true
";
    compare(config, |side| {
        side.wait_file("p.log", "x,y");
        side.file("p.log");
        side.settle("p", "RUNNING");
        side.ctl(&["status"]);
    });
}

#[test]
fn exit_codes_and_restarts() {
    let config = "
[program:always]
command = sh -c 'echo up >>{dir}/always.log; exit 0'
autorestart = true
startsecs = 0
startretries = 0
[program:codes]
command = sh -c 'if [ -e {dir}/slowly ]; then sleep 2; fi; exit 7'
exitcodes = 3,7
startsecs = 0
[program:never]
command = sh -c 'if [ -e {dir}/slowly ]; then sleep 2; fi; exit 1'
autorestart = false
startsecs = 0
[program:quick]
command = sh -c 'if [ -e {dir}/slowly ]; then sleep 0.4; fi; exit 0'
startsecs = 30
startretries = 1
";
    compare(config, |side| {
        side.settle("codes", "EXITED");
        side.settle("never", "EXITED");
        side.settle("quick", "FATAL");
        side.wait_file("always.log", "up\nup\n");
        // Whether one still lives when its start is answered would be a matter of milliseconds.
        side.touch("slowly");
        for name in ["codes", "never", "quick"] {
            side.ctl(&["status", name]);
            side.ctl(&["start", name]);
        }
    });
}

#[test]
fn the_socket_has_the_mode_of_the_file() {
    compare(
        "[program:a]\ncommand = sleep 86491\nstartsecs = 0\n",
        |side| {
            use std::os::unix::fs::PermissionsExt;
            let mode = |side: &Side| {
                let meta = std::fs::metadata(side.installation.path("s.sock")).expect("there");
                format!("{:o}", meta.permissions().mode())
            };
            let told = mode(side);
            side.note(&told);
        },
    );
}

#[test]
fn every_method_has_the_same_signature() {
    let mut calls: String = METHODS
        .iter()
        .map(|method| format!("[\"system.methodSignature\", \"{}\"]\n", method.name))
        .collect();
    calls += "[\"system.methodSignature\", \"no.such\"]\n[\"system.methodHelp\", \"no.such\"]\n[\"system.methodHelp\"]\n[\"system.listMethods\", 1]\n";
    compare(MANY, |side| {
        side.settle("late", "RUNNING");
        side.rpc(&calls);
    });
}

#[test]
fn methods_on_all_processes_and_groups_answer_the_same_structures() {
    compare(GROUPS, |side| {
        side.all_run(&["g:a", "g:b", "w:w_0", "w:w_1"]);
        side.rpc(
            // One process each time: two that end at once are told in the order of their deaths.
            "[\"supervisor.stopProcess\", \"w:w_1\"]
[\"supervisor.stopProcessGroup\", \"w\"]
[\"supervisor.stopProcessGroup\", \"w\"]
[\"supervisor.startProcessGroup\", \"w\", false]
[\"supervisor.signalProcessGroup\", \"g\", \"CONT\"]
[\"supervisor.signalProcessGroup\", \"nogroup\", \"CONT\"]
[\"supervisor.signalProcessGroup\", \"g\", \"NOPE\"]
[\"supervisor.signalProcess\", \"g:*\", \"CONT\"]
[\"supervisor.clearProcessLog\", \"g:a\"]
[\"supervisor.clearAllProcessLogs\"]
[\"supervisor.startProcess\", \"g:*\"]
[\"supervisor.stopProcess\", \"g:a\"]
[\"supervisor.stopProcess\", \"g:*\"]
[\"supervisor.startProcess\", \"nogroup:*\"]
[\"supervisor.removeProcessGroup\", \"g\"]
[\"supervisor.addProcessGroup\", \"g\"]
[\"supervisor.addProcessGroup\", \"g\"]
",
        );
    });
}

#[test]
fn the_activity_log_is_read_and_emptied() {
    compare(MANY, |side| {
        side.all_run(&["early", "late"]);
        side.settle("broken", "FATAL");
        side.rpc(
            "[\"supervisor.clearLog\"]
[\"supervisor.readLog\", 0, 0]
[\"supervisor.readMainLog\", 0, 0]
[\"supervisor.readLog\", -1, 1]
[\"supervisor.readLog\", 0, -1]
[\"supervisor.readProcessLog\", \"off\", 0, 0]
[\"supervisor.readProcessStdoutLog\", \"late\", 0, -1]
[\"supervisor.tailProcessLog\", \"off\", 0, 10]
",
        );
        side.ctl(&["maintail", "-20"]);
    });
}

#[test]
fn many_calls_in_one_with_their_faults() {
    compare(MANY, |side| {
        side.settle("late", "RUNNING");
        side.rpc(
            "[\"system.multicall\", []]
[\"system.multicall\", [{\"methodName\": \"system.multicall\", \"params\": [[]]}]]
[\"system.multicall\", [{\"methodName\": \"supervisor.stopProcess\", \"params\": [\"late\"]}, {\"methodName\": \"supervisor.stopProcess\", \"params\": [\"late\"]}, {\"methodName\": \"supervisor.startProcess\", \"params\": [\"late\"]}]]
[\"system.multicall\", [{\"methodName\": \"supervisor.getState\"}, {\"methodName\": \"supervisor.getState\", \"params\": [1]}, {\"methodName\": \"supervisor\", \"params\": []}, {\"methodName\": \"\", \"params\": []}]]
[\"system.multicall\", [{\"methodName\": \"system.listMethods\", \"params\": []}]]
",
        );
    });
}

#[test]
fn no_name_leads_out_of_the_table() {
    let names = [
        "supervisor.supervisord.options.warnings.linecache.os.system",
        "supervisor.__class__",
        "supervisor._update",
        "supervisor.supervisord.get_state",
        "system.namespaces",
        "system.__init__",
        "getState",
        "supervisor",
        "supervisor.",
        ".getState",
        "supervisor.getState.x",
        "os.system",
    ];
    let calls: String = names
        .map(|name| {
            format!("[\"system.multicall\", [{{\"methodName\": \"{name}\", \"params\": []}}]]\n")
        })
        .concat();
    compare(MANY, |side| {
        side.settle("late", "RUNNING");
        side.rpc(&calls);
    });
}

/// The status of the answer to these bytes, sent to the Unix socket.
fn status(side: &Side, request: &str) -> String {
    let mut stream = UnixStream::connect(side.installation.path("s.sock")).expect("connects");
    stream
        .set_read_timeout(Some(storm::wait::PATIENCE))
        .expect("set");
    stream.write_all(request.as_bytes()).expect("written");
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next().unwrap_or("(nothing)");
    line.split_whitespace()
        .nth(1)
        .unwrap_or("(no status)")
        .to_owned()
}

fn post(body: &str) -> String {
    format!(
        "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn requests_that_make_no_sense_get_the_same_status() {
    compare(MANY, |side| {
        side.settle("late", "RUNNING");
        let call = "<?xml version='1.0'?><methodCall><methodName>supervisor.getState</methodName><params></params></methodCall>";
        let requests = [
            ("a call", post(call)),
            ("without a name", post("<methodCall><params/></methodCall>")),
            (
                "an unknown method",
                post("<methodCall><methodName>x.y</methodName></methodCall>"),
            ),
            (
                "a log of nobody",
                "GET /logtail/nobody HTTP/1.0\r\nHost: x\r\n\r\n".to_owned(),
            ),
            (
                "a page that is not there",
                "GET /no/such HTTP/1.0\r\nHost: x\r\n\r\n".to_owned(),
            ),
            (
                "a wrong method",
                "GET /RPC2 HTTP/1.0\r\nHost: x\r\n\r\n".to_owned(),
            ),
        ];
        for (what, request) in requests {
            let status = status(side, &request);
            side.note(&format!("{what}: {status}"));
        }
    });
}

#[test]
fn wrong_credentials_and_hashed_ones() {
    let ports = [free_port(), free_port()];
    let port = |side: &Side| ports[usize::from(side.ours)];
    compare_with(
        |side| {
            let port = port(side);
            // The hash of "thepassword".
            format!(
                "[inet_http_server]\nport = 127.0.0.1:{port}\nusername = me\npassword = {{SHA}}82ab876d1387bfafe46cc1c8a2ef074eae50cb1d\n{MANY}"
            )
        },
        |side| {
            side.settle("late", "RUNNING");
            let url = format!("http://127.0.0.1:{}", port(side));
            for (user, password) in [
                ("me", "thepassword"),
                ("me", "wrong"),
                ("you", "thepassword"),
                ("me", ""),
            ] {
                let said = side.raw(&["-s", &url, "-u", user, "-p", password, "version"]);
                side.note(&format!(
                    "{user} {password}: {}{}exit {}",
                    said.stdout, said.stderr, said.exit
                ));
            }
            let said = side.raw(&["-s", &url, "status", "late"]);
            side.note(&format!("{}exit {}", said.stdout, said.exit));
        },
    );
}
