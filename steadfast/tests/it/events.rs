//! Event listeners beyond what the real supervisord can be compared in: a daemon that dies, listeners that do not behave,
//! superlance as it comes from PyPI, the system's log, FastCGI over a restart.

use crate::harness::{eventually, exe, head, seconds, venv, workspace};
use rustix::process::Signal;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::Command;
use storm::installation::{Installation, Said};
use storm::procfs;
use storm::wait::PATIENCE;

fn app(name: &str) -> PathBuf {
    workspace().join("steadfast/tests/apps").join(name)
}

/// An installation that runs `config` behind the usual head. `{listener}`, `{python}`, `{bin}` and `{dir}` are filled in.
fn running(config: &str, env: &[(&str, String)]) -> Installation {
    let mut installation = Installation::new(exe()).expect("a directory");
    let python = venv("python").display().to_string();
    let listener = format!("{python} {}", app("listener.py").display());
    let bin = venv("python").parent().expect("bin").display().to_string();
    let dir = installation.dir().display().to_string();
    let text = head(installation.dir()) + config;
    let text = text
        .replace("{listener}", &listener)
        .replace("{python}", &python)
        .replace("{bin}", &bin)
        .replace("{dir}", &dir);
    installation.configure(&text).expect("written");
    for (name, value) in env {
        let value = value.replace("{dir}", &dir);
        installation.env.push(((*name).to_owned(), value));
    }
    installation.run().expect("started");
    installation
}

fn ctl(installation: &Installation, args: &[&str]) -> Said {
    let mut command = Command::new(venv("supervisorctl"));
    Said::of(command.arg("-c").arg(installation.config()).args(args)).expect("supervisorctl runs")
}

fn settle(installation: &Installation, name: &str, state: &str) {
    let what = format!("{name} to be {state}");
    eventually(&what, seconds(30), || {
        let said = ctl(installation, &["status", name]).stdout;
        (said.split_whitespace().nth(1) == Some(state)).then_some(())
    });
}

fn read(installation: &Installation, name: &str) -> String {
    let bytes = std::fs::read(installation.path(name)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits until a file has this text.
fn wait_file(installation: &Installation, name: &str, text: &str) -> String {
    let what = format!("{text:?} in {name}");
    eventually(&what, seconds(30), || {
        let all = read(installation, name);
        all.contains(text).then_some(all)
    })
}

fn remote(installation: &Installation, data: &str) {
    let script = app("rpc.py");
    let mut child = Command::new(venv("python"))
        .arg(script)
        .arg(installation.path("s.sock"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("python runs");
    let call = format!("[\"supervisor.sendRemoteCommEvent\", \"note\", \"{data}\"]\n");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(call.as_bytes())
        .expect("written");
    assert!(child.wait().expect("ends").success());
}

/// Kills the daemon. Root is stopped, so there is no other one until it goes on.
fn kill_daemon_for_good(installation: &Installation) {
    let daemon = installation.daemon_pid().expect("a daemon");
    assert!(procfs::signal(installation.root_pid(), Signal::STOP));
    assert!(procfs::signal(daemon, Signal::KILL));
    eventually("the daemon's end", seconds(20), || {
        (!procfs::lives(daemon)).then_some(())
    });
}

#[test]
fn who_gives_up_while_the_daemon_is_away_is_told_of_once() {
    let config = "
[program:fails]
command = sh -c 'while [ ! -e {dir}/gate ]; do sleep 0.05; done; exit 7'
startsecs = 1000
startretries = 0
[eventlistener:hears]
command = {listener} {dir}/heard
events = PROCESS_STATE_FATAL,REMOTE_COMMUNICATION
";
    let installation = running(config, &[]);
    settle(&installation, "hears", "RUNNING");
    settle(&installation, "fails", "STARTING");
    let pid = installation.pid("fails").expect("it starts");
    kill_daemon_for_good(&installation);
    std::fs::write(installation.path("gate"), "").expect("written");
    eventually("its end", seconds(20), || {
        (!procfs::lives(pid)).then_some(())
    });
    assert_eq!(installation.daemon_pid(), None);
    assert!(procfs::signal(installation.root_pid(), Signal::CONT));
    settle(&installation, "fails", "FATAL");
    // Another daemon, which finds in the ledger what the one before it has told.
    wait_file(&installation, "heard", "PROCESS_STATE_FATAL");
    let daemon = installation.daemon_pid().expect("a daemon");
    assert!(procfs::signal(daemon, Signal::KILL));
    eventually("the next daemon", seconds(20), || {
        installation.daemon_pid().filter(|pid| *pid != daemon)
    });
    settle(&installation, "hears", "RUNNING");
    remote(&installation, "last");
    let heard = wait_file(&installation, "heard", "last");
    assert_eq!(
        heard.matches("eventname:PROCESS_STATE_FATAL").count(),
        1,
        "{heard}"
    );
    let said = installation
        .say(&["history", "fails", "--json"])
        .expect("runs");
    let value: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    let entries = value["entries"].as_array().expect("entries");
    let fatal = entries
        .iter()
        .filter(|entry| entry["what"]["to"] == "FATAL");
    assert_eq!(fatal.count(), 1, "{}", said.text());
}

#[test]
fn what_happens_while_the_daemon_is_away_is_heard_with_its_time() {
    let config = "
[program:cat]
command = /bin/cat
[program:talks]
command = sh -c 'while read x; do echo \"it read $x and says so at some length\"; done'
stdout_logfile = {dir}/talks.log
stdout_events_enabled = true
[eventlistener:hears]
command = {listener} {dir}/heard
events = PROCESS_STATE_EXITED,PROCESS_LOG,REMOTE_COMMUNICATION
buffer_size = 50
[eventlistener:slow]
command = {listener} {dir}/slow slow {dir}/gate
events = REMOTE_COMMUNICATION
buffer_size = 50
";
    let installation = running(config, &[]);
    for name in ["cat", "talks", "hears", "slow"] {
        settle(&installation, name, "RUNNING");
    }
    // One in the slow listener's hands, two in its pool's buffer.
    for data in ["one", "two", "three"] {
        remote(&installation, data);
    }
    wait_file(&installation, "slow", "one");
    wait_file(&installation, "heard", "three");
    let pids = |name: &str| {
        let found = procfs::mentioning(name).into_iter();
        found.map(|process| process.pid).collect::<Vec<i32>>()
    };
    let listeners = pids(&installation.path("heard").display().to_string());
    let cat = installation.pid("cat").expect("it runs");
    let talks = installation.pid("talks").expect("it runs");
    kill_daemon_for_good(&installation);
    let before_s = sys::clock::wall_ms() / 1000;
    assert!(procfs::signal(cat, Signal::KILL));
    // The keeper of `talks` holds the other end of its stdin; the program is written to over its own descriptor.
    std::fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/{talks}/fd/0"))
        .expect("its stdin")
        .write_all(b"this\n")
        .expect("written");
    // Their keepers know it before there is a daemon again.
    let proc = format!("/proc/{cat}");
    eventually("the end of cat", seconds(20), || {
        (!std::path::Path::new(&proc).exists()).then_some(())
    });
    wait_file(&installation, "talks.log", "it read this");
    assert_eq!(installation.daemon_pid(), None);
    assert!(procfs::signal(installation.root_pid(), Signal::CONT));
    let heard = wait_file(&installation, "heard", "it read this");
    let heard = if heard.contains("PROCESS_STATE_EXITED") {
        heard
    } else {
        wait_file(&installation, "heard", "PROCESS_STATE_EXITED")
    };
    let exited = heard
        .lines()
        .find(|line| line.starts_with("processname:cat"))
        .expect("the exit is heard");
    let when: u64 = exited
        .split(' ')
        .find_map(|word| word.strip_prefix("when:"))
        .unwrap_or_else(|| panic!("no time in {exited:?}"))
        .parse()
        .expect("seconds");
    assert!(
        (before_s..=before_s + 60).contains(&when),
        "{when} is not near {before_s}"
    );
    assert!(
        exited.contains(&format!("expected:0 pid:{cat} when:")),
        "{exited}"
    );
    let said = heard
        .lines()
        .find(|line| line.starts_with("processname:talks"));
    assert!(
        said.is_some_and(|line| line.contains(" channel:stdout when:")),
        "{heard}"
    );
    // What the last daemon had promised is kept, each once and in order, by the same processes.
    std::fs::write(installation.path("gate"), "").expect("written");
    let slow = wait_file(&installation, "slow", "three");
    let told: Vec<&str> = slow
        .lines()
        .filter(|line| ["one", "two", "three"].contains(line))
        .collect();
    assert_eq!(told, ["one", "two", "three"]);
    let serials: Vec<&str> = slow
        .lines()
        .filter_map(|line| {
            line.split(' ')
                .find_map(|word| word.strip_prefix("poolserial:"))
        })
        .collect();
    assert_eq!(serials, ["0", "1", "2"]);
    assert_eq!(
        pids(&installation.path("heard").display().to_string()),
        listeners
    );
    assert_eq!(
        heard.matches("type:note").count(),
        3,
        "nothing is told twice: {heard}"
    );
}

#[test]
fn listeners_that_do_not_behave_cost_nobody_anything() {
    let config = "
[program:cat]
command = /bin/cat
[program:chatty]
command = sh -c 'while :; do echo 0123456789012345678901234567890123456789012345678901234567890123; done'
stdout_logfile = NONE
stdout_events_enabled = true
[eventlistener:flood]
command = {listener} {dir}/flood.heard flood
events = EVENT
stdout_logfile = NONE
[eventlistener:silent]
command = {listener} {dir}/silent.heard silent
events = EVENT
[eventlistener:closed]
command = {listener} {dir}/closed.heard closed
events = EVENT
[eventlistener:good]
command = {listener} {dir}/good
events = REMOTE_COMMUNICATION
";
    let began = std::time::Instant::now();
    let installation = running(config, &[]);
    for name in ["cat", "chatty", "flood", "silent", "closed", "good"] {
        settle(&installation, name, "RUNNING");
    }
    wait_file(&installation, "silent.heard", "ver:3.0");
    let log = wait_file(
        &installation,
        "supervisord.log",
        "flood: has entered the UNKNOWN state",
    );
    assert_eq!(
        log.matches("flood: has entered the UNKNOWN state").count(),
        1
    );
    wait_file(
        &installation,
        "supervisord.log",
        "closed: has closed its standard input",
    );
    wait_file(
        &installation,
        "supervisord.log",
        "pool silent event buffer overflowed",
    );
    for round in 0..3 {
        assert_eq!(ctl(&installation, &["restart", "cat"]).exit, 0);
        remote(&installation, &format!("round {round}"));
        wait_file(&installation, "good", &format!("round {round}"));
    }
    let daemon = installation.daemon_pid().expect("a daemon");
    let memory_kb = procfs::memory_kb(daemon, "Rss").expect("it lives");
    assert!(
        memory_kb < 100 * 1024,
        "the daemon has grown to {memory_kb} kB"
    );
    for name in ["flood", "silent", "chatty"] {
        let pid = installation.pid(name).expect("it runs");
        let keeper = installation.keeper_of(pid).expect("it is kept");
        let memory_kb = procfs::memory_kb(keeper, "Rss").expect("it lives");
        assert!(
            memory_kb < 30 * 1024,
            "the keeper of {name} has grown to {memory_kb} kB"
        );
    }
    let lines = read(&installation, "supervisord.log").lines().count();
    let seconds = began.elapsed().as_secs() as usize + 1;
    assert!(
        lines < 100 * seconds,
        "the log has {lines} lines after {seconds} s"
    );
}

/// A mail server that takes one mail and hands it over.
fn smtp() -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut out = stream.try_clone().expect("a copy");
            let mut lines = BufReader::new(stream).lines();
            let _ = out.write_all(b"220 here\r\n");
            let mut mail = String::new();
            while let Some(Ok(line)) = lines.next() {
                if line.eq_ignore_ascii_case("DATA") {
                    let _ = out.write_all(b"354 go on\r\n");
                    for line in lines
                        .by_ref()
                        .map_while(Result::ok)
                        .take_while(|line| line != ".")
                    {
                        mail.push_str(&line);
                        mail.push('\n');
                    }
                    let _ = send.send(std::mem::take(&mut mail));
                }
                let bye = line.eq_ignore_ascii_case("QUIT");
                let _ = out.write_all(if bye { b"221 bye\r\n" } else { b"250 fine\r\n" });
                if bye {
                    break;
                }
            }
        }
    });
    (port, receive)
}

#[test]
fn superlance_runs_unchanged() {
    let (port, mails) = smtp();
    let config = "
[program:fat]
command = sleep 86417
[program:web]
command = sleep 86418
[program:dies]
command = sh -c 'sleep 3; exit 3'
autorestart = false
autostart = false
[program:broken]
command = sh -c 'exit 1'
startsecs = 30
startretries = 0
autostart = false
[eventlistener:crashmail]
command = {bin}/crashmail -a -o site -m dev@example.com -s 'cat >> {dir}/crash.mail'
events = PROCESS_STATE_EXITED
[eventlistener:memmon]
command = {bin}/memmon -p fat=1KB
events = TICK_5
stderr_logfile = {dir}/memmon.err
[eventlistener:httpok]
command = {bin}/httpok -p web -t 2 http://127.0.0.1:1/
events = TICK_5
stderr_logfile = {dir}/httpok.err
[eventlistener:fatalmailbatch]
command = {bin}/fatalmailbatch --toEmail=dev@example.com --fromEmail=me@example.com --interval=0.08 --tickEvent=TICK_5 --smtpHost=127.0.0.1:{port}
events = PROCESS_STATE,TICK_5
buffer_size = 100
stderr_logfile = {dir}/fatal.err
"
    .replace("{port}", &port.to_string());
    let installation = running(&config, &[]);
    for name in [
        "crashmail",
        "memmon",
        "httpok",
        "fatalmailbatch",
        "fat",
        "web",
    ] {
        settle(&installation, name, "RUNNING");
    }
    // They are restarted all the while.
    let pid = |name: &str| eventually("a process", seconds(30), || installation.pid(name));
    let (fat, web) = (pid("fat"), pid("web"));
    ctl(&installation, &["start", "broken"]);
    ctl(&installation, &["start", "dies"]);
    let mail = wait_file(&installation, "crash.mail", "unexpectedly");
    assert!(
        mail.contains("To: dev@example.com") && mail.contains("dies"),
        "{mail}"
    );
    wait_file(&installation, "memmon.err", "Restarting fat");
    wait_file(
        &installation,
        "httpok.err",
        "Restarting selected processes ['web']",
    );
    eventually(
        "memmon and httpok to have restarted them",
        seconds(30),
        || {
            let new = |name: &str, old: i32| installation.pid(name).is_some_and(|pid| pid != old);
            (new("fat", fat) && new("web", web)).then_some(())
        },
    );
    let mail = mails
        .recv_timeout(PATIENCE)
        .expect("a mail of fatalmailbatch");
    assert!(
        mail.contains("broken failed to start too many times"),
        "{mail}"
    );
}

#[test]
fn lines_for_the_systems_log_arrive_there() {
    let config = "
[supervisord]
logfile = syslog
pidfile = {dir}/supervisord.pid
childlogdir = {dir}
[program:talks]
command = sh -c 'echo to both; echo and an error >&2; sleep 86400'
stdout_syslog = true
stdout_logfile = {dir}/talks.log
stderr_logfile = syslog
";
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("bound");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    let env = [("STEADFAST_SYSLOG", path.display().to_string())];
    let installation = running(config, &env);
    let mut wanted = vec![
        "supervisord: talks to both",
        "supervisord: talks and an error",
        "INFO success: talks entered RUNNING state",
    ];
    while !wanted.is_empty() {
        let mut buffer = [0; 4096];
        let length = socket
            .recv(&mut buffer)
            .unwrap_or_else(|_| panic!("still to come: {wanted:?}"));
        let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(message.starts_with("<14>"), "{message}");
        wanted.retain(|text| !message.contains(text));
    }
    wait_file(&installation, "talks.log", "to both");
}

#[test]
fn connections_to_a_fastcgi_program_wait_while_it_restarts() {
    let config = "
[fcgi-program:site]
command = {python} {app}
socket = tcp://127.0.0.1:{port}
socket_backlog = 64
startsecs = 0
"
    .replace("{app}", &app("fcgi.py").display().to_string());
    let port = crate::harness::free_port();
    let installation = running(&config.replace("{port}", &port.to_string()), &[]);
    settle(&installation, "site", "RUNNING");
    let ask = |path: &str| {
        let mut command = Command::new(venv("python"));
        command
            .arg(app("fcgi_get.py"))
            .arg(format!("127.0.0.1:{port}"))
            .arg(path);
        command
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("python runs")
    };
    let answer = |child: std::process::Child| {
        let output = child.wait_with_output().expect("ends");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let first = answer(ask("/first"));
    assert!(first.ends_with("path /first\n"), "{first:?}");
    // Held: the queue is the keeper's and the daemon's, not the program's.
    assert_eq!(ctl(&installation, &["stop", "site"]).exit, 0);
    let waiting = ask("/waiting");
    let daemon = installation.daemon_pid().expect("a daemon");
    assert!(procfs::signal(daemon, Signal::KILL));
    eventually("the next daemon", seconds(20), || {
        installation.daemon_pid().filter(|pid| *pid != daemon)
    });
    eventually("an answer of supervisorctl", seconds(20), || {
        (ctl(&installation, &["start", "site"]).exit == 0).then_some(())
    });
    let second = answer(waiting);
    assert!(second.ends_with("path /waiting\n"), "{second:?}");
    assert_ne!(
        first.split(' ').nth(1),
        second.split(' ').nth(1),
        "another process answered"
    );
}
